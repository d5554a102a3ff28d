"use client";

import { AccountSwitch, useAccountMode } from "@/components/data/AccountSwitch";
import { FunnelPanel } from "@/components/panels/FunnelPanel";
import { LatchPanel } from "@/components/panels/LatchPanel";
import { RiskTimeline } from "@/components/panels/RiskTimeline";
import { GuardsTable } from "@/components/tables/GuardsTable";
import { PageFrame } from "./PageFrame";

/** What may stop trading, how near it is, what it stopped and what was done about it. */
export function RiskView() {
  const mode = useAccountMode();
  return (
    <PageFrame id="risk" title="nav.risk" lead="page.risk.lead" aside={<AccountSwitch />}>
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-[3fr_2fr]">
        <GuardsTable mode={mode} />
        <LatchPanel />
      </div>
      <FunnelPanel mode={mode} />
      <RiskTimeline mode={mode} />
    </PageFrame>
  );
}
