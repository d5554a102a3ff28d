// @vitest-environment node
import { beforeEach, describe, expect, it } from "vitest";
import type { Connection } from "@/lib/domain/health";
import { backoffMs, GatewayClient, type SocketLike } from "./client";

class FakeSocket implements SocketLike {
  readyState = 0;
  sent: unknown[] = [];
  closed = false;
  onopen: SocketLike["onopen"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  onmessage: SocketLike["onmessage"] = null;
  send(data: string) {
    this.sent.push(JSON.parse(data));
  }
  close() {
    this.closed = true;
    this.readyState = 3;
  }
  accept() {
    this.readyState = 1;
    this.onopen?.({});
  }
  deliver(message: unknown) {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }
  drop() {
    this.readyState = 3;
    this.onclose?.({});
  }
}

/** Timers that only move when told to. */
class FakeTimers {
  now = 0;
  private waiting = new Map<number, { at: number; run: () => void }>();
  private next = 1;
  set = (run: () => void, ms: number) => {
    this.waiting.set(this.next, { at: this.now + ms, run });
    return this.next++;
  };
  clear = (handle: unknown) => void this.waiting.delete(handle as number);
  advance(ms: number) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.waiting].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.waiting.delete(due[0]);
      this.now = due[1].at;
      due[1].run();
    }
    this.now = end;
  }
}

let sockets: FakeSocket[];
let states: Connection[];
let data: [string, string, unknown][];
let problems: string[];
let timers: FakeTimers;
let client: GatewayClient;
const last = () => sockets.at(-1)!;
const frame = (seq: number, type = "update", channel = "status_updates") => ({ channel, type, seq, data: { n: seq } });

beforeEach(() => {
  sockets = [];
  states = [];
  data = [];
  problems = [];
  timers = new FakeTimers();
  client = new GatewayClient({
    open: () => {
      sockets.push(new FakeSocket());
      return last();
    },
    channels: ["status_updates", "signal_updates"],
    onData: (channel, type, value) => data.push([channel, type, value]),
    onConnection: (state) => states.push(state),
    onProblem: (message) => problems.push(message),
    random: () => 0.5,
    timers,
  });
  client.start();
});

