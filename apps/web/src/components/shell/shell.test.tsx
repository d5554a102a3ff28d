import { act, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { setPrefs } from "@/lib/prefs/store";
import { navigation } from "@/testing/navigation";
import { renderDesk } from "@/testing/render";
import { instrument, signal, STATUS } from "@/testing/samples";
import { Shell } from "./Shell";

const UNIVERSE = ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT"].map((symbol) => instrument(symbol));
const desk = (world = {}) => renderDesk(<Shell>{null}</Shell>, { status: STATUS, universe: UNIVERSE, signals: [signal()], ...world });

describe("Shell", () => {
  it("has nine pages, the mode in words, the clock with its speed and the demo mark", () => {
    desk();
    expect(screen.getByTestId("nav").querySelectorAll("a")).toHaveLength(9);
    expect(screen.getByTestId("nav-dashboard")).toHaveAttribute("aria-current", "page");
    expect(screen.getByTestId("mode-badge")).toHaveTextContent("SHADOW");
    expect(screen.getAllByTestId("demo-badge")[0]).toHaveTextContent("DEMO MODEL");
    expect(screen.getAllByTestId("clock-speed")[0]).toHaveTextContent("×60");
    expect(screen.getAllByTestId("exchange")[0]).toHaveTextContent("emulator");
  });

  it("says max for a clock that runs as fast as the consumer follows", () => {
    desk({ status: { ...STATUS, clock_speed: null } });
    expect(screen.getAllByTestId("clock-speed")[0]).toHaveTextContent("max");
  });

  it("says halted before anything else", () => {
    desk({ status: { ...STATUS, kill_switch: "HALTED", model_kind: "production" } });
    expect(screen.getByTestId("mode-badge")).toHaveTextContent("HALTED");
    expect(screen.queryByTestId("demo-badge")).toBeNull();
  });

  it("greys numbers and says so when the connection is gone", () => {
    desk({ connection: "reconnecting" });
    expect(screen.getByTestId("content")).toHaveAttribute("data-stale", "true");
    expect(screen.getByTestId("stale-banner")).toHaveTextContent("Reconnecting");
  });

  it("tells how far the clock is off the exchange's, and warns where no entry is made any more", () => {
    const { unmount } = desk({ status: { ...STATUS, clock_speed: 1, latency_ms: { clock_skew: 41 } } });
    expect(screen.getAllByTestId("clock-skew")[0]).toHaveTextContent("±41 ms");
    expect(screen.getAllByTestId("clock-skew")[0]).not.toHaveClass("text-amber");
    unmount();
    desk({ status: { ...STATUS, clock_speed: 1, latency_ms: { clock_skew: 501 } } });
    expect(screen.getAllByTestId("clock-skew")[0]).toHaveClass("text-amber");
  });

  it("trusts numbers that are fresh", () => {
    desk();
    expect(screen.getByTestId("content")).toHaveAttribute("data-stale", "false");
    expect(screen.queryByTestId("stale-banner")).toBeNull();
  });

  it("switches language, zone and theme, and keeps them", async () => {
    desk();
    await userEvent.click(screen.getByTestId("switch-language"));
    expect(screen.getByTestId("mode-badge")).toHaveTextContent("섀도우");
    expect(document.documentElement.lang).toBe("ko");
    await userEvent.click(screen.getByTestId("switch-theme"));
    expect(document.documentElement.dataset.theme).toBe("light");
    await userEvent.click(screen.getByTestId("switch-zone"));
    expect(screen.getByTestId("switch-zone")).toHaveTextContent("UTC+9");
    expect(JSON.parse(localStorage.getItem("perpilot.prefs")!)).toMatchObject({ language: "ko", theme: "light", zone: "local" });
  });

  it("goes to pages by g and a letter", async () => {
    desk();
    await userEvent.keyboard("gt");
    await userEvent.keyboard("gd");
    expect(navigation.pushed).toEqual(["/training/", "/dashboard/"]);
  });

  it("finds a symbol by typing a part of it", async () => {
    desk();
    await userEvent.keyboard("/");
    const input = await screen.findByTestId("symbol-search-input");
    await userEvent.type(input, "pep{Enter}");
    expect(navigation.pushed).toEqual(["/symbol/1000PEPEUSDT/"]);
    expect(screen.queryByTestId("symbol-search")).toBeNull();
  });

  it("does not take letters from whoever is writing", async () => {
    desk();
    await userEvent.keyboard("/");
    await userEvent.type(await screen.findByTestId("symbol-search-input"), "gd");
    expect(navigation.pushed).toEqual([]);
    expect(screen.getByTestId("symbol-search-input")).toHaveValue("gd");
  });

  it("walks from symbol to symbol and keeps the range of the link", async () => {
    window.history.replaceState(null, "", "/symbol/BTCUSDT/?range=1d");
    desk();
    await userEvent.keyboard("j");
    await userEvent.keyboard("k");
    await userEvent.keyboard("k");
    expect(navigation.pushed).toEqual(["/symbol/ETHUSDT/?range=1d", "/symbol/BTCUSDT/?range=1d", "/symbol/1000PEPEUSDT/?range=1d"]);
  });

  it("opens the help sheet and closes it with Escape", async () => {
    desk();
    await userEvent.keyboard("?");
    expect(await screen.findByTestId("help-sheet")).toHaveTextContent("Keyboard shortcuts");
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByTestId("help-sheet")).toBeNull();
  });

  it("gives the focus back to what opened a dialog", async () => {
    desk();
    const button = screen.getByTestId("open-kill-switch");
    await userEvent.click(button);
    await screen.findByRole("dialog");
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(button).toHaveFocus();
  });

  it("lets no shortcut act behind an open dialog", async () => {
    desk();
    await userEvent.click(screen.getByTestId("open-kill-switch"));
    (await screen.findByRole("dialog")).focus();
    const theme = document.documentElement.dataset.theme;
    await userEvent.keyboard("t");
    await userEvent.keyboard("gr");
    await userEvent.keyboard("/");
    expect(document.documentElement.dataset.theme).toBe(theme);
    expect(navigation.pushed).toEqual([]);
    expect(screen.queryByTestId("symbol-search-input")).toBeNull();
  });

  it("names the tab in the reader's language", async () => {
    window.history.replaceState(null, "", "/risk/");
    setPrefs({ language: "ko" });
    desk();
    expect(document.title).toBe("리스크 · Perpilot");
  });

  it("turns stale by itself when nothing new is told", async () => {
    const { client } = desk();
    act(() => client.setQueryData(["status"], { ...STATUS, receivedAt: performance.now() - 10_000 }));
    await screen.findByTestId("stale-banner");
  });

  it("keeps the filters of a page, unless a link says others", async () => {
    const at = (href: string) => act(() => window.history.replaceState(null, "", href));
    at("/signals/?filter=blocked&why=BTCUSDT&range=3h");
    desk();
    at("/orders/?orders-find=btc");
    at("/signals/");
    expect(window.location.search).toBe("?filter=blocked"); // what is open, and the time, are not a filter
    at("/orders/");
    expect(window.location.search).toBe("?orders-find=btc");
    at("/orders/?orders-find=eth");
    at("/signals/?reason=EV_MIN");
    expect(window.location.search).toBe("?reason=EV_MIN");
    at("/signals/");
    at("/orders/");
    expect(window.location.search).toBe("?orders-find=eth");
    at("/signals/");
    expect(window.location.search).toBe(""); // taken away by hand, it stays away
    at("/dashboard/");
    localStorage.clear();
  });
});
