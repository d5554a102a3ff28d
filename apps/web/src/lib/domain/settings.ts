/** Settings by what they are about, in the order of the specification (§21, D43). Pure. */
export const GROUPS = {
  mode: ["MODE", "TRADING_ENABLED", "CAPITAL_LIMIT_USDT", "SHADOW_EQUITY_USDT", "FLUSH_INTERVAL_MS"],
  label: ["LABEL_PRESET", "K_TP", "K_SL", "H_BARS", "RISK_MAE_ATR", "FEE_RATE", "SLIPPAGE_K"],
  policy: ["EV_MIN", "Q05_MIN", "MAE_MAX", "MAX_POSITIONS"],
  risk: ["MAX_USED_MARGIN_PCT", "MAX_TOTAL_NOTIONAL_PCT", "MAX_DIRECTIONAL_NOTIONAL_PCT", "DAILY_LOSS_LIMIT_PCT", "MAX_SYMBOL_NOTIONAL_PCT", "RISK_PER_TRADE", "BETA_CAP", "TAKER_FEE_RATE"],
} as const;
export type Group = keyof typeof GROUPS | "other";

/** What a setting is counted in; `fraction` is a share that is written as such (0.02 is 2 %). */
export const SETTING_UNITS = {
  CAPITAL_LIMIT_USDT: "usdt",
  SHADOW_EQUITY_USDT: "usdt",
  FLUSH_INTERVAL_MS: "ms",
  K_TP: "atr",
  K_SL: "atr",
  H_BARS: "bars",
  RISK_MAE_ATR: "atr",
  FEE_RATE: "fraction",
  SLIPPAGE_K: "atr",
  EV_MIN: "fraction",
  Q05_MIN: "atr",
  MAE_MAX: "atr",
  MAX_POSITIONS: "positions",
  MAX_USED_MARGIN_PCT: "fraction",
  MAX_TOTAL_NOTIONAL_PCT: "fraction",
  MAX_DIRECTIONAL_NOTIONAL_PCT: "fraction",
  DAILY_LOSS_LIMIT_PCT: "fraction",
  MAX_SYMBOL_NOTIONAL_PCT: "fraction",
  RISK_PER_TRADE: "fraction",
  BETA_CAP: "plain",
  TAKER_FEE_RATE: "fraction",
  WEEKLY_LOSS_LIMIT_PCT: "fraction",
  DRAWDOWN_LIMIT_PCT: "fraction",
  CAPITAL_STAGE_PCT: "fraction",
  MAX_ORDER_NOTIONAL_PCT: "fraction",
  ENTRIES_PER_MINUTE: "entries",
  ENTRIES_PER_HOUR: "entries",
  ENTRIES_PER_DAY: "entries",
  MAX_SPREAD_BPS: "bp",
  MAX_MARK_GAP_BPS: "bp",
  MODEL_MAX_AGE_DAYS: "days",
} as const;
export type SettingUnit = (typeof SETTING_UNITS)[keyof typeof SETTING_UNITS];

export function unitOf(name: string): SettingUnit | null {
  return name in SETTING_UNITS ? SETTING_UNITS[name as keyof typeof SETTING_UNITS] : null;
}

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

/** As a field shows it: empty is null, a list is separated by commas. */
export function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.map(String).join(", ") : String(value);
}

/** What was written, in the kind of what stands there; undefined when it cannot be that. */
export function readSetting(text: string, before: unknown): unknown {
  const written = text.trim();
  if (Array.isArray(before)) return written.split(/[\s,]+/).filter((part) => part !== "");
  if (written === "") return typeof before === "string" ? undefined : null;
  if (typeof before === "boolean") return written === "true" ? true : written === "false" ? false : undefined;
  const number = Number(written);
  if (typeof before === "number") return Number.isFinite(number) ? number : undefined;
  return before === null && Number.isFinite(number) ? number : written;
}

export interface Difference {
  name: string;
  before: unknown;
  after: unknown;
  /** What is written cannot be a value of this setting. */
  invalid: boolean;
}

/** What a form would change, in the order of the settings. */
export function differences(values: Record<string, unknown>, written: Readonly<Record<string, string>>): Difference[] {
  return Object.keys(values).flatMap((name) => {
    const text = written[name];
    if (text === undefined) return [];
    const [before, after] = [values[name], readSetting(text, values[name])];
    const same = JSON.stringify(after) === JSON.stringify(before ?? null);
    return same ? [] : [{ name, before, after, invalid: after === undefined || (after === null && before !== null && typeof before === "boolean") }];
  });
}

/** The universe as names, whether the API gives a list or one text. */
export function universeOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? value.split(",").map((name) => name.trim()).filter((name) => name !== "") : [];
}
