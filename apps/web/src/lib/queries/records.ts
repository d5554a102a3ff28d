/** What is read when looked at: orders, fills, trades, jobs, models, drift. */
import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import * as z from "zod/mini";
import { get } from "@/lib/api/client";
import {
  dataQualitySchema,
  driftSchema,
  executionSchema,
  fillSchema,
  intentSchema,
  jobSchema,
  modelDetailSchema,
  modelSchema,
  orderSchema,
  qualityMapSchema,
  rlDecisionSchema,
  rlModelSchema,
  rlStatsSchema,
  tradeSchema,
} from "@/lib/api/schemas";
import { windowKey, type Window } from "@/lib/domain/range";
import { every } from "@/lib/rangeState";
import { keys } from "./keys";
import { usePages } from "./pages";
import type { AccountMode } from "./risk";
import { spanParams } from "./span";

/** Rows of a page: what a screen holds; older ones are asked for by "load more". */
export const PAGE_ROWS = 200;
/** With a socket its events bring the news; this is for what no event tells, such as a window that moves on. */
const SLOW_MS = 60_000;

/** A list of one account's window by cursor, newest first. */
function useRecords<T extends z.ZodMiniType>(name: "orders" | "fills" | "trades", row: T, mode: AccountMode, window: Window) {
  const client = useQueryClient();
  const schema = useMemo(() => z.object({ items: z.array(row), next_cursor: z._default(z.nullable(z.string()), null) }), [row]);
  return usePages(
    keys[name](mode, windowKey(window)),
    async (cursor, signal) => get(schema, `/api/${name}?mode=${mode}&limit=${PAGE_ROWS}&${await spanParams(client, window)}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal),
    { refetchInterval: every(SLOW_MS) },
  );
}

export const useOrders = (mode: AccountMode, window: Window) => useRecords("orders", orderSchema, mode, window);
export const useFills = (mode: AccountMode, window: Window) => useRecords("fills", fillSchema, mode, window);
export const useTrades = (mode: AccountMode, window: Window) => useRecords("trades", tradeSchema, mode, window);

const intentsPage = z.object({ items: z.array(intentSchema), next_cursor: z._default(z.nullable(z.string()), null) });

/** Brackets the live account wanted; `lapsed`: only those that were never sent. */
export function useIntents(window: Window, lapsed: boolean) {
  const client = useQueryClient();
  return usePages(
    keys.intents(lapsed, windowKey(window)),
    async (cursor, signal) => get(intentsPage, `/api/intents?lapsed=${lapsed}&limit=${PAGE_ROWS}&${await spanParams(client, window)}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal),
    { refetchInterval: every(SLOW_MS) },
  );
}

/** Orders that still stand, conditional ones among them. */
export const openOrdersQuery = (mode: AccountMode) =>
  queryOptions({
    queryKey: keys.openOrders(mode),
    queryFn: ({ signal }) => get(z.array(orderSchema), `/api/orders/open?mode=${mode}`, signal),
    refetchInterval: SLOW_MS,
  });

const fillsPage = z.object({ items: z.array(fillSchema) });

/** The newest fills of one symbol. */
export const symbolFillsQuery = (mode: AccountMode, symbol: string) =>
  queryOptions({
    queryKey: keys.symbolFills(mode, symbol),
    queryFn: async ({ signal }) => (await get(fillsPage, `/api/fills?mode=${mode}&symbol=${encodeURIComponent(symbol)}&limit=6`, signal)).items,
    refetchInterval: SLOW_MS,
  });

export const executionQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.execution(mode, windowKey(window)),
    queryFn: async ({ signal, client }) => get(executionSchema, `/api/execution?mode=${mode}&${await spanParams(client, window)}`, signal),
    refetchInterval: every(SLOW_MS),
  });

/** The socket tells every step of a job. */
export const jobsQuery = queryOptions({
  queryKey: keys.jobs,
  queryFn: ({ signal }) => get(z.array(jobSchema), "/api/training/jobs", signal),
  refetchInterval: SLOW_MS,
});

export const modelsQuery = queryOptions({
  queryKey: keys.models,
  queryFn: ({ signal }) => get(z.array(modelSchema), "/api/models", signal),
  refetchInterval: 30_000,
});

/** A model does not change; its evidence may. */
export const modelQuery = (id: string) => queryOptions({ queryKey: keys.model(id), queryFn: ({ signal }) => get(modelDetailSchema, `/api/models/${id}`, signal), refetchInterval: 60_000 });

export const rlModelsQuery = queryOptions({ queryKey: keys.rlModels, queryFn: ({ signal }) => get(z.array(rlModelSchema), "/api/rl/models", signal), refetchInterval: 30_000 });

export const rlDecisionsQuery = queryOptions({ queryKey: keys.rlDecisions, queryFn: ({ signal }) => get(z.array(rlDecisionSchema), "/api/rl/decisions?limit=500", signal), refetchInterval: 30_000 });

/** What the agent did over the last day, by action (§25.6). */
export const rlStatsQuery = queryOptions({
  queryKey: keys.rlStats,
  queryFn: async ({ signal, client }) => get(rlStatsSchema, `/api/rl/decisions/stats?${await spanParams(client, { kind: "relative", range: "1d" })}`, signal),
  refetchInterval: 30_000,
});

/** The same of one model. */
export const rlModelStatsQuery = (model: string) =>
  queryOptions({
    queryKey: keys.rlModelStats(model),
    queryFn: async ({ signal, client }) => get(rlStatsSchema, `/api/rl/decisions/stats?model_id=${encodeURIComponent(model)}&${await spanParams(client, { kind: "relative", range: "1d" })}`, signal),
    refetchInterval: 60_000,
  });

export const qualityQuery = queryOptions({ queryKey: keys.quality, queryFn: ({ signal }) => get(dataQualitySchema, "/api/data-quality/summary", signal), refetchInterval: 10_000 });

export const qualityMapQuery = (window: Window) =>
  queryOptions({
    queryKey: keys.qualityMap(windowKey(window)),
    queryFn: async ({ signal, client }) => get(qualityMapSchema, `/api/data-quality/map?${await spanParams(client, window)}`, signal),
    refetchInterval: every(30_000),
  });

export const driftSeriesQuery = (window: Window) =>
  queryOptions({
    queryKey: [...keys.drift, windowKey(window)],
    queryFn: async ({ signal, client }) => get(driftSchema, `/api/drift?${await spanParams(client, window)}`, signal),
    refetchInterval: every(60_000),
  });

/** Measured once an hour; the newest week. */
export const driftQuery = queryOptions({
  queryKey: keys.drift,
  queryFn: ({ signal }) => get(driftSchema, "/api/drift", signal),
  refetchInterval: 60_000,
});
