"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge, type Tone } from "@/components/ui/badge";
import type { DeskCommand } from "@/lib/api/schemas";
import type { Text } from "@/lib/i18n/useText";
import { commandsQuery } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const TONE: Record<DeskCommand["state"], Tone> = { waiting: "amber", done: "good", refused: "bad" };

function commandColumns(text: Text): Column<DeskCommand>[] {
  const { t, words } = text;
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (row) => <SymbolLink symbol={row.symbol} />, sort: (row) => row.symbol },
    { id: "kind", label: "col.command", cell: (row) => words("command", row.kind), sort: (row) => row.kind },
    { id: "state", label: "col.status", cell: (row) => <Badge tone={TONE[row.state]}>{t(`command.state.${row.state}`)}</Badge>, sort: (row) => row.state },
    { id: "asked", label: "col.time", numeric: true, cell: (row) => text.dayMinute(Date.parse(row.created_at)), sort: (row) => Date.parse(row.created_at), csv: (row) => row.created_at },
    { id: "author", label: "col.by", cell: (row) => row.author, sort: (row) => row.author },
    { id: "reason", label: "col.reason", cell: (row) => <span className="text-soft">{row.reason}</span>, csv: (row) => row.reason },
    { id: "outcome", label: "col.outcome", cell: (row) => row.outcome ?? "–", csv: (row) => row.outcome },
  ];
}

/** What was asked of single symbols, and what came of it. */
export function CommandsTable() {
  const query = useQuery(commandsQuery);
  return <SimpleTable id="commands" query={query} columns={commandColumns} rowKey={(row) => String(row.command_id)} words={{ title: "commands.title", caption: "commands.caption", empty: "commands.empty", emptyWhat: "commands.empty.what" }} />;
}
