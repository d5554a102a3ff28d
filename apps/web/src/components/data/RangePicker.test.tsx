import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { windowKey } from "@/lib/domain/range";
import { currentRefresh, every, useWindow } from "@/lib/rangeState";
import { RangePicker } from "./RangePicker";

function Page({ fallback = "7d" as const }: { fallback?: "7d" | "1d" }) {
  return (
    <>
      <RangePicker fallback={fallback} />
      <output>{windowKey(useWindow(fallback))}</output>
    </>
  );
}
const open = (address: string, page = <Page />) => {
  window.history.replaceState(null, "", address);
  return render(page);
};
const shown = () => screen.getByRole("status").textContent;

describe("the time range of the pages", () => {
  it("is each page's own until one is chosen, and then all pages'", async () => {
    const { unmount } = open("/orders/");
    expect(shown()).toBe("7d");
    await userEvent.click(within(screen.getByTestId("range")).getByText("3h"));
    expect(window.location.search).toBe("?range=3h");
    unmount();
    open("/risk/?severity=2", <Page fallback="1d" />);
    expect(shown()).toBe("3h");
    expect(window.location.search).toBe("?severity=2&range=3h");
  });

  it("is what a link says, whatever was chosen before", async () => {
    open("/orders/?range=3h").unmount();
    open("/orders/?from=2025-05-26T09:00:00.000Z&to=2025-05-26T12:30:00.000Z").unmount();
    open("/risk/", <Page fallback="1d" />);
    expect(shown()).toBe(`${Date.UTC(2025, 4, 26, 9)}-${Date.UTC(2025, 4, 26, 12, 30)}`);
    expect(window.location.search).not.toContain("range=");
  });

  it("carries the refresh rate along, which lists over a range keep to", async () => {
    const { unmount } = open("/orders/");
    expect(every(60_000)()).toBe(60_000);
    await userEvent.selectOptions(screen.getByTestId("refresh"), "5s");
    expect([currentRefresh(), every(60_000)()]).toEqual(["5s", 5_000]);
    await userEvent.selectOptions(screen.getByTestId("refresh"), "off");
    unmount();
    open("/data-quality/", <Page fallback="1d" />);
    expect(window.location.search).toBe("?refresh=off");
    expect(every(60_000)()).toBe(false);
    await userEvent.selectOptions(screen.getByTestId("refresh"), "auto");
    expect(window.location.search).toBe("");
  });
});
