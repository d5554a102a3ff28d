// @vitest-environment node
import { describe, expect, it } from "vitest";
import { position, signal, STATUS } from "@/testing/samples";
import { appendEquity, EQUITY_POINTS_MAX, type EquityPoint } from "./equity";
import { dataAgeMs, dataVerdict, isStale, marketNowMs, shownMode, staleAfterMs } from "./health";
import { ageMs, distanceFrac, entryOnBar, isLong, progressToTarget, roeFrac } from "./positions";
import { parseWindow, resolveWindow } from "./range";
import { bestEv, countReasons, pick, preferredSide, primaryReason, reasonsOf, signalRows } from "./signals";

describe("health", () => {
  it("puts a latched kill switch before the mode", () => {
    expect(shownMode({ mode: "live", kill_switch: "RUNNING" })).toBe("LIVE");
    expect(shownMode({ mode: "live", kill_switch: "FLATTENING" })).toBe("HALTED");
    expect(shownMode({ mode: "halted", kill_switch: "RUNNING" })).toBe("HALTED");
    expect(shownMode({ mode: "shadow", kill_switch: "RUNNING" })).toBe("SHADOW");
    expect(shownMode({ mode: "who knows", kill_switch: "RUNNING" })).toBe("OFF");
  });

  it("moves the market's clock by its speed and not at all without one", () => {
    const told = Date.parse(STATUS.market_ts!);
    expect(marketNowMs(STATUS, 500)).toBe(told + 30_000);
    expect(marketNowMs({ ...STATUS, clock_speed: null }, 500)).toBe(told);
    expect(marketNowMs({ ...STATUS, market_ts: null }, 500)).toBeNull();
    expect(marketNowMs({ ...STATUS, market_ts: "soon" }, 500)).toBeNull();
  });

  it("lets data age between two messages", () => {
    expect(dataAgeMs(STATUS, 1_000)).toBe(90_000);
    expect(dataAgeMs({ ...STATUS, data_age_ms: null }, 1_000)).toBeNull();
  });

  it("calls data stale by market time, wider on a fast clock", () => {
    expect(staleAfterMs(1)).toBe(120_000);
    expect(staleAfterMs(60)).toBe(300_000);
    expect(isStale(STATUS, 0, "open")).toBe(false);
    expect(isStale(STATUS, 4_600, "open")).toBe(true);
    expect(isStale({ ...STATUS, clock_speed: 1 }, 89_000, "open")).toBe(false);
    expect(isStale({ ...STATUS, clock_speed: 1 }, 91_000, "open")).toBe(true);
  });

  it("calls data stale without a connection or a status", () => {
    expect(isStale(STATUS, 0, "reconnecting")).toBe(true);
    expect(isStale(undefined, 0, "open")).toBe(true);
    expect(isStale({ ...STATUS, data_age_ms: null }, 0, "open")).toBe(true);
  });

  it("judges the data", () => {
    const whole = { open_gaps: 0, missing_rate_24h: 0, quality_events_24h: 0 };
    expect(dataVerdict(whole)).toBe("good");
    expect(dataVerdict({ ...whole, open_gaps: 1 })).toBe("watch");
    expect(dataVerdict({ ...whole, missing_rate_24h: 0.001 })).toBe("good");
    expect(dataVerdict({ ...whole, missing_rate_24h: 0.0011 })).toBe("bad");
  });
});

describe("signals", () => {
  it("prefer the larger EV, long on a tie, as the kernel does", () => {
    expect(preferredSide({ ev_long: 1, ev_short: 1 })).toBe("LONG");
    expect(preferredSide({ ev_long: 0, ev_short: 1 })).toBe("SHORT");
    expect(preferredSide({ ev_long: null, ev_short: -1 })).toBe("SHORT");
    expect(preferredSide({ ev_long: null, ev_short: null })).toBeNull();
    expect(bestEv({ ev_long: -2, ev_short: -1 })).toBe(-1);
    expect(pick(signal({ ev_long: -1, ev_short: 1 }), "q05")).toBe(-0.0091);
  });

  it("keep the universe's order and its symbols without a signal", () => {
    const rows = signalRows([{ symbol: "B" }, { symbol: "A" }] as never, [signal({ symbol: "A" }), signal({ symbol: "C" })]);
    expect(rows.map((row) => [row.symbol, row.signal !== null])).toEqual([
      ["B", false],
      ["A", true],
      ["C", true],
    ]);
  });

  it("join codes with their figures, in the kernel's order", () => {
    const detail = { code: "EV_BELOW_MIN", value: -1, limit: 0, distance: 1 };
    const blocked = { block_reasons: ["Q05_BELOW_MIN", "EV_BELOW_MIN"], block_details: [detail] };
    expect(reasonsOf(blocked)).toEqual([{ code: "Q05_BELOW_MIN", value: null, limit: null, distance: null }, detail]);
    expect(primaryReason(blocked)).toBe("Q05_BELOW_MIN");
    expect(primaryReason({ block_reasons: [], block_details: [detail] })).toBe("EV_BELOW_MIN");
    expect(primaryReason({ block_reasons: [], block_details: [] })).toBeNull();
  });

  it("count only the primary reason", () => {
    const rows = [["A", "B"], ["A"], ["B"], []].map((block_reasons) => signal({ block_reasons }));
    expect(countReasons(rows)).toEqual([
      { code: "A", count: 2 },
      { code: "B", count: 1 },
    ]);
  });
});

