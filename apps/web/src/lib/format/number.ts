/** Every number on screen goes through here: localised, with the instrument's precision, never by colour alone. */

/** Shown where there is no number. */
export const NONE = "–";
const MINUS = "\u2212"; // the typographic minus has the width of the plus

/** What a number's look may differ in here. */
type NumberLook = Pick<Intl.NumberFormatOptions, "style" | "minimumFractionDigits" | "maximumFractionDigits" | "signDisplay" | "notation">;

const cache = new Map<string, Intl.NumberFormat>();

function formatter(locale: string, options: NumberLook): Intl.NumberFormat {
  // Every cell of a table asks: the key is written out, for that costs less than the number it finds.
  const key = `${locale} ${options.style} ${options.minimumFractionDigits} ${options.maximumFractionDigits} ${options.signDisplay} ${options.notation}`;
  let found = cache.get(key);
  if (found === undefined) {
    found = new Intl.NumberFormat(locale, options);
    cache.set(key, found);
  }
  return found;
}

function render(value: number | null | undefined, locale: string, options: NumberLook): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return formatter(locale, options).format(value).replace("-", MINUS);
}

/** Decimals that a tick size stands for: 0.001 → 3, 1e-7 → 7, 5 → 0. */
export function decimalsOf(step: number | null | undefined): number | null {
  if (step === null || step === undefined || !(step > 0)) return null;
  for (let decimals = 0; decimals <= 12; decimals++) {
    const scaled = step * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return null;
}

/** A price; without a known precision five significant digits, so that 0.0000123 and 67,890.1 both stay readable. */
export function price(value: number | null | undefined, locale: string, decimals?: number | null): string {
  if (decimals === null || decimals === undefined) {
    const magnitude = value ? Math.floor(Math.log10(Math.abs(value))) : 0;
    const places = Math.min(10, Math.max(2, 4 - magnitude));
    return render(value, locale, { minimumFractionDigits: places, maximumFractionDigits: places });
  }
  return render(value, locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** A quantity as it is: it lies on its instrument's step, so nothing is rounded and no zeros are added. */
export function quantity(value: number | null | undefined, locale: string): string {
  return render(value, locale, { maximumFractionDigits: 8 });
}

/** Quote units with two decimals, signed when asked: `+12.34`. */
export function money(value: number | null | undefined, locale: string, signed = false): string {
  return render(value, locale, { minimumFractionDigits: 2, maximumFractionDigits: 2, ...(signed && { signDisplay: "exceptZero" as const }) });
}

/** A fraction as percent: 0.0123 → 1.23 %. */
export function percent(value: number | null | undefined, locale: string, digits = 2, signed = false): string {
  return render(value, locale, {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    ...(signed && { signDisplay: "exceptZero" as const }),
  });
}

/** A fraction in basis points, signed, without the unit (it stands in the header): 0.00123 → +12.3. */
export function bps(value: number | null | undefined, locale: string, digits = 1): string {
  const scaled = value === null || value === undefined ? value : value * 10_000;
  return render(scaled, locale, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "exceptZero" });
}

/** A plain number with fixed digits. */
export function fixed(value: number | null | undefined, locale: string, digits = 0, signed = false): string {
  return render(value, locale, { minimumFractionDigits: digits, maximumFractionDigits: digits, ...(signed && { signDisplay: "exceptZero" as const }) });
}

/** Large numbers in short: 1.2K, 3.4M. */
export function compact(value: number | null | undefined, locale: string): string {
  return render(value, locale, { notation: "compact", maximumFractionDigits: 1 });
}

/** The sign as a glyph, so that gain and loss differ without colour. */
export function arrow(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value) || value === 0) return "";
  return value > 0 ? "▲" : "▼";
}

/** +1, −1 or 0; what colours are chosen by. */
export function signOf(value: number | null | undefined): -1 | 0 | 1 {
  if (value === null || value === undefined || !Number.isFinite(value) || value === 0) return 0;
  return value > 0 ? 1 : -1;
}
