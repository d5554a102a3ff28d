"use client";

import { AccountSwitch, useAccountMode } from "@/components/data/AccountSwitch";
import { RangePicker } from "@/components/data/RangePicker";
import { FunnelPanel } from "@/components/panels/FunnelPanel";
import { LatchPanel } from "@/components/panels/LatchPanel";
import { RiskTimeline } from "@/components/panels/RiskTimeline";
import { GuardsTable } from "@/components/tables/GuardsTable";
import { SymbolFunnelTable } from "@/components/tables/SymbolFunnelTable";
import { useWindow } from "@/lib/rangeState";
import { PageFrame } from "./PageFrame";

/** What may stop trading, how near it is, what it stopped and what was done about it. */
export function RiskView() {
  const mode = useAccountMode();
  const window = useWindow("1d");
  return (
    <PageFrame
      id="risk"
      title="nav.risk"
      lead="page.risk.lead"
      aside={
        <>
          <AccountSwitch />
          <RangePicker fallback="1d" />
        </>
      }
    >
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-[3fr_2fr]">
        <GuardsTable mode={mode} />
        <LatchPanel />
      </div>
      <FunnelPanel mode={mode} window={window} />
      <SymbolFunnelTable mode={mode} window={window} />
      <RiskTimeline window={window} />
    </PageFrame>
  );
}
