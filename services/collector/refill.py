"""History into the research store without a database: what is missing there, fetched from REST, and what came of it.

A first load, a resumed one, one that reaches further back and a repair are one thing: ask for what the store has not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS
from packages.exchange.port import MarketData, Series
from services.collector.adapters.store import FanOut, StoreSink
from services.collector.batch import GapReport
from services.collector.bootstrap import BootstrapReport, Missing, Progress, Span, SymbolProgress, bootstrap_history
from services.collector.check import funding_holes
from services.collector.core.columns import holes
from services.collector.ports import HistorySink, Row, gap_row
from services.training.market import FUNDING, VERSION

_BARS = tuple(series.value for series in Series)


def missing_in(store: ResearchStore) -> Missing:
    """What ``bootstrap_history`` may ask for to complete ``store``."""

    def missing(dataset: str, symbol: str, start_ms: int, end_ms: int) -> Sequence[Span]:
        if start_ms >= end_ms:
            return []
        end_ms += dataset == FUNDING  # the last bar closes with the settlement at its end
        ts = store.read(dataset, VERSION, symbol, (), from_ts_ms=start_ms, to_ts_ms=end_ms)["ts"]
        if dataset in _BARS:
            start_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
            end_ms -= end_ms % MINUTE_MS
            return [(first, last + MINUTE_MS) for first, last in holes(ts, start_ms, end_ms)]
        if not ts.size:
            return [(start_ms, end_ms)]
        inside = funding_holes(ts) if dataset == FUNDING else ()
        return [
            (start_ms, int(ts[0])),
            *((before + 1, after) for before, after, _ in inside),
            (int(ts[-1]) + 1, end_ms),
        ]

    return missing


async def load_into_store(
    venue: MarketData,
    store: ResearchStore,
    symbols: Sequence[str],
    start_ms: int,
    end_ms: int,
    *,
    progress: Progress | None = None,
    on_symbol: SymbolProgress | None = None,
    also: HistorySink | None = None,
    parallel: int = 4,
) -> BootstrapReport:
    """Fetch what ``store`` lacks of [start_ms, end_ms); gaps that stay are in its gap book. ``also``: a second sink.

    Raises ``VenueError`` when the exchange stays out of reach; what was fetched is stored all the same.
    """
    sink = StoreSink(store)
    try:
        return await bootstrap_history(
            venue, symbols, start_ms, end_ms, FanOut(sink, also) if also else sink,
            progress=progress, on_symbol=on_symbol, missing=missing_in(store), parallel=parallel,
        )  # fmt: skip
    finally:
        sink.flush()


async def repair_store(
    venue: MarketData,
    store: ResearchStore,
    symbols: Sequence[str],
    start_ms: int,
    end_ms: int,
    *,
    progress: Progress | None = None,
    on_symbol: SymbolProgress | None = None,
    also: HistorySink | None = None,
) -> dict[str, Any]:
    """Fill the holes between first and last stored bar of each series, within [start_ms, end_ms).

    Each hole is a row of ``data_gaps`` in the gap book (and in ``also``): the part REST had as repaired, the rest as
    unavailable. Returns counts of gaps and minutes, per symbol what stays missing, and what the exchange refused.
    """
    now_ms = await venue.server_time_ms()
    before = {(d, s): _inner_holes(store, d, s, start_ms, end_ms) for s in symbols for d in _BARS}
    inner = missing_in(store)

    def missing(dataset: str, symbol: str, start: int, end: int) -> Sequence[Span]:
        if dataset in _BARS:
            return [(first, last + MINUTE_MS) for first, last in before[dataset, symbol]]
        spans = inner(dataset, symbol, start, end)
        return spans[1:-1] if dataset == FUNDING and len(spans) > 1 else []

    sink = StoreSink(store)
    both: HistorySink = FanOut(sink, also) if also else sink
    try:
        report = await bootstrap_history(
            venue, symbols, start_ms, end_ms, both, progress=progress, on_symbol=on_symbol, missing=missing
        )
    finally:
        sink.flush()
    rows: list[Row] = []
    left: dict[str, dict[str, int]] = {}
    found = filled = 0
    for (dataset, symbol), gaps in before.items():
        ts = store.read(dataset, VERSION, symbol, ())["ts"] if gaps else np.empty(0, np.int64)
        for first, last in gaps:
            here = ts[np.searchsorted(ts, first) : np.searchsorted(ts, last, "right")]
            found += (last - first) // MINUTE_MS + 1
            filled += here.size
            for run in _runs(here):
                bars = (run[1] - run[0]) // MINUTE_MS + 1
                gap = GapReport(symbol, dataset, *run, bars, now_ms, now_ms, bars, "rest", "repaired")
                rows.append(gap_row(gap))
            if here.size <= (last - first) // MINUTE_MS:
                left.setdefault(symbol, {}).setdefault(dataset, 0)
                left[symbol][dataset] += (last - first) // MINUTE_MS + 1 - here.size
    if rows:
        await both.write_rows("data_gaps", rows)
    return {
        "gaps": sum(map(len, before.values())),
        "missing_minutes": found,
        "repaired_minutes": filled,
        "settlements": report.rows.get(FUNDING, 0),
        "unavailable": left,
        "refused": {f"{symbol} {dataset}": why for (dataset, symbol), why in report.refused.items()},
    }


def _inner_holes(store: ResearchStore, dataset: str, symbol: str, start_ms: int, end_ms: int) -> list[Span]:
    ts = store.read(dataset, VERSION, symbol, (), from_ts_ms=start_ms, to_ts_ms=end_ms)["ts"]
    return holes(ts, int(ts[0]), int(ts[-1]) + MINUTE_MS) if ts.size else []


def _runs(ts: np.ndarray[Any, np.dtype[np.int64]]) -> list[Span]:
    if not ts.size:
        return []
    edges = np.flatnonzero(np.diff(ts) != MINUTE_MS)
    return list(zip(np.append(ts[:1], ts[edges + 1]).tolist(), np.append(ts[edges], ts[-1:]).tolist(), strict=True))
