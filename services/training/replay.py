"""The stored market as the kernel takes it: what the desk would have seen, minute by minute, with given predictions.

What ``apps.worker_realtime.engine`` does for one minute happens here for a stretch of them: bars with a last and a mark
price are present, a missing feature is ``FEATURE_NAN``, ``qm`` is the median of the last 60 stored bars, a settlement
is booked in the minute at whose close it happened, tier and beta are those of the newest day on record (D45).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import TARGETS
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.simulator.build import make_market, symbol_flags
from services.simulator.tables import Constants, Market, Params
from services.simulator.volume import fold_volume, new_window
from services.training import market as stored
from services.training.market import FEATURES, FEATURES_VERSION, PREDICTIONS, in_common
from services.training.splits import Span
from services.training.targets import scale_column

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

STRICTEST_TIER = 2
_VOLUME_BACK_MS = 7 * DAY_MS  # far enough back for 60 bars, unless a symbol stood still for a week


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom and how the desk trades. ``days`` (D,) are UTC day starts, ascending; ``tier``, ``beta`` (D, S) what was
    known when each began. ``notes``: what had to be assumed, for the report."""

    symbols: tuple[str, ...]
    tradable: NDArray[np.bool_]
    constants: Constants
    params: Params
    wallet: float
    days: I64
    tier: I64
    beta: F64
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        shape = (self.days.size, len(self.symbols))
        if self.tier.shape != shape or self.beta.shape != shape or self.tradable.shape != shape[1:]:
            raise InvalidInputError("Desk.tier, beta, tradable", (self.tier.shape, self.beta.shape), f"shape {shape}")

    def facts(self, ts_ms: I64) -> tuple[I64, F64, I64]:
        """``tier`` and ``beta`` with a first row for "nothing known yet", and each minute's row in them."""
        n = len(self.symbols)
        tier = np.concatenate([np.full((1, n), STRICTEST_TIER, np.int64), self.tier])
        beta = np.concatenate([np.full((1, n), np.nan), self.beta])
        return tier, beta, np.searchsorted(self.days, ts_ms // DAY_MS * DAY_MS, side="right").astype(np.int64)


@dataclass(frozen=True, slots=True)
class MarketSource:
    """Where the minutes are, and the desk that trades them."""

    store: ResearchStore
    desk: Desk


def read_features(store: ResearchStore, symbol: str, span: Span) -> tuple[I64, F64]:
    """Stored feature rows (n, 17) of the span, with their times."""
    rows = store.read(FEATURES, FEATURES_VERSION, symbol, schema.KEYS, from_ts_ms=span.start_ms, to_ts_ms=span.end_ms)
    values = np.empty((rows["ts"].size, schema.N_FEATURES))
    for i, key in enumerate(schema.KEYS):
        values[:, i] = rows[key]
    return rows["ts"].astype(np.int64), values


def read_inputs(store: ResearchStore, symbol: str, span: Span) -> tuple[I64, F64]:
    """Model inputs (n, 17) of every stored bar of the span that has features and a mark price."""
    ts, features = read_features(store, symbol, span)
    mark = store.read(
        stored.MARK, stored.VERSION, symbol, ("close",), from_ts_ms=span.start_ms, to_ts_ms=span.end_ms
    )  # fmt: skip
    ts, at, at_mark = in_common(ts, mark["ts"])
    return ts, schema.model_inputs(features[at], np.asarray(mark["close"][at_mark], np.float64))


def replay_market(store: ResearchStore, desk: Desk, spec: LabelSpec, version: str, span: Span) -> Market:
    """Every minute of ``span`` with the predictions stored under ``version``; NaN where there are none, which the
    kernel blocks as ``FEATURE_NAN``. About 220 bytes a symbol and minute."""
    t, n = span.length_ms // MINUTE_MS, len(desk.symbols)
    if t < 1:
        raise InvalidInputError("span", str(span), "at least one minute")
    ts_ms = span.start_ms + MINUTE_MS * np.arange(t, dtype=np.int64)
    last, mark = np.full((t, 4, n), np.nan), np.full((t, 4, n), np.nan)
    one: dict[str, F64] = {name: np.full((t, n), np.nan) for name in ("qm", "atr", "atr1", "rate")}
    preds = np.full((t, len(TARGETS), n), np.nan)
    present, bad = np.zeros((t, n), np.bool_), np.ones((t, n), np.bool_)
    regime = np.full(t, np.nan)
    atr_column = scale_column(spec.atr_interval_min)
    for s, symbol in enumerate(desk.symbols):
        bars, features = _SymbolMinutes(store, symbol, span), read_features(store, symbol, span)
        last[bars.at, :, s], mark[bars.at, :, s] = bars.last, bars.mark
        present[bars.at, s] = True
        one["rate"][bars.settled_at, s] = bars.settled_rate
        one["qm"][:, s] = bars.median_volumes(store, span)
        at = (features[0] - span.start_ms) // MINUTE_MS
        one["atr"][at, s], one["atr1"][at, s] = features[1][:, atr_column], features[1][:, schema.ATR]
        bad[at, s] = schema.feature_nan(features[1])
        unknown = np.isnan(regime[at])
        regime[at[unknown]] = features[1][unknown, schema.BTC_REGIME]
        for k, values in enumerate(_predictions(store, version, symbol, span, ts_ms)):
            preds[:, k, s] = values
    tier, beta, day_row = desk.facts(ts_ms)
    nothing = np.zeros((t, n), np.bool_)
    return make_market(
        ts_ms,
        flags=symbol_flags(present, np.broadcast_to(desk.tradable, (t, n)), nothing, nothing, bad),
        last=last, mark=mark, preds=preds, **one,
        regime=np.where(np.isnan(regime), -1, regime).astype(np.int64),
        tier=tier, beta=beta, day_row=day_row,
    )  # fmt: skip


class _SymbolMinutes:
    """One symbol's stored minutes of a span: places ``at`` (m,) on the minute grid, bars (m, 4), settlements."""

    def __init__(self, store: ResearchStore, symbol: str, span: Span) -> None:
        minutes = stored.read_minutes(store, symbol, span.start_ms, span.end_ms)
        self.symbol = symbol
        self.at = (minutes.ts_ms - span.start_ms) // MINUTE_MS
        self.last, self.mark = minutes.bars[:, 1:5], minutes.bars[:, 6:10]
        # A settlement belongs to the minute that closes with it, whether or not there is a bar.
        funding = store.read(
            stored.FUNDING, stored.VERSION, symbol, ("funding_rate",),
            from_ts_ms=span.start_ms + MINUTE_MS, to_ts_ms=span.end_ms + MINUTE_MS,
        )  # fmt: skip
        self.settled_at = (funding["ts"] - MINUTE_MS - span.start_ms) // MINUTE_MS
        self.settled_rate = funding["funding_rate"]

    def median_volumes(self, store: ResearchStore, span: Span) -> F64:
        """``qm`` of every minute (t,), by the fold of the desk, begun a week before the span."""
        start = span.start_ms - _VOLUME_BACK_MS
        rows = store.read(
            stored.CANDLES, stored.VERSION, self.symbol, ("quote_volume",), from_ts_ms=start, to_ts_ms=span.end_ms
        )
        grid = np.full(((span.end_ms - start) // MINUTE_MS, 1), np.nan)
        grid[(rows["ts"] - start) // MINUTE_MS, 0] = rows["quote_volume"]
        return fold_volume(new_window(1), grid)[-(span.length_ms // MINUTE_MS) :, 0]


def _predictions(store: ResearchStore, version: str, symbol: str, span: Span, ts_ms: I64) -> list[F64]:
    columns: Mapping[str, NDArray[np.generic]] = store.read(
        PREDICTIONS, version, symbol, TARGETS, from_ts_ms=span.start_ms, to_ts_ms=span.end_ms
    )
    out = []
    at = (columns["ts"].astype(np.int64) - span.start_ms) // MINUTE_MS
    for name in TARGETS:
        values = np.full(ts_ms.size, np.nan)
        values[at] = columns[name]
        out.append(values)
    return out
