// @vitest-environment node
import { QueryClient } from "@tanstack/react-query";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Signal } from "@/lib/api/schemas";
import { keys } from "@/lib/queries/keys";
import { ACCOUNT, position, signal, STATUS } from "@/testing/samples";
import { CacheWriter, mergeSignals } from "./cacheWriter";

let client: QueryClient;
let frames: (() => void)[];
let problems: string[];
let writer: CacheWriter;
const frame = () => frames.splice(0).forEach((run) => run());
const shown = () => client.getQueryData<Signal[]>(keys.signals)!;

beforeEach(() => {
  client = new QueryClient();
  frames = [];
  problems = [];
  writer = new CacheWriter({ client, schedule: (run) => frames.push(run), now: () => 42, onProblem: (message) => problems.push(message) });
});

describe("CacheWriter", () => {
  it("writes once per frame however many messages came", () => {
    const write = vi.spyOn(client, "setQueryData");
    for (let i = 0; i < 50; i++) writer.push("status_updates", "update", { ...STATUS, open_gaps: i });
    expect(frames).toHaveLength(1);
    expect(write).not.toHaveBeenCalled();
    frame();
    expect(write).toHaveBeenCalledTimes(1);
    expect(client.getQueryData(keys.status)).toMatchObject({ open_gaps: 49, receivedAt: 42 });
  });

  it("asks for another frame after one was drawn", () => {
    writer.push("status_updates", "update", STATUS);
    frame();
    writer.push("status_updates", "update", STATUS);
    expect(frames).toHaveLength(1);
  });

  it("keeps symbols that an update does not name", () => {
    writer.push("signal_updates", "snapshot", [signal(), signal({ symbol: "ETHUSDT" })]);
    frame();
    writer.push("signal_updates", "update", [signal({ symbol: "ETHUSDT", ts: "2025-05-26T10:01:00Z", close: 2_600 })]);
    frame();
    expect(shown().map(({ symbol, close }) => [symbol, close])).toEqual([
      ["BTCUSDT", 109_512.4],
      ["ETHUSDT", 2_600],
    ]);
  });

  it("merges updates that wait for the same frame", () => {
    writer.push("signal_updates", "update", [signal()]);
    writer.push("signal_updates", "update", [signal({ symbol: "ETHUSDT" })]);
    frame();
    expect(shown()).toHaveLength(2);
  });

  it("lets a snapshot replace what is shown, even by something older", () => {
    writer.push("signal_updates", "update", [signal({ ts: "2025-06-01T00:00:00Z" }), signal({ symbol: "ETHUSDT" })]);
    frame();
    writer.push("signal_updates", "snapshot", [signal({ ts: "2025-05-01T00:00:00Z" })]);
    frame();
    expect(shown().map(({ symbol, ts }) => [symbol, ts])).toEqual([["BTCUSDT", "2025-05-01T00:00:00Z"]]);
  });

  it("replaces positions, so that none means flat", () => {
    writer.push("position_updates", "snapshot", [position()]);
    frame();
    writer.push("position_updates", "update", []);
    frame();
    expect(client.getQueryData(keys.positions)).toEqual([]);
  });

  it("tells the accounts apart, positions and all", () => {
    writer.push("position_updates", "snapshot", [position(), position({ symbol: "ETHUSDT", mode: "live" })]);
    writer.push("account_updates", "update", [ACCOUNT, { ...ACCOUNT, mode: "live", equity: 900 }]);
    frame();
    const symbols = (key: readonly unknown[]) => client.getQueryData<{ symbol: string }[]>(key)?.map(({ symbol }) => symbol);
    expect([symbols(keys.positions), symbols(keys.livePositions)]).toEqual([["BTCUSDT"], ["ETHUSDT"]]);
    expect(client.getQueryData(keys.account)).toMatchObject({ equity: 10_125.5 });
    expect(client.getQueryData(keys.liveAccount)).toMatchObject({ equity: 900 });
    writer.push("position_updates", "update", [position()]);
    frame();
    expect([symbols(keys.positions), symbols(keys.livePositions)]).toEqual([["BTCUSDT"], []]);
  });

  it("appends the account to the curve once there is one", () => {
    writer.push("account_updates", "update", ACCOUNT);
    frame();
    expect(client.getQueryData(keys.equity)).toBeUndefined();
    client.setQueryData(keys.equity, [{ ts: 0, equity: 10_000 }]);
    writer.push("account_updates", "update", ACCOUNT);
    frame();
    expect(client.getQueryData(keys.equity)).toEqual([
      { ts: 0, equity: 10_000 },
      { ts: Date.parse(ACCOUNT.ts), equity: 10_125.5 },
    ]);
    expect(client.getQueryData(keys.account)).toMatchObject({ equity: 10_125.5 });
  });

  it("refuses what does not parse and keeps what is shown", () => {
    writer.push("status_updates", "update", STATUS);
    frame();
    writer.push("status_updates", "update", { ...STATUS, collector_ok: "yes" });
    expect(frames).toHaveLength(0);
    expect(problems[0]).toMatch(/^status_updates: collector_ok/);
    expect(client.getQueryData(keys.status)).toMatchObject({ collector_ok: true });
  });

  it("ignores channels it does not know", () => {
    writer.push("no_such_channel", "update", {});
    expect(frames).toHaveLength(0);
  });

  it("is not overtaken by a REST answer that was asked for earlier", async () => {
    let answer: (value: Signal[]) => void = () => {};
    const fetching = client.fetchQuery({ queryKey: keys.signals, queryFn: () => new Promise<Signal[]>((resolve) => (answer = resolve)) });
    fetching.catch(() => {});
    writer.push("signal_updates", "snapshot", [signal({ close: 2 })]);
    frame();
    answer([signal({ close: 1 })]);
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(shown()[0]!.close).toBe(2);
  });
});

