import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { SignalsView } from "@/components/views/SignalsView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.signals"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.signals" />}>
      <ClientOnly fallback={<PageLoading what="nav.signals" />}>
        <SignalsView />
      </ClientOnly>
    </Suspense>
  );
}
