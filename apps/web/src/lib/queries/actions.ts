/** What the desk asks for: jobs, promotions, schedules, repairs, explanations, changes of settings. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import * as z from "zod/mini";
import { evidenceSchema, explainSchema, scheduleSchema, restartSchema, settingsAcceptedSchema, settingsVersionsSchema } from "@/lib/api/actions";
import { ApiError, get, post } from "@/lib/api/client";
import { jobSchema } from "@/lib/api/schemas";
import { keys } from "./keys";
import { absent } from "./live";

/** A command after which lists are read again, whether it was taken or not. */
function useCommand<V, T>(send: (input: V) => Promise<T>, ...touched: readonly (readonly unknown[])[]) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSettled: () => touched.forEach((queryKey) => void client.invalidateQueries({ queryKey })) });
}

const id = encodeURIComponent;
const anything = z.unknown();

export const useJobStart = () => useCommand((body: { kind: string; params: Record<string, unknown> }) => post(jobSchema, "/api/training/jobs", body), keys.jobs);
export const useJobCancel = () => useCommand(({ job, reason }: { job: string; reason: string }) => post(jobSchema, `/api/training/jobs/${id(job)}/cancel`, { reason }), keys.jobs);
export const useJobRetry = () => useCommand((job: string) => post(jobSchema, `/api/training/jobs/${id(job)}/retry`), keys.jobs);
export const useRepair = () => useCommand((body: { symbol?: string; from: string; to: string }) => post(jobSchema, "/api/data-quality/repair", body), keys.jobs, keys.quality);

export const evidenceQuery = (model: string) => queryOptions({ queryKey: keys.evidence(model), queryFn: ({ signal }) => get(evidenceSchema, `/api/models/${id(model)}/evidence`, signal), retry: false });
export const usePromote = () => useCommand(({ model, ...body }: { model: string; reason: string; override?: true; confirm?: string }) => post(anything, `/api/models/${id(model)}/promote`, body), keys.models, keys.status);
export const useRollback = () => useCommand((body: { reason: string; override?: true; confirm?: string }) => post(anything, "/api/models/rollback", body), keys.models, keys.status);

export const useRLPromote = () => useCommand(({ model, reason }: { model: string; reason: string }) => post(anything, `/api/rl/models/${id(model)}/promote`, { reason }), keys.rlModels);

export const schedulesQuery = queryOptions({ queryKey: keys.schedules, queryFn: ({ signal }) => get(z.array(scheduleSchema), "/api/schedules", signal), refetchInterval: 15_000 });
export const useScheduleChange = () => useCommand(({ name, ...body }: { name: string; enabled?: boolean; every?: string; at?: string }) => post(anything, `/api/schedules/${id(name)}`, body), keys.schedules);
export const useScheduleRun = () => useCommand((name: string) => post(anything, `/api/schedules/${id(name)}/run`), keys.schedules, keys.jobs);

/** What is kept of a decision's explanation; null where nobody asked for one. */
export const explainQuery = (symbol: string, ts: string) =>
  queryOptions({ queryKey: keys.explain(symbol, ts), queryFn: ({ signal }) => absent(get(explainSchema, `/api/signals/explain?${new URLSearchParams({ symbol, ts })}`, signal)), staleTime: Number.POSITIVE_INFINITY });

export function useExplain() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (asked: { symbol: string; ts: string }) => post(explainSchema, "/api/signals/explain", asked),
    // A decision is on screen before its row is written: what is not found yet is asked for again.
    retry: (count, error) => count < 4 && error instanceof ApiError && error.code === "NOT_FOUND",
    retryDelay: 500,
    onSuccess: (explain, { symbol, ts }) => client.setQueryData(keys.explain(symbol, ts), explain),
  });
}

export const useSettingsChange = () => useCommand((body: { changes: Record<string, unknown>; reason: string; expected_version: number }) => post(settingsAcceptedSchema, "/api/settings", body), keys.settings, keys.settingsVersions);
export const useRestart = () => useCommand((reason: string) => post(restartSchema, "/api/settings/restart", { reason }), keys.settings, keys.status);
export const settingsVersionsPage = (cursor: string | null, signal?: AbortSignal) => get(settingsVersionsSchema, `/api/settings/versions?limit=20${cursor === null ? "" : `&cursor=${id(cursor)}`}`, signal);
