"""DTOs of what happened over time: why nothing was traded, how long things took, profit, marks for charts."""

from typing import Any, Literal

from pydantic import BaseModel

from apps.api.dto import FunnelDTO, GapDTO, QualityEventDTO, RiskEventDTO
from packages.common.types import BlockReason


class SymbolFunnel(BaseModel):
    """``top_code``: the reason that came first most often."""

    symbol: str
    rows: int
    traded: int
    blocked: int
    flat: int
    top_code: str | None


class FunnelOut(FunnelDTO):
    """What became of the minutes of a span, over all symbols and of each."""

    symbols: list[SymbolFunnel]


class WhyNotRow(BaseModel):
    """A minute that was not traded; ``reasons`` with value, limit and distance, the primary one first."""

    ts: str
    ev_long: float | None
    ev_short: float | None
    late_ms: int | None
    reasons: list[BlockReason]


class WhyNotPage(BaseModel):
    """Newest first. ``summary`` is of the whole span, and comes with the first page alone."""

    symbol: str
    summary: FunnelDTO | None
    items: list[WhyNotRow]
    next_cursor: str | None = None


class LatencyStage(BaseModel):
    """Milliseconds of one stage over the minutes of a span; ``counts[i]`` is below ``edges[i]``, the last one above."""

    stage: str
    unit: Literal["wall_ms", "market_ms"]
    n: int
    counts: list[int]
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class LatencyOut(BaseModel):
    """``edges`` in milliseconds, ascending, of every histogram."""

    from_ts: int
    to_ts: int
    edges: list[float]
    stages: list[LatencyStage]


class ProfitRow(BaseModel):
    """A period, UTC: profit is its last equity less the last of the period before; ``net``: of trades closed in it."""

    from_ts: str
    to_ts: str
    start_equity: float | None
    end_equity: float | None
    profit: float | None
    profit_frac: float | None
    trades: int
    net: float
    fees: float
    funding: float


class ProfitOut(BaseModel):
    """Newest first."""

    mode: str
    period: Literal["day", "week", "month"]
    items: list[ProfitRow]


class EquityCurve(BaseModel):
    """``backtest``: of the model's own out-of-sample test, at the times of its history. Thinned by extremes."""

    source: Literal["live", "shadow", "backtest"]
    model_id: str | None = None
    ts: list[int]
    equity: list[float | None]
    drawdown: list[float | None]


class EquityOverlay(BaseModel):
    """Curves to lay over each other; one that has nothing in the span is left out."""

    from_ts: int
    to_ts: int
    curves: list[EquityCurve]


class Annotation(BaseModel):
    """Something that a chart marks, at market time; ``to_ts`` where it lasted."""

    ts: str
    to_ts: str | None = None
    kind: Literal["promotion", "settings", "halt", "pause", "funding", "risk"]
    code: str
    symbol: str | None = None
    text: str
    details: dict[str, Any] = {}


class AnnotationList(BaseModel):
    """Oldest first. ``cut``: there are more, older ones; ask for a shorter span."""

    items: list[Annotation]
    cut: bool


class RiskEventsPage(BaseModel):
    """Newest first."""

    items: list[RiskEventDTO]
    next_cursor: str | None = None


class GapsPage(BaseModel):
    """Newest find first."""

    items: list[GapDTO]
    next_cursor: str | None = None


class QualityEventsPage(BaseModel):
    """Newest first."""

    items: list[QualityEventDTO]
    next_cursor: str | None = None
