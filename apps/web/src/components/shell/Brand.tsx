"use client";

import Link from "next/link";
import { useText } from "@/lib/i18n/useText";

/** The mark (a bracket around a price: stop, entry, target) and the name. */
export function Brand({ compact = false }: { compact?: boolean }) {
  const { t } = useText();
  return (
    <Link href="/dashboard/" prefetch={false} data-testid="brand" aria-label={t("brand.name")} className="flex items-center gap-2.5">
      <svg aria-hidden viewBox="0 0 24 24" className="size-6 shrink-0">
        <rect x="1" y="1" width="22" height="22" rx="6" fill="var(--brand)" />
        <path d="M6 7h5M6 17h5" stroke="var(--brand-ink)" strokeWidth="2" strokeLinecap="round" opacity="0.75" />
        <path d="M6 12h3.2l2.6-4.2 3 8 1.8-3.8H18" fill="none" stroke="var(--brand-ink)" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
      </svg>
      <span className={compact ? "text-sm font-semibold tracking-tight" : "hidden text-[0.9375rem] font-semibold tracking-tight xl:inline"}>{t("brand.name")}</span>
    </Link>
  );
}
