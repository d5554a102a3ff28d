/**
 * From frames to the query cache, at most once per animation frame: a burst of updates costs one rendering, and a
 * hidden tab keeps only the newest state of each channel until it is looked at again.
 */
import type { QueryClient } from "@tanstack/react-query";
import * as z from "zod";
import { accountSchema, positionSchema, signalSchema, statusSchema, type Signal } from "@/lib/api/schemas";
import { appendEquity, type EquityPoint } from "@/lib/domain/equity";
import { keys } from "@/lib/queries/keys";

export const CHANNELS = ["status_updates", "signal_updates", "position_updates", "account_updates"] as const;
export type Channel = (typeof CHANNELS)[number];

/** A status with the moment it arrived, for clocks that move on between two of them. */
export type Stamped<T> = T & { receivedAt: number };

const listOf = <T extends z.ZodType>(schema: T) => z.union([z.array(schema), schema.transform((one) => [one])]);

const SCHEMAS = {
  status_updates: statusSchema,
  signal_updates: listOf(signalSchema),
  position_updates: listOf(positionSchema),
  account_updates: listOf(accountSchema),
} as const;

const KEYS = {
  status_updates: keys.status,
  signal_updates: keys.signals,
  position_updates: keys.positions,
  account_updates: keys.account,
} as const;

/** Newest row per symbol. An update may hold only the symbols that came late (they are decided alone). */
export function mergeSignals(old: readonly Signal[] | undefined, update: readonly Signal[]): Signal[] {
  const bySymbol = new Map((old ?? []).map((signal) => [signal.symbol, signal]));
  for (const signal of update) {
    const known = bySymbol.get(signal.symbol);
    if (known === undefined || Date.parse(signal.ts) >= Date.parse(known.ts)) bySymbol.set(signal.symbol, signal);
  }
  return [...bySymbol.values()];
}

export interface CacheWriterOptions {
  client: QueryClient;
  /** `requestAnimationFrame` in the browser. */
  schedule: (run: () => void) => void;
  /** Monotonic milliseconds, `performance.now` in the browser. */
  now: () => number;
  onProblem?: (message: string) => void;
}

export class CacheWriter {
  private pending = new Map<Channel, unknown>();
  /** A snapshot replaces what is shown, even by something older: the market behind the API may have been changed. */
  private signalsReplaced = false;
  private scheduled = false;

  constructor(private readonly options: CacheWriterOptions) {}

  /** Take one frame. Data that does not parse is refused and told, never written. */
  push(channel: string, type: "snapshot" | "update", data: unknown): void {
    if (!isChannel(channel)) return;
    const parsed = SCHEMAS[channel].safeParse(data);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      this.options.onProblem?.(`${channel}: ${issue?.path.join(".")} ${issue?.message}`);
      return;
    }
    if (channel === "signal_updates") {
      if (type === "snapshot") {
        this.signalsReplaced = true;
        this.pending.delete(channel);
      }
      const waiting = this.pending.get(channel) as Signal[] | undefined;
      this.pending.set(channel, mergeSignals(waiting, parsed.data as Signal[]));
    } else {
      this.pending.set(channel, parsed.data);
    }
    if (!this.scheduled) {
      this.scheduled = true;
      this.options.schedule(() => this.flush());
    }
  }

  private flush(): void {
    this.scheduled = false;
    const { client, now } = this.options;
    const batch = this.pending;
    const replace = this.signalsReplaced;
    this.pending = new Map();
    this.signalsReplaced = false;
    for (const [channel, data] of batch) {
      this.outrun(channel);
      switch (channel) {
        case "status_updates":
          client.setQueryData(keys.status, { ...(data as object), receivedAt: now() });
          break;
        case "signal_updates":
          client.setQueryData(keys.signals, (old: Signal[] | undefined) => mergeSignals(replace ? [] : old, data as Signal[]));
          break;
        case "position_updates":
          client.setQueryData(keys.positions, data);
          break;
        case "account_updates":
          this.account(data as z.infer<typeof accountSchema>[]);
          break;
      }
    }
  }

  /** A REST answer still under way is older than this frame and would lay itself over it. */
  private outrun(channel: Channel): void {
    const { client } = this.options;
    const queryKey = KEYS[channel];
    if (client.isFetching({ queryKey, exact: true }) > 0) void client.cancelQueries({ queryKey, exact: true }, { silent: true });
  }

  private account(accounts: z.infer<typeof accountSchema>[]): void {
    const account = accounts.find((one) => one.mode === "shadow") ?? accounts[0];
    if (account === undefined) return;
    const { client } = this.options;
    client.setQueryData(keys.account, account);
    // Before the history has come there is nothing to append to: a lone point would pass for the whole curve.
    const point = { ts: Date.parse(account.ts), equity: account.equity };
    client.setQueryData(keys.equity, (old: EquityPoint[] | undefined) => old && appendEquity(old, point));
  }
}

function isChannel(name: string): name is Channel {
  return (CHANNELS as readonly string[]).includes(name);
}
