"use client";

import { useQuery } from "@tanstack/react-query";
import { useText } from "@/lib/i18n/useText";
import { useMarketNow } from "@/lib/live/useFreshness";
import { statusQuery } from "@/lib/queries/live";

/** The market's time (not ours), its zone and how fast it runs. */
export function MarketClock() {
  const text = useText();
  const { data } = useQuery(statusQuery);
  const now = useMarketNow();
  const speed = data?.clock_speed;
  return (
    <div className="flex items-baseline gap-1.5" data-testid="market-clock" title={text.t("header.market_clock")}>
      <span className="num hidden text-faint sm:inline">{text.day(now)}</span>
      <span className="num text-sm font-semibold" data-testid="market-clock-time">
        {text.clock(now)}
      </span>
      <span className="text-2xs text-faint">{text.zoneName}</span>
      {data !== undefined && speed !== 1 && (
        <span className="num rounded bg-amber-soft px-1 text-2xs font-semibold text-amber" data-testid="clock-speed" title={text.t("header.speed")}>
          {speed === null || speed === undefined ? text.t("header.speed.max") : `×${text.fixed(speed, Number.isInteger(speed) ? 0 : 1)}`}
        </span>
      )}
    </div>
  );
}
