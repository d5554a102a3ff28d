/** From key events to shortcuts. Pure; works on any layout, since letters are read by their place on the keyboard. */

export const PAGES = {
  KeyD: { key: "d", href: "/dashboard/", label: "nav.dashboard" },
  KeyS: { key: "s", href: "/signals/", label: "nav.signals" },
  KeyY: { key: "y", href: "/symbol/", label: "nav.symbol" },
  KeyP: { key: "p", href: "/positions/", label: "nav.positions" },
  KeyO: { key: "o", href: "/orders/", label: "nav.orders" },
  KeyT: { key: "t", href: "/training/", label: "nav.training" },
  KeyR: { key: "r", href: "/risk/", label: "nav.risk" },
  KeyQ: { key: "q", href: "/data-quality/", label: "nav.data_quality" },
  KeyE: { key: "e", href: "/settings/", label: "nav.settings" },
} as const;

export type Shortcut =
  | { kind: "go"; href: string }
  | { kind: "search" | "help" | "next" | "prev" | "theme" | "zone" | "language" }
  | { kind: "prefix" }
  | null;

export interface Stroke {
  code: string;
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** How long `g` waits for its second key, milliseconds. */
export const PREFIX_MS = 1_200;

/** The shortcut of a stroke; `prefixed` when `g` was pressed just before. Modifiers belong to the browser. */
export function shortcutOf(stroke: Stroke, prefixed: boolean): Shortcut {
  if (stroke.ctrlKey || stroke.metaKey || stroke.altKey) return null;
  if (stroke.key === "?" || (stroke.code === "Slash" && stroke.shiftKey)) return { kind: "help" };
  if (stroke.key === "/" || stroke.code === "Slash") return { kind: "search" };
  if (stroke.shiftKey) return null;
  if (prefixed) {
    const page = PAGES[stroke.code as keyof typeof PAGES];
    return page === undefined ? null : { kind: "go", href: page.href };
  }
  switch (stroke.code) {
    case "KeyG":
      return { kind: "prefix" };
    case "KeyJ":
      return { kind: "next" };
    case "KeyK":
      return { kind: "prev" };
    case "KeyT":
      return { kind: "theme" };
    case "KeyU":
      return { kind: "zone" };
    case "KeyL":
      return { kind: "language" };
    default:
      return null;
  }
}

/** Letters belong to whoever is writing. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

/** The neighbour in a ring of symbols; the first when the current one is not among them. */
export function neighbour(symbols: readonly string[], current: string | null, step: 1 | -1): string | null {
  if (symbols.length === 0) return null;
  const index = current === null ? -1 : symbols.indexOf(current);
  if (index === -1) return symbols[0] ?? null;
  return symbols[(index + step + symbols.length) % symbols.length] ?? null;
}
