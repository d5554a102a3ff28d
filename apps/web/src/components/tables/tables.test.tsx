import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { keys } from "@/lib/queries/keys";
import { renderDesk } from "@/testing/render";
import { ACCOUNT, instrument, position, signal, STATUS } from "@/testing/samples";
import { WhyPanel } from "../panels/WhyPanel";
import { LiveOpsPanel } from "../panels/LiveOpsPanel";
import { PositionsTable } from "./PositionsTable";

describe("PositionsTable", () => {
  const world = { universe: [instrument("BTCUSDT")], status: STATUS };

  it("shows a position in the instrument's precision, with its way from stop to target", () => {
    renderDesk(<PositionsTable />, { ...world, positions: [position()] });
    const row = within(screen.getByTestId("positions-row-shadow:BTCUSDT"));
    expect(row.getByText("109,000.0")).toBeInTheDocument();
    expect(row.getByText("0.020")).toBeInTheDocument();
    expect(row.getByText("24.2%")).toBeInTheDocument();
    expect(row.getByTestId("distance-BTCUSDT")).toHaveAttribute("aria-valuenow", "60");
    expect(row.getByText("+0.50")).toBeInTheDocument();
    expect(screen.queryByText("No confirmed stop")).toBeNull();
    expect(screen.getByTestId("card-positions")).not.toHaveAttribute("data-alert");
  });

  it("makes an unprotected position impossible to miss", () => {
    renderDesk(<PositionsTable />, { ...world, positions: [position({ protected: false })] });
    expect(screen.getByTestId("unprotected-BTCUSDT")).toHaveTextContent("No confirmed stop");
    expect(screen.getByTestId("card-positions")).toHaveAttribute("data-alert", "bad");
  });

  it("shows the rows that hold what was typed, and keeps it in the address", async () => {
    renderDesk(<PositionsTable />, { ...world, positions: [position(), position({ symbol: "ETHUSDT" })] });
    await userEvent.type(screen.getByTestId("positions-find"), "eth");
    expect(screen.queryByTestId("positions-row-shadow:BTCUSDT")).toBeNull();
    expect(screen.getByTestId("positions-row-shadow:ETHUSDT")).toBeInTheDocument();
    expect(window.location.search).toBe("?positions-find=eth");
    await userEvent.type(screen.getByTestId("positions-find"), "x");
    await userEvent.click(within(screen.getByTestId("state-empty")).getByRole("button"));
    expect(screen.getByTestId("positions-row-shadow:BTCUSDT")).toBeInTheDocument();
  });

  it("is sorted as a link says, and writes the order that is chosen into the address", async () => {
    const rows = () => screen.getAllByTestId(/^positions-row-/).map((row) => row.getAttribute("data-testid"));
    const positions = [position({ unrealized_pnl: 1 }), position({ symbol: "ETHUSDT", unrealized_pnl: 3 }), position({ symbol: "XRPUSDT", unrealized_pnl: 2 })];
    window.history.replaceState(null, "", "/?positions-sort=pnl.desc");
    renderDesk(<PositionsTable />, { ...world, positions });
    expect(rows()).toEqual(["ETHUSDT", "XRPUSDT", "BTCUSDT"].map((symbol) => `positions-row-shadow:${symbol}`));
    await userEvent.click(within(screen.getByTestId("positions-table")).getByRole("button", { name: "uPnL" }));
    expect(rows()[0]).toBe("positions-row-shadow:BTCUSDT");
    expect(window.location.search).toBe("?positions-sort=pnl.asc");
    window.history.replaceState(null, "", "/");
    localStorage.clear();
  });

  it("says why there may be none", () => {
    renderDesk(<PositionsTable />, { ...world, positions: [] });
    expect(screen.getByTestId("state-empty")).toHaveTextContent("No open positions");
  });
});

describe("WhyPanel", () => {
  it("gives each reason with value, limit and distance, the primary first", () => {
    const blocked = signal({
      block_reasons: ["EV_BELOW_MIN", "MAX_POSITIONS"],
      block_details: [
        { code: "EV_BELOW_MIN", value: -0.0012, limit: 0, distance: 0.0012 },
        { code: "MAX_POSITIONS", value: 6, limit: 6, distance: 0 },
      ],
    });
    renderDesk(<WhyPanel symbol="BTCUSDT" decimals={1} />, { signals: [blocked] });
    expect(screen.getByTestId("why-verdict")).toHaveTextContent("Not traded");
    expect(screen.getByTestId("why-EV_BELOW_MIN")).toHaveTextContent(/Primary reason.*Value−12.0 bp.*Limit0.0 bp.*Distance\+12.0 bp/);
    expect(screen.getByTestId("why-MAX_POSITIONS")).toHaveTextContent(/Value6.*Limit6/);
    expect(screen.getByTestId("why-MAX_POSITIONS")).not.toHaveTextContent("Primary reason");
    expect(screen.getByTestId("prediction-table")).toHaveTextContent("+12.0 bp−21.0 bp");
  });

  it("says what was entered and with which bracket", () => {
    renderDesk(<WhyPanel symbol="BTCUSDT" decimals={1} />, { signals: [signal({ decision: "SHORT", size_notional: 1_500, leverage: 3, sl_price: 110_000, tp_price: 108_000 })] });
    expect(screen.getByTestId("why-verdict")).toHaveTextContent(/Entered SHORT.*1,500 USDT · 3× · SL 110,000.0 · TP 108,000.0/);
  });

  it("has no predictions to show when a gate before the model refused", () => {
    renderDesk(<WhyPanel symbol="BTCUSDT" decimals={1} />, { signals: [signal({ ev_long: null, ev_short: null, block_details: [{ code: "DATA_STALE", value: 1, limit: 0, distance: -1 }] })] });
    expect(screen.queryByTestId("prediction-table")).toBeNull();
    expect(screen.getByTestId("why-DATA_STALE")).toHaveTextContent("Data stale");
    // A yes or no has no figures worth showing.
    expect(screen.getByTestId("why-DATA_STALE")).not.toHaveTextContent("Limit");
  });

  it("waits in words for the first decision", () => {
    renderDesk(<WhyPanel symbol="ETHUSDT" decimals={1} />, { signals: [signal()] });
    expect(screen.getByTestId("state-empty")).toHaveTextContent("No decision yet");
  });
});

