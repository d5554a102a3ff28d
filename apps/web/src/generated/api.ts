/** Made by scripts/gen.mjs from openapi.json; never edited. Unknown fields are dropped, so that an older desk outlives a newer API. */
import * as z from "zod";

// A compiled parser would need eval, which the content security policy forbids.
z.config({ jitless: true });

/** A command was accepted; the worker will acknowledge ``version`` in its status. */
export const AcceptedDTO = z.object({
  acknowledged_version: z.number().nullable(),
  changed: z.boolean(),
  toggle: z.string(),
  version: z.number(),
});
export type AcceptedDTO = z.infer<typeof AcceptedDTO>;

/** Quote units (USDT). */
export const AccountDTO = z.object({
  available_margin: z.number(),
  day_pnl: z.number().nullable().default(null),
  day_start_equity: z.number().nullable().default(null),
  equity: z.number(),
  fees: z.number().nullable().default(null),
  funding: z.number().nullable().default(null),
  margin_ratio: z.number(),
  mode: z.string(),
  realized_pnl: z.number().nullable().default(null),
  slippage: z.number().nullable().default(null),
  start_equity: z.number().nullable().default(null),
  total_pnl: z.number().nullable().default(null),
  ts: z.string(),
  unrealized_pnl: z.number(),
  used_margin: z.number(),
  wallet_balance: z.number(),
});
export type AccountDTO = z.infer<typeof AccountDTO>;

/** Something that a chart marks, at market time; ``to_ts`` where it lasted. */
export const Annotation = z.object({
  code: z.string(),
  details: z.record(z.string(), z.unknown()).default({}),
  kind: z.enum(["promotion","settings","halt","pause","funding","risk"]),
  symbol: z.string().nullable().default(null),
  text: z.string(),
  to_ts: z.string().nullable().default(null),
  ts: z.string(),
});
export type Annotation = z.infer<typeof Annotation>;

/** Oldest first. ``cut``: there are more, older ones; ask for a shorter span. */
export const AnnotationList = z.object({
  cut: z.boolean(),
  items: z.array(Annotation),
});
export type AnnotationList = z.infer<typeof AnnotationList>;

/** Whether every row still follows from the one before it, as looked at within the last half minute. */
export const ChainDTO = z.object({
  first_broken: z.number().nullable(),
  ok: z.boolean(),
});
export type ChainDTO = z.infer<typeof ChainDTO>;

/** One change: who did what to what, and how it was before and after. */
export const AuditDTO = z.object({
  action: z.string(),
  actor: z.string(),
  after: z.record(z.string(), z.unknown()).nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  reason: z.string().nullable(),
  seq: z.number(),
  target: z.string().nullable(),
  ts: z.string(),
});
export type AuditDTO = z.infer<typeof AuditDTO>;

/** Newest first. */
export const AuditPage = z.object({
  chain: ChainDTO,
  items: z.array(AuditDTO),
  next_cursor: z.string().nullable(),
});
export type AuditPage = z.infer<typeof AuditPage>;

/** Why. */
export const CancelIn = z.object({
  reason: z.string(),
});
export type CancelIn = z.input<typeof CancelIn>;

/** A code of the second factor. */
export const CodeIn = z.object({
  code: z.string(),
});
export type CodeIn = z.input<typeof CodeIn>;

/** Why. */
export const CommandIn = z.object({
  reason: z.string(),
});
export type CommandIn = z.input<typeof CommandIn>;

/** What somebody is trusted with; each may all that the one before it may. */
export const Role = z.enum(["viewer","operator","admin"]);
export type Role = z.infer<typeof Role>;

/** Who is signed in. ``totp``: has a second factor. ``password``: could sign in with one. */
export const MeUserDTO = z.object({
  name: z.string(),
  password: z.boolean(),
  role: Role,
  totp: z.boolean(),
});
export type MeUserDTO = z.infer<typeof MeUserDTO>;

/** As ``MeDTO``; each recovery code counts once, and they are shown once. */
export const ConfirmedDTO = z.object({
  csrf: z.string().nullable(),
  demo: z.boolean(),
  first_use: z.boolean(),
  recovery_codes: z.array(z.string()),
  signed_in: z.boolean(),
  step_up_until: z.string().nullable(),
  user: MeUserDTO.nullable(),
});
export type ConfirmedDTO = z.infer<typeof ConfirmedDTO>;

export const QualityEventDTO = z.object({
  code: z.string(),
  details: z.record(z.string(), z.unknown()).nullable(),
  message: z.string(),
  symbol: z.string().nullable(),
  ts: z.string(),
});
export type QualityEventDTO = z.infer<typeof QualityEventDTO>;

export const GapDTO = z.object({
  dataset: z.string(),
  found_at: z.string(),
  from_ts: z.string(),
  missing_bars: z.number(),
  repaired_at: z.string().nullable(),
  repaired_bars: z.number(),
  source: z.string().nullable(),
  status: z.string(),
  symbol: z.string(),
  to_ts: z.string(),
});
export type GapDTO = z.infer<typeof GapDTO>;

/** Bars of one symbol in the last 24 h of market time; ``expected`` starts at its first bar. */
export const SymbolQuality = z.object({
  age_ms: z.number().nullable(),
  bars_24h: z.number(),
  expected_24h: z.number(),
  late_24h: z.number(),
  missing_24h: z.number(),
  missing_rate_24h: z.number().nullable(),
  newest_ts: z.string().nullable(),
  open_gaps: z.number(),
  quality_events_24h: z.number(),
  status: z.string(),
  symbol: z.string(),
  tradable: z.boolean(),
});
export type SymbolQuality = z.infer<typeof SymbolQuality>;

/** ``market_ts``: the close of the newest bar of any symbol, against which ages and the 24 h are measured. */
export const DataQualityDTO = z.object({
  events: z.array(QualityEventDTO),
  gaps: z.array(GapDTO),
  market_ts: z.string().nullable(),
  missing_rate_24h: z.number().nullable(),
  open_gaps: z.number(),
  quality_events_24h: z.number(),
  symbols: z.array(SymbolQuality),
});
export type DataQualityDTO = z.infer<typeof DataQualityDTO>;

