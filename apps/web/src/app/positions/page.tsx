import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { PositionsView } from "@/components/views/PositionsView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.positions"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.positions" />}>
      <ClientOnly fallback={<PageLoading what="nav.positions" />}>
        <PositionsView />
      </ClientOnly>
    </Suspense>
  );
}
