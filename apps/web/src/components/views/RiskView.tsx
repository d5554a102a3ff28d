"use client";

import { MarginCard } from "@/components/cards/MarginCard";
import { RiskBlockersCard } from "@/components/cards/RiskBlockersCard";
import { PageFrame } from "./PageFrame";

export function RiskView() {
  return (
    <PageFrame id="risk" title="nav.risk" lead="page.risk.lead" coming="page.risk.coming">
      <div className="grid gap-2 sm:grid-cols-2 sm:gap-3">
        <RiskBlockersCard />
        <MarginCard />
      </div>
    </PageFrame>
  );
}
