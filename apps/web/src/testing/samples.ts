/** Samples of the API's DTOs for tests, in the form they come over the wire. */
import type { Account, Instrument, LiveState, Position, RiskState, Series, Signal, Status } from "@/lib/api/schemas";

export const STATUS: Status = {
  collector_ok: true,
  userstream_ok: false,
  latest_candle_ts: "2025-05-26T10:00:00Z",
  latest_feature_ts: "2025-05-26T10:00:00Z",
  latest_signal_ts: "2025-05-26T10:00:00Z",
  queue_lag: { writer_rows: 12 },
  latency_ms: { decision: 212 },
  ws_connected: { kline: true, mark: false },
  error_rates: { rest: 0 },
  mode: "shadow",
  exchange: "emulator",
  clock_speed: 60,
  market_ts: "2025-05-26T10:01:30Z",
  data_age_ms: 30_000,
  symbols_total: 30,
  symbols_tradable: 28,
  symbols_fresh: 28,
  kill_switch: "RUNNING",
  trading_version: 3,
  settings_version: 0,
  settings_at_start: 0,
  model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11",
  model_kind: "demo",
  open_gaps: 1,
  missing_rate_24h: 0.0002,
  quality_events_24h: 3,
};

export function signal(change: Partial<Signal> = {}): Signal {
  return {
    symbol: "BTCUSDT",
    ts: "2025-05-26T10:00:00Z",
    ev_long: 0.0012,
    ev_short: -0.0021,
    er_long: 0.0014,
    er_short: -0.0019,
    q05_long: -0.0084,
    q05_short: -0.0091,
    decision: "FLAT",
    size_notional: null,
    leverage: null,
    sl_price: null,
    tp_price: null,
    block_reasons: [],
    explain: {},
    e_mae_long: 0.004,
    e_mae_short: 0.005,
    e_hold_long_min: 120,
    e_hold_short_min: 130,
    p_tp_long: 0.41,
    p_tp_short: 0.38,
    block_details: [],
    model_id: null,
    mode: "shadow",
    late_ms: 200,
    close: 109_512.4,
    mark_price: 109_510.1,
    ret_60: 0.0123,
    funding_rate: 0.0001,
    ...change,
  };
}

export function instrument(symbol: string, change: Partial<Instrument> = {}): Instrument {
  return {
    symbol,
    status: "active",
    liquidity_tier: "A",
    tradable: true,
    exchange_status: "TRADING",
    contract_type: "PERPETUAL",
    tick_size: 0.1,
    step_size: 0.001,
    price_decimals: 1,
    qty_decimals: 3,
    max_leverage: 125,
    latest_candle_ts: "2025-05-26T10:00:00Z",
    ...change,
  };
}

export const ACCOUNT: Account = {
  ts: "2025-05-26T10:00:00Z",
  mode: "shadow",
  equity: 10_125.5,
  wallet_balance: 10_100,
  unrealized_pnl: 25.5,
  available_margin: 8_000,
  used_margin: 2_125.5,
  margin_ratio: 0.21,
  day_start_equity: 10_200,
  day_pnl: -74.5,
  total_pnl: 125.5,
  realized_pnl: 100,
  start_equity: 10_000,
  fees: 41.28,
  slippage: 17.9,
  funding: -2.31,
};

export function position(change: Partial<Position> = {}): Position {
  return {
    symbol: "BTCUSDT",
    ts: "2025-05-26T10:00:00Z",
    side: "LONG",
    mode: "shadow",
    amt: 0.02,
    entry_price: 109_000,
    mark_price: 109_500,
    leverage: 4,
    margin_type: "isolated",
    liquidation_price: 83_000,
    notional: 2_190,
    unrealized_pnl: 10,
    sl_price: 108_000,
    tp_price: 110_500,
    opened_ts: "2025-05-26T09:00:00Z",
    isolated_margin: 545,
    fees: 0.87,
    funding: 0.11,
    slippage: 0.4,
    r_multiple: 0.5,
    risk_at_stop: 20,
    margin_ratio: 0.08,
    protected: true,
    unprotected_since: null,
    ...change,
  };
}

