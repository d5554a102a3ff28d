/** Distances and age of an open position. Pure. */
import type { Position } from "@/lib/api/schemas";

export function isLong(position: Pick<Position, "side" | "amt">): boolean {
  return position.side.toUpperCase() === "LONG" || (position.side.toUpperCase() !== "SHORT" && position.amt >= 0);
}

/** Where the mark stands between stop (0) and target (1), clamped; null without both levels. */
export function progressToTarget(position: Pick<Position, "mark_price" | "sl_price" | "tp_price">): number | null {
  const { mark_price: mark, sl_price: sl, tp_price: tp } = position;
  if (mark === null || sl === null || tp === null || tp === sl) return null;
  return Math.min(1, Math.max(0, (mark - sl) / (tp - sl)));
}

/** Where the entry stands on the same scale; null without the levels. */
export function entryOnBar(position: Pick<Position, "entry_price" | "sl_price" | "tp_price">): number | null {
  return progressToTarget({ mark_price: position.entry_price, sl_price: position.sl_price, tp_price: position.tp_price });
}

/** How far the mark is from a level, as a fraction of the mark, always ≥ 0; null without a level. */
export function distanceFrac(mark: number | null, level: number | null): number | null {
  if (mark === null || level === null || mark === 0) return null;
  return Math.abs(mark - level) / mark;
}

/** Unrealised PnL over the margin put up for it, a fraction; null without margin. */
export function roeFrac(position: Pick<Position, "unrealized_pnl" | "isolated_margin">): number | null {
  const { unrealized_pnl: pnl, isolated_margin: margin } = position;
  return pnl === null || margin === null || margin <= 0 ? null : pnl / margin;
}

/** Market milliseconds since the position opened. */
export function ageMs(position: Pick<Position, "opened_ts">, marketNow: number | null): number | null {
  if (position.opened_ts === null || marketNow === null) return null;
  return Math.max(0, marketNow - Date.parse(position.opened_ts));
}

/** Market time without a confirmed stop; since it was opened where nobody knows better. */
export function nakedMs(position: Position, now: number | null): number | null {
  const since = Date.parse(position.unprotected_since ?? position.opened_ts ?? "");
  return now === null || Number.isNaN(since) ? null : Math.max(0, now - since);
}
