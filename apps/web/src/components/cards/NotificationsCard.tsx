"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { NOTICES } from "@/lib/domain/notices";
import { useText } from "@/lib/i18n/useText";
import { setPrefs, usePrefs } from "@/lib/prefs/store";

/** Which events the browser tells of, while the desk is open in any tab. */
export function NotificationsCard() {
  const { t } = useText();
  const { notify } = usePrefs();
  const [permission, setPermission] = useState(() => (typeof Notification === "undefined" ? "unsupported" : Notification.permission));
  const toggle = (kind: (typeof NOTICES)[number], on: boolean) => setPrefs({ notify: NOTICES.filter((one) => (one === kind ? on : notify.includes(one))) });
  return (
    <Card title={t("notices.title")} data-testid="card-notifications" bodyClassName="flex flex-col gap-2.5 p-3">
      <p className="text-xs text-soft">{t("notices.what")}</p>
      {permission !== "granted" && (
        <div className="flex items-center gap-2 text-xs text-amber" data-testid="notices-permission">
          <span>{t(permission === "denied" ? "notices.denied" : permission === "unsupported" ? "notices.unsupported" : "notices.ask")}</span>
          {permission === "default" && (
            <Button size="sm" onClick={() => void Notification.requestPermission().then(setPermission)} data-testid="notices-allow">
              {t("notices.allow")}
            </Button>
          )}
        </div>
      )}
      <fieldset className="grid gap-x-6 gap-y-1.5 text-xs sm:grid-cols-2 lg:grid-cols-3">
        <legend className="sr-only">{t("notices.title")}</legend>
        {NOTICES.map((kind) => (
          <label key={kind} className="flex min-h-6 items-center gap-2">
            <input type="checkbox" className="size-3.5 accent-[var(--brand)]" checked={notify.includes(kind)} onChange={(event) => toggle(kind, event.target.checked)} data-testid={`notice-${kind}`} />
            {t(`notice.${kind}.name`)}
          </label>
        ))}
      </fieldset>
    </Card>
  );
}
