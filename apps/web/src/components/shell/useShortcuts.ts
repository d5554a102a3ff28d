"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { Instrument } from "@/lib/api/schemas";
import { isTyping, neighbour, PREFIX_MS, shortcutOf } from "@/lib/keyboard/keys";
import { setPrefs, usePrefs } from "@/lib/prefs/store";
import { keys } from "@/lib/queries/keys";
import { symbolHref, symbolOfPath } from "@/lib/symbolPath";

interface Actions {
  go: (href: string) => void;
  openSearch: () => void;
  openHelp: () => void;
  /** A dialog is open and has the keyboard. */
  suspended: boolean;
}

/** Move the focus among the rows of the page, as `j` and `k` do in lists. */
function moveRow(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-nav-row]")];
  if (rows.length === 0) return;
  const current = rows.indexOf(document.activeElement as HTMLElement);
  const next = current === -1 ? (step === 1 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, current + step));
  rows[next]?.focus();
}

/** One listener for the whole desk. */
export function useShortcuts({ go, openSearch, openHelp, suspended }: Actions): void {
  const client = useQueryClient();
  const prefs = usePrefs();
  const prefixedAt = useRef<number | null>(null);

  useEffect(() => {
    const step = (by: 1 | -1) => {
      const current = symbolOfPath(window.location.pathname);
      if (current === null) return moveRow(by);
      const universe = client.getQueryData<Instrument[]>(keys.universe) ?? [];
      const next = neighbour(universe.map((instrument) => instrument.symbol), current, by);
      if (next !== null) go(symbolHref(next) + window.location.search);
    };
    const onKey = (event: KeyboardEvent) => {
      // Whatever is open over the page has the keyboard.
      if (suspended || document.querySelector('[role="dialog"][data-state="open"]') !== null) return;
      if (event.repeat || event.isComposing || isTyping(event.target)) return;
      const prefixed = prefixedAt.current !== null && event.timeStamp - prefixedAt.current < PREFIX_MS;
      prefixedAt.current = null;
      const shortcut = shortcutOf(event, prefixed);
      if (shortcut === null) return;
      event.preventDefault();
      switch (shortcut.kind) {
        case "prefix":
          prefixedAt.current = event.timeStamp;
          break;
        case "go":
          go(shortcut.href);
          break;
        case "search":
          openSearch();
          break;
        case "help":
          openHelp();
          break;
        case "next":
          step(1);
          break;
        case "prev":
          step(-1);
          break;
        case "theme":
          setPrefs({ theme: prefs.theme === "dark" ? "light" : "dark" });
          break;
        case "zone":
          setPrefs({ zone: prefs.zone === "utc" ? "local" : "utc" });
          break;
        case "language":
          setPrefs({ language: prefs.language === "ko" ? "en" : "ko" });
          break;
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [client, go, openHelp, openSearch, prefs, suspended]);
}
