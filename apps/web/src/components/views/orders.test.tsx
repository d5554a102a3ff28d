import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Execution, Fill, Order } from "@/lib/api/schemas";
import { keys } from "@/lib/queries/keys";
import { setPrefs } from "@/lib/prefs/store";
import { fakeNetwork, renderDesk } from "@/testing/render";
import { ACCOUNT, position, STATUS } from "@/testing/samples";
import { OrdersView } from "./OrdersView";

const order: Order = { mode: "shadow", order_id: 1, client_order_id: "p-1", symbol: "BTCUSDT", side: "BUY", type: "MARKET", status: "FILLED", reduce_only: false, price: null, stop_price: null, qty: 2, created_at: "2025-05-26T10:00:00Z", updated_at: "2025-05-26T10:00:01Z", leg: "entry", avg_price: 100, fee: 0.1, realized_pnl: null };
const stop: Order = { ...order, order_id: 2, type: "STOP_MARKET", status: "NEW", stop_price: 98, leg: "sl", side: "SELL" };
const fill: Fill = { mode: "shadow", symbol: "BTCUSDT", trade_id: 7, order_id: 1, ts: "2025-05-26T10:00:00Z", side: "BUY", leg: "entry", price: 100.5, qty: 2, fee: 0.08, fee_asset: "USDT", realized_pnl: null };
const execution: Execution = {
  mode: "live",
  from_ts: 0,
  to_ts: 1,
  orders: 200,
  failed: 3,
  failure_rate: 0.015,
  counts: [
    { leg: "entry", status: "FILLED", count: 197, failed: false },
    { leg: "entry", status: "REJECTED", count: 3, failed: true },
  ],
  trades: 80,
  slippage_frac: 0.0004,
  matched: 60,
  matched_frac: 0.00045,
  expected_frac: 0.0003,
  bucket_ms: 3_600_000,
  ts: [1, 2],
  bucket_orders: [100, 100],
  bucket_failed: [0, 3],
  bucket_slippage_frac: [0.0004, null],
  bucket_expected_frac: [0.0003, null],
};
const pages = (items: unknown[], next_cursor: string | null = null) => ({ pages: [{ items, next_cursor }], pageParams: [null] });
const cacheOf = (mode: string, window = "7d") =>
  [
    [keys.orders(mode, window), pages([order])],
    [keys.fills(mode, window), pages([fill])],
    [keys.trades(mode, window), pages([])],
    [keys.openOrders(mode), [stop, { ...order, order_id: 3, type: "LIMIT", status: "NEW", price: 99 }]],
    [keys.execution(mode, window), execution],
    [keys.liveAccount, { ...ACCOUNT, mode: "live" }],
  ] as const;
const page = (mode = "shadow", window = "7d") => renderDesk(<OrdersView />, { status: STATUS, account: ACCOUNT, positions: [position()], universe: [], cache: cacheOf(mode, window) });
const tab = (name: string) => userEvent.click(screen.getByTestId(`orders-tab-${name}`));

