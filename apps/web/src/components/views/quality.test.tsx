import { fireEvent, screen, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { shadeOf } from "@/lib/domain/quality";
import { keys } from "@/lib/queries/keys";
import { fakeNetwork, renderDesk } from "@/testing/render";
import { STATUS, T0 } from "@/testing/samples";
import { DataQualityView } from "./DataQualityView";

const HOUR = 3_600_000;
const map = {
  bucket_ms: HOUR,
  ts: [T0, T0 + HOUR],
  rows: [
    { symbol: "BTCUSDT", expected: [60, 60], missing: [0, 3], late: [2, 0] },
    { symbol: "BNXUSDT", expected: [0, 0], missing: [0, 0], late: [0, 0] },
  ],
};
const row = { symbol: "BTCUSDT", status: "active", tradable: true, newest_ts: "2025-05-26T10:00:00Z", age_ms: 0, bars_24h: 1437, expected_24h: 1440, missing_24h: 3, missing_rate_24h: 0.00208, open_gaps: 1, late_24h: 2, quality_events_24h: 1 };
const gap = { symbol: "BTCUSDT", dataset: "candles_1m", from_ts: "2025-05-26T09:00:00Z", to_ts: "2025-05-26T09:02:00Z", missing_bars: 3, repaired_bars: 0, status: "open", source: null, found_at: "2025-05-26T09:05:00Z", repaired_at: null };
const event = { ts: "2025-05-26T09:30:00Z", symbol: "BTCUSDT", code: "NAN_PRICE", message: "close is not a number", details: null };
const quality = { market_ts: null, missing_rate_24h: 0.002, open_gaps: 1, quality_events_24h: 1, symbols: [row], gaps: [gap], events: [event] };
const drift = { ts: [T0, T0 + HOUR], psi_mean: [0.05, 0.12], psi_max: [0.2, 0.31], symbols: [{ symbol: "BTCUSDT", ts: "2025-05-26T10:00:00Z", psi: 0.31, missing_rate: 0.01, outlier_rate: 0.02, latency_ms: null }] };
const stage = (name: string, counts: number[]) => ({ stage: name, unit: "wall_ms", n: 10, counts, p50: 2.71, p90: 6, p99: 18, max: 130.4 });
const latency = { from_ts: T0, to_ts: T0 + HOUR, edges: [1, 5], stages: [stage("features", [2, 7, 1]), stage("decision", [10, 0, 0])] };
const pages = (items: unknown[]) => ({ pages: [{ items, next_cursor: null }], pageParams: [null] });
const page = (found: object = map) =>
  renderDesk(<DataQualityView />, {
    status: STATUS,
    cache: [
      [keys.qualityMap("1d"), found],
      [keys.quality, quality],
      [keys.drift, drift],
      [[...keys.drift, "7d"], drift],
      [keys.latency("1d"), latency],
      [keys.gaps("1d"), pages([gap])],
      [keys.qualityEvents("1d"), pages([event])],
    ],
  });

describe("the data quality page", () => {
  it("maps missing and late bars, with the figure wherever something is wrong", () => {
    page();
    expect(screen.getByTestId("cell-BTCUSDT-0")).toHaveAttribute("data-shade", "late");
    expect(screen.getByTestId("cell-BTCUSDT-0")).toHaveTextContent("2");
    expect(screen.getByTestId("cell-BTCUSDT-1")).toHaveAttribute("data-shade", "some");
    expect(screen.getByTestId("cell-BTCUSDT-1")).toHaveAttribute("title", "BTCUSDT from 05-26 11:00: 3 of 60 bars missing, 0 late");
    expect(screen.getByTestId("cell-BNXUSDT-0")).toHaveAttribute("data-shade", "none");
  });

  it("shows each symbol with its drift and outliers, gaps, and what was refused", () => {
    page();
    expect(screen.getByTestId("symbol-quality-row-BTCUSDT")).toHaveTextContent(/0\.208%.*0\.310.*2\.00%/);
    expect(screen.getByTestId("gaps-row-BTCUSDT:candles_1m:2025-05-26T09:00:00Z")).toHaveTextContent("open");
    expect(screen.getByTestId("quality-events-table")).toHaveTextContent("NAN_PRICE");
    expect(screen.getByTestId("drift-chart")).toHaveAccessibleName("Population stability index, mean 0.120, worst symbol 0.310");
  });

  it("takes a stretch of the map or of the drift for the range of the page, but no press on a symbol", () => {
    vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue({ left: 0, width: 1_000 } as DOMRect);
    const drag = (find: () => Element) => {
      window.history.replaceState(null, "", "/data-quality/");
      sessionStorage.clear();
      const { unmount } = page();
      const target = find();
      for (const [type, clientX] of [["pointerdown", 250], ["pointermove", 750], ["pointerup", 750]] as const) fireEvent(target, Object.assign(new MouseEvent(type, { bubbles: true, clientX }), { pointerId: 1, pointerType: "mouse" }));
      unmount();
      return Object.fromEntries(new URLSearchParams(window.location.search));
    };
    const middle = (length: number) => ({ from: new Date(T0 + 0.25 * length).toISOString(), to: new Date(T0 + 0.75 * length).toISOString() });
    expect(drag(() => screen.getByTestId("cell-BTCUSDT-1"))).toEqual(middle(2 * HOUR));
    expect(drag(() => screen.getByTestId("drift-chart"))).toEqual(middle(HOUR));
    expect(drag(() => within(screen.getByTestId("quality-map")).getByRole("link", { name: /BTCUSDT/ }))).toEqual({});
    sessionStorage.clear();
    window.history.replaceState(null, "", "/data-quality/");
    vi.restoreAllMocks();
  });

  it("draws how long minutes took, by stage", () => {
    page();
    const stage = screen.getByTestId("latency-features");
    expect(within(stage).getByRole("img")).toHaveAccessibleName("Features: half of the minutes within 2.7 ms, 99 % within 18.0 ms");
    expect(stage).toHaveTextContent(/longest130 ms/);
    expect(within(stage).getByTitle("1.0 ms – 5.0 ms: 7")).toBeInTheDocument();
  });

  it("says what to do while there is nothing", () => {
    page({ ...map, ts: [], rows: [] });
    expect(screen.getByText("No bars yet")).toBeInTheDocument();
  });

  it("says that the map could not be read, and offers to try again", async () => {
    fakeNetwork((path) => (path.startsWith("/api/data-quality/map") ? { status: 422, body: { code: "INVALID_INPUT", detail: "from: at most 14 days before to" } } : undefined));
    window.history.replaceState(null, "", "/data-quality/?from=2025-01-01T00:00:00Z&to=2025-03-01T00:00:00Z");
    page();
    expect(await screen.findByTestId("state-failed")).toHaveTextContent("at most 14 days before to");
  });
});

describe("shadeOf", () => {
  it("counts missing over late, and a little apart from a lot", () => {
    expect(shadeOf({ expected: 60, missing: 0, late: 0 })).toBe("whole");
    expect(shadeOf({ expected: 60, missing: 1, late: 9 })).toBe("some");
    expect(shadeOf({ expected: 60, missing: 7, late: 0 })).toBe("many");
    expect(shadeOf({ expected: 0, missing: 0, late: 0 })).toBe("none");
  });
});
