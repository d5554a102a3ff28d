"""Orders and trades, newest first, page by page."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto import OrdersPage, TradeDTO, TradesPage
from apps.api.params import Span, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.rows import iso_of, number
from packages.common.time import to_datetime
from packages.common.types import OrderDTO

_ORDERS: LiteralString = """
SELECT o.*, (extract(epoch FROM o.created_at) * 1000000)::bigint AS place, f.avg_price, f.fee, f.realized_pnl
FROM orders o
LEFT JOIN LATERAL (
  SELECT sum(price * qty) / nullif(sum(qty), 0) AS avg_price, sum(fee) AS fee, sum(realized_pnl) AS realized_pnl
  FROM fills f WHERE f.mode = o.mode AND f.symbol = o.symbol AND f.order_id = o.order_id) f ON TRUE
WHERE o.created_at >= %(from)s AND o.created_at < %(to)s
  AND (%(mode)s::text IS NULL OR o.mode = %(mode)s) AND (%(symbol)s::text IS NULL OR o.symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (o.created_at, o.id) < (%(place)s, %(id)s))
ORDER BY o.created_at DESC, o.id DESC
LIMIT %(rows)s
"""
_TRADES: LiteralString = """
SELECT *, (extract(epoch FROM exit_ts) * 1000000)::bigint AS place,
       (extract(epoch FROM entry_ts) * 1000000)::bigint AS entry_place
FROM trades
WHERE exit_ts >= %(from)s AND exit_ts < %(to)s
  AND (%(mode)s::text IS NULL OR mode = %(mode)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (exit_ts, symbol, entry_ts) < (%(place)s, %(after)s, %(entry)s))
ORDER BY exit_ts DESC, symbol DESC, entry_ts DESC
LIMIT %(rows)s
"""


async def orders(
    conn: Connection, span: Span, *, mode: str | None, symbol: str | None, cursor: str | None, limit: int
) -> OrdersPage:
    """Orders created in the span with the mean price and the costs of their fills."""
    params = _params(span, mode, symbol, limit) | {"place": None, "id": None}
    if cursor:
        place, order = decode_cursor(cursor, (int, int))
        params |= {"place": cursor_instant(place), "id": order}
    rows = await (await conn.execute(_ORDERS, params)).fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    after = encode_cursor(rows[-1]["place"], rows[-1]["id"]) if more else None
    return OrdersPage(items=[order_dto(row) for row in rows], next_cursor=after)


async def trades(
    conn: Connection, span: Span, *, mode: str | None, symbol: str | None, cursor: str | None, limit: int
) -> TradesPage:
    """Round trips closed in the span."""
    params = _params(span, mode, symbol, limit) | {"place": None, "after": None, "entry": None}
    if cursor:
        place, name, entry = decode_cursor(cursor, (int, str, int))
        params |= {"place": cursor_instant(place), "after": name, "entry": cursor_instant(entry)}
    rows = await (await conn.execute(_TRADES, params)).fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    last = rows[-1] if more else None
    following = encode_cursor(last["place"], last["symbol"], last["entry_place"]) if last else None
    return TradesPage(items=[_trade_dto(row) for row in rows], next_cursor=following)


def _params(span: Span, mode: str | None, symbol: str | None, limit: int) -> dict[str, Any]:
    when = {"from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms)}
    return when | {"mode": mode, "symbol": symbol, "rows": limit + 1}


def order_dto(row: dict[str, Any]) -> OrderDTO:
    """A row of ``orders`` with the sums of its fills."""
    return OrderDTO(
        mode=row["mode"],
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=row["side"],
        type=row["type"],
        status=row["status"],
        reduce_only=row["reduce_only"],
        price=number(row["price"]),
        stop_price=number(row["stop_price"]),
        qty=row["qty"],
        created_at=iso_of(row["created_at"]),
        updated_at=iso_of(row["updated_at"]),
        leg=row["leg"],
        avg_price=number(row["avg_price"]),
        fee=number(row["fee"]),
        realized_pnl=number(row["realized_pnl"]),
    )


def _trade_dto(row: dict[str, Any]) -> TradeDTO:
    risk = abs(row["entry_price"] - row["sl_price"]) * abs(row["qty"])
    return TradeDTO(
        **{name: row[name] for name in TradeDTO.model_fields if name in row}
        | {
            "entry_ts": iso_of(row["entry_ts"]),
            "exit_ts": iso_of(row["exit_ts"]),
            "model_id": None if row["model_id"] is None else str(row["model_id"]),
            "r_multiple": number(row["net"] / risk) if risk > 0 else None,
        }
    )
