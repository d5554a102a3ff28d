"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Signed } from "@/components/ui/signed";
import type { Order } from "@/lib/api/schemas";
import type { Text } from "@/lib/i18n/useText";
import { ordersQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function orderColumns(text: Text): Column<Order>[] {
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (order) => <SymbolLink symbol={order.symbol} navRow />, sort: (order) => order.symbol },
    { id: "time", label: "col.time", numeric: true, cell: (order) => text.dayMinute(Date.parse(order.created_at)), sort: (order) => Date.parse(order.created_at), csv: (order) => order.created_at },
    { id: "side", label: "col.side", cell: (order) => text.words("side", order.side), sort: (order) => order.side },
    { id: "leg", label: "col.leg", cell: (order) => order.leg, sort: (order) => order.leg },
    { id: "type", label: "col.type", cell: (order) => <span className="text-2xs text-soft">{order.type}</span>, sort: (order) => order.type },
    { id: "status", label: "col.status", cell: (order) => <Badge tone={order.status === "FILLED" ? "good" : order.status === "REJECTED" ? "bad" : "neutral"}>{order.status}</Badge>, sort: (order) => order.status },
    { id: "qty", label: "col.qty", numeric: true, cell: (order) => text.price(order.qty), sort: (order) => order.qty },
    { id: "avg_price", label: "col.avg_price", numeric: true, cell: (order) => text.price(order.avg_price ?? order.price), sort: (order) => order.avg_price ?? order.price },
    { id: "stop_price", label: "col.stop_price", numeric: true, cell: (order) => text.price(order.stop_price), sort: (order) => order.stop_price },
    { id: "fee", label: "col.fee", numeric: true, cell: (order) => text.money(order.fee), sort: (order) => order.fee },
    { id: "realized", label: "col.realized", numeric: true, cell: (order) => <Signed value={order.realized_pnl} text={text.money(order.realized_pnl, true)} />, sort: (order) => order.realized_pnl },
  ];
}

export function OrdersTable() {
  const query = useQuery(ordersQuery);
  return (
    <SimpleTable
      id="orders"
      query={query}
      columns={orderColumns}
      rowKey={(order) => `${order.mode}:${order.symbol}:${order.order_id}`}
      words={{ title: "orders.title", caption: "orders.caption", empty: "orders.empty", emptyWhat: "orders.empty.what" }}
    />
  );
}
