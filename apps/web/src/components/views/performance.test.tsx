import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { NotificationsCard } from "@/components/cards/NotificationsCard";
import { Notifier } from "@/components/shell/Notifier";
import type { ClosedTrade, Position } from "@/lib/api/schemas";
import { notices, type Picture } from "@/lib/domain/notices";
import { byHour, growth, histogram, place } from "@/lib/domain/performance";
import { setPrefs } from "@/lib/prefs/store";
import { keys } from "@/lib/queries/keys";
import { navigation } from "@/testing/navigation";
import { renderDesk } from "@/testing/render";
import { ACCOUNT, position, STATUS, T0 } from "@/testing/samples";
import { OrdersView } from "./OrdersView";

const HOUR = 3_600_000;
const trade = (hour: number, net: number): ClosedTrade => ({ mode: "shadow", symbol: "BTCUSDT", side: "LONG", entry_ts: new Date(Date.parse("2025-05-26T00:00:00Z") + hour * HOUR).toISOString(), exit_ts: new Date(Date.parse("2025-05-26T00:30:00Z") + hour * HOUR).toISOString(), qty: 1, entry_price: 100, exit_price: 101, exit_reason: "TP", gross: net, slippage: 0, fees: 0.1, liquidation_fee: 0, funding: 0, absorbed: 0, net, mae: 0.01, mfe: 0.02, leverage: 3, sl_price: 99, tp_price: 102, r_multiple: 1, model_id: null });
const TRADES = [trade(1, 12), trade(1, -4), trade(5, 3)];
const curve = (source: "shadow" | "live" | "backtest", equity: number[]) => ({ source, model_id: null, ts: equity.map((_, i) => T0 + i * HOUR), equity, drawdown: equity.map((value) => Math.min(0, value / equity[0]! - 1)) });
const period = { from_ts: "2025-05-25T00:00:00.000Z", to_ts: "2025-05-26T00:00:00.000Z", start_equity: 10_000, end_equity: 10_050, profit: 50, profit_frac: 0.005, trades: 4, net: 48, fees: 2, funding: 0.1 };
const page = () => {
  window.history.replaceState(null, "", "/orders/?tab=performance");
  return renderDesk(<OrdersView />, {
    status: STATUS,
    account: ACCOUNT,
    positions: [],
    universe: [],
    cache: [
      [keys.trades("shadow", "7d"), { pages: [{ items: TRADES, next_cursor: null }], pageParams: [null] }],
      [keys.orders("shadow", "7d"), { pages: [{ items: [], next_cursor: null }], pageParams: [null] }],
      [keys.fills("shadow", "7d"), { pages: [{ items: [], next_cursor: null }], pageParams: [null] }],
      [keys.overlay("7d"), { from_ts: T0, to_ts: T0 + 2 * HOUR, curves: [curve("shadow", [10_000, 9_900, 10_100]), curve("backtest", [500, 510, 520])] }],
      [keys.annotations("7d", ""), { cut: false, items: [{ ts: new Date(T0 + HOUR).toISOString(), to_ts: null, kind: "halt", code: "MANUAL", symbol: null, text: "news ahead", details: {} }] }],
      [keys.profit("shadow", "day"), { mode: "shadow", period: "day", items: [period] }],
      [keys.profit("shadow", "week"), { mode: "shadow", period: "week", items: [{ ...period, profit: -20, profit_frac: -0.002 }] }],
    ],
  });
};

