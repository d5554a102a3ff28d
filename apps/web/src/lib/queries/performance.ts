/** What was earned and when, and what happened meanwhile. */
import { queryOptions } from "@tanstack/react-query";
import { get } from "@/lib/api/client";
import { annotationsSchema, overlaySchema, profitSchema } from "@/lib/api/schemas";
import { windowKey, type Window } from "@/lib/domain/range";
import { every } from "@/lib/rangeState";
import { keys } from "./keys";
import type { AccountMode } from "./risk";
import { spanParams } from "./span";

export const PERIODS = ["day", "week", "month"] as const;
export type Period = (typeof PERIODS)[number];

export const profitQuery = (mode: AccountMode, period: Period) =>
  queryOptions({ queryKey: keys.profit(mode, period), queryFn: ({ signal }) => get(profitSchema, `/api/account/profit?mode=${mode}&period=${period}`, signal), refetchInterval: 60_000 });

/** Live, shadow and backtest over the same span. */
export const overlayQuery = (window: Window) =>
  queryOptions({ queryKey: keys.overlay(windowKey(window)), queryFn: async ({ signal, client }) => get(overlaySchema, `/api/account/equity/overlay?${await spanParams(client, window)}`, signal), refetchInterval: every(60_000) });

/** What a chart marks; of one symbol and of the whole desk. */
export const annotationsQuery = (window: Window, symbol: string | null = null) =>
  queryOptions({
    queryKey: keys.annotations(windowKey(window), symbol ?? ""),
    queryFn: async ({ signal, client }) => get(annotationsSchema, `/api/annotations?${await spanParams(client, window)}${symbol === null ? "" : `&symbol=${symbol}`}`, signal),
    refetchInterval: every(60_000),
  });
