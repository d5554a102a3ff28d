import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { DataQualityView } from "@/components/views/DataQualityView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.data_quality"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.data_quality" />}>
      <ClientOnly fallback={<PageLoading what="nav.data_quality" />}>
        <DataQualityView />
      </ClientOnly>
    </Suspense>
  );
}
