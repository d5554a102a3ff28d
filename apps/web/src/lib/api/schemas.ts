/**
 * What may come in through the door: the DTOs of the API, checked at run time.
 * Fields of `packages/common/types.py`; unknown fields are dropped, so that an older desk outlives a newer API.
 */
import * as z from "zod";

// A compiled parser would need `eval`, which the content security policy forbids.
z.config({ jitless: true });

const num = z.number().nullable().default(null);
const text = z.string().nullable().default(null);
const figures = z.record(z.string(), z.number().nullable()).default({});

/** Columns by time; `symbols` holds each one's newest measurement. */
export const driftSchema = z.object({
  ts: z.array(z.number()),
  psi_mean: z.array(z.number().nullable()),
  psi_max: z.array(z.number().nullable()),
  symbols: z.array(z.object({ symbol: z.string(), ts: z.string(), psi: num, missing_rate: num, outlier_rate: num, latency_ms: num })).default([]),
});
export type Drift = z.infer<typeof driftSchema>;
export type SymbolDrift = Drift["symbols"][number];

export const statusSchema = z.object({
  collector_ok: z.boolean(),
  userstream_ok: z.boolean(),
  latest_candle_ts: text,
  latest_feature_ts: text,
  latest_signal_ts: text,
  queue_lag: figures,
  latency_ms: figures,
  ws_connected: z.record(z.string(), z.boolean()).default({}),
  error_rates: figures,
  mode: z.string().default("off"),
  exchange: z.string().default(""),
  clock_speed: z.number().nullable().default(1),
  market_ts: text,
  data_age_ms: num,
  symbols_total: z.number().default(0),
  symbols_tradable: z.number().default(0),
  symbols_fresh: z.number().default(0),
  kill_switch: z.string().default("RUNNING"),
  trading_version: z.number().default(0),
  model_id: text,
  model_kind: text,
  open_gaps: z.number().default(0),
  missing_rate_24h: num,
  quality_events_24h: z.number().default(0),
});
export type Status = z.infer<typeof statusSchema>;

export const blockReasonSchema = z.object({ code: z.string(), value: num, limit: num, distance: num });
export type BlockReason = z.infer<typeof blockReasonSchema>;

export const signalSchema = z.object({
  symbol: z.string(),
  ts: z.string(),
  ev_long: num,
  ev_short: num,
  er_long: num,
  er_short: num,
  q05_long: num,
  q05_short: num,
  decision: z.string(),
  size_notional: num,
  leverage: num,
  sl_price: num,
  tp_price: num,
  block_reasons: z.array(z.string()).default([]),
  explain: z.record(z.string(), z.unknown()).default({}),
  e_mae_long: num,
  e_mae_short: num,
  e_hold_long_min: num,
  e_hold_short_min: num,
  p_tp_long: num,
  p_tp_short: num,
  block_details: z.array(blockReasonSchema).default([]),
  model_id: text,
  mode: z.string().default("shadow"),
  late_ms: num,
  close: num,
  mark_price: num,
  ret_60: num,
  funding_rate: num,
});
export type Signal = z.infer<typeof signalSchema>;

export const instrumentSchema = z.object({
  symbol: z.string(),
  status: z.string(),
  liquidity_tier: z.string().default(""),
  tradable: z.boolean(),
  exchange_status: text,
  contract_type: text,
  tick_size: num,
  step_size: num,
  price_decimals: num,
  qty_decimals: num,
  max_leverage: num,
  latest_candle_ts: text,
});
export type Instrument = z.infer<typeof instrumentSchema>;

export const accountSchema = z.object({
  ts: z.string(),
  mode: z.string(),
  equity: z.number(),
  wallet_balance: z.number(),
  unrealized_pnl: z.number(),
  available_margin: z.number(),
  used_margin: z.number(),
  margin_ratio: z.number(),
  day_start_equity: num,
  day_pnl: num,
  total_pnl: num,
  realized_pnl: num,
  start_equity: num,
  fees: num,
  slippage: num,
  funding: num,
});
export type Account = z.infer<typeof accountSchema>;

