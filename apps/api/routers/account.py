"""Account, positions, orders and trades."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from apps.api.deps import Db
from apps.api.dto import EquityOut, OrdersPage, TradesPage
from apps.api.params import (
    AccountMode,
    Cursor,
    From,
    Limit,
    Mode,
    SymbolFilter,
    To,
    list_span,
    span,
    symbol_name,
)
from apps.api.queries import account, orders, positions
from apps.api.responses import UNCHANGED, HistoryRoute, cached, encode, etag_of
from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import AccountDTO, PositionDTO

router = APIRouter(prefix="/api", tags=["account"], route_class=HistoryRoute, responses=UNCHANGED)


@router.get("/account/latest", operation_id="getAccount")
async def get_account(conn: Db, mode: Mode = "shadow") -> AccountDTO | None:
    """The newest snapshot of the account; null before the first. Amounts in quote units."""
    return await account.latest(conn, mode)


@router.get("/account/equity", operation_id="getEquity", responses={200: {"model": EquityOut}})
async def get_equity(request: Request, conn: Db, mode: Mode = "shadow", from_: From = None, to: To = None) -> Response:
    """Equity over time as columns, thinned by its extremes above 3000 points. Default: the last 7 days."""
    newest = await account.newest_ms(conn, mode)
    asked = span(from_, to, newest_ms=(newest or 7 * DAY_MS) + MINUTE_MS, default_ms=7 * DAY_MS)
    columns = await account.curve(conn, mode, asked)
    body = encode({"mode": mode, **columns})
    return cached(request, body, etag_of(body))


@router.get("/positions/latest", operation_id="listPositions")
async def list_positions(conn: Db, mode: Mode = "shadow") -> list[PositionDTO]:
    """Open positions at the account's newest minute, newest first; empty means flat."""
    return await positions.latest(conn, mode)


@router.get("/orders", operation_id="listOrders")
async def list_orders(
    conn: Db,
    *,
    from_: From = None,
    to: To = None,
    mode: AccountMode | None = None,
    symbol: SymbolFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> OrdersPage:
    """Orders created in the span, newest first, with the mean price, fee and PnL of their fills."""
    checked = None if symbol is None else symbol_name(symbol)
    return await orders.orders(conn, list_span(from_, to), mode=mode, symbol=checked, cursor=cursor, limit=limit)


@router.get("/trades", operation_id="listTrades")
async def list_trades(
    conn: Db,
    *,
    from_: From = None,
    to: To = None,
    mode: AccountMode | None = "shadow",
    symbol: SymbolFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TradesPage:
    """Closed round trips by their exit, newest first; the shadow account's unless asked otherwise."""
    checked = None if symbol is None else symbol_name(symbol)
    return await orders.trades(conn, list_span(from_, to), mode=mode, symbol=checked, cursor=cursor, limit=limit)