describe("the orders page", () => {
  it("loads older rows on request, and keeps the newer ones", async () => {
    const requests = fakeNetwork((path) => (path.includes("cursor=c1") ? { status: 200, body: { items: [{ ...order, order_id: 9 }], next_cursor: null } } : undefined));
    renderDesk(<OrdersView />, { status: STATUS, account: ACCOUNT, positions: [], universe: [], cache: [...cacheOf("shadow"), [keys.orders("shadow", "7d"), pages([order], "c1")]] });
    await userEvent.click(screen.getByTestId("orders-more"));
    expect(await screen.findByTestId("orders-row-shadow:BTCUSDT:9")).toBeInTheDocument();
    expect(screen.getByTestId("orders-row-shadow:BTCUSDT:1")).toBeInTheDocument();
    expect(screen.queryByTestId("orders-more")).toBeNull();
    expect(requests.at(-1)!.path).toContain("/api/orders?mode=shadow&limit=200&");
  });

  it("has the known tabs in their order, each with its rows, in the address", async () => {
    page();
    expect(screen.getAllByRole("tab").map((one) => one.textContent)).toEqual(["Positions", "Open orders", "Conditional orders", "Order history", "Trade history", "Funding", "Live entries", "Performance", "Live against shadow"]);
    expect(screen.getByTestId("orders-row-shadow:BTCUSDT:1")).toHaveTextContent("entry");
    await tab("open");
    expect(screen.getByTestId("open-orders-row-shadow:BTCUSDT:3")).toBeInTheDocument();
    expect(screen.queryByTestId("open-orders-row-shadow:BTCUSDT:2")).toBeNull();
    await tab("conditional");
    expect(screen.getByTestId("conditional-row-shadow:BTCUSDT:2")).toHaveTextContent("98.00");
    await tab("fills");
    expect(screen.getByTestId("fills-row-BTCUSDT:7")).toHaveTextContent("201.00");
    expect(screen.getByTestId("card-trades")).toBeInTheDocument();
    await tab("funding");
    expect(screen.getByTestId(/^funding-row-BTCUSDT/)).toHaveTextContent("0.11");
    await tab("positions");
    expect(screen.getByTestId("card-positions")).toBeInTheDocument();
    expect(window.location.search).toBe("?tab=positions");
  });

  it("says in words why an entry was never sent, all of it or that alone", async () => {
    const intent = { intent_id: "d1:BTCUSDT", symbol: "BTCUSDT", kind: "entry", state: "lapsed", created_at: "2025-05-26T09:58:00.000Z", updated_at: "2025-05-26T09:58:00.000Z", side: "LONG", qty: 0.5, leverage: 3, reference_price: 100, sl_price: 98, tp_price: 104, reasons: ["NO_ROOM", "PAUSED"], detail: null };
    renderDesk(<OrdersView />, { status: STATUS, account: ACCOUNT, positions: [], universe: [], cache: [...cacheOf("shadow"), [keys.intents(false, "7d"), pages([intent, { ...intent, intent_id: "d2:BTCUSDT", state: "exiting", reasons: [] }])], [keys.intents(true, "7d"), pages([intent])]] });
    await tab("intents");
    const row = await screen.findByTestId("intents-row-d1:BTCUSDT");
    await waitFor(() => expect(row).toHaveTextContent(/never sent.*kept its room for stops and exits NO_ROOM.*paused by an operator PAUSED/));
    expect(screen.getByTestId("intents-row-d2:BTCUSDT")).toHaveTextContent("under way");
    await userEvent.click(within(screen.getByTestId("intents-shown")).getByText("Never sent"));
    expect(screen.queryByTestId("intents-row-d2:BTCUSDT")).toBeNull();
    expect(window.location.search).toBe("?tab=intents&intents=lapsed");
  });

  it("shows failures, and slippage against what was expected, of the live account", () => {
    window.history.replaceState(null, "", "/orders/?account=live");
    page("live");
    expect(screen.getByTestId("execution-failure")).toHaveTextContent("1.50% 3 of 200");
    expect(screen.getByTestId("card-execution")).toHaveAttribute("data-alert", "bad");
    expect(screen.getByTestId("execution-actual")).toHaveTextContent("+4.00 bp");
    expect(screen.getByTestId("execution-expected")).toHaveTextContent("+3.00 bp");
    // Only over the trades that have a twin.
    expect(screen.getByTestId("execution-difference")).toHaveTextContent("+1.50 bp");
    expect(within(screen.getByTestId("execution-counts")).getByText(/rejected/)).toBeInTheDocument();
  });

  it("tells orders and fills as they happened", () => {
    page();
    expect(screen.getAllByTestId("order-event").map((line) => line.dataset.what)).toEqual(["filled", "placed"]);
  });

  it("takes its range from the address, and asks the API for it in market time", async () => {
    window.history.replaceState(null, "", "/orders/?range=1h");
    const requests = fakeNetwork(() => undefined);
    page();
    const find = () => requests.find(({ path }) => path.startsWith("/api/orders?"))?.path;
    await waitFor(() => expect(find()).toBeDefined());
    const asked = find()!;
    const params = new URLSearchParams(asked.split("?")[1]);
    expect(Number(params.get("to")) - Number(params.get("from"))).toBeLessThanOrEqual(3_600_001);
    expect(Math.abs(Number(params.get("to")) - Date.parse(STATUS.market_ts!))).toBeLessThan(120_000);
  });

  it("takes two instants in the zone of the screen", async () => {
    setPrefs({ zone: "local" }); // UTC+9
    page();
    await userEvent.click(screen.getByTestId("range-custom"));
    await userEvent.type(screen.getByTestId("range-from"), "2025-05-26T09:00");
    await userEvent.type(screen.getByTestId("range-to"), "2025-05-26T08:00");
    expect(screen.getByTestId("range-apply")).toBeDisabled();
    await userEvent.clear(screen.getByTestId("range-to"));
    await userEvent.type(screen.getByTestId("range-to"), "2025-05-26T12:30");
    fakeNetwork(() => undefined);
    await userEvent.click(screen.getByTestId("range-apply"));
    expect(new URLSearchParams(window.location.search).get("from")).toBe("2025-05-26T00:00:00.000Z");
    expect(screen.getByTestId("range-back")).toHaveTextContent("05-26 09:00 to 05-26 12:30");
  });
});
