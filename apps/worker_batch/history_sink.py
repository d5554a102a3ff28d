"""Where fetched history goes: at once to PostgreSQL, in months to the research store."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from numpy.typing import NDArray
from psycopg import sql

from packages.common.db import bulk_load, copy_sql, ensure_months, merge_sql, months_of, stage_name, stage_sql
from packages.common.pgcopy import HEADER, TRAILER
from packages.common.rows import copy_row, encode_row
from packages.common.store import ResearchStore
from packages.common.tables import table_spec
from services.collector.adapters.store import StoreSink


class TablesSink:
    """The collector's ``HistorySink`` on PostgreSQL: rows that are there stay. Work happens in a thread, one piece at a
    time."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn, self._lock = conn, asyncio.Lock()

    async def write_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows by name into an operational table, under its conflict rule."""
        async with self._lock:
            await asyncio.to_thread(upsert_rows, self._conn, table, rows)

    async def write_columns(self, dataset: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Columns of one symbol."""
        async with self._lock:
            await asyncio.to_thread(bulk_load, self._conn, dataset, {"symbol": symbol, **columns})


class StoresSink:
    """The collector's ``HistorySink`` on both stores. A page is safe when it is in PostgreSQL; what a killed run held
    back from the research store that takes from PostgreSQL (``market_store.sync_symbol``). Work happens in a thread,
    one piece at a time: the fetching goes on meanwhile."""

    def __init__(self, conn: psycopg.Connection[Any], store: ResearchStore, fresh: frozenset[tuple[str, str]]) -> None:
        """``fresh``: (dataset, symbol) with nothing stored yet, which load the fastest way."""
        self._conn, self._fresh = conn, fresh
        self._months = StoreSink(store)
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
        self._months.flush()

    def _write(self, dataset: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> None:
        empty = (dataset, symbol) in self._fresh
        bulk_load(self._conn, dataset, {"symbol": symbol, **columns}, assume_empty=empty)
        self._months.add(dataset, symbol, columns)


def upsert_rows(conn: psycopg.Connection[Any], table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with names into ``table`` in one transaction, under its conflict rule; the last of equal keys wins."""
    spec = table_spec(table)
    groups: dict[tuple[str, ...], list[bytes]] = {}
    for row in rows:
        shape, encoded = encode_row(spec, row)
        groups.setdefault(shape.names, []).append(copy_row(encoded))
    if spec.monthly and rows:
        with conn.transaction():
            ensure_months(conn, spec, months_of([row["ts"] for row in rows]))
    with conn.transaction(), conn.cursor() as cursor:
        for names, data in groups.items():
            stage = sql.Identifier(stage_name(spec, names))
            cursor.execute(stage_sql(spec, names))
            with cursor.copy(copy_sql(stage, names)) as copy:
                copy.write(HEADER + b"".join(data) + TRAILER)
            cursor.execute(merge_sql(spec, names))
            cursor.execute(sql.SQL("TRUNCATE {}").format(stage))
