"use client";

import { Unplug, Wifi, WifiOff } from "lucide-react";
import { useQuery } from "@tanstack/react-query";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { useConnection } from "@/lib/live/context";
import { useDataAge, useStale } from "@/lib/live/useFreshness";
import { statusQuery } from "@/lib/queries/live";

/** From here on no entries are made (`CLOCK_SKEW`), times the speed of the market's clock. */
const SKEW_LIMIT_MS = 500;

/** Connection, age of the data and exchange: how far the numbers can be trusted. */
export function Freshness() {
  const { t, duration, wholeSeconds } = useText();
  const connection = useConnection();
  const stale = useStale();
  const age = useDataAge();
  const { data } = useQuery(statusQuery);
  const skew = data?.latency_ms["clock_skew"];
  const Icon = connection === "open" ? Wifi : connection === "offline" ? WifiOff : Unplug;
  return (
    <div className="flex items-center gap-3 text-xs">
      <span className={cn("flex items-center gap-1", connection === "open" ? "text-good" : "text-amber")} data-testid="connection" data-state={connection}>
        <Icon aria-hidden className="size-3.5" />
        <span className="hidden 2xl:inline">{t(`connection.${connection}`)}</span>
        <span className="sr-only 2xl:hidden">{t(`connection.${connection}`)}</span>
      </span>
      <span className={cn("flex items-baseline gap-1", stale && "text-amber")} data-testid="data-age" title={t("header.data_age.what")}>
        <span className="label hidden lg:inline">{t("header.data_age")}</span>
        <span className={cn("tabular-nums", "min-w-14")}>{wholeSeconds(age)}</span>
        {stale && <span className="rounded bg-amber-soft px-1 text-2xs font-semibold">{t("stale.word")}</span>}
      </span>
      {skew !== undefined && (
        <span className={cn("flex items-baseline gap-1", skew > SKEW_LIMIT_MS * (data?.clock_speed ?? 1) && "text-amber")} data-testid="clock-skew" title={t("header.clock_skew.what")}>
          <span className="label hidden 2xl:inline">{t("header.clock_skew")}</span>
          <span className="num">±{duration(skew)}</span>
        </span>
      )}
      {data !== undefined && data.exchange !== "" && (
        <span className="hidden items-baseline gap-1 lg:flex" data-testid="exchange">
          <span className="label hidden 2xl:inline">{t("header.exchange")}</span>
          <span className="max-w-36 truncate text-soft" title={data.exchange}>
            {data.exchange}
          </span>
        </span>
      )}
    </div>
  );
}
