/** From a window of the URL to the span that the API is asked for: a relative one ends at the market's now. */
import type { QueryClient } from "@tanstack/react-query";
import type { Status } from "@/lib/api/schemas";
import { marketNowMs } from "@/lib/domain/health";
import { resolveWindow, type Window } from "@/lib/domain/range";
import { MINUTE_MS } from "@/lib/domain/series";
import type { Stamped } from "@/lib/ws/cacheWriter";
import { statusQuery } from "./live";

/** Market time now, or the end of the newest bar while nobody tells the time; null before the first of either. */
export function endOfData(status: Stamped<Status>): number | null {
  const told = marketNowMs(status, performance.now() - status.receivedAt);
  if (told !== null) return told;
  const newest = Date.parse(status.latest_candle_ts ?? "");
  return Number.isNaN(newest) ? null : newest + MINUTE_MS;
}

/** `from=…&to=…`, epoch milliseconds. Waits for the first word on the market's time: it may be months from ours. */
export async function spanParams(client: QueryClient, window: Window): Promise<string> {
  const { from, to } = resolveWindow(window, endOfData(await client.ensureQueryData(statusQuery)) ?? Date.now());
  return `from=${Math.floor(from)}&to=${Math.ceil(to)}`;
}
