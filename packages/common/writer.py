"""The batch writer (D7): rows in, one transaction a flush, nothing lost while the database is away.

``put`` never waits. Everything queued at a flush goes into one transaction in foreign-key order: one INSERT … ON
CONFLICT a table, its rows as one binary array a column, all of them sent before the first answer is awaited. While the
database is away each flush goes to disk instead (``spill``) and is replayed first, in order, when it is back or at the
next start. Rows may be written twice (a lost connection during a commit): the conflict rules make that harmless.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from packages.common.db import connect_async, first_line, insert_sql
from packages.common.errors import StoreUnavailableError
from packages.common.rows import Encoded, Row, arrays, decode_row, encode_row, months_of_rows
from packages.common.spill import Batch, Spill
from packages.common.tables import WRITE_ORDER, table_spec
from packages.common.time import monotonic_ms

log = logging.getLogger(__name__)

_LOST = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, StoreUnavailableError)
_REFUSED = (psycopg.DataError, psycopg.IntegrityError)
_BACKOFF_MS = (100.0, 2_000.0)


@dataclass(frozen=True, slots=True)
class WriterMetrics:
    """``lag_ms``: age of the oldest row that is not in the database yet; ``queued_rows``: in memory and on disk."""

    queued_rows: int
    lag_ms: float
    rows_per_s: float
    written_rows: int
    refused_rows: int
    spilled_bytes: int
    flush_ms: float
    database_ok: bool
    last_error: str | None


class BatchWriter:
    """One per process and folder: ``async with BatchWriter(url, folder) as writer: writer.put("candles_1m", rows)``."""

    def __init__(
        self,
        url: str,
        spill_folder: Path,
        *,
        flush_interval_ms: int = 1000,
        flush_rows: int = 5_000,
        memory_rows: int = 2_000_000,
        on_refused: Callable[[str, dict[str, Any], str], None] | None = None,
    ) -> None:
        """``on_refused(table, row, reason)`` hears of rows the database will never take; each is also kept in
        ``spill_folder/refused.jsonl``. ``memory_rows`` bounds what is held when not even the disk takes it."""
        self._url, self._folder = url, spill_folder
        self._interval_s = flush_interval_ms / 1e3
        self._flush_rows, self._memory_rows = flush_rows, memory_rows
        self._on_refused = on_refused
        self._spill: Spill | None = None
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._months: set[tuple[str, date]] = set()
        self._queue: list[Batch] = []
        self._memory = self._on_disk = 0  # rows
        self._oldest_memory_ms: float | None = None
        self._oldest_disk_ms: float | None = None
        self._put_count = self._done_count = 0  # calls of put, and of them those whose rows are in the database
        self._wake, self._done = asyncio.Event(), asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._error: str | None = None
        self._retry_at_ms, self._backoff_ms = 0.0, _BACKOFF_MS[0]
        self._written = self._refused = 0
        self._rate = self._flush_ms = 0.0
        self._last_write_ms = 0.0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Begin flushing; rows an earlier run left on disk go first. Raises StoreUnavailableError when the folder is
        in use by another process."""
        self._spill = Spill(self._folder)
        if self._spill.segments():
            self._oldest_disk_ms = monotonic_ms()
            self._put_count += 1  # so that flush() waits for them too
        self._last_write_ms = monotonic_ms()
        self._task = asyncio.create_task(self._run(), name="batch-writer")

    # --- in ---------------------------------------------------------------------------------------------------------

    def put(self, table: str, rows: Iterable[Row]) -> None:
        """Queue rows and return at once. A row is a mapping, or a sequence in the order of the table's spec.

        Mappings may leave out columns that are nullable or have a default; on a conflict in an ``update`` table only
        the columns brought are changed. Times are epoch milliseconds or aware datetimes; JSON columns take a JSON
        value or its bytes; NaN in a nullable column is NULL. Raises InvalidInputError for what can never be stored
        (nothing of the call is queued then), StoreUnavailableError when database, disk and memory are all full.
        """
        spec = table_spec(table)
        batches: list[Batch] = []
        count = 0
        for row in rows:
            shape, encoded = encode_row(spec, row)
            if not batches or batches[-1].columns != shape.names:
                batches.append(Batch(table, shape.names, []))
            batches[-1].rows.append(encoded)
            count += 1
        if not count:
            return
        if self._memory + count > self._memory_rows:
            raise StoreUnavailableError(
                f"{table}: {self._memory} rows wait and neither the database nor the disk takes them: {self._error}"
            )
        self._queue += batches
        self._memory += count
        self._put_count += 1
        if self._oldest_memory_ms is None:
            self._oldest_memory_ms = monotonic_ms()
        if self._memory >= self._flush_rows:
            self._wake.set()

    async def flush(self, timeout_s: float | None = None) -> None:
        """Return when everything put before is in the database. Raises StoreUnavailableError after ``timeout_s``."""
        target = self._put_count
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s), self._done:
                await self._done.wait_for(lambda: self._done_count >= target)
        except TimeoutError as exc:
            raise StoreUnavailableError(f"rows are not in the database after {timeout_s} s: {self._error}") from exc

    async def aclose(self, timeout_s: float = 10.0) -> None:
        """Write what is queued; what the database does not take within ``timeout_s`` is kept on disk."""
        if self._task is None or self._spill is None:
            return
        with contextlib.suppress(StoreUnavailableError):
            await self.flush(timeout_s if self._error is None else min(timeout_s, 1.0))
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        await self._disconnect()
        try:
            if self._queue:
                self._spill.append(self._queue)
        finally:
            self._spill.close()

    @property
    def metrics(self) -> WriterMetrics:
        """Figures of this moment; cheap enough for every heartbeat."""
        oldest = min((at for at in (self._oldest_memory_ms, self._oldest_disk_ms) if at is not None), default=None)
        return WriterMetrics(
            queued_rows=self._memory + self._on_disk,
            lag_ms=0.0 if oldest is None else monotonic_ms() - oldest,
            rows_per_s=self._rate,
            written_rows=self._written,
            refused_rows=self._refused,
            spilled_bytes=self._spill.size_bytes if self._spill and self._oldest_disk_ms is not None else 0,
            flush_ms=self._flush_ms,
            database_ok=self._error is None,
            last_error=self._error,
        )

    # --- the loop ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._wake.wait()
            self._wake.clear()
            try:
                if self._error is not None and monotonic_ms() < self._retry_at_ms:
                    self._keep_on_disk()
                    await asyncio.sleep(0.02)
                    self._wake.set()  # someone may wait in flush()
                    continue
                await self._drain()
                if self._error is not None:
                    log.warning("database_back")
                self._error, self._backoff_ms = None, _BACKOFF_MS[0]
            except (*_LOST, OSError) as exc:
                self._note_loss(first_line(exc))
                await self._disconnect()
            except (
                psycopg.Error
            ) as exc:  # the database answers but not as this code expects: keep the rows, keep trying
                log.exception("flush_failed")
                self._note_loss(first_line(exc))
                await self._disconnect()

    def _note_loss(self, reason: str) -> None:
        if self._error is None:
            log.warning("database_lost: %s", reason)
        self._error = reason
        self._retry_at_ms = monotonic_ms() + self._backoff_ms
        self._backoff_ms = min(self._backoff_ms * 2, _BACKOFF_MS[1])
        self._keep_on_disk()

    def _keep_on_disk(self) -> None:
        """Move the memory queue behind what is on disk already; when the disk refuses, it stays in memory."""
        assert self._spill is not None
        if not self._queue:
            return
        try:
            self._spill.append(self._queue)
        except OSError as exc:
            self._error = f"{self._error or 'spill'}; the disk takes nothing either: {exc}"
            return
        if self._oldest_disk_ms is None:
            self._oldest_disk_ms = self._oldest_memory_ms
        self._on_disk += self._memory
        self._queue, self._memory, self._oldest_memory_ms = [], 0, None

    async def _drain(self) -> None:
        """Disk first, then memory: rows enter in the order they were put."""
        assert self._spill is not None
        started = monotonic_ms()
        target = self._put_count
        if self._spill.segments():
            await self._connection()  # before a segment is sealed: an outage is one segment, not one a retry
            self._keep_on_disk()
            await self._replay()
        if self._queue:
            target = self._put_count
            await self._write_queue()
            self._flush_ms = monotonic_ms() - started
        async with self._done:
            self._done_count = target
            self._done.notify_all()

    async def _write_queue(self) -> None:
        taken, rows, oldest = self._queue, self._memory, self._oldest_memory_ms
        self._queue, self._oldest_memory_ms = [], None
        try:
            await self._write(taken)
        except BaseException:  # a cancellation too: aclose keeps them on disk
            self._queue = taken + self._queue
            self._oldest_memory_ms = oldest
            raise
        self._memory -= rows

    async def _replay(self) -> None:
        assert self._spill is not None
        for segment in self._spill.segments():
            self._spill.seal()
            pending: list[Batch] = []
            rows = 0
            for batch in self._spill.read(segment):
                pending.append(batch)
                rows += len(batch.rows)
                if rows >= self._flush_rows:
                    await self._write(pending)
                    pending, rows = [], 0
            if pending:
                await self._write(pending)
            self._spill.remove(segment)
        self._on_disk, self._oldest_disk_ms = 0, None

    # --- one transaction --------------------------------------------------------------------------------------------

    async def _write(self, batches: list[Batch]) -> None:
        conn = await self._connection()
        groups = merge_batches(batches)
        for group in groups:
            await self._open_months(conn, group)
        try:
            async with conn.pipeline():  # up to its end one transaction of the server's: it commits all or nothing
                for group in groups:
                    await _insert(conn, group)
        except _REFUSED:
            refused: list[tuple[Batch, str]] = []
            async with conn.transaction():
                for group in groups:
                    refused += await _insert_what_fits(conn, group)
            self._report(refused)
        rows = sum(len(batch.rows) for batch in batches)
        now = monotonic_ms()
        self._written += rows
        share = min(1.0, (now - self._last_write_ms) / 10_000)  # a moving rate over about ten seconds
        self._rate += share * (rows * 1e3 / max(1.0, now - self._last_write_ms) - self._rate)
        self._last_write_ms = now

    async def _open_months(self, conn: psycopg.AsyncConnection[Any], group: Batch) -> None:
        """Partitions, outside the transaction: they must outlive its failure and lock briefly."""
        spec = table_spec(group.table)
        if spec.monthly:
            for month in months_of_rows(group.columns, group.rows):
                if (spec.name, month) not in self._months:
                    await conn.execute("SELECT ensure_month(%s, %s)", (spec.name, month))
                    self._months.add((spec.name, month))

    def _report(self, refused: list[tuple[Batch, str]]) -> None:
        with (self._folder / "refused.jsonl").open("ab") as file:
            for batch, reason in refused:
                row = decode_row(table_spec(batch.table), batch.columns, batch.rows[0])
                log.error("row_refused: %s %s", batch.table, reason)
                file.write(orjson.dumps({"table": batch.table, "reason": reason, "row": row}) + b"\n")
                self._refused += 1
                if self._on_refused:
                    self._on_refused(batch.table, row, reason)

    async def _connection(self) -> psycopg.AsyncConnection[Any]:
        if self._conn is None or self._conn.closed:
            self._conn = await connect_async(self._url, autocommit=True, timeout_s=5)
            self._conn.adapters.register_dumper(_Array, _ArrayDumper)
            self._months.clear()
        return self._conn

    async def _disconnect(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._conn.close()
            self._conn = None


def merge_batches(batches: list[Batch]) -> list[Batch]:
    """Batches in foreign-key order, neighbours of one shape joined, in ``update`` tables the last row of a key kept."""
    groups: list[Batch] = []
    for batch in sorted(batches, key=lambda b: WRITE_ORDER[b.table]):  # stable: order within a table stays
        if groups and (groups[-1].table, groups[-1].columns) == (batch.table, batch.columns):
            groups[-1].rows.extend(batch.rows)
        else:
            groups.append(Batch(batch.table, batch.columns, list(batch.rows)))
    return [Batch(g.table, g.columns, _last_of_a_key(g)) for g in groups]


def _last_of_a_key(group: Batch) -> list[Encoded]:
    spec = table_spec(group.table)
    if spec.on_conflict == "nothing":
        return group.rows
    key = [group.columns.index(name) for name in spec.key if name in group.columns]
    return list({tuple(row[i] for i in key): row for row in group.rows}.values())


class _Array(bytes):
    """An array in binary form, of the type the statement says."""


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        return obj


@cache
def _statement(table: str, columns: tuple[str, ...]) -> str:
    """Text: composing it anew took as long as running it."""
    return insert_sql(table_spec(table), columns).as_string(None)


async def _insert(conn: psycopg.AsyncConnection[Any], group: Batch) -> None:
    columns = arrays(table_spec(group.table), group.columns, group.rows)
    await conn.execute(_statement(group.table, group.columns), [_Array(data) for data in columns], prepare=True)


async def _insert_what_fits(conn: psycopg.AsyncConnection[Any], group: Batch) -> list[tuple[Batch, str]]:
    """Insert the group, halving it around rows the database refuses; returns those, one a batch, with the reason."""
    try:
        async with conn.transaction():  # a savepoint
            await _insert(conn, group)
    except _REFUSED as exc:
        if len(group.rows) == 1:
            return [(group, f"{type(exc).__name__}: {str(exc).strip()}")]
        middle = len(group.rows) // 2
        return [
            refused
            for part in (group.rows[:middle], group.rows[middle:])
            for refused in await _insert_what_fits(conn, Batch(group.table, group.columns, part))
        ]
    return []


__all__ = ["BatchWriter", "Encoded", "Row", "WriterMetrics", "merge_batches"]
