"use client";

import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { memo, useMemo } from "react";
import { QueryView } from "@/components/data/QueryView";
import { SignalDrawer } from "@/components/panels/SignalDrawer";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { DataTable, TableTools } from "@/components/ui/data-table";
import { Segmented } from "@/components/ui/segmented";
import { Empty, Loading } from "@/components/ui/states";
import type { Instrument, Signal } from "@/lib/api/schemas";
import { decisionOf, primaryReason, signalRows, type SignalRow } from "@/lib/domain/signals";
import { useText } from "@/lib/i18n/useText";
import { rankingQuery, signalsQuery, universeQuery, type Ranking } from "@/lib/queries/live";
import { useTable } from "@/lib/table/useTable";
import { setUrlParams, useUrlParam } from "@/lib/useUrlState";
import { signalColumns } from "./signalColumns";

const RANKINGS = ["ev", "funding", "volatility"] as const satisfies readonly Ranking[];
const NAMES = ["all", ...RANKINGS, "blocked", "traded"] as const;
type Filter = (typeof NAMES)[number];

const isRanking = (filter: Filter): filter is Ranking => (RANKINGS as readonly string[]).includes(filter);

/** The most extreme ones are named by the API, which also knows what the signals do not carry. */
function passes(filter: Filter, row: SignalRow, ranked: ReadonlySet<string>): boolean {
  if (isRanking(filter)) return ranked.has(row.symbol);
  if (filter === "traded") return decisionOf(row.signal) !== "FLAT";
  return filter === "all" || (row.signal !== null && primaryReason(row.signal) !== null);
}

function useFilteredRows(rows: SignalRow[]) {
  const [filterParam] = useUrlParam("filter");
  const [reason] = useUrlParam("reason");
  const [search] = useUrlParam("q");
  const filter: Filter = NAMES.find((name) => name === filterParam) ?? "all";
  const { data: top } = useQuery({ ...rankingQuery(isRanking(filter) ? filter : "ev"), enabled: isRanking(filter) });
  const ranked = new Set(top);
  const wanted = (search ?? "").trim().toUpperCase();
  const shown = rows.filter(
    (row) => passes(filter, row, ranked) && (wanted === "" || row.symbol.includes(wanted)) && (reason === null || (row.signal !== null && primaryReason(row.signal) === reason)),
  );
  return { shown, filter, reason, search: search ?? "" };
}

/** Drawn again when the choice changes, not with every number below. */
const Filters = memo(function Filters({ filter, reason, search }: { filter: Filter; reason: string | null; search: string }) {
  const { t, words } = useText();
  return (
    <>
      <Segmented label={t("signals.filter")} testId="signals-filter" value={filter} onChange={(name) => setUrlParams({ filter: name === "all" ? null : name })} options={NAMES.map((name) => ({ value: name, text: t(`signals.filter.${name}`) }))} />
      <input
        type="search"
        data-testid="signals-search"
        aria-label={t("signals.filter")}
        placeholder={t("search.placeholder")}
        value={search}
        onChange={(event) => setUrlParams({ q: event.target.value })}
        className="h-6 w-36 rounded border border-line bg-panel-2 px-2 text-xs outline-none placeholder:text-faint focus-visible:border-brand"
      />
      {reason !== null && (
        <Button size="sm" variant="ghost" className="text-amber" data-testid="signals-reason-filter" title={t("signals.clear_filter")} onClick={() => setUrlParams({ reason: null })}>
          {words("reason", reason)} <X aria-hidden />
        </Button>
      )}
    </>
  );
});

function Body({ instruments, signals }: { instruments: readonly Instrument[]; signals: readonly Signal[] }) {
  const text = useText();
  const { t } = text;
  const rows = useMemo(() => signalRows(instruments, signals), [instruments, signals]);
  const columns = useMemo(() => signalColumns(text), [text]);
  // The order is that of all rows, so that filtering takes lines out and moves none.
  const table = useTable({ id: "signals", columns, rows, rowKey: (row) => row.symbol, defaultSort: { column: "ev", descending: true }, ownFilter: true });
  const { shown, filter, reason, search } = useFilteredRows([...table.rows]);
  // What is filtered by is shown.
  const visible = useMemo(
    () => (filter === "funding" ? columns.filter((column) => column.id === "funding_rate" || table.visible.includes(column)) : table.visible),
    [columns, filter, table.visible],
  );
  const filtered = { ...table, rows: shown, visible };
  if (rows.length === 0) return <Empty title={t("signals.empty")}>{t("signals.empty.what")}</Empty>;
  return (
    <>
      <div className="flex flex-wrap items-center gap-1.5 border-b border-line px-2 py-1.5">
        <Filters filter={filter} reason={reason} search={search} />
        <span className="num label" data-testid="signals-count">
          {t("table.rows", { count: shown.length })}
        </span>
        <div className="ml-auto flex items-center gap-1.5">
          <TableTools table={filtered} />
        </div>
      </div>
      <DataTable
        table={filtered}
        caption={t("signals.caption")}
        rowClassName={(row) => (row.instrument?.tradable === false ? "text-faint" : undefined)}
        empty={
          <Empty
            title={t("signals.none_match")}
            action={
              <Button size="sm" className="mt-1.5" onClick={() => setUrlParams({ filter: null, reason: null, q: null })}>
                {t("signals.clear_filter")}
              </Button>
            }
          />
        }
      />
      <SignalDrawer />
    </>
  );
}

/** Every symbol of the universe with what was expected, decided and why: one row each, also the delisted ones (D46). */
export function TopSignalsTable({ title }: { title?: string }) {
  const { t } = useText();
  const universe = useQuery(universeQuery);
  const signals = useQuery(signalsQuery);
  return (
    <Card title={title ?? t("signals.title")} data-testid="card-signals" bodyClassName="p-0">
      <QueryView query={universe} what="signals.title" rows={12}>
        {(instruments) =>
          // The first order is made of numbers, so it waits for them; afterwards it holds still.
          signals.isPending ? (
            <Loading className="p-3" rows={12} label={t("state.loading", { what: t("signals.title") })} />
          ) : (
            <Body instruments={instruments} signals={signals.data ?? []} />
          )
        }
      </QueryView>
    </Card>
  );
}
