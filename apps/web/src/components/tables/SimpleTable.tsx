"use client";

import type { UseQueryResult } from "@tanstack/react-query";
import { useMemo } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { DataTable, TableTools } from "@/components/ui/data-table";
import { Empty } from "@/components/ui/states";
import type { MessageKey } from "@/lib/i18n/en";
import { useText, type Text } from "@/lib/i18n/useText";
import { useTable, type Column } from "@/lib/table/useTable";

interface Words {
  title: MessageKey;
  caption: MessageKey;
  empty: MessageKey;
  emptyWhat: MessageKey;
}

/** A titled table over one query with all its states. `columns` must be the same function on every rendering. */
export function SimpleTable<Row>({ id, query, columns, rowKey, words }: { id: string; query: UseQueryResult<Row[]>; columns: (text: Text) => Column<Row>[]; rowKey: (row: Row) => string; words: Words }) {
  const { t } = useText();
  return (
    <Card title={t(words.title)} data-testid={`card-${id}`} bodyClassName="p-0">
      <QueryView query={query} what={words.title} rows={4}>
        {(rows) => <Body id={id} rows={rows} columns={columns} rowKey={rowKey} words={words} />}
      </QueryView>
    </Card>
  );
}

function Body<Row>({ id, rows, columns, rowKey, words }: { id: string; rows: Row[]; columns: (text: Text) => Column<Row>[]; rowKey: (row: Row) => string; words: Words }) {
  const text = useText();
  const built = useMemo(() => columns(text), [columns, text]);
  const table = useTable({ id, columns: built, rows, rowKey });
  return (
    <>
      <div className="flex items-center justify-end gap-1.5 border-b border-line px-2 py-1">
        <span className="num label mr-auto">{text.t("table.rows", { count: rows.length })}</span>
        <TableTools table={table} />
      </div>
      <DataTable table={table} caption={text.t(words.caption)} empty={<Empty title={text.t(words.empty)}>{text.t(words.emptyWhat)}</Empty>} />
    </>
  );
}
