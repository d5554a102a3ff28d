"use client";

import { useQuery } from "@tanstack/react-query";
import { DistanceBar } from "@/components/data/DistanceBar";
import { PositionAge } from "@/components/data/PositionAge";
import { SideBadge } from "@/components/data/SideBadge";
import { Card, Figure } from "@/components/ui/card";
import { Signed } from "@/components/ui/signed";
import { Badge } from "@/components/ui/badge";
import type { Position, Trade } from "@/lib/api/schemas";
import { isLong, roeFrac } from "@/lib/domain/positions";
import { useText } from "@/lib/i18n/useText";
import { liveAccountQuery, livePositionsQuery, positionsQuery } from "@/lib/queries/live";
import { openOrdersQuery, symbolFillsQuery } from "@/lib/queries/records";
import { riskQuery, type AccountMode } from "@/lib/queries/risk";
import { SymbolCommandButton } from "./SymbolCommandButton";

function Holding({ position, decimals }: { position: Position; decimals: number | null }) {
  const { t, price, quantity, money, percent, fixed } = useText();
  const roe = roeFrac(position);
  return (
    <div className="flex flex-col gap-2" data-testid="ops-position">
      <div className="flex items-center gap-2">
        <SideBadge side={isLong(position) ? "LONG" : "SHORT"} />
        <span className="num text-xs text-soft">
          {quantity(position.amt)} · {position.leverage}×
        </span>
        <Signed withArrow value={position.unrealized_pnl} text={money(position.unrealized_pnl, true)} className="ml-auto text-base font-semibold" />
      </div>
      <DistanceBar position={position} />
      <div className="grid grid-cols-3 gap-x-3 gap-y-1.5">
        <Figure label={t("col.entry")}>{price(position.entry_price, decimals)}</Figure>
        <Figure label={t("col.mark")}>{price(position.mark_price, decimals)}</Figure>
        <Figure label={t("col.liquidation")}>{price(position.liquidation_price, decimals)}</Figure>
        <Figure label={t("col.sl")}>{price(position.sl_price, decimals)}</Figure>
        <Figure label={t("col.tp")}>{price(position.tp_price, decimals)}</Figure>
        <Figure label={t("col.r")}>
          <Signed value={position.r_multiple} text={fixed(position.r_multiple, 2, true)} />
        </Figure>
        <Figure label={t("col.margin")}>{money(position.isolated_margin)}</Figure>
        <Figure label={t("col.roe")}>
          <Signed value={roe} text={percent(roe, 1, true)} />
        </Figure>
        <Figure label={t("col.age")}>
          <PositionAge position={position} />
        </Figure>
      </div>
    </div>
  );
}

function TradeRow({ trade, decimals }: { trade: Trade; decimals: number | null }) {
  const { t, words, dayMinute, price, money, duration } = useText();
  return (
    <li className="grid grid-cols-[auto_1fr_auto] items-baseline gap-x-2.5 border-t border-line py-1 text-xs">
      <SideBadge side={trade.side.toUpperCase() === "SHORT" ? "SHORT" : "LONG"} />
      <span className="num truncate">
        {price(trade.entry_price, decimals)} → {trade.exit_price === null ? "…" : price(trade.exit_price, decimals)}
      </span>
      <Signed value={trade.net} text={money(trade.net, true)} className="text-right font-medium" />
      <span />
      <span className="num text-2xs text-faint">
        {dayMinute(trade.from_ts)} {trade.to_ts !== null && <>· {duration(trade.to_ts - trade.from_ts)}</>}
      </span>
      <span className="text-right text-2xs text-faint">{trade.exit_reason === null ? t("ops.open") : words("exit", trade.exit_reason)}</span>
    </li>
  );
}

/** Entries on this symbol stopped or allowed, and its position left: of the account on the exchange only. */
function Commands({ symbol }: { symbol: string }) {
  const { data: live } = useQuery(liveAccountQuery);
  const { data: held = [] } = useQuery(livePositionsQuery);
  const { data: state } = useQuery({ ...riskQuery("live"), enabled: Boolean(live) });
  if (!live) return null;
  const paused = state?.live?.paused.includes(symbol) ?? false;
  return (
    <div className="mt-3 flex gap-2" data-testid="ops-commands">
      <SymbolCommandButton key={String(paused)} kind={paused ? "unpause" : "pause"} symbol={symbol} />
      {held.some((position) => position.symbol === symbol) && <SymbolCommandButton kind="close" symbol={symbol} />}
    </div>
  );
}

