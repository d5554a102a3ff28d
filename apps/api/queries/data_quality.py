"""Is the data whole: newest bar, missing bars, gaps and refused input, per symbol, over 24 h of market time."""

from datetime import datetime, timedelta
from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto import DataQualityDTO, GapDTO, QualityEventDTO, SymbolQuality
from apps.api.queries.rows import iso_at, iso_of
from packages.common.types import SymbolStatus

_NEWEST: LiteralString = """
SELECT max(c.ts) AS ts FROM instruments i
CROSS JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts DESC LIMIT 1) c
"""
_SYMBOLS: LiteralString = """
SELECT i.symbol, i.status, i.in_universe, newest.ts AS newest_ts, oldest.ts AS oldest_ts,
       coalesce(bars.n, 0) AS bars, coalesce(gaps.n, 0) AS open_gaps, coalesce(events.n, 0) AS events,
       coalesce(late.n, 0) AS late
FROM instruments i
LEFT JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts DESC LIMIT 1) newest ON TRUE
LEFT JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts LIMIT 1) oldest ON TRUE
LEFT JOIN LATERAL (SELECT count(*) AS n FROM candles_1m c
                   WHERE c.symbol = i.symbol AND c.ts >= %(from)s AND c.ts < %(to)s) bars ON TRUE
LEFT JOIN LATERAL (SELECT count(*) AS n FROM signals s
                   WHERE s.symbol = i.symbol AND s.ts >= %(from)s AND s.ts < %(to)s
                     AND s.late_ms > %(late_ms)s) late ON TRUE
LEFT JOIN (SELECT symbol, count(*) AS n FROM data_gaps WHERE status = 'open' GROUP BY 1) gaps USING (symbol)
LEFT JOIN (SELECT symbol, count(*) AS n FROM quality_events WHERE ts >= %(from)s GROUP BY 1) events USING (symbol)
WHERE i.in_universe
ORDER BY i.universe_rank NULLS LAST, i.symbol
"""
_GAPS: LiteralString = """
SELECT * FROM data_gaps ORDER BY (status = 'open') DESC, found_at DESC, id DESC LIMIT 100
"""
_EVENTS: LiteralString = "SELECT * FROM quality_events ORDER BY ts DESC, id DESC LIMIT 100"
_EVENT_COUNT: LiteralString = "SELECT count(*) AS n FROM quality_events WHERE ts >= %(from)s"
_OPEN_GAPS: LiteralString = "SELECT count(*) AS n FROM data_gaps WHERE status = 'open'"
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


async def summary(conn: Connection, *, late_ms: int) -> DataQualityDTO:
    """The whole of it. ``late_ms``: a decision later than this after its bar's close counts as late."""
    newest = await (await conn.execute(_NEWEST)).fetchone()
    market: datetime | None = None if newest is None or newest["ts"] is None else newest["ts"] + _MINUTE
    # before the first bar there is no market time, and the 24 h are empty
    start, end = (None, None) if market is None else (market - _DAY, market)
    params = {"from": start, "to": end, "late_ms": late_ms}
    counted = await (await conn.execute(_EVENT_COUNT, params)).fetchone()
    rows = await (await conn.execute(_SYMBOLS, params)).fetchall()
    symbols = [_symbol(row, market) for row in rows]
    gaps = await (await conn.execute(_GAPS)).fetchall()
    events = await (await conn.execute(_EVENTS)).fetchall()
    open_gaps = await (await conn.execute(_OPEN_GAPS)).fetchone()
    expected = sum(symbol.expected_24h for symbol in symbols)
    missing = sum(symbol.missing_24h for symbol in symbols)
    return DataQualityDTO(
        market_ts=iso_at(market),
        missing_rate_24h=missing / expected if expected else None,
        open_gaps=0 if open_gaps is None else open_gaps["n"],
        quality_events_24h=0 if counted is None else counted["n"],
        symbols=symbols,
        gaps=[gap_dto(row) for row in gaps],
        events=[event_dto(row) for row in events],
    )


def _symbol(row: dict[str, Any], market: datetime | None) -> SymbolQuality:
    newest, oldest = row["newest_ts"], row["oldest_ts"]
    active = row["status"] == SymbolStatus.ACTIVE
    expected = 0
    if active and market is not None and oldest is not None:
        expected = int((market - max(market - _DAY, oldest)) / _MINUTE)
    missing = max(0, expected - row["bars"])
    return SymbolQuality(
        symbol=row["symbol"],
        status=row["status"],
        tradable=active,
        newest_ts=iso_at(newest),
        age_ms=None if newest is None or market is None else (market - newest - _MINUTE) / timedelta(milliseconds=1),
        bars_24h=row["bars"],
        expected_24h=expected,
        missing_24h=missing,
        missing_rate_24h=missing / expected if expected else None,
        open_gaps=row["open_gaps"],
        late_24h=row["late"],
        quality_events_24h=row["events"],
    )


def gap_dto(row: dict[str, Any]) -> GapDTO:
    """A row of ``data_gaps``."""
    return GapDTO(
        symbol=row["symbol"],
        dataset=row["dataset"],
        from_ts=iso_of(row["from_ts"]),
        to_ts=iso_of(row["to_ts"]),
        missing_bars=row["missing_bars"],
        repaired_bars=row["repaired_bars"],
        status=row["status"],
        source=row["source"],
        found_at=iso_of(row["found_at"]),
        repaired_at=iso_at(row["repaired_at"]),
    )


def event_dto(row: dict[str, Any]) -> QualityEventDTO:
    """A row of ``quality_events``."""
    return QualityEventDTO(
        ts=iso_of(row["ts"]),
        symbol=row["symbol"],
        code=row["code"],
        message=row["message"],
        details=row["details"],
    )