/** What was asked of one symbol; ``outcome`` says what came of it once it is no longer waiting. */
export const DeskCommandDTO = z.object({
  answered_at: z.string().nullable(),
  author: z.string(),
  command_id: z.number(),
  created_at: z.string(),
  kind: z.enum(["close","pause","unpause"]),
  outcome: z.string().nullable(),
  reason: z.string(),
  state: z.enum(["waiting","done","refused"]),
  symbol: z.string(),
});
export type DeskCommandDTO = z.infer<typeof DeskCommandDTO>;

/** Newest measurement of one symbol: ``psi`` is the mean over the model's inputs against its training rows. */
export const SymbolDrift = z.object({
  latency_ms: z.number().nullable(),
  missing_rate: z.number().nullable(),
  outlier_rate: z.number().nullable(),
  psi: z.number().nullable(),
  symbol: z.string(),
  ts: z.string(),
});
export type SymbolDrift = z.infer<typeof SymbolDrift>;

/** Columns by time, epoch milliseconds, over the symbols measured then; below 0.1 an index is usually read as stable, above 0.25 as another population. ``symbols``: the newest measurement of each in the span. */
export const DriftDTO = z.object({
  psi_max: z.array(z.number().nullable()),
  psi_mean: z.array(z.number().nullable()),
  symbols: z.array(SymbolDrift),
  ts: z.array(z.number()),
});
export type DriftDTO = z.infer<typeof DriftDTO>;

/** Nothing to say. */
export const Empty = z.object({

});
export type Empty = z.input<typeof Empty>;

/** How many sessions were ended. */
export const EndedDTO = z.object({
  ended: z.number(),
});
export type EndedDTO = z.infer<typeof EndedDTO>;

/** The account over time as columns; ``drawdown`` is 1 − equity ÷ its running peak in the span. */
export const EquityOut = z.object({
  drawdown: z.array(z.number().nullable()),
  equity: z.array(z.number().nullable()),
  mode: z.string(),
  ts: z.array(z.number()),
  unrealized_pnl: z.array(z.number().nullable()),
  used_margin: z.array(z.number().nullable()),
  wallet_balance: z.array(z.number().nullable()),
});
export type EquityOut = z.infer<typeof EquityOut>;

/** ``backtest``: of the model's own out-of-sample test, at the times of its history. Thinned by extremes. */
export const EquityCurve = z.object({
  drawdown: z.array(z.number().nullable()),
  equity: z.array(z.number().nullable()),
  model_id: z.string().nullable().default(null),
  source: z.enum(["live","shadow","backtest"]),
  ts: z.array(z.number()),
});
export type EquityCurve = z.infer<typeof EquityCurve>;

/** Curves to lay over each other; one that has nothing in the span is left out. */
export const EquityOverlay = z.object({
  curves: z.array(EquityCurve),
  from_ts: z.number(),
  to_ts: z.number(),
});
export type EquityOverlay = z.infer<typeof EquityOverlay>;

export const OrderCount = z.object({
  count: z.number(),
  failed: z.boolean(),
  leg: z.string().nullable(),
  status: z.string(),
});
export type OrderCount = z.infer<typeof OrderCount>;

/** How orders went in a span. A failed order is a rejected one, or an entry or exit that expired unfilled; a stop or target that expired because the other one filled has done its work. Slippage is a fraction of what was traded at the reference prices, plus is a cost. ``expected_frac``: what the shadow account paid for the same decisions, over the ``matched`` trades, and ``matched_frac`` what this account paid for them; null where there is no twin. */
export const ExecutionOut = z.object({
  bucket_expected_frac: z.array(z.number().nullable()),
  bucket_failed: z.array(z.number()),
  bucket_ms: z.number(),
  bucket_orders: z.array(z.number()),
  bucket_slippage_frac: z.array(z.number().nullable()),
  counts: z.array(OrderCount),
  expected_frac: z.number().nullable(),
  failed: z.number(),
  failure_rate: z.number().nullable(),
  from_ts: z.number(),
  matched: z.number(),
  matched_frac: z.number().nullable(),
  mode: z.string(),
  orders: z.number(),
  slippage_frac: z.number().nullable(),
  to_ts: z.number(),
  trades: z.number(),
  ts: z.array(z.number()),
});
export type ExecutionOut = z.infer<typeof ExecutionOut>;

export const ContributionDTO = z.object({
  contribution: z.number().nullable(),
  feature: z.string(),
});
export type ContributionDTO = z.infer<typeof ContributionDTO>;

/** ``prediction`` = ``base`` + the ``top`` contributions + ``rest``; ``unit``: fraction (of the entry), minutes, or log_odds (of ``p_tp``). */
export const TargetExplainDTO = z.object({
  base: z.number().nullable(),
  prediction: z.number().nullable(),
  rest: z.number().nullable(),
  top: z.array(ContributionDTO),
  unit: z.string(),
});
export type TargetExplainDTO = z.infer<typeof TargetExplainDTO>;

/** Why a row was predicted as it was. ``targets`` is null while nobody has asked, and where ``unavailable`` says why not. ``inputs``: as the model saw them. */
export const ExplainDTO = z.object({
  decision: z.string(),
  inputs: z.record(z.string(), z.number().nullable()).nullable().default(null),
  mode: z.string(),
  model_id: z.string(),
  symbol: z.string(),
  targets: z.record(z.string(), TargetExplainDTO).nullable().default(null),
  ts: z.string(),
  unavailable: z.string().nullable().default(null),
});
export type ExplainDTO = z.infer<typeof ExplainDTO>;

/** A row of ``signals``. */
export const ExplainIn = z.object({
  mode: z.enum(["shadow","live"]).default("shadow"),
  symbol: z.string(),
  ts: z.string(),
});
export type ExplainIn = z.input<typeof ExplainIn>;

