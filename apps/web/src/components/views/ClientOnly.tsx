"use client";

import type { ReactNode } from "react";
import { useLanguageLoaded } from "@/lib/i18n/useText";
import { useHydrated } from "@/lib/useHydrated";

/**
 * What shows live data is rendered in the browser only: a boundary may hydrate after the first message has come, and
 * would then differ from the exported page.
 */
export function ClientOnly({ fallback, children }: { fallback: ReactNode; children: ReactNode }) {
  const worded = useLanguageLoaded(); // a page does not change its language under the eyes
  return useHydrated() && worded ? children : fallback;
}
