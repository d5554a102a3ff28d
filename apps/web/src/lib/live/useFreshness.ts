/** Clocks that move on between two messages. Only the small leaf that shows them renders on a tick. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { dataAgeMs, isStale, marketNowMs } from "@/lib/domain/health";
import { statusQuery } from "@/lib/queries/live";
import { useConnection } from "./context";

const TICK_MS = 500;
const clocks = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** All clocks of a page go by one timer, so that however many there are, a tick is one drawing of the screen. */
function onTick(tick: () => void): () => void {
  clocks.add(tick);
  timer ??= setInterval(() => clocks.forEach((each) => each()), TICK_MS);
  return () => {
    clocks.delete(tick);
    if (clocks.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function useTicking<T extends number | boolean | null>(compute: () => T, deps: readonly unknown[]): T {
  const [value, setValue] = useState(compute);
  useEffect(() => {
    const tick = () => setValue(compute);
    tick();
    return onTick(tick);
    // `compute` is made anew on each rendering; what it reads is in `deps`.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, deps);
  return value;
}

/** Nothing on screen is finer than the step: between two of them nothing is drawn. */
const stepped = (ms: number | null, stepMs: number) => (ms === null ? null : Math.floor(ms / stepMs) * stepMs);

/** Market time now in whole steps, epoch milliseconds; it stands still while nobody tells it to move. */
export function useMarketNow(stepMs = 1_000): number | null {
  const { data } = useQuery(statusQuery);
  const connection = useConnection();
  return useTicking(
    () => (data === undefined ? null : stepped(marketNowMs(data, connection === "open" ? performance.now() - data.receivedAt : 0), stepMs)),
    [data, connection, stepMs],
  );
}

/** Age of the newest decided bar in whole seconds of market time, milliseconds. */
export function useDataAge(): number | null {
  const { data } = useQuery(statusQuery);
  return useTicking(() => (data === undefined ? null : stepped(dataAgeMs(data, performance.now() - data.receivedAt), 1_000)), [data]);
}

/** Whether numbers must be greyed out. */
export function useStale(): boolean {
  const { data } = useQuery(statusQuery);
  const connection = useConnection();
  return useTicking(() => isStale(data, data === undefined ? 0 : performance.now() - data.receivedAt, connection), [data, connection]);
}
