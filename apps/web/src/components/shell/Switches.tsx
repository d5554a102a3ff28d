"use client";

import { Clock3, Keyboard, Languages, Moon, Sun } from "lucide-react";
import { Button } from "@/components/ui/button";
import { useText } from "@/lib/i18n/useText";
import { setPrefs, usePrefs } from "@/lib/prefs/store";

/** Language, time zone, theme and the help sheet. */
export function Switches({ onHelp }: { onHelp?: () => void }) {
  const { t, zoneName } = useText();
  const { language, theme, zone } = usePrefs();
  const toggleTheme = t(theme === "dark" ? "header.theme.to_light" : "header.theme.to_dark");
  const toggleZone = t(zone === "utc" ? "header.zone.to_local" : "header.zone.to_utc");
  return (
    <div className="flex items-center gap-0.5">
      <Button variant="ghost" className="px-1.5" data-testid="switch-language" title={t("header.language.switch")} aria-label={`${language} · ${t("header.language.switch")}`} onClick={() => setPrefs({ language: language === "ko" ? "en" : "ko" })}>
        <Languages aria-hidden />
        <span className="hidden text-2xs uppercase sm:inline">{language}</span>
      </Button>
      <Button variant="ghost" className="hidden px-1.5 sm:inline-flex" data-testid="switch-zone" title={toggleZone} aria-label={`${zoneName} · ${toggleZone}`} onClick={() => setPrefs({ zone: zone === "utc" ? "local" : "utc" })}>
        <Clock3 aria-hidden />
        <span className="num text-2xs">{zoneName}</span>
      </Button>
      <Button variant="ghost" size="icon" data-testid="switch-theme" title={toggleTheme} aria-label={toggleTheme} onClick={() => setPrefs({ theme: theme === "dark" ? "light" : "dark" })}>
        {theme === "dark" ? <Moon aria-hidden /> : <Sun aria-hidden />}
      </Button>
      {onHelp !== undefined && (
        <Button variant="ghost" size="icon" className="hidden md:inline-flex" data-testid="open-help" title={t("header.help")} aria-label={t("header.help")} onClick={onHelp}>
          <Keyboard aria-hidden />
        </Button>
      )}
    </div>
  );
}
