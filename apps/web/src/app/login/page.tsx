import type { Metadata } from "next";
import { Suspense } from "react";
import { ClientOnly } from "@/components/views/ClientOnly";
import { LoginView } from "@/components/views/LoginView";
import { en } from "@/lib/i18n/en";

export const metadata: Metadata = { title: en["login.title"] };

export default function Page() {
  return (
    <Suspense>
      <ClientOnly fallback={null}>
        <LoginView />
      </ClientOnly>
    </Suspense>
  );
}
