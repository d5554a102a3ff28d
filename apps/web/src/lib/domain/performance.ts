/** Reading closed trades and curves: how profit is spread, how long it takes, and when it comes. Pure. */
import type { ClosedTrade, EquityCurve } from "@/lib/api/schemas";

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** Widths a person reads at a glance: 1, 2 or 5 times a power of ten. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw) ?? 10 * power;
}

/** Counts by value in bins of one width that has zero as an edge, so that no bin mixes gains and losses. */
export function histogram(values: readonly number[], wanted = 15): Bin[] {
  if (values.length === 0) return [];
  const [least, most] = [Math.min(...values, 0), Math.max(...values, 0)];
  const step = most === least ? 1 : niceStep((most - least) / wanted);
  const first = Math.floor(least / step);
  const bins = Array.from({ length: Math.max(1, Math.floor(most / step) - first + 1) }, (_, i) => ({ from: (first + i) * step, to: (first + i + 1) * step, count: 0 }));
  for (const value of values) bins[Math.min(bins.length - 1, Math.floor(value / step) - first)]!.count += 1;
  return bins;
}

export interface Hour {
  hour: number;
  trades: number;
  net: number;
}

/** Net by the hour of the day in which trades were entered, UTC or local. */
export function byHour(trades: readonly ClosedTrade[], zone: "utc" | "local"): Hour[] {
  const hours = Array.from({ length: 24 }, (_, hour) => ({ hour, trades: 0, net: 0 }));
  for (const trade of trades) {
    const at = new Date(trade.entry_ts);
    const hour = hours[zone === "utc" ? at.getUTCHours() : at.getHours()];
    if (hour === undefined) continue;
    hour.trades += 1;
    hour.net += trade.net;
  }
  return hours;
}

export interface Dot {
  key: string;
  minutes: number;
  net: number;
}

export const dots = (trades: readonly ClosedTrade[]): Dot[] =>
  trades.map((trade) => ({ key: `${trade.mode}:${trade.symbol}:${trade.entry_ts}:${trade.exit_ts}`, minutes: (Date.parse(trade.exit_ts) - Date.parse(trade.entry_ts)) / 60_000, net: trade.net }));

/** A curve as growth from its first point, so that accounts of different size lie over each other. */
export function growth(curve: Pick<EquityCurve, "equity">): (number | null)[] {
  const first = curve.equity.find((value) => value !== null && value !== 0) ?? null;
  return curve.equity.map((value) => (value === null || first === null ? null : value / first - 1));
}

/**
 * Where a point of a curve stands from left to right, 0 to 1: accounts by the span's own time; a backtest, which is of
 * another time, stretched over it.
 */
export function place(curve: Pick<EquityCurve, "source" | "ts">, index: number, span: { from: number; to: number }): number {
  const [first, last] = [curve.ts[0] ?? 0, curve.ts.at(-1) ?? 1];
  const [from, to] = curve.source === "backtest" ? [first, last] : [span.from, span.to];
  return to === from ? 0 : ((curve.ts[index] ?? from) - from) / (to - from);
}
