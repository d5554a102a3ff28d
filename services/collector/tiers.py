"""Liquidity tier and beta of each symbol, per day, from what was known a day before it began (D45). Pure.

A day's row is computed during the day before, from the bars before that one, so that it lies ready at midnight: a desk
that had to wait for it would trade the first minutes of a day on yesterday's row, and the backtest on today's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.collector.ports import Row

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


LOOK_BACK_MS = 32 * DAY_MS  # bars a day's row needs before it: the day it is computed in, and TierConfig's days


@dataclass(frozen=True, slots=True)
class TierConfig:
    """Quote units a day; ``days`` looked back; fewer than ``min_hours`` common returns make no beta of their own."""

    a_volume: float = 500e6
    b_volume: float = 50e6
    days: int = 30
    min_hours: int = 72
    unknown_beta: float = 1.0


def tier_of(median_quote_volume: float, config: TierConfig) -> str:
    """``A``, ``B`` or ``C``; C where nothing is known (NaN)."""
    if median_quote_volume >= config.a_volume:
        return "A"
    return "B" if median_quote_volume >= config.b_volume else "C"


def median_daily_volume(ts: I64, quote_volume: F64, day_ms: int, days: int) -> float:
    """Median of the quote volume of the last ``days`` whole UTC days before ``day_ms``; NaN without one.

    ``ts`` opens of 1m bars, ascending. A day with less than nine tenths of its bars is not whole.
    """
    inside = (ts >= day_ms - days * DAY_MS) & (ts < day_ms)
    if not inside.any():
        return float("nan")
    back = (ts[inside] - (day_ms - days * DAY_MS)) // DAY_MS
    totals = np.bincount(back, weights=quote_volume[inside], minlength=days)
    counts = np.bincount(back, minlength=days)
    whole = totals[counts >= 0.9 * DAY_MS / MINUTE_MS]
    return float(np.median(whole)) if whole.size else float("nan")


def hourly_returns(ts: I64, close: F64, day_ms: int, days: int) -> tuple[I64, F64]:
    """Simple returns of hourly closes in the ``days`` before ``day_ms``, with the hour each ends in.

    An hour's close is that of its last bar; a return needs two hours in a row.
    """
    inside = (ts >= day_ms - days * DAY_MS) & (ts < day_ms)
    hours, at = ts[inside] // HOUR_MS, close[inside]
    last = np.flatnonzero(np.diff(hours, append=hours[-1:] + 1)) if hours.size else np.empty(0, np.int64)
    hours, at = hours[last], at[last]
    if hours.size < 2:
        return np.empty(0, np.int64), np.empty(0)
    following = np.diff(hours) == 1
    return hours[1:][following], (at[1:] / at[:-1] - 1.0)[following]


def beta(own: tuple[I64, F64], btc: tuple[I64, F64], config: TierConfig) -> float:
    """Covariance with BTC's returns over their variance, on common hours; ``unknown_beta`` with too few of them."""
    _, mine, theirs = np.intersect1d(own[0], btc[0], assume_unique=True, return_indices=True)
    x, y = btc[1][theirs], own[1][mine]
    if x.size < config.min_hours or np.var(x) == 0:
        return config.unknown_beta
    return float(np.mean((x - x.mean()) * (y - y.mean())) / np.var(x))


def instrument_day_rows(
    day_ms: int, bars: Mapping[str, tuple[I64, F64, F64]], config: TierConfig | None = None, *, btc: str = "BTCUSDT"
) -> list[Row]:
    """Rows of ``instrument_days`` for the UTC day that begins at ``day_ms``.

    ``bars`` maps each symbol to (ts, close, quote_volume) of 1m bars; those of the day before and later are not seen.
    """
    config, known_ms = config or TierConfig(), day_ms - DAY_MS
    returns = {s: hourly_returns(ts, close, known_ms, config.days) for s, (ts, close, _) in bars.items()}
    nothing = (np.empty(0, np.int64), np.empty(0))
    rows: list[Row] = []
    for symbol, (ts, _, quote_volume) in bars.items():
        median = median_daily_volume(ts, quote_volume, known_ms, config.days)
        own = 1.0 if symbol == btc else beta(returns[symbol], returns.get(btc, nothing), config)
        rows.append(
            {
                "symbol": symbol,
                "day": day_ms,
                "tier": tier_of(median, config),
                "beta": own,
                "median_quote_volume": None if np.isnan(median) else median,
            }
        )
    return rows
