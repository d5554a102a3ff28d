"use client";

import { usePathname, useRouter } from "next/navigation";
import { Suspense, useCallback, useEffect, useState, type ReactNode } from "react";
import { useText } from "@/lib/i18n/useText";
import { useKeptFilters } from "@/lib/keptFilters";
import { symbolOfPath } from "@/lib/symbolPath";
import { Header } from "./Header";
import { HelpSheet } from "./HelpSheet";
import { Notifier } from "./Notifier";
import { PhoneNav } from "./PhoneNav";
import { Sidebar } from "./Sidebar";
import { StaleBoundary } from "./StaleBoundary";
import { isCurrent, NAV } from "./nav";
import { SymbolSearch } from "./SymbolSearch";
import { useShortcuts } from "./useShortcuts";

/** The frame of every page but the sign-in, which has nothing to show yet. */
export function Shell({ children }: { children: ReactNode }) {
  return usePathname().startsWith("/login") ? children : <Frame>{children}</Frame>;
}

/** The exported pages are named in English: the tab is named as its reader reads. */
function useTitle(): void {
  const { t } = useText();
  const pathname = usePathname();
  useEffect(() => {
    const page = NAV.find(({ href }) => isCurrent(href, pathname));
    const name = symbolOfPath(pathname) ?? (page === undefined ? null : t(page.label));
    if (name !== null) document.title = `${name} · ${t("brand.name")}`;
  }, [pathname, t]);
}

/** On its own, since an exported page knows its address only in the browser. */
function KeptFilters(): null {
  useKeptFilters();
  return null;
}

function Frame({ children }: { children: ReactNode }) {
  const { t } = useText();
  useTitle();
  const router = useRouter();
  const [open, setOpen] = useState<"search" | "help" | null>(null);
  const go = useCallback((href: string) => router.push(href), [router]);
  const openSearch = useCallback(() => setOpen("search"), []);
  const openHelp = useCallback(() => setOpen("help"), []);
  useShortcuts({ go, openSearch, openHelp, suspended: open !== null });
  return (
    <div className="flex min-h-dvh">
      <a href="#content" className="sr-only z-50 rounded bg-brand px-3 py-2 text-brand-ink focus:not-sr-only focus:fixed focus:top-2 focus:left-2">
        {t("skip.to_content")}
      </a>
      <Sidebar />
      <div className="flex min-w-0 flex-1 flex-col">
        <Header onSearch={openSearch} onHelp={openHelp} />
        <StaleBoundary>{children}</StaleBoundary>
      </div>
      <PhoneNav />
      <Notifier />
      <Suspense>
        <KeptFilters />
      </Suspense>
      <SymbolSearch open={open === "search"} onOpenChange={(isOpen) => setOpen(isOpen ? "search" : null)} />
      <HelpSheet open={open === "help"} onOpenChange={(isOpen) => setOpen(isOpen ? "help" : null)} />
    </div>
  );
}
