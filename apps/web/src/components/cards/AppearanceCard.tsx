"use client";

import type { ReactNode } from "react";
import { Card } from "@/components/ui/card";
import { Segmented } from "@/components/ui/segmented";
import { useText } from "@/lib/i18n/useText";
import { setPrefs, usePrefs } from "@/lib/prefs/store";

function Row({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="flex items-center justify-between gap-4">
      <span className="text-soft">{label}</span>
      {children}
    </div>
  );
}

/** Names of languages are written in the language itself, so that whoever is lost finds the way back. */
const LANGUAGES = [
  { value: "ko" as const, text: "한국어" },
  { value: "en" as const, text: "English" },
];

export function AppearanceCard() {
  const { t } = useText();
  const prefs = usePrefs();
  return (
    <Card title={t("settings.appearance")} data-testid="card-appearance" bodyClassName="max-w-md flex flex-col gap-2.5 p-3">
      <Row label={t("settings.language")}>
        <Segmented label={t("settings.language")} testId="set-language" value={prefs.language} options={LANGUAGES} onChange={(language) => setPrefs({ language })} />
      </Row>
      <Row label={t("settings.theme")}>
        <Segmented label={t("settings.theme")} testId="set-theme" value={prefs.theme} options={[{ value: "dark", text: t("settings.theme.dark") }, { value: "light", text: t("settings.theme.light") }]} onChange={(theme) => setPrefs({ theme })} />
      </Row>
      <Row label={t("settings.zone")}>
        <Segmented label={t("settings.zone")} testId="set-zone" value={prefs.zone} options={[{ value: "utc", text: t("settings.zone.utc") }, { value: "local", text: t("settings.zone.local") }]} onChange={(zone) => setPrefs({ zone })} />
      </Row>
      <Row label={t("settings.rise")}>
        <Segmented label={t("settings.rise")} testId="set-rise" value={prefs.rise} options={[{ value: "green", text: t("settings.rise.green") }, { value: "red", text: t("settings.rise.red") }]} onChange={(rise) => setPrefs({ rise })} />
      </Row>
    </Card>
  );
}
