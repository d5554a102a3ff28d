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