describe("a table's tools", () => {
  it("write the rows that are shown as CSV, with the numbers as they came", async () => {
    const written: Blob[] = [];
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: (blob: Blob) => (written.push(blob), "blob:x"), revokeObjectURL: () => {} }));
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => undefined);
    renderDesk(<PositionsTable />, { universe: [instrument("BTCUSDT")], status: STATUS, positions: [position()] });
    await userEvent.click(screen.getByTestId("positions-csv"));
    const csv = await new Promise<string>((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result as string);
      reader.readAsText(written[0]!);
    });
    const [head, row] = csv.trim().split(/\r?\n/);
    expect(head).toMatch(/^\ufeff?symbol,/);
    expect(row).toMatch(/^BTCUSDT,/);
    expect(row).toContain("109000");
  });
});

describe("LiveOpsPanel", () => {
  it("shows what is held and the trades of the range, newest first", () => {
    const trade = { side: "LONG", entry_price: 100, exit_price: 101, sl_price: 99, tp_price: 102, liquidation_price: 80, exit_reason: "TP", net: 5 };
    const trades = [
      { ...trade, from_ts: 0, to_ts: 60_000 },
      { ...trade, from_ts: 120_000, to_ts: null, exit_price: null, exit_reason: null, net: null },
    ];
    renderDesk(<LiveOpsPanel symbol="BTCUSDT" mode="shadow" trades={trades} decimals={1} />, { positions: [position()] });
    expect(screen.getByTestId("ops-position")).toHaveTextContent("109,500.0");
    expect(screen.getByTestId("ops-orders")).toHaveTextContent("No open orders");
    const items = screen.getAllByRole("listitem").map((item) => item.textContent);
    expect(items[0]).toContain("open");
    expect(items[1]).toMatch(/\+5.00.*target/);
  });

  it("says flat when flat", () => {
    renderDesk(<LiveOpsPanel symbol="ETHUSDT" mode="shadow" trades={[]} decimals={1} />, { positions: [position()] });
    expect(screen.getByTestId("ops-flat")).toBeInTheDocument();
  });

  it("shows what the account on the exchange holds beside the shadow's, and the orders and fills of the chosen one", () => {
    const order = { mode: "live", order_id: 7, client_order_id: null, symbol: "BTCUSDT", side: "SELL", type: "STOP_MARKET", status: "NEW", leg: "SL", qty: 0.5, price: null, avg_price: null, stop_price: 108_000, fee: null, realized_pnl: null, created_at: "2025-05-26T10:00:00Z", updated_at: "2025-05-26T10:00:00Z" };
    const fill = { mode: "live", symbol: "BTCUSDT", trade_id: 3, order_id: 6, ts: "2025-05-26T10:00:00Z", side: "BUY", leg: "ENTRY", price: 109_500, qty: 0.5, fee: 0.1, fee_asset: "USDT", realized_pnl: 0, maker: false };
    renderDesk(<LiveOpsPanel symbol="BTCUSDT" mode="live" trades={[]} decimals={1} />, {
      positions: [position()],
      cache: [
        [keys.livePositions, [position({ mode: "live", amt: 0.5 })]],
        [keys.liveAccount, ACCOUNT],
        [keys.openOrders("live"), [order, { ...order, order_id: 8, symbol: "ETHUSDT" }]],
        [keys.symbolFills("live", "BTCUSDT"), [fill]],
      ],
    });
    expect(screen.getByTestId("ops-held-live")).toHaveTextContent("LIVE");
    expect(screen.getByTestId("ops-held-shadow")).toBeInTheDocument();
    expect(within(screen.getByTestId("ops-orders")).getAllByRole("listitem")).toHaveLength(1);
    expect(screen.getByTestId("ops-orders")).toHaveTextContent("108,000.0");
    expect(screen.getByTestId("ops-fills")).toHaveTextContent("109,500.0");
  });
});
