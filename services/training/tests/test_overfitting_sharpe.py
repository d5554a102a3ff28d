"""Sharpe statistics against published examples, scipy and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from packages.common.errors import InvalidInputError
from services.training.validation.sharpe import (
    SharpeMoments,
    deflated_sharpe,
    expected_max_sharpe,
    min_track_record,
    moments,
    probabilistic_sharpe,
)


def test_probabilistic_sharpe_of_the_published_fund():
    """Bailey and López de Prado (2012), section 4: 24 monthly returns, Sharpe 0.458 a month."""
    assert probabilistic_sharpe(SharpeMoments(24, 0.458)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(SharpeMoments(24, 0.458, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(("year", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_minimum_track_record_of_the_published_table(year, years):
    """The same paper: an annual Sharpe of 2 against a benchmark of 1, normal returns, 95 %."""
    periods = min_track_record(SharpeMoments(0, 2 / math.sqrt(year)), 1 / math.sqrt(year))
    assert periods / year == pytest.approx(years, abs=6e-3)


def test_deflated_sharpe_of_the_published_example():
    """Bailey and López de Prado (2014): 1,250 days, 2.5 a year, skew −3, kurtosis 10, variance 1/2 a year."""
    m = SharpeMoments(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
    assert expected_max_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(m, 100, 0.5 / 250) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(m, 46, 0.5 / 250) == pytest.approx(0.9505, abs=1e-3)


def test_moments_are_those_of_scipy():
    x = np.random.default_rng(1).standard_t(6, 400) * 0.01 + 0.001
    m = moments(x)
    assert m.sharpe == pytest.approx(x.mean() / x.std(ddof=1), rel=1e-12)
    assert m.skew == pytest.approx(stats.skew(x), rel=1e-10)
    assert m.kurtosis == pytest.approx(stats.kurtosis(x, fisher=False), rel=1e-10)
    assert m.periods == 400


def test_the_largest_of_many_lucky_trials_is_as_large_as_expected():
    rng = np.random.default_rng(2)
    for n in (5, 30, 200):
        largest = rng.normal(0, 0.3, (20_000, n)).max(axis=1).mean()
        assert expected_max_sharpe(n, 0.09) == pytest.approx(largest, rel=0.03)
    assert expected_max_sharpe(1, 0.09) == 0.0
    assert expected_max_sharpe(50, 0.0) == 0.0


def test_probability_is_calibrated_for_skewed_returns():
    """Of records whose true Sharpe ratio equals the benchmark, one in twenty exceeds 95 %."""
    rng = np.random.default_rng(3)
    gamma = rng.gamma(4.0, 1.0, (2000, 500))  # skew 1, mean 4, deviation 2
    returns = 0.02 - 0.01 * (gamma - 4.0)
    truth = 0.02 / 0.02
    exceeding = np.mean([probabilistic_sharpe(moments(row), truth) > 0.95 for row in returns])
    assert 0.035 < exceeding < 0.065


def test_selection_among_lucky_trials_is_deflated():
    """The best of 50 without skill looks certain alone and is a coin toss once deflated."""
    rng = np.random.default_rng(4)
    alone, deflated = [], []
    for _ in range(300):
        trials = rng.normal(0, 0.01, (250, 50))
        ratios = trials.mean(axis=0) / trials.std(axis=0, ddof=1)
        best = moments(trials[:, int(ratios.argmax())])
        alone.append(probabilistic_sharpe(best))
        deflated.append(deflated_sharpe(best, 50, float(ratios.var(ddof=1))))
    assert np.mean(np.array(alone) > 0.95) > 0.9
    assert 0.35 < np.mean(deflated) < 0.65
    assert np.mean(np.array(deflated) > 0.95) < 0.06


def test_more_trials_and_a_higher_benchmark_never_raise_the_probability():
    m = SharpeMoments(300, 0.1, -0.5, 5.0)
    by_trials = [deflated_sharpe(m, n, 0.002) for n in (1, 2, 10, 100, 10_000)]
    assert by_trials == sorted(by_trials, reverse=True)
    assert by_trials[0] == probabilistic_sharpe(m)


def test_the_track_record_is_the_one_that_reaches_the_confidence():
    m = SharpeMoments(100, 0.12, -1.0, 6.0)
    wanted = min_track_record(m, 0.03, 0.9)
    reached = probabilistic_sharpe(SharpeMoments(math.ceil(wanted), m.sharpe, m.skew, m.kurtosis), 0.03)
    before = probabilistic_sharpe(SharpeMoments(math.ceil(wanted) - 1, m.sharpe, m.skew, m.kurtosis), 0.03)
    assert before < 0.9 <= reached
    assert min_track_record(m, 0.12) == math.inf


@pytest.mark.parametrize(
    "returns", [np.zeros(10), np.full(10, 0.1), np.array([1.0, 2.0]), np.array([1.0, np.nan, 2, 3])]
)
def test_returns_that_say_nothing_are_refused(returns):
    with pytest.raises(InvalidInputError, match="returns"):
        moments(returns)


def test_bad_trials_and_confidence_are_refused():
    for args in ((0, 1.0), (5, -1.0), (5, math.nan)):
        with pytest.raises(InvalidInputError):
            expected_max_sharpe(*args)
    with pytest.raises(InvalidInputError, match="confidence"):
        min_track_record(SharpeMoments(10, 0.1), confidence=1.0)
