"use client";

import { useQueryClient } from "@tanstack/react-query";
import { usePathname, useRouter } from "next/navigation";
import { useEffect, useState, type ReactNode } from "react";
import { CodePrompt } from "@/components/panels/CodePrompt";
import { door } from "@/lib/api/session";
import { meQuery, useMe } from "@/lib/queries/access";

export const LOGIN = "/login/";

/** Whoever is not signed in is led to the sign-in and back; a change that needs a fresh code asks for it and goes on. */
export function SessionGate({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const router = useRouter();
  const pathname = usePathname();
  const me = useMe();
  const [asking, setAsking] = useState<((given: boolean) => void) | null>(null);

  const out = me?.signed_in === false && !pathname.startsWith("/login");
  useEffect(() => {
    if (!out) return;
    const here = window.location.pathname + window.location.search;
    router.replace(here === "/" ? LOGIN : `${LOGIN}?next=${encodeURIComponent(here)}`);
  }, [out, router]);

  useEffect(() => {
    let waiting: Promise<boolean> | null = null;
    // Two changes at once share one question.
    door.askCode = () =>
      (waiting ??= new Promise<boolean>((resolve) => setAsking(() => resolve)).finally(() => {
        waiting = null;
        setAsking(null);
      }));
    door.refresh = () => client.fetchQuery({ ...meQuery, staleTime: 0 });
    return () => {
      door.askCode = door.refresh = null;
    };
  }, [client]);

  return (
    <>
      {children}
      {asking !== null && <CodePrompt totp={me?.user?.totp ?? true} onDone={asking} />}
    </>
  );
}
