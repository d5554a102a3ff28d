import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { OrdersView } from "@/components/views/OrdersView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.orders"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.orders" />}>
      <ClientOnly fallback={<PageLoading what="nav.orders" />}>
        <OrdersView />
      </ClientOnly>
    </Suspense>
  );
}
