"""A search is a function of its seed: killed and continued it ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from packages.common.errors import InvalidInputError
from services.training.search import MODEL_SPACE, Outcome, search

SPACE = {"x": FloatDistribution(-5.0, 5.0), "n": IntDistribution(1, 64, log=True)}
ROOT = Path(__file__).parents[3]


def bowl(params, report):
    """Best at x = 1, n = 16, better from step to step."""
    value = -((params["x"] - 1.0) ** 2) - (np.log2(params["n"]) - 4) ** 2
    for step in range(5):
        report(step, value - (5 - step))
    returns = np.random.default_rng(params["n"]).normal(value / 100, 0.01, 30)
    return Outcome(float(value), returns)


def told(result):
    return [
        (t.number, dict(t.params), t.value, dict(t.steps), None if t.returns is None else t.returns.tolist())
        for t in result.trials
    ]


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_same_seed_same_search_other_seed_another(pruner):
    first, second = (search(bowl, SPACE, n_trials=25, seed=3, pruner=pruner) for _ in range(2))
    assert told(first) == told(second)
    assert told(search(bowl, SPACE, n_trials=25, seed=4, pruner=pruner)) != told(first)
    assert first.n_trials == 25
    assert (first.describe()["pruned"] > 0) == (pruner != "none")
    for trial in first.trials:
        assert (trial.value is None) == (trial.returns is None)
        assert len(trial.steps) == 5 or trial.value is None


def test_it_learns_where_to_look():
    result = search(bowl, SPACE, n_trials=60, seed=1, pruner="none")
    values = [t.value for t in result.trials]
    assert np.median(values[40:]) > np.median(values[:10])
    assert result.best.value == max(values) > -0.5


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_stopped_inside_a_trial_it_repeats_nothing_and_ends_the_same(tmp_path, pruner):
    whole = search(bowl, SPACE, n_trials=25, seed=3, pruner=pruner, max_steps=5)
    path, ran = tmp_path / "run" / "search.journal", []

    def failing(params, report):
        if len(ran) in (4, 13, 14):
            ran.append(None)
            report(0, 0.0)  # it had already said something
            raise ConnectionError
        ran.append(dict(params))
        return bowl(params, report)

    for _ in range(3):
        with pytest.raises(ConnectionError):
            search(failing, SPACE, n_trials=25, seed=3, pruner=pruner, storage=path)
    result = search(failing, SPACE, n_trials=25, seed=3, pruner=pruner, storage=path)
    assert told(result) == told(whole)
    assert [p for p in ran if p] == [dict(t.params) for t in whole.trials]
    again = search(failing, SPACE, n_trials=25, seed=3, pruner=pruner, storage=path)
    assert told(again) == told(whole)
    assert len(ran) == 28  # finished: nothing runs
    assert told(search(bowl, SPACE, n_trials=30, seed=3, pruner=pruner, storage=path))[:25] == told(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from services.training.search import search
from services.training.tests.test_search import SPACE, bowl
count = 0
def deadly(params, report):
    global count
    count += 1
    if count == 7:
        report(0, -1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl(params, report)
search(deadly, SPACE, n_trials=12, seed=5, storage=Path(sys.argv[1]))
"""


def test_killed_by_signal_it_resumes_from_what_had_finished(tmp_path):
    path = tmp_path / "search.journal"
    child = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    ran = []

    def counted(params, report):
        ran.append(1)
        return bowl(params, report)

    result = search(counted, SPACE, n_trials=12, seed=5, storage=path)
    assert len(ran) == 6
    assert told(result) == told(search(bowl, SPACE, n_trials=12, seed=5))


def test_a_torn_last_line_costs_one_trial(tmp_path):
    path = tmp_path / "search.journal"
    whole = search(bowl, SPACE, n_trials=6, seed=5, storage=path)
    os.truncate(path, path.stat().st_size - 10)
    ran = []

    def counted(params, report):
        ran.append(1)
        return bowl(params, report)

    assert told(search(counted, SPACE, n_trials=6, seed=5, storage=path)) == told(whole)
    assert len(ran) == 1


def test_trials_of_another_search_are_refused(tmp_path):
    path = tmp_path / "search.journal"
    search(bowl, SPACE, n_trials=2, seed=5, storage=path, identity="data-a")
    for other in ({"seed": 6}, {"identity": "data-b"}, {"pruner": "none"}):
        with pytest.raises(InvalidInputError, match="same search"):
            search(bowl, SPACE, **({"n_trials": 2, "seed": 5, "identity": "data-a"} | other), storage=path)
    with pytest.raises(InvalidInputError, match="same search"):
        search(bowl, SPACE | MODEL_SPACE, n_trials=2, seed=5, identity="data-a", storage=path)


def test_returns_are_kept_for_what_selection_inflates():
    result = search(bowl, SPACE, n_trials=25, seed=3)
    matrix, best = result.returns()
    completed = [t for t in result.trials if t.value is not None]
    assert matrix.shape == (30, len(completed))
    np.testing.assert_array_equal(matrix[:, best], result.best.returns)
    json.dumps(result.describe(), allow_nan=False)
    without = search(lambda p, r: Outcome(p["x"]), SPACE, n_trials=2, seed=3)
    with pytest.raises(InvalidInputError, match="returns"):
        without.returns()


def test_minimizing_keeps_the_smallest():
    result = search(lambda p, r: Outcome(p["x"] ** 2), SPACE, n_trials=15, seed=3, direction="minimize")
    assert result.best.value == min(t.value for t in result.trials)


def test_bad_searches_are_refused_by_name():
    for kwargs, field in (({"space": {}}, "space"), ({"n_trials": 0}, "n_trials"), ({"pruner": "best"}, "pruner")):
        with pytest.raises(InvalidInputError) as caught:
            search(bowl, **({"space": SPACE, "n_trials": 3, "seed": 1} | kwargs))
        assert caught.value.field == field
    with pytest.raises(InvalidInputError, match="finite"):
        search(lambda p, r: Outcome(float("nan")), SPACE, n_trials=2, seed=1)
