/** What happened at a mark of a chart, in this reader's words; the API's own where there are none for its code. */
import type { Annotation } from "@/lib/api/schemas";
import { useCodes } from "./useCodes";
import { useText } from "./useText";

export function useMarkText(): (mark: Pick<Annotation, "code" | "text" | "details">) => string {
  const { t, words, language } = useText();
  const inWords = useCodes();
  return ({ code, text, details }) => {
    if (code === "SETTINGS_CHANGED") return t("mark.text.settings", { version: String(details.version), names: Array.isArray(details.names) ? details.names.join(", ") : "" });
    if (code === "MODEL_CHANGED") return t("mark.text.model", { model: String(details.model_id).slice(0, 8) });
    if (code === "FUNDING") return t("mark.text.funding", { count: String(details.symbols) });
    if (code === "KILL_SWITCH" || code === "TRADING_OFF") return words("reason", code);
    return language === "en" ? text : (inWords(code) ?? text);
  };
}