/** A fill; ``fee`` in ``fee_asset``, the rest in quote units. */
export const FillDTO = z.object({
  fee: z.number(),
  fee_asset: z.string().nullable(),
  leg: z.string().nullable(),
  mode: z.string(),
  order_id: z.number(),
  price: z.number(),
  qty: z.number(),
  realized_pnl: z.number().nullable(),
  side: z.string(),
  symbol: z.string(),
  trade_id: z.number(),
  ts: z.string(),
});
export type FillDTO = z.infer<typeof FillDTO>;

/** Newest first. */
export const FillsPage = z.object({
  items: z.array(FillDTO),
  next_cursor: z.string().nullable().default(null),
});
export type FillsPage = z.infer<typeof FillsPage>;

/** ``primary``: rows it alone would have explained first; ``all``: rows it stands in. */
export const BlockCount = z.object({
  all: z.number(),
  code: z.string(),
  primary: z.number(),
});
export type BlockCount = z.infer<typeof BlockCount>;

/** ``top_code``: the reason that came first most often. */
export const SymbolFunnel = z.object({
  blocked: z.number(),
  flat: z.number(),
  rows: z.number(),
  symbol: z.string(),
  top_code: z.string().nullable(),
  traded: z.number(),
});
export type SymbolFunnel = z.infer<typeof SymbolFunnel>;

/** What became of the minutes of a span, over all symbols and of each. */
export const FunnelOut = z.object({
  blocked: z.number(),
  flat: z.number(),
  from_ts: z.string().nullable(),
  reasons: z.array(BlockCount),
  rows: z.number(),
  symbols: z.array(SymbolFunnel),
  to_ts: z.string().nullable(),
  traded: z.number(),
});
export type FunnelOut = z.infer<typeof FunnelOut>;

/** Newest find first. */
export const GapsPage = z.object({
  items: z.array(GapDTO),
  next_cursor: z.string().nullable().default(null),
});
export type GapsPage = z.infer<typeof GapsPage>;

/** One thing that live trading needs; ``code`` is named after what is wrong when it is not met. */
export const GateConditionDTO = z.object({
  code: z.string(),
  expected: z.string(),
  met: z.boolean(),
  value: z.string(),
});
export type GateConditionDTO = z.infer<typeof GateConditionDTO>;

/** ``open``: every condition is met but the typed confirmation, which only the toggle can bring. ``money``: false at an emulated exchange, where production model, evidence, sign-in and second factor are not asked for. */
export const GateDTO = z.object({
  account_asked_at: z.string().nullable(),
  conditions: z.array(GateConditionDTO),
  exchange: z.string(),
  money: z.boolean(),
  open: z.boolean(),
});
export type GateDTO = z.infer<typeof GateDTO>;

export const InstrumentDTO = z.object({
  contract_type: z.string().nullable().default(null),
  exchange_status: z.string().nullable().default(null),
  latest_candle_ts: z.string().nullable().default(null),
  liquidity_tier: z.string(),
  max_leverage: z.number().nullable().default(null),
  price_decimals: z.number().nullable().default(null),
  qty_decimals: z.number().nullable().default(null),
  status: z.string(),
  step_size: z.number().nullable().default(null),
  symbol: z.string(),
  tick_size: z.number().nullable().default(null),
  tradable: z.boolean(),
});
export type InstrumentDTO = z.infer<typeof InstrumentDTO>;

export const JobDTO = z.object({
  config: z.record(z.string(), z.unknown()),
  created_at: z.string(),
  ended_at: z.string().nullable(),
  error: z.string().nullable(),
  eta_s: z.number().nullable().default(null),
  job_id: z.string(),
  kind: z.string(),
  progress: z.number(),
  report_uri: z.string().nullable(),
  stage: z.string().nullable(),
  started_at: z.string().nullable(),
  status: z.enum(["queued","running","succeeded","failed","cancelled"]),
});
export type JobDTO = z.infer<typeof JobDTO>;

/** What to compute. ``params`` as the kind knows them; the job refuses what it does not know. */
export const JobIn = z.object({
  kind: z.string(),
  params: z.record(z.string(), z.unknown()).default({}),
});
export type JobIn = z.input<typeof JobIn>;

/** ``kill_switch``: as it was asked for; the worker may hold a stricter one, which ``/api/risk/state`` shows. */
export const KillSwitchAcceptedDTO = z.object({
  acknowledged_version: z.number().nullable(),
  changed: z.boolean(),
  kill_switch: z.string(),
  version: z.number(),
});
export type KillSwitchAcceptedDTO = z.infer<typeof KillSwitchAcceptedDTO>;

/** ``halt``: no new entries, stops stay. ``flatten``: leave every position as well. ``resume`` needs a reason. */
export const KillSwitchIn = z.object({
  action: z.enum(["halt","flatten","resume"]),
  expected_version: z.number().nullable().default(null),
  reason: z.string().nullable().default(null),
});
export type KillSwitchIn = z.input<typeof KillSwitchIn>;

/** Milliseconds of one stage over the minutes of a span; ``counts[i]`` is below ``edges[i]``, the last one above. */
export const LatencyStage = z.object({
  counts: z.array(z.number()),
  max: z.number().nullable(),
  n: z.number(),
  p50: z.number().nullable(),
  p90: z.number().nullable(),
  p99: z.number().nullable(),
  stage: z.string(),
  unit: z.enum(["wall_ms","market_ms"]),
});
export type LatencyStage = z.infer<typeof LatencyStage>;

/** ``edges`` in milliseconds, ascending, of every histogram. */
export const LatencyOut = z.object({
  edges: z.array(z.number()),
  from_ts: z.number(),
  stages: z.array(LatencyStage),
  to_ts: z.number(),
});
export type LatencyOut = z.infer<typeof LatencyOut>;

/** A one-time link, shown once, good for 24 hours. */
export const LinkDTO = z.object({
  link: z.string(),
});
export type LinkDTO = z.infer<typeof LinkDTO>;

/** The token of a one-time link; ``password`` sets a new one, which is a must where money is at stake. */
export const LinkIn = z.object({
  code: z.string().nullable().default(null),
  password: z.string().nullable().default(null),
  token: z.string(),
});
export type LinkIn = z.input<typeof LinkIn>;

