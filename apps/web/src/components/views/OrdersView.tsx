"use client";

import dynamic from "next/dynamic";
import { AccountSwitch, useAccountMode } from "@/components/data/AccountSwitch";
import { RangePicker } from "@/components/data/RangePicker";
import { ExecutionCard } from "@/components/cards/ExecutionCard";
import { AttributionChart } from "@/components/charts/AttributionChart";
import { OrderTimeline } from "@/components/panels/OrderTimeline";
import { AttributionTable } from "@/components/tables/AttributionTable";
import { FillsTable } from "@/components/tables/FillsTable";
import { FundingTable } from "@/components/tables/FundingTable";
import { OpenOrdersTable, OrdersTable } from "@/components/tables/OrdersTable";
import { PositionsTable } from "@/components/tables/PositionsTable";
import { ProfitTable } from "@/components/tables/ProfitTable";
import { TradesTable } from "@/components/tables/TradesTable";
import { Skeleton } from "@/components/ui/states";
import { Tabs } from "@/components/ui/tabs";
import { windowKey } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { useWindow } from "@/lib/rangeState";
import { useUrlParam } from "@/lib/useUrlState";
import { PageFrame } from "./PageFrame";

// Behind tabs that are not looked at every day: fetched when they are.
const EquityChart = dynamic(() => import("@/components/charts/EquityChart").then((module) => module.EquityChart), { ssr: false, loading: () => <Skeleton className="h-64" /> });
const TradeAnalysis = dynamic(() => import("@/components/charts/TradeAnalysis").then((module) => module.TradeAnalysis), { ssr: false, loading: () => <Skeleton className="h-64" /> });
const IntentsTable = dynamic(() => import("@/components/tables/IntentsTable").then((module) => module.IntentsTable), { ssr: false, loading: () => <Skeleton className="h-40" /> });

/** In the order that exchanges have taught. */
const TABS = ["positions", "open", "conditional", "orders", "fills", "funding", "intents", "performance", "attribution"] as const;

/** Orders and fills as they happened, how often they failed and what they slipped. */
export function OrdersView() {
  const { t } = useText();
  const mode = useAccountMode();
  const window = useWindow("7d");
  const [param, setTab] = useUrlParam("tab");
  const tab = TABS.find((name) => name === param) ?? "orders";
  const key = `${mode}:${windowKey(window)}`;
  const content = {
    positions: <PositionsTable />,
    open: <OpenOrdersTable key={mode} mode={mode} conditional={false} />,
    conditional: <OpenOrdersTable key={mode} mode={mode} conditional />,
    orders: <OrdersTable key={key} mode={mode} window={window} />,
    fills: (
      <>
        <FillsTable key={`f${key}`} mode={mode} window={window} />
        <TradesTable key={`t${key}`} mode={mode} window={window} />
      </>
    ),
    funding: <FundingTable key={key} mode={mode} window={window} />,
    intents: <IntentsTable key={windowKey(window)} window={window} />,
    performance: (
      <>
        <EquityChart window={window} />
        <TradeAnalysis mode={mode} window={window} />
        <ProfitTable mode={mode} />
      </>
    ),
    attribution: (
      <>
        <AttributionChart window={window} />
        <AttributionTable key={windowKey(window)} window={window} />
      </>
    ),
  };
  return (
    <PageFrame
      id="orders"
      title="nav.orders"
      lead="page.orders.lead"
      aside={
        <>
          <AccountSwitch />
          <RangePicker fallback="7d" />
        </>
      }
    >
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-2">
        <ExecutionCard mode={mode} window={window} />
        <OrderTimeline mode={mode} window={window} />
      </div>
      <Tabs label={t("nav.orders")} testId="orders-tab" value={tab} onChange={(value) => setTab(value === "orders" ? null : value)} tabs={TABS.map((id) => ({ id, text: t(`orders.tab.${id}`), content: content[id] }))} />
    </PageFrame>
  );
}
