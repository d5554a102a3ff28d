"use client";

import { useQuery } from "@tanstack/react-query";
import { SlippageChart } from "@/components/charts/SlippageChart";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card, Figure } from "@/components/ui/card";
import type { Execution } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { executionQuery } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";

/** Above this something is wrong with what is sent, not with the market. */
const FAILURE_LIMIT = 0.01;

function Body({ execution }: { execution: Execution }) {
  const { t, words, percent, fixed, bps } = useText();
  const bp = (value: number | null) => (value === null ? "–" : `${bps(value, 2)} ${t("unit.bp")}`);
  const rate = execution.failure_rate;
  return (
    <div className="flex flex-col gap-3">
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Figure label={t("execution.failure")} data-testid="execution-failure" title={t("execution.failure.what")}>
          <span className={rate !== null && rate > FAILURE_LIMIT ? "text-bad" : undefined}>{percent(rate, 2)}</span> <span className="label">{t("execution.of", { failed: fixed(execution.failed), orders: fixed(execution.orders) })}</span>
        </Figure>
        <Figure label={t("execution.actual")} data-testid="execution-actual">
          {bp(execution.slippage_frac)}
        </Figure>
        <Figure label={t("execution.expected")} data-testid="execution-expected">
          {bp(execution.expected_frac)}
        </Figure>
        <Figure label={t("execution.difference")} data-testid="execution-difference" title={t("execution.matched", { count: execution.matched })}>
          {execution.expected_frac === null || execution.matched_frac === null ? "–" : bp(execution.matched_frac - execution.expected_frac)}
        </Figure>
      </div>
      <SlippageChart execution={execution} />
      {execution.mode === "shadow" && <p className="text-2xs text-faint">{t("execution.shadow")}</p>}
      <ul className="flex flex-wrap gap-1.5" data-testid="execution-counts">
        {execution.counts.map(({ leg, status, count, failed }) => (
          <li key={`${leg}:${status}`}>
            <Badge tone={failed ? "bad" : "neutral"}>
              {leg === null ? "" : `${words("leg", leg)} `}
              {words("order", status)} <span className="num">{fixed(count)}</span>
            </Badge>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How often orders failed, and what slippage was paid against what the simulation would have paid. */
export function ExecutionCard({ mode, window }: { mode: AccountMode; window: Window }) {
  const { t } = useText();
  const query = useQuery(executionQuery(mode, window));
  return (
    <Card title={t("execution.title")} data-testid="card-execution" alert={(query.data?.failure_rate ?? 0) > FAILURE_LIMIT ? "bad" : null}>
      <QueryView query={query} what="execution.title" rows={5}>
        {(execution) => <Body execution={execution} />}
      </QueryView>
    </Card>
  );
}
