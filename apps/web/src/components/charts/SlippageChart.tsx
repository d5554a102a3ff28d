"use client";

import type { Execution } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";
import { DragZoom } from "./DragZoom";

const HEIGHT = 96;

/** Actual beside expected slippage, a pair of bars a bucket, around a line of zero. Figures on hover, and in the table. */
export function SlippageChart({ execution }: { execution: Execution }) {
  const { t, bps, dayMinute } = useText();
  const { ts, bucket_slippage_frac: actual, bucket_expected_frac: expected } = execution;
  const values = [...actual, ...expected].filter((value): value is number => value !== null);
  if (values.length === 0) return <p className="flex h-24 items-center justify-center text-xs text-faint">{t("execution.no_trades")}</p>;
  const [high, low] = [Math.max(0, ...values), Math.min(0, ...values)];
  const scale = HEIGHT / (high - low || 1);
  const zero = high * scale;
  const step = 100 / ts.length;
  const width = Math.min(step * 0.36, 4);
  const bar = (value: number | null, x: number, color: string) =>
    value === null ? null : <rect x={x} width={width} y={value >= 0 ? zero - value * scale : zero} height={Math.max(0.6, Math.abs(value) * scale)} fill={color} />;
  return (
    <figure data-testid="slippage-chart">
      <DragZoom timeAt={(x, width) => (ts[0] ?? 0) + Math.round((x / width) * ts.length * execution.bucket_ms)}>
        <svg viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t("execution.chart")} className="h-24 w-full">
          <line x1={0} x2={100} y1={zero} y2={zero} stroke="var(--line-strong)" vectorEffect="non-scaling-stroke" />
          {ts.map((at, index) => {
            const middle = step * (index + 0.5);
            return (
              <g key={at}>
                <title>{`${dayMinute(at)} · ${t("execution.actual")} ${bps(actual[index] ?? null, 2)} · ${t("execution.expected")} ${bps(expected[index] ?? null, 2)} ${t("unit.bp")}`}</title>
                <rect x={step * index} width={step} y={0} height={HEIGHT} fill="transparent" />
                {bar(actual[index] ?? null, middle - width, "var(--brand)")}
                {bar(expected[index] ?? null, middle, "var(--violet)")}
              </g>
            );
          })}
        </svg>
      </DragZoom>
      <figcaption className="mt-1 flex justify-between text-2xs text-faint">
        <span className="num">{dayMinute(ts[0] ?? null)}</span>
        <span>
          <span className="text-brand">■</span> {t("execution.actual")} <span className="ml-2 text-violet">■</span> {t("execution.expected")}
        </span>
        <span className="num">{dayMinute(ts.at(-1) ?? null)}</span>
      </figcaption>
    </figure>
  );
}