export const positionSchema = z.object({
  symbol: z.string(),
  ts: z.string(),
  side: z.string(),
  mode: z.string(),
  amt: z.number(),
  entry_price: num,
  mark_price: num,
  leverage: num,
  margin_type: text,
  liquidation_price: num,
  notional: num,
  unrealized_pnl: num,
  sl_price: num,
  tp_price: num,
  opened_ts: text,
  isolated_margin: num,
  fees: num,
  funding: num,
  slippage: num,
  r_multiple: num,
  risk_at_stop: num,
  protected: z.boolean().default(true),
});
export type Position = z.infer<typeof positionSchema>;

export const orderSchema = z.object({
  mode: z.string(),
  order_id: z.number(),
  client_order_id: text,
  symbol: z.string(),
  side: z.string(),
  type: z.string(),
  status: z.string(),
  reduce_only: z.boolean(),
  price: num,
  stop_price: num,
  qty: z.number(),
  created_at: z.string(),
  updated_at: z.string(),
  leg: text,
  avg_price: num,
  fee: num,
  realized_pnl: num,
});
export type Order = z.infer<typeof orderSchema>;

export const jobSchema = z.object({
  job_id: z.string(),
  kind: z.string(),
  created_at: z.string(),
  started_at: text,
  ended_at: text,
  status: z.enum(["queued", "running", "succeeded", "failed", "cancelled"]),
  progress: z.number(),
  stage: text,
  config: z.record(z.string(), z.unknown()).default({}),
  report_uri: text,
  error: text,
  eta_s: num,
});
export type Job = z.infer<typeof jobSchema>;

export const modelSchema = z.object({
  model_id: z.string(),
  created_at: z.string(),
  algo: z.string(),
  feature_schema_version: z.number(),
  label_spec_hash: z.string(),
  train_start: z.string(),
  train_end: z.string(),
  metrics: z.record(z.string(), z.unknown()).default({}),
  artifact_uri: z.string(),
  is_production: z.boolean(),
  status: z.string(),
  pointer: text,
});
export type Model = z.infer<typeof modelSchema>;

/** The account over time as columns; `ts` in epoch milliseconds. */
export const equitySchema = z.object({ mode: z.string(), ts: z.array(z.number()), equity: z.array(z.number().nullable()) });

/** A closed round trip, quote units; costs are positive. */
export const tradeSchema = z.object({
  mode: z.string(),
  symbol: z.string(),
  side: z.string(),
  entry_ts: z.string(),
  exit_ts: z.string(),
  qty: z.number(),
  entry_price: z.number(),
  exit_price: z.number(),
  exit_reason: z.string(),
  fees: z.number(),
  slippage: z.number(),
  funding: z.number(),
  net: z.number(),
  r_multiple: num,
});
export type ClosedTrade = z.infer<typeof tradeSchema>;

export const fillSchema = z.object({
  mode: z.string(),
  symbol: z.string(),
  trade_id: z.number(),
  order_id: z.number(),
  ts: z.string(),
  side: z.string(),
  leg: text,
  price: z.number(),
  qty: z.number(),
  fee: z.number(),
  fee_asset: text,
  realized_pnl: num,
});
export type Fill = z.infer<typeof fillSchema>;

/** How orders went; slippage as a fraction of what was traded, plus is a cost. */
export const executionSchema = z.object({
  mode: z.string(),
  orders: z.number(),
  failed: z.number(),
  failure_rate: num,
  counts: z.array(z.object({ leg: text, status: z.string(), count: z.number(), failed: z.boolean() })),
  trades: z.number(),
  slippage_frac: num,
  matched: z.number(),
  matched_frac: num,
  expected_frac: num,
  bucket_ms: z.number(),
  ts: z.array(z.number()),
  bucket_orders: z.array(z.number()),
  bucket_failed: z.array(z.number()),
  bucket_slippage_frac: z.array(z.number().nullable()),
  bucket_expected_frac: z.array(z.number().nullable()),
});
export type Execution = z.infer<typeof executionSchema>;

const count = z.array(z.number());

/** Missing and late bars, symbols by time; `ts` opens each bucket. */
export const qualityMapSchema = z.object({
  bucket_ms: z.number(),
  ts: count,
  rows: z.array(z.object({ symbol: z.string(), expected: count, missing: count, late: count })),
});
export type QualityMap = z.infer<typeof qualityMapSchema>;

