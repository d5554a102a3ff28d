import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setPrefs } from "@/lib/prefs/store";
import { keys } from "@/lib/queries/keys";
import { renderDesk } from "@/testing/render";
import { ACCOUNT, instrument, signal, STATUS } from "@/testing/samples";
import { DriftCard } from "./DriftCard";
import { MarginCard } from "./MarginCard";
import { RiskBlockersCard } from "./RiskBlockersCard";
import { SystemHealthCard } from "./SystemHealthCard";
import { TopSignalsTable } from "./TopSignalsTable";
import { TradingToggleCard } from "./TradingToggleCard";

const UNIVERSE = [instrument("BTCUSDT"), instrument("ETHUSDT", { price_decimals: 2 }), instrument("SOLUSDT"), instrument("BNXUSDT", { status: "delisted", tradable: false })];
const SIGNALS = [
  signal({ symbol: "BTCUSDT", ev_long: -0.001, ev_short: -0.002, block_reasons: ["EV_BELOW_MIN", "Q05_BELOW_MIN"] }),
  signal({ symbol: "ETHUSDT", ev_long: 0.002, decision: "LONG", size_notional: 1_500, leverage: 4, sl_price: 2_500.5, tp_price: 2_700.25, close: 2_600.5 }),
  signal({ symbol: "SOLUSDT", ev_long: null, ev_short: null, block_reasons: ["DATA_STALE"] }),
];
const rows = () => screen.getAllByTestId(/^signals-row-/).map((row) => row.dataset.testid!.replace("signals-row-", ""));

afterEach(() => vi.unstubAllGlobals());

describe("MarginCard", () => {
  it("says gain and loss with sign and arrow, not by colour alone", () => {
    renderDesk(<MarginCard />, { account: ACCOUNT });
    expect(screen.getByTestId("margin-equity")).toHaveTextContent("10,125.50");
    expect(screen.getByTestId("margin-day-pnl")).toHaveTextContent("▼−74.50 −0.73%");
    expect(screen.getByTestId("margin-total-pnl")).toHaveTextContent("▲+125.50");
    expect(screen.getByTestId("card-margin")).toHaveTextContent("Shadow PnL");
  });

  it("says what opens an account when there is none", () => {
    renderDesk(<MarginCard />, { account: null });
    expect(screen.getByTestId("state-empty")).toHaveTextContent("No shadow account yet");
  });

  it("shows a skeleton, then what to do when the API does not answer", async () => {
    vi.stubGlobal("fetch", vi.fn(async () => Promise.reject(new TypeError("refused"))));
    renderDesk(<MarginCard />);
    expect(screen.getByTestId("state-loading")).toBeInTheDocument();
    expect(await screen.findByTestId("state-failed")).toHaveTextContent("perpilot is up");
    expect(screen.getByRole("button", { name: /Try again/ })).toBeEnabled();
  });
});

describe("SystemHealthCard", () => {
  it("names delay, missing, sockets, queue and errors", () => {
    renderDesk(<SystemHealthCard />, { status: STATUS });
    expect(screen.getByTestId("health-fresh")).toHaveTextContent("28 of 28");
    expect(screen.getByTestId("health-delay")).toHaveTextContent("decision 212 ms");
    expect(screen.getByTestId("health-missing")).toHaveTextContent("0.020%");
    expect(screen.getByTestId("health-sockets")).toHaveTextContent("klineupmarkdown");
    expect(screen.getByTestId("health-queue")).toHaveTextContent("rows to write 12");
    expect(screen.getByTestId("health-errors")).toHaveTextContent("none");
    expect(screen.getByTestId("health-userstream")).toHaveTextContent("not in use");
  });

  it("does not call a live user stream that is down idle", () => {
    renderDesk(<SystemHealthCard />, { status: { ...STATUS, mode: "live" } });
    expect(screen.getByTestId("health-userstream")).toHaveTextContent("Not OK");
  });

  it("is not well while a tradable symbol is not fresh", () => {
    const { unmount } = renderDesk(<SystemHealthCard />, { status: { ...STATUS, symbols_fresh: 27 } });
    expect(within(screen.getByTestId("card-health")).getByText("Not OK")).toBeInTheDocument();
    unmount();
    renderDesk(<SystemHealthCard />, { status: STATUS, connection: "reconnecting" });
    expect(within(screen.getByTestId("card-health")).getByText("Not current")).toBeInTheDocument();
  });
});

describe("DriftCard", () => {
  it("shows the newest drift of the inputs, and says when there is none", async () => {
    vi.stubGlobal("fetch", vi.fn(async () => Response.json({ ts: [1, 2], psi_mean: [0.5, 0.08], psi_max: [0.9, 0.31], symbols: [] })));
    renderDesk(<DriftCard />, { status: STATUS });
    expect(screen.getByTestId("drift-psi")).toHaveTextContent("not measured yet");
    expect(await screen.findByText("0.08")).toBeInTheDocument();
    expect(screen.getByTestId("drift-psi")).toHaveTextContent("worst symbol 0.31");
  });

  it("degrades above the limit of missing bars", () => {
    renderDesk(<DriftCard />, { status: { ...STATUS, missing_rate_24h: 0.002 } });
    expect(screen.getByTestId("drift-verdict")).toHaveTextContent("Degraded");
    expect(screen.getByTestId("drift-gaps")).toHaveTextContent("1");
  });
});

