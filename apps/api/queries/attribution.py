"""Live against shadow on the same decisions (D33): what the worker attributed, summed and trade by trade."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto_pages import (
    AttributedTrade,
    AttributedTradesPage,
    AttributionDay,
    AttributionOut,
    AttributionParts,
    AttributionSum,
)
from apps.api.params import Rows, Span, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.rows import iso_of
from packages.common.time import iso, to_datetime

_PARTS = tuple(AttributionParts.model_fields)
# A live trade's intent names it by its first fill, to the millisecond.
_PAIRS: LiteralString = """
FROM trades t LEFT JOIN LATERAL (
  SELECT i.payload->'attribution' AS parts FROM order_intents i
  WHERE i.mode = 'live' AND i.symbol = t.symbol AND i.state = 'booked'
    AND 'epoch'::timestamptz + (i.payload->>'entry_ts_ms')::bigint * interval '1 millisecond' = t.entry_ts
  LIMIT 1) i ON TRUE
WHERE t.mode = 'live' AND t.exit_ts >= %(from)s AND t.exit_ts < %(to)s
"""
_COUNTS: LiteralString = f"""
SELECT count(*) FILTER (WHERE parts IS NULL) AS waiting,
       count(*) FILTER (WHERE jsonb_exists(parts, 'refused')) AS refused {_PAIRS}
"""
_SUMS: LiteralString = f"""
SELECT (t.exit_ts AT TIME ZONE 'UTC')::date::text AS day, t.symbol, p.key AS part,
       sum(p.value::numeric)::float8 AS value, count(*) AS trades, sum(t.net) AS live_net
FROM (SELECT t.exit_ts, t.symbol, t.net, i.parts {_PAIRS}) t, jsonb_each_text(t.parts) p
WHERE NOT jsonb_exists(t.parts, 'refused') GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
"""  # noqa: S608 - only literals are put together
_ROWS: LiteralString = f"""
SELECT t.symbol, t.side, t.entry_ts, t.exit_ts, t.exit_reason, t.qty, t.net AS live_net, i.parts,
       (extract(epoch FROM t.exit_ts) * 1000000)::bigint AS place
{_PAIRS} AND jsonb_exists(i.parts, 'difference') AND (%(symbol)s::text IS NULL OR t.symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (t.exit_ts, t.symbol) < (%(place)s, %(after)s))
ORDER BY t.exit_ts DESC, t.symbol DESC LIMIT %(rows)s
"""  # noqa: S608 - only literals are put together


async def sums(conn: Connection, span: Span) -> AttributionOut:
    """Differences over the span: in all, and by UTC day and symbol."""
    params = {"from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms)}
    counts = await (await conn.execute(_COUNTS, params)).fetchone()
    assert counts is not None
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in await (await conn.execute(_SUMS, params)).fetchall():
        day = found.setdefault((row["day"], row["symbol"]), {"trades": row["trades"], "live_net": row["live_net"]})
        day[row["part"]] = row["value"]
    days = [
        AttributionDay(day=day, symbol=symbol, shadow_net=values["live_net"] - values["difference"], **values)
        for (day, symbol), values in found.items()
    ]
    total = {name: sum(getattr(day, name) for day in days) for name in AttributionSum.model_fields}
    return AttributionOut(
        from_ts=iso(span.from_ms), to_ts=iso(span.to_ms), total=AttributionSum(**total), days=days, **counts
    )


async def trades(conn: Connection, asked: Rows) -> AttributedTradesPage:
    """Attributed trades of the span by their exit, newest first."""
    params = asked.values | {"place": None, "after": None}
    if asked.cursor:
        place, name = decode_cursor(asked.cursor, (int, str))
        params |= {"place": cursor_instant(place), "after": name}
    rows = await (await conn.execute(_ROWS, params)).fetchall()
    last = rows[asked.limit - 1] if len(rows) > asked.limit else None
    following = encode_cursor(last["place"], last["symbol"]) if last else None
    return AttributedTradesPage(items=[_trade(row) for row in rows[: asked.limit]], next_cursor=following)


def _trade(row: dict[str, Any]) -> AttributedTrade:
    parts = {name: float(row["parts"][name]) for name in _PARTS}
    return AttributedTrade(
        **{name: row[name] for name in ("symbol", "side", "exit_reason", "qty", "live_net")},
        entry_ts=iso_of(row["entry_ts"]),
        exit_ts=iso_of(row["exit_ts"]),
        shadow_net=row["live_net"] - parts["difference"],
        **parts,
    )
