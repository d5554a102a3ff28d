"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card, Figure, type Alert } from "@/components/ui/card";
import { Meter } from "@/components/ui/meter";
import { Signed } from "@/components/ui/signed";
import { Sparkline } from "@/components/ui/sparkline";
import { Empty } from "@/components/ui/states";
import type { Account } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";
import { accountQuery, equityQuery, liveAccountQuery, liveEquityQuery } from "@/lib/queries/live";
import type { AccountMode } from "@/lib/queries/risk";

const fraction = (part: number | null, whole: number | null) => (part === null || whole === null || whole === 0 ? null : part / whole);

function Curve({ account, mode }: { account: Account; mode: AccountMode }) {
  const { t } = useText();
  const live = mode === "live";
  const { data: shadow = [] } = useQuery({ ...equityQuery, enabled: !live });
  const { data: exchange = [] } = useQuery({ ...liveEquityQuery, enabled: live });
  const points = live ? exchange : shadow;
  if (points.length < 2) return <p className="flex h-12 items-center justify-center text-2xs text-faint">{t("margin.curve.waiting")}</p>;
  return <Sparkline label={t("margin.curve")} xs={points.map((point) => point.ts)} ys={points.map((point) => point.equity)} base={account.start_equity} />;
}

function Body({ account, mode }: { account: Account; mode: AccountMode }) {
  const { t, money, percent } = useText();
  const id = (name: string) => (mode === "live" ? `margin-live-${name}` : `margin-${name}`);
  const dayFrac = fraction(account.day_pnl, account.day_start_equity);
  const totalFrac = fraction(account.total_pnl, account.start_equity);
  return (
    <div className="flex h-full flex-col gap-2">
      <div className="flex items-end justify-between gap-3">
        <div data-testid={id("equity")}>
          <div className="label">{t("margin.equity")}</div>
          <div className="num text-xl leading-6 font-semibold tracking-tight">{money(account.equity)}</div>
        </div>
        <div className="text-right" data-testid={id("day-pnl")}>
          <div className="label">{t("margin.day")}</div>
          <Signed withArrow value={account.day_pnl} text={money(account.day_pnl, true)} className="font-semibold" />{" "}
          <Signed value={dayFrac} text={percent(dayFrac, 2, true)} className="text-xs" />
        </div>
      </div>
      <Curve account={account} mode={mode} />
      <div className="grid grid-cols-3 gap-x-3 gap-y-1.5">
        <Figure label={t("margin.total")} data-testid={id("total-pnl")}>
          <Signed withArrow value={account.total_pnl} text={money(account.total_pnl, true)} />
        </Figure>
        <Figure label={`${t("margin.total")} %`}>
          <Signed value={totalFrac} text={percent(totalFrac, 2, true)} />
        </Figure>
        <Figure label={t("margin.unrealized")} data-testid={id("unrealized")}>
          <Signed value={account.unrealized_pnl} text={money(account.unrealized_pnl, true)} />
        </Figure>
        <Figure label={t("margin.used")} data-testid={id("used")}>
          {money(account.used_margin)}
        </Figure>
        <Figure label={t("margin.available")} data-testid={id("available")}>
          {money(account.available_margin)}
        </Figure>
        <Figure label={t("margin.ratio")} data-testid={id("ratio")}>
          {percent(account.margin_ratio, 1)}
          <Meter label={t("margin.ratio")} value={account.margin_ratio} tone={ratioAlert(account) ?? "brand"} className="mt-0.5" />
        </Figure>
        <Figure label={t("margin.fees")}>{money(account.fees)}</Figure>
        <Figure label={t("margin.slippage")}>{money(account.slippage)}</Figure>
        <Figure label={t("margin.funding")}>{money(account.funding)}</Figure>
      </div>
    </div>
  );
}

/** Half of the way to liquidation is too far. */
function ratioAlert({ margin_ratio: ratio }: Account): Alert {
  return ratio > 0.5 ? "bad" : ratio > 0.3 ? "amber" : null;
}

/** The shadow account always runs (D33); the one on the exchange stands beside it once there is one. */
export function MarginCard({ mode = "shadow" }: { mode?: AccountMode }) {
  const { t } = useText();
  const live = mode === "live";
  const shadow = useQuery({ ...accountQuery, enabled: !live });
  const exchange = useQuery({ ...liveAccountQuery, enabled: live });
  const query = live ? exchange : shadow;
  return (
    <Card title={t(live ? "margin.title.live" : "margin.title")} data-testid={live ? "card-margin-live" : "card-margin"} alert={query.data ? ratioAlert(query.data) : null} aside={<Badge tone={live ? "good" : "violet"}>{t(live ? "mode.LIVE" : "mode.SHADOW")}</Badge>}>
      <QueryView query={query} what={live ? "margin.title.live" : "margin.title"} rows={7}>
        {(account) =>
          account === null ? (
            <Empty title={t(live ? "margin.empty.live" : "margin.empty")}>{t(live ? "margin.empty.live.what" : "margin.empty.what")}</Empty>
          ) : (
            <Body account={account} mode={mode} />
          )
        }
      </QueryView>
    </Card>
  );
}
