"""The research store (D4): Parquet behind fsspec, ``<dataset>/<version>/<symbol>/<YYYY-MM>.parquet``.

A file is one UTC month of one symbol, sorted by ``ts``, one row a ``ts``. Files appear whole or not at all.
``version`` is the schema version or the spec hash that made the rows. Any number of readers; writers of one (dataset,
version, symbol) take turns by a lock on its folder, on an object store there must be one at a time.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from numpy.typing import ArrayLike, NDArray

from packages.common.errors import InvalidInputError, SchemaMismatchError, StoreUnavailableError

_HASH_KEY = b"content_sha256"
_TS = pa.timestamp("ms", tz="UTC")
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """``first_ts_ms`` and ``last_ts_ms`` are opens of rows that exist; between them rows may be missing."""

    rows: int
    first_ts_ms: int
    last_ts_ms: int
    months: tuple[str, ...]


class ResearchStore:
    """``ResearchStore("file:///var/store")`` or ``ResearchStore("s3://bucket/prefix", endpoint_url=…)``."""

    def __init__(self, url: str, **options: Any) -> None:
        try:
            self._fs, self._root = url_to_fs(url, **options)
        except (ValueError, ImportError) as exc:
            raise InvalidInputError("store_url", url, f"an fsspec address such as file:///… or s3://… ({exc})") from exc
        self._local = self._fs.protocol in ("file", ("file", "local"))
        self._url = url

    # --- tables of rows ---------------------------------------------------------------------------------------------

    def write(self, dataset: str, version: str, symbol: str, columns: Mapping[str, ArrayLike]) -> int:
        """Merge rows in; returns how many rows are new. Of two rows with one ``ts`` the one written last stays.

        ``columns``: arrays of one length, among them ``ts`` (int64 epoch milliseconds). Columns of a month are those
        of its first write. A month whose rows do not change is not rewritten.
        """
        for word in (dataset, version, symbol):
            _check_name(word)
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        if arrays.get("ts", np.empty(0)).dtype != np.int64:
            raise InvalidInputError("ts", arrays.get("ts", np.empty(0)).dtype, "int64 epoch milliseconds")
        lengths = {name: a.shape for name, a in arrays.items()}
        if len(set(lengths.values())) != 1 or arrays["ts"].ndim != 1:
            raise InvalidInputError("columns", lengths, "one-dimensional arrays of one length")
        months = arrays["ts"].astype("datetime64[ms]").astype("datetime64[M]")
        added = 0
        with self._alone(dataset, version, symbol):
            for month in np.unique(months):
                chosen = months == month
                part = {name: a[chosen] for name, a in arrays.items()}
                added += self._merge_month(self._path(dataset, version, symbol, str(month)), part)
        return added

    def read(
        self,
        dataset: str,
        version: str,
        symbol: str,
        columns: Sequence[str] | None = None,
        *,
        from_ts_ms: int | None = None,
        to_ts_ms: int | None = None,
    ) -> Columns:
        """Columns (all, or those named; ``ts`` is always among them) of ``from_ts_ms <= ts < to_ts_ms``, by ``ts``.

        Missing values of float columns are NaN. No rows: empty arrays. Raises InvalidInputError for an unknown column.
        """
        names = None if columns is None else list(dict.fromkeys(["ts", *columns]))
        parts = []
        for month in self._months(dataset, version, symbol):
            if (from_ts_ms is not None and _next_month_ms(month) <= from_ts_ms) or (
                to_ts_ms is not None and _month_ms(month) >= to_ts_ms
            ):
                continue
            parts.append(self._read_file(self._path(dataset, version, symbol, month), names))
        if not parts:
            return {name: np.empty(0, np.int64 if name == "ts" else np.float64) for name in names or ["ts"]}
        whole = parts[0] if len(parts) == 1 else {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        low = 0 if from_ts_ms is None else int(np.searchsorted(whole["ts"], from_ts_ms))
        high = whole["ts"].size if to_ts_ms is None else int(np.searchsorted(whole["ts"], to_ts_ms))
        return {name: values[low:high] for name, values in whole.items()}

    def symbols(self, dataset: str, version: str) -> tuple[str, ...]:
        """Symbols with at least one month."""
        return tuple(name for name in self._names(f"{dataset}/{version}") if self._months(dataset, version, name))

    def versions(self, dataset: str) -> tuple[str, ...]:
        """Versions of a dataset that were written."""
        return tuple(self._names(dataset))

    def coverage(self, dataset: str, version: str, symbol: str) -> Coverage | None:
        """What is there of a symbol, from the files' footers alone; None when nothing is."""
        months = self._months(dataset, version, symbol)
        if not months:
            return None
        rows, lows, highs = 0, [], []
        for month in months:
            with self._open(self._path(dataset, version, symbol, month)) as file:
                meta = pq.ParquetFile(file).metadata
            rows += meta.num_rows
            index = meta.schema.names.index("ts")
            for group in range(meta.num_row_groups):
                statistics = meta.row_group(group).column(index).statistics
                lows.append(int(statistics.min.timestamp() * 1e3))
                highs.append(int(statistics.max.timestamp() * 1e3))
        return Coverage(rows, min(lows), max(highs), months)

    def content_hashes(self, dataset: str, version: str, symbol: str) -> dict[str, str]:
        """SHA-256 of each month's names, types and values: equal rows, equal hash, whoever wrote the file."""
        out = {}
        for month in self._months(dataset, version, symbol):
            with self._open(self._path(dataset, version, symbol, month)) as file:
                out[month] = pq.ParquetFile(file).schema_arrow.metadata[_HASH_KEY].decode()
        return out

    def remove(self, dataset: str, version: str, symbol: str | None = None) -> None:
        """Delete a version of a dataset, or one symbol of it; nothing when it is not there."""
        path = "/".join([self._root, dataset, version, *([symbol] if symbol else [])])
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)

    # --- whole objects: model packages, reports ---------------------------------------------------------------------

    def put_object(self, key: str, data: bytes) -> str:
        """Store ``data`` under ``objects/<key>``, whole or not at all; returns its URL."""
        path = self._object(key)
        self._replace(path, data)
        return str(self._fs.unstrip_protocol(path))

    def local_path(self, key: str) -> Path | None:
        """Where an object of this key lies when the store is a folder, made ready to be written; else None. For files
        that grow line by line, which an object store does not have."""
        if not self._local:
            return None
        path = Path(self._object(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def get_object(self, key_or_url: str) -> bytes:
        """The bytes of a key, or of a URL ``put_object`` returned. Raises StoreUnavailableError when it is missing."""
        path = self._fs._strip_protocol(key_or_url) if "://" in key_or_url else self._object(key_or_url)
        try:
            data: bytes = self._fs.cat_file(path)
        except OSError as exc:
            raise StoreUnavailableError(f"{key_or_url}: {exc}") from exc
        return data

    # --- identity ---------------------------------------------------------------------------------------------------

    def ensure_identity(self, identity: str) -> None:
        """Bind a new store to ``identity``, or refuse one of another exchange with SchemaMismatchError (D40)."""
        path = f"{self._root}/identity"
        if not self._fs.exists(path):
            self._replace(path, identity.encode())
        have = self._fs.cat_file(path).decode()
        if have != identity:
            raise SchemaMismatchError(
                f"the research store {self._url} belongs to the exchange {have!r}, this start is for {identity!r}: "
                "set another VAR_DIR or STORE_URL"
            )

    # --- files ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self, dataset: str, version: str, symbol: str) -> Iterator[None]:
        """Merging reads, then replaces: of two writers at once (a job and a command) one would lose its rows."""
        if not self._local:
            yield
            return
        folder = Path(f"{self._root}/{dataset}/{version}/{symbol}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except OSError as exc:
            raise StoreUnavailableError(f"{folder}: {exc}") from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _merge_month(self, path: str, part: Columns) -> int:
        order = np.argsort(part["ts"], kind="stable")
        part = _last_of_each({name: a[order] for name, a in part.items()})
        before = 0
        old_hash = None
        if self._fs.exists(path):
            old, old_hash = self._read_file(path, None), self._file_hash(path)
            if set(old) != set(part):
                raise InvalidInputError("columns", sorted(part), f"the columns of {path}: {sorted(old)}")
            before = old["ts"].size
            if part["ts"][0] > old["ts"][-1]:
                part = {name: np.concatenate([a, part[name]]) for name, a in old.items()}
            else:
                both = {name: np.concatenate([a, part[name]]) for name, a in old.items()}
                order = np.argsort(both["ts"], kind="stable")
                part = _last_of_each({name: a[order] for name, a in both.items()})
        digest = _content_hash(part)
        if digest != old_hash:
            table = pa.table({n: _arrow(n, a) for n, a in part.items()}).replace_schema_metadata({_HASH_KEY: digest})
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=False)
            self._replace(path, sink.getvalue().to_pybytes())
        return int(part["ts"].size - before)

    def _read_file(self, path: str, names: list[str] | None) -> Columns:
        try:
            if self._local:
                table = pq.ParquetFile(path, memory_map=True).read(names, use_threads=False)
            else:
                with self._open(path) as file:
                    table = pq.ParquetFile(file).read(names, use_threads=False)
        except pa.ArrowInvalid as exc:
            raise StoreUnavailableError(f"{path} is not whole: {exc}") from exc
        if names is not None and table.num_columns != len(names):
            missing = sorted(set(names) - set(table.column_names))
            raise InvalidInputError("columns", missing, f"columns of {path}")
        return {name: _numpy(table.column(name)) for name in table.column_names}

    def _file_hash(self, path: str) -> str | None:
        with self._open(path) as file:
            found = pq.ParquetFile(file).schema_arrow.metadata
        return found[_HASH_KEY].decode() if found and _HASH_KEY in found else None

    def _open(self, path: str) -> Any:
        try:
            return self._fs.open(path, "rb")
        except OSError as exc:
            raise StoreUnavailableError(f"{path}: {exc}") from exc

    def _replace(self, path: str, data: bytes) -> None:
        """Put ``data`` at ``path`` in one step: an object store does that itself, a folder needs a rename."""
        if not self._local:
            self._fs.pipe_file(path, data)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise StoreUnavailableError(f"{path}: {exc}") from exc

    def _path(self, dataset: str, version: str, symbol: str, month: str) -> str:
        return f"{self._root}/{dataset}/{version}/{symbol}/{month}.parquet"

    def _object(self, key: str) -> str:
        for word in key.split("/"):
            _check_name(word)
        return f"{self._root}/objects/{key}"

    def _months(self, dataset: str, version: str, symbol: str) -> tuple[str, ...]:
        found = self._names(f"{dataset}/{version}/{symbol}")
        return tuple(sorted(name.removesuffix(".parquet") for name in found if name.endswith(".parquet")))

    def _names(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}"
        if self._local:  # fsspec asks for the size and times of each file
            try:
                return sorted(name for name in os.listdir(path) if not name.startswith("."))
            except FileNotFoundError:
                return []
        self._fs.invalidate_cache(path)
        try:
            return sorted(str(p).rstrip("/").rsplit("/", 1)[-1] for p in self._fs.ls(path, detail=False))
        except FileNotFoundError:
            return []


def _check_name(word: str) -> None:
    if not word or word.startswith(".") or not all(c.isalnum() or c in "._-=" for c in word):
        raise InvalidInputError("name", word, "letters, digits and . _ - =")


def _last_of_each(columns: Columns) -> Columns:
    """Of neighbours with one ``ts`` the last; ``ts`` is sorted."""
    ts = columns["ts"]
    keep = np.append(ts[1:] != ts[:-1], True)
    return columns if keep.all() else {name: a[keep] for name, a in columns.items()}


def _arrow(name: str, values: NDArray[Any]) -> pa.Array:
    return pa.array(values, _TS) if name == "ts" else pa.array(values)


def _numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _content_hash(columns: Columns) -> str:
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = columns[name]
        if values.dtype.kind == "O" or values.dtype.kind in "US":
            data = "\0".join(map(str, values.tolist())).encode()
            kind = "text"
        else:
            data, kind = np.ascontiguousarray(values).tobytes(), values.dtype.str
        digest.update(f"{name}:{kind}:{values.size};".encode())
        digest.update(data)
    return digest.hexdigest()


def _month_ms(month: str) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))


def _next_month_ms(month: str) -> int:
    return int((np.datetime64(month, "M") + 1).astype("datetime64[ms]").astype(np.int64))
