"use client";

import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Signed } from "@/components/ui/signed";
import { funded, type Funded } from "@/lib/domain/exposure";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { livePositionsQuery, positionsQuery } from "@/lib/queries/live";
import { useTrades } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function fundingColumns(text: Text): Column<Funded>[] {
  const { t } = text;
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (row) => <SymbolLink symbol={row.symbol} navRow />, sort: (row) => row.symbol },
    { id: "side", label: "col.side", cell: (row) => text.words("side", row.side), sort: (row) => row.side },
    { id: "from", label: "col.entry", numeric: true, cell: (row) => text.dayMinute(row.from), sort: (row) => row.from },
    { id: "to", label: "col.exit", numeric: true, cell: (row) => (row.to === null ? <Badge tone="brand">{t("ops.open")}</Badge> : text.dayMinute(row.to)), sort: (row) => row.to },
    { id: "notional", label: "col.notional", numeric: true, cell: (row) => text.money(row.notional), sort: (row) => row.notional },
    { id: "funding", label: "col.funding", numeric: true, cell: (row) => <Signed value={-row.funding} text={text.money(row.funding, true)} />, sort: (row) => row.funding },
    { id: "share", label: "funding.share", numeric: true, cell: (row) => text.bps(row.notional ? row.funding / row.notional : null, 2), sort: (row) => (row.notional ? row.funding / row.notional : null) },
  ];
}

/** Funding paid (plus) and received (minus), by position, open ones first. */
export function FundingTable({ mode, window }: { mode: AccountMode; window: Window }) {
  const { data: shadow = [] } = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const positions = mode === "live" ? live : shadow;
  const { query: trades, more } = useTrades(mode, window);
  const query = { ...trades, data: trades.data && funded(positions, trades.data) } as UseQueryResult<Funded[]>;
  return <SimpleTable id="funding" query={query} more={more} columns={fundingColumns} rowKey={(row) => `${row.symbol}:${row.from}`} words={{ title: "orders.tab.funding", caption: "funding.caption", empty: "funding.empty", emptyWhat: "funding.empty.what" }} />;
}