/** Name and password, and a code of those who have a second factor. */
export const LoginIn = z.object({
  code: z.string().nullable().default(null),
  name: z.string(),
  password: z.string(),
});
export type LoginIn = z.input<typeof LoginIn>;

/** The caller. ``csrf`` goes into the header X-CSRF of every change. ``demo``: the exchange is emulated, no money is at stake. ``first_use``: nobody could sign in with a password: the link that `perpilot up` told is the way in. */
export const MeDTO = z.object({
  csrf: z.string().nullable(),
  demo: z.boolean(),
  first_use: z.boolean(),
  signed_in: z.boolean(),
  step_up_until: z.string().nullable(),
  user: MeUserDTO.nullable(),
});
export type MeDTO = z.infer<typeof MeDTO>;

/** The mark of a promotion without whole evidence (D31): it stays. ``missing``: kinds of evidence it lacked. */
export const ModelOverrideDTO = z.object({
  at: z.string(),
  author: z.string(),
  missing: z.array(z.string()),
  reason: z.string(),
});
export type ModelOverrideDTO = z.infer<typeof ModelOverrideDTO>;

export const ModelDTO = z.object({
  algo: z.string(),
  artifact_uri: z.string(),
  created_at: z.string(),
  feature_schema_version: z.number(),
  is_production: z.boolean(),
  label_spec_hash: z.string(),
  metrics: z.record(z.string(), z.unknown()),
  model_id: z.string(),
  overrides: z.array(ModelOverrideDTO).default([]),
  pointer: z.string().nullable().default(null),
  status: z.string(),
  train_end: z.string(),
  train_start: z.string(),
});
export type ModelDTO = z.infer<typeof ModelDTO>;

/** The model that is in use for ``kind`` now, and the one that was before. */
export const ModelActionDTO = z.object({
  kind: z.string(),
  model: ModelDTO,
  previous_model_id: z.string().nullable(),
});
export type ModelActionDTO = z.infer<typeof ModelActionDTO>;

export const EvidenceDTO = z.object({
  created_at: z.string(),
  figures: z.record(z.string(), z.unknown()),
  kind: z.string(),
  passed: z.boolean(),
  valid: z.boolean(),
  valid_until: z.string().nullable(),
});
export type EvidenceDTO = z.infer<typeof EvidenceDTO>;

/** A model with what speaks for it. */
export const ModelDetailDTO = z.object({
  algo: z.string(),
  artifact_uri: z.string(),
  content_hash: z.string(),
  created_at: z.string(),
  evidence: z.array(EvidenceDTO),
  feature_schema_version: z.number(),
  is_production: z.boolean(),
  label_spec: z.record(z.string(), z.unknown()),
  label_spec_hash: z.string(),
  metrics: z.record(z.string(), z.unknown()),
  model_id: z.string(),
  overrides: z.array(ModelOverrideDTO).default([]),
  pointer: z.string().nullable().default(null),
  report_url: z.string().nullable().default(null),
  status: z.string(),
  train_end: z.string(),
  train_start: z.string(),
});
export type ModelDetailDTO = z.infer<typeof ModelDetailDTO>;

/** One thing that a promotion needs (D31). */
export const EvidenceConditionDTO = z.object({
  code: z.string(),
  expected: z.string(),
  message: z.string(),
  met: z.boolean(),
  value: z.string(),
});
export type EvidenceConditionDTO = z.infer<typeof EvidenceConditionDTO>;

/** ``conditions``: all that a promotion to production needs, met or not. */
export const ModelEvidenceDTO = z.object({
  conditions: z.array(EvidenceConditionDTO),
  model_id: z.string(),
  report_url: z.string().nullable(),
});
export type ModelEvidenceDTO = z.infer<typeof ModelEvidenceDTO>;

/** ``token`` is shown once; a request carries it as `Authorization: Bearer …`. */
export const NewTokenDTO = z.object({
  id: z.number(),
  name: z.string(),
  token: z.string(),
});
export type NewTokenDTO = z.infer<typeof NewTokenDTO>;

/** ``link``: one-time link, shown once, good for 24 hours. */
export const NewUserDTO = z.object({
  created: z.string(),
  disabled: z.boolean(),
  last_seen: z.string().nullable(),
  link: z.string(),
  name: z.string(),
  password: z.boolean(),
  role: Role,
  sessions: z.number(),
  totp: z.boolean(),
});
export type NewUserDTO = z.infer<typeof NewUserDTO>;

export const OrderDTO = z.object({
  avg_price: z.number().nullable().default(null),
  client_order_id: z.string().nullable(),
  created_at: z.string(),
  fee: z.number().nullable().default(null),
  leg: z.string().nullable().default(null),
  mode: z.string(),
  order_id: z.number(),
  price: z.number().nullable(),
  qty: z.number(),
  realized_pnl: z.number().nullable().default(null),
  reduce_only: z.boolean(),
  side: z.string(),
  status: z.string(),
  stop_price: z.number().nullable(),
  symbol: z.string(),
  type: z.string(),
  updated_at: z.string(),
});
export type OrderDTO = z.infer<typeof OrderDTO>;

/** Newest first. */
export const OrdersPage = z.object({
  items: z.array(OrderDTO),
  next_cursor: z.string().nullable().default(null),
});
export type OrdersPage = z.infer<typeof OrdersPage>;

/** ``current`` is needed where there is one. */
export const PasswordIn = z.object({
  current: z.string().nullable().default(null),
  password: z.string(),
});
export type PasswordIn = z.input<typeof PasswordIn>;

/** An open position at the close of ``ts``; ``amt`` signed, money in quote units; costs are positive. */
export const PositionDTO = z.object({
  amt: z.number(),
  entry_price: z.number().nullable(),
  fees: z.number().nullable().default(null),
  funding: z.number().nullable().default(null),
  isolated_margin: z.number().nullable().default(null),
  leverage: z.number().nullable(),
  liquidation_price: z.number().nullable(),
  margin_type: z.string().nullable(),
  mark_price: z.number().nullable(),
  mode: z.string(),
  notional: z.number().nullable(),
  opened_ts: z.string().nullable().default(null),
  protected: z.boolean().default(true),
  r_multiple: z.number().nullable().default(null),
  risk_at_stop: z.number().nullable().default(null),
  side: z.string(),
  sl_price: z.number().nullable().default(null),
  slippage: z.number().nullable().default(null),
  symbol: z.string(),
  tp_price: z.number().nullable().default(null),
  ts: z.string(),
  unprotected_since: z.string().nullable().default(null),
  unrealized_pnl: z.number().nullable(),
});
export type PositionDTO = z.infer<typeof PositionDTO>;

