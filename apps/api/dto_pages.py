"""DTOs of what single pages of the desk ask for beside the specification's endpoints."""

from typing import Any, Literal

from pydantic import BaseModel


class QualityRow(BaseModel):
    """One symbol, a figure per bucket; ``expected`` bars begin with its first one, so a new listing misses nothing."""

    symbol: str
    expected: list[int]
    missing: list[int]
    late: list[int]


class QualityMapOut(BaseModel):
    """Missing and late bars, symbols by time: ``ts`` opens each bucket of ``bucket_ms``, epoch milliseconds."""

    bucket_ms: int
    ts: list[int]
    rows: list[QualityRow]


class FillDTO(BaseModel):
    """A fill; ``fee`` in ``fee_asset``, the rest in quote units."""

    mode: str
    symbol: str
    trade_id: int
    order_id: int
    ts: str
    side: str
    leg: str | None
    price: float
    qty: float
    fee: float
    fee_asset: str | None
    realized_pnl: float | None


class FillsPage(BaseModel):
    """Newest first."""

    items: list[FillDTO]
    next_cursor: str | None = None


class IntentDTO(BaseModel):
    """A bracket the live account wanted, or a position it found, and what became of it.

    ``state``: a phase of the symbol while it lasts, then ``lapsed`` (never sent; ``reasons`` say why), ``closed`` (it
    opened nothing) or ``booked`` (its trade is in the books). Null where the row does not say.
    """

    intent_id: str
    symbol: str
    kind: Literal["entry", "adopted"]
    state: str
    created_at: str
    updated_at: str
    side: str | None
    qty: float | None
    leverage: int | None
    reference_price: float | None
    sl_price: float | None
    tp_price: float | None
    reasons: list[str]
    detail: str | None


class IntentsPage(BaseModel):
    """Newest first."""

    items: list[IntentDTO]
    next_cursor: str | None = None


class OrderCount(BaseModel):
    leg: str | None
    status: str
    count: int
    failed: bool


class ExecutionOut(BaseModel):
    """How orders went in a span. A failed order is a rejected one, or an entry or exit that expired unfilled; a stop or
    target that expired because the other one filled has done its work. Slippage is a fraction of what was traded at the
    reference prices, plus is a cost. ``expected_frac``: what the shadow account paid for the same decisions, over the
    ``matched`` trades, and ``matched_frac`` what this account paid for them; null where there is no twin.
    """

    mode: str
    from_ts: int
    to_ts: int
    orders: int
    failed: int
    failure_rate: float | None
    counts: list[OrderCount]
    trades: int
    slippage_frac: float | None
    matched: int
    matched_frac: float | None
    expected_frac: float | None
    bucket_ms: int
    ts: list[int]
    bucket_orders: list[int]
    bucket_failed: list[int]
    bucket_slippage_frac: list[float | None]
    bucket_expected_frac: list[float | None]


class AttributionParts(BaseModel):
    """What the live account earned beyond the shadow account on the same decisions (D33), in parts that sum to
    ``difference``; quote units, plus is in favour of live. ``size``: another quantity. The others are at the live one:
    ``entry``, ``exit``: another reference price; ``latency``: what the market moved between decision and order;
    ``slippage``, ``fee``, ``funding``; ``liquidation``: its fee, less what a loss beyond the margin did not cost."""

    size: float
    entry: float
    exit: float
    latency: float
    slippage: float
    fee: float
    funding: float
    liquidation: float
    difference: float


class AttributionSum(AttributionParts):
    """Summed over ``trades``, with what both accounts earned on them."""

    trades: int
    live_net: float
    shadow_net: float


class AttributionDay(AttributionSum):
    """Of one symbol on one UTC day, by the exit of the live trade."""

    day: str
    symbol: str


class AttributionOut(BaseModel):
    """``days`` newest first. Not in the sums: ``waiting`` live trades whose shadow twin has not closed or never was,
    and ``refused`` pairs of which each account took another side."""

    from_ts: str
    to_ts: str
    total: AttributionSum
    days: list[AttributionDay]
    waiting: int
    refused: int


class AttributedTrade(AttributionParts):
    """One live trade against its shadow twin."""

    symbol: str
    side: str
    entry_ts: str
    exit_ts: str
    exit_reason: str
    qty: float
    live_net: float
    shadow_net: float


class AttributedTradesPage(BaseModel):
    """Newest exit first."""

    items: list[AttributedTrade]
    next_cursor: str | None = None


class RLModelDTO(BaseModel):
    """A model of the agent (§25.4)."""

    model_id: str
    symbol: str
    algorithm: str
    train_start: str
    train_end: str
    metrics: dict[str, Any]
    is_production: bool
    created_at: str | None


class RLDecisionDTO(BaseModel):
    """One decision of the agent: ``action_probs`` by action, ``confidence`` in [0, 1]."""

    id: int
    ts: str
    symbol: str
    model_id: str | None
    mode: str
    action: int
    action_name: str
    confidence: float | None
    action_probs: dict[str, float]
    executed: bool
    pnl_result: float | None


class RLActionCount(BaseModel):
    action: int
    action_name: str
    count: int
    executed: int
    mean_confidence: float | None
    pnl: float | None
    wins: int


class RLStatsOut(BaseModel):
    """Decisions of a span by action: how many, how many were carried out, the mean confidence, and the sum of what the
    carried out ones brought, quote units."""

    model_id: str | None
    from_ts: str
    to_ts: str
    decisions: int
    actions: list[RLActionCount]
