"use client";

import { TriangleAlert } from "lucide-react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useText } from "@/lib/i18n/useText";
import { useConnection } from "@/lib/live/context";
import { useDataAge, useStale } from "@/lib/live/useFreshness";
import { statusQuery } from "@/lib/queries/live";
import { UnprotectedAlert } from "./UnprotectedAlert";

/** Greys every number inside while the data are old, and says so in words. */
export function StaleBoundary({ children }: { children: ReactNode }) {
  const stale = useStale();
  // Before the very first answer the skeletons speak for themselves.
  const { isPending } = useQuery(statusQuery);
  return (
    <main id="content" tabIndex={-1} data-testid="content" data-stale={stale} className="min-w-0 flex-1 p-2 pb-18 outline-none sm:p-3 md:pb-3">
      <UnprotectedAlert />
      {stale && !isPending && <StaleBanner />}
      {children}
    </main>
  );
}

function StaleBanner() {
  const { t, wholeSeconds } = useText();
  const age = useDataAge();
  const connection = t(`connection.${useConnection()}`);
  return (
    <div role="status" data-testid="stale-banner" className="mb-2 flex items-start gap-2 rounded-md border border-amber/40 bg-amber-soft px-3 py-1.5 text-xs text-amber">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <p>
        {age === null ? t("stale.banner.unknown", { connection }) : t("stale.banner", { age: wholeSeconds(age), connection })} <span className="text-soft">{t("stale.what_to_do")}</span>
      </p>
    </div>
  );
}
