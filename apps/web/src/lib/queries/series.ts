/** The series of one symbol: the whole window once, then only the tail, laid over what is shown. */
import { get } from "@/lib/api/client";
import { seriesSchema, type Series } from "@/lib/api/schemas";
import { MINUTE_MS, mergeSeries } from "@/lib/domain/series";
import type { AccountMode } from "./risk";

/** Symbols come from the address bar: only what a symbol can look like is asked for. */
export const SYMBOL_PATTERN = /^[A-Z0-9]{2,20}$/;

function path(symbol: string, mode: AccountMode, from: number, to: number): string {
  const params = new URLSearchParams({ mode, from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  return `/api/symbol/${encodeURIComponent(symbol)}/series?${params}`;
}

/** Fetch [from, to) in market milliseconds. */
export function fetchSeries(symbol: string, mode: AccountMode, from: number, to: number, signal?: AbortSignal): Promise<Series> {
  return get(seriesSchema, path(symbol, mode, from, to), signal);
}

/**
 * Bring `old` up to `to`. The last two minutes are asked for again: a bar may have been repaired, a decision may have
 * come late.
 */
export async function extendSeries(old: Series, mode: AccountMode, from: number, to: number, signal?: AbortSignal): Promise<Series> {
  const newest = Math.min(old.candles.ts.at(-1) ?? from, old.signals.ts.at(-1) ?? from);
  const tailFrom = Math.max(from, newest - 2 * MINUTE_MS);
  return mergeSeries(old, await fetchSeries(old.symbol, mode, tailFrom, to, signal), from);
}
