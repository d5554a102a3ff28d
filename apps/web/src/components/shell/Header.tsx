"use client";

import { Search } from "lucide-react";
import { Button } from "@/components/ui/button";
import { useText } from "@/lib/i18n/useText";
import { Brand } from "./Brand";
import { Freshness } from "./Freshness";
import { KillSwitchButton } from "./KillSwitchButton";
import { MarketClock } from "./MarketClock";
import { DemoBadge, ModeBadge } from "./ModeBadge";
import { Switches } from "./Switches";
import { UserMenu } from "./UserMenu";

/** What must be seen on every page, whatever is looked at. */
export function Header({ onSearch, onHelp }: { onSearch: () => void; onHelp: () => void }) {
  const { t } = useText();
  return (
    <header data-testid="header" className="sticky top-0 z-20 border-b border-line bg-panel">
      <div className="flex h-12 items-center gap-2 px-2 sm:gap-3 sm:px-3">
        <div className="md:hidden">
          <Brand compact />
        </div>
        <ModeBadge />
        <div className="hidden sm:block">
          <DemoBadge />
        </div>
        <div className="hidden md:block">
          <MarketClock />
        </div>
        <div className="hidden md:block">
          <Freshness />
        </div>
        <div className="ml-auto flex items-center gap-1">
          <KillSwitchButton />
          <Button data-testid="open-search" onClick={onSearch} aria-label={t("header.search")} className="text-faint lg:w-40 lg:justify-start">
            <Search aria-hidden />
            <span className="hidden lg:inline">{t("header.search")}</span>
            <kbd className="ml-auto hidden rounded border border-line-strong px-1 text-2xs lg:inline">/</kbd>
          </Button>
          <Switches onHelp={onHelp} />
          <UserMenu />
        </div>
      </div>
      <div className="flex h-8 items-center justify-between gap-2 border-t border-line px-2 md:hidden">
        <MarketClock />
        <div className="sm:hidden">
          <DemoBadge />
        </div>
        <Freshness />
      </div>
    </header>
  );
}