/** One thing that must hold and does not. */
export const Condition = z.object({
  code: z.string(),
  message: z.string(),
});
export type Condition = z.infer<typeof Condition>;

/** What was wrong with one field. */
export const FieldError = z.object({
  expected: z.string(),
  field: z.string(),
  value: z.string(),
});
export type FieldError = z.infer<typeof FieldError>;

/** An RFC 9457 problem. ``code`` is stable. */
export const Problem = z.object({
  code: z.string(),
  conditions: z.array(Condition).default([]),
  detail: z.string(),
  errors: z.array(FieldError).default([]),
  instance: z.string().nullable().default(null),
  status: z.number(),
  title: z.string(),
  type: z.string(),
});
export type Problem = z.infer<typeof Problem>;

/** Heartbeat of a process. ``age_ms`` on this machine's clock; ``alive``: the age is within its limit. */
export const ProcessDTO = z.object({
  age_ms: z.number(),
  alive: z.boolean(),
  name: z.string(),
  status: z.record(z.string(), z.unknown()),
  updated_at: z.string(),
});
export type ProcessDTO = z.infer<typeof ProcessDTO>;

/** A period, UTC: profit is its last equity less the last of the period before; ``net``: of trades closed in it. */
export const ProfitRow = z.object({
  end_equity: z.number().nullable(),
  fees: z.number(),
  from_ts: z.string(),
  funding: z.number(),
  net: z.number(),
  profit: z.number().nullable(),
  profit_frac: z.number().nullable(),
  start_equity: z.number().nullable(),
  to_ts: z.string(),
  trades: z.number(),
});
export type ProfitRow = z.infer<typeof ProfitRow>;

/** Newest first. */
export const ProfitOut = z.object({
  items: z.array(ProfitRow),
  mode: z.string(),
  period: z.enum(["day","week","month"]),
});
export type ProfitOut = z.infer<typeof ProfitOut>;

/** ``override``: without whole evidence, which ``confirm`` (the model's id, typed) asks for once more. */
export const PromoteIn = z.object({
  confirm: z.string().nullable().default(null),
  kind: z.enum(["production","demo","challenger"]).default("production"),
  override: z.boolean().default(false),
  reason: z.string(),
});
export type PromoteIn = z.input<typeof PromoteIn>;

/** Newest first. */
export const QualityEventsPage = z.object({
  items: z.array(QualityEventDTO),
  next_cursor: z.string().nullable().default(null),
});
export type QualityEventsPage = z.infer<typeof QualityEventsPage>;

/** One symbol, a figure per bucket; ``expected`` bars begin with its first one, so a new listing misses nothing. */
export const QualityRow = z.object({
  expected: z.array(z.number()),
  late: z.array(z.number()),
  missing: z.array(z.number()),
  symbol: z.string(),
});
export type QualityRow = z.infer<typeof QualityRow>;

/** Missing and late bars, symbols by time: ``ts`` opens each bucket of ``bucket_ms``, epoch milliseconds. */
export const QualityMapOut = z.object({
  bucket_ms: z.number(),
  rows: z.array(QualityRow),
  ts: z.array(z.number()),
});
export type QualityMapOut = z.infer<typeof QualityMapOut>;

/** One decision of the agent: ``action_probs`` by action, ``confidence`` in [0, 1]. */
export const RLDecisionDTO = z.object({
  action: z.number(),
  action_name: z.string(),
  action_probs: z.record(z.string(), z.number()),
  confidence: z.number().nullable(),
  executed: z.boolean(),
  id: z.number(),
  mode: z.string(),
  model_id: z.string().nullable(),
  pnl_result: z.number().nullable(),
  symbol: z.string(),
  ts: z.string(),
});
export type RLDecisionDTO = z.infer<typeof RLDecisionDTO>;

/** A model of the agent (§25.4). */
export const RLModelDTO = z.object({
  algorithm: z.string(),
  created_at: z.string().nullable(),
  is_production: z.boolean(),
  metrics: z.record(z.string(), z.unknown()),
  model_id: z.string(),
  symbol: z.string(),
  train_end: z.string(),
  train_start: z.string(),
});
export type RLModelDTO = z.infer<typeof RLModelDTO>;

export const RLActionCount = z.object({
  action: z.number(),
  action_name: z.string(),
  count: z.number(),
  executed: z.number(),
  mean_confidence: z.number().nullable(),
  pnl: z.number().nullable(),
  wins: z.number(),
});
export type RLActionCount = z.infer<typeof RLActionCount>;

/** Decisions of a span by action: how many, how many were carried out, the mean confidence, and the sum of what the carried out ones brought, quote units. */
export const RLStatsOut = z.object({
  actions: z.array(RLActionCount),
  decisions: z.number(),
  from_ts: z.string(),
  model_id: z.string().nullable(),
  to_ts: z.string(),
});
export type RLStatsOut = z.infer<typeof RLStatsOut>;

export const ReadyDTO = z.object({
  bus: z.string(),
  database: z.string(),
  ok: z.boolean(),
});
export type ReadyDTO = z.infer<typeof ReadyDTO>;

/** A span whose holes are to be filled from the exchange; without ``symbol`` of every symbol. */
export const RepairIn = z.object({
  from: z.string(),
  symbol: z.string().nullable().default(null),
  to: z.string(),
});
export type RepairIn = z.input<typeof RepairIn>;

export const RiskEventDTO = z.object({
  details: z.record(z.string(), z.unknown()).nullable(),
  event_type: z.string(),
  message: z.string(),
  severity: z.number(),
  symbol: z.string().nullable(),
  ts: z.string(),
});
export type RiskEventDTO = z.infer<typeof RiskEventDTO>;

