import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { grouped, universeOf } from "@/lib/domain/settings";
import { keys } from "@/lib/queries/keys";
import { renderDesk } from "@/testing/render";
import { ACCOUNT, instrument, STATUS } from "@/testing/samples";
import { DashboardView } from "./DashboardView";
import { SettingsView } from "./SettingsView";

const settings = { version: null, changed_at: null, values: { MODE: "shadow", K_TP: null, TRADING_ENABLED: true, MAX_USED_MARGIN_PCT: 0.35, UNIVERSE: ["BTCUSDT", "NEWUSDT"], SOMETHING_NEW: 7 }, effects: {}, acknowledged_version: null, pending: false, restart_needed: [] };
const gate = { exchange: "emulator", money: false, open: false, account_asked_at: null, conditions: [{ code: "MODE_NOT_PERMITTED", met: false, value: "MODE=shadow", expected: "MODE=live and a restart" }] };

describe("the settings page", () => {
  it("shows what is in force by its group, says where it is changed, and hides nothing", () => {
    renderDesk(<SettingsView />, { status: STATUS, universe: [instrument("BTCUSDT", { status: "delisted", tradable: false })], cache: [[keys.settings, settings], [keys.gate, gate]] });
    expect(screen.getByTestId("settings-where")).toHaveTextContent(".env");
    expect(screen.getByTestId("settings-risk")).toHaveTextContent("MAX_USED_MARGIN_PCT0.35");
    expect(screen.getByTestId("setting-K_TP")).toHaveTextContent("by the preset");
    expect(screen.getByTestId("settings-other")).toHaveTextContent("SOMETHING_NEW7");
    expect(screen.getByTestId("universe-BTCUSDT")).toHaveTextContent("delisted");
    expect(screen.getByTestId("universe-NEWUSDT")).toHaveTextContent("unknown");
    expect(screen.getByTestId("gate-row-MODE_NOT_PERMITTED")).toHaveTextContent("not metMODE=shadowMODE=live and a restart");
  });

  it("reads a universe in either form, and every setting once", () => {
    expect(universeOf("BTCUSDT, ETHUSDT")).toEqual(["BTCUSDT", "ETHUSDT"]);
    expect(grouped(settings.values).flatMap((group) => group.settings.map(({ name }) => name)).sort()).toEqual(Object.keys(settings.values).filter((name) => name !== "UNIVERSE").sort());
  });
});

describe("the dashboard", () => {
  const world = { status: STATUS, account: ACCOUNT, positions: [], signals: [], universe: [] };

  it("shows the shadow account alone while there is no other", () => {
    renderDesk(<DashboardView />, world);
    expect(screen.getByTestId("margin-equity")).toHaveTextContent("10,125.50");
    expect(screen.queryByTestId("card-margin-live")).toBeNull();
  });

  it("shows shadow and live side by side", () => {
    renderDesk(<DashboardView />, { ...world, cache: [[keys.liveAccount, { ...ACCOUNT, mode: "live", equity: 501.25 }], [keys.liveEquity, []]] });
    expect(screen.getByTestId("margin-live-equity")).toHaveTextContent("501.25");
    expect(screen.getByTestId("margin-equity")).toHaveTextContent("10,125.50");
  });
});
