/** Reading a model's figures and the rhythm of recurring jobs. Pure. */
import type { Schedule } from "@/lib/api/actions";
import type { Job, Model } from "@/lib/api/schemas";

export type Kind = "ratio" | "fraction" | "money" | "count" | "bps" | "minutes";

/** Figures of the walk-forward portfolio backtest (§9.3) in the order they are read; better is up unless `lower`. */
export const FIGURES: readonly { name: string; kind: Kind; lower?: boolean; neutral?: boolean }[] = [
  { name: "profit_factor", kind: "ratio" },
  { name: "max_drawdown", kind: "fraction", lower: true },
  { name: "total_return", kind: "fraction" },
  { name: "sharpe", kind: "ratio" },
  { name: "win_rate", kind: "fraction" },
  { name: "expectancy_bps", kind: "bps" },
  { name: "tail_loss", kind: "money" },
  { name: "trades", kind: "count", neutral: true },
  { name: "net", kind: "money" },
  { name: "gross", kind: "money" },
  { name: "fees", kind: "money", lower: true },
  { name: "slippage", kind: "money", lower: true },
  { name: "funding", kind: "money", lower: true },
  { name: "turnover_per_day", kind: "ratio", neutral: true },
  { name: "hold_min", kind: "minutes", neutral: true },
  { name: "days", kind: "count", neutral: true },
];

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

const finite = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** A figure of the model's trading report; null where it was not traded or is undefined. */
export function figureOf(model: Pick<Model, "metrics">, name: string): number | null {
  return finite(record(model.metrics.trading)[name]);
}

/** What the report says in plain words, in the language of the screen. */
export function verdictOf(model: Pick<Model, "metrics">, language: "en" | "ko"): { code: string; text: string } | null {
  const verdict = record(record(model.metrics.trading).verdict);
  const text = verdict[language];
  return typeof verdict.code === "string" && typeof text === "string" ? { code: verdict.code, text } : null;
}

/** Places of the best among models, null values left out; none where there is nothing to choose. */
export function bestOf(values: readonly (number | null)[], lower: boolean): ReadonlySet<number> {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return new Set();
  const best = lower ? Math.min(...known) : Math.max(...known);
  if (known.every((value) => value === best)) return new Set();
  return new Set(values.flatMap((value, index) => (value === best ? [index] : [])));
}

export interface Recurring {
  kind: string;
  last: Job;
  runs: number;
  failed: number;
  /** Market time between the two newest slots, milliseconds; null after the first. */
  everyMs: number | null;
  lastSlot: number;
}

/** Jobs that the scheduler asks for carry the slot of market time they are for. */
export function recurring(jobs: readonly Job[]): Recurring[] {
  const byKind = new Map<string, { job: Job; slot: number }[]>();
  for (const job of jobs) {
    const slot = Date.parse(String(job.config.as_of ?? ""));
    if (Number.isNaN(slot)) continue;
    byKind.set(job.kind, [...(byKind.get(job.kind) ?? []), { job, slot }]);
  }
  return [...byKind]
    .map(([kind, rows]) => {
      const slots = [...new Set(rows.map(({ slot }) => slot))].sort((a, b) => b - a);
      const last = rows.reduce((newest, row) => (row.slot > newest.slot ? row : newest));
      return { kind, last: last.job, runs: rows.length, failed: rows.filter(({ job }) => job.status === "failed").length, everyMs: slots.length > 1 ? slots[0]! - slots[1]! : null, lastSlot: last.slot };
    })
    .sort((a, b) => a.kind.localeCompare(b.kind));
}

export interface Scheduled {
  name: string;
  enabled: boolean;
  every: string;
  at: string;
  byDefault: { every: string; at: string };
  everyMs: number | null;
  nextSlot: number | null;
  last: Job | null;
  runs: number;
  failed: number;
}

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A length of time as schedules write it: 90m, 2h, 7d; null when it is none. */
export function lengthMs(text: string): number | null {
  const found = /^(\d{1,4})([mhd])$/.exec(text.trim());
  return found === null ? null : Number(found[1]) * UNIT_MS[found[2] as keyof typeof UNIT_MS];
}

/** Schedules with what became of the jobs that they asked for. */
export function scheduled(schedules: readonly Schedule[], seen: readonly Recurring[]): Scheduled[] {
  return schedules.map((schedule) => {
    const jobs = seen.find((one) => one.kind === schedule.name);
    const next = Date.parse(schedule.next_ts ?? "");
    return {
      name: schedule.name,
      enabled: schedule.enabled,
      every: schedule.every,
      at: schedule.at,
      byDefault: { every: schedule.default_every, at: schedule.default_at },
      everyMs: lengthMs(schedule.every),
      nextSlot: Number.isNaN(next) ? null : next,
      last: schedule.last_job ?? jobs?.last ?? null,
      runs: jobs?.runs ?? 0,
      failed: jobs?.failed ?? 0,
    };
  });
}

/** Probabilities of the agent's actions, largest first. */
export function chances(probs: Record<string, number>): { name: string; chance: number }[] {
  return Object.entries(probs)
    .map(([name, chance]) => ({ name, chance }))
    .sort((a, b) => b.chance - a.chance || a.name.localeCompare(b.name));
}
