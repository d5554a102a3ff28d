/**
 * From frames to the query cache, at most once per animation frame: a burst of updates costs one rendering, and a
 * hidden tab keeps only the newest state of each channel until it is looked at again.
 */
import { notifyManager, type QueryClient } from "@tanstack/react-query";
import * as z from "zod/mini";
import { accountSchema, jobSchema, positionSchema, signalSchema, statusSchema, type Account, type Job, type Position, type Signal } from "@/lib/api/schemas";
import { appendEquity, type EquityPoint } from "@/lib/domain/equity";
import { keys } from "@/lib/queries/keys";

export const CHANNELS = ["status_updates", "signal_updates", "position_updates", "account_updates", "order_updates", "risk_events", "training_updates", "rl_decisions"] as const;
export type Channel = (typeof CHANNELS)[number];

/** A status with the moment it arrived, for clocks that move on between two of them. */
export type Stamped<T> = T & { receivedAt: number };

const listOf = <T extends z.ZodMiniType>(schema: T) => z.union([z.array(schema), z.pipe(schema, z.transform((one: z.output<T>) => [one]))]);

const SCHEMAS = {
  status_updates: statusSchema,
  signal_updates: listOf(signalSchema),
  position_updates: listOf(positionSchema),
  account_updates: listOf(accountSchema),
  // Rows of either account, as they were booked: they say that something happened, the lists are read again.
  order_updates: z.unknown(),
  risk_events: z.unknown(),
  training_updates: listOf(jobSchema),
  rl_decisions: z.unknown(),
} as const;

/** The entries that a channel writes. */
const KEYS: Partial<Record<Channel, readonly (readonly unknown[])[]>> = {
  status_updates: [keys.status],
  signal_updates: [keys.signals],
  position_updates: [keys.positions, keys.livePositions],
  account_updates: [keys.account, keys.liveAccount],
};

/** Lists that are read again after a message, those on screen at once and the others when they come on screen. */
const TOUCHED: Partial<Record<Channel, readonly (readonly unknown[])[]>> = {
  order_updates: [["orders"], ["fills"], ["trades"], ["execution"], keys.commands],
  risk_events: [["risk"]],
  rl_decisions: [keys.rlDecisions, keys.rlStats],
  account_updates: [["risk"]],
};
/** However fast the market's clock runs, lists are read again at most this often. */
const TOUCH_EVERY_MS = 1_000;

/** Newest row per symbol. An update may hold only the symbols that came late (they are decided alone). */
export function mergeSignals(old: readonly Signal[] | undefined, update: readonly Signal[]): Signal[] {
  const bySymbol = new Map((old ?? []).map((signal) => [signal.symbol, signal]));
  for (const signal of update) {
    const known = bySymbol.get(signal.symbol);
    if (known === undefined || Date.parse(signal.ts) >= Date.parse(known.ts)) bySymbol.set(signal.symbol, signal);
  }
  return [...bySymbol.values()];
}

/** Jobs by their newest step, newest first. */
export function mergeJobs(old: readonly Job[] | undefined, update: readonly Job[]): Job[] {
  const byId = new Map([...(old ?? []), ...update].map((job) => [job.job_id, job]));
  return [...byId.values()].sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
}

export interface CacheWriterOptions {
  client: QueryClient;
  /** `requestAnimationFrame` in the browser. */
  schedule: (run: () => void) => void;
  /** Monotonic milliseconds, `performance.now` in the browser. */
  now: () => number;
  /** Told what each rendering is for: a mark in the browser's trace, from which the budget of an update is measured. */
  onUpdate?: (channels: readonly Channel[]) => void;
  onProblem?: (message: string) => void;
}

export class CacheWriter {
  private pending = new Map<Channel, unknown>();
  /** A snapshot replaces what is shown, even by something older: the market behind the API may have been changed. */
  private signalsReplaced = false;
  private scheduled = false;
  private touched = new Set<Channel>();
  private touchedAt = Number.NEGATIVE_INFINITY;

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
    } else if (channel === "training_updates") {
      this.pending.set(channel, mergeJobs(this.pending.get(channel) as Job[] | undefined, parsed.data as Job[]));
    } else {
      this.pending.set(channel, parsed.data);
    }
    // A snapshot comes with a new connection: the lists may have missed anything while there was none.
    if (TOUCHED[channel] !== undefined) this.touched.add(channel);
    if (!this.scheduled) {
      this.scheduled = true;
      this.options.schedule(() => this.flush());
    }
  }

  private flush(): void {
    this.scheduled = false;
    const batch = this.pending;
    const replace = this.signalsReplaced;
    this.pending = new Map();
    this.signalsReplaced = false;
    this.options.onUpdate?.([...batch.keys()]);
    // All entries first, then one rendering of whatever looks at any of them.
    notifyManager.batch(() => {
      for (const [channel, data] of batch) this.write(channel, data, replace);
      this.touch();
    });
  }

  private write(channel: Channel, data: unknown, replace: boolean): void {
    const { client, now } = this.options;
    this.outrun(channel);
    switch (channel) {
      case "status_updates":
        client.setQueryData(keys.status, { ...(data as object), receivedAt: now() });
        break;
      case "signal_updates":
        client.setQueryData(keys.signals, (old: Signal[] | undefined) => mergeSignals(replace ? [] : old, data as Signal[]));
        break;
      case "position_updates":
        this.positions(data as Position[]);
        break;
      case "account_updates":
        this.account(data as z.infer<typeof accountSchema>[]);
        break;
      case "training_updates":
        client.setQueryData(keys.jobs, (old: Job[] | undefined) => old && mergeJobs(old, data as Job[]));
        break;
      case "order_updates":
      case "risk_events":
      case "rl_decisions":
        break;
    }
  }

  /** What waits for its second is taken by the next frame: the status alone brings one every second. */
  private touch(): void {
    const { client, now } = this.options;
    if (this.touched.size === 0 || now() - this.touchedAt < TOUCH_EVERY_MS) return;
    this.touchedAt = now();
    const lists = new Set([...this.touched].flatMap((channel) => TOUCHED[channel] ?? []));
    this.touched.clear();
    for (const queryKey of lists) void client.invalidateQueries({ queryKey });
  }

  /** A REST answer still under way is older than this frame and would lay itself over it. */
  private outrun(channel: Channel): void {
    const { client } = this.options;
    for (const queryKey of KEYS[channel] ?? []) if (client.isFetching({ queryKey, exact: true }) > 0) void client.cancelQueries({ queryKey, exact: true }, { silent: true });
  }

  /** The open positions of all accounts: what is not among them is flat. */
  private positions(held: Position[]): void {
    const { client } = this.options;
    const live = held.filter(({ mode }) => mode === "live");
    client.setQueryData(keys.positions, held.filter(({ mode }) => mode !== "live"));
    client.setQueryData(keys.livePositions, (old: Position[] | undefined) => (live.length === 0 && old?.length === 0 ? old : live));
  }

  private account(accounts: Account[]): void {
    const { client } = this.options;
    for (const account of accounts) {
      const live = account.mode === "live";
      client.setQueryData(live ? keys.liveAccount : keys.account, account);
      // Before the history has come there is nothing to append to: a lone point would pass for the whole curve.
      const point = { ts: Date.parse(account.ts), equity: account.equity };
      client.setQueryData(live ? keys.liveEquity : keys.equity, (old: EquityPoint[] | undefined) => old && appendEquity(old, point));
    }
  }
}

function isChannel(name: string): name is Channel {
  return (CHANNELS as readonly string[]).includes(name);
}
