"""How orders went: what is open, fills, failures, and slippage against what was expected."""

from typing import Any, LiteralString

import numpy as np

from apps.api.db import Connection
from apps.api.dto_pages import ExecutionOut, FillDTO, FillsPage, IntentDTO, IntentsPage, OrderCount
from apps.api.params import Span, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.orders import order_dto
from apps.api.queries.rows import iso_of, ms_of, number
from packages.common.time import DAY_MS, HOUR_MS, to_datetime
from packages.common.types import OrderDTO

_OPEN: LiteralString = """
SELECT o.*, f.avg_price, f.fee, f.realized_pnl FROM orders o
LEFT JOIN LATERAL (
  SELECT sum(price * qty) / nullif(sum(qty), 0) AS avg_price, sum(fee) AS fee, sum(realized_pnl) AS realized_pnl
  FROM fills f WHERE f.mode = o.mode AND f.symbol = o.symbol AND f.order_id = o.order_id) f ON TRUE
WHERE o.mode = %s AND o.status IN ('NEW', 'PARTIALLY_FILLED') ORDER BY o.created_at DESC, o.id DESC LIMIT 500
"""
_FILLS: LiteralString = """
SELECT f.*, o.side, o.leg, (extract(epoch FROM f.ts) * 1000000)::bigint AS place
FROM fills f JOIN orders o USING (mode, symbol, order_id)
WHERE f.ts >= %(from)s AND f.ts < %(to)s AND f.mode = %(mode)s
  AND (%(symbol)s::text IS NULL OR f.symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (f.ts, f.symbol, f.trade_id) < (%(place)s, %(after)s, %(trade)s))
ORDER BY f.ts DESC, f.symbol DESC, f.trade_id DESC LIMIT %(rows)s
"""
_INTENTS: LiteralString = """
SELECT *, (extract(epoch FROM created_at) * 1000000)::bigint AS place FROM order_intents
WHERE mode = 'live' AND kind IN ('entry', 'adopted') AND created_at >= %(from)s AND created_at < %(to)s
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s) AND (NOT %(lapsed)s OR state = 'lapsed')
  AND (%(place)s::timestamptz IS NULL OR (created_at, intent_id) < (%(place)s, %(after)s))
ORDER BY created_at DESC, intent_id DESC LIMIT %(rows)s
"""
_NEWEST: LiteralString = """
SELECT greatest((SELECT max(created_at) FROM orders WHERE mode = %(mode)s),
                (SELECT max(exit_ts) FROM trades WHERE mode = %(mode)s)) AS ts
"""
_COUNTS: LiteralString = """
SELECT leg, status, (extract(epoch FROM created_at) * 1000)::bigint / %(bucket)s * %(bucket)s AS bucket, count(*) AS n,
       status = 'REJECTED' OR (status IN ('EXPIRED', 'EXPIRED_IN_MATCH') AND leg IN ('entry', 'exit')) AS failed
FROM orders WHERE mode = %(mode)s AND created_at >= %(from)s AND created_at < %(to)s
GROUP BY 1, 2, 3, 5
"""
# The twin of a trade: what the shadow account did on the same decision. Its entry carries the minute, the account's
# the fill, which comes within the minute after it.
_SLIPPAGE: LiteralString = """
SELECT (extract(epoch FROM t.exit_ts) * 1000)::bigint / %(bucket)s * %(bucket)s AS bucket, count(*) AS n,
       sum(t.slippage) AS slippage, sum(abs(t.qty) * (t.entry_ref + t.exit_ref)) AS traded,
       count(twin.slippage) AS matched,
       sum(t.slippage) FILTER (WHERE twin.slippage IS NOT NULL) AS matched_slippage,
       sum(abs(t.qty) * (t.entry_ref + t.exit_ref)) FILTER (WHERE twin.slippage IS NOT NULL) AS matched_traded,
       sum(twin.slippage) AS twin_slippage, sum(twin.traded) AS twin_traded
FROM trades t
LEFT JOIN LATERAL (
  SELECT s.slippage, abs(s.qty) * (s.entry_ref + s.exit_ref) AS traded FROM trades s
  WHERE t.mode = 'live' AND s.mode = 'shadow' AND s.symbol = t.symbol AND s.side = t.side
    AND s.entry_ts > t.entry_ts - interval '2 min' AND s.entry_ts <= t.entry_ts + interval '1 min'
  ORDER BY abs(extract(epoch FROM s.entry_ts - t.entry_ts)) LIMIT 1) twin ON TRUE
WHERE t.mode = %(mode)s AND t.exit_ts >= %(from)s AND t.exit_ts < %(to)s
GROUP BY 1
"""


async def open_orders(conn: Connection, mode: str) -> list[OrderDTO]:
    """Orders that still stand, newest first."""
    return [order_dto(row) for row in await (await conn.execute(_OPEN, (mode,))).fetchall()]


async def fills(
    conn: Connection, span: Span, *, mode: str, symbol: str | None, cursor: str | None, limit: int
) -> FillsPage:
    """Fills of the span with the side and leg of their orders."""
    params: dict[str, Any] = {
        "from": to_datetime(span.from_ms),
        "to": to_datetime(span.to_ms),
        "mode": mode,
        "symbol": symbol,
        "rows": limit + 1,
        "place": None,
        "after": None,
        "trade": None,
    }
    if cursor:
        place, name, trade = decode_cursor(cursor, (int, str, int))
        params |= {"place": cursor_instant(place), "after": name, "trade": trade}
    rows = await (await conn.execute(_FILLS, params)).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    following = encode_cursor(last["place"], last["symbol"], last["trade_id"]) if last else None
    return FillsPage(items=[_fill(row) for row in rows[:limit]], next_cursor=following)


