"use client";

import { DriftCard } from "@/components/cards/DriftCard";
import { SystemHealthCard } from "@/components/cards/SystemHealthCard";
import { PageFrame } from "./PageFrame";

export function DataQualityView() {
  return (
    <PageFrame id="data-quality" title="nav.data_quality" lead="page.data_quality.lead">
      <div className="grid gap-2 sm:grid-cols-2 sm:gap-3">
        <DriftCard />
        <SystemHealthCard />
      </div>
    </PageFrame>
  );
}
