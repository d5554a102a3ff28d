import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { keys } from "@/lib/queries/keys";
import { renderDesk } from "@/testing/render";
import { instrument, signal, STATUS } from "@/testing/samples";
import { SignalsView } from "./SignalsView";

const blocked = signal({ symbol: "ETHUSDT", ev_long: -0.001, block_reasons: ["EV_BELOW_MIN"], block_details: [{ code: "EV_BELOW_MIN", value: -0.001, limit: 0, distance: 0.001 }] });
const entered = signal({ symbol: "BTCUSDT", decision: "LONG", size_notional: 1_000, leverage: 3, sl_price: 100, tp_price: 120, funding_rate: 0.0009 });
const page = () =>
  renderDesk(<SignalsView />, {
    status: STATUS,
    universe: [instrument("BTCUSDT"), instrument("ETHUSDT"), instrument("SOLUSDT")],
    signals: [entered, blocked, signal({ symbol: "SOLUSDT" })],
    cache: [[keys.ranking("ev"), ["SOLUSDT"]], [keys.ranking("funding"), ["BTCUSDT"]], [keys.ranking("volatility"), ["ETHUSDT", "SOLUSDT"]]],
  });
const rows = () => screen.queryAllByTestId(/^signals-row-/).map((row) => row.dataset.testid?.replace("signals-row-", "")).sort();
const choose = (text: string) => userEvent.click(within(screen.getByTestId("signals-filter")).getByText(text));

describe("the signals page", () => {
  it("filters by EV, funding, volatility and blocks, in the address", async () => {
    page();
    expect(rows()).toEqual(["BTCUSDT", "ETHUSDT", "SOLUSDT"]);
    await choose("EV top");
    expect(rows()).toEqual(["SOLUSDT"]);
    await choose("Volatility top");
    expect(rows()).toEqual(["ETHUSDT", "SOLUSDT"]);
    await choose("Blocked only");
    expect(rows()).toEqual(["ETHUSDT"]);
    expect(window.location.search).toBe("?filter=blocked");
  });

  it("shows the funding rate while the most extreme ones are asked for", async () => {
    page();
    expect(screen.queryByText("+0.0900%")).toBeNull();
    await choose("Funding extreme");
    expect(rows()).toEqual(["BTCUSDT"]);
    expect(screen.getByText("+0.0900%")).toBeInTheDocument();
  });

  it("opens a drawer that says why blocked with value, limit and distance", async () => {
    page();
    await userEvent.click(screen.getByTestId("why-open-ETHUSDT"));
    expect(window.location.search).toBe("?why=ETHUSDT");
    const drawer = within(screen.getByTestId("signal-drawer"));
    expect(drawer.getByTestId("why-EV_BELOW_MIN")).toHaveTextContent(/Value−10.0 bp.*Limit0.0 bp.*Distance\+10.0 bp/);
    expect(drawer.getByTestId("drawer-open-symbol")).toHaveAttribute("href", expect.stringMatching(/symbol.ETHUSDT/));
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByTestId("signal-drawer")).toBeNull();
  });

  it("opens from a link, and says why in", () => {
    window.history.replaceState(null, "", "/signals/?why=BTCUSDT");
    page();
    expect(within(screen.getByTestId("signal-drawer")).getByTestId("why-verdict")).toHaveTextContent("Entered LONG");
  });
});
