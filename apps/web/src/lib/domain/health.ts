/** How far the screen may be trusted: mode, age of the data, connection. Pure; time comes in. */
import type { Status } from "@/lib/api/schemas";

export type Connection = "connecting" | "open" | "reconnecting" | "offline";
export type ShownMode = "LIVE" | "SHADOW" | "OFF" | "HALTED";

/** A latched kill switch outranks the mode: HALTED is what must be read first (D24). */
export function shownMode(status: Pick<Status, "mode" | "kill_switch">): ShownMode {
  if (status.mode === "halted" || status.kill_switch !== "RUNNING") return "HALTED";
  if (status.mode === "live") return "LIVE";
  if (status.mode === "shadow") return "SHADOW";
  return "OFF";
}

/**
 * Market time the newest decided bar may be old, in milliseconds.
 * Two minutes of market time, or five seconds of ours on an accelerated clock, where a market minute passes in less;
 * `null` (as fast as the consumer follows) has no rate to expect, so ten market minutes.
 */
export function staleAfterMs(clockSpeed: number | null): number {
  if (clockSpeed === null) return 600_000;
  return Math.max(120_000, 5_000 * clockSpeed);
}

/** Market time now in epoch milliseconds: the last told one moved on by its speed; `null` speed stands still. */
export function marketNowMs(status: Pick<Status, "market_ts" | "clock_speed">, elapsedMs: number): number | null {
  if (status.market_ts === null) return null;
  const told = Date.parse(status.market_ts);
  if (Number.isNaN(told)) return null;
  return told + Math.max(0, elapsedMs) * (status.clock_speed ?? 0);
}

/** Age of the newest decided bar in market milliseconds, grown since it was told; null when never told. */
export function dataAgeMs(status: Pick<Status, "data_age_ms" | "clock_speed">, elapsedMs: number): number | null {
  if (status.data_age_ms === null) return null;
  return Math.max(0, status.data_age_ms) + Math.max(0, elapsedMs) * (status.clock_speed ?? 1);
}

/** Numbers grey out when they are old or when nobody would tell us that they are. */
export function isStale(status: Status | undefined, elapsedMs: number, connection: Connection): boolean {
  if (status === undefined || connection !== "open") return true;
  const age = dataAgeMs(status, elapsedMs);
  return age === null || age > staleAfterMs(status.clock_speed);
}

/** Missing bars a day that still count as whole: 0.1 % (§23.1). */
export const MISSING_RATE_LIMIT = 0.001;
export type Verdict = "good" | "watch" | "bad";

/** Whether the data can be traded on: bad above the limit of missing bars, to be watched while anything is open. */
export function dataVerdict(status: Pick<Status, "open_gaps" | "missing_rate_24h" | "quality_events_24h">): Verdict {
  if ((status.missing_rate_24h ?? 0) > MISSING_RATE_LIMIT) return "bad";
  return status.open_gaps > 0 || status.quality_events_24h > 0 ? "watch" : "good";
}
