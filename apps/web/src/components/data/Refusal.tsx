"use client";

import { CircleAlert } from "lucide-react";
import { ApiError, UNREACHABLE } from "@/lib/api/client";
import { useCodes } from "@/lib/i18n/useCodes";
import { useText } from "@/lib/i18n/useText";

/** Why a command was not taken: what the API says with its code, and everything that was wrong or unmet. */
export function Refusal({ error }: { error: unknown }) {
  const { t, language } = useText();
  const inWords = useCodes();
  if (error === null || error === undefined) return null;
  const known = error instanceof ApiError;
  // What the API says of this very case is in English; in another language the words for its code go before it.
  const told = known && language !== "en" ? inWords(error.code) : null;
  const what = known && error.code === UNREACHABLE ? t("state.failed.unreachable") : known ? error.detail : String(error);
  return (
    <div role="alert" data-testid="refusal" className="flex items-start gap-1.5 text-xs text-bad">
      <CircleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0" />
      <div className="min-w-0">
        <p>
          {t("command.refused", { code: known ? error.code : "–" })} {told !== null && `${told} · `}
          {what}
        </p>
        {known && (error.conditions.length > 0 || error.errors.length > 0) && (
          <ul className="mt-1 list-disc pl-4 text-soft">
            {error.conditions.map(({ code, message }) => (
              <li key={code}>
                <span className="text-2xs text-faint">{code}</span> {inWords(code) ?? message}
                {inWords(code) !== null && <p className="text-2xs text-faint">{message}</p>}
              </li>
            ))}
            {error.errors.map(({ field, value, expected }) => (
              <li key={field}>{t("command.field", { field, value, expected })}</li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