describe("mergeSignals", () => {
  it("keeps the newer of two minutes, whatever the order of delivery", () => {
    const newer = signal({ ts: "2025-05-26T10:01:00Z" });
    expect(mergeSignals([newer], [signal()])).toEqual([newer]);
    expect(mergeSignals([signal()], [newer])).toEqual([newer]);
  });
});

describe("channels that tell of lists", () => {
  const job = { job_id: "j1", kind: "train_model", created_at: "2025-05-26T10:00:00Z", started_at: null, ended_at: null, status: "running" as const, progress: 0.1, stage: null, config: {}, report_uri: null, error: null, eta_s: null };

  it("carry jobs on step by step, newest first, once the list is known", () => {
    writer.push("training_updates", "update", [job]);
    frame();
    expect(client.getQueryData(keys.jobs)).toBeUndefined();
    client.setQueryData(keys.jobs, [job]);
    writer.push("training_updates", "update", [{ ...job, progress: 0.5 }]);
    writer.push("training_updates", "update", [{ ...job, job_id: "j2", created_at: "2025-05-26T11:00:00Z" }]);
    frame();
    expect(client.getQueryData<(typeof job)[]>(keys.jobs)!.map(({ job_id, progress }) => [job_id, progress])).toEqual([["j2", 0.1], ["j1", 0.5]]);
  });

  it("have lists read again, at most once a second however many orders come", () => {
    let at = 0;
    const busy = new CacheWriter({ client, schedule: (run) => frames.push(run), now: () => at });
    const invalidate = vi.spyOn(client, "invalidateQueries");
    for (let i = 0; i < 3; i++) {
      busy.push("order_updates", "update", [{ anything: i }]);
      frame();
    }
    expect(invalidate.mock.calls.filter(([what]) => what?.queryKey?.[0] === "orders")).toHaveLength(1);
    at = 1_000;
    busy.push("status_updates", "update", STATUS);
    frame();
    expect(invalidate.mock.calls.filter(([what]) => what?.queryKey?.[0] === "orders")).toHaveLength(2);
  });
});
