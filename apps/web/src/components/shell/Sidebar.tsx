"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { Brand } from "./Brand";
import { isCurrent, NAV } from "./nav";

/** Navigation at the side: words on wide screens, icons on narrow ones, and away on the phone. */
export function Sidebar() {
  const { t } = useText();
  const pathname = usePathname();
  return (
    <aside className="sticky top-0 hidden h-dvh shrink-0 flex-col border-r border-line bg-panel md:flex md:w-12 xl:w-44">
      <div className="flex h-12 items-center px-3 xl:px-4">
        <Brand />
      </div>
      <nav aria-label={t("nav.label")} data-testid="nav" className="flex flex-1 flex-col gap-0.5 px-1.5 py-1">
        {NAV.map(({ href, label, icon: Icon, testId }) => {
          const current = isCurrent(href, pathname);
          return (
            <Link
              key={href}
              href={href}
              prefetch={false}
              data-testid={testId}
              title={t(label)}
              aria-label={t(label)}
              aria-current={current ? "page" : undefined}
              className={cn(
                "flex h-8 items-center gap-2.5 rounded px-2.5 text-soft transition-colors hover:bg-raised hover:text-text",
                current && "bg-brand-soft font-medium text-brand hover:bg-brand-soft hover:text-brand",
              )}
            >
              <Icon aria-hidden className="size-4 shrink-0" />
              <span className="hidden truncate xl:inline">{t(label)}</span>
            </Link>
          );
        })}
      </nav>
    </aside>
  );
}
