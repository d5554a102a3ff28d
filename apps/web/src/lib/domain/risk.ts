/** Reading guards and funnels. Pure. */
import type { Funnel, Guard, LiveState } from "@/lib/api/schemas";

export type GuardState = "unknown" | "ok" | "near" | "over";

/** From here on a guard is worth a look: 80 % of its limit. */
export const NEAR = 0.8;

export function guardState(guard: Pick<Guard, "used" | "value">): GuardState {
  if (guard.used === null || guard.value === null) return "unknown";
  return guard.used >= 1 ? "over" : guard.used >= NEAR ? "near" : "ok";
}

/** Counted in pieces, or a fraction of the equity. */
export function isCount(guard: Pick<Guard, "unit">): boolean {
  return guard.unit === "positions";
}

export interface Stage {
  name: "rows" | "traded" | "blocked" | "flat";
  count: number;
  /** Of all rows, in [0, 1]. */
  share: number;
}

/** Rows of the span and what became of them; shares of nothing are zero. */
export function stages(funnel: Funnel): Stage[] {
  const share = (count: number) => (funnel.rows === 0 ? 0 : count / funnel.rows);
  return (["rows", "traded", "blocked", "flat"] as const).map((name) => ({ name, count: funnel[name], share: share(funnel[name]) }));
}

/** The page that shows what an alert of the whole account is about; those of a symbol lead to the symbol. */
export function pageOf(code: string): "data-quality" | "orders" | "positions" | "risk" | "dashboard" {
  if (/DATA_STALE/.test(code)) return "data-quality";
  if (/ORDER|ENTRY|EXIT|BOOKED|LEDGER|RUNAWAY/.test(code)) return "orders";
  if (/POSITION|NAKED|STOP|TARGET|LIQUIDATION|ADL|MARGIN/.test(code)) return "positions";
  if (/STREAM|CLOCK|STORES|JOURNAL|WATCHDOG/.test(code)) return "dashboard";
  return "risk";
}

/** Why entries are forbidden now, of all symbols first. */
export function entryBlocks(live: LiveState): LiveState["blocks"] {
  return [...live.blocks].sort((a, b) => Number(a.symbol !== null) - Number(b.symbol !== null) || a.since.localeCompare(b.since));
}
