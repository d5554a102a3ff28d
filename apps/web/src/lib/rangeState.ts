/**
 * The time range and the refresh rate that all pages with time share. Both stand in the address, so that a link
 * reproduces a view; the choice is kept for the next page, which writes it into its own address.
 */
import { useSearchParams } from "next/navigation";
import { useEffect } from "react";
import { DEFAULT_RANGE, parseWindow, refreshMs, REFRESHES, type Range, type Refresh, type Window } from "@/lib/domain/range";
import { setUrlParams } from "@/lib/useUrlState";

const KEPT = "perpilot.range";
const SPAN = ["range", "from", "to"] as const;
type Kept = Partial<Record<(typeof SPAN)[number] | "refresh", string>>;
type Params = { get(name: string): string | null };

/** Of this tab only: two tabs may look at two times. */
function recall(): Kept {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as Kept;
  } catch {
    return {};
  }
}

/** What the address says wins over what was chosen on another page, the span as a whole. */
function shared(params: Params): Kept {
  const kept = recall();
  const span: Params = SPAN.some((name) => params.get(name) !== null) ? params : { get: (name) => kept[name as keyof Kept] ?? null };
  const refresh = params.get("refresh") ?? kept.refresh ?? null;
  const told = Object.fromEntries([...SPAN.map((name) => [name, span.get(name)]), ["refresh", refresh]].filter(([, value]) => value !== null)) as Kept;
  return told;
}

const reader = (kept: Kept): Params => ({ get: (name) => kept[name as keyof Kept] ?? null });

/** Choose another range or rate, for this page and those after it. */
export function chooseRange(change: Partial<Record<keyof Kept, string | null>>): void {
  const next = { ...shared(new URLSearchParams(window.location.search)), ...change };
  sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== null))));
  setUrlParams(change);
}

/** The window of the page; `fallback` until somebody chose one. */
export function useWindow(fallback: Range = DEFAULT_RANGE): Window {
  return parseWindow(reader(shared(useSearchParams())), fallback);
}

/** Write what is shared into an address that says less, and keep what a link brought along. */
export function useSharedRange(): void {
  const params = useSearchParams();
  useEffect(() => {
    // The address as it is: what React was told may be a choice older.
    const now = new URLSearchParams(window.location.search);
    const told = shared(now);
    if (Object.keys(told).length === 0) return;
    sessionStorage.setItem(KEPT, JSON.stringify(told));
    if (Object.entries(told).some(([name, value]) => now.get(name) !== value)) setUrlParams(told);
  }, [params]);
}

const rateOf = (params: Params): Refresh => REFRESHES.find((name) => name === shared(params).refresh) ?? "auto";

export function useRefresh(): Refresh {
  return rateOf(useSearchParams());
}

export function currentRefresh(): Refresh {
  return rateOf(new URLSearchParams(window.location.search));
}

/** `refetchInterval` of what is read over a range: as chosen, or else every `ownMs`. */
export function every(ownMs: number): () => number | false {
  return () => refreshMs(currentRefresh(), ownMs);
}
