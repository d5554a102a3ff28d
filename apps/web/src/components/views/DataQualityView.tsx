"use client";

import { RangePicker } from "@/components/data/RangePicker";
import { DriftCard } from "@/components/cards/DriftCard";
import { DriftChart } from "@/components/charts/DriftChart";
import { LatencyChart } from "@/components/charts/LatencyChart";
import { QualityHeatMap } from "@/components/charts/QualityHeatMap";
import { GapsTable, QualityEventsTable, SymbolQualityTable } from "@/components/tables/QualityTables";
import { useWindow } from "@/lib/rangeState";
import { PageFrame } from "./PageFrame";

/** Whether the data can be trusted: where and when bars are missing or late, what was refused, how the inputs drift. */
export function DataQualityView() {
  const window = useWindow("1d");
  const week = useWindow("7d"); // measured once an hour: a day of it says little
  return (
    <PageFrame id="data-quality" title="nav.data_quality" lead="page.data_quality.lead" aside={<RangePicker fallback="1d" />}>
      <QualityHeatMap window={window} />
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-[1fr_2fr]">
        <DriftCard />
        <DriftChart window={week} />
      </div>
      <LatencyChart window={window} />
      <SymbolQualityTable />
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-2">
        <GapsTable window={window} />
        <QualityEventsTable window={window} />
      </div>
    </PageFrame>
  );
}
