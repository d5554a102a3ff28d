/** Guards, latches, what live trading needs, and what was asked of single symbols. */
import { queryOptions } from "@tanstack/react-query";
import * as z from "zod/mini";
import { settingsSchema } from "@/lib/api/actions";
import { get } from "@/lib/api/client";
import { deskCommandSchema, gateSchema, riskStateSchema } from "@/lib/api/schemas";
import { keys } from "./keys";

export type AccountMode = "shadow" | "live";

export const riskQuery = (mode: AccountMode) =>
  queryOptions({
    queryKey: keys.risk(mode),
    queryFn: ({ signal }) => get(riskStateSchema, `/api/risk/state?mode=${mode}`, signal),
    refetchInterval: 3_000,
  });

/** The worker asks the account by itself every 30 s. */
export const gateQuery = queryOptions({
  queryKey: keys.gate,
  queryFn: ({ signal }) => get(gateSchema, "/api/trading/gate", signal),
  refetchInterval: 15_000,
});

/** A command that waits is followed closely. */
export const commandsQuery = queryOptions({
  queryKey: keys.commands,
  queryFn: ({ signal }) => get(z.array(deskCommandSchema), "/api/trading/commands?limit=50", signal),
  refetchInterval: (query) => (query.state.data?.some(({ state }) => state === "waiting") ? 1_000 : 10_000),
});

export const settingsQuery = queryOptions({
  queryKey: keys.settings,
  queryFn: ({ signal }) => get(settingsSchema, "/api/settings", signal),
  // A change is followed until the worker has it.
  refetchInterval: (query) => (query.state.data?.pending ? 1_000 : 60_000),
});
