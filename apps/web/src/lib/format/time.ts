/** Times on screen: UTC unless switched to local, never mixed, and always saying which. */
export type Zone = "utc" | "local";

const LOOKS = {
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
  day: { year: "numeric", month: "2-digit", day: "2-digit" },
  dayMinute: { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" },
} as const;

const cache = new Map<string, Intl.DateTimeFormat>();

function formatter(locale: string, zone: Zone, look: keyof typeof LOOKS): Intl.DateTimeFormat {
  const key = `${locale} ${zone} ${look}`;
  let found = cache.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale, { ...LOOKS[look], hourCycle: "h23", ...(zone === "utc" && { timeZone: "UTC" }) });
    cache.set(key, found);
  }
  return found;
}

function valid(ts: number | null | undefined): ts is number {
  return ts !== null && ts !== undefined && Number.isFinite(ts);
}

/** 13:45:07 */
export function clock(ts: number | null, locale: string, zone: Zone): string {
  return valid(ts) ? formatter(locale, zone, "clock").format(ts) : "--:--:--";
}

/** 13:45 */
export function minute(ts: number | null, locale: string, zone: Zone): string {
  return valid(ts) ? formatter(locale, zone, "minute").format(ts) : "--:--";
}

/** 2025-05-04, the same in every language: dates in tables sort by eye. */
export function day(ts: number | null, zone: Zone): string {
  if (!valid(ts)) return "–";
  const parts = Object.fromEntries(formatter("en-GB", zone, "day").formatToParts(ts).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

/** 05-04 13:45 */
export function dayMinute(ts: number | null, zone: Zone): string {
  if (!valid(ts)) return "–";
  const parts = Object.fromEntries(formatter("en-GB", zone, "dayMinute").formatToParts(ts).map((part) => [part.type, part.value]));
  return `${parts.month}-${parts.day} ${parts.hour}:${parts.minute}`;
}

/** What the times are in: `UTC`, or the local offset as `UTC+9`. */
export function zoneName(zone: Zone, offsetMinutes: number): string {
  if (zone === "utc" || offsetMinutes === 0) return "UTC";
  const sign = offsetMinutes < 0 ? "\u2212" : "+";
  const absolute = Math.abs(offsetMinutes);
  const minutes = absolute % 60;
  return `UTC${sign}${Math.floor(absolute / 60)}${minutes === 0 ? "" : `:${String(minutes).padStart(2, "0")}`}`;
}

/** How the units of a length of time are written, with the blank before them where there is one. */
export type Units = Record<"ms" | "s" | "m" | "h" | "d", string>;
type Length = number | null | undefined;

/** A length of time in its two largest units: 850 ms, 12.4 s, 3m 20s, 2h 05m, 3d 04h. */
export function duration(ms: Length, units: Units): string {
  if (!valid(ms)) return "–";
  if (ms < 1_000) return `${Math.round(ms)}${units.ms}`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)}${units.s}`;
  const two = (larger: number, unit: string, smaller: number, next: string) => `${larger}${unit} ${String(smaller).padStart(2, "0")}${next.trim()}`;
  if (seconds < 3_600) return two(Math.floor(seconds / 60), units.m, seconds % 60, units.s);
  if (seconds < 86_400) return two(Math.floor(seconds / 3_600), units.h, Math.floor(seconds / 60) % 60, units.m);
  return two(Math.floor(seconds / 86_400), units.d, Math.floor(seconds / 3_600) % 24, units.h);
}

/** As {@link duration}, with tenths of a millisecond below a hundred: 2.7 ms. */
export function fineDuration(ms: Length, units: Units): string {
  return valid(ms) && ms < 100 ? `${ms.toFixed(1)}${units.ms}` : duration(ms, units);
}

/** Whole seconds, so that a ticking age does not flicker in its tenths. */
export function wholeSeconds(ms: Length, units: Units): string {
  return valid(ms) && ms < 60_000 ? `${Math.floor(ms / 1_000)}${units.s}` : duration(ms, units);
}

/** What an input of date and time shows for an instant, in the zone of the screen. */
export function toInput(ts: number, zone: Zone): string {
  const shifted = zone === "utc" ? ts : ts - new Date(ts).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 16);
}

/** The instant that such an input names; null while it is not complete. */
export function fromInput(text: string, zone: Zone): number | null {
  const ts = text === "" ? Number.NaN : Date.parse(zone === "utc" ? `${text}Z` : text);
  return Number.isNaN(ts) ? null : ts;
}
