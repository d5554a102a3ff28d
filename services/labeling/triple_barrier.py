"""Labels (§8, D14): what a bracket entered at the close of a bar would have earned, net of every cost.

``label_both`` is the face for arrays, ``label_direction_vectorized`` the specification's. Both run ``kernel.scan``.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from services.labeling import kernel as k

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class LabelSpec:
    """What a label means. Distances are in ATRs of the barriers' interval, ``slippage_k`` in 1m ATRs per side (D17)."""

    k_tp: float
    k_sl: float
    h_bars: int
    risk_mae_atr: float
    fee_rate: float
    slippage_k: float
    atr_interval_min: int = 1  # whose ATR the barriers take: 1 (``atr``) or 60 (``atr_60``)
    stop_overshoot: float = 0.0  # share of the bar beyond the SL that is lost

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise InvalidInputError(f"LabelSpec.{field.name}", value, "a number")
            whole = field.type is int
            if whole and (not math.isfinite(value) or value != int(value)):
                raise InvalidInputError(f"LabelSpec.{field.name}", value, "a whole number")
            object.__setattr__(self, field.name, int(value) if whole else float(value))
        for name in ("k_tp", "k_sl", "risk_mae_atr"):
            self._require(name, 0.0 < getattr(self, name) < math.inf, "a finite number > 0")
        for name in ("fee_rate", "slippage_k"):
            self._require(name, 0.0 <= getattr(self, name) < math.inf, "a finite number >= 0")
        self._require("h_bars", self.h_bars >= 1, "at least 1 bar")
        self._require("atr_interval_min", self.atr_interval_min in (1, 60), "1 or 60")
        self._require("stop_overshoot", 0.0 <= self.stop_overshoot <= 1.0, "a share in [0, 1]")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise InvalidInputError(f"LabelSpec.{name}", getattr(self, name), expected)

    @property
    def stop_atr(self) -> float:
        """Distance of the SL: the risk proxy merges into it (§8.1)."""
        return min(self.k_sl, self.risk_mae_atr)

    def hash(self) -> str:
        """Stable name of the meaning, 16 hex digits; every field is part of it."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` gives back an equal spec."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LabelSpec":
        """Raises InvalidInputError on a missing or unknown field."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - names):
            raise InvalidInputError("LabelSpec", unknown, f"only the fields {sorted(names)}")
        try:
            return cls(**values)
        except TypeError as exc:
            raise InvalidInputError("LabelSpec", sorted(values), "every field without a default") from exc


