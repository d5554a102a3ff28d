"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { Drift } from "@/lib/api/schemas";
import { PSI_BAD, PSI_WATCH } from "@/lib/domain/quality";
import { useText } from "@/lib/i18n/useText";
import type { Window } from "@/lib/domain/range";
import { driftSeriesQuery } from "@/lib/queries/records";
import { DragZoom } from "./DragZoom";

const WIDTH = 600;
const HEIGHT = 140;
const tenth = (value: number) => Math.round(value * 10) / 10;

function path(ts: readonly number[], values: readonly (number | null)[], x: (ts: number) => number, y: (value: number) => number): string {
  let down = false;
  return ts
    .map((at, index) => {
      const value = values[index] ?? null;
      if (value === null) {
        down = false;
        return "";
      }
      const step = `${down ? "L" : "M"}${tenth(x(at))} ${tenth(y(value))}`;
      down = true;
      return step;
    })
    .join("");
}

function Lines({ drift }: { drift: Drift }) {
  const { t, fixed, dayMinute } = useText();
  const { ts, psi_mean: mean, psi_max: worst } = drift;
  const values = [...mean, ...worst].filter((value): value is number => value !== null);
  const top = Math.max(PSI_BAD * 1.2, ...values);
  const [first, last] = [ts[0] ?? 0, ts.at(-1) ?? 1];
  const x = (at: number) => (last === first ? WIDTH : ((at - first) / (last - first)) * WIDTH);
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  const level = (value: number, color: string) => <line x1={0} x2={WIDTH} y1={y(value)} y2={y(value)} stroke={color} strokeDasharray="4 4" vectorEffect="non-scaling-stroke" />;
  return (
    <figure>
      <DragZoom timeAt={(place, width) => Math.round(first + (place / width) * (last - first))}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t("quality.drift.chart", { mean: fixed(mean.at(-1) ?? null, 3), worst: fixed(worst.at(-1) ?? null, 3) })} className="h-36 w-full" data-testid="drift-chart">
        {level(PSI_WATCH, "var(--amber)")}
        {level(PSI_BAD, "var(--red)")}
        <path d={path(ts, worst, x, y)} fill="none" stroke="var(--violet)" strokeWidth={1.5} vectorEffect="non-scaling-stroke" />
        <path d={path(ts, mean, x, y)} fill="none" stroke="var(--brand)" strokeWidth={2} vectorEffect="non-scaling-stroke" />
      </svg>
      </DragZoom>
      <figcaption className="mt-1 flex flex-wrap justify-between gap-x-3 text-2xs text-faint">
        <span className="num">{dayMinute(first)}</span>
        <span>
          <span className="text-brand">—</span> {t("quality.drift.mean")} {fixed(mean.at(-1) ?? null, 3)} <span className="ml-2 text-violet">—</span> {t("quality.drift.worst")} {fixed(worst.at(-1) ?? null, 3)} <span className="ml-2 text-amber">┄</span> {PSI_WATCH}{" "}
          <span className="ml-2 text-bad">┄</span> {PSI_BAD}
        </span>
        <span className="num">{dayMinute(last)}</span>
      </figcaption>
    </figure>
  );
}

/** How far the model's inputs have moved from its training rows, with the thresholds it is read by. */
export function DriftChart({ window }: { window: Window }) {
  const { t } = useText();
  const query = useQuery(driftSeriesQuery(window));
  return (
    <Card title={t("quality.drift")} data-testid="card-drift-chart">
      <QueryView query={query} what="quality.drift" rows={4}>
        {(drift) => (drift.ts.length === 0 ? <Empty title={t("quality.drift.empty")}>{t("quality.drift.empty.what")}</Empty> : <Lines drift={drift} />)}
      </QueryView>
    </Card>
  );
}
