/** Words and numbers as this person reads them: one hook for language, locale and time zone. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import * as numbers from "@/lib/format/number";
import * as times from "@/lib/format/time";
import { usePrefs, type Language } from "@/lib/prefs/store";
import type { MessageKey } from "./en";
import { isLoaded, loadLanguage, LOCALES, onLoaded, translate, whyReason, wordsFor, type Translate } from "./translate";

export interface Text {
  language: Language;
  locale: string;
  zone: times.Zone;
  t: Translate;
  words: (prefix: string, code: string) => string;
  why: (code: string) => string;
  price: (value: number | null | undefined, decimals?: number | null) => string;
  quantity: (value: number | null | undefined) => string;
  money: (value: number | null | undefined, signed?: boolean) => string;
  percent: (value: number | null | undefined, digits?: number, signed?: boolean) => string;
  bps: (value: number | null | undefined, digits?: number) => string;
  fixed: (value: number | null | undefined, digits?: number, signed?: boolean) => string;
  compact: (value: number | null | undefined) => string;
  clock: (ts: number | null) => string;
  minute: (ts: number | null) => string;
  day: (ts: number | null) => string;
  dayMinute: (ts: number | null) => string;
  zoneName: string;
  duration: (ms: number | null | undefined) => string;
  fineDuration: (ms: number | null | undefined) => string;
  wholeSeconds: (ms: number | null | undefined) => string;
}

export function makeText(language: Language, zone: times.Zone): Text {
  const locale = LOCALES[language];
  const unit = (name: MessageKey) => translate(language, name);
  const units = { ms: unit("time.ms"), s: unit("time.s"), m: unit("time.m"), h: unit("time.h"), d: unit("time.d") };
  return {
    language,
    locale,
    zone,
    t: (key, params) => translate(language, key, params),
    words: (prefix, code) => wordsFor(language, prefix, code),
    why: (code) => whyReason(language, code),
    price: (value, decimals) => numbers.price(value, locale, decimals),
    quantity: (value) => numbers.quantity(value, locale),
    money: (value, signed) => numbers.money(value, locale, signed),
    percent: (value, digits, signed) => numbers.percent(value, locale, digits, signed),
    bps: (value, digits) => numbers.bps(value, locale, digits),
    fixed: (value, digits, signed) => numbers.fixed(value, locale, digits, signed),
    compact: (value) => numbers.compact(value, locale),
    clock: (ts) => times.clock(ts, locale, zone),
    minute: (ts) => times.minute(ts, locale, zone),
    day: (ts) => times.day(ts, zone),
    dayMinute: (ts) => times.dayMinute(ts, zone),
    zoneName: times.zoneName(zone, -new Date().getTimezoneOffset()),
    duration: (ms) => times.duration(ms, units),
    fineDuration: (ms) => times.fineDuration(ms, units),
    wholeSeconds: (ms) => times.wholeSeconds(ms, units),
  };
}

/** Whether the words of the chosen language are here; asks for them where they are not. */
export function useLanguageLoaded(): boolean {
  const { language } = usePrefs();
  const loaded = useSyncExternalStore(onLoaded, () => isLoaded(language), () => true);
  useEffect(() => {
    if (!loaded) loadLanguage(language).catch(() => undefined); // English meanwhile; the next page asks again
  }, [language, loaded]);
  return loaded;
}

export function useText(): Text {
  const { language: chosen, zone } = usePrefs();
  const language = useLanguageLoaded() ? chosen : "en";
  return useMemo(() => makeText(language, zone), [language, zone]);
}
