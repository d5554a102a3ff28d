"""What is left of the best trial once it counts how many were tried: figures that a promotion asks for (D19, D31)."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from services.training.validation.overfitting import cscv
from services.training.validation.sharpe import (
    deflated_sharpe,
    expected_max_sharpe,
    min_track_record,
    moments,
    probabilistic_sharpe,
)

FloatArray = NDArray[np.float64]


def sharpe_ratios(returns: FloatArray) -> FloatArray:
    """Sharpe ratio per period of each column of (T, trials), shape (trials,); 0 for one that never varies and for
    a single period."""
    if len(returns) < 2:
        return np.zeros(returns.shape[1])
    deviation = returns.std(axis=0, ddof=1)
    varies = deviation > 1e-12 * np.abs(returns).max(axis=0, initial=0.0)
    return np.asarray(np.where(varies, returns.mean(axis=0) / np.where(varies, deviation, 1.0), 0.0))


def trials_variance(returns: FloatArray) -> float:
    """Variance of the trials' Sharpe ratios per period; of a single trial, that of an estimate without skill, 1/T."""
    if returns.shape[1] < 2:
        return 1.0 / len(returns)
    ratios = sharpe_ratios(returns)
    return float(np.square(ratios - ratios.mean()).sum() / (ratios.size - 1))


def selection_evidence(returns: FloatArray, *, best: int, n_trials: int, blocks: int | None = None) -> dict[str, Any]:
    """Probabilistic and deflated Sharpe of the column ``best`` and the probability of backtest overfitting, as JSON.

    ``returns`` (T, trials) are out of sample, one row a period. ``n_trials`` counts all trials looked at, also those
    without a column. ``blocks`` of the CSCV are by default as many as leave four periods each, at most 16. A figure
    that the returns cannot give is ``None``, and ``missing`` says why.
    """
    if n_trials < returns.shape[1]:
        raise InvalidInputError("n_trials", n_trials, f"at least the {returns.shape[1]} trials with returns")
    variance = trials_variance(returns)
    out: dict[str, Any] = {
        "trials": n_trials,
        "compared": int(returns.shape[1]),
        "periods": int(returns.shape[0]),
        "best": best,
        "sharpe_variance": variance,
        "expected_max_sharpe": expected_max_sharpe(n_trials, variance),
        "sharpe": None,
        "probabilistic_sharpe": None,
        "deflated_sharpe": None,
        "min_track_record": None,
        "overfitting": None,
        "missing": [],
    }
    try:
        m = moments(returns[:, best])
    except InvalidInputError as error:
        out["missing"].append(str(error))
    else:
        needed = min_track_record(m)
        out |= {
            "sharpe": m.sharpe,
            "skew": m.skew,
            "kurtosis": m.kurtosis,
            "probabilistic_sharpe": probabilistic_sharpe(m),
            "deflated_sharpe": deflated_sharpe(m, n_trials, variance),
            "min_track_record": needed if math.isfinite(needed) else None,
        }
    try:
        out["overfitting"] = cscv(returns, blocks=blocks or min(16, max(2, returns.shape[0] // 8 * 2))).describe()
    except InvalidInputError as error:
        out["missing"].append(str(error))
    return out
