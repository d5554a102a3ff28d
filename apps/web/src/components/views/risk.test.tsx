import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { KillSwitchControl } from "@/components/panels/KillSwitchControl";
import { keys } from "@/lib/queries/keys";
import { fakeNetwork, renderDesk } from "@/testing/render";
import { ACCOUNT, LIVE, RISK, STATUS } from "@/testing/samples";
import { RiskView } from "./RiskView";

const FUNNEL = { ...RISK.funnel_hour, rows: 400, traded: 5, symbols: [{ symbol: "BTCUSDT", rows: 200, traded: 5, blocked: 180, flat: 15, top_code: "EV_BELOW_MIN" }] };
const pages = (items: unknown[]) => ({ pages: [{ items, next_cursor: null }], pageParams: [null] });
const page = (risk = RISK, status = STATUS) =>
  renderDesk(<RiskView />, {
    status,
    cache: [
      [keys.risk("shadow"), risk],
      [keys.funnel("shadow", "1d"), FUNNEL],
      [keys.riskEvents("1d", 1), pages(RISK.events)],
      [keys.riskEvents("1d", 3), pages(RISK.events.filter(({ severity }) => severity === 3))],
    ],
  });

describe("the risk page", () => {
  it("shows each guard as value, limit, distance and share", () => {
    page();
    expect(screen.getByTestId("guards-row-MAX_POSITIONS")).toHaveTextContent(/660.*100%.*reached/);
    expect(screen.getByTestId("guards-row-MAX_USED_MARGIN")).toHaveTextContent(/30.00%35.00%5.00%.*86%.*near/);
    expect(screen.getByTestId("guards-row-DAILY_LOSS_LIMIT")).toHaveTextContent(/0.40%2.00%1.60%.*within/);
    expect(screen.getByTestId("guards-row-BETA_CAP")).toHaveTextContent("no account yet");
  });

  it("shows what became of the range's minutes, of all symbols and of each", () => {
    page();
    expect(screen.getByTestId("funnel-traded")).toHaveTextContent("5 1.3%");
    expect(screen.getByTestId("symbol-funnel-row-BTCUSDT")).toHaveTextContent(/200518015.*EV_BELOW_MIN/);
  });

  it("shows what became of the hour's minutes and of the last minute on request", async () => {
    page();
    await userEvent.click(within(screen.getByTestId("funnel-span")).getByText("Last hour"));
    expect(screen.getByTestId("funnel-traded")).toHaveTextContent("4 2.0%");
    expect(screen.getByTestId("funnel-reason-MAX_POSITIONS")).toHaveTextContent("3090");
    await userEvent.click(within(screen.getByTestId("funnel-span")).getByText("Last minute"));
    expect(window.location.search).toBe("?funnel=minute");
    expect(screen.getByText("Nothing was decided yet")).toBeInTheDocument();
  });

  it("lists events and keeps to a severity", async () => {
    page();
    expect(screen.getAllByTestId("risk-event")).toHaveLength(2);
    await userEvent.click(within(screen.getByTestId("risk-severity")).getByText("critical"));
    expect(screen.getAllByTestId("risk-event")).toHaveLength(1);
    await waitFor(() => expect(screen.getByTestId("risk-event")).toHaveTextContent(/another amount than the exchange booked.*the wallet differs/));
  });

  it("names what latched a live account and what forbids entries, all symbols first", () => {
    page({ ...RISK, live: LIVE });
    expect(screen.getByTestId("trip-LEDGER_MISMATCH")).toHaveTextContent("the wallet differs by 3.1 USDT");
    expect(screen.getByTestId("trip-LEDGER_MISMATCH").querySelector("a")).toHaveAttribute("href", expect.stringMatching(/^\/orders\/?$/));
    const causes = within(screen.getByTestId("risk-causes")).getAllByRole("listitem").map((item) => item.textContent);
    expect(causes[1]).toContain("every symbol");
    expect(causes[2]).toContain("ETHUSDT");
    expect(screen.getByTestId("risk-stop-path")).toHaveTextContent("no");
    expect(screen.getByTestId("risk-naked")).toHaveTextContent("180 ms · 410 ms · 900 ms");
  });

  it("says that nothing is traded live, and offers the accounts once there are two", () => {
    page();
    expect(screen.getByTestId("risk-no-live")).toBeInTheDocument();
    expect(screen.queryByTestId("account-switch")).toBeNull();
  });

  it("reads the guards of the live account when the address asks for it", () => {
    window.history.replaceState(null, "", "/risk/?account=live");
    const live = { ...RISK, mode: "live", guards: [{ ...RISK.guards[0]!, value: 2, distance: 4, used: 0.33 }] };
    renderDesk(<RiskView />, { status: STATUS, cache: [[keys.risk("shadow"), RISK], [keys.risk("live"), live], [keys.liveAccount, { ...ACCOUNT, mode: "live" }]] });
    expect(screen.getByTestId("account-switch")).toBeInTheDocument();
    expect(screen.getByTestId("guards-row-MAX_POSITIONS")).toHaveTextContent(/264.*33%.*within/);
  });
});

