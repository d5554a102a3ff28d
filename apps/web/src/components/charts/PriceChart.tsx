"use client";

import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  HistogramSeries,
  LineSeries,
  LineStyle,
  PriceScaleMode,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  type SeriesMarker,
  type Time,
} from "lightweight-charts";
import { useEffect, useMemo, useRef } from "react";
import type { Annotation, Position, Series } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { chartOptions, toTime } from "@/lib/chart/base";
import type { ChartSync } from "@/lib/chart/sync";
import { readColors, type ChartColors } from "@/lib/chart/theme";
import { lastPerBucket, notTaken, TIMEFRAME_MS, type Candle, type PriceScale, type Timeframe } from "@/lib/domain/series";
import { useText, type Text } from "@/lib/i18n/useText";
import { usePrefs } from "@/lib/prefs/store";

const MODES = { plain: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage } as const;

export interface PriceChartProps {
  series: Series;
  candles: readonly Candle[];
  timeframe: Timeframe;
  source: "last" | "mark";
  scale: PriceScale;
  showNotTaken: boolean;
  events: readonly Annotation[];
  position: Position | null;
  decimals: number | null;
  sync: ChartSync;
}

interface Parts {
  chart: IChartApi;
  candles: ISeriesApi<"Candlestick">;
  mark: ISeriesApi<"Line">;
  volume: ISeriesApi<"Histogram">;
  markers: ISeriesMarkersPluginApi<Time>;
  colors: ChartColors;
}

function build(element: HTMLElement, text: Text): Parts {
  const colors = readColors();
  const chart = createChart(element, chartOptions(colors, text.locale, text.zone));
  const candles = chart.addSeries(CandlestickSeries, { upColor: colors.up, downColor: colors.down, wickUpColor: colors.up, wickDownColor: colors.down, borderVisible: false });
  const mark = chart.addSeries(LineSeries, { color: colors.brand, lineWidth: 2, priceLineVisible: false });
  const volume = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
  return { chart, candles, mark, volume, markers: createSeriesMarkers(candles, []), colors };
}

export function levelsOf(position: Position, { t }: Text, colors: ChartColors) {
  return [
    { price: position.entry_price, title: t("chart.entry"), color: colors.text, style: LineStyle.Dotted },
    { price: position.sl_price, title: t("chart.sl"), color: colors.down, style: LineStyle.Dashed },
    { price: position.tp_price, title: t("chart.tp"), color: colors.up, style: LineStyle.Dashed },
    { price: position.liquidation_price, title: t("chart.liq"), color: colors.amber, style: LineStyle.Solid },
  ];
}

/** Entries and exits of trades, and signals that were not taken where their reason changes. */
export function markersOf(series: Series, timeframe: Timeframe, showNotTaken: boolean, text: Text, colors: ChartColors, events: readonly Annotation[] = []): SeriesMarker<Time>[] {
  const size = TIMEFRAME_MS[timeframe];
  const bucket = (ts: number) => toTime(Math.floor(ts / size) * size);
  const first = series.candles.ts[0] ?? Number.POSITIVE_INFINITY;
  const out: SeriesMarker<Time>[] = [];
  for (const trade of series.positions) {
    const long = trade.side.toUpperCase() === "LONG";
    if (trade.from_ts >= first) {
      out.push({ time: bucket(trade.from_ts), position: long ? "belowBar" : "aboveBar", shape: long ? "arrowUp" : "arrowDown", color: long ? colors.up : colors.down, text: text.t(long ? "side.LONG" : "side.SHORT") });
    }
    if (trade.to_ts !== null && trade.to_ts >= first) {
      const won = (trade.net ?? 0) >= 0;
      out.push({
        time: bucket(trade.to_ts),
        position: long ? "aboveBar" : "belowBar",
        shape: "square",
        color: won ? colors.up : colors.down,
        text: `${text.words("exit", trade.exit_reason ?? "")} ${text.fixed(trade.net, 1, true)}`,
      });
    }
  }
  if (showNotTaken) {
    for (const signal of notTaken(series, timeframe)) {
      out.push({ time: bucket(signal.ts), position: signal.side === "LONG" ? "belowBar" : "aboveBar", shape: "circle", color: colors.faint, size: 0.4 });
    }
  }
  const last = series.candles.ts.at(-1) ?? Number.NEGATIVE_INFINITY;
  for (const { ts, kind } of events) {
    const at = Date.parse(ts);
    if (at < first || at > last) continue;
    const grave = kind === "halt" || kind === "risk";
    out.push({ time: bucket(at), position: "aboveBar", shape: "square", size: kind === "funding" ? 0.3 : 0.7, color: grave ? colors.down : kind === "funding" ? colors.faint : colors.amber, text: kind === "funding" ? "" : text.words("mark", kind) });
  }
  return out.sort((a, b) => (a.time as number) - (b.time as number));
}

