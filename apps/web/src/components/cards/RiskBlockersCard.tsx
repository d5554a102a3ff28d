"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { Signal } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { countReasons, decisionOf, heldOrder } from "@/lib/domain/signals";
import { useText } from "@/lib/i18n/useText";
import { signalsQuery } from "@/lib/queries/live";
import { useUrlParam } from "@/lib/useUrlState";

const SHOWN = 7;

function Bars({ signals }: { signals: readonly Signal[] }) {
  const { t, words, why } = useText();
  const [reason, setReason] = useUrlParam("reason");
  const found = countReasons(signals);
  const [order, setOrder] = useState<readonly string[]>([]);
  const held = heldOrder(order, found);
  if (held !== order) setOrder(held);
  const counts = held.flatMap((code) => found.find((one) => one.code === code) ?? []);
  const entered = signals.filter((signal) => decisionOf(signal) !== "FLAT").length;
  if (counts.length === 0) return <Empty title={t("blockers.empty")}>{t("blockers.empty.what")}</Empty>;
  return (
    <ul className="flex flex-col gap-0.5">
      {counts.slice(0, SHOWN).map(({ code, count }) => (
        <li key={code}>
          <button
            type="button"
            data-testid={`blocker-${code}`}
            aria-pressed={reason === code}
            title={`${why(code)}\n${t("blockers.show", { reason: words("reason", code) })}`}
            onClick={() => setReason(reason === code ? null : code)}
            className={cn("relative flex h-6 w-full items-center gap-2 overflow-hidden rounded px-1.5 text-left text-xs hover:bg-panel-2", reason === code && "outline outline-brand")}
          >
            <span aria-hidden className="absolute inset-0 rounded bg-amber-soft" style={{ transform: `translateX(${(count / signals.length - 1) * 100}%)` }} />
            <span className="relative truncate">{words("reason", code)}</span>
            <span className="relative hidden truncate text-2xs text-soft 2xl:inline">{code}</span>
            <span className="num relative ml-auto font-semibold">{count}</span>
          </button>
        </li>
      ))}
      <li className="mt-1 flex items-center justify-between border-t border-line px-1.5 pt-1.5 text-xs" data-testid="blockers-entered">
        <span className="text-soft">{t("blockers.traded")}</span>
        <span className="num font-semibold">{entered}</span>
      </li>
    </ul>
  );
}

/** What stopped how many symbols this minute, by the reason that counted; a click filters the signals table. */
export function RiskBlockersCard() {
  const { t, minute } = useText();
  const query = useQuery(signalsQuery);
  const newest = query.data?.reduce<number | null>((latest, { ts }) => Math.max(latest ?? 0, Date.parse(ts)), null) ?? null;
  return (
    <Card title={t("blockers.title")} data-testid="card-blockers" aside={<span className="num label">{t("blockers.minute", { time: minute(newest) })}</span>} bodyClassName="p-2">
      <QueryView query={query} what="blockers.title" rows={7}>
        {(signals) => <Bars signals={signals} />}
      </QueryView>
    </Card>
  );
}
