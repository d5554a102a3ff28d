"use client";

import { CircleAlert } from "lucide-react";
import { ApiError, UNREACHABLE } from "@/lib/api/client";
import { useText } from "@/lib/i18n/useText";

/** Why a command was not taken: what the API says, with its code. Nothing where nothing was refused. */
export function Refusal({ error }: { error: unknown }) {
  const { t } = useText();
  if (error === null || error === undefined) return null;
  const known = error instanceof ApiError;
  const what = known && error.code === UNREACHABLE ? t("state.failed.unreachable") : known ? error.detail : String(error);
  return (
    <p role="alert" data-testid="refusal" className="flex items-start gap-1.5 text-xs text-bad">
      <CircleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0" />
      <span>
        {t("command.refused", { code: known ? error.code : "–" })} {what}
      </span>
    </p>
  );
}
