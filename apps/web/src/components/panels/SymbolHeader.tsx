"use client";

import { useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight } from "lucide-react";
import Link from "next/link";
import { SideBadge } from "@/components/data/SideBadge";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Signed } from "@/components/ui/signed";
import type { Instrument } from "@/lib/api/schemas";
import { decisionOf } from "@/lib/domain/signals";
import { useText } from "@/lib/i18n/useText";
import { neighbour } from "@/lib/keyboard/keys";
import { signalsQuery, universeQuery } from "@/lib/queries/live";
import { symbolHref } from "@/lib/symbolPath";

function Neighbour({ symbol, step, symbols }: { symbol: string; step: 1 | -1; symbols: readonly string[] }) {
  const { t } = useText();
  const target = neighbour(symbols, symbol, step);
  const Icon = step === 1 ? ChevronRight : ChevronLeft;
  const label = t(step === 1 ? "symbol.next" : "symbol.prev");
  return (
    <Button size="icon" asChild>
      <Link href={target === null ? "#" : symbolHref(target)} prefetch={false} aria-label={label} title={`${label} (${step === 1 ? "j" : "k"})`} data-testid={step === 1 ? "symbol-next" : "symbol-prev"}>
        <Icon aria-hidden />
      </Link>
    </Button>
  );
}

/** Name, state and newest figures of a symbol, between its neighbours. */
export function SymbolHeader({ symbol, instrument, decimals }: { symbol: string; instrument: Instrument | null; decimals: number | null }) {
  const { t, words, price, percent } = useText();
  const { data: universe = [] } = useQuery(universeQuery);
  const { data: signals = [] } = useQuery(signalsQuery);
  const signal = signals.find((row) => row.symbol === symbol) ?? null;
  const symbols = universe.map((one) => one.symbol);
  const figure = (label: string, value: string, testId: string) => (
    <div data-testid={testId}>
      <div className="label">{label}</div>
      <div className="num font-medium">{value}</div>
    </div>
  );
  return (
    <div className="flex flex-wrap items-center gap-x-5 gap-y-2 px-0.5" data-testid="symbol-header">
      <div className="flex items-center gap-1.5">
        <Neighbour symbol={symbol} step={-1} symbols={symbols} />
        <h1 className="num px-1 text-lg leading-6 font-semibold tracking-tight" data-testid="symbol-name">
          {symbol}
        </h1>
        <Neighbour symbol={symbol} step={1} symbols={symbols} />
        {instrument !== null && instrument.liquidity_tier !== "" && <Badge>{t("symbol.tier", { tier: instrument.liquidity_tier })}</Badge>}
        {instrument !== null && !instrument.tradable && <Badge tone="amber" data-testid="symbol-status">{words("status", instrument.status)}</Badge>}
        {signal !== null && <SideBadge side={decisionOf(signal)} />}
      </div>
      <div className="num text-lg leading-6 font-semibold" data-testid="symbol-last">
        {price(signal?.close, decimals)}{" "}
        <Signed withArrow value={signal?.ret_60} text={percent(signal?.ret_60, 2, true)} className="text-xs font-medium" />
      </div>
      {figure(t("symbol.mark"), price(signal?.mark_price, decimals), "symbol-mark")}
      {figure(t("symbol.funding"), percent(signal?.funding_rate, 4, true), "symbol-funding")}
    </div>
  );
}
