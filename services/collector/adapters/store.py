"""The sink of the collector's jobs on the research store: columns in whole months, rows as JSON objects."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import StoreUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import iso
from packages.exchange.port import Columns
from services.collector.archive import STORED_COLUMNS
from services.collector.ports import HistorySink, Row
from services.training.market import VERSION

_BUFFER_ROWS = 31 * 1440


class StoreSink:
    """``HistorySink`` on Parquet. A write rewrites a month, so rows are held back until there is about a month of them;
    ``flush`` brings the rest. What a killed run held back is asked for again, since the store itself says what it has.
    """

    def __init__(self, store: ResearchStore) -> None:
        self._store = store
        self._held: dict[tuple[str, str], list[Mapping[str, NDArray[Any]]]] = {}
        self._lock = asyncio.Lock()

    async def write_columns(self, dataset: str, symbol: str, columns: Columns) -> None:
        """Take rows of one symbol; work happens in a thread, so that the fetching goes on meanwhile."""
        async with self._lock:
            await asyncio.to_thread(self.add, dataset, symbol, columns)

    async def write_rows(self, table: str, rows: Sequence[Row]) -> None:
        """``data_gaps`` into the gap book of each symbol, anything else as ``contracts/<table>-<day>.json``."""
        if rows:
            async with self._lock:
                await asyncio.to_thread(self._note, table, rows)

    def add(self, dataset: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Hold rows, and write them when there is about a month."""
        key = (dataset, symbol)
        self._held.setdefault(key, []).append(columns)
        if sum(part["ts"].size for part in self._held[key]) >= _BUFFER_ROWS:
            self._write(*key)

    def flush(self) -> None:
        """Write what is held back."""
        for key in list(self._held):
            self._write(*key)

    def _write(self, dataset: str, symbol: str) -> None:
        parts = self._held.pop((dataset, symbol))
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._store.write(dataset, VERSION, symbol, as_stored(dataset, whole))

    def _note(self, table: str, rows: Sequence[Row]) -> None:
        if table == "data_gaps":
            add_gaps(self._store, rows)
            return
        key = f"contracts/{table}-{iso(int(rows[0]['taken_at']))[:10]}.json"
        known = _object(self._store, key)
        for row in rows:
            known[str(row["symbol"])] = dict(row)
        self._store.put_object(key, json.dumps(known, default=str).encode())


class FanOut:
    """Everything to several sinks, one after the other; safe when all of them are."""

    def __init__(self, *sinks: HistorySink) -> None:
        self._sinks = sinks

    async def write_columns(self, dataset: str, symbol: str, columns: Columns) -> None:
        for sink in self._sinks:
            await sink.write_columns(dataset, symbol, columns)

    async def write_rows(self, table: str, rows: Sequence[Row]) -> None:
        for sink in self._sinks:
            await sink.write_rows(table, rows)


def as_stored(dataset: str, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The dataset's columns as float64, NaN where a source has none: a row in one store equals the row in the other."""
    out: dict[str, NDArray[Any]] = {"ts": columns["ts"].astype(np.int64)}
    for name in STORED_COLUMNS[dataset]:
        given = columns.get(name)
        out[name] = np.full(out["ts"].size, np.nan) if given is None else np.asarray(given, np.float64)
    return out


def add_gaps(store: ResearchStore, rows: Sequence[Row]) -> None:
    """Rows of ``data_gaps`` into ``gaps/<SYMBOL>.json``, under that table's rule: one a (dataset, from_ts)."""
    for symbol in sorted({str(row["symbol"]) for row in rows}):
        book = {(row["dataset"], row["from_ts"]): row for row in read_gaps(store, symbol)}
        book |= {(row["dataset"], row["from_ts"]): dict(row) for row in rows if row["symbol"] == symbol}
        ordered = [book[key] for key in sorted(book)]
        store.put_object(f"gaps/{symbol}.json", json.dumps({"gaps": ordered}, indent=1).encode())


def read_gaps(store: ResearchStore, symbol: str) -> list[dict[str, Any]]:
    """The gap book of a symbol: rows of ``data_gaps``, times in epoch milliseconds."""
    found: list[dict[str, Any]] = _object(store, f"gaps/{symbol}.json").get("gaps", [])
    return found


def _object(store: ResearchStore, key: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(store.get_object(key))
    except StoreUnavailableError:
        return {}
    return found
