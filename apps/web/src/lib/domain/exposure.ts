/** Which positions are nearest to harm, and what holding has cost. Pure. */
import type { Account, ClosedTrade, Position } from "@/lib/api/schemas";
import { distanceFrac } from "./positions";

export const TOP = 5;

export interface Ranked {
  position: Position;
  value: number;
}

function ranked(positions: readonly Position[], value: (position: Position) => number | null, ascending: boolean): Ranked[] {
  return positions
    .flatMap((position) => {
      const found = value(position);
      return found === null ? [] : [{ position, value: found }];
    })
    .sort((a, b) => (ascending ? a.value - b.value : b.value - a.value) || a.position.symbol.localeCompare(b.position.symbol))
    .slice(0, TOP);
}

/** The five whose mark is nearest to their liquidation price, as a fraction of the mark. */
export function nearestToLiquidation(positions: readonly Position[]): Ranked[] {
  return ranked(positions, (position) => distanceFrac(position.mark_price, position.liquidation_price), true);
}

/** The five with the most margin, quote units. */
export function mostMargin(positions: readonly Position[]): Ranked[] {
  return ranked(positions, (position) => position.isolated_margin, false);
}

export type CostName = "fees" | "slippage" | "funding";

/** Accumulated costs over closed trades and open positions; a negative one was earned. */
export function costsOf(account: Pick<Account, CostName>): { name: CostName; value: number }[] {
  return (["fees", "slippage", "funding"] as const).map((name) => ({ name, value: account[name] ?? 0 }));
}

export function unprotected(positions: readonly Position[]): Position[] {
  return positions.filter((position) => !position.protected);
}

export interface Funded {
  symbol: string;
  side: string;
  from: number | null;
  /** Null while it is open. */
  to: number | null;
  /** At the entry, quote units. */
  notional: number | null;
  /** Plus was paid. */
  funding: number;
}

/** Positions that paid or received funding, open ones first. */
export function funded(positions: readonly Position[], trades: readonly ClosedTrade[]): Funded[] {
  const open = positions.map((position) => ({
    symbol: position.symbol,
    side: position.side,
    from: position.opened_ts === null ? null : Date.parse(position.opened_ts),
    to: null,
    notional: position.entry_price === null ? null : Math.abs(position.amt) * position.entry_price,
    funding: position.funding ?? 0,
  }));
  const closed = trades.map((trade) => ({ symbol: trade.symbol, side: trade.side, from: Date.parse(trade.entry_ts), to: Date.parse(trade.exit_ts), notional: trade.qty * trade.entry_price, funding: trade.funding }));
  return [...open, ...closed].filter(({ funding }) => funding !== 0);
}
