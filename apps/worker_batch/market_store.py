"""What the batch side reads of the operational store: what is there, what is new, what time it is."""

from collections.abc import Sequence
from typing import Any

import psycopg

from packages.common.history import read_columns
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS, from_datetime, to_datetime
from services.training.market import CANDLES, FUNDING, INDEX, MARK, MARKET_COLUMNS, VERSION

OVERLAP_MS = 3 * DAY_MS  # late repairs land in the past: the newest days are compared again
_SERIES = (CANDLES, MARK, INDEX)
_ALL = (*_SERIES, FUNDING, "open_interest")


def sync_symbol(conn: psycopg.Connection[Any], store: ResearchStore, symbol: str) -> dict[str, int]:
    """Rows of PostgreSQL that are newer than the store's, or were repaired in its newest days; returns the new rows per
    dataset. Final rows never change (D41), so older months are left alone."""
    added = {}
    for dataset, names in MARKET_COLUMNS.items():
        covered = store.coverage(dataset, VERSION, symbol)
        start_ms = covered.last_ts_ms - OVERLAP_MS if covered else 0
        query = (
            f"SELECT {', '.join(('ts', *names))} FROM {dataset} "  # noqa: S608 - our own names
            "WHERE symbol = %(symbol)s AND ts >= %(start)s"
        )
        rows = read_columns(conn, query, {"symbol": symbol, "start": to_datetime(start_ms)}, names)
        added[dataset] = store.write(dataset, VERSION, symbol, rows) if rows["ts"].size else 0
    return added


def newest_minute_ms(conn: psycopg.Connection[Any]) -> int | None:
    """Close of the newest stored candle: market time as the batch side knows it. None before the first."""
    row = conn.execute("SELECT max(ts) FROM candles_1m").fetchone()
    return from_datetime(row[0]) + MINUTE_MS if row and row[0] else None


def stored_until(
    conn: psycopg.Connection[Any], symbols: Sequence[str], start_ms: int
) -> tuple[dict[tuple[str, str], int], frozenset[tuple[str, str]]]:
    """Where a bootstrap from ``start_ms`` may go on, by (dataset, symbol), and which of them have nothing at all.

    A symbol whose candles begin after ``start_ms`` is fetched from the start: earlier history was asked for this time.
    """
    resume: dict[tuple[str, str], int] = {}
    empty = set()
    for symbol in symbols:
        found = {}
        for dataset in _ALL:
            query = f"SELECT min(ts), max(ts) FROM {dataset} WHERE symbol = %s"  # noqa: S608 - our own names
            row = conn.execute(query, (symbol,)).fetchone()
            if row is None or row[0] is None:
                empty.add((dataset, symbol))
            else:
                found[dataset] = (from_datetime(row[0]), from_datetime(row[1]))
        for dataset, (first, last) in found.items():
            reaches_back = found.get(dataset if dataset in _SERIES else CANDLES, (first,))[0] <= start_ms
            if reaches_back:
                resume[dataset, symbol] = last + (MINUTE_MS if dataset in _SERIES else 1)
    return resume, frozenset(empty)
