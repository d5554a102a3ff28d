"use client";

import { Skeleton } from "@/components/ui/states";
import { useText } from "@/lib/i18n/useText";
import type { MessageKey } from "@/lib/i18n/en";

/** The outline of a page that is on its way. */
export function PageLoading({ what }: { what: MessageKey }) {
  const { t } = useText();
  return (
    <div role="status" aria-label={t("state.loading", { what: t(what) })} className="grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
      {Array.from({ length: 4 }, (_, index) => (
        <Skeleton key={index} className="h-56" />
      ))}
      <Skeleton className="h-96 sm:col-span-2 xl:col-span-4" />
    </div>
  );
}
