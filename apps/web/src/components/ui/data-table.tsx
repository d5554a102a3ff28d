"use client";

import { ArrowDown, ArrowUp, Columns3, Download, ListRestart } from "lucide-react";
import { memo, type ReactNode, type RefObject } from "react";
import { cn } from "@/lib/cn";
import { download, toCsv, type Cell } from "@/lib/format/csv";
import { useText } from "@/lib/i18n/useText";
import { useNearScreen } from "@/lib/table/useNearScreen";
import { useNewest, useSlowly } from "@/lib/table/useNewest";
import type { Sort } from "@/lib/table/order";
import type { Column, Table } from "@/lib/table/useTable";
import { Button } from "./button";
import { hinted } from "./hinted";
import { Empty } from "./states";
import { Menu, MenuCheck, MenuContent, MenuTrigger } from "./menu";

function csvOf<Row>(table: Table<Row>): string {
  const cell = (column: Column<Row>, row: Row): Cell => (column.csv ?? column.sort)?.(row);
  const columns = table.columns.filter((column) => column.csv !== undefined || column.sort !== undefined);
  return toCsv(
    columns.map((column) => column.id),
    table.rows.map((row) => columns.map((column) => cell(column, row))),
  );
}

interface ToolsProps<Row> extends Pick<Table<Row>, "id" | "columns" | "visible" | "wanted" | "drifted"> {
  sorted: boolean;
  newest: RefObject<Table<Row>>;
}

function Tools<Row>({ id, columns, visible, wanted, sorted, drifted, newest }: ToolsProps<Row>) {
  const { t } = useText();
  return (
    <>
      {wanted !== null && (
        <input
          type="search"
          aria-label={t("table.find")}
          placeholder={t("table.find")}
          value={wanted}
          onChange={(event) => newest.current.want(event.target.value)}
          data-testid={`${id}-find`}
          className="h-6 w-24 rounded border border-line bg-panel-2 px-2 text-xs outline-none placeholder:text-faint focus-visible:border-brand sm:w-32"
        />
      )}
      {sorted && (
        <Button size="sm" variant="ghost" disabled={!drifted} onClick={() => newest.current.resort()} title={t("table.resort.what")} data-testid={`${id}-resort`}>
          <ListRestart aria-hidden /> <span className="hidden sm:inline">{t("table.resort")}</span>
        </Button>
      )}
      <Menu>
        <Button size="sm" asChild>
          <MenuTrigger aria-label={t("table.columns")} data-testid={`${id}-columns`}>
            <Columns3 aria-hidden /> <span className="hidden sm:inline">{t("table.columns")}</span>
          </MenuTrigger>
        </Button>
        <MenuContent>
          {columns
            .filter((column) => column.pinned !== true)
            .map((column) => (
              <MenuCheck key={column.id} checked={visible.includes(column)} onCheckedChange={(shown) => newest.current.show(column.id, shown)}>
                {t(column.label)}
              </MenuCheck>
            ))}
        </MenuContent>
      </Menu>
      <Button size="sm" title={t("table.csv.what")} onClick={() => download(`perpilot-${id}.csv`, csvOf(newest.current))} data-testid={`${id}-csv`}>
        <Download aria-hidden /> {t("table.csv")}
      </Button>
    </>
  );
}

const KeptTools = memo(Tools) as typeof Tools;

/** Sort again, column choice and CSV: what every table offers. Numbers that move do not draw them again. */
export function TableTools<Row>({ table }: { table: Table<Row> }) {
  const { id, columns, visible, wanted, drifted } = table;
  return <KeptTools id={id} columns={columns} visible={visible} wanted={wanted} drifted={drifted} sorted={table.sort !== null} newest={useNewest(table)} />;
}

interface RowProps<Row> {
  row: Row;
  columns: readonly Column<Row>[];
}

/** How old a row may be that nobody sees. */
const OUT_OF_SIGHT_MS = 5_000;

const WORD_CELL = "h-7 overflow-hidden border-b border-line/60 px-2 text-ellipsis whitespace-nowrap";
const NUMBER_CELL = `${WORD_CELL} num text-right`;
const PINNED_CELL = "sticky left-0 h-7 border-b border-line/60 bg-panel px-2 text-left font-normal whitespace-nowrap group-hover:bg-panel-2 group-has-[[data-nav-row]:focus]:bg-raised";

/** The same row, or one put together anew of the same parts. */
function same<Row>(a: Row, b: Row): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  return left.length === Object.keys(b).length && left.every(([name, value]) => right[name] === value);
}

