"use client";

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { AppearanceCard } from "@/components/cards/AppearanceCard";
import { NotificationsCard } from "@/components/cards/NotificationsCard";
import { PasswordCard } from "@/components/cards/PasswordCard";
import { SecondFactorCard } from "@/components/cards/SecondFactorCard";
import { SettingsCard, UniverseCard } from "@/components/cards/SettingsCard";
import { TradingToggleCard } from "@/components/cards/TradingToggleCard";
import { AuditTable } from "@/components/tables/AuditTable";
import { GateTable } from "@/components/tables/GateTable";
import { SessionsTable } from "@/components/tables/SessionsTable";
import { SettingsVersionsTable } from "@/components/tables/SettingsVersionsTable";
import { TokensTable } from "@/components/tables/TokensTable";
import { UsersTable } from "@/components/tables/UsersTable";
import { Card, Figure } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import { Tabs } from "@/components/ui/tabs";
import { shownMode } from "@/lib/domain/health";
import { useText } from "@/lib/i18n/useText";
import { useMay } from "@/lib/queries/access";
import { statusQuery } from "@/lib/queries/live";
import { useUrlParam } from "@/lib/useUrlState";
import { PageFrame } from "./PageFrame";

const TABS = ["desk", "account", "users", "audit"] as const;

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

/** What only an administrator may see is not asked for by anybody else. */
function AdminOnly({ children }: { children: ReactNode }) {
  const { t } = useText();
  if (useMay("admin")) return children;
  return (
    <Card title={t("access.closed")} data-testid="admin-only">
      <Empty title={t("access.needs", { role: t("role.admin") })}>{t("access.closed.what")}</Empty>
    </Card>
  );
}

/** How the desk looks, how the system trades, how one signs in, who else may, and what was changed. */
export function SettingsView() {
  const { t } = useText();
  const [param, setTab] = useUrlParam("tab");
  const tab = TABS.find((name) => name === param) ?? "desk";
  const content = {
    desk: (
      <>
        <div className="grid gap-2 sm:gap-3 lg:grid-cols-2">
          <AppearanceCard />
          <NotificationsCard />
        </div>
        <SystemCard />
        <TradingToggleCard />
        <SettingsCard />
        <SettingsVersionsTable />
        <UniverseCard />
        <GateTable />
      </>
    ),
    account: (
      <>
        <div className="grid gap-2 sm:gap-3 lg:grid-cols-2">
          <PasswordCard />
          <SecondFactorCard />
        </div>
        <SessionsTable />
        <TokensTable />
      </>
    ),
    users: (
      <AdminOnly>
        <UsersTable />
      </AdminOnly>
    ),
    audit: (
      <AdminOnly>
        <AuditTable />
      </AdminOnly>
    ),
  };
  return (
    <PageFrame id="settings" title="nav.settings" lead="page.settings.lead">
      <Tabs label={t("nav.settings")} testId="settings-tab" value={tab} onChange={(value) => setTab(value === "desk" ? null : value)} tabs={TABS.map((id) => ({ id, text: t(`settings.tab.${id}`), content: content[id] }))} />
    </PageFrame>
  );
}
