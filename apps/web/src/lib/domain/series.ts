/** Candles, signals and trades of one symbol as chart points: merging a live tail, aggregating to 5m and 1h. Pure. */
import type { Series } from "@/lib/api/schemas";

export const MINUTE_MS = 60_000;
/** What the price axis counts in: the price, its logarithm, or percent from the first bar on screen. */
export const PRICE_SCALES = ["plain", "log", "percent"] as const;
export type PriceScale = (typeof PRICE_SCALES)[number];

export type Timeframe = "1m" | "5m" | "1h";
export const TIMEFRAME_MS: Record<Timeframe, number> = { "1m": MINUTE_MS, "5m": 5 * MINUTE_MS, "1h": 60 * MINUTE_MS };
export const TIMEFRAMES = Object.keys(TIMEFRAME_MS) as Timeframe[];

export interface Candle {
  ts: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export interface Point {
  ts: number;
  value: number;
}

/** Rows of the candle block; a row with a missing price is left out, for a bar is never invented (D9). */
export function candlesOf(series: Series): Candle[] {
  const { ts, open, high, low, close, volume } = series.candles;
  const rows: Candle[] = [];
  for (let i = 0; i < ts.length; i++) {
    const [t, o, h, l, c] = [ts[i], open[i], high[i], low[i], close[i]];
    if (t == null || o == null || h == null || l == null || c == null) continue;
    rows.push({ ts: t, open: o, high: h, low: l, close: c, volume: volume[i] ?? 0 });
  }
  return rows;
}

/** 1m is the only source (D37): first open, highest high, lowest low, last close, summed volume per bucket. */
export function aggregate(candles: readonly Candle[], timeframe: Timeframe): Candle[] {
  const size = TIMEFRAME_MS[timeframe];
  const out: Candle[] = [];
  for (const candle of candles) {
    const ts = Math.floor(candle.ts / size) * size;
    const last = out.at(-1);
    if (last === undefined || last.ts !== ts) {
      out.push({ ...candle, ts });
    } else {
      out[out.length - 1] = {
        ts,
        open: last.open,
        high: Math.max(last.high, candle.high),
        low: Math.min(last.low, candle.low),
        close: candle.close,
        volume: last.volume + candle.volume,
      };
    }
  }
  return out;
}

/** The last value per bucket: what was known at its end. Null values are left out. */
export function lastPerBucket(ts: readonly number[], values: readonly (number | null)[], timeframe: Timeframe): Point[] {
  const size = TIMEFRAME_MS[timeframe];
  const out: Point[] = [];
  for (let i = 0; i < ts.length; i++) {
    const [t, value] = [ts[i], values[i]];
    if (t == null || value == null) continue;
    const bucket = Math.floor(t / size) * size;
    if (out.at(-1)?.ts === bucket) out[out.length - 1] = { ts: bucket, value };
    else out.push({ ts: bucket, value });
  }
  return out;
}

type Block = { ts: number[] } & Record<string, (number | string | null)[]>;

function mergeBlock<T extends { ts: number[] }>(old: T, tail: T, fromTs: number): T {
  const first = tail.ts[0];
  if (first === undefined) return trimBlock(old, fromTs);
  const cut = old.ts.findIndex((t) => t >= first);
  const keep = cut === -1 ? old.ts.length : cut;
  const merged: Record<string, unknown[]> = {};
  for (const key of Object.keys(old)) {
    merged[key] = (old as unknown as Block)[key]!.slice(0, keep).concat((tail as unknown as Block)[key] ?? []);
  }
  return trimBlock(merged as unknown as T, fromTs);
}

function trimBlock<T extends { ts: number[] }>(block: T, fromTs: number): T {
  const start = block.ts.findIndex((t) => t >= fromTs);
  const skip = start === -1 ? block.ts.length : start;
  if (skip === 0) return block;
  const out: Record<string, unknown[]> = {};
  for (const key of Object.keys(block)) out[key] = (block as unknown as Block)[key]!.slice(skip);
  return out as unknown as T;
}

/**
 * Lay a newer tail over what is shown and drop what left the range. Rows of the tail win, so a bar that was repaired
 * meanwhile is corrected. Trades are matched by their opening time; the tail knows whether they closed.
 */
export function mergeSeries(old: Series, tail: Series, fromTs: number): Series {
  // What was open is told anew by the tail, open still or closed meanwhile.
  const trades = new Map(old.positions.filter((trade) => trade.to_ts !== null).map((trade) => [`${trade.from_ts}:${trade.side}`, trade]));
  for (const trade of tail.positions) trades.set(`${trade.from_ts}:${trade.side}`, trade);
  return {
    ...old,
    candles: mergeBlock(old.candles, tail.candles, fromTs),
    mark: mergeBlock(old.mark, tail.mark, fromTs),
    signals: mergeBlock(old.signals, tail.signals, fromTs),
    positions: [...trades.values()].filter((t) => t.to_ts === null || t.to_ts >= fromTs).sort((a, b) => a.from_ts - b.from_ts),
  };
}

export interface NotTaken {
  ts: number;
  side: "LONG" | "SHORT";
  ev: number;
  reason: string;
}

/** A run that breaks off and goes on within so many buckets is still one run. */
const RUN_GAP_BUCKETS = 15;

/**
 * Signals that had a positive edge and were not traded: where a run of one side and one reason begins, at most one
 * per bucket. A symbol blocked for an hour by the same guard is one fact, not sixty.
 */
export function notTaken(series: Series, timeframe: Timeframe): NotTaken[] {
  const { ts, ev_long, ev_short, decision, block_reason } = series.signals;
  const size = TIMEFRAME_MS[timeframe];
  const out: NotTaken[] = [];
  const lastSeen = new Map<string, number>();
  for (let i = 0; i < ts.length; i++) {
    const [t, reason] = [ts[i], block_reason[i]];
    const long = ev_long[i] ?? Number.NEGATIVE_INFINITY;
    const short = ev_short[i] ?? Number.NEGATIVE_INFINITY;
    const ev = Math.max(long, short);
    const traded = decision[i] === "LONG" || decision[i] === "SHORT";
    if (t == null || reason == null || traded || !(ev > 0)) continue;
    const side = long >= short ? "LONG" : "SHORT";
    const key = `${side}:${reason}`;
    if (t - (lastSeen.get(key) ?? Number.NEGATIVE_INFINITY) > RUN_GAP_BUCKETS * size) {
      const bucket = Math.floor(t / size) * size;
      if (out.at(-1)?.ts === bucket) out[out.length - 1] = { ts: bucket, side, ev, reason };
      else out.push({ ts: bucket, side, ev, reason });
    }
    lastSeen.set(key, t);
  }
  return out;
}
