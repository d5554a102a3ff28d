/** Looking up and filling a message. English is always there; what else is read is fetched for who reads it. */
import type { Language } from "@/lib/prefs/store";
import { en, type Catalogue, type MessageKey } from "./en";

const catalogues: Partial<Record<Language, Catalogue>> = { en };
const LOADERS: Record<Exclude<Language, "en">, () => Promise<Catalogue>> = { ko: async () => (await import("./ko")).ko };
const listeners = new Set<() => void>();

export const isLoaded = (language: Language): boolean => catalogues[language] !== undefined;

/** Be told when a language has come. */
export function onLoaded(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Fetch a language that is not here yet; one that cannot be fetched is tried again by the next call. */
export async function loadLanguage(language: Language): Promise<void> {
  if (language === "en" || isLoaded(language)) return;
  const found = await LOADERS[language]();
  catalogues[language] = found;
  for (const listener of listeners) listener();
}

export const LOCALES: Record<Language, string> = { en: "en-US", ko: "ko-KR" };

export type Params = Record<string, string | number>;
export type Translate = (key: MessageKey, params?: Params) => string;

export function translate(language: Language, key: MessageKey, params?: Params): string {
  const message: string = (catalogues[language] ?? en)[key];
  if (params === undefined) return message;
  const filled = message.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
  return language === "ko" ? withParticles(filled) : filled;
}

const PARTICLES = /(.)(을\(를\)|이\(가\)|은\(는\)|와\(과\))/g;
const AFTER: Record<string, [vowel: string, consonant: string]> = { "을(를)": ["를", "을"], "이(가)": ["가", "이"], "은(는)": ["는", "은"], "와(과)": ["와", "과"] };

/** Letters and digits whose Korean names end in a consonant: 엘, 엠, 엔, 알; 영, 일, 삼, 육, 칠, 팔. */
const CLOSED = /[LMNR013678]/i;

/** Korean particles follow the sound before them. */
function withParticles(text: string): string {
  return text.replace(PARTICLES, (whole, before: string, both: string) => {
    const syllable = before.charCodeAt(0) - 0xac00;
    const korean = syllable >= 0 && syllable <= 11_171;
    if (!korean && !/[A-Z0-9]/i.test(before)) return whole;
    return before + AFTER[both]![(korean ? syllable % 28 !== 0 : CLOSED.test(before)) ? 1 : 0];
  });
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
