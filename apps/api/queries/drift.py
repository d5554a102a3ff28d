"""How far the inputs of the model in use have moved, as the hourly job found it."""

from typing import LiteralString

from apps.api.db import Connection
from apps.api.dto import DriftDTO, SymbolDrift
from apps.api.params import Span, span
from apps.api.queries.rows import iso_of, ms_of, number
from packages.common.time import DAY_MS, to_datetime

_DEFAULT_MS = 7 * DAY_MS
_BOUNDS: LiteralString = "SELECT max(ts) AS newest FROM drift_metrics"
_SERIES: LiteralString = """
SELECT ts, avg(psi) AS mean, max(psi) AS worst FROM drift_metrics
WHERE ts >= %(from)s AND ts < %(to)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
GROUP BY ts ORDER BY ts
"""
_NEWEST: LiteralString = """
SELECT DISTINCT ON (symbol) * FROM drift_metrics
WHERE ts >= %(from)s AND ts < %(to)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY symbol, ts DESC
"""


async def series(conn: Connection, symbol: str | None, from_: str | None, to: str | None) -> DriftDTO:
    """Of one symbol or of all, within the asked span; by default the week that ends with the newest measurement."""
    found = await (await conn.execute(_BOUNDS)).fetchone()
    newest_ms = None if found is None else ms_of(found["newest"])
    if newest_ms is None and to is None:
        return DriftDTO(ts=[], psi_mean=[], psi_max=[], symbols=[])
    asked: Span = span(from_, to, newest_ms=(newest_ms or 0) + 1, default_ms=_DEFAULT_MS)
    params = {"symbol": symbol, "from": to_datetime(asked.from_ms), "to": to_datetime(asked.to_ms)}
    rows = await (await conn.execute(_SERIES, params)).fetchall()
    newest = await (await conn.execute(_NEWEST, params)).fetchall()
    return DriftDTO(
        ts=[ms_of(row["ts"]) or 0 for row in rows],
        psi_mean=[number(row["mean"]) for row in rows],
        psi_max=[number(row["worst"]) for row in rows],
        symbols=[
            SymbolDrift(
                symbol=row["symbol"],
                ts=iso_of(row["ts"]),
                psi=number(row["psi"]),
                missing_rate=number(row["missing_rate"]),
                outlier_rate=number(row["outlier_rate"]),
                latency_ms=number(row["latency_ms"]),
            )
            for row in newest
        ],
    )
