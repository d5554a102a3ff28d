"use client";

import { SideBadge } from "@/components/data/SideBadge";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Signed } from "@/components/ui/signed";
import type { AttributedTrade } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { PARTS, useAttributedTrades } from "@/lib/queries/attribution";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<AttributedTrade>[] {
  const money = (id: "live_net" | "shadow_net" | "difference" | (typeof PARTS)[number], label: Column<AttributedTrade>["label"]): Column<AttributedTrade> => ({
    id,
    label,
    numeric: true,
    cell: (trade) => <Signed value={trade[id]} text={text.money(trade[id], true)} />,
    sort: (trade) => trade[id],
  });
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (trade) => <SymbolLink symbol={trade.symbol} navRow />, sort: (trade) => trade.symbol },
    { id: "side", label: "col.side", cell: (trade) => <SideBadge side={trade.side === "SHORT" ? "SHORT" : "LONG"} />, sort: (trade) => trade.side },
    { id: "exit_ts", label: "col.exit", numeric: true, cell: (trade) => text.dayMinute(Date.parse(trade.exit_ts)), sort: (trade) => Date.parse(trade.exit_ts), csv: (trade) => trade.exit_ts },
    { id: "exit_reason", label: "col.reason", cell: (trade) => text.words("exit", trade.exit_reason), sort: (trade) => trade.exit_reason },
    money("live_net", "attribution.live"),
    money("shadow_net", "attribution.shadow"),
    money("difference", "attribution.difference"),
    ...PARTS.map((part) => money(part, `attribution.${part}`)),
  ];
}

/** The same trade by trade, newest exit first. */
export function AttributionTable({ window }: { window: Window }) {
  const { query, more } = useAttributedTrades(window);
  return <SimpleTable id="attribution" query={query} more={more} columns={columns} rowKey={(trade) => `${trade.symbol}:${trade.entry_ts}:${trade.exit_ts}`} words={{ title: "attribution.trades", caption: "attribution.trades", empty: "attribution.empty", emptyWhat: "attribution.empty.what" }} />;
}
