"""A searched training: the choice reaches the boosters, a killed search goes on, and every trial is counted."""

import pytest

from packages.common.compute import LocalCompute
from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.types import TARGETS
from services.training.selection import STAGES, choose, overfitting
from services.training.tests.markets import SPEC
from services.training.tests.test_train import Env, config
from services.training.train import Sampling, run_training_job

QUICK = {"targets": ("er_long", "er_short"), "max_rounds": 20}


@pytest.fixture(scope="module")
def dataset():
    return Env("", edge=0.6, symbols=2).dataset((), Sampling("every:3", SPEC), LocalCompute(1))


def quiet(_fraction, _stage):
    pass


def test_a_searched_training_counts_its_trials(tmp_path):
    cfg = config(**QUICK, events="every:1", search_trials=4, cpcv_groups=4)
    report = run_training_job(cfg, env=Env(tmp_path, edge=0.6, symbols=2))
    found, searched = report["metrics"]["overfitting"], report["manifest"]["search"]
    assert searched["n_trials"] == 4
    assert found["trials"] == 4 + 9  # and the grid around the choice
    assert 0 <= found["pbo"] <= 1
    assert 0 <= found["dsr"] <= found["psr"] <= 1
    best = searched["trials"][searched["best"]]["params"]
    assert f"[num_leaves: {best['num_leaves']}]" in report["package"].boosters["er_long"]
    again = run_training_job(cfg, env=Env(tmp_path / "again", edge=0.6, symbols=2))
    assert again["content_hash"] == report["content_hash"]


def test_a_killed_search_goes_on_with_the_trial_it_was_at(dataset, tmp_path):
    cfg = config(**QUICK)
    journal = ResearchStore(f"file://{tmp_path}/s").local_path("runs/r/search.log")
    seen = []

    def kill(_fraction, stage):
        seen.append(stage)
        if len(seen) == 3:
            raise KeyboardInterrupt

    def run(progress, journal):
        first = next(cfg.splits(dataset))
        return choose(dataset, first, cfg.fit_params(), n_trials=4, journal=journal, progress=progress)

    with pytest.raises(KeyboardInterrupt):
        run(kill, journal)
    seen.clear()
    resumed = run(lambda _f, stage: seen.append(stage), journal)
    assert seen[0] == "searching: trial 3 of 4"
    assert resumed == run(quiet, None)


def test_a_history_that_is_too_short_says_so(dataset):
    cfg = config(**QUICK)
    choice = choose(dataset, next(cfg.splits(dataset)), cfg.fit_params(), n_trials=0, journal=None, progress=quiet)
    found = overfitting(dataset, choice, rounds=3, groups=5_000, purge_bars=0, embargo_pct=0.0, progress=quiet)
    assert found.pbo is None
    assert found.details["missing"]


BAD = [
    *(("search_trials", -1), ("cpcv_groups", -1), ("bagging_fraction", 0.0), ("learning_rate", float("nan"))),
    *(("embargo_pct", 1.5), ("purge_bars", -1), ("num_leaves", 1), ("seed", "x"), ("events", "often"), ("seed", True)),
    *(("symbols", ("A", "A")), ("max_rounds", "10"), ("lambda_l2", -1.0)),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_numbers_are_named(name, value, tmp_path):
    with pytest.raises(InvalidInputError, match=name):
        run_training_job(config(**{name: value}), env=Env(tmp_path))


def test_all_targets_are_known():
    assert set(QUICK["targets"]) <= set(TARGETS)


def test_poor_trials_are_not_grown_to_their_end(dataset):
    cfg = config(**QUICK)
    choice = choose(dataset, next(cfg.splits(dataset)), cfg.fit_params(), n_trials=14, journal=None, progress=quiet)
    steps = [trial["steps"] for trial in choice.told["trials"]]
    assert choice.told["pruned"] == sum(n < STAGES for n in steps) > 0
    assert choice.told["trials"][choice.told["best"]]["steps"] == STAGES
    assert choice.trials == 14  # what was given up counts as well
