"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { ApiError, post } from "@/lib/api/client";
import { acceptedSchema } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";
import { keys } from "@/lib/queries/keys";
import { statusQuery } from "@/lib/queries/live";

type Target = "off" | "shadow";

/** Off or shadow, confirmed, and shown pending until the trader has acknowledged it in its status. */
export function TradingToggleCard() {
  const { t } = useText();
  const client = useQueryClient();
  const { data: status } = useQuery(statusQuery);
  const [asked, setAsked] = useState<Target | null>(null);
  const command = useMutation({
    mutationFn: (mode: Target) => post(acceptedSchema, "/api/trading/toggle", { mode, reason: `desk: ${mode}` }),
    onSuccess: () => void client.invalidateQueries({ queryKey: keys.status }),
  });
  const pending = command.isPending || (command.data !== undefined && status !== undefined && status.trading_version < command.data.version);
  const target: Target = status?.mode === "off" ? "shadow" : "off";
  const code = command.error instanceof ApiError ? command.error.code : String(command.error);
  return (
    <Card title={t("settings.trading")} data-testid="card-trading" bodyClassName="flex flex-wrap items-center gap-3 p-3">
      <p className="max-w-xl flex-1 text-soft">{t("settings.trading.what")}</p>
      {pending && (
        <span role="status" className="text-xs text-amber" data-testid="trading-pending">
          {t("settings.trading.pending")}
        </span>
      )}
      {command.isError && (
        <span role="alert" className="text-xs text-bad">
          {t("settings.trading.failed", { code })}
        </span>
      )}
      <Button variant={target === "off" ? "danger" : "primary"} disabled={status === undefined || pending} data-testid="trading-toggle" onClick={() => setAsked(target)}>
        {t(target === "off" ? "settings.trading.to_off" : "settings.trading.to_shadow")}
      </Button>
      <Dialog open={asked !== null} onOpenChange={(open) => !open && setAsked(null)}>
        <DialogContent title={t("settings.trading.confirm.title")} description={asked === null ? "" : t(`settings.trading.confirm.${asked}`)} closeLabel={t("dialog.close")} data-testid="trading-confirm">
          <div className="flex justify-end gap-2 p-4">
            <Button size="lg" variant="ghost" onClick={() => setAsked(null)}>
              {t("dialog.cancel")}
            </Button>
            <Button
              size="lg"
              variant={asked === "off" ? "danger" : "primary"}
              data-testid="trading-confirm-yes"
              onClick={() => {
                if (asked !== null) command.mutate(asked);
                setAsked(null);
              }}
            >
              {t("dialog.confirm")}
            </Button>
          </div>
        </DialogContent>
      </Dialog>
    </Card>
  );
}
