"use client";

import { useEffect, useMemo, useState } from "react";
import { Signed } from "@/components/ui/signed";
import type { Series } from "@/lib/api/schemas";
import type { ChartSync } from "@/lib/chart/sync";
import { notTaken, TIMEFRAME_MS, type Candle, type Timeframe } from "@/lib/domain/series";
import { useText } from "@/lib/i18n/useText";

/** What stands under the crosshair: the bar's prices, and why a signal there was not taken. The last bar otherwise. */
export function ChartLegend({ series, candles, timeframe, decimals, sync }: { series: Series; candles: readonly Candle[]; timeframe: Timeframe; decimals: number | null; sync: ChartSync }) {
  const { t, words, price, percent, compact, bps, dayMinute } = useText();
  const [time, setTime] = useState<number | null>(null);
  useEffect(() => sync.onTime(setTime), [sync]);
  const byTime = useMemo(() => new Map(candles.map((candle) => [candle.ts, candle])), [candles]);
  const skipped = useMemo(() => new Map(notTaken(series, timeframe).map((signal) => [signal.ts, signal])), [series, timeframe]);
  const candle = (time === null ? undefined : byTime.get(time)) ?? candles.at(-1);
  if (candle === undefined) return null;
  const change = candle.open === 0 ? null : candle.close / candle.open - 1;
  const missed = time === null ? undefined : skipped.get(time);
  const size = TIMEFRAME_MS[timeframe];
  const exits = time === null ? [] : series.positions.filter((trade) => trade.to_ts !== null && Math.floor(trade.to_ts / size) * size === time);
  const cell = (name: string, value: number) => (
    <span className="whitespace-nowrap">
      <span className="text-faint">{name}</span> {price(value, decimals)}
    </span>
  );
  return (
    <div className="num pointer-events-none absolute top-1.5 left-2 z-10 flex max-w-[calc(100%-6rem)] flex-wrap gap-x-2.5 text-2xs" data-testid="chart-legend">
      <span className="text-faint">{dayMinute(candle.ts)}</span>
      {cell("O", candle.open)}
      {cell("H", candle.high)}
      {cell("L", candle.low)}
      {cell("C", candle.close)}
      <Signed value={change} text={percent(change, 2, true)} />
      <span>
        <span className="text-faint">{t("chart.volume")}</span> {compact(candle.volume)}
      </span>
      {missed !== undefined && (
        <span className="text-amber">
          {t(`side.${missed.side}`)} {bps(missed.ev)} {t("unit.bp")} {t("chart.not_taken")}: {words("reason", missed.reason)}
        </span>
      )}
      {exits.map((trade) => (
        <span key={trade.from_ts} className="text-soft">
          {t("chart.exit")}: {words("exit", trade.exit_reason ?? "")}
        </span>
      ))}
    </div>
  );
}
