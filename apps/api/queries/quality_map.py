"""Missing and late bars, symbols by time."""

from typing import LiteralString

import numpy as np

from apps.api.db import Connection
from apps.api.dto_pages import QualityMapOut, QualityRow
from apps.api.params import Span
from apps.api.queries.rows import ms_of
from packages.common.time import MINUTE_MS, to_datetime
from packages.common.types import SymbolStatus

BUCKETS_MAX = 48
_STEPS_MIN = (5, 15, 30, 60, 180, 360, 720, 1440)
_SYMBOLS: LiteralString = """
SELECT i.symbol, i.status, first.ts AS first_ts FROM instruments i
LEFT JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts LIMIT 1) first ON TRUE
WHERE i.in_universe ORDER BY i.universe_rank NULLS LAST, i.symbol
"""
_NEWEST: LiteralString = """
SELECT max(c.ts) AS ts FROM instruments i
CROSS JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts DESC LIMIT 1) c
"""
_BARS: LiteralString = """
SELECT symbol, ((extract(epoch FROM ts) * 1000)::bigint - %(start)s) / %(bucket)s AS bucket, count(*) AS n
FROM candles_1m WHERE ts >= %(from)s AND ts < %(to)s GROUP BY 1, 2
"""
_LATE: LiteralString = """
SELECT symbol, ((extract(epoch FROM ts) * 1000)::bigint - %(start)s) / %(bucket)s AS bucket, count(DISTINCT ts) AS n
FROM signals WHERE ts >= %(from)s AND ts < %(to)s AND late_ms > %(late_ms)s GROUP BY 1, 2
"""


def bucket_of(span_ms: int) -> int:
    """Milliseconds of a bucket: the shortest step with which the span has at most ``BUCKETS_MAX``."""
    for step in _STEPS_MIN:
        if span_ms <= step * MINUTE_MS * (BUCKETS_MAX - 1):
            return step * MINUTE_MS
    return _STEPS_MIN[-1] * MINUTE_MS


async def newest_ms(conn: Connection) -> int | None:
    """Open time of the newest bar of any symbol."""
    row = await (await conn.execute(_NEWEST)).fetchone()
    return None if row is None else ms_of(row["ts"])


async def quality_map(conn: Connection, span: Span, *, newest: int | None, late_ms: int) -> QualityMapOut:
    """Per symbol and bucket of ``span``. Nothing is expected after the ``newest`` bar, nor of what does not trade."""
    bucket = bucket_of(span.to_ms - span.from_ms)
    start = span.from_ms // bucket * bucket
    ts = np.arange(start, span.to_ms, bucket, dtype=np.int64)
    params = {
        "start": start,
        "bucket": bucket,
        "from": to_datetime(span.from_ms),
        "to": to_datetime(span.to_ms),
        "late_ms": late_ms,
    }
    symbols = await (await conn.execute(_SYMBOLS)).fetchall()
    place = {row["symbol"]: i for i, row in enumerate(symbols)}
    bars, late = (np.zeros((len(symbols), ts.size), dtype=np.int64) for _ in range(2))
    for query, into in ((_BARS, bars), (_LATE, late)):
        for row in await (await conn.execute(query, params)).fetchall():
            if row["symbol"] in place:
                into[place[row["symbol"]], int(row["bucket"])] = row["n"]
    rows = []
    for i, row in enumerate(symbols):
        first = ms_of(row["first_ts"])
        expected = np.zeros(ts.size, dtype=np.int64)
        if row["status"] == SymbolStatus.ACTIVE and first is not None and newest is not None:
            # of whole minutes that open within the span: one that opened just before it is not asked for
            opens = -(np.maximum(ts, max(span.from_ms, first)) // -MINUTE_MS) * MINUTE_MS
            closes = np.minimum(ts + bucket, min(span.to_ms, newest + MINUTE_MS))
            expected = np.maximum(0, (closes - opens + MINUTE_MS - 1) // MINUTE_MS)
        missing = np.maximum(0, expected - bars[i])
        rows.append(
            QualityRow(
                symbol=row["symbol"], expected=expected.tolist(), missing=missing.tolist(), late=late[i].tolist()
            )
        )
    return QualityMapOut(bucket_ms=bucket, ts=ts.tolist(), rows=rows)