export const symbolQualitySchema = z.object({
  symbol: z.string(),
  status: z.string(),
  tradable: z.boolean(),
  newest_ts: text,
  age_ms: num,
  bars_24h: z.number(),
  expected_24h: z.number(),
  missing_24h: z.number(),
  missing_rate_24h: num,
  open_gaps: z.number(),
  late_24h: z.number(),
  quality_events_24h: z.number(),
});
export type SymbolQuality = z.infer<typeof symbolQualitySchema>;

export const gapSchema = z.object({
  symbol: z.string(),
  dataset: z.string(),
  from_ts: z.string(),
  to_ts: z.string(),
  missing_bars: z.number(),
  repaired_bars: z.number(),
  status: z.string(),
  source: text,
  found_at: z.string(),
  repaired_at: text,
});
export type Gap = z.infer<typeof gapSchema>;

export const qualityEventSchema = z.object({ ts: z.string(), symbol: text, code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()).nullable().default(null) });
export type QualityEvent = z.infer<typeof qualityEventSchema>;

export const dataQualitySchema = z.object({
  market_ts: text,
  missing_rate_24h: num,
  open_gaps: z.number(),
  quality_events_24h: z.number(),
  symbols: z.array(symbolQualitySchema),
  gaps: z.array(gapSchema),
  events: z.array(qualityEventSchema),
});
export type DataQuality = z.infer<typeof dataQualitySchema>;

/** A model with what speaks for it. */
export const modelDetailSchema = modelSchema.extend({
  content_hash: z.string(),
  label_spec: z.record(z.string(), z.unknown()).default({}),
  evidence: z
    .array(z.object({ kind: z.string(), created_at: z.string(), valid_until: text, passed: z.boolean(), valid: z.boolean(), figures: z.record(z.string(), z.unknown()).default({}) }))
    .default([]),
});
export type ModelDetail = z.infer<typeof modelDetailSchema>;

export const rlModelSchema = z.object({
  model_id: z.string(),
  symbol: z.string(),
  algorithm: z.string(),
  train_start: z.string(),
  train_end: z.string(),
  metrics: z.record(z.string(), z.unknown()).default({}),
  is_production: z.boolean(),
  created_at: text,
});
export type RLModel = z.infer<typeof rlModelSchema>;

export const rlDecisionSchema = z.object({
  id: z.number(),
  ts: z.string(),
  symbol: z.string(),
  model_id: text,
  mode: z.string(),
  action: z.number(),
  action_name: z.string(),
  confidence: num,
  action_probs: z.record(z.string(), z.number()).default({}),
  executed: z.boolean(),
  pnl_result: num,
});
export type RLDecision = z.infer<typeof rlDecisionSchema>;

/** What was asked of trading; `pending` until the worker has taken it over. */
export const tradingStateSchema = z.object({ toggle: z.string(), permitted: z.string(), version: z.number(), pending: z.boolean() });
export const acceptedSchema = z.object({ version: z.number(), toggle: z.string() });
export const killSwitchAcceptedSchema = z.object({ version: z.number(), kill_switch: z.string() });

/** One limit: `distance` is limit − value, negative when over; `used` is value ÷ limit. */
export const guardSchema = z.object({ code: z.string(), value: num, limit: z.number(), distance: num, used: num, unit: z.string() });
export type Guard = z.infer<typeof guardSchema>;

/** What became of the symbols' minutes in a span; `primary` counts where a reason came first. */
export const funnelSchema = z.object({
  from_ts: text,
  to_ts: text,
  rows: z.number(),
  traded: z.number(),
  blocked: z.number(),
  flat: z.number(),
  reasons: z.array(z.object({ code: z.string(), primary: z.number(), all: z.number() })),
});
export type Funnel = z.infer<typeof funnelSchema>;

export const riskEventSchema = z.object({
  ts: z.string(),
  event_type: z.string(),
  symbol: text,
  severity: z.number(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).nullable().default(null),
});
export type RiskEvent = z.infer<typeof riskEventSchema>;

