"""Minutes of one symbol out of the research store, as the arrays features and labels want.

Datasets and columns are those of the tables of the same names (D4); ``VERSION`` is the version of all market data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.history import settled_rates
from packages.common.store import ResearchStore
from services.features.schema import SCHEMA_VERSION

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VERSION = "v1"
FEATURES, FEATURES_VERSION = "features_1m", f"v{SCHEMA_VERSION}"
PREDICTIONS = "predictions_oos"  # version: the run's content hash
CANDLES, MARK, INDEX, FUNDING = "candles_1m", "mark_candles_1m", "index_candles_1m", "funding_rates"
MARKET_COLUMNS: dict[str, tuple[str, ...]] = {
    CANDLES: (
        *("open", "high", "low", "close", "volume", "quote_volume"),
        *("trades", "taker_buy_volume", "taker_buy_quote_volume"),
    ),
    MARK: ("open", "high", "low", "close"),
    INDEX: ("open", "high", "low", "close"),
    FUNDING: ("funding_rate", "mark_price"),
}


@dataclass(frozen=True, slots=True)
class Minutes:
    """Bars with both a last and a mark price, ascending; ``bars`` (n, 12) in the order of ``kernel.BAR_FIELDS``.

    ``settled_ts_ms``, ``settled_rate`` (m,): all settlements known, whole minutes.
    """

    symbol: str
    ts_ms: I64
    bars: F64
    settled_ts_ms: I64
    settled_rate: F64


def in_common(a: NDArray[Any], b: NDArray[Any]) -> tuple[I64, NDArray[Any] | slice, NDArray[Any] | slice]:
    """Times that two ascending series share, and where they stand in each; equal series need no search."""
    if a.size == b.size and np.array_equal(a, b):
        return a.astype(np.int64, copy=False), slice(None), slice(None)
    place = np.searchsorted(b, a)
    shared = np.flatnonzero(place < b.size)
    shared = shared[b[place[shared]] == a[shared]]
    return a[shared].astype(np.int64, copy=False), shared, place[shared]


def read_minutes(
    store: ResearchStore, symbol: str, from_ts_ms: int | None = None, to_ts_ms: int | None = None
) -> Minutes:
    """The symbol's minutes with ``from_ts_ms <= ts < to_ts_ms``; a candle without a mark bar is not a minute, an index
    bar may be missing (NaN). No rows give empty arrays."""

    def read(dataset: str, columns: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
        return store.read(dataset, VERSION, symbol, columns, from_ts_ms=from_ts_ms, to_ts_ms=to_ts_ms)

    last = read(CANDLES, ("open", "high", "low", "close", "quote_volume"))
    mark = read(MARK, ("open", "high", "low", "close"))
    index = read(INDEX, ("close",))
    funding = store.read(FUNDING, VERSION, symbol, ("funding_rate",), to_ts_ms=to_ts_ms)
    ts, at_last, at_mark = in_common(last["ts"], mark["ts"])
    index_close = np.full(ts.size, np.nan)
    _, here, there = in_common(ts, index["ts"])
    index_close[here] = index["close"][there]
    settled_ts, rates = funding["ts"].astype(np.int64), funding["funding_rate"].astype(np.float64)
    columns = [
        ts,
        *(last[name][at_last] for name in ("open", "high", "low", "close", "quote_volume")),
        *(mark[name][at_mark] for name in ("open", "high", "low", "close")),
        index_close,
        settled_rates(ts, settled_ts, rates),
    ]
    bars = np.empty((ts.size, len(columns)))
    for i, column in enumerate(columns):
        bars[:, i] = column
    return Minutes(symbol, ts, bars, settled_ts, rates)


def market_hashes(store: ResearchStore, symbols: tuple[str, ...]) -> dict[str, dict[str, dict[str, str]]]:
    """Content hashes of every stored month of market data: what features and labels depend on."""
    return {
        symbol: {dataset: store.content_hashes(dataset, VERSION, symbol) for dataset in MARKET_COLUMNS}
        for symbol in symbols
    }