describe("performance", () => {
  it("lays live, shadow and backtest over each other, with drawdown and what happened meanwhile", async () => {
    page();
    expect(within(await screen.findByTestId("equity-overlay")).getByRole("img")).toHaveAccessibleName("Growth over the range: shadow +1.00%, backtest +4.00%");
    expect(screen.getByTestId("equity-overlay")).toHaveTextContent("drawdown −1.00%");
    expect(screen.getByTestId("curve-backtest").querySelectorAll("path")).toHaveLength(2);
    expect(screen.getByTestId("mark-halt")).toHaveTextContent("halt: news ahead");
  });

  it("adds profit up by day, week and month, absolute and in percent, in the address", async () => {
    page();
    expect(screen.getByTestId("profit-table")).toHaveTextContent(/2025-05-25.*\+50\.00\+0\.50%/);
    await userEvent.click(within(screen.getByTestId("profit-period")).getByText("Week"));
    expect(screen.getByTestId("profit-table")).toHaveTextContent(/−20\.00−0\.20%/);
    expect(new URLSearchParams(window.location.search).get("period")).toBe("week");
  });

  it("spreads trades over profit, length and hour of the day", () => {
    page();
    expect(screen.getByTestId("profit-histogram")).toHaveAccessibleName("3 trades by net profit, 2 of them won");
    expect(screen.getByTestId("duration-scatter").querySelectorAll("circle")).toHaveLength(3);
    expect(screen.getByTestId("hour-chart")).toHaveAccessibleName("Net profit by hour of entry; the best hour is 1");
  });

  it("never mixes gains and losses in one bin, and counts every value once", () => {
    const bins = histogram([-4, 3, 12, 12, 0], 6);
    expect(bins.every(({ from, to }) => from >= 0 || to <= 0)).toBe(true);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(5);
    expect(histogram([])).toEqual([]);
  });

  it("reads hours in the zone of the screen, and growth from the first point", () => {
    expect(byHour(TRADES, "utc")[1]).toEqual({ hour: 1, trades: 2, net: 8 });
    expect(byHour(TRADES, "local")[10]).toEqual({ hour: 10, trades: 2, net: 8 }); // UTC+9
    expect(growth({ equity: [null, 200, 210] })).toEqual([null, 0, 210 / 200 - 1]);
    expect(place({ source: "backtest", ts: [0, 10] }, 1, { from: 500, to: 600 })).toBe(1);
    expect(place({ source: "shadow", ts: [550] }, 0, { from: 500, to: 600 })).toBe(0.5);
  });
});

describe("notifications", () => {
  const picture = (change: Partial<Picture> = {}): Picture => ({ status: { kill_switch: "RUNNING" }, positions: [], jobs: [], connected: true, ...change });
  const naked: Position = position({ protected: false });
  const allow = () => {
    const made: { body: string; onclick: (() => void) | null }[] = [];
    class Fake {
      static permission = "granted";
      onclick: (() => void) | null = null;
      constructor(_: string, { body }: { body: string }) {
        made.push(Object.assign(this, { body }));
      }
    }
    vi.stubGlobal("Notification", Fake);
    return made;
  };
  afterEach(() => vi.unstubAllGlobals());

  it("tell what changed, and nothing at first sight", () => {
    expect(notices(picture({ positions: undefined, status: undefined }), picture({ positions: [naked], status: { kill_switch: "HALTED" } }))).toEqual([]);
    const told = notices(picture({ positions: [position({ symbol: "ETHUSDT" })] }), picture({ positions: [naked], status: { kill_switch: "HALTED" }, connected: false }));
    expect(told.map(({ kind }) => kind)).toEqual(["stop", "opened", "unprotected", "closed", "connection"]);
    expect(notices(picture({ positions: [naked] }), picture({ positions: [naked] }))).toEqual([]);
  });

  it("are shown for the kinds that were chosen, and lead to what they are about", async () => {
    const made = allow();
    setPrefs({ notify: ["opened"] });
    const { client } = renderDesk(<Notifier />, { status: STATUS, positions: [] });
    act(() => client.setQueryData(keys.positions, [naked]));
    await waitFor(() => expect(made.map(({ body }) => body)).toEqual(["BTCUSDT LONG opened"]));
    vi.spyOn(window, "focus").mockImplementation(() => undefined);
    made[0]!.onclick!();
    expect(navigation.pushed).toEqual(["/symbol/BTCUSDT/"]);
  });

  it("are chosen one by one and kept", async () => {
    allow();
    renderDesk(<NotificationsCard />);
    await userEvent.click(screen.getByTestId("notice-unprotected"));
    expect(JSON.parse(localStorage.getItem("perpilot.prefs")!).notify).toEqual(["unprotected"]);
    expect(screen.queryByTestId("notices-permission")).toBeNull();
  });
});