function Head<Row>({ column, sort, newest }: { column: Column<Row>; sort: Sort | null; newest: RefObject<Table<Row>> }) {
  const { t } = useText();
  const sorted = sort?.column === column.id ? (sort.descending ? "desc" : "asc") : null;
  const name = t(column.label);
  return (
    <th
      scope="col"
      aria-sort={sorted === null ? undefined : sorted === "desc" ? "descending" : "ascending"}
      className={cn("h-7 overflow-hidden border-b border-line bg-panel px-2 text-2xs font-medium whitespace-nowrap text-faint", column.numeric ? "text-right" : "text-left", column.pinned && "sticky left-0 z-10")}
    >
      {column.sort === undefined ? (
        name
      ) : (
        <button type="button" onClick={() => newest.current.sortBy(column.id)} title={t("table.sort", { column: name })} className={cn("inline-flex items-center gap-0.5 hover:text-text", column.numeric && "flex-row-reverse", sorted && "text-text")}>
          {name}
          {sorted === "desc" && <ArrowDown aria-hidden className="size-3" />}
          {sorted === "asc" && <ArrowUp aria-hidden className="size-3" />}
        </button>
      )}
    </th>
  );
}

const KeptHead = memo(function Heads<Row>({ columns, ...rest }: { columns: readonly Column<Row>[]; sort: Sort | null; newest: RefObject<Table<Row>> }) {
  return (
    <thead className="sticky top-0 z-10">
      <tr>
        {columns.map((column) => (
          <Head key={column.id} column={column} {...rest} />
        ))}
      </tr>
    </thead>
  );
}) as <Row>(props: { columns: readonly Column<Row>[]; sort: Sort | null; newest: RefObject<Table<Row>> }) => ReactNode;

function Cells<Row>({ row, columns }: RowProps<Row>): ReactNode {
  return columns.map((column) => {
    if (column.pinned) {
      return (
        <th key={column.id} scope="row" className={PINNED_CELL}>
          {column.cell(row)}
        </th>
      );
    }
    const [usual, tone, { hint }] = [column.numeric ? NUMBER_CELL : WORD_CELL, column.tone?.(row), column];
    return (
      <td key={column.id} data-column={column.id} className={tone === undefined ? usual : `${usual} ${tone}`} {...(hint !== undefined && hinted(() => hint(row)))}>
        {column.cell(row)}
      </td>
    );
  });
}

/** Drawn again only when what it shows is another. */
const KeptCells = memo(Cells, (drawn: RowProps<unknown>, next: RowProps<unknown>) => drawn.columns === next.columns && same(drawn.row, next.row)) as typeof Cells;

interface LineProps<Row> extends RowProps<Row> {
  className: string | undefined;
  testId: string;
  /** The row as it was a while ago, shown out of sight. */
  slow: Row;
}

/** Out of sight a row is drawn every few seconds, with the others there. */
function Line<Row>({ row, slow, columns, className, testId }: LineProps<Row>) {
  const [ref, near] = useNearScreen();
  return (
    <tr ref={ref} data-testid={testId} className={cn("group hover:bg-panel-2 has-[[data-nav-row]:focus]:bg-raised", className)}>
      <KeptCells row={near ? row : slow} columns={columns} />
    </tr>
  );
}

/** Rows keep their place while their numbers move; the first column stays in sight. */
export function DataTable<Row>({ table, caption, empty, className, rowClassName }: { table: Table<Row>; caption: string; empty?: ReactNode; className?: string; rowClassName?: (row: Row) => string | undefined }) {
  const { t } = useText();
  const newest = useNewest(table);
  const rows = useSlowly(table.rows, OUT_OF_SIGHT_MS);
  const slow = new Map(rows.map((row) => [table.rowKey(row), row]));
  const fixed = table.visible.every(({ width }) => width !== undefined);
  const digits = table.visible.reduce((sum, { width = 0 }) => sum + width, 0);
  return (
    <div className={cn("relative overflow-auto", className)} tabIndex={0} role="region" aria-label={caption}>
      <table className="w-full border-separate border-spacing-0" style={fixed ? { tableLayout: "fixed", minWidth: `${digits}ch` } : undefined} data-testid={`${table.id}-table`}>
        <caption className="sr-only">{caption}</caption>
        {fixed && (
          <colgroup>
            {table.visible.map((column) => (
              <col key={column.id} style={{ width: `${column.width}ch` }} />
            ))}
          </colgroup>
        )}
        <KeptHead columns={table.visible} sort={table.sort} newest={newest} />
        <tbody>
          {table.rows.map((row) => {
            const key = table.rowKey(row);
            return <Line key={key} testId={`${table.id}-row-${key}`} row={row} slow={slow.get(key) ?? row} columns={table.visible} className={rowClassName?.(row)} />;
          })}
        </tbody>
      </table>
      {table.rows.length === 0 && (table.wanted ? <Empty title={t("table.none")} action={<Button size="sm" className="mt-1.5" onClick={() => table.want("")}>{t("signals.clear_filter")}</Button>} /> : empty)}
    </div>
  );
}
