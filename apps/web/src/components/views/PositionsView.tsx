"use client";

import { PositionsTable } from "@/components/tables/PositionsTable";
import { TradesTable } from "@/components/tables/TradesTable";
import { PageFrame } from "./PageFrame";

export function PositionsView() {
  return (
    <PageFrame id="positions" title="nav.positions" lead="page.positions.lead">
      <PositionsTable />
      <TradesTable />
    </PageFrame>
  );
}
