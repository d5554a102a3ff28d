import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { SymbolIndexView } from "@/components/views/SymbolIndexView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.symbol"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.symbol" />}>
      <ClientOnly fallback={<PageLoading what="nav.symbol" />}>
        <SymbolIndexView />
      </ClientOnly>
    </Suspense>
  );
}
