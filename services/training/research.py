"""Features and labels of stored minutes, written back to the research store (§7, §8): what a dataset is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.compute import Compute
from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS
from services.features import kernel as bar
from services.features import schema
from services.features.compute import MarketFeatures, compute_market, compute_symbol
from services.labeling.triple_barrier import BothLabels, Labels, LabelSpec, label_both
from services.training import market
from services.training.dataset import SymbolRows
from services.training.market import Minutes, read_minutes
from services.training.store_env import FEATURES, FEATURES_VERSION, LABELS, StoreEnv
from services.training.targets import SideLabels, scale_column

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BTC = "BTCUSDT"
_LABELS = 2  # raised when the same minutes are to be labelled otherwise


@dataclass(frozen=True, slots=True)
class LabelledMinutes:
    """One symbol's minutes with features (n, 17) and both sides' labels, all of the same rows."""

    minutes: Minutes
    features: F64
    labels: BothLabels


def market_of(store: ResearchStore) -> MarketFeatures:
    """The shared features of BTCUSDT, from its first stored bar; the same for every symbol."""
    btc = read_minutes(store, BTC)
    if not btc.ts_ms.size:
        raise InvalidInputError("store", BTC, "stored minutes of BTCUSDT: three features of every symbol are its own")
    return compute_market(btc.ts_ms, btc.bars[:, bar.BAR_CLOSE])


def label_minutes(minutes: Minutes, shared: MarketFeatures, spec: LabelSpec) -> LabelledMinutes:
    """Fold features from the symbol's first bar and label every bar whose window lies in one stretch of history: what
    comes after a gap that resets features is not its future (ADR 0008). Barriers trigger on the mark (D14)."""
    features = compute_symbol(minutes.bars, shared).values
    mark_close = minutes.bars[:, bar.BAR_MARK_CLOSE]
    rates, instants = settlements_by_bar(minutes)
    labels = label_both(
        minutes.ts_ms,
        minutes.bars[:, bar.BAR_MARK_HIGH],
        minutes.bars[:, bar.BAR_MARK_LOW],
        mark_close,
        mark_close,
        features[:, scale_column(spec.atr_interval_min)],
        rates,
        instants,
        spec,
        features[:, schema.ATR],
    )
    across = _across_gaps(minutes.ts_ms, spec.h_bars)
    if across.any():
        labels = BothLabels(_without(labels.long, across), _without(labels.short, across))
    return LabelledMinutes(minutes, features, labels)


def _across_gaps(ts_ms: I64, h_bars: int) -> NDArray[np.bool_]:
    """Rows (n,) with a gap among their next ``h_bars`` bars after which features start again."""
    across = np.zeros(ts_ms.size, np.bool_)
    for last in np.flatnonzero(np.diff(ts_ms) > (bar.GAP_BARS_MAX + 1) * MINUTE_MS):
        across[max(0, last - h_bars + 1) : last + 1] = True
    return across


def _without(labels: Labels, rows: NDArray[np.bool_]) -> Labels:
    floats = ("ret_net", "mae", "mfe", "ret_gross", "fees", "slippage", "funding")
    return Labels(
        labelled=labels.labelled & ~rows,
        y=np.where(rows, 0, labels.y).astype(np.int8),
        bars=np.where(rows, 0, labels.bars).astype(np.int32),
        **{name: np.where(rows, np.nan, getattr(labels, name)) for name in floats},
    )


def rows_of(labelled: LabelledMinutes, source: str | None = None) -> SymbolRows:
    """What ``dataset.sample`` takes, without a way over the store."""
    minutes = labelled.minutes
    long, short = (_known(labels) for labels in (labelled.labels.long, labelled.labels.short))
    mark_close = minutes.bars[:, bar.BAR_MARK_CLOSE]
    return SymbolRows(minutes.symbol, minutes.ts_ms, labelled.features, mark_close, long, short, source)


def _known(labels: Labels) -> SideLabels:
    """Labels as a dataset has them: NaN in every column where there is none."""
    y, bars = (np.where(labels.labelled, values, np.nan) for values in (labels.y, labels.bars))
    return SideLabels(y, labels.ret_net, labels.mae, bars, labels.fees, labels.slippage, labels.funding)


def settlements_by_bar(minutes: Minutes) -> tuple[F64, I64]:
    """Per bar the rate settled in ``(ts, ts + 60 s]`` and its instant; NaN and 0 where none."""
    ts = minutes.ts_ms
    place = np.searchsorted(ts, minutes.settled_ts_ms, side="left") - 1
    inside = place >= 0
    inside[inside] = minutes.settled_ts_ms[inside] <= ts[place[inside]] + MINUTE_MS
    rates, instants = np.full(ts.size, np.nan), np.zeros(ts.size, np.int64)
    rates[place[inside]] = minutes.settled_rate[inside]
    instants[place[inside]] = minutes.settled_ts_ms[inside]
    return rates, instants


def label_columns(labels: Labels, ts_ms: I64) -> dict[str, NDArray[Any]]:
    """The labelled rows as columns of ``labels_*_1m``, without symbol and hash."""
    rows = labels.labelled
    return {
        "ts": ts_ms[rows],
        "y": labels.y[rows],
        "ret_net": labels.ret_net[rows],
        "mae": labels.mae[rows],
        "mfe": labels.mfe[rows],
        "time_to_event_min": labels.bars[rows],
        "ret_gross": labels.ret_gross[rows],
        "fees": labels.fees[rows],
        "slippage": labels.slippage[rows],
        "funding": labels.funding[rows],
    }


def _nothing(_symbol: str, _labelled: LabelledMinutes) -> None:
    """What is said of labels when nobody asks."""


def label_symbols(
    env: StoreEnv,
    symbols: tuple[str, ...],
    spec: LabelSpec,
    progress: Callable[[float, str], None],
    compute: Compute,
    judge: Callable[[str, LabelledMinutes], Any] = _nothing,
) -> dict[str, tuple[int, Any]]:
    """Compute and store features and labels of ``symbols``; returns how many labels each has and what ``judge`` says of
    its arrays, where they were computed (so it must be picklable), None without minutes. Repeating it on the same
    minutes rewrites nothing.
    """
    env.put_label_spec(spec)
    progress(0.0, "labelling")
    found: dict[str, tuple[int, Any]] = {}
    for number, result in compute.map(_label_symbol, symbols, env.store, market_of(env.store), spec, judge):
        found[symbols[number]] = result
        progress(len(found) / len(symbols), f"labelled {symbols[number]}")
    return {symbol: found[symbol] for symbol in symbols}


def _label_symbol(
    symbol: str,
    store: ResearchStore,
    shared: MarketFeatures,
    spec: LabelSpec,
    judge: Callable[[str, LabelledMinutes], Any],
) -> tuple[int, Any]:
    minutes = read_minutes(store, symbol)
    if not minutes.ts_ms.size:
        return 0, None
    labelled = label_minutes(minutes, shared, spec)
    columns = {key: labelled.features[:, i] for i, key in enumerate(schema.KEYS)}
    store.write(FEATURES, FEATURES_VERSION, symbol, {"ts": minutes.ts_ms, **columns})
    for side, labels in (("long", labelled.labels.long), ("short", labelled.labels.short)):
        columns = label_columns(labels, minutes.ts_ms)
        kept = store.read(LABELS[side], spec.hash(), symbol, ())["ts"]
        if np.setdiff1d(kept, columns["ts"], assume_unique=True).size:  # labels that have been taken back
            store.remove(LABELS[side], spec.hash(), symbol)
        if columns["ts"].size:
            store.write(LABELS[side], spec.hash(), symbol, columns)
    return int(labelled.labels.long.labelled.sum()), judge(symbol, labelled)


def research_hash(env: StoreEnv, symbols: tuple[str, ...]) -> dict[str, Any]:
    """What features and labels of these symbols depend on in the store."""
    return {"schema": schema.SCHEMA_VERSION, "labels": _LABELS, "market": market.market_hashes(env.store, symbols)}
