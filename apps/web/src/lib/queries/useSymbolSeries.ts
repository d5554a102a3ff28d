/** The series of the symbol page: fetched once, then carried on minute by minute. */
import { useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { Series, Status } from "@/lib/api/schemas";
import { resolveWindow, windowKey, type Window } from "@/lib/domain/range";
import type { Stamped } from "@/lib/ws/cacheWriter";
import { useRefresh } from "@/lib/rangeState";
import { keys } from "./keys";
import { signalsQuery, statusQuery } from "./live";
import type { AccountMode } from "./risk";
import { extendSeries, fetchSeries } from "./series";
import { endOfData } from "./span";

/** At most one tail a second, however fast the market's clock runs. */
const TAIL_EVERY_MS = 1_000;

export function useSymbolSeries(symbol: string, mode: AccountMode, window: Window): UseQueryResult<Series> {
  const client = useQueryClient();
  const { data: status } = useQuery(statusQuery);
  const { data: newest } = useQuery({ ...signalsQuery, select: (rows) => rows.find((row) => row.symbol === symbol)?.ts ?? null });
  const queryKey = keys.series(symbol, mode, windowKey(window));
  const query = useQuery({
    queryKey,
    enabled: status !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    queryFn: ({ signal }) => {
      const now = status === undefined ? null : endOfData(status);
      const { from, to } = resolveWindow(window, now ?? Date.now());
      return fetchSeries(symbol, mode, from, to, signal);
    },
  });

  const busy = useRef(false);
  const lastAt = useRef(0);
  const live = useRefresh() !== "off" && window.kind === "relative" && query.data !== undefined && query.data.interval_min === 1;
  const key = windowKey(window);
  useEffect(() => {
    if (!live) return;
    let cancelled = false;
    const extend = async () => {
      const now = client.getQueryData<Stamped<Status>>(keys.status);
      const old = client.getQueryData<Series>(keys.series(symbol, mode, key));
      const end = now === undefined ? null : endOfData(now);
      if (busy.current || old === undefined || end === null) return;
      busy.current = true;
      lastAt.current = performance.now();
      try {
        const { from, to } = resolveWindow(window, end);
        const grown = await extendSeries(old, mode, from, to);
        if (!cancelled) client.setQueryData(keys.series(symbol, mode, key), grown);
      } catch {
        // The stale state tells of it; the next minute tries again.
      } finally {
        busy.current = false;
      }
    };
    const wait = Math.max(0, lastAt.current + TAIL_EVERY_MS - performance.now());
    const handle = setTimeout(() => void extend(), wait);
    return () => {
      cancelled = true;
      clearTimeout(handle);
    };
    // `window` is made anew on each rendering; `key` stands for it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [client, key, live, mode, newest, symbol]);
  return query;
}
