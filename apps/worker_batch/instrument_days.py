"""Tier and beta of a day from the 30 days before it (D45): pure arithmetic on stored bars."""

import numpy as np
from numpy.typing import NDArray

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

WINDOW_DAYS = 30
_MIN_HOURS = 48  # fewer common hours say nothing about a beta
_TIER_FLOORS = (("A", 500e6), ("B", 50e6))


def median_daily_quote_volume(ts_ms: I64, quote_volume: F64, day_ms: int) -> float:
    """Median over the days of the window that have at least half their minutes, scaled to whole days; NaN without any.

    ``ts_ms`` (n,) bar opens, ``quote_volume`` (n,) quote units; only bars of the 30 days before ``day_ms`` count.
    """
    inside = (ts_ms >= day_ms - WINDOW_DAYS * DAY_MS) & (ts_ms < day_ms)
    day = (day_ms - 1 - ts_ms[inside]) // DAY_MS
    minutes = np.bincount(day, minlength=WINDOW_DAYS)
    volume = np.bincount(day, quote_volume[inside], minlength=WINDOW_DAYS)
    whole = minutes >= DAY_MS // MINUTE_MS // 2
    return float(np.median(volume[whole] * (DAY_MS // MINUTE_MS) / minutes[whole])) if whole.any() else float("nan")


def tier_of(median_quote_volume: float) -> str:
    """``A``, ``B`` or ``C``; the lowest where nothing is known."""
    return next((tier for tier, floor in _TIER_FLOORS if median_quote_volume >= floor), "C")


def hourly_closes(ts_ms: I64, close: F64, day_ms: int) -> tuple[I64, F64]:
    """Last close of each clock hour of the window that has its last minute."""
    last = (ts_ms >= day_ms - WINDOW_DAYS * DAY_MS) & (ts_ms < day_ms) & ((ts_ms + MINUTE_MS) % HOUR_MS == 0)
    return ts_ms[last] // HOUR_MS, close[last]


def beta(own: tuple[I64, F64], btc: tuple[I64, F64]) -> float:
    """Regression slope of hourly log returns on BTC's over consecutive common hours; 1 where too little is known."""
    hours, here, there = np.intersect1d(own[0], btc[0], assume_unique=True, return_indices=True)
    if hours.size < 2:
        return 1.0
    consecutive = np.diff(hours) == 1
    r, m = np.diff(np.log(own[1][here]))[consecutive], np.diff(np.log(btc[1][there]))[consecutive]
    variance = float(m.var()) if m.size else 0.0
    if m.size < _MIN_HOURS or not variance > 0:
        return 1.0
    return float(((r - r.mean()) * (m - m.mean())).mean() / variance)
