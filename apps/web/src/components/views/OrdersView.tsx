"use client";

import { OrdersTable } from "@/components/tables/OrdersTable";
import { TradesTable } from "@/components/tables/TradesTable";
import { PageFrame } from "./PageFrame";

export function OrdersView() {
  return (
    <PageFrame id="orders" title="nav.orders" lead="page.orders.lead">
      <OrdersTable />
      <TradesTable />
    </PageFrame>
  );
}
