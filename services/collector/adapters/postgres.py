"""The sinks of the collector's jobs on PostgreSQL: columns through bulk COPY, rows through the batch writer."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from packages.common.db import bulk_load, connect
from packages.common.time import from_datetime
from packages.common.writer import BatchWriter
from packages.exchange.port import Columns
from services.collector.ports import Row

_SERIES = ("candles_1m", "mark_candles_1m", "index_candles_1m", "funding_rates", "open_interest")


class PostgresSink:
    """``HistorySink`` and ``RowSink``. ``async with``; one connection of its own, used by one load at a time."""

    def __init__(self, database_url: str, writer: BatchWriter) -> None:
        self._url, self._writer = database_url, writer
        self._lock = asyncio.Lock()
        self._conn: psycopg.Connection[Any] | None = None

    async def __aenter__(self) -> "PostgresSink":
        self._conn = await asyncio.to_thread(connect, self._url, autocommit=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conn is not None:
            await asyncio.to_thread(self._conn.close)

    async def write_columns(self, dataset: str, symbol: str, columns: Columns) -> None:
        """Load rows of one symbol; rows that are there stay as they are."""
        conn = self._open()
        names = np.full(len(columns["ts"]), symbol)
        async with self._lock:
            await asyncio.to_thread(bulk_load, conn, dataset, {"symbol": names, **columns}, assume_empty=True)

    async def write_rows(self, table: str, rows: Sequence[Row]) -> None:
        """Hand rows to the batch writer and wait until they are stored."""
        if rows:
            self._writer.put(table, rows)
            await self._writer.flush()

    async def stored_until(
        self, symbols: Sequence[str], datasets: Sequence[str] = _SERIES
    ) -> dict[tuple[str, str], int]:
        """Last stored time by (dataset, symbol); what has none is left out."""
        conn = self._open()
        async with self._lock:
            return await asyncio.to_thread(_stored_until, conn, symbols, datasets)

    def _open(self) -> psycopg.Connection[Any]:
        if self._conn is None:
            raise RuntimeError("PostgresSink: used outside its `async with`")
        return self._conn


def _stored_until(
    conn: psycopg.Connection[Any], symbols: Sequence[str], datasets: Sequence[str]
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for dataset in datasets:
        # One index lookup a symbol; max() grouped by symbol would read every partition.
        query = sql.SQL(
            "SELECT s, (SELECT ts FROM {} WHERE symbol = s ORDER BY ts DESC LIMIT 1) FROM unnest(%s::text[]) s"
        ).format(sql.Identifier(dataset))
        for symbol, ts in conn.execute(query, [list(symbols)]):
            if ts is not None:
                found[dataset, symbol] = from_datetime(ts)
    return found
