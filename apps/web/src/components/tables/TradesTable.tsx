"use client";

import { SideBadge } from "@/components/data/SideBadge";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Signed } from "@/components/ui/signed";
import type { ClosedTrade } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { useTrades } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";
import type { Decimals } from "@/lib/queries/useDecimals";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function tradeColumns(text: Text, decimals: Decimals): Column<ClosedTrade>[] {
  const held = (trade: ClosedTrade) => Date.parse(trade.exit_ts) - Date.parse(trade.entry_ts);
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (trade) => <SymbolLink symbol={trade.symbol} navRow />, sort: (trade) => trade.symbol },
    { id: "exit", label: "col.exit", numeric: true, cell: (trade) => text.dayMinute(Date.parse(trade.exit_ts)), sort: (trade) => Date.parse(trade.exit_ts), csv: (trade) => trade.exit_ts },
    { id: "side", label: "col.side", cell: (trade) => <SideBadge side={trade.side === "SHORT" ? "SHORT" : "LONG"} />, sort: (trade) => trade.side },
    { id: "reason", label: "col.exit_reason", cell: (trade) => text.words("exit", trade.exit_reason), sort: (trade) => trade.exit_reason },
    { id: "hold", label: "col.hold", numeric: true, cell: (trade) => text.duration(held(trade)), sort: held },
    { id: "qty", label: "col.qty", numeric: true, cell: (trade) => text.quantity(trade.qty), sort: (trade) => trade.qty },
    { id: "entry_price", label: "col.entry", numeric: true, cell: (trade) => text.price(trade.entry_price, decimals(trade.symbol)), sort: (trade) => trade.entry_price },
    { id: "exit_price", label: "col.avg_price", numeric: true, optional: true, cell: (trade) => text.price(trade.exit_price, decimals(trade.symbol)), sort: (trade) => trade.exit_price },
    { id: "slippage", label: "margin.slippage", numeric: true, optional: true, cell: (trade) => text.money(trade.slippage), sort: (trade) => trade.slippage },
    { id: "fees", label: "col.fee", numeric: true, cell: (trade) => text.money(trade.fees), sort: (trade) => trade.fees },
    { id: "funding", label: "col.funding", numeric: true, cell: (trade) => text.money(trade.funding), sort: (trade) => trade.funding },
    { id: "net", label: "col.net", numeric: true, cell: (trade) => <Signed withArrow value={trade.net} text={text.money(trade.net, true)} className="font-semibold" />, sort: (trade) => trade.net },
    { id: "r", label: "col.r", numeric: true, cell: (trade) => <Signed value={trade.r_multiple} text={text.fixed(trade.r_multiple, 2, true)} />, sort: (trade) => trade.r_multiple },
  ];
}

/** Closed round trips, newest exit first. */
export function TradesTable({ mode, window }: { mode: AccountMode; window: Window }) {
  const { query, more } = useTrades(mode, window);
  return (
    <SimpleTable
      id="trades"
      query={query}
      more={more}
      columns={tradeColumns}
      rowKey={(trade) => `${trade.mode}:${trade.symbol}:${trade.entry_ts}:${trade.exit_ts}`}
      words={{ title: "trades.title", caption: "trades.caption", empty: "trades.empty", emptyWhat: "trades.empty.what" }}
    />
  );
}
