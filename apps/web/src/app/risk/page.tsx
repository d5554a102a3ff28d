import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { RiskView } from "@/components/views/RiskView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.risk"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.risk" />}>
      <ClientOnly fallback={<PageLoading what="nav.risk" />}>
        <RiskView />
      </ClientOnly>
    </Suspense>
  );
}
