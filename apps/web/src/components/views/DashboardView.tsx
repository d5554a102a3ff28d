"use client";

import { useQuery } from "@tanstack/react-query";
import { DriftCard } from "@/components/cards/DriftCard";
import { MarginCard } from "@/components/cards/MarginCard";
import { RiskBlockersCard } from "@/components/cards/RiskBlockersCard";
import { SystemHealthCard } from "@/components/cards/SystemHealthCard";
import { TopSignalsTable } from "@/components/cards/TopSignalsTable";
import { PositionsTable } from "@/components/tables/PositionsTable";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { liveAccountQuery } from "@/lib/queries/live";

/** Whether it runs, what it earned, whether the data hold, what stops it, what is held, what is expected. */
export function DashboardView() {
  const { t } = useText();
  const { data: live } = useQuery(liveAccountQuery);
  return (
    <div className="flex flex-col gap-2 sm:gap-3" data-testid="page-dashboard">
      <h1 className="sr-only">{t("nav.dashboard")}</h1>
      <div className={cn("grid gap-2 sm:grid-cols-2 sm:gap-3", live ? "xl:grid-cols-3 2xl:grid-cols-5" : "xl:grid-cols-4")}>
        <SystemHealthCard />
        {live && <MarginCard mode="live" />}
        <MarginCard />
        <DriftCard />
        <RiskBlockersCard />
      </div>
      <PositionsTable />
      <TopSignalsTable />
    </div>
  );
}
