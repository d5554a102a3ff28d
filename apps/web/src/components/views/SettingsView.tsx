"use client";

import { useQuery } from "@tanstack/react-query";
import { AppearanceCard } from "@/components/cards/AppearanceCard";
import { SettingsCard, UniverseCard } from "@/components/cards/SettingsCard";
import { TradingToggleCard } from "@/components/cards/TradingToggleCard";
import { GateTable } from "@/components/tables/GateTable";
import { Card, Figure } from "@/components/ui/card";
import { shownMode } from "@/lib/domain/health";
import { useText } from "@/lib/i18n/useText";
import { statusQuery } from "@/lib/queries/live";
import { PageFrame } from "./PageFrame";

function SystemCard() {
  const { t } = useText();
  const { data } = useQuery(statusQuery);
  return (
    <Card title={t("settings.system")} data-testid="card-system">
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Figure label={t("settings.mode")}>{data === undefined ? "–" : t(`mode.${shownMode(data)}`)}</Figure>
        <Figure label={t("header.exchange")}>{data?.exchange ?? "–"}</Figure>
        <Figure label={t("settings.universe")}>{data === undefined ? "–" : t("settings.universe.count", { total: data.symbols_total, tradable: data.symbols_tradable })}</Figure>
        <Figure label={t("settings.model")}>{data?.model_id?.slice(0, 8) ?? "–"}</Figure>
      </div>
    </Card>
  );
}

export function SettingsView() {
  return (
    <PageFrame id="settings" title="nav.settings" lead="page.settings.lead">
      <AppearanceCard />
      <SystemCard />
      <TradingToggleCard />
      <SettingsCard />
      <UniverseCard />
      <GateTable />
    </PageFrame>
  );
}
