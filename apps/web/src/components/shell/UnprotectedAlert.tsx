"use client";

import { useQuery } from "@tanstack/react-query";
import { ShieldAlert } from "lucide-react";
import { SymbolLink } from "@/components/data/SymbolLink";
import type { Position } from "@/lib/api/schemas";
import { unprotected } from "@/lib/domain/exposure";
import { nakedMs } from "@/lib/domain/positions";
import { useText } from "@/lib/i18n/useText";
import { useMarketNow } from "@/lib/live/useFreshness";
import { livePositionsQuery, positionsQuery } from "@/lib/queries/live";

function Age({ position }: { position: Position }) {
  const { t, fixed } = useText();
  const age = nakedMs(position, useMarketNow());
  return <span className="tabular-nums">{t("alert.unprotected.age", { seconds: age === null ? "?" : fixed(Math.floor(age / 1_000)) })}</span>;
}

/** On every page, above everything: a position without a confirmed stop, and for how many seconds it has been open. */
export function UnprotectedAlert() {
  const { t } = useText();
  const { data: shadow = [] } = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const naked = unprotected([...live, ...shadow]);
  if (naked.length === 0) return null;
  return (
    <div role="alert" data-testid="unprotected-alert" className="mb-2 flex items-start gap-2.5 rounded-md border-2 border-bad bg-bad-soft px-3 py-2 text-bad">
      <ShieldAlert aria-hidden className="mt-0.5 size-5 shrink-0" />
      <div className="min-w-0">
        <p className="font-semibold">{t("alert.unprotected")}</p>
        <ul className="flex flex-wrap gap-x-4 text-sm font-semibold">
          {naked.map((position) => (
            <li key={`${position.mode}:${position.symbol}`} data-testid={`unprotected-alert-${position.symbol}`}>
              <SymbolLink symbol={position.symbol} /> {t(position.mode === "live" ? "mode.LIVE" : "mode.SHADOW")} <Age position={position} />
            </li>
          ))}
        </ul>
        <p className="text-xs text-soft">{t("alert.unprotected.what")}</p>
      </div>
    </div>
  );
}
