"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

Bailey, Borwein, López de Prado, Zhu: The Probability of Backtest Overfitting, Journal of Computational Finance, 2015.
The question: how often is the trial that looks best on one half of the periods below the median on the other?
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from packages.common.errors import InvalidInputError

FloatArray = NDArray[np.float64]
MAX_COMBINATIONS = 20_000  # 16 blocks, the paper's choice, make 12,870


@dataclass(frozen=True, slots=True)
class Overfitting:
    """``logits`` (combinations,): log odds of the relative out-of-sample rank of the in-sample winner, ``best_in`` and
    ``best_out`` (combinations,) its Sharpe ratio per period on both halves."""

    blocks: int
    trials: int
    periods: int
    logits: FloatArray
    best_in: FloatArray
    best_out: FloatArray

    @property
    def pbo(self) -> float:
        """Share of combinations whose winner is no better than the median out of sample; 0.5 for mere luck."""
        return float((self.logits <= 0.0).mean())

    @property
    def probability_of_loss(self) -> float:
        """Share of combinations whose winner loses money out of sample."""
        return float((self.best_out < 0.0).mean())

    @property
    def degradation(self) -> tuple[float, float] | None:
        """Slope and intercept of the winner's out-of-sample on its in-sample Sharpe; ``None`` when the latter never
        varies. A negative slope: the better it looked, the worse it did."""
        x = self.best_in - self.best_in.mean()
        spread = float(x @ x)
        if spread <= 1e-24 * max(1.0, float(self.best_in @ self.best_in)):
            return None
        slope = float(x @ self.best_out) / spread
        return slope, float(self.best_out.mean()) - slope * float(self.best_in.mean())

    def describe(self) -> dict[str, object]:
        """Figures, and the logits as a histogram, as JSON."""
        counts, edges = np.histogram(self.logits, bins=20)
        slope, intercept = self.degradation or (None, None)
        return {
            "pbo": self.pbo,
            "probability_of_loss": self.probability_of_loss,
            "degradation_slope": slope,
            "degradation_intercept": intercept,
            "blocks": self.blocks,
            "combinations": int(self.logits.size),
            "trials": self.trials,
            "periods": self.periods,
            "logits": {"counts": counts.tolist(), "edges": [float(edge) for edge in edges]},
        }


def cscv(returns: FloatArray, *, blocks: int = 16) -> Overfitting:
    """CSCV over returns (T periods, trials), in time order; half of the ``blocks`` are in sample in each combination.

    Blocks are consecutive periods whose sizes differ by at most one. The measure is the Sharpe ratio per period; where
    a half never varies (a trial that did not trade) it is 0. Equal trials share the middle of their ranks, equal
    winners the mean of theirs. Refuses NaN, fewer than two trials or two periods a block, an odd number of blocks and
    more than ``MAX_COMBINATIONS`` combinations, and returns none of which varies.
    """
    _check(returns, blocks)
    sums, squares, sizes = _block_sums(returns, blocks)
    inside = _halves(blocks)
    best_in, best_out, logits = [], [], []
    for part in np.array_split(inside, max(1, inside.shape[0] * returns.shape[1] // 1_000_000)):  # bounds memory
        here = _sharpe(part @ sums, part @ squares, part @ sizes)
        there = _sharpe((1.0 - part) @ sums, (1.0 - part) @ squares, (1.0 - part) @ sizes)
        winners = here == here.max(axis=1, keepdims=True)
        weight = winners / winners.sum(axis=1, keepdims=True)
        relative = (weight * rankdata(there, axis=1)).sum(axis=1) / (returns.shape[1] + 1)
        logits.append(np.log(relative / (1.0 - relative)))
        best_in.append(here.max(axis=1))
        best_out.append((weight * there).sum(axis=1))
    joined = (np.concatenate(values) for values in (logits, best_in, best_out))
    return Overfitting(blocks, returns.shape[1], returns.shape[0], *joined)


def _block_sums(returns: FloatArray, blocks: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per block: sums and sums of squares (blocks, trials), trials in units of their deviation; sizes (blocks, 1)."""
    scale = returns.std(axis=0)
    unit = returns / np.where(scale > 0.0, scale, 1.0)
    parts = np.array_split(unit, blocks)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part * part).sum(axis=0) for part in parts])
    return sums, squares, np.array([[float(part.shape[0])] for part in parts])


def _halves(blocks: int) -> FloatArray:
    """Indicator of the blocks in sample, (combinations, blocks)."""
    chosen = np.array(list(itertools.combinations(range(blocks), blocks // 2)))
    out = np.zeros((chosen.shape[0], blocks))
    np.put_along_axis(out, chosen, 1.0, axis=1)
    return out


def _sharpe(sums: FloatArray, squares: FloatArray, count: FloatArray) -> FloatArray:
    mean = sums / count
    variance = (squares / count - mean * mean) * count / (count - 1.0)
    varies = variance > 1e-12 * (squares / count)
    # rounded, so that equal trials tie although a matrix product may sum their columns in different orders
    ratio = np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    return np.asarray(np.round(ratio, 12), np.float64)


def _check(returns: FloatArray, blocks: int) -> None:
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise InvalidInputError("returns", returns.shape, "shape (periods, trials) with at least 2 trials")
    if not np.isfinite(returns).all():
        raise InvalidInputError("returns", "NaN or infinite", "a finite return for every period and trial")
    if blocks < 2 or blocks % 2 or math.comb(blocks, blocks // 2) > MAX_COMBINATIONS:
        raise InvalidInputError("blocks", blocks, f"an even number with at most {MAX_COMBINATIONS} ways to halve it")
    if returns.shape[0] < 2 * blocks:
        raise InvalidInputError("returns", returns.shape, f"at least {2 * blocks} periods for {blocks} blocks")
    if not (np.ptp(returns, axis=0) > 0.0).any():
        raise InvalidInputError("returns", "constant", "at least one trial whose returns vary")
