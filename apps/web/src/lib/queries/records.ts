/** What is read when looked at: orders, jobs, models, drift. */
import { queryOptions } from "@tanstack/react-query";
import * as z from "zod";
import { get } from "@/lib/api/client";
import { driftSchema, jobSchema, modelSchema, orderSchema, tradeSchema } from "@/lib/api/schemas";
import { keys } from "./keys";

const pageOf = <T extends z.ZodType>(schema: T) => z.object({ items: z.array(schema) });
const page = async <T>(answer: Promise<{ items: T[] }>) => (await answer).items;

export const tradesQuery = queryOptions({
  queryKey: keys.trades,
  queryFn: ({ signal }) => page(get(pageOf(tradeSchema), "/api/trades?limit=200", signal)),
  refetchInterval: 5_000,
});

export const ordersQuery = queryOptions({
  queryKey: keys.orders,
  queryFn: ({ signal }) => page(get(pageOf(orderSchema), "/api/orders?limit=200", signal)),
  refetchInterval: 5_000,
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

/** Measured once an hour. */
export const driftQuery = queryOptions({
  queryKey: keys.drift,
  queryFn: ({ signal }) => get(driftSchema, "/api/drift", signal),
  refetchInterval: 60_000,
});
