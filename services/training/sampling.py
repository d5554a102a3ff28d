"""Which bars become rows (D18), and how much each row weighs when label spans overlap.

Compiled, per symbol, causal: whether bar t is an event depends on bars up to t only.
"""

import math

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.jit import kernel
from packages.common.time import MINUTE_MS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

EVENT_KINDS = ("every", "vol_change", "volume_spike", "cusum")


def parse_events(text: str) -> tuple[str, float]:
    """``every:10``, ``vol_change:0.2``, ``volume_spike:2.5``, ``cusum:1.0`` → kind and threshold."""
    kind, _, value = text.partition(":")
    try:
        threshold = float(value)
    except ValueError:
        threshold = math.nan
    if kind not in EVENT_KINDS or not threshold > 0 or math.isinf(threshold):
        raise InvalidInputError("events", text, "KIND:NUMBER with a number > 0 and a kind of " + ", ".join(EVENT_KINDS))
    if kind == "every" and threshold != int(threshold):
        raise InvalidInputError("events", text, "a whole number of bars, such as every:10")
    return kind, threshold


def select_events(
    kind: str, threshold: float, ts_ms: IntArray, atr_frac: FloatArray, vol_z: FloatArray, ret_1: FloatArray, phase: int
) -> BoolArray:
    """Mask (n,) of the bars that are events. ``phase`` staggers ``every`` over symbols, so that a pooled set covers
    all minutes. NaN inputs are never events and leave the running sums as they are."""
    if kind == "every":
        return np.asarray((ts_ms // MINUTE_MS + phase) % int(threshold) == 0)
    if kind == "vol_change":
        return _vol_change(atr_frac, threshold)
    if kind == "volume_spike":
        return _rising_edge(vol_z, threshold)
    return _cusum(ret_1, atr_frac, threshold)


@kernel
def _vol_change(atr_frac: FloatArray, threshold: float) -> BoolArray:
    """Events where ln(ATR) has moved by ``threshold`` since the last event; the first valid bar is one."""
    out = np.zeros(atr_frac.size, np.bool_)
    last = math.nan
    for i in range(atr_frac.size):
        if not atr_frac[i] > 0.0:
            continue
        now = math.log(atr_frac[i])
        if math.isnan(last) or abs(now - last) >= threshold:
            out[i], last = True, now
    return out


@kernel
def _rising_edge(values: FloatArray, threshold: float) -> BoolArray:
    """Events where the value reaches the threshold from below: one a spike, not one a bar of it."""
    out = np.zeros(values.size, np.bool_)
    above = False
    for i in range(values.size):
        if math.isnan(values[i]):
            continue
        out[i] = values[i] >= threshold and not above
        above = values[i] >= threshold
    return out


@kernel
def _cusum(ret: FloatArray, atr_frac: FloatArray, threshold: float) -> BoolArray:
    """Symmetric CUSUM of returns against ``threshold`` ATRs (López de Prado, Advances in Financial Machine Learning,
    2018, snippet 2.4); the side that fires starts anew."""
    out = np.zeros(ret.size, np.bool_)
    up = down = 0.0
    for i in range(ret.size):
        if math.isnan(ret[i]) or not atr_frac[i] > 0.0:
            continue
        up, down = max(0.0, up + ret[i]), min(0.0, down + ret[i])
        limit = threshold * atr_frac[i]
        if up >= limit:
            out[i], up = True, 0.0
        elif -down >= limit:
            out[i], down = True, 0.0
    return out


@kernel
def average_uniqueness(start: IntArray, stop: IntArray, n_bars: int) -> FloatArray:
    """Mean over a label's bars of 1 / (labels alive in that bar), shape (n_labels,), in (0, 1].

    Label i is alive in bars ``start[i] … stop[i]``, both included, of one symbol with ``n_bars`` bars. López de Prado
    (2018), section 4.4, in one pass by prefix sums.
    """
    alive = np.zeros(n_bars + 1, np.int64)
    for i in range(start.size):
        alive[start[i]] += 1
        alive[stop[i] + 1] -= 1
    cumulative = np.empty(n_bars + 1)
    cumulative[0] = 0.0
    count = 0
    for b in range(n_bars):
        count += alive[b]
        cumulative[b + 1] = cumulative[b] + (1.0 / count if count > 0 else 0.0)
    out = np.empty(start.size)
    for i in range(start.size):
        out[i] = (cumulative[stop[i] + 1] - cumulative[start[i]]) / (stop[i] - start[i] + 1)
    return out


def warm() -> None:
    """Compile, or load from disk, what a dataset needs."""
    average_uniqueness(np.zeros(1, np.int64), np.ones(1, np.int64), 2)
