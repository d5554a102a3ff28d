import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { SymbolView } from "@/components/views/SymbolView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.symbol"] };

/** One exported page stands for every symbol; the API serves it under each name and the browser reads which. */
export function generateStaticParams() {
  return [{ symbol: "_" }];
}

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.symbol" />}>
      <ClientOnly fallback={<PageLoading what="nav.symbol" />}>
        <SymbolView />
      </ClientOnly>
    </Suspense>
  );
}
