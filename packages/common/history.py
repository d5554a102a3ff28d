"""Stored minutes out of PostgreSQL as columns, fast: one binary COPY of fixed-width records, parsed by numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from packages.common.time import MINUTE_MS, to_datetime

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_HEADER_BYTES = 19  # signature, flags, length of the extension
MINUTE_COLUMNS = (
    *("open", "high", "low", "close", "volume", "quote_volume"),
    *("mark_open", "mark_high", "mark_low", "mark_close", "index_close"),
)
BAR_COLUMNS = (
    *("ts", "open", "high", "low", "close", "quote_volume"),
    *("mark_open", "mark_high", "mark_low", "mark_close", "index_close"),
)

_MINUTES = """
    SELECT c.ts, c.open, c.high, c.low, c.close, c.volume, c.quote_volume,
           m.open AS mark_open, m.high AS mark_high, m.low AS mark_low, m.close AS mark_close, i.close AS index_close
    FROM candles_1m c
    JOIN mark_candles_1m m ON m.symbol = c.symbol AND m.ts = c.ts
    LEFT JOIN index_candles_1m i ON i.symbol = c.symbol AND i.ts = c.ts
    WHERE c.symbol = %(symbol)s AND c.ts >= %(start)s AND c.ts < %(end)s
"""


def read_columns(
    conn: psycopg.Connection[Any], query: str, params: dict[str, Any], columns: Sequence[str]
) -> dict[str, I64 | F64]:
    """Columns of ``query`` ordered by its ``ts``: ``ts`` int64 epoch milliseconds, the others float64, NULL as NaN."""
    fields: list[sql.Composable] = [sql.SQL("(extract(epoch FROM q.ts) * 1000)::int8")]
    fields += [sql.SQL("coalesce(q.{}::float8, 'NaN')").format(sql.Identifier(name)) for name in columns]
    statement = sql.SQL("COPY (SELECT {} FROM ({}) q ORDER BY q.ts) TO STDOUT (FORMAT binary)").format(
        sql.SQL(", ").join(fields),
        sql.SQL(query),
    )
    parts: list[bytes] = []
    with conn.cursor() as cursor, cursor.copy(statement, params) as copy:
        parts.extend(bytes(block) for block in copy)
    layout: list[tuple[str, str]] = [("n", ">i2"), ("l_ts", ">i4"), ("ts", ">i8")]
    for name in columns:
        layout += [("l_" + name, ">i4"), (name, ">f8")]
    payload = b"".join(parts)[_HEADER_BYTES:-2]
    records = np.frombuffer(payload, dtype=np.dtype(layout))
    out: dict[str, I64 | F64] = {"ts": records["ts"].astype(np.int64)}
    for name in columns:
        out[name] = records[name].astype(np.float64)
    return out


def read_minutes(conn: psycopg.Connection[Any], symbol: str, start_ms: int, end_ms: int) -> dict[str, I64 | F64]:
    """Candle, mark and index close of ``symbol`` with ``start_ms <= ts < end_ms``, in time order.

    ``ts`` and ``MINUTE_COLUMNS``; ``index_close`` is NaN where unknown. A candle without a mark bar is not a minute.
    """
    params = {"symbol": symbol, "start": to_datetime(start_ms), "end": to_datetime(end_ms)}
    return read_columns(conn, _MINUTES, params, MINUTE_COLUMNS)


def read_settlements(conn: psycopg.Connection[Any], symbol: str, start_ms: int, end_ms: int) -> tuple[I64, F64]:
    """Settled funding with ``start_ms <= ts <= end_ms``: times (whole minutes) and rates.

    A settlement that was given up (``data_gaps``) is left out even if its rate came later: its minute was decided
    without it, and a fold of what is stored must find what was decided.
    """
    query = """
        SELECT f.ts, f.funding_rate FROM funding_rates f
        WHERE f.symbol = %(symbol)s AND f.ts >= %(start)s AND f.ts <= %(end)s AND NOT EXISTS (
            SELECT FROM data_gaps g WHERE g.symbol = f.symbol AND g.dataset = 'funding_rates'
            AND g.status = 'unavailable' AND f.ts BETWEEN g.from_ts AND g.to_ts)
    """
    params = {"symbol": symbol, "start": to_datetime(start_ms), "end": to_datetime(end_ms)}
    columns = read_columns(conn, query, params, ("funding_rate",))
    return columns["ts"].astype(np.int64), columns["funding_rate"].astype(np.float64)


def settled_rates(bar_ts: I64, settled_ts: I64, rates: F64, after_ms: int | None = None) -> F64:
    """Per bar ``(n,)`` the last rate settled in (close of the previous bar, close of this bar], NaN where none.

    ``bar_ts`` ascending open times; ``after_ms`` is the close of the bar before the first, by default its open: no
    minute is missing between them. Settlements must be ascending whole minutes.
    """
    if bar_ts.size == 0:
        return np.empty(0)
    close = bar_ts + MINUTE_MS
    previous = np.concatenate(([bar_ts[0] if after_ms is None else after_ms], close[:-1]))
    last = np.searchsorted(settled_ts, close, side="right") - 1
    first = np.searchsorted(settled_ts, previous, side="right")
    out = np.full(bar_ts.size, np.nan)
    found = last >= first
    out[found] = rates[last[found]]
    return out


def read_bars(conn: psycopg.Connection[Any], symbol: str, start_ms: int, end_ms: int) -> F64:
    """Stored minutes as a fold takes them, ``(n, 12)``: ts, OHLC, quote volume, mark OHLC, index close, settled rate.

    The order is ``services.features.kernel.BAR_FIELDS`` (a test holds them together). A ``start_ms`` > 0 is the close
    of the bar before: what settled since belongs to the first bar, also across missing minutes.
    """
    minutes = read_minutes(conn, symbol, start_ms, end_ms)
    ts = minutes["ts"].astype(np.int64)
    settled_ts, rates = read_settlements(conn, symbol, start_ms, end_ms)
    columns = [minutes[name] for name in BAR_COLUMNS] + [settled_rates(ts, settled_ts, rates, start_ms or None)]
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
