"use client";

import { FunnelBars } from "@/components/charts/FunnelBars";
import type { WhyNot } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { useWhyNot } from "@/lib/queries/history";
import type { AccountMode } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<WhyNot>[] {
  const { words, why, bps } = text;
  const at = (row: WhyNot) => Date.parse(row.ts);
  return [
    { id: "minute", label: "col.minute", pinned: true, cell: (row) => <span className="num">{text.dayMinute(at(row))}</span>, sort: at, csv: (row) => row.ts },
    { id: "ev_long", label: "col.ev_long", numeric: true, cell: (row) => bps(row.ev_long), sort: (row) => row.ev_long },
    { id: "ev_short", label: "col.ev_short", numeric: true, cell: (row) => bps(row.ev_short), sort: (row) => row.ev_short },
    {
      id: "reasons",
      label: "col.reason",
      cell: (row) => (
        <span className="inline-flex gap-2">
          {row.reasons.map(({ code }, index) => (
            <span key={code} title={why(code)} className={index === 0 ? "font-medium" : "text-soft"}>
              {words("reason", code)}
            </span>
          ))}
        </span>
      ),
      sort: (row) => row.reasons[0]?.code,
      csv: (row) => row.reasons.map(({ code }) => code).join(" "),
    },
    { id: "late", label: "quality.late", numeric: true, optional: true, cell: (row) => text.duration(row.late_ms), sort: (row) => row.late_ms },
  ];
}

/** Every minute of the range in which the symbol was not entered, with all that stood against it, and their sum. */
export function WhyNotTable({ symbol, mode, window }: { symbol: string; mode: AccountMode; window: Window }) {
  const { query, newest, more } = useWhyNot(symbol, mode, window);
  return (
    <SimpleTable id="why-not" query={query} columns={columns} rowKey={(row) => row.ts} more={more} height="max-h-96" words={{ title: "why_not.title", caption: "why_not.caption", empty: "why_not.empty", emptyWhat: "why_not.empty.what" }}>
      {newest?.summary && newest.summary.rows > 0 && <FunnelBars funnel={newest.summary} />}
    </SimpleTable>
  );
}
