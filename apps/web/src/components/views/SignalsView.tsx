"use client";

import { TopSignalsTable } from "@/components/cards/TopSignalsTable";
import { PageFrame } from "./PageFrame";

export function SignalsView() {
  return (
    <PageFrame id="signals" title="nav.signals" lead="page.signals.lead">
      <TopSignalsTable />
    </PageFrame>
  );
}