describe("RiskBlockersCard", () => {
  it("counts primary reasons in words and filters by one through the URL", async () => {
    renderDesk(<RiskBlockersCard />, { signals: SIGNALS });
    expect(screen.getByTestId("blocker-EV_BELOW_MIN")).toHaveTextContent("EV too low");
    expect(screen.queryByTestId("blocker-Q05_BELOW_MIN")).toBeNull();
    expect(screen.getByTestId("blockers-entered")).toHaveTextContent("1");
    await userEvent.click(screen.getByTestId("blocker-DATA_STALE"));
    expect(window.location.search).toBe("?reason=DATA_STALE");
    expect(screen.getByTestId("blocker-DATA_STALE")).toHaveAttribute("aria-pressed", "true");
  });
});

describe("TopSignalsTable", () => {
  const world = { universe: UNIVERSE, signals: SIGNALS };

  it("shows every symbol of the universe, the delisted one with its status", () => {
    renderDesk(<TopSignalsTable />, world);
    expect(rows()).toEqual(["ETHUSDT", "BTCUSDT", "SOLUSDT", "BNXUSDT"]);
    expect(screen.getByTestId("signals-row-BNXUSDT")).toHaveTextContent("delisted");
    expect(screen.getByTestId("signals-row-BTCUSDT")).toHaveTextContent("EV too lowEV_BELOW_MIN+1");
    expect(screen.getByTestId("signals-row-ETHUSDT")).toHaveTextContent("2,600.50");
    expect(screen.getByTestId("signals-row-ETHUSDT")).toHaveTextContent("LONG");
  });

  it("keeps rows in place while numbers move, until asked to sort again", async () => {
    const { client } = renderDesk(<TopSignalsTable />, world);
    expect(screen.getByTestId("signals-resort")).toBeDisabled();
    act(() => client.setQueryData(keys.signals, SIGNALS.map((row) => (row.symbol === "BTCUSDT" ? { ...row, ev_long: 0.01 } : row))));
    expect(await screen.findByText("+100.0")).toBeInTheDocument();
    expect(rows()[0]).toBe("ETHUSDT");
    await userEvent.click(screen.getByTestId("signals-resort"));
    expect(rows()[0]).toBe("BTCUSDT");
  });

  it("sorts by a column and says so", async () => {
    renderDesk(<TopSignalsTable />, world);
    await userEvent.click(screen.getByRole("button", { name: "Symbol" }));
    expect(rows()).toEqual(["SOLUSDT", "ETHUSDT", "BTCUSDT", "BNXUSDT"]);
    expect(screen.getByRole("columnheader", { name: "Symbol" })).toHaveAttribute("aria-sort", "descending");
    await userEvent.click(screen.getByRole("button", { name: "Symbol" }));
    expect(rows()[0]).toBe("BNXUSDT");
  });

  it("filters by state, by name and by reason, and finds the way back", async () => {
    renderDesk(<TopSignalsTable />, world);
    await userEvent.click(screen.getByRole("radio", { name: "Blocked only" }));
    expect(rows()).toEqual(["BTCUSDT", "SOLUSDT"]);
    await userEvent.type(screen.getByTestId("signals-search"), "sol");
    expect(rows()).toEqual(["SOLUSDT"]);
    await userEvent.type(screen.getByTestId("signals-search"), "x");
    expect(screen.queryAllByTestId(/^signals-row-/)).toHaveLength(0);
    await userEvent.click(screen.getByRole("button", { name: "Clear the filter" }));
    expect(rows()).toHaveLength(4);
  });

  it("remembers which columns are shown", async () => {
    const first = renderDesk(<TopSignalsTable />, world);
    expect(screen.queryByRole("columnheader", { name: "Tier" })).toBeNull();
    await userEvent.click(screen.getByTestId("signals-columns"));
    await userEvent.click(await screen.findByRole("menuitemcheckbox", { name: "Tier" }));
    first.unmount();
    renderDesk(<TopSignalsTable />, world);
    expect(screen.getByRole("columnheader", { name: "Tier" })).toBeInTheDocument();
  });

  it("speaks Korean", () => {
    setPrefs({ language: "ko" });
    renderDesk(<TopSignalsTable />, world);
    expect(screen.getByTestId("signals-row-BTCUSDT")).toHaveTextContent("EV 부족EV_BELOW_MIN");
    expect(screen.getByTestId("signals-row-BNXUSDT")).toHaveTextContent("상장 폐지");
  });
});

describe("TradingToggleCard", () => {
  it("asks first, sends the command, and stays pending until the trader has acknowledged it", async () => {
    const post = vi.fn(async () => new Response('{"version": 4, "toggle": "off", "changed": true, "acknowledged_version": 3}', { status: 202 }));
    vi.stubGlobal("fetch", post);
    const { client } = renderDesk(<TradingToggleCard />, { status: STATUS });
    await userEvent.click(screen.getByTestId("trading-to-off"));
    expect(screen.getByTestId("trading-to-off-dialog")).toHaveTextContent("No new entries");
    expect(post).not.toHaveBeenCalled();
    await userEvent.type(screen.getByTestId("trading-to-off-reason"), "news");
    await userEvent.click(screen.getByTestId("trading-to-off-confirm"));
    expect(await screen.findByTestId("trading-pending")).toBeInTheDocument();
    expect(post).toHaveBeenCalledWith("/api/trading/toggle", expect.objectContaining({ method: "POST", body: '{"mode":"off","reason":"news"}' }));
    act(() => client.setQueryData(keys.status, { ...STATUS, mode: "off", trading_version: 4, receivedAt: 0 }));
    await waitFor(() => expect(screen.queryByTestId("trading-pending")).toBeNull());
    expect(screen.getByTestId("trading-to-shadow")).toHaveTextContent("Switch to shadow");
  });
});