describe("the kill switch", () => {
  const accepted = { status: 202, body: { version: 9, kill_switch: "HALTED", changed: true, acknowledged_version: 3 } };
  const control = (status = STATUS) => renderDesk(<KillSwitchControl />, { status });

  it("stops entries after one confirmation and waits for the trader", async () => {
    const requests = fakeNetwork((path) => (path === "/api/trading/kill-switch" ? accepted : undefined));
    const { client } = control();
    await userEvent.click(screen.getByTestId("kill-switch-halt"));
    expect(requests).toEqual([]);
    await userEvent.click(screen.getByTestId("kill-switch-confirm"));
    expect(requests[0]).toEqual({ path: "/api/trading/kill-switch", method: "POST", body: { action: "halt" } });
    expect(await screen.findByTestId("kill-switch-pending")).toBeInTheDocument();
    client.setQueryData(keys.status, { ...STATUS, trading_version: 9, kill_switch: "HALTED", receivedAt: 0 });
    await waitFor(() => expect(screen.queryByTestId("kill-switch-pending")).toBeNull());
    expect(screen.getByTestId("kill-switch-state")).toHaveAttribute("data-state", "HALTED");
  });

  it("flattens only when the word was written", async () => {
    const requests = fakeNetwork(() => accepted);
    control();
    await userEvent.click(screen.getByTestId("kill-switch-flatten"));
    await userEvent.type(screen.getByTestId("kill-switch-word"), "flatten");
    expect(screen.getByTestId("kill-switch-confirm")).toBeDisabled();
    await userEvent.clear(screen.getByTestId("kill-switch-word"));
    await userEvent.type(screen.getByTestId("kill-switch-word"), "FLATTEN");
    await userEvent.click(screen.getByTestId("kill-switch-confirm"));
    expect(requests[0]?.body).toEqual({ action: "flatten" });
  });

  it("clears a latch only with a reason, and only when there is one", async () => {
    const requests = fakeNetwork(() => accepted);
    const { unmount } = control();
    expect(screen.getByTestId("kill-switch-resume")).toBeDisabled();
    unmount();
    control({ ...STATUS, kill_switch: "HALTED" });
    await userEvent.click(screen.getByTestId("kill-switch-resume"));
    await userEvent.type(screen.getByTestId("kill-switch-reason"), "   ");
    expect(screen.getByTestId("kill-switch-confirm")).toBeDisabled();
    await userEvent.type(screen.getByTestId("kill-switch-reason"), "ledger booked");
    await userEvent.click(screen.getByTestId("kill-switch-confirm"));
    expect(requests[0]?.body).toEqual({ action: "resume", reason: "ledger booked" });
  });

  it("says why it was refused", async () => {
    fakeNetwork((path) => (path.endsWith("kill-switch") ? { status: 409, body: { code: "REFUSED", detail: "flatten is refused: MODE is not live" } } : undefined));
    control();
    await userEvent.click(screen.getByTestId("kill-switch-halt"));
    await userEvent.click(screen.getByTestId("kill-switch-confirm"));
    expect(await screen.findByTestId("refusal")).toHaveTextContent("flatten is refused: MODE is not live");
  });
});