describe("GatewayClient", () => {
  it("subscribes to its channels once the socket is open", () => {
    expect(last().sent).toEqual([]);
    last().accept();
    expect(last().sent).toEqual([{ op: "subscribe", channels: ["status_updates", "signal_updates"], resume: {} }]);
    expect(states).toEqual(["connecting", "open"]);
  });

  it("hands over snapshots and the updates that follow them", () => {
    last().accept();
    last().deliver(frame(1, "snapshot"));
    last().deliver(frame(2));
    expect(data).toEqual([
      ["status_updates", "snapshot", { n: 1 }],
      ["status_updates", "update", { n: 2 }],
    ]);
  });

  it("drops a frame that was delivered twice", () => {
    last().accept();
    last().deliver(frame(1, "snapshot"));
    last().deliver(frame(2));
    last().deliver(frame(2));
    expect(data).toHaveLength(2);
    expect(problems).toEqual([]);
  });

  it("goes on after a break where it was, but not where it lost its place", () => {
    last().accept();
    last().deliver({ ...frame(1, "snapshot"), at: "a-7" });
    last().deliver({ ...frame(2), at: "a-8" });
    last().deliver({ ...frame(1, "snapshot", "signal_updates"), at: "a-3" });
    last().deliver({ ...frame(3, "update", "signal_updates"), at: "a-5" });
    last().onclose?.({});
    timers.advance(20_000);
    last().accept();
    expect(last().sent[0]).toEqual({ op: "subscribe", channels: ["status_updates", "signal_updates"], resume: { status_updates: "a-8" } });
    last().deliver({ ...frame(1), at: "a-9" });
    expect(data.at(-1)).toEqual(["status_updates", "update", { n: 1 }]);
  });

  it("asks for a new snapshot after a gap and shows nothing from beyond it", () => {
    last().accept();
    last().deliver(frame(1, "snapshot"));
    last().deliver(frame(4));
    expect(data).toHaveLength(1);
    expect(last().sent.slice(1)).toEqual([
      { op: "unsubscribe", channels: ["status_updates"] },
      { op: "subscribe", channels: ["status_updates"] },
    ]);
    last().deliver(frame(1, "snapshot"));
    last().deliver(frame(2));
    expect(data).toHaveLength(3);
  });

  it("counts each channel by itself", () => {
    last().accept();
    last().deliver(frame(1, "snapshot"));
    last().deliver(frame(7, "snapshot", "signal_updates"));
    last().deliver(frame(8, "update", "signal_updates"));
    last().deliver(frame(2));
    expect(data).toHaveLength(4);
  });

  it("reports unreadable frames and errors and stays connected", () => {
    last().accept();
    last().deliver("{");
    last().deliver("[]");
    last().deliver({ type: "error", code: "INVALID_INPUT", message: "no such channel" });
    expect(problems).toEqual(["unreadable frame", "unreadable frame", "INVALID_INPUT no such channel"]);
    expect(last().closed).toBe(false);
  });

  it("reconnects with a growing wait and starts counting anew", () => {
    last().accept();
    last().deliver(frame(9, "snapshot"));
    last().drop();
    expect(states.at(-1)).toBe("reconnecting");
    timers.advance(backoffMs(0, 0.5) - 1);
    expect(sockets).toHaveLength(1);
    timers.advance(1);
    expect(sockets).toHaveLength(2);
    last().drop();
    timers.advance(backoffMs(1, 0.5));
    expect(sockets).toHaveLength(3);
    last().accept();
    last().deliver(frame(1, "snapshot"));
    expect(data.at(-1)).toEqual(["status_updates", "snapshot", { n: 1 }]);
    expect(states.at(-1)).toBe("open");
  });

  it("keeps backing off while connections open but deliver nothing", () => {
    for (let attempt = 0; attempt < 3; attempt++) {
      last().accept();
      last().drop();
      timers.advance(backoffMs(attempt, 0.5) - 1);
      expect(sockets).toHaveLength(attempt + 1);
      timers.advance(1);
    }
    expect(sockets).toHaveLength(4);
  });

  it("says offline after several failures, and says it while trying", () => {
    for (let attempt = 0; attempt < 4; attempt++) {
      last().drop();
      timers.advance(20_000);
    }
    expect(states.at(-1)).toBe("offline");
  });

  it("gives a silent connection up after an unanswered ping", () => {
    last().accept();
    last().deliver(frame(1, "snapshot"));
    timers.advance(10_000);
    expect(last().sent.at(-1)).toEqual({ op: "ping" });
    timers.advance(10_000);
    expect(sockets[0]!.closed).toBe(true);
    expect(states.at(-1)).toBe("reconnecting");
  });

  it("keeps a quiet connection that answers its pings", () => {
    last().accept();
    for (let i = 0; i < 5; i++) {
      timers.advance(10_000);
      last().deliver({ type: "pong" });
    }
    expect(sockets).toHaveLength(1);
    expect(last().closed).toBe(false);
  });

  it("tries at once when nudged, and leaves an open socket alone", () => {
    last().accept();
    client.nudge();
    expect(sockets).toHaveLength(1);
    last().drop();
    client.nudge();
    expect(sockets).toHaveLength(2);
    timers.advance(60_000);
    expect(sockets).toHaveLength(2);
  });

  it("stops for good", () => {
    last().accept();
    client.stop();
    timers.advance(120_000);
    expect(sockets).toHaveLength(1);
    expect(sockets[0]!.closed).toBe(true);
  });
});

describe("backoffMs", () => {
  it("doubles to a limit, half of it at random", () => {
    expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([500, 1_000, 2_000, 4_000]);
    expect(backoffMs(3, 0)).toBe(2_000);
    expect(backoffMs(50, 1)).toBe(15_000);
  });
});
