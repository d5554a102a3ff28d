/** Settings by what they are about, in the order of the specification (§21, D43). Pure. */
export const GROUPS = {
  mode: ["MODE", "TRADING_ENABLED", "CAPITAL_LIMIT_USDT", "SHADOW_EQUITY_USDT", "FLUSH_INTERVAL_MS"],
  label: ["LABEL_PRESET", "K_TP", "K_SL", "H_BARS", "RISK_MAE_ATR", "FEE_RATE", "SLIPPAGE_K"],
  policy: ["EV_MIN", "Q05_MIN", "MAE_MAX", "MAX_POSITIONS"],
  risk: ["MAX_USED_MARGIN_PCT", "MAX_TOTAL_NOTIONAL_PCT", "MAX_DIRECTIONAL_NOTIONAL_PCT", "DAILY_LOSS_LIMIT_PCT", "MAX_SYMBOL_NOTIONAL_PCT", "RISK_PER_TRADE", "BETA_CAP", "TAKER_FEE_RATE"],
} as const;
export type Group = keyof typeof GROUPS | "other";

export interface Setting {
  name: string;
  value: unknown;
}

/** Every setting once: those of a group in its order, and what no group knows at the end, so that none is hidden. */
export function grouped(values: Record<string, unknown>): { group: Group; settings: Setting[] }[] {
  const known = new Set<string>(["UNIVERSE", ...Object.values(GROUPS).flat()]);
  const of = (names: readonly string[]) => names.flatMap((name) => (name in values ? [{ name, value: values[name] }] : []));
  const groups = (Object.keys(GROUPS) as (keyof typeof GROUPS)[]).map((group) => ({ group: group as Group, settings: of(GROUPS[group]) }));
  const other = of(Object.keys(values).filter((name) => !known.has(name)));
  return [...groups, { group: "other" as const, settings: other }].filter(({ settings }) => settings.length > 0);
}

/** The universe as names, whether the API gives a list or one text. */
export function universeOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? value.split(",").map((name) => name.trim()).filter((name) => name !== "") : [];
}
