"""Fit the boosters: bin once, one LightGBM dataset for all targets, early stopping on the purged validation span."""

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


@dataclass(frozen=True, slots=True)
class FitParams:
    """Hyperparameters shared by the ten. Same seed, data and ``num_threads``: same bytes."""

    num_leaves: int = 31
    learning_rate: float = 0.05
    max_rounds: int = 200
    early_stopping_rounds: int = 20
    min_data_in_leaf: int = 200
    lambda_l2: float = 1.0
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


def fit_targets(
    dataset: Dataset, split: Split, targets: tuple[Target, ...], params: FitParams, progress: Progress
) -> tuple[Fitted, ...]:
    """One booster a target, in order. ``progress`` is called every few rounds; what it raises stops the training."""
    binned = lgb.Dataset(
        dataset.inputs[split.train],
        feature_name=list(KEYS),
        params=params.for_dataset(),
    ).construct()
    valid = binned.create_valid(dataset.inputs[split.valid], params=params.for_dataset()).construct()
    out = []
    for number, target in enumerate(targets):
        labels, weights = dataset.side(target.side)
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
        out.append(_fitted(booster, target))
    progress(1.0, "models fitted")
    return tuple(out)


def predict(fitted: tuple[Fitted, ...], dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Predictions per target in the units they are handed out in, float64 (rows,) each."""
    inputs, scale = dataset.inputs[rows], dataset.scale[rows]
    out = {}
    for item in fitted:
        raw = np.asarray(lgb.Booster(model_str=item.text).predict(inputs), np.float64)
        out[item.target.name] = raw * scale if item.target.scaled else raw
    return out


def _relabel(binned: lgb.Dataset, values: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    binned.set_label(values)
    binned.set_weight(weights)


def _fitted(booster: lgb.Booster, target: Target) -> Fitted:
    rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    gain = booster.feature_importance("gain", iteration=rounds)
    total = float(gain.sum())
    return Fitted(
        target,
        booster.model_to_string(num_iteration=rounds),
        rounds,
        float(booster.best_score["valid"][target.metric]),
        {key: float(g) / total if total else 0.0 for key, g in zip(KEYS, gain, strict=True)},
    )


def _report(progress: Progress, name: str, begin: float, width: float, rounds: int) -> Callable[[Any], None]:
    def callback(env: Any) -> None:
        if env.iteration % 10 == 0:
            progress(begin + width * env.iteration / rounds, f"training {name}")

    return callback
