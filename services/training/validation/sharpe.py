"""What a Sharpe ratio is worth: probabilistic and deflated Sharpe, and the track record a claim needs.

Everything is *per period*: returns of equal periods go in, nothing is annualised (an annual figure divides by
``sqrt(periods a year)`` first). Periods are taken as independent, so they should be longer than a position is held;
daily sums are what the callers use.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from packages.common.errors import InvalidInputError

EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class SharpeMoments:
    """``sharpe`` = mean / deviation (n − 1 below); ``skew`` and ``kurtosis`` are the plain moment ratios, the normal
    distribution's being 0 and 3 (not excess)."""

    periods: int
    sharpe: float
    skew: float = 0.0
    kurtosis: float = 3.0

    @property
    def deviation(self) -> float:
        """Asymptotic standard error of the Sharpe ratio under non-normal returns (Mertens 2002, as in Bailey and
        López de Prado, The Sharpe Ratio Efficient Frontier, 2012, equation 8)."""
        return math.sqrt(self.variance() / (self.periods - 1))

    def variance(self) -> float:
        """Variance of the estimate times (periods − 1)."""
        # never negative for moments of a sample, since kurtosis >= 1 + skew²; rounding can make it so
        return max(0.0, 1.0 - self.skew * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2)


def moments(returns: NDArray[np.float64]) -> SharpeMoments:
    """Moments of per-period returns (T,). Refuses NaN, fewer than three periods and returns that never vary, of which
    a Sharpe ratio says nothing."""
    if returns.ndim != 1 or returns.size < 3 or not np.isfinite(returns).all():
        raise InvalidInputError("returns", returns.shape, "at least 3 finite returns, one a period")
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    if deviation <= 1e-12 * float(np.abs(returns).max()):
        raise InvalidInputError("returns", mean, "returns that vary")
    z = (returns - mean) / float(returns.std())
    return SharpeMoments(returns.size, mean / deviation, float((z**3).mean()), float((z**4).mean()))


def probabilistic_sharpe(m: SharpeMoments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark`` (per period), in [0, 1]: Bailey and López de Prado
    (2012), equation 11."""
    deviation = m.deviation
    if deviation == 0.0:
        return float(m.sharpe > benchmark)
    return float(norm.cdf((m.sharpe - benchmark) / deviation))


def expected_max_sharpe(n_trials: int, variance: float) -> float:
    """Expected largest Sharpe ratio of ``n_trials`` independent trials without skill, whose estimates have
    ``variance``: Bailey and López de Prado, The Deflated Sharpe Ratio, 2014, equation 1. One trial inflates nothing."""
    if n_trials < 1:
        raise InvalidInputError("n_trials", n_trials, "at least 1")
    if not variance >= 0.0 or math.isinf(variance):
        raise InvalidInputError("variance", variance, "a finite variance >= 0 of the trials' Sharpe ratios")
    if n_trials == 1:
        return 0.0
    quantiles = norm.ppf([1.0 - 1.0 / n_trials, 1.0 - 1.0 / (n_trials * math.e)])
    return float(math.sqrt(variance) * ((1.0 - EULER_GAMMA) * quantiles[0] + EULER_GAMMA * quantiles[1]))


def deflated_sharpe(m: SharpeMoments, n_trials: int, variance: float) -> float:
    """Probability that the Sharpe ratio of the best of ``n_trials`` is more than selection explains, in [0, 1].

    ``n_trials`` counts every trial that was looked at, pruned ones included. Trials that resemble each other count in
    full, which errs on the careful side.
    """
    return probabilistic_sharpe(m, expected_max_sharpe(n_trials, variance))


def min_track_record(m: SharpeMoments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Periods after which this Sharpe ratio would exceed ``benchmark`` with ``confidence``; infinite when it does not
    exceed it at all. Bailey and López de Prado (2012), equation 13."""
    if not 0.5 < confidence < 1.0:
        raise InvalidInputError("confidence", confidence, "0.5 < x < 1")
    if m.sharpe <= benchmark:
        return math.inf
    return 1.0 + m.variance() * (float(norm.ppf(confidence)) / (m.sharpe - benchmark)) ** 2
