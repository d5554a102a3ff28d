/** Clocks that move on between two messages. Only the small leaf that shows them renders on a tick. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { dataAgeMs, isStale, marketNowMs } from "@/lib/domain/health";
import { statusQuery } from "@/lib/queries/live";
import { useConnection } from "./context";

function useTicking<T>(compute: () => T, everyMs: number, deps: readonly unknown[]): T {
  const [value, setValue] = useState(compute);
  useEffect(() => {
    const tick = () => setValue(compute);
    tick();
    const handle = setInterval(tick, everyMs);
    return () => clearInterval(handle);
    // `compute` is made anew on each rendering; what it reads is in `deps`.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [everyMs, ...deps]);
  return value;
}

/** Market time now, epoch milliseconds; it stands still while nobody tells it to move. */
export function useMarketNow(everyMs = 250): number | null {
  const { data } = useQuery(statusQuery);
  const connection = useConnection();
  return useTicking(
    () => (data === undefined ? null : marketNowMs(data, connection === "open" ? performance.now() - data.receivedAt : 0)),
    everyMs,
    [data, connection],
  );
}

/** Age of the newest decided bar in market milliseconds. */
export function useDataAge(everyMs = 250): number | null {
  const { data } = useQuery(statusQuery);
  return useTicking(() => (data === undefined ? null : dataAgeMs(data, performance.now() - data.receivedAt)), everyMs, [data]);
}

/** Whether numbers must be greyed out. */
export function useStale(): boolean {
  const { data } = useQuery(statusQuery);
  const connection = useConnection();
  return useTicking(() => isStale(data, data === undefined ? 0 : performance.now() - data.receivedAt, connection), 500, [data, connection]);
}
