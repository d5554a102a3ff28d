/** The equity curve on screen: a bounded run of (market time, equity). Pure. */
export interface EquityPoint {
  ts: number;
  equity: number;
}

/** Points kept: more than the width of the little chart. */
export const EQUITY_POINTS_MAX = 600;

/**
 * Append a point. One of the same time replaces the last, an older one is dropped (delivery may repeat), and
 * beyond the limit every second inner point goes, so that the whole span stays on screen, only coarser.
 */
export function appendEquity(points: readonly EquityPoint[], next: EquityPoint): EquityPoint[] {
  const last = points.at(-1);
  if (last !== undefined && next.ts < last.ts) return points as EquityPoint[];
  const kept = last !== undefined && last.ts === next.ts ? points.slice(0, -1) : points;
  const grown = [...kept, next];
  if (grown.length <= EQUITY_POINTS_MAX) return grown;
  return grown.filter((_, index) => index % 2 === 0 || index === grown.length - 1);
}
