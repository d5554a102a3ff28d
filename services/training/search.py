"""Seeded, prunable and resumable search of hyperparameters with Optuna's TPE.

Every trial's proposal depends on the seed, the trial's number and the finished trials before it, and on nothing else:
the sampler is made anew for each trial. Only finished trials are written down, so a search that was killed continues
with the trial it was at, repeats none that had finished, and ends with the result of an undisturbed one.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution, distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from packages.common.errors import InvalidInputError

optuna.logging.set_verbosity(optuna.logging.WARNING)

Params = Mapping[str, Any]
Space = Mapping[str, BaseDistribution]
Direction = Literal["maximize", "minimize"]
Pruner = Literal["median", "hyperband", "none"]
NAME = "search"

MODEL_SPACE: Space = {
    "num_leaves": IntDistribution(7, 127, log=True),
    "learning_rate": FloatDistribution(0.01, 0.2, log=True),
    "min_data_in_leaf": IntDistribution(50, 2000, log=True),
    "lambda_l2": FloatDistribution(1e-3, 100.0, log=True),
    "feature_fraction": FloatDistribution(0.5, 1.0),
    "bagging_fraction": FloatDistribution(0.5, 1.0),
}
POLICY_SPACE: Space = {"ev_min": FloatDistribution(0.0, 0.003)}  # a fraction of the entry (D16)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to: the value searched for, and its out-of-sample returns per period (T,), kept for PBO and the
    deflated Sharpe; every trial of a search has the same periods."""

    value: float
    returns: NDArray[np.float64] | None = None


class Report(Protocol):
    """Tells the search how a trial is doing after ``step`` folds or iterations; raises when it is to be given up, which
    the objective lets pass."""

    def __call__(self, step: int, value: float) -> None: ...


Objective = Callable[[Params, Report], Outcome]


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial; ``value`` is ``None`` when it was pruned, ``steps`` holds what it reported on the way."""

    number: int
    params: Params
    value: float | None
    steps: Mapping[int, float]
    returns: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All trials in order. ``best`` is the completed one with the best value, the earliest of equals."""

    trials: tuple[Trial, ...]
    best: Trial

    @property
    def n_trials(self) -> int:
        """How many were looked at, pruned ones included: the number that deflates the best one's Sharpe ratio."""
        return len(self.trials)

    def returns(self) -> tuple[NDArray[np.float64], int]:
        """Returns of the trials that completed and gave them, (periods, trials), and the best one's column."""
        kept = [trial for trial in self.trials if trial.value is not None and trial.returns is not None]
        if self.best not in kept:
            raise InvalidInputError("returns", "none", "an objective that gives the trial's returns")
        return np.stack([trial.returns for trial in kept if trial.returns is not None], axis=1), kept.index(self.best)

    def describe(self) -> dict[str, object]:
        """The trials and the best one, as JSON."""
        return {
            "n_trials": self.n_trials,
            "pruned": sum(trial.value is None for trial in self.trials),
            "best": self.best.number,
            "trials": [
                {"number": t.number, "params": dict(t.params), "value": t.value, "steps": len(t.steps)}
                for t in self.trials
            ],
        }


def search(
    objective: Objective,
    space: Space,
    *,
    n_trials: int,
    seed: int,
    storage: Path | None = None,
    direction: Direction = "maximize",
    pruner: Pruner = "median",
    max_steps: int = 5,
    identity: str = "",
    progress: Callable[[float, str], None] = lambda _fraction, _stage: None,
) -> SearchResult:
    """Run trials until there are ``n_trials``, pruned ones included, and return them all.

    ``storage`` is an Optuna journal file; a search found there is continued when seed, space, pruner, direction and
    ``identity`` (what the objective depends on, such as the dataset's content hash) are the same, else refused. More
    ``n_trials`` extend it. ``max_steps`` is how often a trial reports, for hyperband. What the objective or
    ``progress`` raises ends the search and leaves the unfinished trial unwritten. Raises ``InvalidInputError`` when
    no trial completes.
    """
    if not space:
        raise InvalidInputError("space", dict(space), "at least one parameter")
    if n_trials < 1:
        raise InvalidInputError("n_trials", n_trials, "at least 1")
    study = optuna.create_study(study_name=NAME, direction=direction, pruner=_pruner(pruner, max_steps))
    journal = None
    if storage is not None:
        terms = {"seed": seed, "direction": direction, "pruner": pruner, "max_steps": max_steps, "identity": identity}
        journal = _open(storage, direction, terms | {"space": {k: distribution_to_json(v) for k, v in space.items()}})
        study.add_trials(journal.get_trials(deepcopy=False))
    for number in range(len(study.get_trials(deepcopy=False)), n_trials):
        progress(number / n_trials, f"trial {number + 1} of {n_trials}")
        finished = _run(study, objective, space, seed, number)
        if journal is not None:
            journal.add_trial(finished)
    progress(1.0, "searched")
    return _result(study.get_trials(deepcopy=False), direction)


def _run(study: optuna.Study, objective: Objective, space: Space, seed: int, number: int) -> FrozenTrial:
    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=own_seed, multivariate=True)
    trial = study.ask(dict(space))

    def report(step: int, value: float) -> None:
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        outcome = objective(trial.params, report)
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    if not np.isfinite(outcome.value):
        raise InvalidInputError("value", outcome.value, f"a finite value from the objective for {trial.params}")
    if outcome.returns is not None:
        trial.set_user_attr("returns", outcome.returns.tolist())
    return study.tell(trial, outcome.value)


def _pruner(name: Pruner, max_steps: int) -> optuna.pruners.BasePruner:
    match name:
        case "median":
            return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max_steps, reduction_factor=3)
        case "none":
            return optuna.pruners.NopPruner()
    raise InvalidInputError("pruner", name, "median, hyperband or none")


def _open(path: Path, direction: Direction, terms: dict[str, Any]) -> optuna.Study:
    """The journal of finished trials, refused when it belongs to another search."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(path)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name=NAME, direction=direction, load_if_exists=True)
    wanted = json.dumps(terms, sort_keys=True)
    if not study.get_trials(deepcopy=False):
        study.set_user_attr("terms", wanted)
    elif study.user_attrs.get("terms") != wanted:
        raise InvalidInputError("storage", str(path), f"trials of the same search, {wanted}")
    return study


def _cut_torn_line(path: Path) -> None:
    """Drop what a kill left of a line: the trial it was to record runs again."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _result(frozen: list[FrozenTrial], direction: Direction) -> SearchResult:
    trials = tuple(
        Trial(
            t.number,
            t.params,
            t.value if t.state is TrialState.COMPLETE else None,
            t.intermediate_values,
            np.array(t.user_attrs["returns"], np.float64) if "returns" in t.user_attrs else None,
        )
        for t in frozen
    )
    sign = 1.0 if direction == "maximize" else -1.0
    completed = [(sign * trial.value, -trial.number) for trial in trials if trial.value is not None]
    if not completed:
        raise InvalidInputError("trials", len(trials), "at least one that completes")
    return SearchResult(trials, trials[-max(completed)[1]])
