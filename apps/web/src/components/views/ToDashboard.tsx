"use client";

import { useRouter } from "next/navigation";
import { useEffect } from "react";
import { Loading } from "@/components/ui/states";
import { useText } from "@/lib/i18n/useText";

/** The desk begins at the dashboard; a static site has no server to say so. */
export function ToDashboard() {
  const router = useRouter();
  const { t } = useText();
  useEffect(() => router.replace("/dashboard/"), [router]);
  return <Loading rows={6} label={t("state.loading", { what: t("nav.dashboard") })} />;
}
