"use client";

import { ArrowDown, ArrowUp, Columns3, Download, ListRestart } from "lucide-react";
import { memo, type ReactNode } from "react";
import { cn } from "@/lib/cn";
import { download, toCsv, type Cell } from "@/lib/format/csv";
import { useText } from "@/lib/i18n/useText";
import type { Column, Table } from "@/lib/table/useTable";
import { Button } from "./button";
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

/** Sort again, column choice and CSV: what every table offers. */
export function TableTools<Row>({ table }: { table: Table<Row> }) {
  const { t } = useText();
  return (
    <>
      {table.wanted !== null && (
        <input
          type="search"
          aria-label={t("table.find")}
          placeholder={t("table.find")}
          value={table.wanted}
          onChange={(event) => table.want(event.target.value)}
          data-testid={`${table.id}-find`}
          className="h-6 w-24 rounded border border-line bg-panel-2 px-2 text-xs outline-none placeholder:text-faint focus-visible:border-brand sm:w-32"
        />
      )}
      {table.sort !== null && (
        <Button size="sm" variant="ghost" disabled={!table.drifted} onClick={table.resort} title={t("table.resort.what")} data-testid={`${table.id}-resort`}>
          <ListRestart aria-hidden /> <span className="hidden sm:inline">{t("table.resort")}</span>
        </Button>
      )}
      <Menu>
        <Button size="sm" asChild>
          <MenuTrigger aria-label={t("table.columns")} data-testid={`${table.id}-columns`}>
            <Columns3 aria-hidden /> <span className="hidden sm:inline">{t("table.columns")}</span>
          </MenuTrigger>
        </Button>
        <MenuContent>
          {table.columns
            .filter((column) => column.pinned !== true)
            .map((column) => (
              <MenuCheck key={column.id} checked={table.isShown(column.id)} onCheckedChange={(shown) => table.show(column.id, shown)}>
                {t(column.label)}
              </MenuCheck>
            ))}
        </MenuContent>
      </Menu>
      <Button size="sm" title={t("table.csv.what")} onClick={() => download(`perpilot-${table.id}.csv`, csvOf(table))} data-testid={`${table.id}-csv`}>
        <Download aria-hidden /> {t("table.csv")}
      </Button>
    </>
  );
}

interface RowProps<Row> {
  row: Row;
  columns: readonly Column<Row>[];
}

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

function Head<Row>({ column, table }: { column: Column<Row>; table: Table<Row> }) {
  const { t } = useText();
  const sorted = table.sort?.column === column.id ? (table.sort.descending ? "desc" : "asc") : null;
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
        <button type="button" onClick={() => table.sortBy(column.id)} title={t("table.sort", { column: name })} className={cn("inline-flex items-center gap-0.5 hover:text-text", column.numeric && "flex-row-reverse", sorted && "text-text")}>
          {name}
          {sorted === "desc" && <ArrowDown aria-hidden className="size-3" />}
          {sorted === "asc" && <ArrowUp aria-hidden className="size-3" />}
        </button>
      )}
    </th>
  );
}

function Cells<Row>({ row, columns }: RowProps<Row>): ReactNode {
  return columns.map((column) =>
    column.pinned ? (
      <th key={column.id} scope="row" className={PINNED_CELL}>
        {column.cell(row)}
      </th>
    ) : (
      <td key={column.id} data-column={column.id} className={column.numeric ? NUMBER_CELL : WORD_CELL}>
        {column.cell(row)}
      </td>
    ),
  );
}

/** Drawn again only when what it shows is another. */
const KeptCells = memo(Cells, (drawn: RowProps<unknown>, next: RowProps<unknown>) => drawn.columns === next.columns && same(drawn.row, next.row)) as typeof Cells;

/** Rows keep their place while their numbers move; the first column stays in sight. */
export function DataTable<Row>({ table, caption, empty, className, rowClassName }: { table: Table<Row>; caption: string; empty?: ReactNode; className?: string; rowClassName?: (row: Row) => string | undefined }) {
  const { t } = useText();
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
        <thead className="sticky top-0 z-10">
          <tr>
            {table.visible.map((column) => (
              <Head key={column.id} column={column} table={table} />
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row) => {
            const key = table.rowKey(row);
            return (
              <tr key={key} data-testid={`${table.id}-row-${key}`} className={cn("group hover:bg-panel-2 has-[[data-nav-row]:focus]:bg-raised", rowClassName?.(row))}>
                <KeptCells row={row} columns={table.visible} />
              </tr>
            );
          })}
        </tbody>
      </table>
      {table.rows.length === 0 && (table.wanted ? <Empty title={t("table.none")} action={<Button size="sm" className="mt-1.5" onClick={() => table.want("")}>{t("signals.clear_filter")}</Button>} /> : empty)}
    </div>
  );
}
