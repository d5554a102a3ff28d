"use client";

import { createChart, LineSeries, LineStyle, type IChartApi, type ISeriesApi } from "lightweight-charts";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Series, Signal } from "@/lib/api/schemas";
import { chartOptions, toTime } from "@/lib/chart/base";
import type { ChartSync } from "@/lib/chart/sync";
import { readColors } from "@/lib/chart/theme";
import { lastPerBucket, type Candle, type Timeframe } from "@/lib/domain/series";
import type { MessageKey } from "@/lib/i18n/en";
import { useText } from "@/lib/i18n/useText";
import { usePrefs } from "@/lib/prefs/store";
import { settingsQuery } from "@/lib/queries/risk";

type SignalColumn = Exclude<keyof Series["signals"], "ts" | "decision" | "block_reason">;

interface Pane {
  title: MessageKey;
  long: SignalColumn;
  short: SignalColumn;
  /** Predictions are fractions of the entry and shown in basis points; minutes stay minutes. */
  scale: number;
  /** The reason whose limit belongs into this pane. */
  reason?: string;
}

export const PANES: readonly Pane[] = [
  { title: "chart.ev", long: "ev_long", short: "ev_short", scale: 10_000, reason: "EV_BELOW_MIN" },
  { title: "chart.er", long: "er_long", short: "er_short", scale: 10_000 },
  { title: "chart.q05", long: "q05_long", short: "q05_short", scale: 10_000, reason: "Q05_BELOW_MIN" },
  { title: "chart.mae", long: "e_mae_long", short: "e_mae_short", scale: 10_000, reason: "MAE_ABOVE_MAX" },
  { title: "chart.hold", long: "e_hold_long_min", short: "e_hold_short_min", scale: 1 },
];

interface Parts {
  chart: IChartApi;
  grid: ISeriesApi<"Line">;
  lines: { long: ISeriesApi<"Line">; short: ISeriesApi<"Line"> }[];
}

/** Each pane's name with its values under the crosshair, wherever it is moved; the newest otherwise. */
export function Readout({ series, candles, timeframe, sync }: { series: Series; candles: readonly Candle[]; timeframe: Timeframe; sync: ChartSync }) {
  const { t, fixed } = useText();
  const [time, setTime] = useState<number | null>(null);
  useEffect(() => sync.onTime(setTime), [sync]);
  const values = useMemo(() => {
    const known = (column: SignalColumn) => new Map(lastPerBucket(series.signals.ts, series.signals[column], timeframe).map(({ ts, value }) => [ts, value]));
    return PANES.map((pane) => ({ long: known(pane.long), short: known(pane.short) }));
  }, [series, timeframe]);
  const at = time ?? candles.at(-1)?.ts ?? 0;
  return (
    <div data-testid="series-readout" className="num pointer-events-none absolute inset-0 z-10 flex flex-col pb-7">
      {PANES.map((pane, index) => {
        const value = (side: "long" | "short") => {
          const found = values[index]?.[side].get(at);
          return fixed(found === undefined ? null : found * pane.scale, pane.scale === 1 ? 0 : 1, pane.scale !== 1);
        };
        return (
          <span key={pane.title} className="flex-1 px-2 pt-1 text-2xs font-medium text-faint">
            {t(pane.title)} <span className="ml-2 text-up">▲ {t("chart.long")} {value("long")}</span> <span className="ml-1 text-down">▼ {t("chart.short")} {value("short")}</span>
          </span>
        );
      })}
    </div>
  );
}

