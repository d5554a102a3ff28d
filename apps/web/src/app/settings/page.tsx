import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { PageLoading } from "@/components/views/PageLoading";
import { SettingsView } from "@/components/views/SettingsView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["nav.settings"] };

export default function Page() {
  return (
    <Suspense fallback={<PageLoading what="nav.settings" />}>
      <ClientOnly fallback={<PageLoading what="nav.settings" />}>
        <SettingsView />
      </ClientOnly>
    </Suspense>
  );
}
