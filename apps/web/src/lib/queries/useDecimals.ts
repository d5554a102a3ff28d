/** Decimals of each symbol's prices, so that a record shows what the exchange wrote. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { decimalsOf } from "@/lib/format/number";
import { universeQuery } from "./live";

export type Decimals = (symbol: string) => number | null;

export function useDecimals(): Decimals {
  const { data } = useQuery(universeQuery);
  return useMemo(() => {
    const known = new Map((data ?? []).map((one) => [one.symbol, one.price_decimals ?? decimalsOf(one.tick_size)]));
    return (symbol) => known.get(symbol) ?? null;
  }, [data]);
}