/** Newest first. */
export const RiskEventsPage = z.object({
  items: z.array(RiskEventDTO),
  next_cursor: z.string().nullable().default(null),
});
export type RiskEventsPage = z.infer<typeof RiskEventsPage>;

/** What became of the symbols' minutes in a span. */
export const FunnelDTO = z.object({
  blocked: z.number(),
  flat: z.number(),
  from_ts: z.string().nullable(),
  reasons: z.array(BlockCount),
  rows: z.number(),
  to_ts: z.string().nullable(),
  traded: z.number(),
});
export type FunnelDTO = z.infer<typeof FunnelDTO>;

/** One limit: ``distance`` = limit − value, negative when over; ``used`` = value ÷ limit. */
export const GuardDTO = z.object({
  code: z.string(),
  distance: z.number().nullable(),
  limit: z.number(),
  unit: z.string(),
  used: z.number().nullable(),
  value: z.number().nullable(),
});
export type GuardDTO = z.infer<typeof GuardDTO>;

/** Entries are forbidden while this lasts; ``symbol`` null: all of them. */
export const EntryBlockDTO = z.object({
  code: z.string(),
  since: z.string(),
  symbol: z.string().nullable(),
});
export type EntryBlockDTO = z.infer<typeof EntryBlockDTO>;

/** Wall milliseconds from the first sign of a position to its accepted stop, over the newest thousand. */
export const NakedDTO = z.object({
  max: z.number(),
  p50: z.number(),
  p99: z.number(),
});
export type NakedDTO = z.infer<typeof NakedDTO>;

/** Something that asked for a stricter kill-switch and was not cleared. Times are the market's. */
export const TripDTO = z.object({
  by: z.string(),
  code: z.string(),
  detail: z.string(),
  latch: z.string(),
  since: z.string(),
});
export type TripDTO = z.infer<typeof TripDTO>;

/** The worker's word on live trading; it is gone with the worker. ``proofs``: market time at which the stop path was last seen to work, by tier: A (refused as it must be), B (a real stop accepted, listed and told), trigger. */
export const LiveStateDTO = z.object({
  blocks: z.array(EntryBlockDTO),
  entries_unknown: z.number(),
  equity: z.string().nullable(),
  latch: z.string(),
  latch_code: z.string(),
  latch_since: z.string().nullable(),
  locked: z.record(z.string(), z.string()),
  naked_ms: NakedDTO.nullable(),
  paused: z.array(z.string()),
  positions: z.number(),
  proofs: z.record(z.string(), z.string()),
  ready: z.boolean(),
  stop_path_proven: z.boolean(),
  stream_up: z.boolean(),
  trips: z.array(TripDTO),
  unprotected: z.array(z.string()),
  unprotected_since: z.record(z.string(), z.string()).default({}),
});
export type LiveStateDTO = z.infer<typeof LiveStateDTO>;

/** ``live`` is null where the worker does not trade an account. */
export const RiskStateDTO = z.object({
  account_ts: z.string().nullable(),
  events: z.array(RiskEventDTO),
  funnel_hour: FunnelDTO,
  funnel_minute: FunnelDTO,
  guards: z.array(GuardDTO),
  kill_switch: z.string(),
  live: LiveStateDTO.nullable().default(null),
  mode: z.string(),
  reason: z.string().nullable(),
  toggle: z.string(),
});
export type RiskStateDTO = z.infer<typeof RiskStateDTO>;

/** ``override``: also to a predecessor without whole evidence, whose id ``confirm`` repeats. */
export const RollbackIn = z.object({
  confirm: z.string().nullable().default(null),
  kind: z.enum(["production","demo","challenger"]).default("production"),
  override: z.boolean().default(false),
  reason: z.string(),
});
export type RollbackIn = z.input<typeof RollbackIn>;

/** One job every ``every`` of market time, ``at`` into it; lengths such as 90m, 2h, 7d. ``next_ts``: market time. */
export const ScheduleDTO = z.object({
  at: z.string(),
  changed_at: z.string().nullable(),
  changed_by: z.string().nullable(),
  default_at: z.string(),
  default_every: z.string(),
  enabled: z.boolean(),
  every: z.string(),
  last_job: JobDTO.nullable(),
  name: z.string(),
  next_ts: z.string().nullable(),
});
export type ScheduleDTO = z.infer<typeof ScheduleDTO>;

/** What is left out stays. */
export const ScheduleIn = z.object({
  at: z.string().nullable().default(null),
  enabled: z.boolean().nullable().default(null),
  every: z.string().nullable().default(null),
  reason: z.string().nullable().default(null),
});
export type ScheduleIn = z.input<typeof ScheduleIn>;

export const CandleColumns = z.object({
  close: z.array(z.number().nullable()),
  high: z.array(z.number().nullable()),
  low: z.array(z.number().nullable()),
  open: z.array(z.number().nullable()),
  ts: z.array(z.number()),
  volume: z.array(z.number().nullable()),
});
export type CandleColumns = z.infer<typeof CandleColumns>;

export const CloseColumns = z.object({
  close: z.array(z.number().nullable()),
  ts: z.array(z.number()),
});
export type CloseColumns = z.infer<typeof CloseColumns>;

/** A position over the time it was open; ``to_ts`` and what follows an exit are null while it is. */
export const PositionSpan = z.object({
  entry_price: z.number().nullable(),
  exit_price: z.number().nullable(),
  exit_reason: z.string().nullable(),
  from_ts: z.number(),
  liquidation_price: z.number().nullable(),
  net: z.number().nullable(),
  side: z.string(),
  sl_price: z.number().nullable(),
  to_ts: z.number().nullable(),
  tp_price: z.number().nullable(),
});
export type PositionSpan = z.infer<typeof PositionSpan>;

