/** Made by scripts/gen.mjs from openapi.json; never edited. Unknown fields are dropped, so that an older desk outlives a newer API. */
import * as z from "zod/mini";

// A compiled parser would need eval, which the content security policy forbids.
z.config({ jitless: true });

/** A command was accepted; the worker will acknowledge ``version`` in its status. */
export const AcceptedDTO = z.object({
  acknowledged_version: z.nullable(z.number()),
  changed: z.boolean(),
  toggle: z.string(),
  version: z.number(),
});
export type AcceptedDTO = z.infer<typeof AcceptedDTO>;

/** Quote units (USDT). */
export const AccountDTO = z.object({
  available_margin: z.number(),
  day_pnl: z._default(z.nullable(z.number()), null),
  day_start_equity: z._default(z.nullable(z.number()), null),
  equity: z.number(),
  fees: z._default(z.nullable(z.number()), null),
  funding: z._default(z.nullable(z.number()), null),
  margin_ratio: z.number(),
  mode: z.string(),
  realized_pnl: z._default(z.nullable(z.number()), null),
  slippage: z._default(z.nullable(z.number()), null),
  start_equity: z._default(z.nullable(z.number()), null),
  total_pnl: z._default(z.nullable(z.number()), null),
  ts: z.string(),
  unrealized_pnl: z.number(),
  used_margin: z.number(),
  wallet_balance: z.number(),
});
export type AccountDTO = z.infer<typeof AccountDTO>;

/** Something that a chart marks, at market time; ``to_ts`` where it lasted. */
export const Annotation = z.object({
  code: z.string(),
  details: z._default(z.record(z.string(), z.unknown()), {}),
  kind: z.enum(["promotion","settings","halt","pause","funding","risk"]),
  symbol: z._default(z.nullable(z.string()), null),
  text: z.string(),
  to_ts: z._default(z.nullable(z.string()), null),
  ts: z.string(),
});
export type Annotation = z.infer<typeof Annotation>;

/** Oldest first. ``cut``: there are more, older ones; ask for a shorter span. */
export const AnnotationList = z.object({
  cut: z.boolean(),
  items: z.array(Annotation),
});
export type AnnotationList = z.infer<typeof AnnotationList>;

/** One live trade against its shadow twin. */
export const AttributedTrade = z.object({
  difference: z.number(),
  entry: z.number(),
  entry_ts: z.string(),
  exit: z.number(),
  exit_reason: z.string(),
  exit_ts: z.string(),
  fee: z.number(),
  funding: z.number(),
  latency: z.number(),
  liquidation: z.number(),
  live_net: z.number(),
  qty: z.number(),
  shadow_net: z.number(),
  side: z.string(),
  size: z.number(),
  slippage: z.number(),
  symbol: z.string(),
});
export type AttributedTrade = z.infer<typeof AttributedTrade>;

