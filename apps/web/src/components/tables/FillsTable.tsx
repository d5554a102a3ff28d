"use client";

import { SymbolLink } from "@/components/data/SymbolLink";
import { Signed } from "@/components/ui/signed";
import type { Fill } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { useFills } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";
import type { Decimals } from "@/lib/queries/useDecimals";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function fillColumns(text: Text, decimals: Decimals): Column<Fill>[] {
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (fill) => <SymbolLink symbol={fill.symbol} navRow />, sort: (fill) => fill.symbol },
    { id: "time", label: "col.time", numeric: true, cell: (fill) => `${text.day(Date.parse(fill.ts)).slice(5)} ${text.clock(Date.parse(fill.ts))}`, sort: (fill) => Date.parse(fill.ts), csv: (fill) => fill.ts },
    { id: "side", label: "col.side", cell: (fill) => text.words("side", fill.side), sort: (fill) => fill.side },
    { id: "leg", label: "col.leg", cell: (fill) => fill.leg && text.words("leg", fill.leg), sort: (fill) => fill.leg },
    { id: "price", label: "col.price", numeric: true, cell: (fill) => text.price(fill.price, decimals(fill.symbol)), sort: (fill) => fill.price },
    { id: "qty", label: "col.qty", numeric: true, cell: (fill) => text.quantity(fill.qty), sort: (fill) => fill.qty },
    { id: "notional", label: "col.notional", numeric: true, cell: (fill) => text.money(fill.price * fill.qty), sort: (fill) => fill.price * fill.qty },
    { id: "fee", label: "col.fee", numeric: true, cell: (fill) => `${text.price(fill.fee, 4)} ${fill.fee_asset ?? ""}`, sort: (fill) => fill.fee },
    { id: "realized", label: "col.realized", numeric: true, cell: (fill) => <Signed value={fill.realized_pnl} text={text.money(fill.realized_pnl, true)} />, sort: (fill) => fill.realized_pnl },
    { id: "order", label: "col.order_id", optional: true, numeric: true, cell: (fill) => fill.order_id, sort: (fill) => fill.order_id },
  ];
}

/** The exchange's trade history: one line a fill. */
export function FillsTable({ mode, window }: { mode: AccountMode; window: Window }) {
  const { query, more } = useFills(mode, window);
  return <SimpleTable id="fills" query={query} more={more} columns={fillColumns} rowKey={(fill) => `${fill.symbol}:${fill.trade_id}`} words={{ title: "fills.title", caption: "fills.caption", empty: "fills.empty", emptyWhat: "orders.empty.range" }} />;
}
