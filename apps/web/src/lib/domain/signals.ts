/** Reading a decision: side, best EV, the primary reason. Pure. */
import type { BlockReason, Instrument, Signal } from "@/lib/api/schemas";

export type Side = "LONG" | "SHORT";

/** One line of the signals table: every symbol of the universe, with or without a signal. */
export interface SignalRow {
  symbol: string;
  instrument: Instrument | null;
  signal: Signal | null;
}

/** Universe order, which is the order of the API; symbols that only signals know come last. */
export function signalRows(instruments: readonly Instrument[], signals: readonly Signal[]): SignalRow[] {
  const bySymbol = new Map(signals.map((signal) => [signal.symbol, signal]));
  const rows: SignalRow[] = instruments.map((instrument) => ({
    symbol: instrument.symbol,
    instrument,
    signal: bySymbol.get(instrument.symbol) ?? null,
  }));
  const known = new Set(instruments.map((instrument) => instrument.symbol));
  for (const signal of signals) if (!known.has(signal.symbol)) rows.push({ symbol: signal.symbol, instrument: null, signal });
  return rows;
}

/** The side with the larger EV, long on a tie, as the kernel chooses; null without any EV. */
export function preferredSide(signal: Pick<Signal, "ev_long" | "ev_short">): Side | null {
  const { ev_long: long, ev_short: short } = signal;
  if (long === null && short === null) return null;
  if (short === null) return "LONG";
  if (long === null) return "SHORT";
  return long >= short ? "LONG" : "SHORT";
}

/** The larger of the two EVs, a fraction of the entry. */
export function bestEv(signal: Pick<Signal, "ev_long" | "ev_short">): number | null {
  const side = preferredSide(signal);
  if (side === null) return null;
  return side === "LONG" ? signal.ev_long : signal.ev_short;
}

/** A prediction of the preferred side: `pick(signal, "er")` is `er_long` or `er_short`. */
export function pick(signal: Signal, name: "er" | "q05" | "e_mae" | "p_tp"): number | null {
  return preferredSide(signal) === "SHORT" ? signal[`${name}_short`] : signal[`${name}_long`];
}

/** LONG, SHORT or FLAT; anything unknown is FLAT: it opens nothing. */
export function decisionOf(signal: Pick<Signal, "decision"> | null): Side | "FLAT" {
  if (signal?.decision === "LONG" || signal?.decision === "SHORT") return signal.decision;
  return "FLAT";
}

/** All reasons with their figures; codes without figures are kept, order is that of the kernel, first is primary. */
export function reasonsOf(signal: Pick<Signal, "block_reasons" | "block_details">): BlockReason[] {
  const byCode = new Map(signal.block_details.map((reason) => [reason.code, reason]));
  const codes = signal.block_reasons.length > 0 ? signal.block_reasons : signal.block_details.map((reason) => reason.code);
  return codes.map((code) => byCode.get(code) ?? { code, value: null, limit: null, distance: null });
}

/** The reason that counted, null when traded. */
export function primaryReason(signal: Pick<Signal, "block_reasons" | "block_details">): string | null {
  return signal.block_reasons[0] ?? signal.block_details[0]?.code ?? null;
}

export interface ReasonCount {
  code: string;
  count: number;
}

/** How many symbols each primary reason stopped this minute; most first, ties by code so that bars keep their place. */
export function countReasons(signals: readonly Signal[]): ReasonCount[] {
  const counts = new Map<string, number>();
  for (const signal of signals) {
    const code = primaryReason(signal);
    if (code !== null) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts]
    .map(([code, count]) => ({ code, count }))
    .sort((a, b) => b.count - a.count || a.code.localeCompare(b.code));
}

/**
 * Codes in the order they stand in while they last, so that no bar moves from under a finger: new ones come last, and all
 * are ordered anew only when what leads has less than half of another. The same array when nothing changes.
 */
export function heldOrder(order: readonly string[], counts: readonly ReasonCount[]): readonly string[] {
  const count = (code: string | undefined) => counts.find((one) => one.code === code)?.count ?? 0;
  const still = order.filter((code) => count(code) > 0);
  const kept = [...still, ...counts.map(({ code }) => code).filter((code) => !still.includes(code))];
  const next = 2 * count(kept[0]) < (counts[0]?.count ?? 0) ? counts.map(({ code }) => code) : kept;
  return next.length === order.length && next.every((code, index) => code === order[index]) ? order : next;
}

/** What a value, limit and distance are counted in; a flag is a yes or no whose figures say nothing more. */
export type Unit = "fraction" | "count" | "money" | "minutes" | "plain" | "flag";

const UNITS: Record<string, Unit> = {
  DATA_STALE: "flag",
  FEATURE_NAN: "count",
  SYMBOL_NOT_TRADABLE: "flag",
  DRIFT_BLOCK: "flag",
  TRADING_OFF: "flag",
  KILL_SWITCH: "flag",
  ALREADY_IN_POSITION: "flag",
  REGIME_BLOCK: "flag",
  STOP_PATH_UNPROVEN: "flag",
  EV_BELOW_MIN: "fraction",
  Q05_BELOW_MIN: "fraction",
  MAE_ABOVE_MAX: "fraction",
  STOP_TOO_TIGHT: "plain",
  LIQUIDATION_TOO_NEAR: "fraction",
  MAX_POSITIONS: "count",
  MAX_TOTAL_NOTIONAL: "money",
  MAX_DIRECTIONAL_NOTIONAL: "money",
  TIER_CAP: "money",
  BETA_CAP: "money",
  MAX_USED_MARGIN: "money",
  DAY_RISK_BUDGET: "money",
  DAILY_LOSS_LIMIT: "money",
  MARKET_QTY: "plain",
  PARTICIPATION: "money",
  MIN_NOTIONAL: "money",
  COOLDOWN: "minutes",
  LOSS_PAUSE: "minutes",
};

export function unitOf(code: string): Unit {
  return UNITS[code] ?? "plain";
}