/** The worker's own word on live trading; gone with the worker. */
export const liveStateSchema = z.object({
  ready: z.boolean(),
  stream_up: z.boolean(),
  latch: z.string(),
  latch_code: z.string(),
  latch_since: text,
  trips: z.array(z.object({ code: z.string(), latch: z.string(), since: z.string(), by: z.string(), detail: z.string() })).default([]),
  blocks: z.array(z.object({ code: z.string(), symbol: text, since: z.string() })).default([]),
  positions: z.number(),
  unprotected: z.array(z.string()).default([]),
  locked: z.record(z.string(), z.string()).default({}),
  paused: z.array(z.string()).default([]),
  entries_unknown: z.number().default(0),
  stop_path_proven: z.boolean(),
  proofs: z.record(z.string(), z.string()).default({}),
  naked_ms: z.object({ p50: z.number(), p99: z.number(), max: z.number() }).nullable().default(null),
});
export type LiveState = z.infer<typeof liveStateSchema>;

export const riskStateSchema = z.object({
  mode: z.string(),
  kill_switch: z.string(),
  toggle: z.string(),
  reason: text,
  account_ts: text,
  guards: z.array(guardSchema),
  funnel_minute: funnelSchema,
  funnel_hour: funnelSchema,
  events: z.array(riskEventSchema),
  live: liveStateSchema.nullable().default(null),
});
export type RiskState = z.infer<typeof riskStateSchema>;

/** What live trading needs, each met or not. */
export const gateSchema = z.object({
  exchange: z.string(),
  money: z.boolean(),
  open: z.boolean(),
  account_asked_at: text,
  conditions: z.array(z.object({ code: z.string(), met: z.boolean(), value: z.string(), expected: z.string() })),
});
export type Gate = z.infer<typeof gateSchema>;

/** What was asked of one symbol, and what came of it. */
export const deskCommandSchema = z.object({
  command_id: z.number(),
  created_at: z.string(),
  author: z.string(),
  kind: z.string(),
  symbol: z.string(),
  reason: z.string(),
  state: z.enum(["waiting", "done", "refused"]),
  answered_at: text,
  outcome: text,
});
export type DeskCommand = z.infer<typeof deskCommandSchema>;

const column = z.array(z.number().nullable()).default([]);
const stamps = z.array(z.number()).default([]);
const words = z.array(z.string().nullable()).default([]);

/** Columns, not rows; `ts` in epoch milliseconds. Every column of a block has the length of its `ts`. */
export const seriesSchema = z.object({
  symbol: z.string(),
  /** Length of a bar: above 1 when the span is long. */
  interval_min: z.number().default(1),
  candles: z.object({ ts: stamps, open: column, high: column, low: column, close: column, volume: column }),
  mark: z.object({ ts: stamps, close: column }),
  signals: z.object({
    ts: stamps,
    ev_long: column,
    ev_short: column,
    er_long: column,
    er_short: column,
    q05_long: column,
    q05_short: column,
    e_mae_long: column,
    e_mae_short: column,
    e_hold_long_min: column,
    e_hold_short_min: column,
    decision: words,
    block_reason: words,
  }),
  positions: z
    .array(
      z.object({
        side: z.string(),
        from_ts: z.number(),
        to_ts: num,
        entry_price: num,
        exit_price: num,
        sl_price: num,
        tp_price: num,
        liquidation_price: num,
        exit_reason: text,
        net: num,
      }),
    )
    .default([]),
});
export type Series = z.infer<typeof seriesSchema>;
export type Trade = Series["positions"][number];

/** RFC 9457, with the stable `code` the desk matches on. */
export const problemSchema = z.object({
  title: z.string().default(""),
  status: z.number().default(0),
  detail: z.string().default(""),
  code: z.string().default("UNKNOWN"),
  errors: z.array(z.object({ field: z.string(), value: z.string().default(""), expected: z.string().default("") })).default([]),
  conditions: z.array(z.object({ code: z.string(), message: z.string().default("") })).default([]),
});
export type Problem = z.infer<typeof problemSchema>;

/** One frame of the gateway. `data` is checked by its channel's own schema. */
export const frameSchema = z.object({
  channel: z.string().optional(),
  type: z.string(),
  seq: z.number().optional(),
  data: z.unknown().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});
export type Frame = z.infer<typeof frameSchema>;
