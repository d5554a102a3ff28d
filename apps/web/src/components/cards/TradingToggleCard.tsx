"use client";

import { useQuery } from "@tanstack/react-query";
import { Confirm } from "@/components/data/Confirm";
import { Card } from "@/components/ui/card";
import { useText } from "@/lib/i18n/useText";
import { useToggle, type Target } from "@/lib/queries/commands";
import { statusQuery } from "@/lib/queries/live";

const TARGETS: readonly Target[] = ["off", "shadow", "live"];
/** Live trading is asked for by writing the word; the API wants it too. */
const LIVE_WORD = "LIVE";

/** Off, shadow or live, confirmed with a reason, and shown pending until the trader has acknowledged it. */
export function TradingToggleCard() {
  const { t } = useText();
  const { data: status } = useQuery(statusQuery);
  const command = useToggle();
  return (
    <Card title={t("settings.trading")} data-testid="card-trading" bodyClassName="flex flex-wrap items-center gap-3 p-3">
      <p className="min-w-60 max-w-xl flex-1 text-soft">{t("settings.trading.what")}</p>
      {command.pending && (
        <span role="status" className="text-xs text-amber" data-testid="trading-pending">
          {t("settings.trading.pending")}
        </span>
      )}
      <div className="ml-auto flex flex-wrap gap-2">
        {TARGETS.filter((target) => target !== status?.mode).map((target) => (
          <Confirm
            key={target}
            needs={target === "live" ? "admin" : "operator"}
            size="md"
            variant={target === "shadow" ? "primary" : "danger"}
            name={t(`settings.trading.to_${target}`)}
            title={t("settings.trading.confirm.title")}
            what={t(`settings.trading.confirm.${target}`)}
            disabled={status === undefined || command.pending}
            reason
            {...(target === "live" && { word: LIVE_WORD })}
            testId={`trading-to-${target}`}
            act={(reason, word) => command.mutateAsync({ mode: target, reason, ...(target === "live" && { confirm: word }) })}
          />
        ))}
      </div>
    </Card>
  );
}
