import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useTable, type Column } from "@/lib/table/useTable";
import { DataTable } from "./data-table";

interface Row {
  name: string;
  value: number;
}

const COLUMNS: Column<Row>[] = [
  { id: "name", label: "col.symbol", cell: (row) => row.name },
  { id: "value", label: "col.price", cell: (row) => row.value, hint: (row) => (row.value > 1 ? `now ${row.value}` : undefined) },
];

function Shown({ rows }: { rows: readonly Row[] }) {
  return <DataTable table={useTable({ id: "shown", columns: COLUMNS, rows, rowKey: (row) => row.name, ownFilter: true })} caption="shown" />;
}

let tell: (row: Element, near: boolean) => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      constructor(callback: (entries: { target: Element; isIntersecting: boolean }[]) => void) {
        tell = (target, isIntersecting) => act(() => callback([{ target, isIntersecting }]));
      }
      observe() {}
      unobserve() {}
    },
  );
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("rows out of sight", () => {
  it("are drawn every few seconds, and at once when they come near the screen", () => {
    const { rerender } = render(<Shown rows={[{ name: "a", value: 1 }, { name: "b", value: 1 }]} />);
    const row = (name: string) => screen.getByTestId(`shown-row-${name}`);
    tell(row("b"), false);
    rerender(<Shown rows={[{ name: "a", value: 2 }, { name: "b", value: 2 }]} />);
    expect(row("a")).toHaveTextContent("a2");
    expect(row("b")).toHaveTextContent("b1");
    act(() => void vi.advanceTimersByTime(5_000));
    expect(row("b")).toHaveTextContent("b2");
    rerender(<Shown rows={[{ name: "a", value: 3 }, { name: "b", value: 3 }]} />);
    expect(row("b")).toHaveTextContent("b2");
    tell(row("b"), true);
    expect(row("b")).toHaveTextContent("b3");
  });
});

describe("hints", () => {
  it("are of the newest row when the pointer comes, and go when there is none", () => {
    const { rerender } = render(<Shown rows={[{ name: "a", value: 2 }]} />);
    const cell = screen.getByText("2");
    expect(cell).not.toHaveAttribute("title");
    rerender(<Shown rows={[{ name: "a", value: 3 }]} />);
    fireEvent.pointerEnter(cell);
    expect(cell).toHaveAttribute("title", "now 3");
    rerender(<Shown rows={[{ name: "a", value: 1 }]} />);
    fireEvent.pointerEnter(cell);
    expect(cell).toHaveAttribute("title", "");
  });
});
