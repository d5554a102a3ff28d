"use client";

import { useQuery } from "@tanstack/react-query";
import { Segmented } from "@/components/ui/segmented";
import { useText } from "@/lib/i18n/useText";
import { liveAccountQuery } from "@/lib/queries/live";
import type { AccountMode } from "@/lib/queries/risk";
import { useUrlParam } from "@/lib/useUrlState";

/** Which account a page is about, kept in the URL: `fallback` unless asked otherwise. */
export function useAccountMode(fallback: AccountMode = "shadow"): AccountMode {
  const [asked] = useUrlParam("account");
  return asked === "live" || asked === "shadow" ? asked : fallback;
}

/** Offered once there is an account on the exchange; a link to it works in any case. */
export function AccountSwitch({ fallback = "shadow" }: { fallback?: AccountMode }) {
  const { t } = useText();
  const mode = useAccountMode(fallback);
  const [, setMode] = useUrlParam("account");
  const { data: live } = useQuery(liveAccountQuery);
  if (!live && mode === "shadow") return null;
  return (
    <Segmented
      label={t("account.which")}
      testId="account-switch"
      value={mode}
      options={[
        { value: "shadow", text: t("mode.SHADOW") },
        { value: "live", text: t("mode.LIVE") },
      ]}
      onChange={(value) => setMode(value === fallback ? null : value)}
    />
  );
}
