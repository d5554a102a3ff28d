"""Where fetched history goes: at once to PostgreSQL, in months to the research store."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from packages.common.db import bulk_load, copy_sql, ensure_months, merge_sql, months_of, stage_name, stage_sql
from packages.common.pgcopy import HEADER, TRAILER
from packages.common.rows import encode_row
from packages.common.store import ResearchStore
from packages.common.tables import table_spec
from services.training.market import MARKET_COLUMNS, VERSION

_BUFFER_ROWS = 31 * 1440


class StoresSink:
    """The collector's ``HistorySink`` on both stores. A page is safe when it is in PostgreSQL; the research store gets
    whole months, because each of its writes rewrites a month, and what a killed run held back it takes from PostgreSQL
    (``market_store.sync_symbol``). Work happens in a thread, one piece at a time: the fetching goes on meanwhile."""

    def __init__(self, conn: psycopg.Connection[Any], store: ResearchStore, fresh: frozenset[tuple[str, str]]) -> None:
        """``fresh``: (dataset, symbol) with nothing stored yet, which load the fastest way."""
        self._conn, self._store, self._fresh = conn, store, fresh
        self._held: dict[tuple[str, str], list[Mapping[str, NDArray[Any]]]] = {}
        self._lock = asyncio.Lock()

    async def write_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows by name into an operational table, under its conflict rule."""
        async with self._lock:
            await asyncio.to_thread(upsert_rows, self._conn, table, rows)

    async def write_columns(self, dataset: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Columns of one symbol into both stores."""
        async with self._lock:
            await asyncio.to_thread(self._write, dataset, symbol, columns)

    def flush(self) -> None:
        """Bring what is held back to the research store."""
        for dataset, symbol in list(self._held):
            self._to_store(dataset, symbol)

    def _write(self, dataset: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> None:
        key = (dataset, symbol)
        bulk_load(self._conn, dataset, {"symbol": symbol, **columns}, assume_empty=key in self._fresh)
        if dataset not in MARKET_COLUMNS:
            return
        self._held.setdefault(key, []).append(columns)
        if sum(part["ts"].size for part in self._held[key]) >= _BUFFER_ROWS:
            self._to_store(dataset, symbol)

    def _to_store(self, dataset: str, symbol: str) -> None:
        parts = self._held.pop((dataset, symbol))
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._store.write(dataset, VERSION, symbol, as_stored(dataset, whole))


def as_stored(dataset: str, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The dataset's columns as float64, NaN where a source has none: a row in one store equals the row in the other."""
    out: dict[str, NDArray[Any]] = {"ts": columns["ts"].astype(np.int64)}
    for name in MARKET_COLUMNS[dataset]:
        given = columns.get(name)
        out[name] = np.full(out["ts"].size, np.nan) if given is None else np.asarray(given, np.float64)
    return out


def upsert_rows(conn: psycopg.Connection[Any], table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with names into ``table`` in one transaction, under its conflict rule; the last of equal keys wins."""
    spec = table_spec(table)
    groups: dict[tuple[str, ...], list[bytes]] = {}
    for row in rows:
        shape, encoded = encode_row(spec, row)
        groups.setdefault(shape.names, []).append(encoded.data)
    if spec.monthly and rows:
        with conn.transaction():
            ensure_months(conn, spec, months_of([row["ts"] for row in rows]))
    with conn.transaction(), conn.cursor() as cursor:
        for names, data in groups.items():
            cursor.execute(stage_sql(spec, names))
            with cursor.copy(copy_sql(sql.Identifier(stage_name(spec, names)), names)) as copy:
                copy.write(HEADER + b"".join(data) + TRAILER)
            cursor.execute(merge_sql(spec, names, deduplicate=True))