describe("positions", () => {
  it("stand between stop and target, for shorts too", () => {
    expect(progressToTarget(position())).toBeCloseTo(0.6);
    expect(entryOnBar(position())).toBeCloseTo(0.4);
    const short = position({ side: "SHORT", amt: -1, sl_price: 110, tp_price: 100, entry_price: 106, mark_price: 104 });
    expect(progressToTarget(short)).toBeCloseTo(0.6);
    expect(entryOnBar(short)).toBeCloseTo(0.4);
    expect(isLong(short)).toBe(false);
  });

  it("stay on the bar when the mark is beyond it, and off it without levels", () => {
    expect(progressToTarget(position({ mark_price: 1 }))).toBe(0);
    expect(progressToTarget(position({ mark_price: 1e9 }))).toBe(1);
    expect(progressToTarget(position({ sl_price: null }))).toBeNull();
  });

  it("measure distance, return and age", () => {
    expect(distanceFrac(100, 75)).toBe(0.25);
    expect(distanceFrac(100, null)).toBeNull();
    expect(roeFrac(position({ unrealized_pnl: 54.5 }))).toBeCloseTo(0.1);
    expect(roeFrac(position({ isolated_margin: 0 }))).toBeNull();
    expect(ageMs(position(), Date.parse("2025-05-26T09:30:00Z"))).toBe(1_800_000);
    expect(ageMs(position(), null)).toBeNull();
  });
});

describe("the equity curve", () => {
  it("replaces a repeated point and drops an older one", () => {
    const start: EquityPoint[] = [{ ts: 1, equity: 10 }, { ts: 2, equity: 11 }];
    expect(appendEquity(start, { ts: 2, equity: 12 }).at(-1)).toEqual({ ts: 2, equity: 12 });
    expect(appendEquity(start, { ts: 2, equity: 12 })).toHaveLength(2);
    expect(appendEquity(start, { ts: 1, equity: 99 })).toBe(start);
  });

  it("stays bounded and keeps its first and last point", () => {
    let points: EquityPoint[] = [];
    for (let ts = 0; ts < 5_000; ts++) points = appendEquity(points, { ts, equity: ts });
    expect(points.length).toBeLessThanOrEqual(EQUITY_POINTS_MAX);
    expect(points[0]!.ts).toBe(0);
    expect(points.at(-1)!.ts).toBe(4_999);
    expect(points.every((point, index) => index === 0 || point.ts > points[index - 1]!.ts)).toBe(true);
  });
});

describe("ranges", () => {
  const params = (query: string) => new URLSearchParams(query);

  it("end at the market's now, not at ours", () => {
    expect(resolveWindow(parseWindow(params("range=1h")), 10_000_000)).toEqual({ from: 6_400_000, to: 10_000_000 });
  });

  it("can be absolute, so that a link reproduces a view", () => {
    const window = parseWindow(params("from=2025-05-26T00:00:00Z&to=2025-05-26T06:00:00Z&range=1h"));
    expect(resolveWindow(window, 0)).toEqual({ from: Date.parse("2025-05-26T00:00:00Z"), to: Date.parse("2025-05-26T06:00:00Z") });
  });

  it.each(["", "range=9y", "from=x&to=y", "from=2025-05-27T00:00:00Z&to=2025-05-26T00:00:00Z"])("fall back to the default on %j", (query) => {
    expect(parseWindow(params(query))).toEqual({ kind: "relative", range: "6h" });
  });
});
