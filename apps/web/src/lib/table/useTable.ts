/** State of one table: columns shown, order, and what is remembered of both in the browser. */
import { useMemo, useState, type ReactNode } from "react";
import type { Cell } from "@/lib/format/csv";
import type { MessageKey } from "@/lib/i18n/en";
import { useUrlParam } from "@/lib/useUrlState";
import { inOrder, isSorted, sortedKeys, type Sort, type SortValue } from "./order";

export interface Column<Row> {
  id: string;
  label: MessageKey;
  /** Numbers stand right, words left. */
  numeric?: boolean;
  cell: (row: Row) => ReactNode;
  /** Colour and weight of a cell's text. */
  tone?: (row: Row) => string | undefined;
  /** What is told when the pointer rests on the cell. */
  hint?: (row: Row) => string | undefined;
  sort?: (row: Row) => SortValue;
  /** Raw value of the CSV; the sort value when left out. */
  csv?: (row: Row) => Cell;
  /** Not shown until chosen. */
  optional?: boolean;
  /**
   * Width in digits, padding included. Where every column shown has one, nothing on the page is measured or moves
   * when a number changes; else the browser looks at all cells to find the widths.
   */
  width?: number;
  /** Cannot be hidden, and stays in sight when the table scrolls sideways. */
  pinned?: boolean;
}

export interface TableOptions<Row> {
  id: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  defaultSort?: Sort;
  /** Where the page has filters of its own. */
  ownFilter?: boolean;
}

export interface Table<Row> {
  id: string;
  columns: readonly Column<Row>[];
  visible: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  sort: Sort | null;
  /** The kept order is no longer that of the numbers shown. */
  drifted: boolean;
  sortBy: (column: string) => void;
  resort: () => void;
  isShown: (column: string) => boolean;
  show: (column: string, shown: boolean) => void;
  /** What rows must hold in some column to be shown, whatever its case; null where the page has filters of its own. */
  wanted: string | null;
  want: (text: string) => void;
}

interface Remembered {
  shown?: Record<string, boolean>;
  sort?: Sort | null;
}

function recall(id: string): Remembered {
  try {
    return JSON.parse(localStorage.getItem(`perpilot.table.${id}`) ?? "{}") as Remembered;
  } catch {
    return {};
  }
}

function remember(id: string, change: Remembered): void {
  localStorage.setItem(`perpilot.table.${id}`, JSON.stringify({ ...recall(id), ...change }));
}

/** `change.desc` as it stands in the address; null where it is none. */
function readSort(text: string | null): Sort | null {
  const [, column, way] = /^(\w+)\.(asc|desc)$/.exec(text ?? "") ?? [];
  return column === undefined ? null : { column, descending: way === "desc" };
}

/** Whether a row holds `text` in what it would write to a file. */
function holds<Row>(row: Row, columns: readonly Column<Row>[], text: string): boolean {
  return columns.some((column) => String((column.csv ?? column.sort)?.(row) ?? "").toLowerCase().includes(text));
}

export function useTable<Row>({ id, columns, rows, rowKey, defaultSort, ownFilter = false }: TableOptions<Row>): Table<Row> {
  const [wanted, want] = useUrlParam(`${id}-find`);
  const [linked, link] = useUrlParam(`${id}-sort`);
  const text = ownFilter ? "" : (wanted ?? "").trim().toLowerCase();
  const keysFor = (sort: Sort | null): string[] => {
    const value = columns.find((column) => column.id === sort?.column)?.sort;
    return sort === null || value === undefined ? rows.map(rowKey) : sortedKeys(rows, rowKey, value, sort.descending);
  };
  const [shown, setShown] = useState<Record<string, boolean>>(() => recall(id).shown ?? {});
  const [order, setOrder] = useState(() => {
    const sort = readSort(linked) ?? recall(id).sort ?? defaultSort ?? null;
    return { sort, keys: keysFor(sort) };
  });

  const visible = useMemo(() => columns.filter((column) => column.pinned === true || (shown[column.id] ?? column.optional !== true)), [columns, shown]);
  const apply = (sort: Sort | null) => {
    setOrder({ sort, keys: keysFor(sort) });
    remember(id, { sort });
    link(sort === null ? null : `${sort.column}.${sort.descending ? "desc" : "asc"}`);
  };
  // Unsorted rows stand as the API gives them: what is new in a list of newest first comes first.
  const ordered = order.sort === null ? [...rows] : inOrder(rows, rowKey, order.keys);
  const value = columns.find((column) => column.id === order.sort?.column)?.sort;
  return {
    id,
    columns,
    rowKey,
    wanted: ownFilter ? null : (wanted ?? ""),
    want,
    isShown: (name) => visible.some((column) => column.id === name),
    visible,
    rows: text === "" ? ordered : ordered.filter((row) => holds(row, columns, text)),
    sort: order.sort,
    drifted: order.sort !== null && value !== undefined && !isSorted(ordered, value, order.sort.descending),
    // First the largest, then the smallest, then as it came.
    sortBy: (column) => {
      if (order.sort?.column !== column) apply({ column, descending: true });
      else if (order.sort.descending) apply({ column, descending: false });
      else apply(defaultSort?.column === column ? { column, descending: true } : (defaultSort ?? null));
    },
    resort: () => setOrder({ sort: order.sort, keys: keysFor(order.sort) }),
    show: (column, isOn) => {
      const next = { ...shown, [column]: isOn };
      setShown(next);
      remember(id, { shown: next });
    },
  };
}
