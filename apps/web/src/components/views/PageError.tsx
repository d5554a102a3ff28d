"use client";

import { Failed } from "@/components/ui/states";
import { useText } from "@/lib/i18n/useText";

/** A page that threw: the frame around it stands. */
export function PageError({ reset }: { error: Error; reset: () => void }) {
  const { t } = useText();
  return (
    <Failed title={t("state.page_failed")} retryLabel={t("state.retry")} onRetry={reset} className="min-h-80">
      {t("state.page_failed.what")}
    </Failed>
  );
}
