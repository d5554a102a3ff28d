import { act, fireEvent, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Series } from "@/lib/api/schemas";
import { ChartSync } from "@/lib/chart/sync";
import { renderDesk } from "@/testing/render";
import { T0 } from "@/testing/samples";
import { DragZoom } from "./DragZoom";
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
