"use client";

import { Menu as MenuIcon } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/components/ui/menu";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { isCurrent, NAV } from "./nav";

const ON_BAR = 4;

/** On the phone: the first pages within the thumb's reach, the others one tap further. */
export function PhoneNav() {
  const { t } = useText();
  const pathname = usePathname();
  const rest = NAV.slice(ON_BAR);
  const cell = "flex min-w-0 flex-1 flex-col items-center justify-center gap-0.5 text-2xs text-faint";
  return (
    <nav aria-label={t("nav.label")} data-testid="phone-nav" className="fixed inset-x-0 bottom-0 z-30 flex h-14 border-t border-line bg-panel pb-[env(safe-area-inset-bottom)] md:hidden">
      {NAV.slice(0, ON_BAR).map(({ href, label, icon: Icon }) => {
        const current = isCurrent(href, pathname);
        return (
          <Link key={href} href={href} prefetch={false} aria-current={current ? "page" : undefined} className={cn(cell, current && "text-brand")}>
            <Icon aria-hidden className="size-4.5" />
            <span className="max-w-full truncate">{t(label)}</span>
          </Link>
        );
      })}
      <Menu>
        <MenuTrigger className={cn(cell, rest.some(({ href }) => isCurrent(href, pathname)) && "text-brand")} aria-label={`${t("nav.more")} · ${t("nav.open")}`} data-testid="phone-nav-more">
          <MenuIcon aria-hidden className="size-4.5" />
          {t("nav.more")}
        </MenuTrigger>
        <MenuContent side="top">
          {rest.map(({ href, label, icon: Icon }) => (
            <MenuItem key={href} asChild>
              <Link href={href} prefetch={false}>
                <Icon aria-hidden /> {t(label)}
              </Link>
            </MenuItem>
          ))}
        </MenuContent>
      </Menu>
    </nav>
  );
}
