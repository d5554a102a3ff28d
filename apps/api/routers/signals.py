"""Signals and history of symbols."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from apps.api.deps import Db, Res
from apps.api.dto import SeriesOut, SignalList
from apps.api.params import From, Mode, SymbolPath, To, span, symbol_name
from apps.api.queries import series, signals, universe
from apps.api.responses import encode
from packages.common.time import DAY_MS, MINUTE_MS

router = APIRouter(prefix="/api", tags=["signals"])


@router.get("/signals/latest", operation_id="listSignals")
async def list_signals(
    conn: Db,
    sort: Annotated[
        signals.Sort,
        Query(description="ev: best side first; funding, volatility: most extreme first; universe: its order."),
    ] = "ev",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    mode: Mode = "shadow",
    blocked: Annotated[
        bool | None, Query(description="Only rows with (true) or without (false) block reasons.")
    ] = None,
) -> SignalList:
    """The newest row of each symbol: traded, or why not (D46)."""
    return await signals.latest(conn, mode, sort=sort, limit=limit, blocked=blocked)


@router.get(
    "/symbol/{symbol}/series",
    operation_id="getSeries",
    responses={200: {"model": SeriesOut}, 304: {"description": "Unchanged since the ETag."}},
)
async def get_series(
    request: Request, res: Res, symbol: SymbolPath, *, from_: From = None, to: To = None, mode: Mode = "shadow"
) -> Response:
    """Candles, mark, signals and positions of a symbol as columns; `ts` in epoch milliseconds, bars by their open.

    Default: the newest day. Above 3000 bars the interval grows (3, 5, 15 … min); at most 400 days.
    """
    symbol_name(symbol)

    async def read() -> bytes:
        async with res.pool.connection() as conn:
            newest = await series.newest_ms(conn, symbol)
            if newest is None:
                await universe.require_symbol(conn, symbol)
            asked = span(from_, to, newest_ms=(newest or DAY_MS) + MINUTE_MS, default_ms=DAY_MS)
            return encode(await series.series(conn, symbol, mode, asked))

    body = await res.bodies.get((symbol, from_, to, mode), read)
    return body.answer(request)