/** One signal a bar; in a thinned series the most telling one of each bar: a trade, else the highest EV. */
export const SignalColumns = z.object({
  block_reason: z.array(z.string().nullable()),
  decision: z.array(z.string().nullable()),
  e_hold_long_min: z.array(z.number().nullable()),
  e_hold_short_min: z.array(z.number().nullable()),
  e_mae_long: z.array(z.number().nullable()),
  e_mae_short: z.array(z.number().nullable()),
  er_long: z.array(z.number().nullable()),
  er_short: z.array(z.number().nullable()),
  ev_long: z.array(z.number().nullable()),
  ev_short: z.array(z.number().nullable()),
  q05_long: z.array(z.number().nullable()),
  q05_short: z.array(z.number().nullable()),
  ts: z.array(z.number()),
});
export type SignalColumns = z.infer<typeof SignalColumns>;

/** History of a symbol as columns; ``interval_min`` is the length of a bar, above 1 when the span is long (D37). */
export const SeriesOut = z.object({
  candles: CandleColumns,
  from_ts: z.number(),
  interval_min: z.number(),
  mark: CloseColumns,
  mode: z.string(),
  positions: z.array(PositionSpan),
  signals: SignalColumns,
  symbol: z.string(),
  to_ts: z.number(),
});
export type SeriesOut = z.infer<typeof SeriesOut>;

/** A browser that is signed in. */
export const SessionDTO = z.object({
  created: z.string(),
  current: z.boolean(),
  expires: z.string(),
  id: z.number(),
  last_seen: z.string(),
  user_agent: z.string().nullable(),
});
export type SessionDTO = z.infer<typeof SessionDTO>;

/** ``takes_effect``: next_minute, next_job (labels and models made from then on) or restart (of the worker). */
export const SettingChange = z.object({
  after: z.unknown(),
  before: z.unknown(),
  name: z.string(),
  takes_effect: z.string(),
});
export type SettingChange = z.infer<typeof SettingChange>;

/** ``changes``: what is other than before; none when all was so already. ``takes_effect``: of the last one. */
export const SettingsAcceptedDTO = z.object({
  acknowledged_version: z.number().nullable(),
  changes: z.array(SettingChange),
  takes_effect: z.string(),
  version: z.number(),
});
export type SettingsAcceptedDTO = z.infer<typeof SettingsAcceptedDTO>;

/** Trading settings under the names of the specification (D43); null: the preset of LABEL_PRESET decides. ``effects``: what may be changed here, and when a change counts. ``restart_needed``: changed since the worker started, and waiting for its next start. ``pending`` until the worker has taken ``version`` over. */
export const SettingsDTO = z.object({
  acknowledged_version: z.number().nullable(),
  changed_at: z.string().nullable(),
  effects: z.record(z.string(), z.string()),
  hash: z.string(),
  pending: z.boolean(),
  restart_needed: z.array(z.string()),
  values: z.record(z.string(), z.unknown()),
  version: z.number().nullable(),
});
export type SettingsDTO = z.infer<typeof SettingsDTO>;

/** ``changes`` by name; ``expected_version``: the version they were looked at in, 0 when there is none yet. */
export const SettingsIn = z.object({
  changes: z.record(z.string(), z.unknown()),
  expected_version: z.number().nullable().default(null),
  reason: z.string(),
});
export type SettingsIn = z.input<typeof SettingsIn>;

/** ``acknowledged_at``: when the worker took it over; null while it has not, or when a newer one came first. */
export const SettingsVersionDTO = z.object({
  acknowledged_at: z.string().nullable(),
  actor: z.string(),
  changes: z.array(SettingChange),
  reason: z.string().nullable(),
  ts: z.string(),
  version: z.number(),
});
export type SettingsVersionDTO = z.infer<typeof SettingsVersionDTO>;

/** Newest first. */
export const SettingsVersionsPage = z.object({
  items: z.array(SettingsVersionDTO),
  next_cursor: z.string().nullable().default(null),
});
export type SettingsVersionsPage = z.infer<typeof SettingsVersionsPage>;

export const BlockReason = z.object({
  code: z.string(),
  distance: z.number().nullable().default(null),
  limit: z.number().nullable().default(null),
  value: z.number().nullable().default(null),
});
export type BlockReason = z.infer<typeof BlockReason>;

/** The one row of a symbol and minute (D46): traded, or why not. Predictions are fractions of the entry. */
export const SignalDTO = z.object({
  block_details: z.array(BlockReason).default([]),
  block_reasons: z.array(z.string()).default([]),
  close: z.number().nullable().default(null),
  decision: z.string(),
  e_hold_long_min: z.number().nullable().default(null),
  e_hold_short_min: z.number().nullable().default(null),
  e_mae_long: z.number().nullable().default(null),
  e_mae_short: z.number().nullable().default(null),
  er_long: z.number().nullable(),
  er_short: z.number().nullable(),
  ev_long: z.number().nullable(),
  ev_short: z.number().nullable(),
  explain: z.record(z.string(), z.unknown()).default({}),
  funding_rate: z.number().nullable().default(null),
  late_ms: z.number().nullable().default(null),
  leverage: z.number().nullable(),
  mark_price: z.number().nullable().default(null),
  mode: z.string().default("shadow"),
  model_id: z.string().nullable().default(null),
  p_tp_long: z.number().nullable().default(null),
  p_tp_short: z.number().nullable().default(null),
  q05_long: z.number().nullable(),
  q05_short: z.number().nullable(),
  ret_60: z.number().nullable().default(null),
  size_notional: z.number().nullable(),
  sl_price: z.number().nullable(),
  symbol: z.string(),
  tp_price: z.number().nullable(),
  ts: z.string(),
});
export type SignalDTO = z.infer<typeof SignalDTO>;

/** The newest row of each symbol. */
export const SignalList = z.object({
  items: z.array(SignalDTO),
  ts: z.string().nullable(),
});
export type SignalList = z.infer<typeof SignalList>;

