"use client";

import { Construction } from "lucide-react";
import type { ReactNode } from "react";
import type { MessageKey } from "@/lib/i18n/en";
import { useText } from "@/lib/i18n/useText";

/** A page's heading, what it already shows, and what will stand here. */
export function PageFrame({ id, title, lead, coming, children }: { id: string; title: MessageKey; lead: MessageKey; coming: MessageKey; children?: ReactNode }) {
  const { t } = useText();
  return (
    <div className="flex flex-col gap-2 sm:gap-3" data-testid={`page-${id}`}>
      <div className="px-0.5">
        <h1 className="text-base font-semibold tracking-tight">{t(title)}</h1>
        <p className="text-soft">{t(lead)}</p>
      </div>
      {children}
      <section className="flex items-start gap-2.5 rounded-md border border-dashed border-line-strong px-3 py-2.5 text-xs" data-testid={`coming-${id}`}>
        <Construction aria-hidden className="mt-0.5 size-4 shrink-0 text-faint" />
        <div>
          <h2 className="font-medium text-soft">{t("page.coming")}</h2>
          <p className="text-faint">{t(coming)}</p>
        </div>
      </section>
    </div>
  );
}
