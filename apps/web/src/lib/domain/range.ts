/** The time range of a chart, kept in the URL so that a link reproduces a view: `range=6h`, or `from=…&to=…`. Pure. */
export const RANGES = ["1h", "3h", "6h", "1d", "3d", "7d"] as const;
export type Range = (typeof RANGES)[number];
export const DEFAULT_RANGE: Range = "6h";

const HOUR_MS = 3_600_000;
const RANGE_MS: Record<Range, number> = {
  "1h": HOUR_MS,
  "3h": 3 * HOUR_MS,
  "6h": 6 * HOUR_MS,
  "1d": 24 * HOUR_MS,
  "3d": 72 * HOUR_MS,
  "7d": 168 * HOUR_MS,
};

/** How often what is shown over a range is read again: at each list's own pace, at a given one, or not by itself. */
export const REFRESHES = ["auto", "5s", "30s", "5m", "off"] as const;
export type Refresh = (typeof REFRESHES)[number];
const REFRESH_MS = { "5s": 5_000, "30s": 30_000, "5m": 300_000 } as const;

/** Milliseconds between two readings, false for none; `ownMs` is the list's own pace. */
export function refreshMs(refresh: Refresh, ownMs: number): number | false {
  if (refresh === "off") return false;
  return refresh === "auto" ? ownMs : REFRESH_MS[refresh];
}

export type Window = { kind: "relative"; range: Range } | { kind: "absolute"; from: number; to: number };

/** Parse the URL; what cannot be read falls back to a range instead of breaking the page. */
export function parseWindow(params: { get(name: string): string | null }, fallback: Range = DEFAULT_RANGE): Window {
  const from = Date.parse(params.get("from") ?? "");
  const to = Date.parse(params.get("to") ?? "");
  if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { kind: "absolute", from, to };
  const range = params.get("range");
  return { kind: "relative", range: RANGES.find((name) => name === range) ?? fallback };
}

/** Milliseconds [from, to) in market time; a relative range ends at the market's now, not at ours. */
export function resolveWindow(window: Window, marketNow: number): { from: number; to: number } {
  if (window.kind === "absolute") return { from: window.from, to: window.to };
  return { from: marketNow - RANGE_MS[window.range], to: marketNow };
}

/** One name per window, for the keys of the query cache. */
export function windowKey(window: Window): string {
  return window.kind === "relative" ? window.range : `${window.from}-${window.to}`;
}
