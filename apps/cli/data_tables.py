"""From the research store into the tables of the desk: what they lack of the series that were brought in."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import psycopg

from packages.common.db import bulk_load
from packages.common.errors import InvalidInputError
from packages.common.history import read_columns
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, to_datetime
from services.collector.archive import STORED_COLUMNS
from services.training.market import VERSION

Series = tuple[str, str]  # dataset, symbol


def require_known(conn: psycopg.Connection[Any], symbols: Iterable[str]) -> None:
    """Refuse symbols that the desk has no instrument of: its tables could not hold them."""
    known = {row[0] for row in conn.execute("SELECT symbol FROM instruments")}
    if unknown := sorted(set(symbols) - known):
        raise InvalidInputError("--to-tables", unknown, "symbols of the desk's universe, which its exchange names")


def load_tables(
    conn: psycopg.Connection[Any],
    store: ResearchStore,
    series: Iterable[Series],
    *,
    keep_days: int,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Rows by dataset that were new to the tables. A row that a table has stays (D41). Of a series nothing is taken
    that lies more than ``keep_days`` before its end: retention would drop it."""
    wanted, added = sorted(set(series)), dict[str, int]()
    for number, (dataset, symbol) in enumerate(wanted):
        progress(number / len(wanted), f"{symbol} {dataset}")
        covered = store.coverage(dataset, VERSION, symbol)
        if covered is None:
            continue
        start_ms = covered.last_ts_ms - keep_days * DAY_MS
        rows = store.read(dataset, VERSION, symbol, STORED_COLUMNS[dataset], from_ts_ms=start_ms)
        query = f"SELECT ts FROM {dataset} WHERE symbol = %(symbol)s AND ts >= %(start)s"  # noqa: S608 - our own names
        held = read_columns(conn, query, {"symbol": symbol, "start": to_datetime(max(0, start_ms))}, ())["ts"]
        new = ~np.isin(rows["ts"], held.astype(np.int64))
        columns = {name: values[new] for name, values in rows.items()}
        added[dataset] = added.get(dataset, 0) + bulk_load(conn, dataset, {"symbol": symbol, **columns})
    progress(1.0, "done")
    return added
