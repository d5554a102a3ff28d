import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { UnprotectedAlert } from "@/components/shell/UnprotectedAlert";
import { keys } from "@/lib/queries/keys";
import { fakeNetwork, renderDesk } from "@/testing/render";
import { ACCOUNT, instrument, position, STATUS } from "@/testing/samples";
import { PositionsView } from "./PositionsView";

const held = ["A", "B", "C", "D", "E", "F"].map((name, index) => position({ symbol: `${name}USDT`, mark_price: 100, liquidation_price: 100 - 5 * (index + 1), isolated_margin: 100 * (index + 1) }));
const live = position({ symbol: "BTCUSDT", mode: "live", mark_price: 100, liquidation_price: 98, isolated_margin: 1_000 });
const world = { status: STATUS, account: ACCOUNT, universe: [instrument("BTCUSDT")] };

describe("the positions page", () => {
  it("names the five nearest to liquidation and the five with the most margin", () => {
    renderDesk(<PositionsView />, { ...world, positions: held });
    const symbols = (id: string) => within(screen.getByTestId(id)).getAllByRole("link").map((link) => link.textContent);
    expect(symbols("top-liquidation")).toEqual(["AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT"]);
    expect(symbols("top-margin")).toEqual(["FUSDT", "EUSDT", "DUSDT", "CUSDT", "BUSDT"]);
    expect(screen.getByTestId("top-liquidation")).toHaveTextContent("5.0%");
    expect(screen.getByTestId("top-margin")).toHaveTextContent("600.00 · 5.9%");
  });

  it("adds up fees, slippage and funding, rebates with their sign", () => {
    renderDesk(<PositionsView />, { ...world, positions: [] });
    expect(screen.getByTestId("cost-shadow-fees")).toHaveTextContent("41.28");
    expect(screen.getByTestId("cost-shadow-funding")).toHaveTextContent("−2.31");
    expect(screen.getByTestId("costs-shadow")).toHaveTextContent(/56.87.*0.57%/);
    expect(screen.queryByTestId("card-commands")).toBeNull();
  });

  it("shows both accounts in one table once there is one on the exchange, and lets its positions be closed", async () => {
    const requests = fakeNetwork((path) => (path === "/api/positions/BTCUSDT/close" ? { status: 202, body: { command_id: 4, created_at: "2025-05-26T10:00:00Z", author: "desk", kind: "close", symbol: "BTCUSDT", reason: "news", state: "waiting" } } : undefined));
    renderDesk(<PositionsView />, { ...world, positions: [position()], cache: [[keys.livePositions, [live]], [keys.liveAccount, { ...ACCOUNT, mode: "live" }], [keys.commands, []]] });
    expect(screen.getByTestId("positions-row-live:BTCUSDT")).toHaveTextContent("LIVE");
    expect(screen.getByTestId("positions-row-shadow:BTCUSDT")).toHaveTextContent("SHADOW");
    expect(screen.getByTestId("costs-live")).toBeInTheDocument();
    await userEvent.click(screen.getByTestId("command-close-BTCUSDT"));
    expect(screen.getByTestId("command-confirm")).toBeDisabled();
    await userEvent.type(screen.getByTestId("command-reason"), "news");
    await userEvent.click(screen.getByTestId("command-confirm"));
    expect(requests[0]).toEqual({ path: "/api/positions/BTCUSDT/close", method: "POST", body: { reason: "news" } });
  });
});

describe("the alert of unprotected positions", () => {
  it("counts the seconds of each, on the exchange or not", () => {
    renderDesk(<UnprotectedAlert />, { ...world, positions: [position()], cache: [[keys.livePositions, [{ ...live, protected: false, opened_ts: "2025-05-26T10:01:18Z" }]]] });
    expect(screen.getByRole("alert")).toHaveTextContent(/No confirmed stop.*BTCUSDT.*LIVE.*for 1\d s/);
  });

  it("is silent while every position has its stop", () => {
    renderDesk(<UnprotectedAlert />, { ...world, positions: [position()] });
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
