"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { Meter } from "@/components/ui/meter";
import { mostMargin, nearestToLiquidation, type Ranked } from "@/lib/domain/exposure";
import { useText } from "@/lib/i18n/useText";
import { accountQuery, liveAccountQuery, livePositionsQuery, positionsQuery } from "@/lib/queries/live";

/** Nearer than this the bar is red: a tenth of the price. */
const NEAR = 0.1;

function List({ title, rows, testId, show, part, tone }: { title: string; rows: readonly Ranked[]; testId: string; show: (row: Ranked) => string; part: (row: Ranked) => number; tone: (row: Ranked) => "brand" | "amber" | "bad" }) {
  const { t } = useText();
  return (
    <section data-testid={testId}>
      <h3 className="label mb-1">{title}</h3>
      {rows.length === 0 ? (
        <p className="text-xs text-faint">{t("positions.empty")}</p>
      ) : (
        <ol className="flex flex-col gap-0.5">
          {rows.map((row) => (
            <li key={`${row.position.mode}:${row.position.symbol}`} className="grid grid-cols-[minmax(6.5rem,auto)_1fr_auto] items-center gap-x-2.5 text-xs">
              <span className="inline-flex items-center gap-1.5">
                <SymbolLink symbol={row.position.symbol} className="flex min-h-6 items-center" />
                {row.position.mode === "live" && <Badge tone="good">{t("mode.LIVE")}</Badge>}
              </span>
              <Meter label={`${title}: ${row.position.symbol}`} value={part(row)} tone={tone(row)} />
              <span className="num text-right font-medium">{show(row)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

/** The five positions nearest to liquidation, and the five with the most margin. */
export function RiskTopCard() {
  const { t, percent, money } = useText();
  const { data: shadow = [] } = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const { data: shadowAccount } = useQuery(accountQuery);
  const { data: liveAccount } = useQuery(liveAccountQuery);
  const held = [...live, ...shadow];
  const equity = (row: Ranked) => (row.position.mode === "live" ? liveAccount : shadowAccount)?.equity ?? null;
  const ofEquity = (row: Ranked) => {
    const whole = equity(row);
    return whole === null || whole <= 0 ? 0 : row.value / whole;
  };
  return (
    <Card title={t("positions.top")} data-testid="card-risk-top" bodyClassName="grid gap-4 p-3 sm:grid-cols-2">
      <List title={t("positions.top.liquidation")} testId="top-liquidation" rows={nearestToLiquidation(held)} show={({ value }) => percent(value, 1)} part={({ value }) => value} tone={({ value }) => (value < NEAR ? "bad" : value < 2 * NEAR ? "amber" : "brand")} />
      <List title={t("positions.top.margin")} testId="top-margin" rows={mostMargin(held)} show={(row) => `${money(row.value)} · ${percent(ofEquity(row), 1)}`} part={ofEquity} tone={() => "brand"} />
    </Card>
  );
}