/** Health in one object; `ws_connected` per stream category, `error_rates` per minute and source. */
export const StatusDTO = z.object({
  clock_speed: z.number().nullable().default(1),
  collector_ok: z.boolean(),
  data_age_ms: z.number().nullable().default(null),
  error_rates: z.record(z.string(), z.number()).default({}),
  exchange: z.string().default(""),
  kill_switch: z.string().default("RUNNING"),
  latency_ms: z.record(z.string(), z.number()),
  latest_candle_ts: z.string().nullable(),
  latest_feature_ts: z.string().nullable(),
  latest_signal_ts: z.string().nullable(),
  market_ts: z.string().nullable().default(null),
  missing_rate_24h: z.number().nullable().default(null),
  mode: z.string().default("off"),
  model_id: z.string().nullable().default(null),
  model_kind: z.string().nullable().default(null),
  open_gaps: z.number().default(0),
  quality_events_24h: z.number().default(0),
  queue_lag: z.record(z.string(), z.number()),
  settings_at_start: z.number().default(0),
  settings_version: z.number().default(0),
  symbols_fresh: z.number().default(0),
  symbols_total: z.number().default(0),
  symbols_tradable: z.number().default(0),
  trading_version: z.number().default(0),
  userstream_ok: z.boolean(),
  ws_connected: z.record(z.string(), z.boolean()).default({}),
});
export type StatusDTO = z.infer<typeof StatusDTO>;

/** ``name``: of the command line only, the admin whose code it is. */
export const StepUpIn = z.object({
  code: z.string(),
  name: z.string().nullable().default(null),
});
export type StepUpIn = z.input<typeof StepUpIn>;

/** What is asked of trading. ``live`` also needs ``confirm`` to repeat the word LIVE. */
export const ToggleIn = z.object({
  confirm: z.string().nullable().default(null),
  expected_version: z.number().nullable().default(null),
  mode: z.enum(["off","shadow","live"]),
  reason: z.string(),
});
export type ToggleIn = z.input<typeof ToggleIn>;

/** What an API token was made for, within the role of its owner. */
export const Scope = z.enum(["read","operate","admin","metrics"]);
export type Scope = z.infer<typeof Scope>;

/** An API token; what it is was shown when it was made. */
export const TokenDTO = z.object({
  created: z.string(),
  expires: z.string(),
  id: z.number(),
  last_used: z.string().nullable(),
  name: z.string(),
  role: Role,
  scopes: z.array(Scope),
});
export type TokenDTO = z.infer<typeof TokenDTO>;

/** ``role``: at most the owner's. ``scopes``: those of the role by default. ``days``: how long it counts. */
export const TokenIn = z.object({
  days: z.number().default(90),
  name: z.string(),
  role: Role.default("viewer"),
  scopes: z.array(Scope).nullable().default(null),
});
export type TokenIn = z.input<typeof TokenIn>;

/** Shown once; it counts when a code of it is confirmed. */
export const TotpDTO = z.object({
  qr_svg: z.string(),
  secret: z.string(),
  uri: z.string(),
});
export type TotpDTO = z.infer<typeof TotpDTO>;

/** ``password`` is needed when the sign-in is older than ten minutes. */
export const TotpIn = z.object({
  password: z.string().nullable().default(null),
});
export type TotpIn = z.input<typeof TotpIn>;

/** A closed round trip: net = gross − slippage − fees − liquidation_fee − funding + absorbed, in quote units. */
export const TradeDTO = z.object({
  absorbed: z.number(),
  entry_price: z.number(),
  entry_ts: z.string(),
  exit_price: z.number(),
  exit_reason: z.string(),
  exit_ts: z.string(),
  fees: z.number(),
  funding: z.number(),
  gross: z.number(),
  leverage: z.number(),
  liquidation_fee: z.number(),
  mae: z.number(),
  mfe: z.number(),
  mode: z.string(),
  model_id: z.string().nullable().default(null),
  net: z.number(),
  qty: z.number(),
  r_multiple: z.number().nullable().default(null),
  side: z.string(),
  sl_price: z.number(),
  slippage: z.number(),
  symbol: z.string(),
  tp_price: z.number(),
});
export type TradeDTO = z.infer<typeof TradeDTO>;

/** Newest exit first. */
export const TradesPage = z.object({
  items: z.array(TradeDTO),
  next_cursor: z.string().nullable().default(null),
});
export type TradesPage = z.infer<typeof TradesPage>;

/** ``toggle``: what was asked for; ``pending`` until the worker has acknowledged ``version``. */
export const TradingStateDTO = z.object({
  acknowledged_version: z.number().nullable(),
  changed_at: z.string(),
  changed_by: z.string(),
  kill_switch: z.string(),
  pending: z.boolean(),
  permitted: z.string(),
  reason: z.string().nullable(),
  toggle: z.string(),
  trading_enabled: z.boolean(),
  version: z.number(),
});
export type TradingStateDTO = z.infer<typeof TradingStateDTO>;

/** What is to be other than now. */
export const UserChangeIn = z.object({
  disabled: z.boolean().nullable().default(null),
  role: Role.nullable().default(null),
});
export type UserChangeIn = z.input<typeof UserChangeIn>;

/** A user as an admin sees him. ``sessions``: browsers that are signed in now. */
export const UserDTO = z.object({
  created: z.string(),
  disabled: z.boolean(),
  last_seen: z.string().nullable(),
  name: z.string(),
  password: z.boolean(),
  role: Role,
  sessions: z.number(),
  totp: z.boolean(),
});
export type UserDTO = z.infer<typeof UserDTO>;

/** A new user. */
export const UserIn = z.object({
  name: z.string(),
  role: Role,
});
export type UserIn = z.input<typeof UserIn>;

/** A minute that was not traded; ``reasons`` with value, limit and distance, the primary one first. */
export const WhyNotRow = z.object({
  ev_long: z.number().nullable(),
  ev_short: z.number().nullable(),
  late_ms: z.number().nullable(),
  reasons: z.array(BlockReason),
  ts: z.string(),
});
export type WhyNotRow = z.infer<typeof WhyNotRow>;

/** Newest first. ``summary`` is of the whole span. */
export const WhyNotPage = z.object({
  items: z.array(WhyNotRow),
  next_cursor: z.string().nullable().default(null),
  summary: FunnelDTO,
  symbol: z.string(),
});
export type WhyNotPage = z.infer<typeof WhyNotPage>;
