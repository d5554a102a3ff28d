import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { DashboardView } from "@/components/views/DashboardView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.dashboard"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.dashboard" />}>
      <ClientOnly fallback={<PageLoading what="nav.dashboard" />}>
        <DashboardView />
      </ClientOnly>
    </Suspense>
  );
}
