/** What the socket keeps fresh. REST gives the first picture; while the socket is away it is polled instead. */
import { queryOptions } from "@tanstack/react-query";
import * as z from "zod/mini";
import { ApiError, get } from "@/lib/api/client";
import { accountSchema, equitySchema, instrumentSchema, positionSchema, signalSchema, statusSchema, type Status } from "@/lib/api/schemas";
import type { EquityPoint } from "@/lib/domain/equity";
import type { Stamped } from "@/lib/ws/cacheWriter";
import { keys } from "./keys";

/** Polling interval without a socket, milliseconds. */
export const POLL_MS = 5_000;
const live = { staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY } as const;

/** What is not there yet is null. */
export async function absent<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export const statusQuery = queryOptions({
  ...live,
  queryKey: keys.status,
  queryFn: async ({ signal }): Promise<Stamped<Status>> => ({
    ...(await get(statusSchema, "/api/status", signal)),
    receivedAt: performance.now(),
  }),
});

export const accountQuery = queryOptions({
  ...live,
  queryKey: keys.account,
  // No account yet is a state, not a failure: trading has not begun.
  queryFn: ({ signal }) => absent(get(z.nullable(accountSchema), "/api/account/latest", signal)),
});

/** The account on the exchange, null while none is traded. */
export const liveAccountQuery = queryOptions({
  ...live,
  queryKey: keys.liveAccount,
  queryFn: ({ signal }) => absent(get(z.nullable(accountSchema), "/api/account/latest?mode=live", signal)),
});

export const livePositionsQuery = queryOptions({
  ...live,
  queryKey: keys.livePositions,
  queryFn: ({ signal }) => get(z.array(positionSchema), "/api/positions/latest?mode=live", signal),
});

export const positionsQuery = queryOptions({
  ...live,
  queryKey: keys.positions,
  queryFn: ({ signal }) => get(z.array(positionSchema), "/api/positions/latest", signal),
});

export const signalsQuery = queryOptions({
  ...live,
  // Every minute is another one: looking for what stayed the same finds nothing.
  structuralSharing: false,
  queryKey: keys.signals,
  queryFn: async ({ signal }) => (await get(z.object({ items: z.array(signalSchema) }), "/api/signals/latest?sort=ev&limit=500", signal)).items,
});

async function curve(path: string, signal: AbortSignal): Promise<EquityPoint[]> {
  const columns = await get(equitySchema, path, signal);
  return columns.ts.flatMap((ts, index) => {
    const equity = columns.equity[index];
    return equity === null || equity === undefined ? [] : [{ ts, equity }];
  });
}

export type Ranking = "ev" | "funding" | "volatility";
export const RANKED = 10;

/** The most extreme symbols by one measure, in the API's order. */
export const rankingQuery = (by: Ranking) =>
  queryOptions({
    queryKey: keys.ranking(by),
    queryFn: async ({ signal }) => (await get(z.object({ items: z.array(z.object({ symbol: z.string() })) }), `/api/signals/latest?sort=${by}&limit=${RANKED}`, signal)).items.map(({ symbol }) => symbol),
    refetchInterval: 15_000,
  });

/** The account's curve so far; the socket appends to it. */
export const equityQuery = queryOptions({ ...live, queryKey: keys.equity, queryFn: ({ signal }) => curve("/api/account/equity", signal) });

export const liveEquityQuery = queryOptions({
  queryKey: keys.liveEquity,
  queryFn: ({ signal }) => curve("/api/account/equity?mode=live", signal),
  refetchInterval: 60_000,
});

/** Listings and delistings are rare: the universe is synced hourly. */
export const universeQuery = queryOptions({
  queryKey: keys.universe,
  queryFn: ({ signal }) => get(z.array(instrumentSchema), "/api/universe", signal),
  staleTime: 60_000,
  refetchInterval: 60_000,
});
