/**
 * The gateway's client: one socket, channels, reconnect with backoff and jitter, silence watchdog, sequence check.
 * Everything from outside (socket, timers, randomness) comes in, so that tests need none of it.
 */
import { frameSchema, type Frame } from "@/lib/api/schemas";
import type { Connection } from "@/lib/domain/health";

export interface SocketLike {
  readyState: number;
  send(data: string): void;
  close(): void;
  onopen: ((event: unknown) => void) | null;
  onclose: ((event: { code?: number }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
}

export interface Timers {
  set(run: () => void, ms: number): unknown;
  clear(handle: unknown): void;
}

export interface GatewayOptions {
  open: () => SocketLike;
  channels: readonly string[];
  /** A data frame whose sequence is whole; `type` is snapshot or update. */
  onData: (channel: string, type: "snapshot" | "update", data: unknown) => void;
  onConnection: (state: Connection) => void;
  onProblem?: (message: string) => void;
  /** The gateway closed the socket because the session has ended. */
  onSignedOut?: () => void;
  /** In [0, 1): spreads reconnecting desks apart. */
  random?: () => number;
  timers?: Timers;
}

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;
const PING_EVERY_MS = 10_000;
const OPEN = 1;
/** Close code of the gateway for a session that has ended. */
const SIGNED_OUT = 4401;

const browserTimers: Timers = {
  set: (run, ms) => setTimeout(run, ms),
  clear: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
};

/** Wait before attempt n (from 0): doubling to the maximum, of which up to half is random. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return full / 2 + (full / 2) * random;
}

export class GatewayClient {
  private socket: SocketLike | null = null;
  private attempt = 0;
  private stopped = true;
  private seqs = new Map<string, number>();
  /** The place in each channel up to which everything was delivered: what to go on from after a break. */
  private places = new Map<string, string>();
  /** Channels with a gap, until their snapshot is here. */
  private broken = new Set<string>();
  private retryTimer: unknown = null;
  private pingTimer: unknown = null;
  private heardSincePing = true;
  private readonly timers: Timers;
  private readonly random: () => number;

  constructor(private readonly options: GatewayOptions) {
    this.timers = options.timers ?? browserTimers;
    this.random = options.random ?? Math.random;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.connect("connecting");
  }

  stop(): void {
    this.stopped = true;
    this.clearTimers();
    this.drop();
  }

  /** Try at once instead of waiting out the backoff: the machine came back from sleep or the network returned. */
  nudge(): void {
    if (this.stopped || this.socket?.readyState === OPEN) return;
    this.clearTimers();
    this.drop();
    this.connect("reconnecting");
  }

  private connect(state: Connection): void {
    this.options.onConnection(state);
    let socket: SocketLike;
    try {
      socket = this.options.open();
    } catch {
      this.retry();
      return;
    }
    this.socket = socket;
    socket.onopen = () => {
      // A new connection counts from one again and sends what was missed, or a snapshot where that is not known.
      this.seqs.clear();
      this.broken.clear();
      this.heardSincePing = true;
      this.send({ op: "subscribe", channels: [...this.options.channels], resume: Object.fromEntries(this.places) });
      this.options.onConnection("open");
      this.armPing();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = ({ code }) => {
      if (code === SIGNED_OUT) this.options.onSignedOut?.();
      this.lost(socket);
    };
    socket.onerror = () => this.lost(socket);
  }

  private receive(raw: unknown): void {
    this.heardSincePing = true;
    const frame = decode(raw);
    if (frame === null) {
      this.options.onProblem?.("unreadable frame");
      return;
    }
    if (frame.type === "error") {
      this.options.onProblem?.(`${frame.code ?? ""} ${frame.message ?? ""}`.trim());
      return;
    }
    if (frame.channel === undefined || (frame.type !== "snapshot" && frame.type !== "update")) return;
    // Only a connection that delivers resets the backoff; one that opens and dies at once keeps backing off.
    this.attempt = 0;
    if (!this.inOrder(frame, frame.channel)) return;
    if (frame.at !== undefined) this.places.set(frame.channel, frame.at);
    this.options.onData(frame.channel, frame.type, frame.data);
  }

  /** A snapshot restarts the count; a gap asks for a new snapshot and drops what came after it. */
  private inOrder(frame: Frame, channel: string): boolean {
    if (frame.seq === undefined) return true;
    if (frame.type === "snapshot") this.broken.delete(channel);
    else if (this.broken.has(channel)) return false;
    const last = this.seqs.get(channel);
    if (frame.type === "snapshot" || last === undefined || frame.seq === last + 1) {
      this.seqs.set(channel, frame.seq);
      return true;
    }
    if (frame.seq <= last) return false;
    this.broken.add(channel);
    this.places.delete(channel);
    this.options.onProblem?.(`gap on ${channel}: ${last} to ${frame.seq}`);
    this.send({ op: "unsubscribe", channels: [channel] });
    this.send({ op: "subscribe", channels: [channel] });
    return false;
  }

  private armPing(): void {
    this.pingTimer = this.timers.set(() => {
      if (this.socket?.readyState !== OPEN) return;
      if (!this.heardSincePing) {
        // A whole interval without even an answer to our ping: the connection is dead although nobody said so.
        this.lost(this.socket);
        return;
      }
      this.heardSincePing = false;
      this.send({ op: "ping" });
      this.armPing();
    }, PING_EVERY_MS);
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === OPEN) this.socket.send(JSON.stringify(message));
  }

  private lost(socket: SocketLike): void {
    if (socket !== this.socket) return;
    this.clearTimers();
    this.drop();
    if (!this.stopped) this.retry();
  }

  private retry(): void {
    this.options.onConnection(this.attempt >= 3 ? "offline" : "reconnecting");
    const wait = backoffMs(this.attempt, this.random());
    this.attempt += 1;
    this.retryTimer = this.timers.set(() => this.connect(this.attempt > 3 ? "offline" : "reconnecting"), wait);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    if (socket === null) return;
    socket.onopen = socket.onclose = socket.onerror = socket.onmessage = null;
    socket.close();
  }

  private clearTimers(): void {
    this.timers.clear(this.retryTimer);
    this.timers.clear(this.pingTimer);
    this.retryTimer = this.pingTimer = null;
  }
}

function decode(raw: unknown): Frame | null {
  if (typeof raw !== "string") return null;
  try {
    const parsed = frameSchema.safeParse(JSON.parse(raw));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