/** What the model expected, minute by minute: five panes under one crosshair, which is also the price chart's. */
export function SignalSeriesChart({ series, candles, timeframe, current, sync }: { series: Series; candles: readonly Candle[]; timeframe: Timeframe; current: Signal | null; sync: ChartSync }) {
  const host = useRef<HTMLDivElement>(null);
  const parts = useRef<Parts | null>(null);
  const text = useText();
  const { theme, rise } = usePrefs();
  const { data: settings } = useQuery(settingsQuery);
  const wanted = settings?.values["EV_MIN"];
  const evMin = typeof wanted === "number" ? wanted : null;

  useEffect(() => {
    if (host.current === null) return;
    const colors = readColors();
    const chart = createChart(host.current, chartOptions(colors, text.locale, text.zone));
    const grid = chart.addSeries(LineSeries, { visible: false, lastValueVisible: false, priceLineVisible: false, priceFormat: { type: "price", precision: 1, minMove: 0.1 } }, 0);
    const lines = PANES.map((pane, index) => {
      const make = (color: string) =>
        chart.addSeries(LineSeries, { color, lineWidth: 1, priceLineVisible: false, lastValueVisible: true, crosshairMarkerRadius: 2, priceFormat: { type: "price", precision: pane.scale === 1 ? 0 : 1, minMove: pane.scale === 1 ? 1 : 0.1 } }, index);
      return { long: make(colors.up), short: make(colors.down) };
    });
    for (const pane of chart.panes()) pane.setStretchFactor(1);
    // Zero divides gain from loss.
    for (const index of [0, 1]) lines[index]?.long.createPriceLine({ price: 0, color: colors.faint, lineStyle: LineStyle.Dotted, lineWidth: 1, axisLabelVisible: false, title: "" });
    const made = { chart, grid, lines };
    parts.current = made;
    const leave = sync.join(chart, grid);
    return () => {
      leave();
      parts.current = null;
      chart.remove();
    };
  }, [sync, text, theme, rise]);

  useEffect(() => {
    const made = parts.current;
    if (made === null) return;
    // The bars' times without values: both charts count the same points, so one index is one minute in both.
    sync.quietly(() => {
      made.grid.setData(candles.map(({ ts }) => ({ time: toTime(ts) })));
      PANES.forEach((pane, index) => {
        const points = (column: SignalColumn) => {
          const known = new Map(lastPerBucket(series.signals.ts, series.signals[column], timeframe).map(({ ts, value }) => [ts, value]));
          return candles.flatMap(({ ts }, at) => {
            const value = known.get(ts);
            if (value === undefined) return [];
            // A minute without a prediction is a hole in the line: the way to the next point has the colour of this one.
            const next = candles[at + 1];
            const hole = next !== undefined && !known.has(next.ts) && at < candles.length - 2;
            return [{ time: toTime(ts), value: value * pane.scale, ...(hole && { color: "transparent" }) }];
          });
        };
        made.lines[index]?.long.setData(points(pane.long));
        made.lines[index]?.short.setData(points(pane.short));
      });
    });
    sync.follow(made.chart);
  }, [candles, series, sync, timeframe, text, theme, rise]);

  const view = `${series.symbol}:${timeframe}:${candles.length > 0}`;
  useEffect(() => {
    sync.fit();
  }, [sync, view, text, theme, rise]);

  // The limit in force now, drawn where it belongs.
  useEffect(() => {
    const made = parts.current;
    if (made === null || current === null) return;
    const { amber } = readColors();
    const drawn = PANES.flatMap((pane, index) => {
      const limit = current.block_details.find(({ code }) => code === pane.reason)?.limit ?? (pane.reason === "EV_BELOW_MIN" ? evMin : null);
      const line = made.lines[index]?.long;
      if (limit === null || limit === undefined || line === undefined) return [];
      return [{ line, handle: line.createPriceLine({ price: limit * pane.scale, color: amber, lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: true, title: text.t("chart.threshold") }) }];
    });
    return () => {
      if (parts.current === made) for (const { line, handle } of drawn) line.removePriceLine(handle);
    };
  }, [current, evMin, text, theme, rise]);

  return (
    <div className="relative h-full w-full">
      <div ref={host} role="group" aria-label={text.t("chart.signals.what")} data-testid="signal-series-chart" className="h-full w-full" />
      <Readout series={series} candles={candles} timeframe={timeframe} sync={sync} />
    </div>
  );
}
