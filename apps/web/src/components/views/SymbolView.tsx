"use client";

import { useQuery } from "@tanstack/react-query";
import dynamic from "next/dynamic";
import { usePathname, useSearchParams } from "next/navigation";
import { useMemo, useState } from "react";
import { ChartLegend } from "@/components/charts/ChartLegend";
import { DragZoom } from "@/components/charts/DragZoom";
import { AccountSwitch, useAccountMode } from "@/components/data/AccountSwitch";
import { QueryView } from "@/components/data/QueryView";
import { RangePicker } from "@/components/data/RangePicker";
import { ExplainPanel } from "@/components/panels/ExplainPanel";
import { LiveOpsPanel } from "@/components/panels/LiveOpsPanel";
import { SymbolHeader } from "@/components/panels/SymbolHeader";
import { WhyPanel } from "@/components/panels/WhyPanel";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Segmented } from "@/components/ui/segmented";
import { Empty, Loading, Skeleton } from "@/components/ui/states";
import type { Annotation, Series } from "@/lib/api/schemas";
import { ChartSync } from "@/lib/chart/sync";
import { aggregate, candlesOf, PRICE_SCALES, TIMEFRAMES, type Timeframe } from "@/lib/domain/series";
import { decimalsOf } from "@/lib/format/number";
import { useText } from "@/lib/i18n/useText";
import { livePositionsQuery, positionsQuery, signalsQuery, universeQuery } from "@/lib/queries/live";
import type { AccountMode } from "@/lib/queries/risk";
import { useWindow } from "@/lib/rangeState";
import { annotationsQuery } from "@/lib/queries/performance";
import { useSymbolSeries } from "@/lib/queries/useSymbolSeries";
import { symbolOfPath } from "@/lib/symbolPath";
import { useHydrated } from "@/lib/useHydrated";
import { setUrlParams } from "@/lib/useUrlState";

// The chart library is fetched with the first chart, not with the desk.
const PriceChart = dynamic(() => import("@/components/charts/PriceChart").then((module) => module.PriceChart), { ssr: false, loading: () => <Skeleton className="h-full" /> });
const SignalSeriesChart = dynamic(() => import("@/components/charts/SignalSeriesChart").then((module) => module.SignalSeriesChart), { ssr: false, loading: () => <Skeleton className="h-full" /> });

// Below the charts, and with a table of its own.
const WhyNotTable = dynamic(() => import("@/components/tables/WhyNotTable").then((module) => module.WhyNotTable), { ssr: false, loading: () => <Skeleton className="h-40" /> });

const NO_EVENTS: readonly Annotation[] = [];

function useSymbol(): string | null {
  const pathname = usePathname();
  // The exported page stands for every symbol and must not name one before the browser has said which.
  return useHydrated() ? symbolOfPath(pathname) : null;
}

function useView() {
  const params = useSearchParams();
  const window = useWindow();
  const timeframe: Timeframe = TIMEFRAMES.find((name) => name === params.get("tf")) ?? "1m";
  return {
    window,
    timeframe,
    source: params.get("price") === "mark" ? ("mark" as const) : ("last" as const),
    scale: PRICE_SCALES.find((name) => name === params.get("scale")) ?? ("plain" as const),
    showNotTaken: params.get("skipped") !== "0",
    showEvents: params.get("events") !== "0",
  };
}

function Charts({ series, mode, decimals, view }: { series: Series; mode: AccountMode; decimals: number | null; view: ReturnType<typeof useView> }) {
  const { t } = useText();
  const [sync] = useState(() => new ChartSync());
  const { data: shadow = [] } = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const positions = mode === "live" ? live : shadow;
  const { data: signals = [] } = useQuery(signalsQuery);
  const { showEvents, ...shown } = view;
  const { timeframe } = view;
  const { data: annotations } = useQuery({ ...annotationsQuery(view.window, series.symbol), enabled: showEvents });
  const events = (showEvents && annotations?.items) || NO_EVENTS;
  const candles = useMemo(() => aggregate(candlesOf(series), timeframe), [series, timeframe]);
  const position = positions.find((held) => held.symbol === series.symbol) ?? null;
  const current = signals.find((signal) => signal.symbol === series.symbol) ?? null;
  if (candles.length === 0) return <Empty title={t("chart.empty")} className="h-96">{t("chart.empty.what")}</Empty>;
  return (
    <DragZoom withShift timeAt={(x) => sync.timeAt(x)}>
      <div className="relative h-[22rem] sm:h-[26rem] xl:h-[46vh]">
        <ChartLegend series={series} candles={candles} timeframe={timeframe} decimals={decimals} sync={sync} />
        <PriceChart {...shown} events={events} series={series} candles={candles} position={position} decimals={decimals} sync={sync} />
      </div>
      <div className="h-[26rem] border-t border-line xl:h-[30rem]">
        <SignalSeriesChart series={series} candles={candles} timeframe={timeframe} current={current} sync={sync} />
      </div>
    </DragZoom>
  );
}

