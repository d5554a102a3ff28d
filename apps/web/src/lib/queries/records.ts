/** What is read when looked at: orders, fills, trades, jobs, models, drift. */
import { queryOptions } from "@tanstack/react-query";
import * as z from "zod";
import { get } from "@/lib/api/client";
import {
  dataQualitySchema,
  driftSchema,
  executionSchema,
  fillSchema,
  jobSchema,
  modelDetailSchema,
  modelSchema,
  orderSchema,
  qualityMapSchema,
  rlDecisionSchema,
  rlModelSchema,
  tradeSchema,
} from "@/lib/api/schemas";
import { windowKey, type Window } from "@/lib/domain/range";
import { keys } from "./keys";
import type { AccountMode } from "./risk";
import { spanParams } from "./span";

const pageOf = <T extends z.ZodType>(schema: T) => z.object({ items: z.array(schema) });
const page = async <T>(answer: Promise<{ items: T[] }>) => (await answer).items;

/** Rows of a list at most: what the API gives in one page. */
export const ROWS_MAX = 500;

export const tradesQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.trades(mode, windowKey(window)),
    queryFn: ({ signal, client }) => page(get(pageOf(tradeSchema), `/api/trades?mode=${mode}&limit=${ROWS_MAX}&${spanParams(client, window)}`, signal)),
    refetchInterval: 5_000,
  });

export const ordersQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.orders(mode, windowKey(window)),
    queryFn: ({ signal, client }) => page(get(pageOf(orderSchema), `/api/orders?mode=${mode}&limit=${ROWS_MAX}&${spanParams(client, window)}`, signal)),
    refetchInterval: 5_000,
  });

export const fillsQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.fills(mode, windowKey(window)),
    queryFn: ({ signal, client }) => page(get(pageOf(fillSchema), `/api/fills?mode=${mode}&limit=${ROWS_MAX}&${spanParams(client, window)}`, signal)),
    refetchInterval: 5_000,
  });

/** Orders that still stand, conditional ones among them. */
export const openOrdersQuery = (mode: AccountMode) =>
  queryOptions({
    queryKey: keys.openOrders(mode),
    queryFn: ({ signal }) => get(z.array(orderSchema), `/api/orders/open?mode=${mode}`, signal),
    refetchInterval: 2_000,
  });

export const executionQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.execution(mode, windowKey(window)),
    queryFn: ({ signal, client }) => get(executionSchema, `/api/execution?mode=${mode}&${spanParams(client, window)}`, signal),
    refetchInterval: 15_000,
  });

/** Running jobs are followed closely, finished ones are left alone. */
export const jobsQuery = queryOptions({
  queryKey: keys.jobs,
  queryFn: ({ signal }) => get(z.array(jobSchema), "/api/training/jobs", signal),
  refetchInterval: (query) => (query.state.data?.some((job) => job.status === "running" || job.status === "queued") ? 2_000 : 15_000),
});

export const modelsQuery = queryOptions({
  queryKey: keys.models,
  queryFn: ({ signal }) => get(z.array(modelSchema), "/api/models", signal),
  refetchInterval: 30_000,
});

/** A model does not change; its evidence may. */
export const modelQuery = (id: string) => queryOptions({ queryKey: keys.model(id), queryFn: ({ signal }) => get(modelDetailSchema, `/api/models/${id}`, signal), refetchInterval: 60_000 });

export const rlModelsQuery = queryOptions({ queryKey: keys.rlModels, queryFn: ({ signal }) => get(z.array(rlModelSchema), "/api/rl/models", signal), refetchInterval: 30_000 });

export const rlDecisionsQuery = queryOptions({ queryKey: keys.rlDecisions, queryFn: ({ signal }) => get(z.array(rlDecisionSchema), "/api/rl/decisions?limit=500", signal), refetchInterval: 5_000 });

export const qualityQuery = queryOptions({ queryKey: keys.quality, queryFn: ({ signal }) => get(dataQualitySchema, "/api/data-quality/summary", signal), refetchInterval: 10_000 });

export const qualityMapQuery = (window: Window) =>
  queryOptions({
    queryKey: keys.qualityMap(windowKey(window)),
    queryFn: ({ signal, client }) => get(qualityMapSchema, `/api/data-quality/map?${spanParams(client, window)}`, signal),
    refetchInterval: 30_000,
  });

/** Measured once an hour. */
export const driftQuery = queryOptions({
  queryKey: keys.drift,
  queryFn: ({ signal }) => get(driftSchema, "/api/drift", signal),
  refetchInterval: 60_000,
});
