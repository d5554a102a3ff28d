"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Signed } from "@/components/ui/signed";
import type { Order } from "@/lib/api/schemas";
import { isConditional } from "@/lib/domain/orders";
import type { Window } from "@/lib/domain/range";
import type { Text } from "@/lib/i18n/useText";
import { openOrdersQuery, useOrders } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";
import type { Decimals } from "@/lib/queries/useDecimals";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function orderColumns(text: Text, decimals: Decimals): Column<Order>[] {
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (order) => <SymbolLink symbol={order.symbol} navRow />, sort: (order) => order.symbol },
    { id: "time", label: "col.time", numeric: true, cell: (order) => text.dayMinute(Date.parse(order.created_at)), sort: (order) => Date.parse(order.created_at), csv: (order) => order.created_at },
    { id: "side", label: "col.side", cell: (order) => text.words("side", order.side), sort: (order) => order.side },
    { id: "leg", label: "col.leg", cell: (order) => order.leg && text.words("leg", order.leg), sort: (order) => order.leg },
    { id: "type", label: "col.type", cell: (order) => <span className="text-2xs text-soft">{order.type}</span>, sort: (order) => order.type },
    {
      id: "status",
      label: "col.status",
      cell: (order) => <Badge tone={order.status === "FILLED" ? "good" : order.status === "REJECTED" ? "bad" : "neutral"}>{text.words("order", order.status)}</Badge>,
      sort: (order) => order.status,
    },
    { id: "qty", label: "col.qty", numeric: true, cell: (order) => text.quantity(order.qty), sort: (order) => order.qty },
    { id: "avg_price", label: "col.avg_price", numeric: true, cell: (order) => text.price(order.avg_price ?? order.price, decimals(order.symbol)), sort: (order) => order.avg_price ?? order.price },
    { id: "stop_price", label: "col.stop_price", numeric: true, cell: (order) => text.price(order.stop_price, decimals(order.symbol)), sort: (order) => order.stop_price },
    { id: "fee", label: "col.fee", numeric: true, cell: (order) => text.money(order.fee), sort: (order) => order.fee },
    { id: "realized", label: "col.realized", numeric: true, cell: (order) => <Signed value={order.realized_pnl} text={text.money(order.realized_pnl, true)} />, sort: (order) => order.realized_pnl },
    { id: "id", label: "col.order_id", optional: true, cell: (order) => <span className="num text-2xs">{order.client_order_id ?? order.order_id}</span>, sort: (order) => order.client_order_id ?? String(order.order_id) },
    { id: "updated", label: "col.updated", numeric: true, optional: true, cell: (order) => text.dayMinute(Date.parse(order.updated_at)), sort: (order) => Date.parse(order.updated_at), csv: (order) => order.updated_at },
  ];
}

const rowKey = (order: Order) => `${order.mode}:${order.symbol}:${order.order_id}`;

/** Every order of the range, newest first. */
export function OrdersTable({ mode, window }: { mode: AccountMode; window: Window }) {
  const { query, more } = useOrders(mode, window);
  return <SimpleTable id="orders" query={query} more={more} columns={orderColumns} rowKey={rowKey} words={{ title: "orders.title", caption: "orders.caption", empty: "orders.empty", emptyWhat: "orders.empty.range" }} />;
}

/** Orders that still stand: those in the book, or those that wait for their trigger. */
export function OpenOrdersTable({ mode, conditional }: { mode: AccountMode; conditional: boolean }) {
  const query = useQuery({ ...openOrdersQuery(mode), select: (orders) => orders.filter((order) => isConditional(order) === conditional) });
  const words = conditional
    ? ({ title: "orders.tab.conditional", caption: "orders.tab.conditional", empty: "orders.conditional.empty", emptyWhat: "orders.conditional.empty.what" } as const)
    : ({ title: "orders.tab.open", caption: "orders.tab.open", empty: "orders.open.empty", emptyWhat: "orders.open.empty.what" } as const);
  return <SimpleTable id={conditional ? "conditional" : "open-orders"} query={query} columns={orderColumns} rowKey={rowKey} words={words} />;
}