PRESETS: Final[Mapping[str, LabelSpec]] = {
    "spec": LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=360, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15),  # §21.1
    "swing": LabelSpec(  # barriers that are worth their costs (D17)
        *(1.5, 1.0, 1440, 3.0, 0.0004, 0.15), atr_interval_min=60, stop_overshoot=0.25
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One direction, all arrays (n,) beside the bars. Where ``labelled`` is False: floats NaN, ``y`` and ``bars`` 0.

    ``ret_net == ret_gross - fees - slippage - funding`` to the last bit, taken in that order; all are fractions of the
    entry, costs positive when they cost. ``bars`` is the exit bar minus the row's bar.
    """

    labelled: NDArray[np.bool_]
    y: NDArray[np.int8]  # +1 TP, -1 SL, 0 TIME
    bars: NDArray[np.int32]
    ret_net: F64
    mae: F64
    mfe: F64
    ret_gross: F64
    fees: F64
    slippage: F64
    funding: F64


@dataclass(frozen=True, slots=True, eq=False)
class BothLabels:
    long: Labels
    short: Labels


def label_both(
    ts_ms: I64,
    high: F64,
    low: F64,
    close: F64,
    mark: F64,
    atr: F64,
    funding_rate: F64,
    next_funding_ts: I64,
    spec: LabelSpec,
    atr_slip: F64 | None = None,
) -> BothLabels:
    """Long and short labels of all bars (n,), in one pass.

    Arguments as ``label_direction_vectorized``. A row has no label when its mark or an ATR is NaN, infinite or not
    positive, or when fewer than ``spec.h_bars`` bars follow.
    """
    long, short = _label(
        *(ts_ms, high, low, close, mark, atr, funding_rate, next_funding_ts, spec, atr_slip), wanted=(True, True)
    )
    assert long is not None
    assert short is not None
    return BothLabels(long, short)


def label_direction_vectorized(
    symbol: str,
    ts_index: NDArray[Any],
    high: F64,
    low: F64,
    close: F64,
    mark: F64,
    atr: F64,
    funding_rate: F64,
    next_funding_ts: NDArray[Any],
    spec: LabelSpec,
    direction: int,
    atr_slip: F64 | None = None,
) -> pd.DataFrame:
    """Return y, ret_net, mae, mfe, time_to_event_min (and ret_gross, fees, slippage, funding) for each ts.

    One row per bar, in order, indexed by ``ts_index``; a row without a label is NaN in every column (``dropna()``
    leaves the labels), so that positions stay those of the inputs.

    All arrays are (n,), bars in strictly growing time. ``ts_index`` and ``next_funding_ts`` are epoch milliseconds or
    times (naive ones are UTC); in ``next_funding_ts`` NaT, NaN or a time outside ``(ts, ts + 60 s]`` means no
    settlement in that bar, else it settles at ``funding_rate`` of the same row. ``high``, ``low``, ``close`` are of the
    series that triggers (the mark's where they exist) and must be finite and positive: leave missing bars out. ``mark``
    is the mark close, ``atr`` the barriers' ATR and ``atr_slip`` the 1m ATR of the slippage term (``atr`` when None),
    all in quote units.
    ``direction`` is +1 or -1. Raises InvalidInputError, naming the symbol's field, row and value.
    """
    if direction not in (1, -1):
        raise InvalidInputError("direction", direction, "+1 (long) or -1 (short)")
    try:
        long, short = _label(
            *(ts_index, high, low, close, mark, atr, funding_rate, next_funding_ts, spec, atr_slip),
            wanted=(direction == 1, direction == -1),
        )
    except InvalidInputError as exc:
        raise InvalidInputError(f"{symbol}: {exc.field}", exc.value, exc.expected) from None
    labels = long or short
    assert labels is not None
    return pd.DataFrame(
        {
            "y": np.where(labels.labelled, labels.y, math.nan),
            "ret_net": labels.ret_net,
            "mae": labels.mae,
            "mfe": labels.mfe,
            "time_to_event_min": np.where(labels.labelled, labels.bars, math.nan),
            "ret_gross": labels.ret_gross,
            "fees": labels.fees,
            "slippage": labels.slippage,
            "funding": labels.funding,
        },
        index=pd.Index(ts_index, name="ts"),
    )


def _label(
    ts: NDArray[Any],
    high: F64,
    low: F64,
    close: F64,
    mark: F64,
    atr: F64,
    funding_rate: F64,
    next_funding_ts: NDArray[Any],
    spec: LabelSpec,
    atr_slip: F64 | None,
    *,
    wanted: tuple[bool, bool],
) -> tuple[Labels | None, Labels | None]:
    if not isinstance(spec, LabelSpec):
        raise InvalidInputError("spec", type(spec).__name__, "a LabelSpec")
    ts_ms = _milliseconds("ts_index", ts)
    n = ts_ms.size
    if (missing := np.flatnonzero(pd.isna(ts))).size:
        raise InvalidInputError(f"ts_index[{missing[0]}]", None, "the open of a bar")
    series = {"high": high, "low": low, "close": close, "mark": mark, "atr": atr, "funding_rate": funding_rate}
    series["atr_slip"] = atr if atr_slip is None else atr_slip
    values = {name: _floats(name, array, n) for name, array in series.items()}
    settles = _milliseconds("next_funding_ts", next_funding_ts, n)
    triggers = values["high"], values["low"], values["close"]
    fault, row, count = k.check(ts_ms, *triggers, values["funding_rate"], settles)
    if fault == k.FINE and n > 1 and (steps := np.diff(ts_ms)).min() < k.MINUTE:
        at = int(steps.argmin()) + 1
        raise InvalidInputError(f"ts_index[{at}]", int(ts_ms[at]), "a minute or more after the bar before (epoch ms)")
    if fault in (k.BAD_HIGH, k.BAD_LOW) and not 0.0 < values["close"][row] < math.inf:
        fault = k.BAD_CLOSE  # no high and no low agrees with such a close
    if fault != k.FINE:
        name, expected = _FAULTS[fault]
        raise InvalidInputError(f"{name}[{row}]", ({"ts_index": ts_ms} | values)[name][row].item(), expected)
    instants, rates = k.settlements_of(ts_ms, values["funding_rate"], settles, count)

    labelled: NDArray[np.bool_] = np.empty(n, dtype=np.bool_)
    slippage = np.empty(n)
    out, y, bars = np.empty((2, k.N_COLUMNS, n)), np.empty((2, n), dtype=np.int8), np.empty((2, n), dtype=np.int32)
    fees = 2.0 * spec.fee_rate
    levels, costs = (spec.k_tp, spec.stop_atr, spec.stop_overshoot), (fees, 2.0 * spec.slippage_k)
    bar_arrays = (ts_ms, *triggers, values["mark"], values["atr"], values["atr_slip"])
    k.scan(*bar_arrays, instants, rates, levels, costs, spec.h_bars, wanted, labelled, slippage, out, y, bars)
    fee_column = np.full(n, fees)
    fee_column[~labelled] = math.nan
    long, short = (
        _labels(labelled, fee_column, slippage, out[side], y[side], bars[side]) if wanted[side] else None
        for side in (0, 1)
    )
    return long, short


def _labels(
    labelled: NDArray[np.bool_], fees: F64, slippage: F64, out: F64, y: NDArray[np.int8], bars: NDArray[np.int32]
) -> Labels:
    return Labels(
        *(labelled, y, bars, out[k.RET_NET], out[k.MAE], out[k.MFE], out[k.RET_GROSS], fees, slippage, out[k.FUNDING])
    )


def _floats(name: str, values: F64, n: int) -> F64:
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(name, getattr(values, "dtype", type(values).__name__), f"numbers ({exc})") from None
    if array.shape != (n,):
        raise InvalidInputError(name, array.shape, f"shape ({n},), as ts_index")
    return array


def _milliseconds(name: str, values: NDArray[Any], n: int | None = None) -> I64:
    """Epoch milliseconds of integers, floats or times (naive means UTC); 0 for NaT and NaN."""
    zone = getattr(getattr(values, "dtype", None), "tz", None)
    array = np.asarray(values if zone is None else pd.DatetimeIndex(values).tz_convert(None))
    if array.ndim != 1 or (n is not None and array.size != n):
        raise InvalidInputError(name, array.shape, "one dimension" if n is None else f"shape ({n},), as ts_index")
    if array.dtype.kind == "M":
        ms = array.astype("datetime64[ms]").astype(np.int64)
        return np.ascontiguousarray(np.where(np.isnat(array), 0, ms))
    if array.dtype.kind == "f":
        return _before_2100(name, np.where(np.isfinite(array), array, 0.0).astype(np.int64))
    if array.dtype.kind not in "iu":
        raise InvalidInputError(name, str(array.dtype), "epoch milliseconds (integers) or datetime64")
    return _before_2100(name, np.ascontiguousarray(array, dtype=np.int64))


def _before_2100(name: str, ms: I64) -> I64:
    """Micro- and nanoseconds are times of the far future, in whose minutes nothing ever settles."""
    if ms.size and ms.max() >= _YEAR_2100:
        at = int(ms.argmax())
        raise InvalidInputError(f"{name}[{at}]", int(ms[at]), "epoch milliseconds, before the year 2100")
    return ms


_YEAR_2100: Final = 4_102_444_800_000
_FAULTS: Final = {
    k.TS_NOT_GROWING: ("ts_index", "a time after the one before: sorted, no duplicates"),
    k.BAD_HIGH: ("high", "a finite price, at least the close"),
    k.BAD_LOW: ("low", "a price > 0, at most the close"),
    k.BAD_CLOSE: ("close", "a finite price > 0"),
    k.NO_RATE: ("funding_rate", "a finite rate, as next_funding_ts says it settles in this bar"),
}
