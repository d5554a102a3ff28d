/** Looking up and filling a message. Pure. */
import type { Language } from "@/lib/prefs/store";
import { en, type Catalogue, type MessageKey } from "./en";
import { ko } from "./ko";

export const CATALOGUES: Record<Language, Catalogue> = { en, ko };
export const LOCALES: Record<Language, string> = { en: "en-US", ko: "ko-KR" };

export type Params = Record<string, string | number>;
export type Translate = (key: MessageKey, params?: Params) => string;

export function translate(language: Language, key: MessageKey, params?: Params): string {
  const message: string = CATALOGUES[language][key];
  if (params === undefined) return message;
  return message.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

function known(key: string): key is MessageKey {
  return key in en;
}

/** Words for a code that comes from outside (`reason.EV_BELOW_MIN`); the code itself where there are none. */
export function wordsFor(language: Language, prefix: string, code: string): string {
  const key = `${prefix}.${code}`;
  return known(key) ? translate(language, key) : code;
}

/** The sentence that explains a block reason. */
export function whyReason(language: Language, code: string): string {
  const key = `reason.${code}.why`;
  return translate(language, known(key) ? key : "reason.unknown.why");
}
