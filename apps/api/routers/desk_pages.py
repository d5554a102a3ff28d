"""What single pages of the desk read beside the specification's endpoints: orders, fills, data quality."""

from fastapi import APIRouter

from apps.api.deps import Config, Db
from apps.api.dto_pages import AttributedTradesPage, AttributionOut, ExecutionOut, FillsPage, IntentsPage, QualityMapOut
from apps.api.params import MAX_SPAN_MS, AskedRows, Cursor, From, Limit, Mode, Span, SymbolFilter, To, span, symbol_name
from apps.api.queries import attribution, execution, quality_map
from apps.api.responses import UNCHANGED, HistoryRoute
from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import OrderDTO

router = APIRouter(prefix="/api", route_class=HistoryRoute, responses=UNCHANGED)
MAP_DAYS_MAX = 14
SUMS_DAYS_MAX = 92


@router.get("/data-quality/map", operation_id="getDataQualityMap", tags=["risk"])
async def get_data_quality_map(conn: Db, settings: Config, from_: From = None, to: To = None) -> QualityMapOut:
    """Missing and late bars, symbols by time, in at most 48 buckets. Default: the newest day; at most 14 days."""
    newest = await quality_map.newest_ms(conn)
    end = (newest or DAY_MS) + MINUTE_MS
    asked = span(from_, to, newest_ms=end, default_ms=DAY_MS, max_ms=MAP_DAYS_MAX * DAY_MS)
    if newest is None:
        return QualityMapOut(bucket_ms=quality_map.bucket_of(asked.to_ms - asked.from_ms), ts=[], rows=[])
    return await quality_map.quality_map(conn, asked, newest=newest, late_ms=settings.bar_deadline_ms)


@router.get("/orders/open", operation_id="listOpenOrders", tags=["account"])
async def list_open_orders(conn: Db, mode: Mode = "shadow") -> list[OrderDTO]:
    """Orders that still stand, conditional ones among them, newest first."""
    return await execution.open_orders(conn, mode)


@router.get("/fills", operation_id="listFills", tags=["account"])
async def list_fills(
    conn: Db,
    *,
    from_: From = None,
    to: To = None,
    mode: Mode = "shadow",
    symbol: SymbolFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> FillsPage:
    """Fills, newest first. Default: the week that ends with the newest order or exit."""
    checked = None if symbol is None else symbol_name(symbol)
    asked = await _span(conn, mode, from_, to)
    return await execution.fills(conn, asked, mode=mode, symbol=checked, cursor=cursor, limit=limit)


@router.get("/intents", operation_id="listIntents", tags=["account"])
async def list_intents(
    conn: Db,
    *,
    from_: From = None,
    to: To = None,
    symbol: SymbolFilter = None,
    lapsed: bool = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> IntentsPage:
    """Brackets the live account wanted, newest first, with what became of each; ``lapsed``: those never sent, and why.
    Default: the week that ends with the newest."""
    checked = None if symbol is None else symbol_name(symbol)
    newest = await execution.newest_intent_ms(conn)
    asked = span(from_, to, newest_ms=(newest or 7 * DAY_MS) + MINUTE_MS, default_ms=7 * DAY_MS, max_ms=MAX_SPAN_MS)
    return await execution.intents(conn, asked, symbol=checked, lapsed=lapsed, cursor=cursor, limit=limit)


@router.get("/execution", operation_id="getExecution", tags=["account"])
async def get_execution(conn: Db, from_: From = None, to: To = None, mode: Mode = "shadow") -> ExecutionOut:
    """Failure rate, and slippage against what was expected. Default: the week up to the newest order or exit."""
    return await execution.execution(conn, await _span(conn, mode, from_, to), mode)


@router.get("/execution/attribution", operation_id="getAttribution", tags=["account"])
async def get_attribution(conn: Db, from_: From = None, to: To = None) -> AttributionOut:
    """Why live earned something else than the shadow account on the same decisions, by day and symbol. Default: the
    week up to the newest order or exit; at most 92 days."""
    return await attribution.sums(conn, await _span(conn, "live", from_, to, max_ms=SUMS_DAYS_MAX * DAY_MS))


@router.get("/execution/attribution/trades", operation_id="listAttributedTrades", tags=["account"])
async def list_attributed_trades(conn: Db, asked: AskedRows) -> AttributedTradesPage:
    """The same trade by trade, newest exit first."""
    return await attribution.trades(conn, asked)


async def _span(conn: Db, mode: str, from_: str | None, to: str | None, max_ms: int = MAX_SPAN_MS) -> Span:
    newest = await execution.newest_ms(conn, mode)
    end = (newest or 7 * DAY_MS) + MINUTE_MS
    return span(from_, to, newest_ms=end, default_ms=7 * DAY_MS, max_ms=max_ms)