export const T0 = Date.parse("2025-05-26T10:00:00Z");

/** `count` minutes from `from`; closes rise by one, bars reach half a unit beyond on either side. */
export function series(from: number, count: number, change: Partial<Series["signals"]> = {}): Series {
  const ts = Array.from({ length: count }, (_, i) => from + i * 60_000);
  const close = ts.map((t) => (t - T0) / 60_000 + 100);
  const filled = <T>(value: T) => ts.map(() => value);
  return {
    symbol: "BTCUSDT",
    mode: "shadow",
    from_ts: from,
    to_ts: from + count * 60_000,
    interval_min: 1,
    candles: { ts, open: close.map((c) => c - 1), high: close.map((c) => c + 0.5), low: close.map((c) => c - 1.5), close, volume: filled(2) },
    mark: { ts, close },
    signals: {
      ts,
      ev_long: filled(0.001),
      ev_short: filled(-0.001),
      er_long: filled(0.001),
      er_short: filled(-0.001),
      q05_long: filled(-0.01),
      q05_short: filled(-0.01),
      e_mae_long: filled(0.005),
      e_mae_short: filled(0.005),
      e_hold_long_min: filled(100),
      e_hold_short_min: filled(100),
      decision: filled("FLAT"),
      block_reason: filled("MAX_POSITIONS"),
      ...change,
    },
    positions: [],
  };
}

export const LIVE: LiveState = {
  ready: true,
  equity: "501.25",
  stream_up: true,
  latch: "HALTED",
  latch_code: "LEDGER_MISMATCH",
  latch_since: "2025-05-26T09:58:00Z",
  trips: [{ code: "LEDGER_MISMATCH", latch: "HALTED", since: "2025-05-26T09:58:00Z", by: "worker", detail: "the wallet differs by 3.1 USDT" }],
  blocks: [
    { code: "COOLDOWN", symbol: "ETHUSDT", since: "2025-05-26T09:59:00Z" },
    { code: "STOP_PATH_UNPROVEN", symbol: null, since: "2025-05-26T09:59:30Z" },
  ],
  positions: 1,
  unprotected: [],
  unprotected_since: {},
  locked: {},
  paused: ["XRPUSDT"],
  entries_unknown: 0,
  stop_path_proven: false,
  proofs: {},
  naked_ms: { p50: 180, p99: 410, max: 900 },
};

export const RISK: RiskState = {
  mode: "shadow",
  kill_switch: "RUNNING",
  toggle: "shadow",
  reason: "first start",
  account_ts: "2025-05-26T10:00:00Z",
  guards: [
    { code: "MAX_POSITIONS", value: 6, limit: 6, distance: 0, used: 1, unit: "positions" },
    { code: "MAX_USED_MARGIN", value: 0.3, limit: 0.35, distance: 0.05, used: 0.857, unit: "equity" },
    { code: "DAILY_LOSS_LIMIT", value: 0.004, limit: 0.02, distance: 0.016, used: 0.2, unit: "day_start_equity" },
    { code: "BETA_CAP", value: null, limit: 1, distance: null, used: null, unit: "equity" },
  ],
  funnel_minute: { from_ts: null, to_ts: "2025-05-26T10:00:00Z", rows: 0, traded: 0, blocked: 0, flat: 0, reasons: [] },
  funnel_hour: {
    from_ts: "2025-05-26T09:01:00Z",
    to_ts: "2025-05-26T10:00:00Z",
    rows: 200,
    traded: 4,
    blocked: 150,
    flat: 46,
    reasons: [
      { code: "EV_BELOW_MIN", primary: 120, all: 130 },
      { code: "MAX_POSITIONS", primary: 30, all: 90 },
    ],
  },
  events: [
    { ts: "2025-05-26T09:58:00Z", event_type: "LEDGER_MISMATCH", symbol: null, severity: 3, message: "the wallet differs", details: null },
    { ts: "2025-05-26T09:40:00Z", event_type: "USER_STREAM_DEAD", symbol: "BTCUSDT", severity: 1, message: "reconnected", details: null },
  ],
  live: null,
};
