"""The ten targets (D18, D43): what each is learned from, with which loss, in which unit.

``er`` is learned with the squared error, not Huber: the expected value needs the conditional *mean*, and bracket
payoffs are skewed (a stop and its overshoot against a larger target), so a robust loss would be biased exactly where it
matters; barriers already bound the outliers.

``er``, ``q05`` and ``e_mae`` are learned in units of the barriers' ATR and handed out as fractions of the entry (D16):
one model pools calm and wild symbols, and in plain fractions the wild ones would be nearly all of the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.types import TARGETS
from services.features.schema import KEYS

Side = Literal["long", "short"]
Objective = Literal["regression", "quantile", "binary"]


@dataclass(frozen=True, slots=True)
class Target:
    """``column`` of the labels it is read from; ``scaled``: learned in barrier ATRs."""

    name: str
    side: Side
    column: Literal["ret_net", "mae", "time_to_event_min", "y"]
    objective: Objective
    metric: str
    scaled: bool
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class SideLabels:
    """Labels of one side, float64 (n,) each; NaN where there is no label (D14). Costs positive, fractions of entry."""

    y: NDArray[np.float64]
    ret_net: NDArray[np.float64]
    mae: NDArray[np.float64]
    time_to_event_min: NDArray[np.float64]
    fees: NDArray[np.float64]
    slippage: NDArray[np.float64]
    funding: NDArray[np.float64]

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """All columns, in the order of the fields."""
        return tuple(getattr(self, name) for name in self.names())

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The fields, which are also the columns of the stored labels."""
        return tuple(field.name for field in fields(cls))

    def take(self, rows: NDArray[np.int64]) -> "SideLabels":
        """The given rows."""
        return SideLabels(*(column[rows] for column in self.columns()))


def _target(name: str) -> Target:
    kind, _, word = name.rpartition("_")
    side: Side = "long" if word == "long" else "short"
    match kind:
        case "er":
            return Target(name, side, "ret_net", "regression", "l2", scaled=True)
        case "q05":
            return Target(name, side, "ret_net", "quantile", "quantile", scaled=True, alpha=0.05)
        case "e_mae":
            return Target(name, side, "mae", "regression", "l2", scaled=True)
        case "e_hold":
            return Target(name, side, "time_to_event_min", "regression", "l2", scaled=False)
        case "p_tp":
            return Target(name, side, "y", "binary", "binary_logloss", scaled=False)
        case _:
            raise InvalidInputError("target", name, "one of " + ", ".join(TARGETS))


ALL = {name: _target(name) for name in TARGETS}


def resolve(names: Sequence[str]) -> tuple[Target, ...]:
    """The targets of ``names``; an unknown or repeated one raises ``InvalidInputError``."""
    if isinstance(names, str):
        raise InvalidInputError("targets", names, "a tuple of names")
    for name in names:
        if name not in ALL:
            raise InvalidInputError("targets", name, "one of " + ", ".join(TARGETS))
    if not names or len(set(names)) != len(names):
        raise InvalidInputError("targets", names, "each target at most once, at least one")
    return tuple(ALL[name] for name in names)


def scale_column(atr_interval_min: int) -> int:
    """Column of the model inputs that holds the barriers' ATR as a fraction of the mark."""
    columns = {1: "atr", 60: "atr_60"}
    if atr_interval_min not in columns:
        raise InvalidInputError("atr_interval_min", atr_interval_min, f"one of {sorted(columns)}")
    return KEYS.index(columns[atr_interval_min])


def learned_values(target: Target, labels: SideLabels, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the booster is fitted to, float64 (n,); ``scale`` (n,) is ATR as a fraction of the entry."""
    values = np.asarray(getattr(labels, target.column), np.float64)
    if target.column == "y":
        return np.where(np.isnan(values), np.nan, (values == 1.0).astype(np.float64))
    return values / scale if target.scaled else values


def observed_values(target: Target, labels: SideLabels) -> NDArray[np.float64]:
    """The target in the unit it is handed out in (fractions, minutes, 0 or 1), float64 (n,)."""
    return learned_values(target, labels, np.ones(labels.y.size))
