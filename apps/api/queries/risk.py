"""What blocked entries lately, and what the risk side reported."""

from datetime import datetime
from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto import BlockCount, FunnelDTO, RiskEventDTO
from apps.api.queries.rows import iso_at, iso_of

_NEWEST = "SELECT ts FROM signals WHERE mode = %s ORDER BY ts DESC LIMIT 1"
_TOTALS: LiteralString = """
SELECT count(*) AS rows, count(*) FILTER (WHERE decision <> 'FLAT') AS traded,
       count(*) FILTER (WHERE decision = 'FLAT' AND block_reason_codes->0 IS NOT NULL) AS blocked
FROM signals
WHERE ts > %(after)s AND ts <= %(newest)s AND mode = %(mode)s
  AND model_id IS DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger')
"""
_REASONS: LiteralString = """
SELECT r.entry->>'code' AS code, count(*) FILTER (WHERE r.place = 1) AS first, count(*) AS rows
FROM signals s, jsonb_array_elements(s.block_reason_codes) WITH ORDINALITY AS r(entry, place)
WHERE s.ts > %(after)s AND s.ts <= %(newest)s AND s.mode = %(mode)s AND s.decision = 'FLAT'
  AND s.model_id IS DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger')
GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1
"""
_EVENTS = "SELECT * FROM risk_events ORDER BY ts DESC, id DESC LIMIT %s"
_BETAS: LiteralString = """
SELECT i.symbol, d.beta FROM instruments i
CROSS JOIN LATERAL (
    SELECT beta FROM instrument_days d
    WHERE d.symbol = i.symbol AND day <= coalesce((SELECT max(ts)::date FROM signals), 'infinity')
    ORDER BY day DESC LIMIT 1
) d
"""


async def newest_signal(conn: Connection, mode: str) -> datetime | None:
    """``ts`` of the newest decided minute."""
    row = await (await conn.execute(_NEWEST, (mode,))).fetchone()
    return None if row is None else row["ts"]


async def funnel(conn: Connection, mode: str, newest: datetime | None, minutes: int) -> FunnelDTO:
    """Rows of the ``minutes`` decided up to ``newest``: traded, blocked and by what, or flat without a reason."""
    if newest is None:
        return FunnelDTO(from_ts=None, to_ts=None, rows=0, traded=0, blocked=0, flat=0, reasons=[])
    after = datetime.fromtimestamp(newest.timestamp() - minutes * 60, tz=newest.tzinfo)
    params = {"after": after, "newest": newest, "mode": mode}
    totals = await (await conn.execute(_TOTALS, params)).fetchone()
    assert totals is not None
    reasons = await (await conn.execute(_REASONS, params)).fetchall()
    first = datetime.fromtimestamp(after.timestamp() + 60, tz=newest.tzinfo)
    return FunnelDTO(
        from_ts=iso_of(first),
        to_ts=iso_of(newest),
        rows=totals["rows"],
        traded=totals["traded"],
        blocked=totals["blocked"],
        flat=totals["rows"] - totals["traded"] - totals["blocked"],
        reasons=[BlockCount(code=row["code"] or "?", primary=row["first"], all=row["rows"]) for row in reasons],
    )


async def events(conn: Connection, limit: int) -> list[RiskEventDTO]:
    """Newest risk events first."""
    rows = await (await conn.execute(_EVENTS, (limit,))).fetchall()
    return [event_dto(row) for row in rows]


async def betas(conn: Connection) -> dict[str, float]:
    """Newest beta of each symbol that has one (D45)."""
    rows = await (await conn.execute(_BETAS)).fetchall()
    return {row["symbol"]: row["beta"] for row in rows if row["beta"] == row["beta"]}


def event_dto(row: dict[str, Any]) -> RiskEventDTO:
    """A row of ``risk_events``."""
    return RiskEventDTO(
        ts=iso_at(row["ts"]) or "",
        event_type=row["event_type"],
        symbol=row["symbol"],
        severity=row["severity"],
        message=row["message"],
        details=row["details"],
    )
