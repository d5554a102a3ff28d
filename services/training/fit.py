"""Fit the boosters: bin once, one LightGBM dataset for all targets, early stopping on the purged validation span.

Each fold has bins of its own. Binning costs under one percent of the ten fits, and bins shared by all folds would be
either drawn from rows that an early fold must not know, or too coarse for the markets of a late one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Before OpenMP loads: threads that spin at each barrier cost eight times the CPU on a machine that does other work too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from services.features.schema import KEYS
from services.training.dataset import Dataset
from services.training.splits import Split
from services.training.targets import Target, learned_values

Progress = Callable[[float, str], None]  # (fraction 0..1, stage); may raise to cancel
Boosters = tuple[tuple[Target, lgb.Booster], ...]


@dataclass(frozen=True, slots=True)
class FitParams:
    """Hyperparameters shared by the ten. Same seed, data and ``num_threads``: same bytes."""

    num_leaves: int = 31
    learning_rate: float = 0.05
    max_rounds: int = 200
    early_stopping_rounds: int = 20
    min_data_in_leaf: int = 200
    lambda_l2: float = 1.0
    feature_fraction: float = 1.0
    bagging_fraction: float = 1.0
    max_bin: int = 255
    seed: int = 7
    num_threads: int = 2

    def for_dataset(self) -> dict[str, Any]:
        """What decides the bins; must not change between targets."""
        return {
            "max_bin": self.max_bin,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_pre_filter": False,
            "data_random_seed": self.seed,
            "num_threads": self.num_threads,
            "verbosity": -1,
        }

    def for_target(self, target: Target) -> dict[str, Any]:
        """Everything of one booster."""
        return self.for_dataset() | {
            "objective": target.objective,
            "metric": target.metric,
            **({"alpha": target.alpha} if target.alpha is not None else {}),
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "lambda_l2": self.lambda_l2,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": int(self.bagging_fraction < 1.0),  # a fraction means nothing to LightGBM without it
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
        }


@dataclass(frozen=True, slots=True)
class Fitted:
    """One booster as LightGBM's text, cut at its best round, and how it came to be."""

    target: Target
    text: str
    rounds: int
    valid_loss: float
    gain_share: dict[str, float]
    split_share: dict[str, float]


class PickedRows(lgb.Sequence):
    """Rows of an array handed to LightGBM a batch at a time: the picked rows never exist as a second array."""

    batch_size = 65_536

    def __init__(self, values: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        self._values, self._rows = values, rows

    def __len__(self) -> int:
        return int(self._rows.size)

    def __getitem__(self, at: Any) -> NDArray[np.float64]:
        return np.asarray(self._values[self._rows[at]])


def fit_targets(
    dataset: Dataset, split: Split, targets: tuple[Target, ...], params: FitParams, progress: Progress
) -> tuple[Fitted, ...]:
    """One booster a target, in order. ``progress`` is called every few rounds; what it raises stops the training."""
    binned = bin_rows(dataset.inputs, split.train, params)
    valid = binned.create_valid(PickedRows(dataset.inputs, split.valid), params=params.for_dataset()).construct()
    out = []
    for number, target in enumerate(targets):
        labels, uniqueness = dataset.side(target.side)
        weights = fit_weights(uniqueness, split.train)
        learned = learned_values(target, labels, dataset.scale)
        _relabel(binned, learned[split.train], weights[split.train])
        _relabel(valid, learned[split.valid], weights[split.valid])
        begin = number / len(targets)
        booster = lgb.train(
            params.for_target(target),
            binned,
            num_boost_round=params.max_rounds,
            valid_sets=[valid],
            valid_names=["valid"],
            callbacks=[
                lgb.early_stopping(params.early_stopping_rounds, verbose=False),
                _report(progress, target.name, begin, 1 / len(targets), params.max_rounds),
            ],
            keep_training_booster=True,  # else the finished booster is written and parsed once more
        )
        valid_loss = float(booster.best_score["valid"][target.metric])
        out.append(fitted_from(booster, target, best_round(booster), valid_loss))
    progress(1.0, "models fitted")
    return tuple(out)


def fit_weights(uniqueness: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights (n,) with mean 1 over the training rows, so that regularisation means the same in every fold; what other
    rows weigh has no say."""
    return np.asarray(uniqueness / uniqueness[train].mean())


def bin_rows(inputs: NDArray[np.float64], rows: NDArray[np.int64], params: FitParams) -> lgb.Dataset:
    """LightGBM's dataset of the given rows of ``inputs`` (n, 17), without labels."""
    return lgb.Dataset(PickedRows(inputs, rows), feature_name=list(KEYS), params=params.for_dataset()).construct()


def predict(fitted: tuple[Fitted, ...], dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Predictions per target in the units they are handed out in, float64 (rows,) each."""
    return predict_inputs(boosters_of(fitted), dataset.inputs[rows], dataset.scale[rows])


def boosters_of(fitted: tuple[Fitted, ...]) -> Boosters:
    """Every target with its booster, parsed once."""
    return tuple((item.target, lgb.Booster(model_str=item.text)) for item in fitted)


def predict_inputs(
    boosters: Boosters,
    inputs: NDArray[np.float64],
    scale: NDArray[np.float64],
    num_threads: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Predictions per target of ``inputs`` (n, 17) as the desk has them (D16), float64 (n,) each; ``scale`` (n,) is the
    barriers' ATR as a fraction of the mark. ``num_threads`` 0: as many as there are cores."""
    out = {}
    for target, booster in boosters:
        raw = np.asarray(booster.predict(inputs, num_threads=num_threads), np.float64)
        out[target.name] = raw * scale if target.scaled else raw
    return out


def _relabel(binned: lgb.Dataset, values: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    binned.set_label(values)
    binned.set_weight(weights)


def fitted_from(booster: lgb.Booster, target: Target, rounds: int, valid_loss: float) -> Fitted:
    """The first ``rounds`` trees of a trained booster."""
    return Fitted(
        target,
        booster.model_to_string(num_iteration=rounds),
        rounds,
        valid_loss,
        *(_shares(booster.feature_importance(kind, iteration=rounds)) for kind in ("gain", "split")),
    )


def best_round(booster: lgb.Booster) -> int:
    """The round early stopping chose, else the last."""
    return booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()


def _shares(importance: NDArray[Any]) -> dict[str, float]:
    total = float(importance.sum())
    return {key: float(x) / total if total else 0.0 for key, x in zip(KEYS, importance, strict=True)}


def _report(progress: Progress, name: str, begin: float, width: float, rounds: int) -> Callable[[Any], None]:
    def callback(env: Any) -> None:
        if env.iteration % 10 == 0:
            progress(begin + width * env.iteration / rounds, f"training {name}")

    return callback
