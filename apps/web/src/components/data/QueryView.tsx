"use client";

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Failed, Loading } from "@/components/ui/states";
import { ApiError, MALFORMED, UNREACHABLE } from "@/lib/api/client";
import type { MessageKey } from "@/lib/i18n/en";
import { useCodes } from "@/lib/i18n/useCodes";
import { useText } from "@/lib/i18n/useText";

/** Only where something failed: the words for codes are fetched for it. */
function WhatToDo({ error }: { error: unknown }) {
  const { t, language } = useText();
  const inWords = useCodes();
  if (!(error instanceof ApiError)) return String(error);
  if (error.code === UNREACHABLE || error.status >= 502) return t("state.failed.unreachable");
  if (error.code === MALFORMED) return t("state.failed.malformed");
  const told = language === "en" ? null : inWords(error.code);
  return [t("state.failed.code", { code: error.code }), told, error.detail].filter((part) => part !== null).join(" ");
}

/**
 * Loading, failed or there. Data once shown stay on screen when a later refresh fails: the stale state says that
 * they are old.
 */
export function QueryView<T>({ query, what, rows, children }: { query: UseQueryResult<T>; what: MessageKey; rows?: number; children: (data: T) => ReactNode }) {
  const text = useText();
  const name = text.t(what);
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) {
    return (
      <Failed title={text.t("state.failed", { what: name })} retryLabel={text.t("state.retry")} onRetry={() => void query.refetch()}>
        <WhatToDo error={query.error} />
      </Failed>
    );
  }
  return <Loading label={text.t("state.loading", { what: name })} rows={rows} />;
}
