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
 * `both`: two accounts stand in one table, so each row says whose it is, and those of the
 * exchange can be left. `naked`: the symbols need room for what says so.
 */
export function positionColumns(text: Text, instruments: ReadonlyMap<string, Instrument>, both = false, naked = false): Column<Position>[] {
  const { t } = text;
  const priceDecimals = ({ symbol }: Position) => instruments.get(symbol)?.price_decimals ?? decimalsOf(instruments.get(symbol)?.tick_size);
  const qtyDecimals = ({ symbol }: Position) => instruments.get(symbol)?.qty_decimals ?? decimalsOf(instruments.get(symbol)?.step_size);
  const price = (position: Position, value: number | null) => text.price(value, priceDecimals(position));
  const multiple = (position: Position) => text.fixed(position.r_multiple, 2, true);
  const roe = (position: Position) => text.percent(roeFrac(position), 1, true);
  return [
    {
      id: "symbol",
      width: naked ? 31 : 16.2,
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
            width: 11,
            label: "col.account" as const,
            cell: (position: Position) => <Badge tone={position.mode === "live" ? "good" : "violet"}>{t(position.mode === "live" ? "mode.LIVE" : "mode.SHADOW")}</Badge>,
            sort: (position: Position) => position.mode,
          },
        ]
      : []),
    { id: "side", width: 9.8, label: "col.side", cell: (position) => <SideBadge side={isLong(position) ? "LONG" : "SHORT"} />, sort: (position) => position.side },
    { id: "size", width: 11, label: "col.size", numeric: true, cell: (position) => text.price(position.amt, qtyDecimals(position)), sort: (position) => position.amt },
    { id: "notional", width: 11, label: "col.notional", numeric: true, optional: true, cell: (position) => text.money(position.notional), sort: (position) => position.notional },
    { id: "entry", width: 10.2, label: "col.entry", numeric: true, cell: (position) => price(position, position.entry_price), sort: (position) => position.entry_price },
    { id: "mark", width: 10.2, label: "col.mark", numeric: true, cell: (position) => price(position, position.mark_price), sort: (position) => position.mark_price },
    {
      id: "liquidation",
      width: 15,
      label: "col.liquidation",
      numeric: true,
      cell: (position) => (
        <span className="text-amber">
          {price(position, position.liquidation_price)} <span className="text-2xs text-faint">{text.percent(distanceFrac(position.mark_price, position.liquidation_price), 1)}</span>
        </span>
      ),
      sort: (position) => position.liquidation_price,
    },
    { id: "sl", width: 10.2, label: "col.sl", numeric: true, cell: (position) => price(position, position.sl_price), sort: (position) => position.sl_price },
    { id: "distance", width: 12, label: "col.distance", cell: (position) => <DistanceBar position={position} /> },
    { id: "tp", width: 10.2, label: "col.tp", numeric: true, cell: (position) => price(position, position.tp_price), sort: (position) => position.tp_price },
    {
      id: "pnl",
      width: 11,
      label: "col.pnl",
      numeric: true,
      cell: (position) => <Signed withArrow value={position.unrealized_pnl} text={text.money(position.unrealized_pnl, true)} className="font-semibold" />,
      sort: (position) => position.unrealized_pnl,
    },
    { id: "r", width: 6.5, label: "col.r", numeric: true, cell: multiple, tone: (position) => signedTone(position.r_multiple, multiple(position)), sort: (position) => position.r_multiple },
    { id: "roe", width: 8, label: "col.roe", numeric: true, cell: roe, tone: (position) => signedTone(roeFrac(position), roe(position)), sort: roeFrac },
    { id: "margin", width: 8.8, label: "col.margin", numeric: true, cell: (position) => text.money(position.isolated_margin), sort: (position) => position.isolated_margin },
    { id: "margin_ratio", width: 9, label: "margin.ratio", numeric: true, cell: (position) => text.percent(position.margin_ratio, 1), sort: (position) => position.margin_ratio },
    { id: "risk", width: 10, label: "col.risk", numeric: true, optional: true, cell: (position) => text.money(position.risk_at_stop), sort: (position) => position.risk_at_stop },
    { id: "funding", width: 8.8, label: "col.funding", numeric: true, cell: (position) => text.money(position.funding), sort: (position) => position.funding },
    { id: "fee", width: 9.5, label: "col.fee", numeric: true, optional: true, cell: (position) => text.money(position.fees), sort: (position) => position.fees },
    { id: "age", width: 12, label: "col.age", numeric: true, cell: (position) => <PositionAge position={position} />, sort: (position) => (position.opened_ts === null ? null : -Date.parse(position.opened_ts)), csv: (position) => position.opened_ts },
    { id: "slippage", width: 10, label: "margin.slippage", numeric: true, optional: true, cell: (position) => text.money(position.slippage), sort: (position) => position.slippage },
    ...(both ? [{ id: "act", width: 14, label: "col.act" as const, cell: (position: Position) => (position.mode === "live" ? <SymbolCommandButton kind="close" symbol={position.symbol} /> : null) }] : []),
  ];
}