interface Leg {
  key: number;
  when?: number;
  what: string;
  price: number | null;
  qty: number;
}

function Legs({ testId, title, none, legs, decimals }: { testId: string; title: string; none: string; legs: readonly Leg[]; decimals: number | null }) {
  const { dayMinute, price, quantity } = useText();
  return (
    <section data-testid={testId}>
      <h3 className="label mt-3">{title}</h3>
      {legs.length === 0 && <p className="mt-1 text-xs text-faint">{none}</p>}
      <ul className="mt-1">
        {legs.map((leg) => (
          <li key={leg.key} className="flex items-baseline gap-x-2.5 border-t border-line py-1 text-xs">
            {leg.when !== undefined && <span className="num text-2xs text-faint">{dayMinute(leg.when)}</span>}
            <span>{leg.what}</span>
            <span className="num ml-auto">{price(leg.price, decimals)}</span>
            <span className="num w-20 text-right text-faint">{quantity(leg.qty)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Orders of the symbol that still stand (its stop and target, or a resting entry), and its newest fills. */
function OrdersAndFills({ symbol, mode, decimals }: { symbol: string; mode: AccountMode; decimals: number | null }) {
  const { t, words } = useText();
  const { data: orders = [] } = useQuery({ ...openOrdersQuery(mode), select: (all) => all.filter((order) => order.symbol === symbol) });
  const { data: fills = [] } = useQuery(symbolFillsQuery(mode, symbol));
  const standing = orders.map((order) => ({ key: order.order_id, what: order.leg === null ? words("side", order.side) : words("leg", order.leg), price: order.stop_price ?? order.price, qty: order.qty }));
  const filled = fills.map((fill) => ({ key: fill.trade_id, when: Date.parse(fill.ts), what: words("side", fill.side), price: fill.price, qty: fill.qty }));
  return (
    <>
      <Legs testId="ops-orders" title={t("orders.tab.open")} none={t("orders.open.empty")} legs={standing} decimals={decimals} />
      <Legs testId="ops-fills" title={t("fills.title")} none={t("fills.empty")} legs={filled} decimals={decimals} />
    </>
  );
}

/** What is held of this symbol now, in either account, its orders and fills, and its trades in the shown range. */
export function LiveOpsPanel({ symbol, mode, trades, decimals }: { symbol: string; mode: AccountMode; trades: readonly Trade[]; decimals: number | null }) {
  const { t } = useText();
  const { data: shadow = [] } = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const { data: account } = useQuery(liveAccountQuery);
  const held = [...live, ...shadow].filter((position) => position.symbol === symbol);
  const newestFirst = [...trades].reverse().slice(0, 12);
  return (
    <Card title={t("ops.title")} data-testid="panel-ops">
      {held.length === 0 && (
        <p className="text-xs text-faint" data-testid="ops-flat">
          {t("ops.flat")}
        </p>
      )}
      {held.map((position) => (
        <div key={position.mode} className="mb-3 last:mb-0" data-testid={`ops-held-${position.mode}`}>
          {account && (
            <Badge tone={position.mode === "live" ? "bad" : "neutral"} className="mb-1">
              {t(position.mode === "live" ? "mode.LIVE" : "mode.SHADOW")}
            </Badge>
          )}
          <Holding position={position} decimals={decimals} />
        </div>
      ))}
      <Commands symbol={symbol} />
      <OrdersAndFills symbol={symbol} mode={mode} decimals={decimals} />
      <h3 className="label mt-3">{t("ops.trades")}</h3>
      {newestFirst.length === 0 ? (
        <p className="mt-1 text-xs text-faint">{t("ops.trades.none")}</p>
      ) : (
        <ul className="mt-1">
          {newestFirst.map((trade) => (
            <TradeRow key={`${trade.from_ts}:${trade.side}`} trade={trade} decimals={decimals} />
          ))}
        </ul>
      )}
    </Card>
  );
}
