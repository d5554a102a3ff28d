import { TriangleAlert } from "lucide-react";
import { DistanceBar } from "@/components/data/DistanceBar";
import { PositionAge } from "@/components/data/PositionAge";
import { SideBadge } from "@/components/data/SideBadge";
import { SymbolLink } from "@/components/data/SymbolLink";
import { SymbolCommandButton } from "@/components/panels/SymbolCommandButton";
import { Badge } from "@/components/ui/badge";
import { Signed, signedTone } from "@/components/ui/signed";
import type { Instrument, Position } from "@/lib/api/schemas";
import { distanceFrac, isLong, roeFrac } from "@/lib/domain/positions";
import { decimalsOf } from "@/lib/format/number";
import type { Text } from "@/lib/i18n/useText";
import type { Column } from "@/lib/table/useTable";

/**
 * `both`: two accounts stand in one table, so each row says whose it is, and those of the exchange can be left. No
 * column has a width: a price is shown whole, and these rows are few.
 */
export function positionColumns(text: Text, instruments: ReadonlyMap<string, Instrument>, both = false): Column<Position>[] {
  const { t } = text;
  const priceDecimals = ({ symbol }: Position) => instruments.get(symbol)?.price_decimals ?? decimalsOf(instruments.get(symbol)?.tick_size);
  const qtyDecimals = ({ symbol }: Position) => instruments.get(symbol)?.qty_decimals ?? decimalsOf(instruments.get(symbol)?.step_size);
  const price = (position: Position, value: number | null) => text.price(value, priceDecimals(position));
  const multiple = (position: Position) => text.fixed(position.r_multiple, 2, true);
  const roe = (position: Position) => text.percent(roeFrac(position), 1, true);
  return [
    {
      id: "symbol",
      label: "col.symbol",
      pinned: true,
      cell: (position) => (
        <span className="inline-flex items-center gap-1.5">
          <SymbolLink symbol={position.symbol} navRow />
          <span className="num text-2xs text-faint">{position.leverage === null ? "" : `${position.leverage}×`}</span>
          {!position.protected && (
            <Badge tone="bad" data-testid={`unprotected-${position.symbol}`}>
              <TriangleAlert aria-hidden className="size-3" /> {t("positions.unprotected")}
            </Badge>
          )}
        </span>
      ),
      sort: (position) => position.symbol,
    },
    ...(both
      ? [
          {
            id: "mode",
            label: "col.account" as const,
            cell: (position: Position) => <Badge tone={position.mode === "live" ? "good" : "violet"}>{t(position.mode === "live" ? "mode.LIVE" : "mode.SHADOW")}</Badge>,
            sort: (position: Position) => position.mode,
          },
        ]
      : []),
    { id: "side", label: "col.side", cell: (position) => <SideBadge side={isLong(position) ? "LONG" : "SHORT"} />, sort: (position) => position.side },
    { id: "size", label: "col.size", numeric: true, cell: (position) => text.price(position.amt, qtyDecimals(position)), sort: (position) => position.amt },
    { id: "notional", label: "col.notional", numeric: true, optional: true, cell: (position) => text.money(position.notional), sort: (position) => position.notional },
    { id: "entry", label: "col.entry", numeric: true, cell: (position) => price(position, position.entry_price), sort: (position) => position.entry_price },
    { id: "mark", label: "col.mark", numeric: true, cell: (position) => price(position, position.mark_price), sort: (position) => position.mark_price },
    {
      id: "liquidation",
      label: "col.liquidation",
      numeric: true,
      cell: (position) => (
        <span className="text-amber">
          {price(position, position.liquidation_price)} <span className="text-2xs text-faint">{text.percent(distanceFrac(position.mark_price, position.liquidation_price), 1)}</span>
        </span>
      ),
      sort: (position) => position.liquidation_price,
    },
    { id: "sl", label: "col.sl", numeric: true, cell: (position) => price(position, position.sl_price), sort: (position) => position.sl_price },
    { id: "distance", label: "col.distance", cell: (position) => <DistanceBar position={position} /> },
    { id: "tp", label: "col.tp", numeric: true, cell: (position) => price(position, position.tp_price), sort: (position) => position.tp_price },
    {
      id: "pnl",
      label: "col.pnl",
      numeric: true,
      cell: (position) => <Signed withArrow value={position.unrealized_pnl} text={text.money(position.unrealized_pnl, true)} className="font-semibold" />,
      sort: (position) => position.unrealized_pnl,
    },
    { id: "r", label: "col.r", numeric: true, cell: multiple, tone: (position) => signedTone(position.r_multiple, multiple(position)), sort: (position) => position.r_multiple },
    { id: "roe", label: "col.roe", numeric: true, cell: roe, tone: (position) => signedTone(roeFrac(position), roe(position)), sort: roeFrac },
    { id: "margin", label: "col.margin", numeric: true, cell: (position) => text.money(position.isolated_margin), sort: (position) => position.isolated_margin },
    { id: "margin_ratio", label: "margin.ratio", numeric: true, cell: (position) => text.percent(position.margin_ratio, 1), sort: (position) => position.margin_ratio },
    { id: "risk", label: "col.risk", numeric: true, optional: true, cell: (position) => text.money(position.risk_at_stop), sort: (position) => position.risk_at_stop },
    { id: "funding", label: "col.funding", numeric: true, cell: (position) => text.money(position.funding), sort: (position) => position.funding },
    { id: "fee", label: "col.fee", numeric: true, optional: true, cell: (position) => text.money(position.fees), sort: (position) => position.fees },
    { id: "age", label: "col.age", numeric: true, cell: (position) => <PositionAge position={position} />, sort: (position) => (position.opened_ts === null ? null : -Date.parse(position.opened_ts)), csv: (position) => position.opened_ts },
    { id: "slippage", label: "margin.slippage", numeric: true, optional: true, cell: (position) => text.money(position.slippage), sort: (position) => position.slippage },
    ...(both ? [{ id: "act", label: "col.act" as const, cell: (position: Position) => (position.mode === "live" ? <SymbolCommandButton kind="close" symbol={position.symbol} /> : null) }] : []),
  ];
}
