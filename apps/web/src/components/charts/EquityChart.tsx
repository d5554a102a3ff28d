"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { Annotation, EquityCurve } from "@/lib/api/schemas";
import { growth, place } from "@/lib/domain/performance";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { useMarkText } from "@/lib/i18n/useMarkText";
import { annotationsQuery, overlayQuery } from "@/lib/queries/performance";
import { DragZoom } from "./DragZoom";

const WIDTH = 900;
const EQUITY = 180;
const DRAWDOWN = 60;
const COLOR = { shadow: "var(--violet)", live: "var(--green)", backtest: "var(--faint)" } as const;
const DASH = { shadow: undefined, live: undefined, backtest: "5 4" } as const;
const tenth = (value: number) => Math.round(value * 10) / 10;

/** Of funding there is one every few hours: in a long span it would hide the rest. */
const MARKED = new Set(["promotion", "settings", "halt", "pause", "risk"]);

function line(values: readonly (number | null)[], x: (index: number) => number, y: (value: number) => number): string {
  let down = false;
  return values
    .map((value, index) => {
      if (value === null) {
        down = false;
        return "";
      }
      const step = `${down ? "L" : "M"}${tenth(x(index))} ${tenth(y(value))}`;
      down = true;
      return step;
    })
    .join("");
}

function Plot({ curves, span, marks }: { curves: readonly EquityCurve[]; span: { from: number; to: number }; marks: readonly Annotation[] }) {
  const { t, percent, words, dayMinute } = useText();
  const told = useMarkText();
  const grown = curves.map((curve) => ({ curve, values: growth(curve) }));
  const all = grown.flatMap(({ values }) => values).filter((value): value is number => value !== null);
  const [least, most] = [Math.min(0, ...all), Math.max(0, ...all)];
  const height = most - least || 1;
  const deepest = Math.max(0.0001, ...curves.flatMap(({ drawdown }) => drawdown.map((value) => Math.abs(value ?? 0))));
  const y = (value: number) => EQUITY - ((value - least) / height) * EQUITY;
  const label = curves.map((curve, index) => `${words("curve", curve.source)} ${percent(grown[index]!.values.findLast((value) => value !== null) ?? null, 2, true)}`).join(", ");
  return (
    <figure data-testid="equity-overlay">
      <DragZoom timeAt={(x, width) => Math.round(span.from + (x / width) * (span.to - span.from))}>
        <svg viewBox={`0 0 ${WIDTH} ${EQUITY + DRAWDOWN + 8}`} preserveAspectRatio="none" role="img" aria-label={t("performance.equity.chart", { curves: label })} className="h-64 w-full">
          <line x1={0} x2={WIDTH} y1={y(0)} y2={y(0)} stroke="var(--line-strong)" strokeDasharray="3 3" vectorEffect="non-scaling-stroke" />
          {marks.map((mark) => {
            const x = ((Date.parse(mark.ts) - span.from) / (span.to - span.from)) * WIDTH;
            return (
              <line key={`${mark.kind}:${mark.ts}:${mark.code}`} x1={x} x2={x} y1={0} y2={EQUITY + DRAWDOWN + 8} stroke={mark.kind === "halt" || mark.kind === "risk" ? "var(--red)" : "var(--amber)"} strokeOpacity={0.7} vectorEffect="non-scaling-stroke" data-testid={`mark-${mark.kind}`}>
                <title>{`${dayMinute(Date.parse(mark.ts))} ${words("mark", mark.kind)}: ${told(mark)}`}</title>
              </line>
            );
          })}
          {grown.map(({ curve, values }) => {
            const x = (index: number) => place(curve, index, span) * WIDTH;
            const base = EQUITY + 8;
            return (
              <g key={`${curve.source}:${curve.model_id ?? ""}`} data-testid={`curve-${curve.source}`}>
                <path d={line(values, x, y)} fill="none" stroke={COLOR[curve.source]} strokeWidth={1.5} strokeDasharray={DASH[curve.source]} vectorEffect="non-scaling-stroke" />
                <path d={line(curve.drawdown, x, (value) => base + (Math.abs(value) / deepest) * DRAWDOWN)} fill="none" stroke={COLOR[curve.source]} strokeWidth={1} strokeDasharray={DASH[curve.source]} vectorEffect="non-scaling-stroke" />
              </g>
            );
          })}
          <line x1={0} x2={WIDTH} y1={EQUITY + 8} y2={EQUITY + 8} stroke="var(--line)" vectorEffect="non-scaling-stroke" />
        </svg>
        <span className="num absolute top-0 right-0 rounded bg-panel px-1 text-2xs text-faint">{percent(most, 2, true)}</span>
        <span className="num absolute right-0 bottom-0 rounded bg-panel px-1 text-2xs text-faint">{t("performance.drawdown", { deepest: percent(-deepest, 2, true) })}</span>
      </DragZoom>
      <figcaption className="mt-1 flex flex-wrap justify-between gap-x-3 text-2xs text-faint">
        <span className="num">{dayMinute(span.from)}</span>
        <span className="flex flex-wrap gap-x-3">
          {grown.map(({ curve, values }) => (
            <span key={`${curve.source}:${curve.model_id ?? ""}`} className="num">
              <span style={{ color: COLOR[curve.source] }}>{curve.source === "backtest" ? "┄" : "—"}</span> {words("curve", curve.source)} {percent(values.findLast((value) => value !== null) ?? null, 2, true)}
            </span>
          ))}
        </span>
        <span className="num">{dayMinute(span.to)}</span>
      </figcaption>
      {marks.length > 0 && (
        <ul className="mt-2 flex max-h-20 flex-col gap-0.5 overflow-y-auto text-2xs text-soft" tabIndex={0} aria-label={t("performance.marks")}>
          {marks.map((mark) => (
            <li key={`${mark.kind}:${mark.ts}:${mark.code}`}>
              <span className="num text-faint">{dayMinute(Date.parse(mark.ts))}</span> <span className="font-medium">{words("mark", mark.kind)}</span> {told(mark)}
            </li>
          ))}
        </ul>
      )}
    </figure>
  );
}

/** Growth of live, shadow and backtest over each other, drawdown under it, and what happened meanwhile. */
export function EquityChart({ window }: { window: Window }) {
  const { t } = useText();
  const query = useQuery(overlayQuery(window));
  const { data: found } = useQuery(annotationsQuery(window));
  return (
    <Card title={t("performance.equity")} data-testid="card-equity">
      <QueryView query={query} what="performance.equity" rows={8}>
        {({ curves, from_ts, to_ts }) => {
          const drawn = curves.filter(({ ts }) => ts.length > 1);
          if (drawn.length === 0) return <Empty title={t("performance.empty")}>{t("performance.empty.what")}</Empty>;
          const marks = (found?.items ?? []).filter(({ kind, ts }) => MARKED.has(kind) && Date.parse(ts) >= from_ts && Date.parse(ts) <= to_ts);
          return <Plot curves={drawn} span={{ from: from_ts, to: to_ts }} marks={marks} />;
        }}
      </QueryView>
    </Card>
  );
}
