"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { RepairButton } from "@/components/panels/RepairButton";
import { Badge } from "@/components/ui/badge";
import type { Gap, QualityEvent, SymbolDrift, SymbolQuality } from "@/lib/api/schemas";
import { missingState, psiState } from "@/lib/domain/quality";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { useMarketNow } from "@/lib/live/useFreshness";
import { useGaps, useQualityEvents } from "@/lib/queries/history";
import { driftQuery, qualityQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

type Row = SymbolQuality & { drift: SymbolDrift | null };

function symbolColumns(text: Text): Column<Row>[] {
  const { words } = text;
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (row) => <SymbolLink symbol={row.symbol} navRow />, sort: (row) => row.symbol },
    { id: "status", label: "col.status", cell: (row) => <span className="text-soft">{words("status", row.status)}</span>, sort: (row) => row.status },
    { id: "newest", label: "health.latest_bar", numeric: true, cell: (row) => text.dayMinute(row.newest_ts === null ? null : Date.parse(row.newest_ts)), sort: (row) => (row.newest_ts === null ? null : Date.parse(row.newest_ts)), csv: (row) => row.newest_ts },
    { id: "age", label: "col.age", numeric: true, cell: (row) => text.duration(row.age_ms), sort: (row) => row.age_ms },
    { id: "missing", label: "quality.missing", numeric: true, cell: (row) => row.missing_24h, sort: (row) => row.missing_24h },
    { id: "rate", label: "drift.missing", numeric: true, cell: (row) => <Badge tone={missingState(row.missing_rate_24h)}>{text.percent(row.missing_rate_24h, 3)}</Badge>, sort: (row) => row.missing_rate_24h },
    { id: "late", label: "quality.late", numeric: true, cell: (row) => row.late_24h, sort: (row) => row.late_24h },
    { id: "gaps", label: "drift.gaps", numeric: true, cell: (row) => row.open_gaps, sort: (row) => row.open_gaps },
    { id: "events", label: "drift.events", numeric: true, cell: (row) => row.quality_events_24h, sort: (row) => row.quality_events_24h },
    { id: "psi", label: "col.psi", numeric: true, cell: (row) => <Badge tone={psiState(row.drift?.psi ?? null)}>{text.fixed(row.drift?.psi, 3)}</Badge>, sort: (row) => row.drift?.psi },
    { id: "outliers", label: "quality.outliers", numeric: true, cell: (row) => text.percent(row.drift?.outlier_rate, 2), sort: (row) => row.drift?.outlier_rate },
    { id: "feature_missing", label: "quality.feature_missing", numeric: true, optional: true, cell: (row) => text.percent(row.drift?.missing_rate, 2), sort: (row) => row.drift?.missing_rate },
  ];
}

/** Every symbol over the last day: what is missing or late, how far its inputs have moved, how often they jump. */
export function SymbolQualityTable() {
  const { data: drift } = useQuery(driftQuery);
  const bySymbol = new Map(drift?.symbols.map((row) => [row.symbol, row]));
  const query = useQuery({ ...qualityQuery, select: (quality) => quality.symbols.map((row): Row => ({ ...row, drift: bySymbol.get(row.symbol) ?? null })) });
  return <SimpleTable id="symbol-quality" query={query} columns={symbolColumns} rowKey={(row) => row.symbol} words={{ title: "quality.symbols", caption: "quality.symbols.caption", empty: "signals.empty", emptyWhat: "signals.empty.what" }} />;
}

function gapColumns(text: Text): Column<Gap>[] {
  const { words } = text;
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (gap) => <SymbolLink symbol={gap.symbol} />, sort: (gap) => gap.symbol },
    { id: "status", label: "col.status", cell: (gap) => <Badge tone={gap.status === "open" ? "amber" : gap.status === "repaired" ? "good" : "bad"}>{words("gap", gap.status)}</Badge>, sort: (gap) => gap.status },
    { id: "dataset", label: "col.dataset", cell: (gap) => <span className="text-soft">{gap.dataset}</span>, sort: (gap) => gap.dataset },
    { id: "from", label: "range.from", numeric: true, cell: (gap) => text.dayMinute(Date.parse(gap.from_ts)), sort: (gap) => Date.parse(gap.from_ts), csv: (gap) => gap.from_ts },
    { id: "to", label: "range.to", numeric: true, cell: (gap) => text.dayMinute(Date.parse(gap.to_ts)), sort: (gap) => Date.parse(gap.to_ts), csv: (gap) => gap.to_ts },
    { id: "missing", label: "quality.missing", numeric: true, cell: (gap) => gap.missing_bars, sort: (gap) => gap.missing_bars },
    { id: "repaired", label: "quality.repaired", numeric: true, cell: (gap) => gap.repaired_bars, sort: (gap) => gap.repaired_bars },
    { id: "source", label: "col.source", cell: (gap) => gap.source ?? "–", sort: (gap) => gap.source },
    { id: "found", label: "quality.found", numeric: true, optional: true, cell: (gap) => text.dayMinute(Date.parse(gap.found_at)), sort: (gap) => Date.parse(gap.found_at), csv: (gap) => gap.found_at },
    { id: "act", label: "col.act", cell: (gap) => (gap.status === "repaired" ? null : <RepairButton gap={gap} />) },
  ];
}

/** Gaps that touch the range. */
export function GapsTable({ window }: { window: Window }) {
  const { query, more } = useGaps(window);
  const marketNow = useMarketNow(60_000);
  return <SimpleTable id="gaps" height="max-h-96" query={query} alert={query.data?.some((gap) => gap.status === "open") ? "amber" : null} more={more} columns={gapColumns} rowKey={(gap) => `${gap.symbol}:${gap.dataset}:${gap.from_ts}`} words={{ title: "quality.gaps", caption: "quality.gaps.caption", empty: "quality.gaps.empty", emptyWhat: "quality.gaps.empty.what" }} aside={<RepairButton {...(marketNow !== null && { now: marketNow })} />} />;
}

function eventColumns(text: Text): Column<QualityEvent>[] {
  return [
    { id: "time", label: "col.time", pinned: true, cell: (event) => <span className="num">{`${text.day(Date.parse(event.ts)).slice(5)} ${text.clock(Date.parse(event.ts))}`}</span>, sort: (event) => Date.parse(event.ts), csv: (event) => event.ts },
    { id: "symbol", label: "col.symbol", cell: (event) => (event.symbol === null ? "–" : <SymbolLink symbol={event.symbol} />), sort: (event) => event.symbol },
    { id: "code", label: "col.code", cell: (event) => <Badge tone="amber">{event.code}</Badge>, sort: (event) => event.code },
    { id: "message", label: "col.message", cell: (event) => <span className="text-soft">{event.message}</span>, csv: (event) => event.message },
    { id: "details", label: "col.details", optional: true, cell: (event) => <span className="num text-2xs">{event.details === null ? "–" : JSON.stringify(event.details)}</span>, csv: (event) => (event.details === null ? null : JSON.stringify(event.details)) },
  ];
}

/** Input that was refused: outliers, impossible values, broken frames. */
export function QualityEventsTable({ window }: { window: Window }) {
  const { query, more } = useQualityEvents(window);
  return <SimpleTable id="quality-events" height="max-h-96" query={query} more={more} columns={eventColumns} rowKey={(event) => `${event.ts}:${event.symbol ?? ""}:${event.code}:${event.message}`} words={{ title: "quality.events", caption: "quality.events.caption", empty: "quality.events.empty", emptyWhat: "quality.events.empty.what" }} />;
}
