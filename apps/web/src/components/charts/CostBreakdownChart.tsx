"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { Account } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { costsOf, type CostName } from "@/lib/domain/exposure";
import { useText } from "@/lib/i18n/useText";
import { accountQuery, liveAccountQuery } from "@/lib/queries/live";

const FILL: Record<CostName, string> = { fees: "bg-brand", slippage: "bg-violet", funding: "bg-amber" };
const NAME = { fees: "margin.fees", slippage: "margin.slippage", funding: "margin.funding" } as const;

function Bars({ account, largest }: { account: Account; largest: number }) {
  const { t, money, percent } = useText();
  const costs = costsOf(account);
  const total = costs.reduce((sum, { value }) => sum + value, 0);
  const live = account.mode === "live";
  return (
    <section data-testid={`costs-${account.mode}`}>
      <h3 className="mb-1.5 flex items-baseline gap-2">
        <Badge tone={live ? "good" : "violet"}>{t(live ? "mode.LIVE" : "mode.SHADOW")}</Badge>
        <span className="num ml-auto font-semibold">{money(total)}</span>
        {account.start_equity ? <span className="num label">{t("costs.of_start", { percent: percent(total / account.start_equity, 2) })}</span> : null}
      </h3>
      <dl className="flex flex-col gap-1">
        {costs.map(({ name, value }) => (
          <div key={name} className="grid grid-cols-[5rem_1fr_5.5rem] items-center gap-2 text-xs" data-testid={`cost-${account.mode}-${name}`}>
            <dt className="text-soft">{t(NAME[name])}</dt>
            {/* A rebate grows from the same edge, hatched, with its sign in the figure. */}
            <span aria-hidden className="h-2.5 rounded bg-raised">
              <span className={cn("block h-full rounded", FILL[name], value < 0 && "opacity-40")} style={{ width: `${(Math.abs(value) / largest) * 100}%` }} />
            </span>
            <dd className="num text-right font-medium">{money(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** Fees, slippage and funding since the beginning, on one scale for both accounts; plus is paid, minus was earned. */
export function CostBreakdownChart() {
  const { t } = useText();
  const shadow = useQuery(accountQuery);
  const { data: live } = useQuery(liveAccountQuery);
  return (
    <Card title={t("costs.title")} data-testid="card-costs">
      <QueryView query={shadow} what="costs.title" rows={4}>
        {(account) => {
          const accounts = [live, account].filter((one) => one !== null && one !== undefined);
          const largest = Math.max(...accounts.flatMap((one) => costsOf(one).map(({ value }) => Math.abs(value))), Number.MIN_VALUE);
          if (accounts.length === 0) return <Empty title={t("margin.empty")}>{t("margin.empty.what")}</Empty>;
          return (
            <div className="flex flex-col gap-4">
              {accounts.map((one) => (
                <Bars key={one.mode} account={one} largest={largest} />
              ))}
            </div>
          );
        }}
      </QueryView>
    </Card>
  );
}
