/**
 * What may come in through the door, under the names that the desk uses: the schemas that were generated from the
 * API's document, checked at run time.
 */
import * as z from "zod/mini";
import * as api from "@/generated/api";

export const statusSchema = api.StatusDTO;
export type Status = api.StatusDTO;
export const signalSchema = api.SignalDTO;
export type Signal = api.SignalDTO;
export type BlockReason = api.BlockReason;
export const instrumentSchema = api.InstrumentDTO;
export type Instrument = api.InstrumentDTO;
export const accountSchema = api.AccountDTO;
export type Account = api.AccountDTO;
export const positionSchema = api.PositionDTO;
export type Position = api.PositionDTO;

export const orderSchema = api.OrderDTO;
export type Order = api.OrderDTO;
export const intentSchema = api.IntentDTO;
export type Intent = api.IntentDTO;
export const fillSchema = api.FillDTO;
export type Fill = api.FillDTO;
/** A closed round trip, quote units; costs are positive. */
export const tradeSchema = api.TradeDTO;
export type ClosedTrade = api.TradeDTO;
export const executionSchema = api.ExecutionOut;
export type Execution = api.ExecutionOut;
/** Live against shadow on the same decisions, quote units; plus is in favour of live. */
export const attributionSchema = api.AttributionOut;
export type Attribution = api.AttributionOut;
export const attributedTradesSchema = api.AttributedTradesPage;
export type AttributedTrade = api.AttributedTrade;
/** The account over time as columns; `ts` in epoch milliseconds. */
export const equitySchema = api.EquityOut;
export type Equity = api.EquityOut;

export const profitSchema = api.ProfitOut;
export type ProfitRow = api.ProfitRow;
/** Curves to lay over each other; drawdown as a fraction below the highest so far. */
export const overlaySchema = api.EquityOverlay;
export type EquityCurve = api.EquityCurve;
/** Something that a chart marks, at market time. */
export const annotationsSchema = api.AnnotationList;
export type Annotation = api.Annotation;

export const jobSchema = api.JobDTO;
export type Job = api.JobDTO;
export const modelSchema = api.ModelDTO;
export type Model = api.ModelDTO;
export const modelDetailSchema = api.ModelDetailDTO;
export type ModelDetail = api.ModelDetailDTO;
export const rlModelSchema = api.RLModelDTO;
export type RLModel = api.RLModelDTO;
export const rlDecisionSchema = api.RLDecisionDTO;
export type RLDecision = api.RLDecisionDTO;
export const rlStatsSchema = api.RLStatsOut;
export type RLStats = api.RLStatsOut;

/** Missing and late bars, symbols by time; `ts` opens each bucket. */
export const qualityMapSchema = api.QualityMapOut;
export type QualityMap = api.QualityMapOut;
export const dataQualitySchema = api.DataQualityDTO;
export type DataQuality = api.DataQualityDTO;
export type SymbolQuality = api.SymbolQuality;
export type Gap = api.GapDTO;
export type QualityEvent = api.QualityEventDTO;
/** Columns by time; `symbols` holds each one's newest measurement. */
export const driftSchema = api.DriftDTO;
export type Drift = api.DriftDTO;
export type SymbolDrift = api.SymbolDrift;

/** What was asked of trading; `pending` until the worker has taken it over. */
export const tradingStateSchema = api.TradingStateDTO;
export const acceptedSchema = api.AcceptedDTO;
export const killSwitchAcceptedSchema = api.KillSwitchAcceptedDTO;
export const deskCommandSchema = api.DeskCommandDTO;
export type DeskCommand = api.DeskCommandDTO;
export const riskStateSchema = api.RiskStateDTO;
export type RiskState = api.RiskStateDTO;
export type Guard = api.GuardDTO;
export type Funnel = api.FunnelDTO;
export type RiskEvent = api.RiskEventDTO;
export const riskEventsSchema = api.RiskEventsPage;
/** A funnel over a span, and of each symbol. */
export const funnelSchema = api.FunnelOut;
export type SymbolFunnel = api.SymbolFunnel;
/** The minutes in which a symbol was blocked. Their sum is of the whole span: the first page alone carries it. */
export const whyNotSchema = api.WhyNotPage;
export type WhyNotPage = api.WhyNotPage;
export type WhyNot = api.WhyNotRow;
/** Histograms by stage: `counts[i]` lie below `edges[i]`, the last above all of them. */
export const latencySchema = api.LatencyOut;
export type Latency = api.LatencyOut;
export type LatencyStage = api.LatencyStage;
export const gapsSchema = api.GapsPage;
export const qualityEventsSchema = api.QualityEventsPage;
export type LiveState = api.LiveStateDTO;
/** What live trading needs, each met or not. */
export const gateSchema = api.GateDTO;
export type Gate = api.GateDTO;

/** Columns, not rows; `ts` in epoch milliseconds. Every column of a block has the length of its `ts`. */
export const seriesSchema = api.SeriesOut;
export type Series = api.SeriesOut;
export type Trade = api.PositionSpan;

/** RFC 9457, with the stable `code` the desk matches on. Errors may come from in front of the API, hence the defaults. */
export const problemSchema = z.extend(api.Problem, {
  type: z.optional(z.string()),
  title: z._default(z.string(), ""),
  status: z.optional(z.number()),
  detail: z._default(z.string(), ""),
  code: z._default(z.string(), "UNKNOWN"),
});
export type Problem = z.infer<typeof problemSchema>;

/** One frame of the gateway. `data` is checked by its channel's own schema. */
export const frameSchema = z.object({
  channel: z.optional(z.string()),
  type: z.string(),
  seq: z.optional(z.number()),
  at: z.optional(z.string()),
  data: z.optional(z.unknown()),
  code: z.optional(z.string()),
  message: z.optional(z.string()),
});
export type Frame = z.infer<typeof frameSchema>;
