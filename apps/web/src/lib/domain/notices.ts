/** What is worth a notification, from one state of the desk to the next. Pure. */
import type { Job, Position, Status } from "@/lib/api/schemas";

export const NOTICES = ["stop", "unprotected", "opened", "closed", "job", "connection"] as const;
export type NoticeKind = (typeof NOTICES)[number];

export interface Notice {
  kind: NoticeKind;
  /** The same thing twice replaces itself. */
  tag: string;
  href: string;
  /** Placeholders of `notice.<kind>`. */
  words: Record<string, string>;
}

export interface Picture {
  status: Pick<Status, "kill_switch"> | undefined;
  positions: readonly Position[] | undefined;
  jobs: readonly Job[] | undefined;
  connected: boolean;
}

const nameOf = (position: Position) => `${position.mode}:${position.symbol}`;

/** Nothing at first sight: only what changes while one looks away is told. */
export function notices(before: Picture, now: Picture): Notice[] {
  const out: Notice[] = [];
  if (before.status !== undefined && now.status !== undefined && before.status.kill_switch !== now.status.kill_switch && now.status.kill_switch !== "RUNNING") {
    out.push({ kind: "stop", tag: "stop", href: "/risk/", words: { state: now.status.kill_switch } });
  }
  if (before.positions !== undefined && now.positions !== undefined) {
    const was = new Map(before.positions.map((position) => [nameOf(position), position]));
    const is = new Map(now.positions.map((position) => [nameOf(position), position]));
    for (const [name, position] of is) {
      const words = { symbol: position.symbol, side: position.side };
      if (!was.has(name)) out.push({ kind: "opened", tag: `opened:${name}`, href: `/symbol/${position.symbol}/`, words });
      if (!position.protected && was.get(name)?.protected !== false) out.push({ kind: "unprotected", tag: `unprotected:${name}`, href: "/positions/", words });
    }
    for (const [name, position] of was) if (!is.has(name)) out.push({ kind: "closed", tag: `closed:${name}`, href: "/orders/?tab=fills", words: { symbol: position.symbol, side: position.side } });
  }
  if (before.jobs !== undefined && now.jobs !== undefined) {
    const was = new Map(before.jobs.map((job) => [job.job_id, job.status]));
    for (const job of now.jobs) {
      const earlier = was.get(job.job_id);
      if (earlier !== undefined && earlier !== job.status && ["succeeded", "failed", "cancelled"].includes(job.status)) out.push({ kind: "job", tag: `job:${job.job_id}`, href: `/training/?job=${job.job_id}`, words: { job: job.kind, status: job.status } });
    }
  }
  if (before.connected && !now.connected) out.push({ kind: "connection", tag: "connection", href: "/dashboard/", words: {} });
  return out;
}
