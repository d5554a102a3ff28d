"use client";

import { useQuery } from "@tanstack/react-query";
import { Card } from "@/components/ui/card";
import { cn } from "@/lib/cn";
import { topContributions } from "@/lib/domain/explain";
import { useText } from "@/lib/i18n/useText";
import { signalsQuery } from "@/lib/queries/live";

/** The features that moved the prediction most, where contributions have been computed. */
export function ExplainPanel({ symbol }: { symbol: string }) {
  const { t, bps } = useText();
  const { data } = useQuery(signalsQuery);
  const top = topContributions(data?.find((row) => row.symbol === symbol)?.explain ?? {}, 8);
  const largest = Math.max(...top.map(({ value }) => Math.abs(value)), Number.MIN_VALUE);
  return (
    <Card title={t("why.features")} data-testid="panel-explain">
      {top.length === 0 ? (
        <p className="text-xs text-faint">{t("why.features.none")}</p>
      ) : (
        <ul className="flex flex-col gap-1">
          {top.map(({ name, value }) => (
            <li key={name} className="grid grid-cols-[7rem_1fr_4rem] items-center gap-2 text-xs">
              <span className="truncate text-soft">{name}</span>
              <span className="relative h-1.5 rounded bg-raised">
                <span className={cn("absolute inset-y-0 rounded", value >= 0 ? "left-1/2 bg-up" : "right-1/2 bg-down")} style={{ width: `${(Math.abs(value) / largest) * 50}%` }} />
              </span>
              <span className="num text-right">{bps(value)}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
