// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Fill, Order } from "@/lib/api/schemas";
import { happenings, isConditional } from "./orders";

export const order = (change: Partial<Order> = {}): Order => ({ mode: "live", order_id: 1, client_order_id: "p-1", symbol: "BTCUSDT", side: "BUY", type: "MARKET", status: "FILLED", reduce_only: false, price: null, stop_price: null, qty: 2, created_at: "2025-05-26T10:00:00Z", updated_at: "2025-05-26T10:00:01Z", leg: "entry", avg_price: 100, fee: 0.1, realized_pnl: null, ...change });
export const fill = (change: Partial<Fill> = {}): Fill => ({ mode: "live", symbol: "BTCUSDT", trade_id: 7, order_id: 1, ts: "2025-05-26T10:00:00Z", side: "BUY", leg: "entry", price: 100.5, qty: 2, fee: 0.08, fee_asset: "USDT", realized_pnl: null, ...change });

describe("happenings", () => {
  it("puts placing, fill and end in their order, newest first", () => {
    const stop = order({ order_id: 2, type: "STOP_MARKET", stop_price: 98, status: "EXPIRED", leg: "sl", created_at: "2025-05-26T10:00:01Z", updated_at: "2025-05-26T11:00:00Z" });
    expect(happenings([order(), stop], [fill()], 10).map(({ what, leg, status }) => [what, leg, status])).toEqual([
      ["ended", "sl", "EXPIRED"],
      ["placed", "sl", null],
      ["filled", "entry", null],
      ["placed", "entry", null],
    ]);
  });

  it("does not end what still stands, and keeps to its limit", () => {
    expect(happenings([order({ status: "NEW" }), order({ order_id: 2, status: "REJECTED" })], [], 9).filter(({ what }) => what === "ended")).toHaveLength(1);
    expect(happenings([order(), order({ order_id: 2 })], [fill()], 2)).toHaveLength(2);
  });
});

describe("isConditional", () => {
  it("knows a trigger by its price or its type", () => {
    expect(isConditional(order())).toBe(false);
    expect(isConditional(order({ stop_price: 98 }))).toBe(true);
    expect(isConditional(order({ type: "TAKE_PROFIT_MARKET" }))).toBe(true);
  });
});
