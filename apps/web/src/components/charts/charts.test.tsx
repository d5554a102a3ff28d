import { act, fireEvent, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Series } from "@/lib/api/schemas";
import { ChartSync } from "@/lib/chart/sync";
import type { ChartColors } from "@/lib/chart/theme";
import { makeText } from "@/lib/i18n/useText";
import { renderDesk } from "@/testing/render";
import { position, series as sample, T0 } from "@/testing/samples";
import { DragZoom } from "./DragZoom";
import { levelsOf, markersOf } from "./PriceChart";
import { PANES, Readout } from "./SignalSeriesChart";

const MINUTE = 60_000;

describe("drag to zoom", () => {
  beforeEach(() => {
    window.history.replaceState(null, "", "/orders/?range=7d");
    sessionStorage.clear();
    vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue({ left: 100, width: 1_000 } as DOMRect);
  });
  const drag = (from: number, to: number, more: { shiftKey?: boolean; pointerType?: string } = {}) => {
    const area = screen.getByTestId("drag-zoom");
    // jsdom has no pointer events here: mouse events of that name, with what is a pointer's own.
    const send = (type: string, clientX: number) => fireEvent(area, Object.assign(new MouseEvent(type, { bubbles: true, clientX, shiftKey: more.shiftKey }), { pointerId: 1, pointerType: more.pointerType ?? "mouse" }));
    send("pointerdown", from);
    send("pointermove", to);
    const shown = screen.queryByTestId("drag-zoom-stretch") !== null;
    send("pointerup", to);
    return shown;
  };
  const range = () => Object.fromEntries(new URLSearchParams(window.location.search));
  const show = (withShift = false) => renderDesk(<DragZoom withShift={withShift} timeAt={(x) => T0 + x * MINUTE}>{null}</DragZoom>);

  it("makes the stretch the range of the page, dragged either way and no further than its edge", () => {
    show();
    expect(drag(400, 200)).toBe(true);
    expect(range()).toEqual({ from: new Date(T0 + 100 * MINUTE).toISOString(), to: new Date(T0 + 300 * MINUTE).toISOString() });
    drag(1_000, 5_000);
    expect(range().to).toBe(new Date(T0 + 1_000 * MINUTE).toISOString());
  });

  it("takes neither a click nor a finger for a stretch, nor a drag that is the chart's own", () => {
    const { unmount } = show();
    drag(400, 402);
    expect(drag(200, 400, { pointerType: "touch" })).toBe(false);
    unmount();
    show(true);
    expect(drag(200, 400)).toBe(false);
    expect(range()).toEqual({ range: "7d" });
    drag(200, 400, { shiftKey: true });
    expect(range()).toHaveProperty("from");
  });
});

describe("the series under the crosshair", () => {
  const column = [0.001, -0.002, null];
  const signals = { ts: [T0, T0 + MINUTE, T0 + 2 * MINUTE], decision: [], block_reason: [], ...Object.fromEntries(PANES.flatMap(({ long, short }) => [[long, column], [short, [0.003, 0.004, null]]])) };
  const candles = [0, 1, 2].map((n) => ({ ts: T0 + n * MINUTE, open: 1, high: 1, low: 1, close: 1, volume: 1 }));

  it("are told in every pane, at the place where the crosshair of any chart stands", () => {
    const sync = new ChartSync();
    let tell: (time: number | null) => void = () => undefined;
    vi.spyOn(sync, "onTime").mockImplementation((listener) => {
      tell = listener;
      return () => true;
    });
    renderDesk(<Readout series={{ signals } as unknown as Series} candles={candles} timeframe="1m" sync={sync} />);
    expect(screen.getByTestId("series-readout")).toHaveTextContent(/EV \(bp\) ▲ long – ▼ short –/);
    act(() => tell(T0 + MINUTE));
    expect(screen.getByTestId("series-readout")).toHaveTextContent(/EV \(bp\) ▲ long −20\.0 ▼ short \+40\.0.*ER/);
  });
});

describe("what is drawn on the price", () => {
  const text = makeText("en", "utc");
  const colors = { up: "up", down: "down", amber: "amber", faint: "faint", text: "text" } as ChartColors;

  it("is the entry, the stop, the target and the liquidation price of the position", () => {
    const held = position();
    expect(levelsOf(held, text, colors).map(({ price, title, color }) => [price, title, color])).toEqual([
      [held.entry_price, "Entry", "text"],
      [held.sl_price, "SL", "down"],
      [held.tp_price, "TP", "up"],
      [held.liquidation_price, "Liq.", "amber"],
    ]);
  });

  it("marks entries and exits, and signals not taken where their reason changes, unless they are not wanted", () => {
    const trade = { side: "SHORT", from_ts: T0 + MINUTE, to_ts: T0 + 3 * MINUTE, entry_price: 1, exit_price: 2, exit_reason: "SL", sl_price: 3, tp_price: 4, liquidation_price: 5, net: -2.5 };
    const shown = { ...sample(T0, 5), positions: [trade] };
    const told = (skipped: boolean) => markersOf(shown, "1m", skipped, text, colors).map(({ time, shape, color, text: words }) => [(time as number) * 1_000 - T0, shape, color, words]);
    expect(told(false)).toEqual([
      [MINUTE, "arrowDown", "down", "Short"],
      [3 * MINUTE, "square", "down", "stop \u22122.5"],
    ]);
    expect(told(true).filter(([, shape]) => shape === "circle")).toHaveLength(1);
    const halt = { ts: new Date(T0 + 2 * MINUTE).toISOString(), kind: "halt", code: "KILL_SWITCH", text: "", symbol: null, to_ts: null } as never;
    expect(markersOf(shown, "1m", false, text, colors, [halt])).toHaveLength(3);
  });
});
