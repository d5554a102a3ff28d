"use client";

import { useQuery } from "@tanstack/react-query";
import { ShareBar } from "@/components/data/ShareBar";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Meter } from "@/components/ui/meter";
import { Signed } from "@/components/ui/signed";
import type { RLDecision, RLStats } from "@/lib/api/schemas";
import { chances } from "@/lib/domain/training";
import { useText, type Text } from "@/lib/i18n/useText";
import { rlDecisionsQuery, rlStatsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<RLDecision>[] {
  const { t, words } = text;
  return [
    { id: "time", label: "col.time", pinned: true, cell: (row) => <span className="num">{text.dayMinute(Date.parse(row.ts))}</span>, sort: (row) => Date.parse(row.ts), csv: (row) => row.ts },
    { id: "symbol", label: "col.symbol", cell: (row) => <SymbolLink symbol={row.symbol} />, sort: (row) => row.symbol },
    { id: "action", label: "col.action", cell: (row) => <span className="font-medium">{words("action", row.action_name)}</span>, sort: (row) => row.action_name },
    {
      id: "confidence",
      label: "col.confidence",
      numeric: true,
      cell: (row) => (
        <span className="inline-flex w-32 items-center gap-2">
          <Meter label={t("col.confidence")} value={row.confidence ?? 0} />
          <span className="num w-9 shrink-0 text-right">{text.percent(row.confidence, 0)}</span>
        </span>
      ),
      sort: (row) => row.confidence,
    },
    { id: "probs", label: "col.probs", cell: (row) => <ShareBar testId={`rl-probs-${row.id}`} shares={chances(row.action_probs).map(({ name, chance }) => ({ name: words("action", name), share: chance }))} />, csv: (row) => JSON.stringify(row.action_probs) },
    { id: "executed", label: "col.executed", cell: (row) => t(row.executed ? "risk.yes" : "risk.no"), sort: (row) => Number(row.executed) },
    { id: "pnl", label: "col.realized", numeric: true, cell: (row) => <Signed value={row.pnl_result} text={text.money(row.pnl_result, true)} />, sort: (row) => row.pnl_result },
    { id: "model", label: "col.model", optional: true, cell: (row) => row.model_id, sort: (row) => row.model_id },
  ];
}

/** How the actions of a day are spread. */
function Actions({ stats }: { stats: RLStats }) {
  const { t, words, percent, fixed } = useText();
  return (
    <section data-testid="rl-actions">
      <h3 className="label mb-1">{t("rl.actions")}</h3>
      <ul className="grid gap-x-6 gap-y-1 sm:grid-cols-2">
        {stats.actions.map((row) => (
          <li key={row.action} className="grid grid-cols-[5rem_1fr_auto] items-center gap-2 text-xs" title={t("rl.actions.row", { action: words("action", row.action_name), count: row.count, executed: row.executed, confidence: percent(row.mean_confidence, 0) })}>
            <span className="font-medium">{words("action", row.action_name)}</span>
            <Meter label={words("action", row.action_name)} value={row.count / stats.decisions} />
            <span className="num text-right">
              {fixed(row.count)} · {percent(row.mean_confidence, 0)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The agent's decisions, newest first (§25.6). */
export function RLDecisionsTable() {
  const query = useQuery(rlDecisionsQuery);
  const { data: stats } = useQuery(rlStatsQuery);
  return (
    <SimpleTable id="rl-decisions" query={query} columns={columns} rowKey={(row) => String(row.id)} words={{ title: "rl.decisions", caption: "rl.decisions", empty: "rl.decisions.empty", emptyWhat: "rl.decisions.empty.what" }}>
      {stats !== undefined && stats.decisions > 0 && <Actions stats={stats} />}
    </SimpleTable>
  );
}