/** Newest exit first. */
export const AttributedTradesPage = z.object({
  items: z.array(AttributedTrade),
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type AttributedTradesPage = z.infer<typeof AttributedTradesPage>;

/** Of one symbol on one UTC day, by the exit of the live trade. */
export const AttributionDay = z.object({
  day: z.string(),
  difference: z.number(),
  entry: z.number(),
  exit: z.number(),
  fee: z.number(),
  funding: z.number(),
  latency: z.number(),
  liquidation: z.number(),
  live_net: z.number(),
  shadow_net: z.number(),
  size: z.number(),
  slippage: z.number(),
  symbol: z.string(),
  trades: z.number(),
});
export type AttributionDay = z.infer<typeof AttributionDay>;

/** Summed over ``trades``, with what both accounts earned on them. */
export const AttributionSum = z.object({
  difference: z.number(),
  entry: z.number(),
  exit: z.number(),
  fee: z.number(),
  funding: z.number(),
  latency: z.number(),
  liquidation: z.number(),
  live_net: z.number(),
  shadow_net: z.number(),
  size: z.number(),
  slippage: z.number(),
  trades: z.number(),
});
export type AttributionSum = z.infer<typeof AttributionSum>;

/** ``days`` newest first. Not in the sums: ``waiting`` live trades whose shadow twin has not closed or never was, and ``refused`` pairs of which each account took another side. */
export const AttributionOut = z.object({
  days: z.array(AttributionDay),
  from_ts: z.string(),
  refused: z.number(),
  to_ts: z.string(),
  total: AttributionSum,
  waiting: z.number(),
});
export type AttributionOut = z.infer<typeof AttributionOut>;

/** Whether every row still follows from the one before it, as looked at within the last half minute. */
export const ChainDTO = z.object({
  first_broken: z.nullable(z.number()),
  ok: z.boolean(),
});
export type ChainDTO = z.infer<typeof ChainDTO>;

/** One change: who did what to what, and how it was before and after. */
export const AuditDTO = z.object({
  action: z.string(),
  actor: z.string(),
  after: z.nullable(z.record(z.string(), z.unknown())),
  before: z.nullable(z.record(z.string(), z.unknown())),
  reason: z.nullable(z.string()),
  seq: z.number(),
  target: z.nullable(z.string()),
  ts: z.string(),
});
export type AuditDTO = z.infer<typeof AuditDTO>;

/** Newest first. */
export const AuditPage = z.object({
  chain: ChainDTO,
  items: z.array(AuditDTO),
  next_cursor: z.nullable(z.string()),
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
  csrf: z.nullable(z.string()),
  demo: z.boolean(),
  first_use: z.boolean(),
  recovery_codes: z.array(z.string()),
  signed_in: z.boolean(),
  step_up_until: z.nullable(z.string()),
  user: z.nullable(MeUserDTO),
});
export type ConfirmedDTO = z.infer<typeof ConfirmedDTO>;

export const QualityEventDTO = z.object({
  code: z.string(),
  details: z.nullable(z.record(z.string(), z.unknown())),
  message: z.string(),
  symbol: z.nullable(z.string()),
  ts: z.string(),
});
export type QualityEventDTO = z.infer<typeof QualityEventDTO>;

export const GapDTO = z.object({
  dataset: z.string(),
  found_at: z.string(),
  from_ts: z.string(),
  missing_bars: z.number(),
  repaired_at: z.nullable(z.string()),
  repaired_bars: z.number(),
  source: z.nullable(z.string()),
  status: z.string(),
  symbol: z.string(),
  to_ts: z.string(),
});
export type GapDTO = z.infer<typeof GapDTO>;

/** Bars of one symbol in the last 24 h of market time; ``expected`` starts at its first bar. */
export const SymbolQuality = z.object({
  age_ms: z.nullable(z.number()),
  bars_24h: z.number(),
  expected_24h: z.number(),
  late_24h: z.number(),
  missing_24h: z.number(),
  missing_rate_24h: z.nullable(z.number()),
  newest_ts: z.nullable(z.string()),
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
  market_ts: z.nullable(z.string()),
  missing_rate_24h: z.nullable(z.number()),
  open_gaps: z.number(),
  quality_events_24h: z.number(),
  symbols: z.array(SymbolQuality),
});
export type DataQualityDTO = z.infer<typeof DataQualityDTO>;

/** What was asked of one symbol; ``outcome`` says what came of it once it is no longer waiting. */
export const DeskCommandDTO = z.object({
  answered_at: z.nullable(z.string()),
  author: z.string(),
  command_id: z.number(),
  created_at: z.string(),
  kind: z.enum(["close","pause","unpause"]),
  outcome: z.nullable(z.string()),
  reason: z.string(),
  state: z.enum(["waiting","done","refused"]),
  symbol: z.string(),
});
export type DeskCommandDTO = z.infer<typeof DeskCommandDTO>;

/** Newest measurement of one symbol: ``psi`` is the mean over the model's inputs against its training rows. */
export const SymbolDrift = z.object({
  latency_ms: z.nullable(z.number()),
  missing_rate: z.nullable(z.number()),
  outlier_rate: z.nullable(z.number()),
  psi: z.nullable(z.number()),
  symbol: z.string(),
  ts: z.string(),
});
export type SymbolDrift = z.infer<typeof SymbolDrift>;

/** Columns by time, epoch milliseconds, over the symbols measured then; below 0.1 an index is usually read as stable, above 0.25 as another population. ``symbols``: the newest measurement of each in the span. */
export const DriftDTO = z.object({
  psi_max: z.array(z.nullable(z.number())),
  psi_mean: z.array(z.nullable(z.number())),
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
  drawdown: z.array(z.nullable(z.number())),
  equity: z.array(z.nullable(z.number())),
  mode: z.string(),
  ts: z.array(z.number()),
  unrealized_pnl: z.array(z.nullable(z.number())),
  used_margin: z.array(z.nullable(z.number())),
  wallet_balance: z.array(z.nullable(z.number())),
});
export type EquityOut = z.infer<typeof EquityOut>;

/** ``backtest``: of the model's own out-of-sample test, at the times of its history. Thinned by extremes. */
export const EquityCurve = z.object({
  drawdown: z.array(z.nullable(z.number())),
  equity: z.array(z.nullable(z.number())),
  model_id: z._default(z.nullable(z.string()), null),
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
  leg: z.nullable(z.string()),
  status: z.string(),
});
export type OrderCount = z.infer<typeof OrderCount>;

/** How orders went in a span. A failed order is a rejected one, or an entry or exit that expired unfilled; a stop or target that expired because the other one filled has done its work. Slippage is a fraction of what was traded at the reference prices, plus is a cost. ``expected_frac``: what the shadow account paid for the same decisions, over the ``matched`` trades, and ``matched_frac`` what this account paid for them; null where there is no twin. */
export const ExecutionOut = z.object({
  bucket_expected_frac: z.array(z.nullable(z.number())),
  bucket_failed: z.array(z.number()),
  bucket_ms: z.number(),
  bucket_orders: z.array(z.number()),
  bucket_slippage_frac: z.array(z.nullable(z.number())),
  counts: z.array(OrderCount),
  expected_frac: z.nullable(z.number()),
  failed: z.number(),
  failure_rate: z.nullable(z.number()),
  from_ts: z.number(),
  matched: z.number(),
  matched_frac: z.nullable(z.number()),
  mode: z.string(),
  orders: z.number(),
  slippage_frac: z.nullable(z.number()),
  to_ts: z.number(),
  trades: z.number(),
  ts: z.array(z.number()),
});
export type ExecutionOut = z.infer<typeof ExecutionOut>;

export const ContributionDTO = z.object({
  contribution: z.nullable(z.number()),
  feature: z.string(),
});
export type ContributionDTO = z.infer<typeof ContributionDTO>;

/** ``prediction`` = ``base`` + the ``top`` contributions + ``rest``; ``unit``: fraction (of the entry), minutes, or log_odds (of ``p_tp``). */
export const TargetExplainDTO = z.object({
  base: z.nullable(z.number()),
  prediction: z.nullable(z.number()),
  rest: z.nullable(z.number()),
  top: z.array(ContributionDTO),
  unit: z.string(),
});
export type TargetExplainDTO = z.infer<typeof TargetExplainDTO>;

/** Why a row was predicted as it was. ``targets`` is null while nobody has asked, and where ``unavailable`` says why not. ``inputs``: as the model saw them. */
export const ExplainDTO = z.object({
  decision: z.string(),
  inputs: z._default(z.nullable(z.record(z.string(), z.nullable(z.number()))), null),
  mode: z.string(),
  model_id: z.string(),
  symbol: z.string(),
  targets: z._default(z.nullable(z.record(z.string(), TargetExplainDTO)), null),
  ts: z.string(),
  unavailable: z._default(z.nullable(z.string()), null),
});
export type ExplainDTO = z.infer<typeof ExplainDTO>;

/** A row of ``signals``. */
export const ExplainIn = z.object({
  mode: z._default(z.enum(["shadow","live"]), "shadow"),
  symbol: z.string(),
  ts: z.string(),
});
export type ExplainIn = z.input<typeof ExplainIn>;

/** A fill; ``fee`` in ``fee_asset``, the rest in quote units. */
export const FillDTO = z.object({
  fee: z.number(),
  fee_asset: z.nullable(z.string()),
  leg: z.nullable(z.string()),
  mode: z.string(),
  order_id: z.number(),
  price: z.number(),
  qty: z.number(),
  realized_pnl: z.nullable(z.number()),
  side: z.string(),
  symbol: z.string(),
  trade_id: z.number(),
  ts: z.string(),
});
export type FillDTO = z.infer<typeof FillDTO>;

/** Newest first. */
export const FillsPage = z.object({
  items: z.array(FillDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
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
  top_code: z.nullable(z.string()),
  traded: z.number(),
});
export type SymbolFunnel = z.infer<typeof SymbolFunnel>;

/** What became of the minutes of a span, over all symbols and of each. */
export const FunnelOut = z.object({
  blocked: z.number(),
  flat: z.number(),
  from_ts: z.nullable(z.string()),
  reasons: z.array(BlockCount),
  rows: z.number(),
  symbols: z.array(SymbolFunnel),
  to_ts: z.nullable(z.string()),
  traded: z.number(),
});
export type FunnelOut = z.infer<typeof FunnelOut>;

/** Newest find first. */
export const GapsPage = z.object({
  items: z.array(GapDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
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
  account_asked_at: z.nullable(z.string()),
  conditions: z.array(GateConditionDTO),
  exchange: z.string(),
  money: z.boolean(),
  open: z.boolean(),
});
export type GateDTO = z.infer<typeof GateDTO>;

export const InstrumentDTO = z.object({
  contract_type: z._default(z.nullable(z.string()), null),
  exchange_status: z._default(z.nullable(z.string()), null),
  latest_candle_ts: z._default(z.nullable(z.string()), null),
  liquidity_tier: z.string(),
  max_leverage: z._default(z.nullable(z.number()), null),
  price_decimals: z._default(z.nullable(z.number()), null),
  qty_decimals: z._default(z.nullable(z.number()), null),
  status: z.string(),
  step_size: z._default(z.nullable(z.number()), null),
  symbol: z.string(),
  tick_size: z._default(z.nullable(z.number()), null),
  tradable: z.boolean(),
});
export type InstrumentDTO = z.infer<typeof InstrumentDTO>;

/** A bracket the live account wanted, or a position it found, and what became of it. ``state``: a phase of the symbol while it lasts, then ``lapsed`` (never sent; ``reasons`` say why), ``closed`` (it opened nothing) or ``booked`` (its trade is in the books). Null where the row does not say. */
export const IntentDTO = z.object({
  created_at: z.string(),
  detail: z.nullable(z.string()),
  intent_id: z.string(),
  kind: z.enum(["entry","adopted"]),
  leverage: z.nullable(z.number()),
  qty: z.nullable(z.number()),
  reasons: z.array(z.string()),
  reference_price: z.nullable(z.number()),
  side: z.nullable(z.string()),
  sl_price: z.nullable(z.number()),
  state: z.string(),
  symbol: z.string(),
  tp_price: z.nullable(z.number()),
  updated_at: z.string(),
});
export type IntentDTO = z.infer<typeof IntentDTO>;

/** Newest first. */
export const IntentsPage = z.object({
  items: z.array(IntentDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type IntentsPage = z.infer<typeof IntentsPage>;

export const JobDTO = z.object({
  config: z.record(z.string(), z.unknown()),
  created_at: z.string(),
  ended_at: z.nullable(z.string()),
  error: z.nullable(z.string()),
  eta_s: z._default(z.nullable(z.number()), null),
  job_id: z.string(),
  kind: z.string(),
  progress: z.number(),
  report_uri: z.nullable(z.string()),
  stage: z.nullable(z.string()),
  started_at: z.nullable(z.string()),
  status: z.enum(["queued","running","succeeded","failed","cancelled"]),
});
export type JobDTO = z.infer<typeof JobDTO>;

/** What to compute. ``params`` as the kind knows them; the job refuses what it does not know. */
export const JobIn = z.object({
  kind: z.string(),
  params: z._default(z.record(z.string(), z.unknown()), {}),
});
export type JobIn = z.input<typeof JobIn>;

/** ``kill_switch``: as it was asked for; the worker may hold a stricter one, which ``/api/risk/state`` shows. */
export const KillSwitchAcceptedDTO = z.object({
  acknowledged_version: z.nullable(z.number()),
  changed: z.boolean(),
  kill_switch: z.string(),
  version: z.number(),
});
export type KillSwitchAcceptedDTO = z.infer<typeof KillSwitchAcceptedDTO>;

/** ``halt``: no new entries, stops stay. ``flatten``: leave every position as well. ``resume`` needs a reason. */
export const KillSwitchIn = z.object({
  action: z.enum(["halt","flatten","resume"]),
  expected_version: z._default(z.nullable(z.number()), null),
  reason: z._default(z.nullable(z.string()), null),
});
export type KillSwitchIn = z.input<typeof KillSwitchIn>;

/** Milliseconds of one stage over the minutes of a span; ``counts[i]`` is below ``edges[i]``, the last one above. */
export const LatencyStage = z.object({
  counts: z.array(z.number()),
  max: z.nullable(z.number()),
  n: z.number(),
  p50: z.nullable(z.number()),
  p90: z.nullable(z.number()),
  p99: z.nullable(z.number()),
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
  code: z._default(z.nullable(z.string()), null),
  password: z._default(z.nullable(z.string()), null),
  token: z.string(),
});
export type LinkIn = z.input<typeof LinkIn>;

/** Name and password, and a code of those who have a second factor. */
export const LoginIn = z.object({
  code: z._default(z.nullable(z.string()), null),
  name: z.string(),
  password: z.string(),
});
export type LoginIn = z.input<typeof LoginIn>;

/** The caller. ``csrf`` goes into the header X-CSRF of every change. ``demo``: the exchange is emulated, no money is at stake. ``first_use``: nobody could sign in with a password: the link that `perpilot up` told is the way in. */
export const MeDTO = z.object({
  csrf: z.nullable(z.string()),
  demo: z.boolean(),
  first_use: z.boolean(),
  signed_in: z.boolean(),
  step_up_until: z.nullable(z.string()),
  user: z.nullable(MeUserDTO),
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
  overrides: z._default(z.array(ModelOverrideDTO), []),
  pointer: z._default(z.nullable(z.string()), null),
  status: z.string(),
  train_end: z.string(),
  train_start: z.string(),
});
export type ModelDTO = z.infer<typeof ModelDTO>;

/** The model that is in use for ``kind`` now, and the one that was before. */
export const ModelActionDTO = z.object({
  kind: z.string(),
  model: ModelDTO,
  previous_model_id: z.nullable(z.string()),
});
export type ModelActionDTO = z.infer<typeof ModelActionDTO>;

export const EvidenceDTO = z.object({
  created_at: z.string(),
  figures: z.record(z.string(), z.unknown()),
  kind: z.string(),
  passed: z.boolean(),
  valid: z.boolean(),
  valid_until: z.nullable(z.string()),
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
  overrides: z._default(z.array(ModelOverrideDTO), []),
  pointer: z._default(z.nullable(z.string()), null),
  report_url: z._default(z.nullable(z.string()), null),
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
  report_url: z.nullable(z.string()),
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
  last_seen: z.nullable(z.string()),
  link: z.string(),
  name: z.string(),
  password: z.boolean(),
  role: Role,
  sessions: z.number(),
  totp: z.boolean(),
});
export type NewUserDTO = z.infer<typeof NewUserDTO>;

export const OrderDTO = z.object({
  avg_price: z._default(z.nullable(z.number()), null),
  client_order_id: z.nullable(z.string()),
  created_at: z.string(),
  fee: z._default(z.nullable(z.number()), null),
  leg: z._default(z.nullable(z.string()), null),
  mode: z.string(),
  order_id: z.number(),
  price: z.nullable(z.number()),
  qty: z.number(),
  realized_pnl: z._default(z.nullable(z.number()), null),
  reduce_only: z.boolean(),
  side: z.string(),
  status: z.string(),
  stop_price: z.nullable(z.number()),
  symbol: z.string(),
  type: z.string(),
  updated_at: z.string(),
});
export type OrderDTO = z.infer<typeof OrderDTO>;

/** Newest first. */
export const OrdersPage = z.object({
  items: z.array(OrderDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type OrdersPage = z.infer<typeof OrdersPage>;

/** ``current`` is needed where there is one. */
export const PasswordIn = z.object({
  current: z._default(z.nullable(z.string()), null),
  password: z.string(),
});
export type PasswordIn = z.input<typeof PasswordIn>;

/** An open position at the close of ``ts``; ``amt`` signed, money in quote units; costs are positive. */
export const PositionDTO = z.object({
  amt: z.number(),
  entry_price: z.nullable(z.number()),
  fees: z._default(z.nullable(z.number()), null),
  funding: z._default(z.nullable(z.number()), null),
  isolated_margin: z._default(z.nullable(z.number()), null),
  leverage: z.nullable(z.number()),
  liquidation_price: z.nullable(z.number()),
  margin_ratio: z._default(z.nullable(z.number()), null),
  margin_type: z.nullable(z.string()),
  mark_price: z.nullable(z.number()),
  mode: z.string(),
  notional: z.nullable(z.number()),
  opened_ts: z._default(z.nullable(z.string()), null),
  protected: z._default(z.boolean(), true),
  r_multiple: z._default(z.nullable(z.number()), null),
  risk_at_stop: z._default(z.nullable(z.number()), null),
  side: z.string(),
  sl_price: z._default(z.nullable(z.number()), null),
  slippage: z._default(z.nullable(z.number()), null),
  symbol: z.string(),
  tp_price: z._default(z.nullable(z.number()), null),
  ts: z.string(),
  unprotected_since: z._default(z.nullable(z.string()), null),
  unrealized_pnl: z.nullable(z.number()),
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
  conditions: z._default(z.array(Condition), []),
  detail: z.string(),
  errors: z._default(z.array(FieldError), []),
  instance: z._default(z.nullable(z.string()), null),
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
  end_equity: z.nullable(z.number()),
  fees: z.number(),
  from_ts: z.string(),
  funding: z.number(),
  net: z.number(),
  profit: z.nullable(z.number()),
  profit_frac: z.nullable(z.number()),
  start_equity: z.nullable(z.number()),
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
  confirm: z._default(z.nullable(z.string()), null),
  kind: z._default(z.enum(["production","demo","challenger"]), "production"),
  override: z._default(z.boolean(), false),
  reason: z.string(),
});
export type PromoteIn = z.input<typeof PromoteIn>;

/** Newest first. */
export const QualityEventsPage = z.object({
  items: z.array(QualityEventDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
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
  confidence: z.nullable(z.number()),
  executed: z.boolean(),
  id: z.number(),
  mode: z.string(),
  model_id: z.nullable(z.string()),
  pnl_result: z.nullable(z.number()),
  symbol: z.string(),
  ts: z.string(),
});
export type RLDecisionDTO = z.infer<typeof RLDecisionDTO>;

/** A model of the agent (§25.4). */
export const RLModelDTO = z.object({
  algorithm: z.string(),
  created_at: z.nullable(z.string()),
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
  mean_confidence: z.nullable(z.number()),
  pnl: z.nullable(z.number()),
  wins: z.number(),
});
export type RLActionCount = z.infer<typeof RLActionCount>;

/** Decisions of a span by action: how many, how many were carried out, the mean confidence, and the sum of what the carried out ones brought, quote units. */
export const RLStatsOut = z.object({
  actions: z.array(RLActionCount),
  decisions: z.number(),
  from_ts: z.string(),
  model_id: z.nullable(z.string()),
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
  symbol: z._default(z.nullable(z.string()), null),
  to: z.string(),
});
export type RepairIn = z.input<typeof RepairIn>;

/** What the worker was told of; ``settings_at_start`` of the status moves on when it has begun anew. ``restart_needed``: what counts then and does not yet. */
export const RestartDTO = z.object({
  restart_needed: z.array(z.string()),
  settings_at_start: z.nullable(z.number()),
});
export type RestartDTO = z.infer<typeof RestartDTO>;

/** Why the realtime worker is to begin anew. */
export const RestartIn = z.object({
  reason: z.string(),
});
export type RestartIn = z.input<typeof RestartIn>;

export const RiskEventDTO = z.object({
  details: z.nullable(z.record(z.string(), z.unknown())),
  event_type: z.string(),
  message: z.string(),
  severity: z.number(),
  symbol: z.nullable(z.string()),
  ts: z.string(),
});
export type RiskEventDTO = z.infer<typeof RiskEventDTO>;

/** Newest first. */
export const RiskEventsPage = z.object({
  items: z.array(RiskEventDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type RiskEventsPage = z.infer<typeof RiskEventsPage>;

/** What became of the symbols' minutes from ``from_ts`` until before ``to_ts``. */
export const FunnelDTO = z.object({
  blocked: z.number(),
  flat: z.number(),
  from_ts: z.nullable(z.string()),
  reasons: z.array(BlockCount),
  rows: z.number(),
  to_ts: z.nullable(z.string()),
  traded: z.number(),
});
export type FunnelDTO = z.infer<typeof FunnelDTO>;

/** One limit: ``distance`` = limit − value, negative when over; ``used`` = value ÷ limit. */
export const GuardDTO = z.object({
  code: z.string(),
  distance: z.nullable(z.number()),
  limit: z.number(),
  unit: z.string(),
  used: z.nullable(z.number()),
  value: z.nullable(z.number()),
});
export type GuardDTO = z.infer<typeof GuardDTO>;

/** Entries are forbidden while this lasts; ``symbol`` null: all of them. */
export const EntryBlockDTO = z.object({
  code: z.string(),
  since: z.string(),
  symbol: z.nullable(z.string()),
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
  equity: z.nullable(z.string()),
  latch: z.string(),
  latch_code: z.string(),
  latch_since: z.nullable(z.string()),
  locked: z.record(z.string(), z.string()),
  naked_ms: z.nullable(NakedDTO),
  paused: z.array(z.string()),
  positions: z.number(),
  proofs: z.record(z.string(), z.string()),
  ready: z.boolean(),
  stop_path_proven: z.boolean(),
  stream_up: z.boolean(),
  trips: z.array(TripDTO),
  unprotected: z.array(z.string()),
  unprotected_since: z._default(z.record(z.string(), z.string()), {}),
});
export type LiveStateDTO = z.infer<typeof LiveStateDTO>;

/** ``live`` is null where the worker does not trade an account. */
export const RiskStateDTO = z.object({
  account_ts: z.nullable(z.string()),
  events: z.array(RiskEventDTO),
  funnel_hour: FunnelDTO,
  funnel_minute: FunnelDTO,
  guards: z.array(GuardDTO),
  kill_switch: z.string(),
  live: z._default(z.nullable(LiveStateDTO), null),
  mode: z.string(),
  reason: z.nullable(z.string()),
  toggle: z.string(),
});
export type RiskStateDTO = z.infer<typeof RiskStateDTO>;

/** ``override``: also to a predecessor without whole evidence, whose id ``confirm`` repeats. */
export const RollbackIn = z.object({
  confirm: z._default(z.nullable(z.string()), null),
  kind: z._default(z.enum(["production","demo","challenger"]), "production"),
  override: z._default(z.boolean(), false),
  reason: z.string(),
});
export type RollbackIn = z.input<typeof RollbackIn>;

/** One job every ``every`` of market time, ``at`` into it; lengths such as 90m, 2h, 7d. ``next_ts``: market time. */
export const ScheduleDTO = z.object({
  at: z.string(),
  changed_at: z.nullable(z.string()),
  changed_by: z.nullable(z.string()),
  default_at: z.string(),
  default_every: z.string(),
  enabled: z.boolean(),
  every: z.string(),
  last_job: z.nullable(JobDTO),
  name: z.string(),
  next_ts: z.nullable(z.string()),
});
export type ScheduleDTO = z.infer<typeof ScheduleDTO>;

/** What is left out stays. */
export const ScheduleIn = z.object({
  at: z._default(z.nullable(z.string()), null),
  enabled: z._default(z.nullable(z.boolean()), null),
  every: z._default(z.nullable(z.string()), null),
  reason: z._default(z.nullable(z.string()), null),
});
export type ScheduleIn = z.input<typeof ScheduleIn>;

export const CandleColumns = z.object({
  close: z.array(z.nullable(z.number())),
  high: z.array(z.nullable(z.number())),
  low: z.array(z.nullable(z.number())),
  open: z.array(z.nullable(z.number())),
  ts: z.array(z.number()),
  volume: z.array(z.nullable(z.number())),
});
export type CandleColumns = z.infer<typeof CandleColumns>;

export const CloseColumns = z.object({
  close: z.array(z.nullable(z.number())),
  ts: z.array(z.number()),
});
export type CloseColumns = z.infer<typeof CloseColumns>;

/** A position over the time it was open; ``to_ts`` and what follows an exit are null while it is. */
export const PositionSpan = z.object({
  entry_price: z.nullable(z.number()),
  exit_price: z.nullable(z.number()),
  exit_reason: z.nullable(z.string()),
  from_ts: z.number(),
  liquidation_price: z.nullable(z.number()),
  net: z.nullable(z.number()),
  side: z.string(),
  sl_price: z.nullable(z.number()),
  to_ts: z.nullable(z.number()),
  tp_price: z.nullable(z.number()),
});
export type PositionSpan = z.infer<typeof PositionSpan>;

/** One signal a bar; in a thinned series the most telling one of each bar: a trade, else the highest EV. */
export const SignalColumns = z.object({
  block_reason: z.array(z.nullable(z.string())),
  decision: z.array(z.nullable(z.string())),
  e_hold_long_min: z.array(z.nullable(z.number())),
  e_hold_short_min: z.array(z.nullable(z.number())),
  e_mae_long: z.array(z.nullable(z.number())),
  e_mae_short: z.array(z.nullable(z.number())),
  er_long: z.array(z.nullable(z.number())),
  er_short: z.array(z.nullable(z.number())),
  ev_long: z.array(z.nullable(z.number())),
  ev_short: z.array(z.nullable(z.number())),
  q05_long: z.array(z.nullable(z.number())),
  q05_short: z.array(z.nullable(z.number())),
  ts: z.array(z.number()),
});
export type SignalColumns = z.infer<typeof SignalColumns>;

/** History of a symbol as columns; ``interval_min`` is the length of a bar, above 1 when the span is long (D37): what the exchange did not round is rounded then, prices to 7 significant digits, volumes and predictions to 4. */
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
  user_agent: z.nullable(z.string()),
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
  acknowledged_version: z.nullable(z.number()),
  changes: z.array(SettingChange),
  takes_effect: z.string(),
  version: z.number(),
});
export type SettingsAcceptedDTO = z.infer<typeof SettingsAcceptedDTO>;

/** Trading settings under the names of the specification (D43); null: the preset of LABEL_PRESET decides. ``effects``: what may be changed here, and when a change counts. ``restart_needed``: changed since the worker started, and waiting for its next start. ``pending`` until the worker has taken ``version`` over. */
export const SettingsDTO = z.object({
  acknowledged_version: z.nullable(z.number()),
  changed_at: z.nullable(z.string()),
  effects: z.record(z.string(), z.string()),
  hash: z.string(),
  pending: z.boolean(),
  restart_needed: z.array(z.string()),
  values: z.record(z.string(), z.unknown()),
  version: z.nullable(z.number()),
});
export type SettingsDTO = z.infer<typeof SettingsDTO>;

/** ``changes`` by name; ``expected_version``: the version they were looked at in, 0 when there is none yet. */
export const SettingsIn = z.object({
  changes: z.record(z.string(), z.unknown()),
  expected_version: z._default(z.nullable(z.number()), null),
  reason: z.string(),
});
export type SettingsIn = z.input<typeof SettingsIn>;

/** ``acknowledged_at``: when the worker took it over; null while it has not, or when a newer one came first. */
export const SettingsVersionDTO = z.object({
  acknowledged_at: z.nullable(z.string()),
  actor: z.string(),
  changes: z.array(SettingChange),
  reason: z.nullable(z.string()),
  ts: z.string(),
  version: z.number(),
});
export type SettingsVersionDTO = z.infer<typeof SettingsVersionDTO>;

/** Newest first. */
export const SettingsVersionsPage = z.object({
  items: z.array(SettingsVersionDTO),
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type SettingsVersionsPage = z.infer<typeof SettingsVersionsPage>;

export const BlockReason = z.object({
  code: z.string(),
  distance: z._default(z.nullable(z.number()), null),
  limit: z._default(z.nullable(z.number()), null),
  value: z._default(z.nullable(z.number()), null),
});
export type BlockReason = z.infer<typeof BlockReason>;

/** The one row of a symbol and minute (D46): traded, or why not. Predictions are fractions of the entry. */
export const SignalDTO = z.object({
  block_details: z._default(z.array(BlockReason), []),
  block_reasons: z._default(z.array(z.string()), []),
  close: z._default(z.nullable(z.number()), null),
  decision: z.string(),
  e_hold_long_min: z._default(z.nullable(z.number()), null),
  e_hold_short_min: z._default(z.nullable(z.number()), null),
  e_mae_long: z._default(z.nullable(z.number()), null),
  e_mae_short: z._default(z.nullable(z.number()), null),
  er_long: z.nullable(z.number()),
  er_short: z.nullable(z.number()),
  ev_long: z.nullable(z.number()),
  ev_short: z.nullable(z.number()),
  explain: z._default(z.record(z.string(), z.unknown()), {}),
  funding_rate: z._default(z.nullable(z.number()), null),
  late_ms: z._default(z.nullable(z.number()), null),
  leverage: z.nullable(z.number()),
  mark_price: z._default(z.nullable(z.number()), null),
  mode: z._default(z.string(), "shadow"),
  model_id: z._default(z.nullable(z.string()), null),
  p_tp_long: z._default(z.nullable(z.number()), null),
  p_tp_short: z._default(z.nullable(z.number()), null),
  q05_long: z.nullable(z.number()),
  q05_short: z.nullable(z.number()),
  ret_60: z._default(z.nullable(z.number()), null),
  size_notional: z.nullable(z.number()),
  sl_price: z.nullable(z.number()),
  symbol: z.string(),
  tp_price: z.nullable(z.number()),
  ts: z.string(),
});
export type SignalDTO = z.infer<typeof SignalDTO>;

/** The newest row of each symbol. */
export const SignalList = z.object({
  items: z.array(SignalDTO),
  ts: z.nullable(z.string()),
});
export type SignalList = z.infer<typeof SignalList>;

/** Health in one object; `ws_connected` per stream category, `error_rates` per minute and source. */
export const StatusDTO = z.object({
  clock_speed: z._default(z.nullable(z.number()), 1),
  collector_ok: z.boolean(),
  data_age_ms: z._default(z.nullable(z.number()), null),
  error_rates: z._default(z.record(z.string(), z.number()), {}),
  exchange: z._default(z.string(), ""),
  kill_switch: z._default(z.string(), "RUNNING"),
  latency_ms: z.record(z.string(), z.number()),
  latest_candle_ts: z.nullable(z.string()),
  latest_feature_ts: z.nullable(z.string()),
  latest_signal_ts: z.nullable(z.string()),
  market_ts: z._default(z.nullable(z.string()), null),
  missing_rate_24h: z._default(z.nullable(z.number()), null),
  mode: z._default(z.string(), "off"),
  model_id: z._default(z.nullable(z.string()), null),
  model_kind: z._default(z.nullable(z.string()), null),
  open_gaps: z._default(z.number(), 0),
  quality_events_24h: z._default(z.number(), 0),
  queue_lag: z.record(z.string(), z.number()),
  settings_at_start: z._default(z.number(), 0),
  settings_version: z._default(z.number(), 0),
  symbols_fresh: z._default(z.number(), 0),
  symbols_total: z._default(z.number(), 0),
  symbols_tradable: z._default(z.number(), 0),
  trading_version: z._default(z.number(), 0),
  userstream_ok: z.boolean(),
  ws_connected: z._default(z.record(z.string(), z.boolean()), {}),
});
export type StatusDTO = z.infer<typeof StatusDTO>;

/** ``name``: of the command line only, the admin whose code it is. */
export const StepUpIn = z.object({
  code: z.string(),
  name: z._default(z.nullable(z.string()), null),
});
export type StepUpIn = z.input<typeof StepUpIn>;

/** What is asked of trading. ``live`` also needs ``confirm`` to repeat the word LIVE. */
export const ToggleIn = z.object({
  confirm: z._default(z.nullable(z.string()), null),
  expected_version: z._default(z.nullable(z.number()), null),
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
  last_used: z.nullable(z.string()),
  name: z.string(),
  role: Role,
  scopes: z.array(Scope),
});
export type TokenDTO = z.infer<typeof TokenDTO>;

/** ``role``: at most the owner's. ``scopes``: those of the role by default. ``days``: how long it counts. */
export const TokenIn = z.object({
  days: z._default(z.number(), 90),
  name: z.string(),
  role: z._default(Role, "viewer"),
  scopes: z._default(z.nullable(z.array(Scope)), null),
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
  password: z._default(z.nullable(z.string()), null),
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
  model_id: z._default(z.nullable(z.string()), null),
  net: z.number(),
  qty: z.number(),
  r_multiple: z._default(z.nullable(z.number()), null),
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
  next_cursor: z._default(z.nullable(z.string()), null),
});
export type TradesPage = z.infer<typeof TradesPage>;

/** ``toggle``: what was asked for; ``pending`` until the worker has acknowledged ``version``. */
export const TradingStateDTO = z.object({
  acknowledged_version: z.nullable(z.number()),
  changed_at: z.string(),
  changed_by: z.string(),
  kill_switch: z.string(),
  pending: z.boolean(),
  permitted: z.string(),
  reason: z.nullable(z.string()),
  toggle: z.string(),
  trading_enabled: z.boolean(),
  version: z.number(),
});
export type TradingStateDTO = z.infer<typeof TradingStateDTO>;

/** What is to be other than now. */
export const UserChangeIn = z.object({
  disabled: z._default(z.nullable(z.boolean()), null),
  role: z._default(z.nullable(Role), null),
});
export type UserChangeIn = z.input<typeof UserChangeIn>;

/** A user as an admin sees him. ``sessions``: browsers that are signed in now. */
export const UserDTO = z.object({
  created: z.string(),
  disabled: z.boolean(),
  last_seen: z.nullable(z.string()),
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
  ev_long: z.nullable(z.number()),
  ev_short: z.nullable(z.number()),
  late_ms: z.nullable(z.number()),
  reasons: z.array(BlockReason),
  ts: z.string(),
});
export type WhyNotRow = z.infer<typeof WhyNotRow>;

/** Newest first. ``summary`` is of the whole span, and comes with the first page alone. */
export const WhyNotPage = z.object({
  items: z.array(WhyNotRow),
  next_cursor: z._default(z.nullable(z.string()), null),
  summary: z.nullable(FunnelDTO),
  symbol: z.string(),
});
export type WhyNotPage = z.infer<typeof WhyNotPage>;
