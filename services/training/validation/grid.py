"""A grid of trials over combinatorial purged cross-validation: what each returned out of sample, path by path."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, iso
from services.training.splits import IntArray
from services.training.validation.cpcv import CpcvPlan
from services.training.validation.evidence import selection_evidence, sharpe_ratios, trials_variance
from services.training.validation.sharpe import deflated_sharpe, moments

FloatArray = NDArray[np.float64]
Params = Mapping[str, Any]


class Rows(Protocol):
    """What of a dataset is needed here: bar opens and label ends, (n,) each."""

    @property
    def ts_ms(self) -> IntArray: ...
    @property
    def end_ts_ms(self) -> IntArray: ...


@dataclass(frozen=True, slots=True)
class GridTrial:
    """``model`` decides the fit, ``policy`` what is traded on it; trials of equal ``model`` share their fits."""

    model: Params
    policy: Params = field(default_factory=dict)


class Booked(NamedTuple):
    """Net returns as fractions of the capital and the instant each is booked, (trades,) each."""

    ts_ms: IntArray
    net: FloatArray


# (training rows, test rows, models) → predictions of the test rows, (test rows, …) each; all models of one split at
# once, so that its rows are binned once
FitPredict = Callable[[IntArray, IntArray, Sequence[Params]], Sequence[FloatArray]]
# (policy, predictions of all rows (n, …)) → what trading them returned
Trade = Callable[[Params, FloatArray], Booked]


@dataclass(frozen=True, slots=True)
class CpcvResult:
    """``returns`` (trials, paths, periods), fractions of the capital; period 0 begins at ``first_ms``."""

    plan: CpcvPlan
    trials: tuple[GridTrial, ...]
    returns: FloatArray
    first_ms: int
    period_ms: int

    def matrix(self) -> FloatArray:
        """(periods, trials): each trial's mean over its paths, as the overfitting figures take it. Paths side by side,
        not one after the other, since they trade the same periods."""
        return np.ascontiguousarray(self.returns.mean(axis=1).T)

    @property
    def best(self) -> int:
        """The trial of the best median Sharpe ratio over its paths, the first of equals."""
        return int(np.median(self.path_sharpes(), axis=1).argmax())

    def path_sharpes(self) -> FloatArray:
        """Sharpe ratio per period, (trials, paths); 0 where nothing was traded."""
        trials, paths, periods = self.returns.shape
        return sharpe_ratios(self.returns.reshape(-1, periods).T).reshape(trials, paths)

    def describe(self, *, n_trials: int | None = None, blocks: int | None = None) -> dict[str, Any]:
        """Plan, trials and evidence on the best one, as JSON. ``n_trials`` when more were looked at than are here.

        The headline is ``deflated_sharpe`` of the evidence's ``paths``: per path, because one path is what would have
        been traded, while the mean over paths is smoother than any of them.
        """
        n_trials = len(self.trials) if n_trials is None else n_trials
        matrix, sharpes = self.matrix(), self.path_sharpes()
        evidence = selection_evidence(matrix, best=self.best, n_trials=n_trials, blocks=blocks)
        deflated = [
            deflated_sharpe(moments(path), n_trials, trials_variance(matrix)) if sharpe else 0.0
            for path, sharpe in zip(self.returns[self.best], sharpes[self.best], strict=True)
        ]
        return {
            "plan": self.plan.describe(),
            "first_period": iso(self.first_ms),
            "period_ms": self.period_ms,
            "trials": [
                {
                    "model": dict(trial.model),
                    "policy": dict(trial.policy),
                    "sharpe": {"median": float(np.median(row)), "worst": float(row.min()), "best": float(row.max())},
                    "total_return": float(self.returns[number].sum(axis=1).mean()),
                }
                for number, (trial, row) in enumerate(zip(self.trials, sharpes, strict=True))
            ],
            "evidence": evidence
            | {
                "paths": {
                    "sharpe": sharpes[self.best].tolist(),
                    "deflated_sharpe": deflated,
                    "deflated_sharpe_median": float(np.median(deflated)),
                }
            },
        }


def cpcv_evaluate(
    dataset: Rows,
    fit_predict: FitPredict,
    plan: CpcvPlan,
    trials: Sequence[GridTrial],
    trade: Trade,
    *,
    period_ms: int = DAY_MS,
    progress: Callable[[float, str], None] = lambda _fraction, _stage: None,
) -> CpcvResult:
    """Fit every model of the grid on every split, put the predictions together to paths and trade each path.

    A path's trades are booked in the period in which they close; periods are whole multiples of ``period_ms`` since the
    epoch, from the first bar to the last label's end. What ``progress`` raises ends the evaluation. Raises
    ``InvalidInputError`` for an empty grid, predictions of another shape or not finite, and trades outside the periods.
    """
    if not trials:
        raise InvalidInputError("trials", 0, "at least one trial")
    keys = [json.dumps(dict(trial.model), sort_keys=True) for trial in trials]
    models = {key: trial.model for key, trial in zip(keys, trials, strict=True)}
    numbers = range(len(plan.combinations))
    splits, predicted = [], []
    for number in numbers:
        progress(0.95 * number / len(numbers), f"cross-validation {number + 1} of {len(numbers)}")
        split = plan.split(number, dataset.ts_ms, dataset.end_ts_ms)
        answers = fit_predict(split.train, split.test, list(models.values()))
        _check(answers, len(models), split.test.size)
        splits.append(split)
        predicted.append(answers)

    first = int(dataset.ts_ms.min()) // period_ms
    periods = int(dataset.end_ts_ms.max()) // period_ms - first + 1
    returns = np.zeros((len(trials), plan.n_paths, periods))
    for place, key in enumerate(models):
        progress(0.95 + 0.05 * place / len(models), "trading the paths")
        paths = plan.assemble(dataset.ts_ms, splits, [answers[place] for answers in predicted])
        for number in (number for number, own in enumerate(keys) if own == key):
            for path, predictions in enumerate(paths):
                booked = trade(trials[number].policy, predictions)
                when = booked.ts_ms // period_ms - first
                if when.size and (when.min() < 0 or when.max() >= periods):
                    raise InvalidInputError("trade", iso(int(booked.ts_ms.max())), "trades that close inside the data")
                returns[number, path] = np.bincount(when, booked.net, periods)
    progress(1.0, "cross-validated")
    return CpcvResult(plan, tuple(trials), returns, first * period_ms, period_ms)


def _check(answers: Sequence[FloatArray], models: int, rows: int) -> None:
    if len(answers) != models:
        raise InvalidInputError("fit_predict", len(answers), f"predictions of {models} models")
    for answer in answers:
        if answer.shape[:1] != (rows,) or not np.isfinite(answer).all():
            raise InvalidInputError("fit_predict", answer.shape, f"finite predictions of {rows} test rows")
