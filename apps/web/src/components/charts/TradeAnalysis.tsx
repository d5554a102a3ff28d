"use client";

import type { ReactNode } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { ClosedTrade } from "@/lib/api/schemas";
import { byHour, dots, histogram } from "@/lib/domain/performance";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { useTrades } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";

const WIDTH = 300;
const HEIGHT = 120;

function Frame({ title, label, left, right, testId, children }: { title: string; label: string; left: string; right: string; testId: string; children: ReactNode }) {
  return (
    <figure className="min-w-0">
      <figcaption className="label mb-1">{title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label} className="h-36 w-full" data-testid={testId}>
        {children}
      </svg>
      <div className="num mt-0.5 flex justify-between text-2xs text-faint">
        <span>{left}</span>
        <span>{right}</span>
      </div>
    </figure>
  );
}

function Profit({ trades }: { trades: readonly ClosedTrade[] }) {
  const { t, money } = useText();
  const bins = histogram(trades.map(({ net }) => net));
  const most = Math.max(...bins.map(({ count }) => count), 1);
  const width = WIDTH / bins.length;
  const wins = trades.filter(({ net }) => net > 0).length;
  return (
    <Frame title={t("analysis.profit")} label={t("analysis.profit.what", { trades: trades.length, wins })} left={money(bins[0]?.from ?? 0, true)} right={money(bins.at(-1)?.to ?? 0, true)} testId="profit-histogram">
      {bins.map(({ from, to, count }, index) => (
        <rect key={from} x={index * width + 1} width={Math.max(1, width - 2)} y={HEIGHT - (count / most) * HEIGHT} height={(count / most) * HEIGHT} fill={from >= 0 ? "var(--up)" : "var(--down)"} data-count={count}>
          <title>{`${money(from, true)} … ${money(to, true)}: ${count}`}</title>
        </rect>
      ))}
    </Frame>
  );
}

function Duration({ trades }: { trades: readonly ClosedTrade[] }) {
  const { t, money, duration } = useText();
  const points = dots(trades);
  const longest = Math.max(...points.map(({ minutes }) => minutes), 1);
  const reach = Math.max(...points.map(({ net }) => Math.abs(net)), 1);
  return (
    <Frame title={t("analysis.duration")} label={t("analysis.duration.what", { longest: duration(longest * 60_000) })} left={duration(0)} right={duration(longest * 60_000)} testId="duration-scatter">
      <line x1={0} x2={WIDTH} y1={HEIGHT / 2} y2={HEIGHT / 2} stroke="var(--line-strong)" strokeDasharray="3 3" vectorEffect="non-scaling-stroke" />
      {points.map(({ key, minutes, net }) => (
        <circle key={key} cx={(minutes / longest) * WIDTH} cy={HEIGHT / 2 - (net / reach) * (HEIGHT / 2 - 4)} r={2.2} fill={net >= 0 ? "var(--up)" : "var(--down)"} fillOpacity={0.75}>
          <title>{`${duration(minutes * 60_000)}, ${money(net, true)}`}</title>
        </circle>
      ))}
    </Frame>
  );
}

function Hours({ trades }: { trades: readonly ClosedTrade[] }) {
  const { t, money, zone, zoneName } = useText();
  const hours = byHour(trades, zone);
  const reach = Math.max(...hours.map(({ net }) => Math.abs(net)), 1);
  const width = WIDTH / hours.length;
  const best = hours.reduce((one, other) => (other.net > one.net ? other : one));
  return (
    <Frame title={t("analysis.hours", { zone: zoneName })} label={t("analysis.hours.what", { hour: best.hour })} left="00" right="23" testId="hour-chart">
      <line x1={0} x2={WIDTH} y1={HEIGHT / 2} y2={HEIGHT / 2} stroke="var(--line-strong)" vectorEffect="non-scaling-stroke" />
      {hours.map(({ hour, net, trades: count }) => {
        const size = (Math.abs(net) / reach) * (HEIGHT / 2);
        return (
          <rect key={hour} x={hour * width + 1} width={width - 2} y={net >= 0 ? HEIGHT / 2 - size : HEIGHT / 2} height={size} fill={net >= 0 ? "var(--up)" : "var(--down)"} data-hour={hour}>
            <title>{`${String(hour).padStart(2, "0")} ${zoneName}: ${money(net, true)}, ${count}`}</title>
          </rect>
        );
      })}
    </Frame>
  );
}

/** How profit is spread over trades, over their length and over the day. */
export function TradeAnalysis({ mode, window }: { mode: AccountMode; window: Window }) {
  const { t } = useText();
  const { query, more } = useTrades(mode, window);
  return (
    <Card title={t("analysis.title")} data-testid="card-analysis" aside={query.data && <span className="num label">{t(more === null ? "analysis.trades" : "analysis.newest", { count: query.data.length })}</span>}>
      <QueryView query={query} what="analysis.title" rows={6}>
        {(trades) =>
          trades.length === 0 ? (
            <Empty title={t("trades.empty")}>{t("trades.empty.what")}</Empty>
          ) : (
            <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2 xl:grid-cols-3">
              <Profit trades={trades} />
              <Duration trades={trades} />
              <Hours trades={trades} />
            </div>
          )
        }
      </QueryView>
    </Card>
  );
}
