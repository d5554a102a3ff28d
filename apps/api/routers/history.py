"""What happened over time: why nothing was traded, latencies, profit, equity curves, marks for charts, events."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from apps.api.deps import Db
from apps.api.dto_history import (
    AnnotationList,
    EquityOverlay,
    FunnelOut,
    GapsPage,
    LatencyOut,
    ProfitOut,
    QualityEventsPage,
    RiskEventsPage,
    WhyNotPage,
)
from apps.api.params import AskedRows, Cursor, From, Limit, Mode, Span, SymbolFilter, SymbolPath, To, span, symbol_name
from apps.api.queries import account, annotations, events, funnel, latency, profit, training, universe
from apps.api.responses import UNCHANGED, HistoryRoute
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS

router = APIRouter(prefix="/api", route_class=HistoryRoute, responses=UNCHANGED)
Kind = Literal["promotion", "settings", "halt", "pause", "funding", "risk"]
_KINDS: tuple[Kind, ...] = ("promotion", "settings", "halt", "pause", "funding", "risk")
_DEFAULT_DAYS = {"day": 31, "week": 26 * 7, "month": 365}
REPORT_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"


@router.get("/funnel", operation_id="getFunnel", tags=["risk"])
async def get_funnel(
    conn: Db, from_: From = None, to: To = None, mode: Mode = "shadow", symbol: SymbolFilter = None
) -> FunnelOut:
    """What became of the decided minutes, over all symbols and of each. Default: the newest hour; at most a week, of
    one symbol 31 days."""
    asked = await _minutes(conn, from_, to, mode, HOUR_MS, days_max=31 if symbol else 7)
    return await funnel.funnel(conn, asked, mode=mode, symbol=None if symbol is None else symbol_name(symbol))


@router.get("/symbol/{symbol}/why-not", operation_id="getWhyNot", tags=["risk"])
async def get_why_not(
    conn: Db,
    symbol: SymbolPath,
    *,
    from_: From = None,
    to: To = None,
    mode: Mode = "shadow",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> WhyNotPage:
    """Why a symbol was not traded: its blocked minutes with every reason, newest first, and their sum. Default: the
    newest day; at most 31 days."""
    await universe.require_symbol(conn, symbol_name(symbol))
    asked = await _minutes(conn, from_, to, mode, DAY_MS)
    return await funnel.why_not(conn, asked, symbol, mode=mode, cursor=cursor, limit=limit)


@router.get("/latency", operation_id="getLatency", tags=["status"])
async def get_latency(conn: Db, from_: From = None, to: To = None, mode: Mode = "shadow") -> LatencyOut:
    """How long minutes took, by stage, as histograms. Default: the newest day; at most 31 days."""
    return await latency.latency(conn, await _minutes(conn, from_, to, mode, DAY_MS), mode)


@router.get("/account/profit", operation_id="getProfit", tags=["account"])
async def get_profit(
    conn: Db,
    period: Annotated[profit.Period, Query(description="Periods are UTC; weeks begin on Monday.")] = "day",
    from_: From = None,
    to: To = None,
    mode: Mode = "shadow",
) -> ProfitOut:
    """Profit by day, week or month, absolute and as a fraction, newest first. Default: 31 days, 26 weeks, 12 months."""
    newest = await account.newest_ms(conn, mode)
    default_ms = _DEFAULT_DAYS[period] * DAY_MS
    asked = span(from_, to, newest_ms=(newest or default_ms) + MINUTE_MS, default_ms=default_ms)
    return await profit.profit(conn, asked, mode, period)


@router.get("/account/equity/overlay", operation_id="getEquityOverlay", tags=["account"])
async def get_equity_overlay(
    conn: Db,
    from_: From = None,
    to: To = None,
    model_id: Annotated[UUID | None, Query(description="Whose backtest; the model in use by default.")] = None,
) -> EquityOverlay:
    """Equity of live, shadow and backtest, each with its drawdown. Default: the shadow account's newest 7 days. The
    backtest has its own time."""
    newest = await account.newest_ms(conn, "shadow")
    asked = span(from_, to, newest_ms=(newest or 7 * DAY_MS) + MINUTE_MS, default_ms=7 * DAY_MS)
    return await profit.overlay(conn, asked, model_id)


@router.get("/annotations", operation_id="listAnnotations", tags=["signals"])
async def list_annotations(
    conn: Db,
    *,
    from_: From = None,
    to: To = None,
    mode: Mode = "shadow",
    symbol: SymbolFilter = None,
    kind: Annotated[list[Kind] | None, Query(max_length=6, description="Only these; all by default.")] = None,
) -> AnnotationList:
    """What a chart marks: models and settings from the minute they decided, halts, funding times, risk events. Default:
    the newest day; at most 31 days."""
    asked = await _minutes(conn, from_, to, mode, DAY_MS)
    name = None if symbol is None else symbol_name(symbol)
    return await annotations.annotations(conn, asked, mode=mode, symbol=name, kinds=kind or _KINDS)


@router.get("/risk/events", operation_id="listRiskEvents", tags=["risk"])
async def list_risk_events(
    conn: Db,
    asked: AskedRows,
    severity: Annotated[int, Query(ge=1, le=3, description="1 information, 2 warning, 3 critical; at least.")] = 1,
) -> RiskEventsPage:
    """What the risk side reported, newest first."""
    return await events.risk(conn, asked, severity)


@router.get("/data-quality/gaps", operation_id="listGaps", tags=["risk"])
async def list_gaps(
    conn: Db, asked: AskedRows, status: Literal["open", "repaired", "unavailable"] | None = None
) -> GapsPage:
    """Gaps of the stored market that touch the span, newest find first."""
    return await events.gaps(conn, asked, status)


@router.get("/data-quality/events", operation_id="listQualityEvents", tags=["risk"])
async def list_quality_events(conn: Db, asked: AskedRows) -> QualityEventsPage:
    """Input that was refused, newest first."""
    return await events.quality(conn, asked)


@router.get(
    "/models/{model_version}/report",
    operation_id="getModelReport",
    tags=["training"],
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The report"}},
    response_class=Response,
)
async def get_model_report(conn: Db, model_version: UUID) -> Response:
    """The research report that was made with the model, a page of its own without scripts."""
    page = await training.report(conn, model_version)
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": REPORT_CSP})


async def _minutes(conn: Db, from_: str | None, to: str | None, mode: str, default_ms: int, days_max: int = 31) -> Span:
    """A span of decided minutes, short enough to look at each of them."""
    newest = await funnel.newest_ms(conn, mode)
    end = (newest or default_ms) + MINUTE_MS
    return span(from_, to, newest_ms=end, default_ms=default_ms, max_ms=days_max * DAY_MS)