function Toolbar({ view }: { view: ReturnType<typeof useView> }) {
  const { t } = useText();
  const same = <T extends string>(values: readonly T[]) => values.map((value) => ({ value, text: value }));
  return (
    <>
      <Segmented label={t("symbol.price_source")} testId="price-source" value={view.source} options={[{ value: "last", text: t("symbol.last") }, { value: "mark", text: t("symbol.mark") }]} onChange={(value) => setUrlParams({ price: value === "last" ? null : value })} />
      <Segmented label={t("symbol.timeframe")} testId="timeframe" value={view.timeframe} options={same(TIMEFRAMES)} onChange={(value) => setUrlParams({ tf: value === "1m" ? null : value })} />
      <RangePicker />
      <Segmented label={t("chart.scale")} testId="price-scale" value={view.scale} options={PRICE_SCALES.map((value) => ({ value, text: t(`chart.scale.${value}`) }))} onChange={(value) => setUrlParams({ scale: value === "plain" ? null : value })} />
      <Button size="sm" aria-pressed={view.showNotTaken} title={t("chart.markers.what")} data-testid="not-taken" className={view.showNotTaken ? "text-brand" : ""} onClick={() => setUrlParams({ skipped: view.showNotTaken ? "0" : null })}>
        {t("chart.markers")}
      </Button>
      <Button size="sm" aria-pressed={view.showEvents} title={t("chart.events.what")} data-testid="chart-events" className={view.showEvents ? "text-brand" : ""} onClick={() => setUrlParams({ events: view.showEvents ? "0" : null })}>
        {t("chart.events")}
      </Button>
    </>
  );
}

function Loaded({ symbol }: { symbol: string }) {
  const { t } = useText();
  const view = useView();
  const { mode, fallback } = useSymbolAccount(symbol);
  const query = useSymbolSeries(symbol, mode, view.window);
  const universe = useQuery(universeQuery);
  const instrument = universe.data?.find((one) => one.symbol === symbol) ?? null;
  const decimals = instrument?.price_decimals ?? decimalsOf(instrument?.tick_size);
  if (universe.data !== undefined && universe.data.length > 0 && instrument === null) {
    return (
      <Card title={symbol} data-testid="symbol-unknown">
        <Empty title={t("symbol.unknown", { symbol })}>{t("symbol.unknown.what")}</Empty>
      </Card>
    );
  }
  return (
    <div className="flex flex-col gap-2 sm:gap-3" data-testid="page-symbol">
      <SymbolHeader symbol={symbol} instrument={instrument} decimals={decimals} />
      <div className="grid gap-2 sm:gap-3 xl:grid-cols-[minmax(0,1fr)_23rem]">
        <Card title={<span className="num">{symbol}</span>} aside={
            <>
              <AccountSwitch fallback={fallback} />
              <Toolbar view={view} />
            </>
          } bodyClassName="p-0">
          <QueryView query={query} what="chart.price" rows={14}>
            {(series) => <Charts key={`${symbol}:${mode}`} series={series} mode={mode} decimals={decimals} view={view} />}
          </QueryView>
        </Card>
        <div className="flex flex-col gap-2 sm:gap-3">
          <WhyPanel symbol={symbol} decimals={decimals} />
          <LiveOpsPanel symbol={symbol} mode={mode} trades={query.data?.positions ?? []} decimals={decimals} />
          <ExplainPanel symbol={symbol} />
        </div>
      </div>
      <WhyNotTable key={symbol} symbol={symbol} mode={mode} window={view.window} />
    </div>
  );
}

/** What is held with money is looked at first, unless somebody asked for the other account. */
function useSymbolAccount(symbol: string): { mode: AccountMode; fallback: AccountMode } {
  const { data: held = [] } = useQuery(livePositionsQuery);
  const fallback = held.some((position) => position.symbol === symbol) ? "live" : "shadow";
  return { mode: useAccountMode(fallback), fallback };
}

/** One symbol: price, predictions, the decision and what is held. */
export function SymbolView() {
  const symbol = useSymbol();
  const { t } = useText();
  return symbol === null ? <Loading className="p-3" rows={12} label={t("state.loading", { what: t("nav.symbol") })} /> : <Loaded symbol={symbol} />;
}