/** Candles and volume (or the mark), the open position's lines, trades and signals not taken. */
export function PriceChart({ series, candles, timeframe, source, scale, showNotTaken, events, position, decimals, sync }: PriceChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const parts = useRef<Parts | null>(null);
  const text = useText();
  const { theme, rise } = usePrefs();
  const marks = useMemo(() => lastPerBucket(series.mark.ts, series.mark.close, timeframe), [series, timeframe]);

  useEffect(() => {
    if (host.current === null) return;
    const made = build(host.current, text);
    parts.current = made;
    const leave = sync.join(made.chart, made.candles);
    return () => {
      leave();
      parts.current = null;
      made.chart.remove();
    };
    // A theme or a language is a new chart: the library keeps both from when it was made.
  }, [sync, text, theme, rise]);

  useEffect(() => {
    const made = parts.current;
    if (made === null) return;
    const { colors } = made;
    const precision = decimals ?? 2;
    const priceFormat = { type: "custom" as const, formatter: (price: number) => text.price(price, precision), minMove: 10 ** -precision };
    made.candles.applyOptions({ visible: source === "last", priceFormat });
    made.mark.applyOptions({ visible: source === "mark", priceFormat });
    const known = new Set(candles.map(({ ts }) => ts));
    sync.quietly(() => {
      made.candles.setData(candles.map(({ ts, open, high, low, close }) => ({ time: toTime(ts), open, high, low, close })));
      // Only times that a bar has: both charts must count the same points.
      made.mark.setData(marks.filter(({ ts }) => known.has(ts)).map(({ ts, value }) => ({ time: toTime(ts), value })));
      made.volume.setData(candles.map(({ ts, open, close, volume }) => ({ time: toTime(ts), value: volume, color: close >= open ? colors.upSoft : colors.downSoft })));
    });
    made.markers.setMarkers(markersOf(series, timeframe, showNotTaken, text, colors, events));
  }, [candles, decimals, events, marks, series, showNotTaken, source, sync, text, theme, rise, timeframe]);

  useEffect(() => {
    parts.current?.chart.priceScale("right").applyOptions({ mode: MODES[scale] });
  }, [scale, text, theme, rise]);

  useEffect(() => {
    const made = parts.current;
    if (made === null || position === null) return;
    const target = source === "last" ? made.candles : made.mark;
    const drawn: IPriceLine[] = levelsOf(position, text, made.colors).flatMap(({ price, title, color, style }) =>
      price === null ? [] : [target.createPriceLine({ price, title, color, lineStyle: style, lineWidth: 1, axisLabelVisible: true })],
    );
    // The bracket belongs to the picture: without it a stop just outside the bars could not be seen.
    const inside = [position.sl_price, position.tp_price].filter((level): level is number => level !== null);
    target.applyOptions({
      autoscaleInfoProvider: (original: () => { priceRange: { minValue: number; maxValue: number } | null } | null) => {
        const found = original();
        if (found === null || found.priceRange === null) return found;
        return { ...found, priceRange: { minValue: Math.min(found.priceRange.minValue, ...inside), maxValue: Math.max(found.priceRange.maxValue, ...inside) } };
      },
    });
    return () => {
      if (parts.current !== made) return;
      for (const line of drawn) target.removePriceLine(line);
      target.applyOptions({ autoscaleInfoProvider: undefined });
    };
  }, [position, source, text, theme, rise]);

  // A new range or timeframe is looked at whole; new minutes only push on.
  const view = `${series.symbol}:${timeframe}:${candles.length > 0}`;
  useEffect(() => {
    sync.fit();
  }, [sync, view, text, theme, rise]);

  const liquidation = position?.liquidation_price ?? null;
  const reach = [...candles.flatMap(({ low, high }) => [low, high]), ...[position?.sl_price, position?.tp_price].filter((level): level is number => typeof level === "number")];
  const beyond = liquidation === null || reach.length === 0 ? null : liquidation < Math.min(...reach) ? "below" : liquidation > Math.max(...reach) ? "above" : null;
  const newest = candles.at(-1)?.close;
  return (
    <div className="relative h-full w-full">
      {liquidation !== null && beyond !== null && newest !== undefined && (
        // Drawn to scale it would flatten the bars: its place is told at the edge beyond which it lies.
        <span data-testid="liquidation-beyond" className={cn("num pointer-events-none absolute right-20 z-10 rounded bg-amber-soft px-1 text-2xs text-amber", beyond === "below" ? "bottom-8" : "top-1.5")}>
          {beyond === "below" ? "↓" : "↑"} {text.t("chart.liq")} {text.price(liquidation, decimals)} ({text.percent(liquidation / newest - 1, 1, true)})
        </span>
      )}
      <div ref={host} role="group" aria-label={text.t("chart.price.what", { symbol: series.symbol, timeframe })} data-testid="price-chart" className="h-full w-full" />
    </div>
  );
}
