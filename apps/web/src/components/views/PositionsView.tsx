"use client";

import { useQuery } from "@tanstack/react-query";
import { CostBreakdownChart } from "@/components/charts/CostBreakdownChart";
import { RiskTopCard } from "@/components/cards/RiskTopCard";
import { CommandsTable } from "@/components/tables/CommandsTable";
import { PositionsTable } from "@/components/tables/PositionsTable";
import { liveAccountQuery } from "@/lib/queries/live";
import { PageFrame } from "./PageFrame";

/** What is held, what is nearest to harm, and what holding has cost. */
export function PositionsView() {
  const { data: live } = useQuery(liveAccountQuery);
  return (
    <PageFrame id="positions" title="nav.positions" lead="page.positions.lead">
      <PositionsTable />
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-2">
        <RiskTopCard />
        <CostBreakdownChart />
      </div>
      {live && <CommandsTable />}
    </PageFrame>
  );
}
