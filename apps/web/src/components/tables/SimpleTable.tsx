"use client";

import type { UseQueryResult } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Button } from "@/components/ui/button";
import { Card, type Alert } from "@/components/ui/card";
import { DataTable, TableTools } from "@/components/ui/data-table";
import { Empty } from "@/components/ui/states";
import type { MessageKey } from "@/lib/i18n/en";
import { useText, type Text } from "@/lib/i18n/useText";
import type { More } from "@/lib/queries/pages";
import { useDecimals, type Decimals } from "@/lib/queries/useDecimals";
import { useTable, type Column } from "@/lib/table/useTable";

interface Words {
  title: MessageKey;
  caption: MessageKey;
  empty: MessageKey;
  emptyWhat: MessageKey;
}

interface SimpleTableProps<Row> {
  id: string;
  query: UseQueryResult<Row[]>;
  /** The same function on every rendering. */
  columns: (text: Text, decimals: Decimals) => Column<Row>[];
  rowKey: (row: Row) => string;
  words: Words;
  /** At the right of the title. */
  aside?: ReactNode;
  alert?: Alert;
  /** Between title and rows. */
  children?: ReactNode;
  /** Older rows that have not been asked for. */
  more?: More | null;
  /** A class that bounds long lists; they scroll inside. */
  height?: string;
}

/** A titled table over one query with all its states. */
export function SimpleTable<Row>({ id, query, columns, rowKey, words, aside, alert = null, children, more = null, height }: SimpleTableProps<Row>) {
  const { t } = useText();
  return (
    <Card title={t(words.title)} data-testid={`card-${id}`} bodyClassName="p-0" aside={aside} alert={alert}>
      {children !== undefined && children !== false && children !== null && <div className="border-b border-line p-2">{children}</div>}
      <QueryView query={query} what={words.title} rows={4}>
        {(rows) => <Body id={id} rows={rows} columns={columns} rowKey={rowKey} words={words} more={more} {...(height !== undefined && { height })} />}
      </QueryView>
    </Card>
  );
}

function Body<Row>({ id, rows, columns, rowKey, words, more, height }: { rows: Row[]; more: More | null } & Pick<SimpleTableProps<Row>, "id" | "columns" | "rowKey" | "words" | "height">) {
  const text = useText();
  const decimals = useDecimals();
  const built = useMemo(() => columns(text, decimals), [columns, decimals, text]);
  const table = useTable({ id, columns: built, rows, rowKey });
  return (
    <>
      <div className="flex items-center justify-end gap-1.5 border-b border-line px-2 py-1">
        <span className="num label mr-auto">{text.t("table.rows", { count: rows.length })}</span>
        <TableTools table={table} />
      </div>
      <DataTable table={table} caption={text.t(words.caption)} {...(height !== undefined && { className: height })} empty={<Empty title={text.t(words.empty)}>{text.t(words.emptyWhat)}</Empty>} />
      {more !== null && (
        <div className="flex justify-center border-t border-line p-1.5">
          <Button size="sm" variant="ghost" disabled={more.loading} onClick={more.load} data-testid={`${id}-more`}>
            {text.t(more.loading ? "table.more.loading" : "table.more")}
          </Button>
        </div>
      )}
    </>
  );
}
