"""The grid over the paths against plain loops, and what its evidence counts."""

import json
import math

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS
from services.training.validation.cpcv import cpcv_plan
from services.training.validation.evidence import selection_evidence, sharpe_ratios
from services.training.validation.grid import Booked, GridTrial, cpcv_evaluate
from services.training.validation.sharpe import expected_max_sharpe, moments, probabilistic_sharpe

PERIOD = 60 * MINUTE_MS


class Toy:
    """Rows with a value each; a model predicts ``weight`` times the mean value of the rows it trained on."""

    def __init__(self, bars=240):
        rng = np.random.default_rng(8)
        self.ts_ms = 1000 * DAY_MS + 7 * MINUTE_MS * np.arange(bars, dtype=np.int64)
        self.end_ts_ms = self.ts_ms + MINUTE_MS * rng.integers(2, 30, bars)
        self.value = rng.normal(0, 1, bars)
        self.fitted = 0

    def fit_predict(self, train, test, models):
        self.fitted += 1
        return [np.full(test.size, m["weight"] * self.value[train].mean()) for m in models]

    def trade(self, policy, predictions):
        rows = np.flatnonzero(np.abs(predictions) > policy.get("least", 0.0))
        return Booked(self.end_ts_ms[rows], (predictions * self.value)[rows])


TRIALS = [
    GridTrial({"weight": 1.0}),
    GridTrial({"weight": -2.0}),
    GridTrial({"weight": 1.0}, {"least": 0.02}),
]


def test_returns_are_those_of_plain_loops():
    toy = Toy()
    plan = cpcv_plan(toy.ts_ms, groups=5, test_groups=2, embargo_pct=0.02)
    result = cpcv_evaluate(toy, toy.fit_predict, plan, TRIALS, toy.trade, period_ms=PERIOD)
    assert toy.fitted == 10  # once a split, whatever the number of trials

    splits = [plan.split(i, toy.ts_ms, toy.end_ts_ms) for i in range(10)]
    group, paths = plan.group_of(toy.ts_ms), plan.paths()
    first = toy.ts_ms[0] // PERIOD
    expected = np.zeros((3, 4, toy.end_ts_ms.max() // PERIOD - first + 1))
    for number, trial in enumerate(TRIALS):
        for path in range(4):
            for row in range(toy.ts_ms.size):
                train = splits[paths[path, group[row]]].train
                p = trial.model["weight"] * toy.value[train].mean()
                if abs(p) > trial.policy.get("least", 0.0):
                    expected[number, path, toy.end_ts_ms[row] // PERIOD - first] += p * toy.value[row]
    np.testing.assert_allclose(result.returns, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.matrix(), expected.mean(axis=1).T, rtol=1e-9, atol=1e-12)
    assert result.path_sharpes()[1, 2] == pytest.approx(moments(expected[1, 2]).sharpe)
    assert result.first_ms == first * PERIOD
    assert result.best == np.median(result.path_sharpes(), axis=1).argmax()


def test_bad_answers_are_refused_and_progress_can_stop():
    toy = Toy()
    plan = cpcv_plan(toy.ts_ms, groups=4, test_groups=1)

    def run(trials=TRIALS, fit=toy.fit_predict, trade=toy.trade, **kwargs):
        return cpcv_evaluate(toy, fit, plan, trials, trade, period_ms=PERIOD, **kwargs)

    with pytest.raises(InvalidInputError, match="trials"):
        run(trials=[])
    for fit in (
        lambda a, b, m: [np.zeros(b.size)],
        lambda a, b, m: [np.zeros(b.size + 1)] * len(m),
        lambda a, b, m: [np.full(b.size, np.nan)] * len(m),
    ):
        with pytest.raises(InvalidInputError, match="fit_predict"):
            run(fit=fit)
    with pytest.raises(InvalidInputError, match="inside the data"):
        run(trade=lambda policy, p: Booked(np.array([0]), np.array([1.0])))

    seen = []

    def cancel(fraction, stage):
        seen.append(fraction)
        if len(seen) == 3:
            raise KeyboardInterrupt

    toy.fitted = 0
    with pytest.raises(KeyboardInterrupt):
        run(progress=cancel)
    assert toy.fitted == 2
    seen.clear()
    run(progress=lambda fraction, stage: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_evidence_counts_all_trials_and_says_what_is_missing():
    rng = np.random.default_rng(6)
    returns = rng.normal(0.001, 0.01, (120, 6))
    evidence = selection_evidence(returns, best=2, n_trials=40)
    ratios = sharpe_ratios(returns)
    np.testing.assert_allclose(ratios, [moments(column).sharpe for column in returns.T])
    assert evidence["expected_max_sharpe"] == pytest.approx(expected_max_sharpe(40, ratios.var(ddof=1)))
    assert evidence["deflated_sharpe"] == pytest.approx(
        probabilistic_sharpe(moments(returns[:, 2]), evidence["expected_max_sharpe"])
    )
    assert evidence["deflated_sharpe"] < selection_evidence(returns, best=2, n_trials=6)["deflated_sharpe"]
    assert evidence["overfitting"]["blocks"] == 16
    assert evidence["missing"] == []
    assert selection_evidence(returns[:25], best=0, n_trials=6)["overfitting"]["blocks"] == 6

    alone = selection_evidence(returns[:, :1], best=0, n_trials=30)
    assert alone["sharpe_variance"] == 1 / 120
    assert alone["overfitting"] is None
    idle = selection_evidence(np.zeros((120, 3)), best=0, n_trials=3)
    assert (idle["sharpe"], idle["deflated_sharpe"], idle["overfitting"]) == (None, None, None)
    assert len(idle["missing"]) == 2
    json.dumps([evidence, alone, idle], allow_nan=False)
    assert math.isfinite(evidence["sharpe"])
    with pytest.raises(InvalidInputError, match="n_trials"):
        selection_evidence(returns, best=0, n_trials=5)
