/** Orders and fills as they happened. Pure. */
import type { Fill, Order } from "@/lib/api/schemas";

/** Waits for a trigger instead of standing in the book. */
export function isConditional(order: Pick<Order, "type" | "stop_price">): boolean {
  return order.stop_price !== null || /STOP|TAKE_PROFIT|TRAILING/.test(order.type);
}

export interface Happening {
  key: string;
  ts: number;
  symbol: string;
  side: string;
  leg: string | null;
  what: "placed" | "filled" | "ended";
  /** The status an order ended in; null for a fill and a placing. */
  status: string | null;
  qty: number;
  price: number | null;
}

const OPEN = new Set(["NEW", "PARTIALLY_FILLED"]);

/** Placings, fills and ends without a fill, newest first, at most `limit`; at one instant the later step comes first. */
export function happenings(orders: readonly Order[], fills: readonly Fill[], limit: number): Happening[] {
  const rank = { placed: 0, filled: 1, ended: 2 } as const;
  const all: Happening[] = fills.map((fill) => ({ key: `f:${fill.symbol}:${fill.trade_id}`, ts: Date.parse(fill.ts), symbol: fill.symbol, side: fill.side, leg: fill.leg, what: "filled", status: null, qty: fill.qty, price: fill.price }));
  for (const order of orders) {
    const base = { symbol: order.symbol, side: order.side, leg: order.leg, qty: order.qty };
    const key = `${order.symbol}:${order.order_id}`;
    all.push({ ...base, key: `p:${key}`, ts: Date.parse(order.created_at), what: "placed", status: null, price: order.stop_price ?? order.price });
    if (!OPEN.has(order.status) && order.status !== "FILLED") all.push({ ...base, key: `e:${key}`, ts: Date.parse(order.updated_at), what: "ended", status: order.status, price: null });
  }
  return all.sort((a, b) => b.ts - a.ts || rank[b.what] - rank[a.what] || a.key.localeCompare(b.key)).slice(0, limit);
}
