"""What became of decided minutes over any span: traded, blocked and by what, or flat; of all symbols or of one."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto import BlockCount, FunnelDTO
from apps.api.dto_history import FunnelOut, SymbolFunnel, WhyNotPage, WhyNotRow
from apps.api.params import Span, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.rows import ms_of, number, whole
from apps.api.queries.signals import block_details
from packages.common.time import MINUTE_MS, iso, to_datetime

# The challenger runs beside the champion: its rows are another account's.
_WHERE: LiteralString = """
FROM signals s WHERE s.ts >= %(from)s AND s.ts < %(to)s AND s.mode = %(mode)s
  AND (%(symbol)s::text IS NULL OR s.symbol = %(symbol)s)
  AND s.model_id IS DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger')
"""
_TOTALS: LiteralString = f"""
SELECT symbol, count(*) AS rows, count(*) FILTER (WHERE decision <> 'FLAT') AS traded,
       count(*) FILTER (WHERE decision = 'FLAT' AND block_reason_codes->0 IS NOT NULL) AS blocked,
       mode() WITHIN GROUP (ORDER BY block_reason_codes->0->>'code')
         FILTER (WHERE decision = 'FLAT' AND block_reason_codes->0 IS NOT NULL) AS top_code
{_WHERE} GROUP BY 1 ORDER BY 1
"""
_REASONS: LiteralString = f"""
SELECT r.entry->>'code' AS code, count(*) FILTER (WHERE r.place = 1) AS first, count(*) AS rows
FROM (SELECT s.block_reason_codes {_WHERE} AND s.decision = 'FLAT') s,
     jsonb_array_elements(s.block_reason_codes) WITH ORDINALITY AS r(entry, place)
GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1
"""  # noqa: S608 - only literals are put together
_ROWS: LiteralString = f"""
SELECT s.ts, s.ev_long, s.ev_short, s.late_ms, s.block_reason_codes
{_WHERE} AND s.decision = 'FLAT' AND s.block_reason_codes->0 IS NOT NULL
  AND (%(place)s::timestamptz IS NULL OR s.ts < %(place)s)
ORDER BY s.ts DESC LIMIT %(rows)s
"""
_NEWEST: LiteralString = "SELECT ts FROM signals WHERE mode = %s ORDER BY ts DESC LIMIT 1"


async def newest_ms(conn: Connection, mode: str) -> int | None:
    """Open of the newest decided minute."""
    row = await (await conn.execute(_NEWEST, (mode,))).fetchone()
    return None if row is None else ms_of(row["ts"])


async def funnel(conn: Connection, span: Span, *, mode: str, symbol: str | None = None) -> FunnelOut:
    """The minutes of the span over all symbols, and of each."""
    params = _params(span, mode, symbol)
    rows = await (await conn.execute(_TOTALS, params)).fetchall()
    reasons = await (await conn.execute(_REASONS, params)).fetchall()
    symbols = [
        SymbolFunnel(
            symbol=row["symbol"],
            rows=row["rows"],
            traded=row["traded"],
            blocked=row["blocked"],
            flat=row["rows"] - row["traded"] - row["blocked"],
            top_code=row["top_code"],
        )
        for row in rows
    ]
    return FunnelOut(
        from_ts=iso(span.from_ms),
        to_ts=iso(span.to_ms),
        rows=sum(one.rows for one in symbols),
        traded=sum(one.traded for one in symbols),
        blocked=sum(one.blocked for one in symbols),
        flat=sum(one.flat for one in symbols),
        reasons=[BlockCount(code=row["code"] or "?", primary=row["first"], all=row["rows"]) for row in reasons],
        symbols=symbols,
    )


async def lately(conn: Connection, mode: str, newest_ms: int | None, minutes: int) -> FunnelDTO:
    """The ``minutes`` decided up to and with ``newest_ms``, over all symbols."""
    if newest_ms is None:
        return FunnelDTO(from_ts=None, to_ts=None, rows=0, traded=0, blocked=0, flat=0, reasons=[])
    end = newest_ms + MINUTE_MS
    return _sum(await funnel(conn, Span(end - minutes * MINUTE_MS, end), mode=mode))


async def why_not(
    conn: Connection, span: Span, symbol: str, *, mode: str, cursor: str | None, limit: int
) -> WhyNotPage:
    """Minutes of one symbol that were not traded, newest first, with every reason; the first page has their sum."""
    params = _params(span, mode, symbol) | {"place": None, "rows": limit + 1}
    if cursor:
        params["place"] = cursor_instant(decode_cursor(cursor, (int,))[0])
    rows = await (await conn.execute(_ROWS, params)).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    items = [
        WhyNotRow(
            ts=iso(ms_of(row["ts"]) or 0),
            ev_long=number(row["ev_long"]),
            ev_short=number(row["ev_short"]),
            late_ms=whole(row["late_ms"]),
            reasons=block_details(row["block_reason_codes"]),
        )
        for row in rows
    ]
    following = encode_cursor(1000 * (ms_of(rows[-1]["ts"]) or 0)) if more else None
    summary = None if cursor else _sum(await funnel(conn, span, mode=mode, symbol=symbol))
    return WhyNotPage(symbol=symbol, summary=summary, items=items, next_cursor=following)


def _sum(found: FunnelOut) -> FunnelDTO:
    return FunnelDTO(**found.model_dump(exclude={"symbols"}))


def _params(span: Span, mode: str, symbol: str | None) -> dict[str, Any]:
    return {"from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms), "mode": mode, "symbol": symbol}
