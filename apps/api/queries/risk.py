"""What the risk side reported, and the betas it sizes by."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto import RiskEventDTO
from apps.api.queries.rows import iso_at

_EVENTS = "SELECT * FROM risk_events ORDER BY ts DESC, id DESC LIMIT %s"
_BETAS: LiteralString = """
SELECT i.symbol, d.beta FROM instruments i
CROSS JOIN LATERAL (
    SELECT beta FROM instrument_days d
    WHERE d.symbol = i.symbol AND day <= coalesce((SELECT max(ts)::date FROM signals), 'infinity')
    ORDER BY day DESC LIMIT 1
) d
"""


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
