/** Words for the codes that the API answers with and for its settings: fetched when a page first shows one. */
import { useQuery } from "@tanstack/react-query";
import type { Language } from "@/lib/prefs/store";
import { useText } from "./useText";

const LOADERS: Record<Language, () => Promise<{ codes: Record<string, string> }>> = {
  en: () => import("./codes.en"),
  ko: () => import("./codes.ko"),
};

const SETTINGS: Record<Language, () => Promise<{ settings: Record<string, string> }>> = {
  en: () => import("./settings.en"),
  ko: () => import("./settings.ko"),
};

/** What a setting means in this reader's words; null while they are on their way, or where there are none. */
export function useSettingWords(): (name: string) => string | null {
  const { language } = useText();
  const { data } = useQuery({ queryKey: ["setting-words", language], queryFn: async () => (await SETTINGS[language]()).settings, staleTime: Infinity, gcTime: Infinity });
  return (name) => data?.[name] ?? null;
}

/** A code in this reader's words; null while they are on their way, or where there are none. */
export function useCodes(): (code: string) => string | null {
  const { language } = useText();
  const { data } = useQuery({ queryKey: ["codes", language], queryFn: async () => (await LOADERS[language]()).codes, staleTime: Infinity, gcTime: Infinity });
  return (code) => data?.[code] ?? null;
}
