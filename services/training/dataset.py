"""Features and labels of many symbols become one pooled table of rows, in time order, with weights and a manifest."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS, iso
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.training import sampling
from services.training.targets import SideLabels, scale_column

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolRows:
    """One symbol's bars with features and labels, ``n`` rows ascending in ``ts_ms``.

    ``features`` (n, 17) in the order of ``schema.KEYS``, ``mark_close`` (n,) in quote units, labels NaN where none.
    ``source`` names the content (hashes of the stored files); without it the arrays themselves are hashed.
    """

    symbol: str
    ts_ms: IntArray
    features: FloatArray
    mark_close: FloatArray
    long: SideLabels
    short: SideLabels
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows in order of (``ts_ms``, symbol); all arrays share the first axis ``n``.

    ``inputs`` (n, 17) float64 are what the models see, NaN only in optional features. ``scale`` (n,) is the barriers'
    ATR as a fraction of the mark. ``end_ts_ms`` (n,) is the close of the later of both sides' exit bars. Weights are
    average uniqueness per side, in (0, 1].
    """

    symbols: tuple[str, ...]
    symbol: NDArray[np.int16]
    ts_ms: IntArray
    end_ts_ms: IntArray
    inputs: FloatArray
    scale: FloatArray
    long: SideLabels
    short: SideLabels
    weight_long: FloatArray
    weight_short: FloatArray
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return int(self.ts_ms.size)

    def side(self, side: Literal["long", "short"]) -> tuple[SideLabels, FloatArray]:
        """Labels and weights of one side."""
        return (self.long, self.weight_long) if side == "long" else (self.short, self.weight_short)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which bars become rows: ``start_ms <= ts_ms < end_ms``, events by ``sampling.parse_events``."""

    events: str
    label_spec: LabelSpec
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """Sampled rows of one symbol, and counts; ``columns`` by the names of ``Dataset``, labels as ``side.column``."""

    symbol: str
    number: int
    ts_ms: IntArray
    columns: dict[str, NDArray[Any]]
    counts: dict[str, Any]


def build_dataset(
    sources: Iterable[SymbolRows],
    *,
    events: str,
    label_spec: LabelSpec,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> Dataset:
    """``sample`` and ``pool``. ``sources`` is consumed one symbol at a time, so that only sampled rows are held."""
    how = Sampling(events, label_spec, start_ms, end_ms)
    return pool([sample(rows, number, how) for number, rows in enumerate(sources)], how)


def sample(rows: SymbolRows, number: int, how: Sampling) -> Sampled:
    """The rows of one symbol, the ``number``-th of its dataset, with their weights.

    Left out, and counted: bars that are not events, bars without a label, bars whose required features are NaN (the
    desk would not trade them). Raises ``InvalidInputError`` for unsorted bars and foreign widths.
    """
    kind_threshold = sampling.parse_events(how.events)
    _check(rows)
    column = scale_column(how.label_spec.atr_interval_min)
    return _sample(rows, number, kind_threshold, column, how.start_ms, how.end_ms)


def pool(samples: list[Sampled], how: Sampling) -> Dataset:
    """Rows of all symbols in time order; each column of ``samples`` is taken out of them on the way, so that it exists
    twice only while it is moved. The same samples give the same bytes. Raises ``InvalidInputError`` for a symbol given
    twice, or when nothing is left."""
    counts = {part.symbol: part.counts for part in samples}
    if len(counts) < len(samples):
        names = [part.symbol for part in samples]
        raise InvalidInputError("symbol", next(n for n in names if names.count(n) > 1), "each symbol once")
    if not sum(part.ts_ms.size for part in samples):
        left = {symbol: {k: v for k, v in count.items() if k != "source"} for symbol, count in counts.items()}
        raise InvalidInputError("dataset", left, f"labelled events between {_iso(how.start_ms)} and {_iso(how.end_ms)}")
    return _pool(samples, counts, how.events, how.label_spec)


def _sample(
    rows: SymbolRows,
    number: int,
    events: tuple[str, float],
    column: int,
    start_ms: int | None,
    end_ms: int | None,
) -> Sampled:
    inputs = np.ascontiguousarray(schema.model_inputs(rows.features, rows.mark_close), np.float64)
    keys = schema.KEYS
    chosen = sampling.select_events(
        *events,
        rows.ts_ms,
        np.ascontiguousarray(inputs[:, column]),
        np.ascontiguousarray(inputs[:, keys.index("vol_z")]),
        np.ascontiguousarray(inputs[:, keys.index("ret_1")]),
        number,
    )
    if start_ms is not None:
        chosen &= rows.ts_ms >= start_ms
    if end_ms is not None:
        chosen &= rows.ts_ms < end_ms
    labelled = np.ones(rows.ts_ms.size, np.bool_)
    for side in (rows.long, rows.short):
        for values in side.columns():
            labelled &= np.isfinite(values)
    required = [i for i, key in enumerate(keys) if key not in schema.OPTIONAL]
    whole = np.isfinite(inputs[:, required]).all(axis=1) & (inputs[:, column] > 0)
    index = np.flatnonzero(chosen & labelled & whole)

    stops = [index + side.time_to_event_min[index].astype(np.int64) for side in (rows.long, rows.short)]
    for stop in stops:
        if stop.size and (stop.max() >= rows.ts_ms.size or (stop <= index).any()):
            raise InvalidInputError("time_to_event_min", rows.symbol, "exits after the bar and inside the data")
    weights = [sampling.average_uniqueness(index + 1, stop, rows.ts_ms.size) for stop in stops]
    return Sampled(
        rows.symbol,
        number,
        rows.ts_ms[index],
        {
            "end_ts_ms": rows.ts_ms[np.maximum(*stops)] + MINUTE_MS,
            "inputs": inputs[index],
            "scale": inputs[index, column],
            "weight_long": weights[0],
            "weight_short": weights[1],
            **{
                f"{name}.{c}": getattr(side, c)[index]
                for name, side in (("long", rows.long), ("short", rows.short))
                for c in SideLabels.names()
            },
        },
        {
            "bars": int(rows.ts_ms.size),
            "events": int(chosen.sum()),
            "unlabelled": int((chosen & ~labelled).sum()),
            "feature_nan": int((chosen & labelled & ~whole).sum()),
            "rows": int(index.size),
            "source": rows.source
            or _digest(rows.ts_ms, rows.features, rows.mark_close, *rows.long.columns(), *rows.short.columns()),
        },
    )


def _pool(parts: list[Sampled], counts: dict[str, dict[str, Any]], events: str, spec: LabelSpec) -> Dataset:
    symbol = np.concatenate([np.full(p.ts_ms.size, p.number, np.int16) for p in parts])
    order = np.lexsort((symbol, np.concatenate([p.ts_ms for p in parts])))
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    columns = {name: _in_order([part.columns for part in parts], name, place) for name in list(parts[0].columns)}
    long, short = (SideLabels(*(columns.pop(f"{side}.{c}") for c in SideLabels.names())) for side in ("long", "short"))
    weights = [columns.pop("weight_long"), columns.pop("weight_short")]
    ts_ms = _in_order([{"ts_ms": part.ts_ms} for part in parts], "ts_ms", place)
    labels = (*long.columns(), *short.columns())
    manifest = {
        "events": events,
        "label_spec_hash": spec.hash(),
        "feature_schema_version": schema.SCHEMA_VERSION,
        "first_ts": iso(int(ts_ms[0])),
        "last_ts": iso(int(ts_ms[-1])),
        "rows": int(ts_ms.size),
        "symbols": counts,
        "content": _digest(symbol[order], ts_ms, columns["end_ts_ms"], columns["inputs"], *labels, *weights),
    }
    return Dataset(
        tuple(counts), symbol[order], ts_ms, columns["end_ts_ms"], columns["inputs"], columns["scale"], long, short,
        weights[0], weights[1], manifest,
    )  # fmt: skip


def _in_order(parts: list[dict[str, NDArray[Any]]], name: str, place: IntArray) -> NDArray[Any]:
    """One pooled column, each part's rows put at their ``place`` and then let go."""
    first = parts[0][name]
    out = np.empty((place.size, *first.shape[1:]), first.dtype)
    begin = 0
    for part in parts:
        rows = part.pop(name)
        out[place[begin : begin + len(rows)]] = rows
        begin += len(rows)
    return out


def _check(rows: SymbolRows) -> None:
    n = rows.ts_ms.size
    if rows.features.shape != (n, len(schema.KEYS)):
        raise InvalidInputError("features", rows.features.shape, f"shape {(n, len(schema.KEYS))} for {rows.symbol}")
    for name, array in [("mark_close", rows.mark_close)] + [
        (f"{s}.{c}", getattr(labels, c))
        for s, labels in (("long", rows.long), ("short", rows.short))
        for c in SideLabels.names()
    ]:
        if array.shape != (n,):
            raise InvalidInputError(name, array.shape, f"shape {(n,)} for {rows.symbol}")
    late = np.flatnonzero(np.diff(rows.ts_ms) <= 0)
    if late.size:
        raise InvalidInputError("ts_ms", int(rows.ts_ms[late[0] + 1]), f"strictly ascending bars of {rows.symbol}")


def _digest(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _iso(ts_ms: int | None) -> str:
    return "any time" if ts_ms is None else iso(ts_ms)
