"""Reading recorded 1m bars from a folder of Parquet, and choosing which stretch of them is the market."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS

BASE = ("open", "high", "low", "close", "volume")
EXTRA = ("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")
# Folders that may lie beside the bars and hold something else.
_NOT_BARS = ("spot", "mark", "index", "premium", "funding", "open_interest", "klines_5m", "klines_1h")


@dataclass(frozen=True)
class Recording:
    """Bars of one symbol: ``minutes`` (n,) since the epoch, ascending; ``columns`` float64 (n,) by name."""

    symbol: str
    minutes: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]

    def between(self, first: int, last: int) -> "Recording":
        keep = slice(*np.searchsorted(self.minutes, (first, last)))
        return Recording(self.symbol, self.minutes[keep], {name: c[keep] for name, c in self.columns.items()})


def read_folder(folder: Path, symbols: Iterable[str] | None = None) -> dict[str, Recording]:
    """Every ``<SYMBOL>*.parquet`` below ``folder`` that holds 1m bars of futures; several files of a symbol are merged.

    Files without a volume, with another spacing than a minute, or in a folder of spot, mark, index, premium, funding or
    open-interest data are left out. Where files overlap the one with more columns wins. ``InvalidInputError`` when
    nothing is found or a bar is impossible.
    """
    if not folder.is_dir():
        raise InvalidInputError("market", str(folder), '"generated" or an existing folder of Parquet files')
    wanted = None if symbols is None else set(symbols)
    parts: dict[str, list[Recording]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        if any(part.startswith(_NOT_BARS) for part in path.relative_to(folder).parts[:-1]):
            continue
        symbol = symbol_of(path)
        if symbol is None or (wanted is not None and symbol not in wanted):
            continue
        part = _read(path, symbol)
        if part is not None:
            parts.setdefault(symbol, []).append(part)
    if not parts:
        raise InvalidInputError("market", str(folder), "at least one <SYMBOL>*.parquet with 1m bars in it")
    return {symbol: _merge(symbol, found) for symbol, found in sorted(parts.items())}


def symbol_of(path: Path) -> str | None:
    """``BTCUSDT`` of ``BTCUSDT.parquet``, ``BTCUSDT_2025-05.parquet`` or ``BTCUSDT-1m-2025-05.parquet``."""
    name = path.stem.split("_")[0].split("-")[0]
    return name if name and name == name.upper() else None


def _read(path: Path, symbol: str) -> Recording | None:
    names = pq.read_schema(path).names
    if "ts" not in names or not set(BASE) <= set(names):
        return None
    table = pq.read_table(path, columns=["ts", *BASE, *(name for name in EXTRA if name in names)])
    if table.num_rows < 2:
        return None
    ts = table["ts"].cast(pa.timestamp("ms", tz="UTC"), safe=False).to_numpy().astype("datetime64[ms]").astype(np.int64)
    if np.median(np.diff(ts[:10_000])) != MINUTE_MS:
        return None
    values = {name: np.asarray(table[name].to_numpy(), np.float64) for name in table.column_names if name != "ts"}
    order = np.argsort(ts, kind="stable")
    minutes, first = np.unique(ts[order] // MINUTE_MS, return_index=True)
    values = {name: column[order][first] for name, column in values.items()}
    _check(path, values)
    return Recording(symbol, minutes, values)


def _check(path: Path, values: Mapping[str, NDArray[np.float64]]) -> None:
    open_, high, low, close, volume = (values[name] for name in BASE)
    bad = ~(
        (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)) & (volume >= 0)
        & np.isfinite(high)
    )  # fmt: skip
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        bar = {name: float(values[name][at]) for name in BASE}
        raise InvalidInputError(f"{path.name} row {at}", bar, "0 < low <= open, close <= high and volume >= 0")


def _merge(symbol: str, parts: Sequence[Recording]) -> Recording:
    parts = sorted(parts, key=lambda part: -len(part.columns))  # fullest first: np.unique keeps the first
    minutes, first = np.unique(np.concatenate([part.minutes for part in parts]), return_index=True)
    merged = {}
    for name in (*BASE, *EXTRA):
        if any(name in part.columns for part in parts):
            column = np.concatenate([part.columns.get(name, np.full(len(part.minutes), np.nan)) for part in parts])
            merged[name] = column[first]
    return Recording(symbol, minutes, merged)


def read_funding(folder: Path) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Settlements by symbol from ``<folder>/funding`` or its sibling: times (ms, to the minute) and rates.

    Files ``<SYMBOL>.parquet`` (ts, funding_rate); nothing when there is no such folder.
    """
    for place in (folder / "funding", folder.parent / "funding", folder.parent.parent / "funding"):
        if place.is_dir():
            break
    else:
        return {}
    found = {}
    for path in sorted(place.glob("*.parquet")):
        symbol = symbol_of(path)
        names = set(pq.read_schema(path).names)
        if symbol is None or not {"ts", "funding_rate"} <= names:
            continue
        table = pq.read_table(path, columns=["ts", "funding_rate"])
        ts = table["ts"].cast(pa.timestamp("ms", tz="UTC"), safe=False).to_numpy()
        ms = ts.astype("datetime64[ms]").astype(np.int64) // MINUTE_MS * MINUTE_MS
        order = np.argsort(ms)
        found[symbol] = ms[order], np.asarray(table["funding_rate"].to_numpy(), np.float64)[order]
    return found


def choose_window(recordings: Mapping[str, Recording], start_ms: int | None = None) -> tuple[int, int]:
    """First and last minute (exclusive) of the market.

    A symbol covers a stretch when no hole in it is longer than three hours. The stretch with most symbol-days wins, of
    those that last three days or more and hold BTCUSDT (where it is recorded at all); ends are first and last bars of
    symbols. With ``start_ms`` the beginning is given and the same measure chooses the end.
    """
    runs = {symbol: _runs(recording.minutes) for symbol, recording in recordings.items()}
    begins = sorted({first for found in runs.values() for first, _ in found})
    ends = sorted({last for found in runs.values() for _, last in found})
    if start_ms is not None:
        begins = [start_ms // MINUTE_MS]
    days = DAY_MS // MINUTE_MS
    best, window = -1.0, None
    for needs_btc, shortest in ((True, 3 * days), (False, 3 * days), (False, 1)):
        for first in begins:
            for last in ends:
                if last - first < shortest:
                    continue
                inside = {s for s, found in runs.items() if any(a <= first and last <= b for a, b in found)}
                score = len(inside) * (last - first)
                if inside and score > best and (not needs_btc or "BTCUSDT" in inside):
                    best, window = score, (first, last)
        if window is not None:
            return window
    raise InvalidInputError("market_start", start_ms, "a time at which at least one symbol is recorded")


def _runs(minutes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches without a hole of more than three hours: (first, last exclusive)."""
    cuts = np.flatnonzero(np.diff(minutes) > 180)
    firsts = minutes[np.concatenate([[0], cuts + 1])]
    lasts = minutes[np.concatenate([cuts, [len(minutes) - 1]])] + 1
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]
