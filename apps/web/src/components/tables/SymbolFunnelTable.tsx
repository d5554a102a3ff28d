"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import type { SymbolFunnel } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { funnelQuery } from "@/lib/queries/history";
import type { AccountMode } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<SymbolFunnel>[] {
  const { words, why, fixed } = text;
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (row) => <SymbolLink symbol={row.symbol} navRow />, sort: (row) => row.symbol },
    { id: "rows", label: "risk.funnel.rows", numeric: true, cell: (row) => fixed(row.rows), sort: (row) => row.rows },
    { id: "traded", label: "risk.funnel.traded", numeric: true, cell: (row) => <span className={row.traded > 0 ? "font-semibold" : "text-faint"}>{fixed(row.traded)}</span>, sort: (row) => row.traded },
    { id: "blocked", label: "risk.funnel.blocked", numeric: true, cell: (row) => fixed(row.blocked), sort: (row) => row.blocked },
    { id: "flat", label: "risk.funnel.flat", numeric: true, cell: (row) => fixed(row.flat), sort: (row) => row.flat },
    {
      id: "top",
      label: "risk.funnel.top",
      cell: (row) =>
        row.top_code === null ? (
          "–"
        ) : (
          <span title={why(row.top_code)}>
            {words("reason", row.top_code)} <span className="hidden text-2xs text-faint sm:inline">{row.top_code}</span>
          </span>
        ),
      sort: (row) => row.top_code,
    },
  ];
}

/** The funnel of each symbol over the range; its page lists the minutes one by one. */
export function SymbolFunnelTable({ mode, window }: { mode: AccountMode; window: Window }) {
  const query = useQuery({ ...funnelQuery(mode, window), select: (funnel) => funnel.symbols });
  return <SimpleTable id="symbol-funnel" query={query} columns={columns} rowKey={(row) => row.symbol} words={{ title: "risk.funnel.symbols", caption: "risk.funnel.symbols", empty: "risk.funnel.empty", emptyWhat: "risk.funnel.empty.what" }} />;
}
