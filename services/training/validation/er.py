"""Trials on the target ``er``: fits of both sides that share their bins, and trades read from the labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS
from services.training.dataset import Dataset
from services.training.evaluate import one_at_a_time
from services.training.fit import Boosters, FitParams, bin_rows, fit_weights, predict_inputs
from services.training.search import Objective, Outcome, Report
from services.training.splits import IntArray, Split
from services.training.targets import Target, learned_values, resolve
from services.training.validation.evidence import sharpe_ratios
from services.training.validation.grid import Booked, Params

FloatArray = NDArray[np.float64]
SIDES = resolve(("er_long", "er_short"))
POLICY = {"ev_min"}


@dataclass(frozen=True, slots=True)
class ErModels:
    """``er_long`` and ``er_short`` of a dataset, for ``cpcv_evaluate``.

    A trial's ``model`` holds fields of ``FitParams`` over those of ``params``, and ``rounds``: there is no
    validation span to stop on, so the number of trees is fixed, as walk-forward found it. Each split's rows are binned
    once for all models and both sides, from its training rows alone. More than ``max_rows`` of these are thinned to
    so many at random, seeded; tested rows never are.
    """

    dataset: Dataset
    params: FitParams
    rounds: int = 100
    max_rows: int = 200_000

    def fit(self, train: IntArray, models: Sequence[Params]) -> list[Boosters]:
        """Both sides of each model, learned from the rows ``train``."""
        train = self._thinned(train)
        data, binned = self.dataset, bin_rows(self.dataset.inputs, train, self.params)
        out: list[list[tuple[Target, lgb.Booster]]] = [[] for _ in models]
        for target in SIDES:
            labels, uniqueness = data.side(target.side)
            binned.set_label(learned_values(target, labels, data.scale)[train])
            binned.set_weight(fit_weights(uniqueness, train)[train])
            for model, boosters in zip(models, out, strict=True):
                options, rounds = self._options(model, target)
                boosters.append((target, lgb.train(options, binned, rounds)))
        return [tuple(boosters) for boosters in out]

    def grow(self, train: IntArray, test: IntArray, model: Params, stages: int) -> Iterator[FloatArray]:
        """As ``fit_predict`` for one model, told ``stages`` times as its trees grow; the last is what that gives."""
        train, data = self._thinned(train), self.dataset
        growing: list[tuple[Target, lgb.Booster]] = []
        for target in SIDES:  # rows binned for each: both grow at once, and a set of rows has one label
            binned = bin_rows(data.inputs, train, self.params)
            labels, uniqueness = data.side(target.side)
            binned.set_label(learned_values(target, labels, data.scale)[train])
            binned.set_weight(fit_weights(uniqueness, train)[train])
            options, rounds = self._options(model, target)
            growing.append((target, lgb.Booster(options, binned)))
        for stage in range(1, stages + 1):
            more = rounds * stage // stages - rounds * (stage - 1) // stages
            for _, booster in growing:
                for _ in range(more):
                    if booster.update():  # no split left that is worth one: it stays as it is
                        break
            found = predict_inputs(tuple(growing), data.inputs[test], data.scale[test], self.params.num_threads)
            yield np.column_stack([found[target.name] for target in SIDES])

    def _thinned(self, train: IntArray) -> IntArray:
        if train.size <= self.max_rows:
            return train
        generator = np.random.default_rng([self.params.seed, int(train[0]), train.size])
        return np.sort(generator.choice(train, self.max_rows, replace=False))

    def _options(self, model: Params, target: Target) -> tuple[dict[str, Any], int]:
        own = dict(model)
        rounds = int(own.pop("rounds", self.rounds))
        return replace(self.params, **own).for_target(target), rounds

    def fit_predict(self, train: IntArray, test: IntArray, models: Sequence[Params]) -> list[FloatArray]:
        """Predictions of the test rows per model, (test rows, 2) long and short, fractions of the entry."""
        inputs, scale = self.dataset.inputs[test], self.dataset.scale[test]
        found = (
            predict_inputs(boosters, inputs, scale, self.params.num_threads) for boosters in self.fit(train, models)
        )
        return [np.column_stack([predicted[target.name] for target in SIDES]) for predicted in found]

    def trade(self, policy: Params, predictions: FloatArray) -> Booked:
        """Enter the side with the larger ``er`` where it exceeds ``ev_min`` (0), one position a symbol at a time, each
        with an equal share of the capital, at the labels' own costs; booked when the label ends."""
        if unknown := set(policy) - POLICY:
            raise InvalidInputError("policy", sorted(unknown), f"only {sorted(POLICY)}")
        data = self.dataset
        long_side = predictions[:, 0] >= predictions[:, 1]
        wanted = predictions.max(axis=1) > float(policy.get("ev_min", 0.0))
        hold = np.where(long_side, data.long.time_to_event_min, data.short.time_to_event_min)
        exit_ms = data.ts_ms + MINUTE_MS * (1 + hold.astype(np.int64))
        taken = one_at_a_time(data.ts_ms, exit_ms, data.symbol, wanted, len(data.symbols))
        net = np.where(long_side, data.long.ret_net, data.short.ret_net)
        return Booked(exit_ms[taken], net[taken] / len(data.symbols))


def walk_forward_objective(
    models: ErModels, splits: Sequence[Split], *, period_ms: int = DAY_MS, stages: int = 1
) -> Objective:
    """What ``search`` maximizes: the Sharpe ratio per period of trading the joined *validation* spans of a walk, told
    fold by fold and, in each, ``stages`` times as the models grow, so that a poor trial need not be grown to its end;
    its returns are those of all periods that a validation label touches.

    Where the walk rolls on, the validation span of a fold is the test span of the one before, so that only the last
    test is untouched by the choice. That is what the number of trials deflates the Sharpe ratio for.
    Parameters named in ``POLICY`` are the policy's, the others the model's.
    """
    data = models.dataset
    seen = [np.concatenate([data.ts_ms[s.valid], data.end_ts_ms[s.valid]]) // period_ms for s in splits]
    periods = np.unique(np.concatenate(seen))

    def objective(params: Params, report: Report) -> Outcome:
        policy = {name: value for name, value in params.items() if name in POLICY}
        model = {name: value for name, value in params.items() if name not in POLICY}
        predictions = np.full((len(data), len(SIDES)), -np.inf)  # never wanted
        returns, value = np.zeros(periods.size, np.float64), 0.0
        for step, split in enumerate(splits):
            for stage, predicted in enumerate(models.grow(split.train, split.valid, model, stages)):
                predictions[split.valid] = predicted
                booked = models.trade(policy, predictions)
                at = np.searchsorted(periods, booked.ts_ms // period_ms)
                returns = np.bincount(at, booked.net, periods.size).astype(np.float64)
                value = float(sharpe_ratios(returns[periods <= seen[step].max(), None])[0])
                report(step * stages + stage, value)
        return Outcome(value, returns)

    return objective
