// @vitest-environment node
import { describe, expect, it } from "vitest";
import { series, T0 } from "@/testing/samples";
import { aggregate, candlesOf, lastPerBucket, mergeSeries, MINUTE_MS, notTaken } from "./series";

const at = (minute: number) => T0 + minute * MINUTE_MS;

describe("aggregate", () => {
  it("takes first open, extremes, last close and summed volume of each bucket", () => {
    const bars = candlesOf(series(T0, 7));
    expect(aggregate(bars, "5m")).toEqual([
      { ts: T0, open: 99, high: 104.5, low: 98.5, close: 104, volume: 10 },
      { ts: at(5), open: 104, high: 106.5, low: 103.5, close: 106, volume: 4 },
    ]);
  });

  it("names a bucket by its open although its first bar is missing", () => {
    expect(aggregate(candlesOf(series(at(3), 1)), "5m")[0]!.ts).toBe(T0);
  });

  it("keeps minutes as they are and invents none in a gap", () => {
    const bars = [...candlesOf(series(T0, 2)), ...candlesOf(series(at(30), 2))];
    expect(aggregate(bars, "1m")).toEqual(bars);
    expect(aggregate(bars, "1h")).toHaveLength(1);
  });
});

describe("candlesOf", () => {
  it("leaves a bar without a price out", () => {
    const broken = series(T0, 3);
    broken.candles.close[1] = null;
    expect(candlesOf(broken).map(({ ts }) => ts)).toEqual([T0, at(2)]);
  });
});

describe("lastPerBucket", () => {
  it("shows what was known at the end of a bucket and skips what is null", () => {
    expect(lastPerBucket([at(0), at(4), at(5), at(6)], [1, 2, 3, null], "5m")).toEqual([
      { ts: at(0), value: 2 },
      { ts: at(5), value: 3 },
    ]);
  });
});

describe("mergeSeries", () => {
  it("lays the tail over what is shown, corrects it and trims the front", () => {
    const tail = series(at(8), 4);
    tail.candles.close[0] = 999; // a repaired bar
    const merged = mergeSeries(series(T0, 10), tail, at(2));
    expect(merged.candles.ts).toEqual(Array.from({ length: 10 }, (_, i) => at(i + 2)));
    expect(merged.candles.close[6]).toBe(999);
    expect(merged.signals.ts).toEqual(merged.candles.ts);
    expect(merged.signals.decision).toHaveLength(10);
  });

  it("survives an empty tail and an empty start", () => {
    expect(mergeSeries(series(T0, 3), series(T0, 0), T0).candles.ts).toHaveLength(3);
    expect(mergeSeries(series(T0, 0), series(T0, 3), T0).candles.ts).toHaveLength(3);
    expect(mergeSeries(series(T0, 3), series(T0, 0), at(99)).candles.ts).toHaveLength(0);
  });

  it("closes the position that was open", () => {
    const open = { side: "LONG", from_ts: T0, to_ts: null, entry_price: 1, exit_price: null, sl_price: null, tp_price: null, liquidation_price: null, exit_reason: null, net: null };
    const closed = { ...open, from_ts: T0 + 1, to_ts: at(5), exit_reason: "TP", net: 3 };
    const merged = mergeSeries({ ...series(T0, 6), positions: [open] }, { ...series(at(5), 1), positions: [closed] }, T0);
    expect(merged.positions).toEqual([closed]);
  });

  it("forgets trades that left the range", () => {
    const old = { side: "LONG", from_ts: T0, to_ts: at(1), entry_price: 1, exit_price: 1, sl_price: null, tp_price: null, liquidation_price: null, exit_reason: "SL", net: -1 };
    expect(mergeSeries({ ...series(T0, 6), positions: [old] }, series(at(5), 1), at(3)).positions).toEqual([]);
  });
});

describe("notTaken", () => {
  it("marks the beginning of a run, not every minute of it", () => {
    expect(notTaken(series(T0, 40), "1m")).toEqual([{ ts: T0, side: "LONG", ev: 0.001, reason: "MAX_POSITIONS" }]);
  });

  it("marks another reason and another side", () => {
    const mixed = series(T0, 3, { block_reason: ["MAX_POSITIONS", "BETA_CAP", "BETA_CAP"], ev_long: [0.001, 0.001, -0.002], ev_short: [-1, -1, 0.003] });
    expect(notTaken(mixed, "1m").map(({ ts, side, reason }) => [ts, side, reason])).toEqual([
      [T0, "LONG", "MAX_POSITIONS"],
      [at(1), "LONG", "BETA_CAP"],
      [at(2), "SHORT", "BETA_CAP"],
    ]);
  });

  it("leaves out what was traded, what had no edge and what had no prediction", () => {
    expect(notTaken(series(T0, 3, { decision: ["LONG", "LONG", "SHORT"] }), "1m")).toEqual([]);
    expect(notTaken(series(T0, 2, { ev_long: [0, -1] }), "1m")).toEqual([]);
    expect(notTaken(series(T0, 2, { ev_long: [null, null], ev_short: [null, null] }), "1m")).toEqual([]);
  });

  it("has at most one mark per bucket", () => {
    const mixed = series(T0, 4, { block_reason: ["A", "B", "C", "D"] });
    expect(notTaken(mixed, "5m")).toHaveLength(1);
  });
});
