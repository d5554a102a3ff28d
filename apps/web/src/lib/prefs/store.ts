/** What one person likes: language, theme, time zone, colours of gain and loss. Kept in the browser. */
import { useSyncExternalStore } from "react";
import { NOTICES, type NoticeKind } from "@/lib/domain/notices";
import type { Zone } from "@/lib/format/time";

export type Language = "ko" | "en";
export type Theme = "dark" | "light";
export type Rise = "green" | "red";

export interface Prefs {
  language: Language;
  theme: Theme;
  zone: Zone;
  /** The colour of a rise: green by default, red as Korean desks have it. */
  rise: Rise;
  /** Events that the browser tells of. */
  notify: readonly NoticeKind[];
}

const STORAGE_KEY = "perpilot.prefs";
export const DEFAULT_PREFS: Prefs = { language: "en", theme: "dark", zone: "utc", rise: "green", notify: [] };
type Single = Omit<Prefs, "notify">;

const CHOICES: { [K in keyof Single]: readonly Single[K][] } = {
  language: ["ko", "en"],
  theme: ["dark", "light"],
  zone: ["utc", "local"],
  rise: ["green", "red"],
};

/** Read what was kept; anything unknown falls back to the default of that one preference. */
export function parsePrefs(raw: string | null, fallback: Prefs): Prefs {
  let kept: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(raw ?? "{}");
    if (typeof parsed === "object" && parsed !== null) kept = parsed as Record<string, unknown>;
  } catch {
    // A damaged entry costs the preferences, not the desk.
  }
  const choose = <K extends keyof Single>(name: K): Single[K] =>
    CHOICES[name].find((choice) => choice === kept[name]) ?? fallback[name];
  return { language: choose("language"), theme: choose("theme"), zone: choose("zone"), rise: choose("rise"), notify: Array.isArray(kept.notify) ? NOTICES.filter((kind) => (kept.notify as unknown[]).includes(kind)) : fallback.notify };
}

function browserDefaults(): Prefs {
  const korean = navigator.language.toLowerCase().startsWith("ko");
  return { ...DEFAULT_PREFS, language: korean ? "ko" : "en" };
}

let current: Prefs | null = null;
const listeners = new Set<() => void>();

function read(): Prefs {
  current ??= parsePrefs(localStorage.getItem(STORAGE_KEY), browserDefaults());
  return current;
}

function apply(prefs: Prefs): void {
  const root = document.documentElement;
  root.dataset.theme = prefs.theme;
  root.dataset.rise = prefs.rise;
  root.lang = prefs.language;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  const onStorage = (event: StorageEvent) => {
    if (event.key !== STORAGE_KEY) return;
    current = null;
    apply(read());
    listener();
  };
  window.addEventListener("storage", onStorage);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", onStorage);
  };
}

/** Change one or more preferences, keep them, and tell everyone. */
export function setPrefs(change: Partial<Prefs>): void {
  current = { ...read(), ...change };
  localStorage.setItem(STORAGE_KEY, JSON.stringify(current));
  apply(current);
  for (const listener of listeners) listener();
}

/** The preferences; on the exported page, before the browser has spoken, the defaults. */
export function usePrefs(): Prefs {
  return useSyncExternalStore(subscribe, read, () => DEFAULT_PREFS);
}

/** Forget what was read; for tests. */
export function resetPrefs(): void {
  current = null;
}
