/** Jobs that may be asked for by hand, and what may be said about each. Pure. */
import type { Job } from "@/lib/api/schemas";

export const STARTABLE = ["train_model", "label_recent", "walkforward_backtest", "compute_drift", "sync_store", "sync_universe", "instrument_days"] as const;
export type Startable = (typeof STARTABLE)[number];

export interface JobField {
  name: string;
  type: "number" | "text" | "list" | "model";
}

export const JOB_FIELDS: Record<Startable, readonly JobField[]> = {
  train_model: [],
  label_recent: [
    { name: "preset", type: "text" },
    { name: "symbols", type: "list" },
  ],
  walkforward_backtest: [
    { name: "model_id", type: "model" },
    { name: "folds", type: "number" },
    { name: "symbols", type: "list" },
  ],
  compute_drift: [{ name: "hours", type: "number" }],
  sync_store: [],
  sync_universe: [],
  instrument_days: [],
};

/** What was written as parameters, empty fields left out; null while a number is none. */
export function jobParams(kind: Startable, written: Readonly<Record<string, string>>): Record<string, unknown> | null {
  const params: Record<string, unknown> = {};
  for (const { name, type } of JOB_FIELDS[kind]) {
    const text = (written[name] ?? "").trim();
    if (text === "") continue;
    if (type === "number" && !Number.isFinite(Number(text))) return null;
    params[name] = type === "number" ? Number(text) : type === "list" ? text.toUpperCase().split(/[\s,]+/).filter((part) => part !== "") : text;
  }
  return params;
}

export const isOver = (job: Pick<Job, "status">) => job.status !== "queued" && job.status !== "running";
export const mayRetry = (job: Pick<Job, "status">) => job.status === "failed" || job.status === "cancelled";
