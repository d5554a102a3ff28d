import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { TrainingView } from "@/components/views/TrainingView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.training"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.training" />}>
      <ClientOnly fallback={<PageLoading what="nav.training" />}>
        <TrainingView />
      </ClientOnly>
    </Suspense>
  );
}
