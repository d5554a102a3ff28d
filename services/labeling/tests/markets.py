"""Random markets for the tests; every number comes from the generator handed in."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from services.labeling.triple_barrier import LabelSpec, label_direction_vectorized

START_MS = 1_750_000_020_000


class Arrays(NamedTuple):
    """What ``label_direction_vectorized`` takes, in its order."""

    ts: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    mark: np.ndarray
    atr: np.ndarray
    funding_rate: np.ndarray
    next_funding_ts: np.ndarray


def random_arrays(n: int, rng: np.random.Generator, *, settle_every: int = 7, holes: bool = True) -> Arrays:
    """A walk on a coarse grid (many ties), with time gaps, unusable rows and settlements anywhere in their bars."""
    steps = np.where(rng.random(n) < 0.03, rng.integers(30, 200, n), 1) if holes else np.ones(n, dtype=np.int64)
    ts = START_MS + 60_000 * np.cumsum(steps)
    close = 100.0 + 0.25 * np.cumsum(rng.integers(-2, 3, n))
    close = np.maximum(close, 20.0)
    high = close + 0.25 * rng.integers(0, 4, n)
    low = close - 0.25 * rng.integers(0, 4, n)
    mark = close.copy()
    atr = 0.25 * rng.integers(1, 8, n).astype(np.float64)
    if holes:
        for array, bad in ((mark, (np.nan, 0.0, -1.0)), (atr, (np.nan, 0.0, -2.0))):
            at = rng.random(n) < 0.04
            array[at] = rng.choice(bad, at.sum())
    settles = rng.integers(0, settle_every, n) == 0
    offset = np.where(rng.random(n) < 0.7, 60_000, rng.integers(1, 60_001, n))
    next_funding = np.where(settles, ts + offset, ts + 8 * 3_600_000)
    rate = np.where(settles, rng.standard_normal(n) * 1e-3, np.nan)
    return Arrays(ts, high, low, close, mark, atr, rate, next_funding)


def label_frame(arrays: Arrays, spec: LabelSpec, direction: int, atr_slip: np.ndarray | None = None) -> pd.DataFrame:
    return label_direction_vectorized("TESTUSDT", *arrays, spec, direction, atr_slip)