async def intents(
    conn: Connection, span: Span, *, symbol: str | None, lapsed: bool, cursor: str | None, limit: int
) -> IntentsPage:
    """Intents of the live account made in the span; ``lapsed``: only those that were never sent."""
    params: dict[str, Any] = {
        "from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms), "symbol": symbol, "lapsed": lapsed,
        "rows": limit + 1, "place": None, "after": None,
    }  # fmt: skip
    if cursor:
        place, after = decode_cursor(cursor, (int, str))
        params |= {"place": cursor_instant(place), "after": after}
    rows = await (await conn.execute(_INTENTS, params)).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    following = encode_cursor(last["place"], last["intent_id"]) if last else None
    return IntentsPage(items=[_intent(row) for row in rows[:limit]], next_cursor=following)


async def newest_intent_ms(conn: Connection) -> int | None:
    """When the newest intent was made."""
    row = await (await conn.execute("SELECT max(created_at) AS ts FROM order_intents WHERE mode = 'live'")).fetchone()
    return None if row is None else ms_of(row["ts"])


def _intent(row: dict[str, Any]) -> IntentDTO:
    told = row["payload"]
    figures = {"qty": "qty", "reference_price": "reference_price", "sl_price": "sl_price", "tp_price": "tp_price"}
    if row["kind"] == "adopted":
        figures["sl_price"] = "stop_price"
    return IntentDTO(
        **{name: row[name] for name in ("intent_id", "symbol", "kind", "state")},
        **{name: None if told.get(key) is None else number(float(told[key])) for name, key in figures.items()},
        created_at=iso_of(row["created_at"]),
        updated_at=iso_of(row["updated_at"]),
        side=told.get("side"),
        leverage=told.get("leverage"),
        reasons=told.get("reasons") or [],
        detail=told.get("detail") or None,
    )


async def newest_ms(conn: Connection, mode: str) -> int | None:
    """Time of the newest order or exit."""
    row = await (await conn.execute(_NEWEST, {"mode": mode})).fetchone()
    return None if row is None else ms_of(row["ts"])


async def execution(conn: Connection, span: Span, mode: str) -> ExecutionOut:
    """Failures and slippage of the span, in all and by hour, or by day when it is longer than three days."""
    bucket = HOUR_MS if span.to_ms - span.from_ms <= 3 * DAY_MS else DAY_MS
    params = {"mode": mode, "bucket": bucket, "from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms)}
    counted = await (await conn.execute(_COUNTS, params)).fetchall()
    slipped = await (await conn.execute(_SLIPPAGE, params)).fetchall()
    ts = sorted({int(row["bucket"]) for row in counted} | {int(row["bucket"]) for row in slipped})
    at = {bucket_ts: i for i, bucket_ts in enumerate(ts)}
    orders, failed = np.zeros(len(ts), dtype=np.int64), np.zeros(len(ts), dtype=np.int64)
    counts: dict[tuple[str | None, str, bool], int] = {}
    for row in counted:
        orders[at[row["bucket"]]] += row["n"]
        failed[at[row["bucket"]]] += row["n"] if row["failed"] else 0
        key = (row["leg"], row["status"], bool(row["failed"]))
        counts[key] = counts.get(key, 0) + row["n"]
    actual: list[float | None] = [None] * len(ts)
    expected: list[float | None] = [None] * len(ts)
    for row in slipped:
        actual[at[row["bucket"]]] = _ratio(row["slippage"], row["traded"])
        expected[at[row["bucket"]]] = _ratio(row["twin_slippage"], row["twin_traded"])

    def total(name: str) -> float:
        return float(sum(row[name] or 0.0 for row in slipped))

    count = int(orders.sum())
    return ExecutionOut(
        mode=mode,
        from_ts=span.from_ms,
        to_ts=span.to_ms,
        orders=count,
        failed=int(failed.sum()),
        failure_rate=_ratio(float(failed.sum()), float(count)),
        counts=[
            OrderCount(leg=leg, status=status, count=n, failed=bad)
            for (leg, status, bad), n in sorted(
                counts.items(), key=lambda item: (-item[1], item[0][1], item[0][0] or "")
            )
        ],
        trades=int(total("n")),
        slippage_frac=_ratio(total("slippage"), total("traded")),
        matched=int(total("matched")),
        matched_frac=_ratio(total("matched_slippage"), total("matched_traded")),
        expected_frac=_ratio(total("twin_slippage"), total("twin_traded")),
        bucket_ms=bucket,
        ts=ts,
        bucket_orders=orders.tolist(),
        bucket_failed=failed.tolist(),
        bucket_slippage_frac=actual,
        bucket_expected_frac=expected,
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return number(part / whole) if part is not None and whole else None


def _fill(row: dict[str, Any]) -> FillDTO:
    return FillDTO(
        mode=row["mode"],
        symbol=row["symbol"],
        trade_id=row["trade_id"],
        order_id=row["order_id"],
        ts=iso_of(row["ts"]),
        side=row["side"],
        leg=row["leg"],
        price=row["price"],
        qty=row["qty"],
        fee=row["fee"],
        fee_asset=row["fee_asset"],
        realized_pnl=number(row["realized_pnl"]),
    )
