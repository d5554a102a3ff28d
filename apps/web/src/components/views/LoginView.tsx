"use client";

import { useRouter, useSearchParams } from "next/navigation";
import { useEffect, useState } from "react";
import { LoginPanel } from "@/components/panels/LoginPanel";
import { Brand } from "@/components/shell/Brand";
import { Switches } from "@/components/shell/Switches";
import { linkOf, safeNext } from "@/lib/domain/access";
import { useText } from "@/lib/i18n/useText";
import { useMe } from "@/lib/queries/access";

/** Sign in, and go on to where one wanted to be. */
export function LoginView() {
  const { t } = useText();
  const router = useRouter();
  const params = useSearchParams();
  const [next] = useState(() => safeNext(params.get("next")));
  const me = useMe();
  const done = me?.signed_in === true;
  useEffect(() => {
    // A link is used even by whoever is signed in: it may be somebody else's.
    if (done && linkOf(window.location.hash) === null) router.replace(next);
  }, [done, next, router]);
  return (
    <main id="content" className="flex min-h-dvh flex-col items-center justify-center gap-4 p-4" data-testid="page-login">
      <section className="w-full max-w-sm rounded-lg border border-line bg-panel p-6">
        <div className="mb-5 flex items-center justify-between">
          <Brand compact />
          <Switches />
        </div>
        <h1 className="text-base font-semibold tracking-tight">{t("login.title")}</h1>
        <p className="mb-4 text-soft">{t("login.lead")}</p>
        <LoginPanel />
      </section>
    </main>
  );
}
