"""Fewer points for the screen without losing what the eye looks for. Pure; arrays in time order."""

import numpy as np
from numpy.typing import NDArray

from packages.common.time import MINUTE_MS

POINTS_MAX = 3000
STEPS_MIN = (1, 3, 5, 15, 30, 60, 120, 240, 480, 720, 1440)


def step_minutes(span_ms: int, points_max: int = POINTS_MAX) -> int:
    """Minutes of a bar so that a span has at most ``points_max`` of them; the longest step if none does."""
    for step in STEPS_MIN:
        if span_ms <= points_max * step * MINUTE_MS:
            return step
    return STEPS_MIN[-1]


def significant(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """``values`` rounded to so many significant digits; NaN, infinities and 0 stay."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
    exponent = np.clip(np.where(np.isfinite(exponent), exponent, 0.0), -300.0, 300.0)
    up = 10.0 ** np.maximum(digits - 1 - exponent, 0.0)  # powers of ten are whole: dividing by them rounds once
    down = 10.0 ** np.maximum(exponent + 1 - digits, 0.0)
    with np.errstate(invalid="ignore"):
        rounded: NDArray[np.float64] = np.round(values * up / down) / up * down
    return rounded


def min_max(values: NDArray[np.float64], points_max: int = POINTS_MAX) -> NDArray[np.int64]:
    """Indices to keep of ``values``, shape (n,): ends, and the lowest and highest of each of equal buckets.

    Every extreme of the full series stays, so a spike or a drawdown never vanishes. NaN is never an extreme; a bucket
    of NaN keeps its first point. At most ``points_max`` (≥ 4) indices, ascending, unique.
    """
    n = values.size
    if n <= points_max:
        return np.arange(n)
    edges = np.linspace(0, n, max(1, (points_max - 2) // 2) + 1).astype(np.int64)
    starts = edges[:-1]
    finite = np.isfinite(values)
    keep = [np.array([0, n - 1])]
    for fill, pick in ((np.inf, np.minimum), (-np.inf, np.maximum)):
        filled = np.where(finite, values, fill)
        best = pick.reduceat(filled, starts)
        bucket = np.repeat(np.arange(starts.size), np.diff(edges))
        hits = np.flatnonzero(filled == best[bucket])
        _, first = np.unique(bucket[hits], return_index=True)
        keep.append(hits[first])
    return np.unique(np.concatenate(keep))
