"use client";

import type { ReactNode } from "react";
import type { MessageKey } from "@/lib/i18n/en";
import { useText } from "@/lib/i18n/useText";

/** A page's heading, what it is for, its own switches at the right, and what it shows. */
export function PageFrame({ id, title, lead, aside, children }: { id: string; title: MessageKey; lead: MessageKey; aside?: ReactNode; children?: ReactNode }) {
  const { t } = useText();
  return (
    <div className="flex flex-col gap-2 sm:gap-3" data-testid={`page-${id}`}>
      <div className="flex flex-wrap items-end gap-x-4 gap-y-1.5 px-0.5">
        <div className="min-w-0">
          <h1 className="text-base font-semibold tracking-tight">{t(title)}</h1>
          <p className="text-soft">{t(lead)}</p>
        </div>
        <div className="ml-auto flex flex-wrap items-center gap-1.5">{aside}</div>
      </div>
      {children}
    </div>
  );
}
