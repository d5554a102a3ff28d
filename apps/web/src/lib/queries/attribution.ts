/** Why live earned something else than the shadow account on the same decisions. */
import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { get } from "@/lib/api/client";
import { attributedTradesSchema, attributionSchema, type AttributedTrade } from "@/lib/api/schemas";
import { windowKey, type Window } from "@/lib/domain/range";
import { every } from "@/lib/rangeState";
import { keys } from "./keys";
import { usePages } from "./pages";
import { spanParams } from "./span";

/** What the difference is made of; their sum is it. */
export const PARTS = ["size", "entry", "exit", "latency", "slippage", "fee", "funding", "liquidation"] as const;

export const attributionQuery = (window: Window) =>
  queryOptions({
    queryKey: keys.attribution(windowKey(window)),
    queryFn: async ({ signal, client }) => get(attributionSchema, `/api/execution/attribution?${await spanParams(client, window)}`, signal),
    refetchInterval: every(60_000),
  });

export function useAttributedTrades(window: Window) {
  const client = useQueryClient();
  return usePages<AttributedTrade, { items: AttributedTrade[]; next_cursor: string | null }>(
    [...keys.attribution(windowKey(window)), "trades"],
    async (cursor, signal) => get(attributedTradesSchema, `/api/execution/attribution/trades?limit=100&${await spanParams(client, window)}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal),
    { refetchInterval: every(60_000) },
  );
}
