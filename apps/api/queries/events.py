"""Events page by page: of risk, gaps of the data, and input that was refused."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto_history import GapsPage, QualityEventsPage, RiskEventsPage
from apps.api.params import Rows, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.data_quality import event_dto, gap_dto
from apps.api.queries.risk import event_dto as risk_dto

_RISK: LiteralString = """
SELECT *, (extract(epoch FROM ts) * 1000000)::bigint AS place FROM risk_events
WHERE ts >= %(from)s AND ts < %(to)s AND severity >= %(severity)s
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (ts, id) < (%(place)s, %(id)s))
ORDER BY ts DESC, id DESC LIMIT %(rows)s
"""
_GAPS: LiteralString = """
SELECT *, (extract(epoch FROM found_at) * 1000000)::bigint AS place FROM data_gaps
WHERE to_ts >= %(from)s AND from_ts < %(to)s
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s) AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(place)s::timestamptz IS NULL OR (found_at, id) < (%(place)s, %(id)s))
ORDER BY found_at DESC, id DESC LIMIT %(rows)s
"""
_QUALITY: LiteralString = """
SELECT *, (extract(epoch FROM ts) * 1000000)::bigint AS place FROM quality_events
WHERE ts >= %(from)s AND ts < %(to)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (ts, id) < (%(place)s, %(id)s))
ORDER BY ts DESC, id DESC LIMIT %(rows)s
"""


async def risk(conn: Connection, asked: Rows, severity: int) -> RiskEventsPage:
    """Newest first, of at least this severity."""
    rows, following = await _page(conn, _RISK, asked, {"severity": severity})
    return RiskEventsPage(items=[risk_dto(row) for row in rows], next_cursor=following)


async def gaps(conn: Connection, asked: Rows, status: str | None) -> GapsPage:
    """Gaps that touch the span, newest find first."""
    rows, following = await _page(conn, _GAPS, asked, {"status": status})
    return GapsPage(items=[gap_dto(row) for row in rows], next_cursor=following)


async def quality(conn: Connection, asked: Rows) -> QualityEventsPage:
    """Newest first."""
    rows, following = await _page(conn, _QUALITY, asked, {})
    return QualityEventsPage(items=[event_dto(row) for row in rows], next_cursor=following)


async def _page(
    conn: Connection, query: LiteralString, asked: Rows, more: dict[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    params = more | asked.values | {"place": None, "id": None}
    if asked.cursor:
        place, number = decode_cursor(asked.cursor, (int, int))
        params |= {"place": cursor_instant(place), "id": number}
    rows = await (await conn.execute(query, params)).fetchall()
    rest, rows = len(rows) > asked.limit, rows[: asked.limit]
    return rows, encode_cursor(rows[-1]["place"], rows[-1]["id"]) if rest else None
