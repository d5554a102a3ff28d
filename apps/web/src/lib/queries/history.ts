/** What was decided and reported over a range: funnel, why a symbol was not traded, risk events, gaps, latencies. */
import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { get } from "@/lib/api/client";
import { funnelSchema, gapsSchema, latencySchema, qualityEventsSchema, riskEventsSchema, whyNotSchema, type Gap, type QualityEvent, type RiskEvent, type WhyNot, type WhyNotPage } from "@/lib/api/schemas";
import { windowKey, type Window } from "@/lib/domain/range";
import { every } from "@/lib/rangeState";
import { keys } from "./keys";
import { usePages } from "./pages";
import type { AccountMode } from "./risk";
import { spanParams } from "./span";

const OWN_MS = 30_000;
const ROWS = 100;
const after = (cursor: string | null) => (cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`);

export const funnelQuery = (mode: AccountMode, window: Window) =>
  queryOptions({
    queryKey: keys.funnel(mode, windowKey(window)),
    queryFn: async ({ signal, client }) => get(funnelSchema, `/api/funnel?mode=${mode}&${await spanParams(client, window)}`, signal),
    refetchInterval: every(OWN_MS),
  });

export const latencyQuery = (window: Window) =>
  queryOptions({
    queryKey: keys.latency(windowKey(window)),
    queryFn: async ({ signal, client }) => get(latencySchema, `/api/latency?${await spanParams(client, window)}`, signal),
    refetchInterval: every(OWN_MS),
  });

/** The blocked minutes of a symbol, newest first; `newest.summary` is their sum over the window. */
export function useWhyNot(symbol: string, mode: AccountMode, window: Window) {
  const client = useQueryClient();
  return usePages<WhyNot, WhyNotPage>(
    keys.whyNot(symbol, mode, windowKey(window)),
    async (cursor, signal) => get(whyNotSchema, `/api/symbol/${encodeURIComponent(symbol)}/why-not?mode=${mode}&limit=${ROWS}&${await spanParams(client, window)}${after(cursor)}`, signal),
    { refetchInterval: every(OWN_MS) },
  );
}

/** From that severity on, newest first. */
export function useRiskEvents(window: Window, severity: number) {
  const client = useQueryClient();
  return usePages<RiskEvent, { items: RiskEvent[]; next_cursor: string | null }>(
    keys.riskEvents(windowKey(window), severity),
    async (cursor, signal) => get(riskEventsSchema, `/api/risk/events?severity=${severity}&limit=${ROWS}&${await spanParams(client, window)}${after(cursor)}`, signal),
    { refetchInterval: every(OWN_MS) },
  );
}

export function useGaps(window: Window) {
  const client = useQueryClient();
  return usePages<Gap, { items: Gap[]; next_cursor: string | null }>(
    keys.gaps(windowKey(window)),
    async (cursor, signal) => get(gapsSchema, `/api/data-quality/gaps?limit=${ROWS}&${await spanParams(client, window)}${after(cursor)}`, signal),
    { refetchInterval: every(OWN_MS) },
  );
}

export function useQualityEvents(window: Window) {
  const client = useQueryClient();
  return usePages<QualityEvent, { items: QualityEvent[]; next_cursor: string | null }>(
    keys.qualityEvents(windowKey(window)),
    async (cursor, signal) => get(qualityEventsSchema, `/api/data-quality/events?limit=${ROWS}&${await spanParams(client, window)}${after(cursor)}`, signal),
    { refetchInterval: every(OWN_MS) },
  );
}
