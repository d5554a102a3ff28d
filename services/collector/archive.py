"""Files of history as columns: the exchange's public archive, and Parquet or CSV under our own names (D11).

The archive (data.binance.vision, zip of CSV or the CSV itself) is known by its file names, everything else by its
column names. Older archive files have no header line; times are milliseconds, of newer spot files microseconds, of
``metrics`` text. A cell that cannot be read becomes NaN (a time: ``NO_TIME``) and is the importer's to judge.
"""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError, PlatformError
from packages.common.symbol_map import validate_internal
from packages.exchange.port import Columns
from services.training.market import CANDLES, FUNDING, INDEX, MARK, MARKET_COLUMNS

INTEREST = "open_interest"
STORED_COLUMNS = {**MARKET_COLUMNS, INTEREST: ("open_interest", "open_interest_value")}
NO_TIME = -1

_OHLC = ("open", "high", "low", "close")
_NEEDED = {
    CANDLES: (*_OHLC, "volume"), MARK: _OHLC, INDEX: _OHLC, FUNDING: ("funding_rate",), INTEREST: ("open_interest",),
}  # fmt: skip
_KLINE_NAMES = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_FUNDING_NAMES = ("calc_time", "funding_interval_hours", "last_funding_rate")
_METRICS_NAMES = (
    *("create_time", "symbol", "sum_open_interest", "sum_open_interest_value", "count_toptrader_long_short_ratio"),
    *("sum_toptrader_long_short_ratio", "count_long_short_ratio", "sum_taker_long_short_vol_ratio"),
)
_OURS = {
    "open_time": "ts",
    "calc_time": "ts",
    "create_time": "ts",
    "count": "trades",
    "last_funding_rate": "funding_rate",
    "sum_open_interest": "open_interest",
    "sum_open_interest_value": "open_interest_value",
}
_UNUSED = frozenset({"close_time", "ignore", "funding_interval_hours", "samples", *_METRICS_NAMES[4:]})
_KLINE_FOLDERS = {"klines": CANDLES, "markPriceKlines": MARK, "indexPriceKlines": INDEX}
# Folders of recorded data beside our own kind; found by walking they are left out.
_OTHER_FOLDERS = {
    "spot": "another market",
    "premium": "premiumIndexKlines are not stored: the premium follows from mark and index",
    **dict.fromkeys(("klines_5m", "mark_1h", "mark_8h"), "only 1m is stored, other sizes are made of it (D37)"),
}
_NAME = re.compile(
    r"(?P<symbol>[^-]+)-(?P<kind>\d+(?:s|m|h|d|w|mo)|fundingRate|metrics|aggTrades|trades|bookTicker|bookDepth|\w+)"
    r"-(?P<month>\d{4}-\d{2})(?:-\d{2})?\.(?:zip|csv)"
)
_MICROSECONDS = 10**14  # milliseconds reach it in the year 5138
_NULLS = ["", "NaN", "nan", "NAN", "null", "NULL", "None"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to import. ``unit``: files of one (dataset, symbol, unit) go in together; ``symbol`` None: a column says.

    ``names``: columns of an archive file without a header line; None: the file names its own.
    """

    path: Path
    dataset: str | None
    symbol: str | None
    unit: str
    names: tuple[str, ...] | None = None


class NotMarketDataError(InvalidInputError):
    """A readable table that holds nothing of what is stored: a list of files, say."""


class Table(NamedTuple):
    """``columns`` under our names: ``ts`` int64 ms, the others float64, shape (n,); ``rows`` (n,) counts the file's
    rows of data from 1; ``broken`` are rows with another number of cells."""

    dataset: str
    symbol: str
    columns: Columns
    rows: NDArray[np.int64]
    broken: tuple[int, ...]


def discover(paths: Sequence[Path], dataset: str | None = None) -> tuple[list[SourceFile], list[tuple[Path, str]]]:
    """Files under ``paths`` in a fixed order, and those left out with the reason.

    ``dataset`` says what files are whose names and columns do not. Raises InvalidInputError for a path that is not
    there and when nothing at all is found.
    """
    if dataset is not None and dataset not in STORED_COLUMNS:
        raise InvalidInputError("dataset", dataset, "one of " + ", ".join(STORED_COLUMNS))
    files: dict[Path, SourceFile] = {}
    skipped: list[tuple[Path, str]] = []
    for root in paths:
        if not root.exists():
            raise InvalidInputError("path", str(root), "a file or a folder that exists")
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if not path.is_file() or path in files or path.name.startswith("."):
                continue
            if path.suffix.lower() not in (".zip", ".csv", ".parquet"):
                if path == root:
                    raise InvalidInputError("path", str(path), "a .zip, .csv or .parquet file, or a folder of them")
                continue
            # Above a file that is named lie folders of whatever name: only the archive's own word is believed there.
            inner = path.relative_to(root).parts[:-1] or tuple(p for p in path.parts[:-1] if p == "spot")
            others = (why for part in inner for word, why in _OTHER_FOLDERS.items() if part.startswith(word))
            found = next(others, None) or _recognise(path, dataset)
            if isinstance(found, str):
                skipped.append((path, found))
            else:
                files[path] = found
    if not files and not skipped:
        raise InvalidInputError("path", [str(p) for p in paths], "at least one .zip, .csv or .parquet file")
    return sorted(files.values(), key=lambda f: (f.dataset or "", f.symbol or "", f.unit, str(f.path))), skipped


def _recognise(path: Path, dataset: str | None) -> SourceFile | str:
    """The file as something to import, or why it is not."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        if path.suffix.lower() == ".zip":
            return "not a name of the archive, such as BTCUSDT-1m-2025-05.zip"
        name = re.split(r"[_.-]", path.stem)[0]
        return SourceFile(path, dataset or _dataset_of(path), name if _is_symbol(name) else None, path.name)
    symbol, kind, month = match["symbol"], match["kind"], match["month"]
    if not _is_symbol(symbol):
        return f"{symbol} is not spelled like a symbol"
    if kind == "fundingRate":
        return SourceFile(path, FUNDING, symbol, month, _FUNDING_NAMES)
    if kind == "metrics":
        return SourceFile(path, INTEREST, symbol, month, _METRICS_NAMES)
    if not kind[0].isdigit():
        return f"{kind} is not stored"
    if "premiumIndexKlines" in path.parts:
        return _OTHER_FOLDERS["premium"]
    if kind != "1m":
        return f"bars of {kind}: only 1m is stored, other sizes are made of it (D37)"
    folder = next((part for part in reversed(path.parts) if part in _KLINE_FOLDERS), None)
    return SourceFile(path, dataset or (_KLINE_FOLDERS[folder] if folder else CANDLES), symbol, month, _KLINE_NAMES)


def _dataset_of(path: Path) -> str | None:
    """What the folder says: a mark or an index bar cannot be told by its columns."""
    folder = path.parent.name
    return next((data for word, data in (("mark", MARK), ("index", INDEX)) if folder.startswith(word)), None)


def _is_symbol(name: str) -> bool:
    try:
        validate_internal(name)
    except PlatformError:
        return False
    return True


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_checksum(path: Path, digest: str) -> bool:
    """True when the ``.CHECKSUM`` beside the file agrees, False when there is none; raises when it differs."""
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.is_file():
        return False
    words = beside.read_text(errors="replace").split()
    if not words or words[0].lower() != digest:
        raise InvalidInputError(f"checksum of {path.name}", digest, f"{words[0] if words else '?'} of {beside.name}")
    return True


def read(file: SourceFile) -> Iterator[Table]:
    """The tables of a file, one a symbol. Raises InvalidInputError naming file and column for what does not fit."""
    try:
        if file.path.suffix.lower() == ".parquet":
            columns, symbols, broken = _read_parquet(file.path)
        else:
            columns, symbols, broken = _read_csv(file)
    except (OSError, zipfile.BadZipFile, pa.ArrowInvalid, UnicodeDecodeError, NotImplementedError) as exc:
        raise InvalidInputError("file", file.path.name, f"a whole, readable file ({exc})") from exc
    dataset = file.dataset or _dataset_by_columns(file.path, columns)
    _check_columns(file.path, dataset, columns)
    wanted = ("ts", *STORED_COLUMNS[dataset])
    columns = {name: values for name, values in columns.items() if name in wanted}
    size = columns["ts"].size
    numbers = np.arange(1, size + 1 + len(broken), dtype=np.int64)
    rows = np.delete(numbers, np.array(broken, np.int64) - 1) if broken else numbers
    if symbols is None:
        if file.symbol is None:
            raise InvalidInputError("symbol", file.path.name, "a name such as BTCUSDT.csv, or a column `symbol`")
        yield Table(dataset, file.symbol, columns, rows, tuple(broken))
        return
    names, inverse = np.unique(symbols, return_inverse=True)
    for number, name in enumerate(names.tolist()):
        validate_internal(name)
        if file.names is not None and name != file.symbol:
            raise InvalidInputError(f"symbol of {file.path.name}", name, str(file.symbol))
        mask = inverse == number
        part = {column: values[mask] for column, values in columns.items()}
        yield Table(dataset, name, part, rows[mask], tuple(broken) if number == 0 else ())


def _check_columns(path: Path, dataset: str, columns: Iterable[str]) -> None:
    have = set(columns)
    for name in ("ts", *_NEEDED[dataset]):
        if name not in have:
            raise InvalidInputError(f"columns of {path.name}", sorted(have), f"a column {name!r} ({dataset})")
    known = {"ts", *STORED_COLUMNS[dataset]}
    known |= set(STORED_COLUMNS[CANDLES]) if dataset in (MARK, INDEX) else set()  # archive files: volumes of 0
    for name in sorted(have - known):
        raise InvalidInputError(f"columns of {path.name}", name, "one of " + ", ".join(sorted(known)))


_TELLING = {"open", "high", "low", "close"}  # bars, but of what


def _dataset_by_columns(path: Path, columns: Iterable[str]) -> str:
    have = set(columns)
    for name, dataset in (("funding_rate", FUNDING), ("open_interest", INTEREST), ("volume", CANDLES)):
        if name in have:
            return dataset
    raise (InvalidInputError if have & _TELLING else NotMarketDataError)(
        f"columns of {path.name}", sorted(have),
        "volume (candles), funding_rate or open_interest; --dataset says what bars without volume are",
    )  # fmt: skip


# --- Parquet --------------------------------------------------------------------------------------------------------

_Read = tuple[Columns, NDArray[Any] | None, Sequence[int]]


def _read_parquet(path: Path) -> _Read:
    table = pq.ParquetFile(path).read(use_threads=False)
    columns: Columns = {}
    symbols = None
    for name in table.column_names:
        ours = _OURS.get(name, name)
        if name in _UNUSED:
            continue
        column = table.column(name)
        if ours == "symbol":
            symbols = np.asarray(column.cast(pa.string()).to_pylist(), object).astype(str)
        elif ours == "ts":
            columns["ts"] = _times(path, column)
        else:
            if pa.types.is_decimal(column.type) or pa.types.is_string(column.type):
                column = column.cast(pa.float64())
            if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
                raise InvalidInputError(f"column {name} of {path.name}", str(column.type), "numbers")
            columns[ours] = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    return columns, symbols, ()


def _times(path: Path, column: pa.ChunkedArray) -> NDArray[np.int64]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        values = column.cast(pa.timestamp("ms", tz=kind.tz), safe=False).cast(pa.int64())
        return np.asarray(values.fill_null(NO_TIME).to_numpy(), np.int64)
    if pa.types.is_integer(kind):
        return _milliseconds(np.asarray(column.cast(pa.int64()).fill_null(NO_TIME).to_numpy(), np.int64))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([_time(text or "") for text in column.to_pylist()], np.int64)
    raise InvalidInputError(f"column ts of {path.name}", str(kind), "timestamps, or integers of epoch milliseconds")


def _milliseconds(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Microseconds told by their size. One off a whole millisecond would be off the minute too, and stays visible."""
    micro = ts >= _MICROSECONDS
    if not micro.any():
        return ts
    whole = np.where(ts % 1000 == 0, ts // 1000, ts // 1000 + 1)
    return np.where(micro, whole, ts)


# --- CSV ------------------------------------------------------------------------------------------------------------


def _read_csv(file: SourceFile) -> _Read:
    data = _bytes_of(file.path).removeprefix(b"\xef\xbb\xbf")
    first = data.split(b"\n", 1)[0].decode().strip()
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    if not first:
        raise InvalidInputError("file", file.path.name, "at least one line")
    # A header line starts with a letter; data start with a time, which is a number or a date.
    header = not cells[0][:1].isdigit()
    if header:
        names: Sequence[str] = cells
    elif file.names is None:
        raise InvalidInputError(f"first line of {file.path.name}", first[:60], "the names of the columns")
    elif len(cells) != len(file.names):
        raise InvalidInputError(f"first line of {file.path.name}", first[:60], f"{len(file.names)} columns")
    else:
        names = file.names
    if len(set(names)) != len(names):
        raise InvalidInputError(f"columns of {file.path.name}", list(names), "each name once")
    wanted = [name for name in names if name not in _UNUSED]
    text = {name for name in wanted if name == "symbol"}
    line = data.split(b"\n", 2)[1].decode() if header and b"\n" in data else first
    values = line.split(",")
    at = next((i for i, name in enumerate(names) if _OURS.get(name, name) == "ts"), None)
    if at is not None and at < len(values) and not values[at].strip().isdigit():
        text.add(names[at])  # a date, or something that only the slow way can judge
    types = {
        name: pa.string() if name in text else pa.int64() if _OURS.get(name, name) == "ts" else pa.float64()
        for name in wanted
    }
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                column_names=list(names), skip_rows=int(header), use_threads=False, block_size=max(1 << 20, len(data))
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, include_columns=wanted, null_values=_NULLS, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return _read_csv_slowly(data.decode(), names, header=header)
    columns: Columns = {}
    symbols = None
    for name in wanted:
        ours, column = _OURS.get(name, name), table.column(name)
        if ours == "symbol":
            symbols = np.asarray(column.to_pylist(), object).astype(str)
        elif ours == "ts":
            columns["ts"] = _times(file.path, column)
        else:
            columns[ours] = np.asarray(column.to_numpy(), np.float64)
    return columns, symbols, ()


def _read_csv_slowly(text: str, names: Sequence[str], *, header: bool) -> _Read:
    """Row by row, for a file that the fast reader refuses: what cannot be read is marked, the rest is kept."""
    whole: list[list[str]] = []
    broken: list[int] = []
    lines = csv.reader(io.StringIO(text))
    if header:
        next(lines)
    for number, row in enumerate((row for row in lines if row), 1):
        if len(row) == len(names):
            whole.append(row)
        else:
            broken.append(number)
    columns: Columns = {}
    symbols = None
    for i, name in enumerate(names):
        ours = _OURS.get(name, name)
        if ours == "symbol":
            symbols = np.array([row[i].strip() for row in whole], dtype=str)
        elif ours == "ts":
            columns["ts"] = np.array([_time(row[i]) for row in whole], np.int64)
        elif name not in _UNUSED:
            columns[ours] = np.array([_number(row[i]) for row in whole], np.float64)
    return columns, symbols, broken


def _bytes_of(path: Path) -> bytes:
    if path.suffix.lower() != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(members) != 1:
            raise InvalidInputError("file", path.name, f"one CSV inside, not {len(members)}")
        return archive.read(members[0])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _time(text: str) -> int:
    text = text.strip().removesuffix("Z").removesuffix("+00:00")
    try:
        if text.isdigit():
            return int(_milliseconds(np.array([int(text)], np.int64))[0])
        return int(np.datetime64(text, "ms").astype(np.int64)) if text and text != "NaT" else NO_TIME
    except (ValueError, OverflowError):
        return NO_TIME
