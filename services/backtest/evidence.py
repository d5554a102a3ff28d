"""How far chance alone could have moved the figures: confidence intervals and Monte Carlo, from a given generator.

Trades of one day share the market of that day and days are not independent either, so intervals come from the
stationary bootstrap over days (Politis and Romano 1994, "The Stationary Bootstrap", JASA 89): days are drawn in blocks
of geometric length that wrap around, and every statistic is computed anew from the drawn days with all their trades.
The mean block length follows Politis and White 2004 as corrected by Patton, Politis and White 2009 (Econometric Reviews
28). Intervals are percentile intervals (Efron and Tibshirani 1993, chapter 13), taken further out the fewer blocks
there are (``tail_of``): the plain ones of ten days hold the truth 85 times in a hundred where they say 95.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS
from services.backtest.portfolio import DAYS_A_YEAR, daily_returns
from services.backtest.report import Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that Monte Carlo rows show
_CHUNK = 2_000_000  # numbers held at once while drawing


class Days(NamedTuple):
    """One row per UTC day of the backtest: the return of the equity, and the sums over the trades that closed on it."""

    returns: Floats
    net: Floats
    gains: Floats
    losses: Floats  # >= 0
    trades: Floats


def days_of(trades: Any, equity: Floats, ts_ms: Ints, start: float) -> Days:
    """Fold ``trades`` (dtype TRADE) and the equity of every minute into days."""
    day, returns = daily_returns(equity, ts_ms, start)
    place = np.searchsorted(day, trades["exit_bar"] // (DAY_MS // MINUTE_MS))
    net = trades["net"]

    def total(weights: Floats) -> Floats:
        return np.asarray(np.bincount(place, weights, day.size), np.float64)

    return Days(returns, total(net), total(np.maximum(net, 0)), total(np.maximum(-net, 0)), total(np.ones(net.size)))


def block_length(values: Floats) -> float:
    """Optimal mean block length of the stationary bootstrap for the mean of a series (n,), at least 1, at most
    ``min(3 sqrt(n), n / 3)``: Patton, Politis and White 2009, with the flat-top window of Politis and White 2004.
    """
    n = values.size
    centred = values - values.mean() if n else values
    if n < 8 or not np.any(centred):
        return 1.0
    patience = max(5, int(np.ceil(np.log10(n))))
    lags = min(int(np.ceil(np.sqrt(n))) + patience, n - 1)
    covariance = np.array([centred[: n - k] @ centred[k:] for k in range(lags + 1)]) / n
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * np.sqrt(np.log10(n) / n)
    run = [k for k in range(small.size - patience + 1) if small[k : k + patience].all()]
    last = run[0] if run else int(np.flatnonzero(~small).max(initial=-1)) + 1  # lags beyond it are noise
    bandwidth = min(2 * max(last, 1), lags)
    k = np.arange(-bandwidth, bandwidth + 1)
    share = np.abs(k) / bandwidth
    window = np.where(share <= 0.5, 1.0, 2.0 * (1.0 - share))
    weighted = window * covariance[np.abs(k)]
    spread = float((weighted * np.abs(k)).sum())
    variance = float(weighted.sum())
    if variance <= 0.0:
        return 1.0
    length = (spread**2 / variance**2) ** (1 / 3) * n ** (1 / 3)  # (2 G² / D)^(1/3) n^(1/3) with D = 2 g(0)²
    return float(np.clip(length, 1.0, max(1.0, np.ceil(min(3.0 * np.sqrt(n), n / 3)))))


def stationary_indices(n: int, draws: int, length: float, rng: np.random.Generator) -> Ints:
    """(draws, n) positions of the stationary bootstrap: blocks of geometric length with mean ``length``, wrapping."""
    if n < 1 or length < 1.0:
        raise InvalidInputError("n, length", (n, length), "at least one value, and blocks of at least one")
    starts = rng.integers(0, n, (draws, n))
    fresh = rng.random((draws, n)) < 1.0 / length
    fresh[:, 0] = True
    place = np.arange(n)
    since = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)  # where the current block began
    return np.asarray((np.take_along_axis(starts, since, axis=1) + place - since) % n, np.int64)


def path_drawdown(returns: Floats) -> Floats:
    """Largest fall from a peak (the start counts) of each compounded path (…, n) of returns, as a fraction of it."""
    equity = np.cumprod(np.maximum(1.0 + returns, 0.0), axis=-1)
    peaks = np.maximum(np.maximum.accumulate(equity, axis=-1), 1.0)
    return np.asarray((1.0 - equity / peaks).max(axis=-1, initial=0.0))


def statistics_of(days: Days, rows: Ints | None = None) -> dict[str, Floats]:
    """The statistics that get an interval, of each draw ``rows`` (draws, n) of days, or of the days as they are.

    A profit factor is inf without losses and NaN without trades; a Sharpe ratio NaN without variation.
    """
    pick = np.arange(days.returns.size)[None] if rows is None else rows
    returns = days.returns[pick]
    deviation = returns.std(1, ddof=1) if pick.shape[1] > 1 else np.zeros(len(pick))
    deviation = np.where(np.ptp(returns, axis=1) > 0, deviation, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "expectancy": days.net[pick].sum(1) / days.trades[pick].sum(1),
            "profit_factor": days.gains[pick].sum(1) / days.losses[pick].sum(1),
            "daily_return": returns.mean(1),
            "sharpe": returns.mean(1) / deviation * DAYS_A_YEAR**0.5,
            "max_drawdown_daily": path_drawdown(returns),
        }


UNITS = {
    "expectancy": "USDT a trade",
    "profit_factor": "ratio",
    "daily_return": "a day",
    "sharpe": "a year",
    "max_drawdown_daily": "of the peak",
}


def bootstrap_intervals(
    days: Days, rng: np.random.Generator, *, draws: int = 5_000, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile intervals of ``statistics_of``, widened for few days; empty with fewer than two days. Draws in which a
    statistic is undefined (no trade drawn, no variation) do not count for it."""
    n = days.returns.size
    if n < 2 or draws < 1:
        return {}
    length = block_length(days.returns)
    size = max(1, _CHUNK // n)
    parts = []
    for done in range(0, draws, size):
        parts.append(statistics_of(days, stationary_indices(n, min(size, draws - done), length, rng)))
    tail = tail_of(level, n / length)
    out = {}
    for name, estimate in statistics_of(days).items():
        drawn = np.concatenate([part[name] for part in parts])
        drawn = drawn[~np.isnan(drawn)]
        low, high = _quantiles(drawn, (tail, 1.0 - tail))
        out[name] = Interval(estimate=float(estimate[0]), low=low, high=high, level=level, unit=UNITS[name])
    return out


def tail_of(level: float, blocks: float) -> float:
    """Probability beyond each end of a percentile interval that shall cover ``level`` with so many independent blocks
    of data, at least 2: Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American Statistician 69,
    section 5.2.1. The bootstrap's spread is too small by ``sqrt((n - 1) / n)``, and its tails are normal where
    Student's are due; (1 - level) / 2 for many blocks."""
    n = max(blocks, 2.0)
    return float(stats.norm.cdf(stats.t.ppf((1.0 - level) / 2, n - 1.0) * np.sqrt(n / (n - 1.0))))


def trade_returns(trades: Any, start: float) -> Floats:
    """Each trade's net as a fraction of the realised equity before it, in the order of closing; -1 at worst."""
    net = trades["net"][np.argsort(trades["exit_bar"], kind="stable")]
    before = start + np.concatenate([[0.0], np.cumsum(net)])[: net.size]
    return np.asarray(np.maximum(np.divide(net, before, out=np.zeros(net.size), where=before > 0), -1.0))


def monte_carlo(
    trades: Any, days: Days, start: float, rng: np.random.Generator, *, draws: int = 2_000
) -> list[dict[str, float | str]]:
    """Distributions of the largest drawdown and of the end equity (start = 1) under three ways of dealing again.

    ``shuffle``: the same trades in another order (the end is the same, the way down is not); ``resample``: trades drawn
    with replacement; ``blocks``: days in blocks, stationary bootstrap. Compounded, one after the other. Rows: method,
    steps, draws, ``max_drawdown_q05`` … ``_q95``, ``end_equity_q05`` … ``_q95``, ``loss_probability`` (share of
    draws that end below the start). Methods with nothing to draw from are left out.
    """
    per_trade = trade_returns(trades, start)
    length = block_length(days.returns)
    methods: dict[str, tuple[Floats, Callable[[int, int], Ints]]] = {
        "shuffle": (per_trade, lambda m, n: rng.permuted(np.tile(np.arange(n), (m, 1)), axis=1)),
        "resample": (per_trade, lambda m, n: rng.integers(0, n, (m, n))),
        "blocks": (days.returns, lambda m, n: stationary_indices(n, m, length, rng)),
    }
    out: list[dict[str, float | str]] = []
    for name, (returns, draw) in methods.items():
        n = returns.size
        if n == 0:
            continue
        size = max(1, _CHUNK // n)
        falls, ends = [], []
        for done in range(0, draws, size):
            drawn = returns[draw(min(size, draws - done), n)]
            falls.append(path_drawdown(drawn))
            ends.append(np.prod(np.maximum(1.0 + drawn, 0.0), axis=1))
        row: dict[str, float | str] = {"method": name, "steps": n, "draws": draws}
        for what, values in (("max_drawdown", np.concatenate(falls)), ("end_equity", np.concatenate(ends))):
            quantiles = _quantiles(values, LEVELS)
            row |= {f"{what}_q{round(q * 100):02d}": x for q, x in zip(LEVELS, quantiles, strict=True)}
        row["loss_probability"] = float((np.concatenate(ends) < 1.0).mean())
        out.append(row)
    return out


def _quantiles(values: Floats, levels: tuple[float, ...]) -> list[float]:
    """Observed values at the levels: no interpolation, which would make NaN of two infinities. NaN without values."""
    if not values.size:
        return [np.nan] * len(levels)
    return [float(x) for x in np.quantile(values, levels, method="inverted_cdf")]
