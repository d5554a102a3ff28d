"""How far the inputs of a model have moved from the rows it was trained on (§17.1).

The population stability index (Siddiqi, Credit Risk Scorecards, 2006) compares shares in the deciles of the reference:
``Σ (c − r) · ln(c / r)``. Below 0.1 is usually read as stable, above 0.25 as another population.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from services.training.reference import decile_edges, shares

FloatArray = NDArray[np.float64]

_FLOOR = 1e-4  # an empty bin would make the index infinite: one in ten thousand stands for "none seen"
_OUTLIER_WIDTHS = 3.0  # an outlier lies this many widths of the reference's middle 80 % outside of it


@dataclass(frozen=True, slots=True)
class Drift:
    """Of one symbol: ``psi`` by input (NaN without finite values), rates over all its inputs and rows."""

    psi: Mapping[str, float]
    missing_rate: float
    outlier_rate: float
    rows: int

    @property
    def mean_psi(self) -> float | None:
        """Over the inputs that have one; None when none has."""
        found = [value for value in self.psi.values() if np.isfinite(value)]
        return float(np.mean(found)) if found else None


def compute_psi(current: pd.Series, reference: pd.Series) -> float:
    """Index of ``current`` against the deciles of ``reference``; NaN values are left out, NaN without any value."""
    edges = decile_edges(np.asarray(reference, np.float64))
    return _psi(shares(np.asarray(current, np.float64), edges), shares(np.asarray(reference, np.float64), edges))


def compute_missing_rate(df: pd.DataFrame) -> float:
    """Share of cells that are missing; an empty frame misses nothing."""
    return float(df.isna().to_numpy().mean()) if df.size else 0.0


def measure(inputs: FloatArray, keys: Sequence[str], reference: Mapping[str, Any], symbol: str) -> Drift:
    """Drift of one symbol's ``inputs`` (n, len(keys)) against a model package's ``reference``.

    The deciles are those of all training rows; the shares compared with are the symbol's own where the model was
    trained on it, since symbols differ from one another for good. Raises ``InvalidInputError`` for a reference of other
    inputs.
    """
    features = reference["features"]
    if set(features) != set(keys):
        raise InvalidInputError("reference", sorted(features), f"the inputs {sorted(keys)}")
    psi, outliers, finite = {}, 0, 0
    for number, key in enumerate(keys):
        column, about = inputs[:, number], features[key]
        edges = np.asarray(about["edges"], np.float64)
        psi[key] = _psi(shares(column, edges), np.asarray(about["by_symbol"].get(symbol, about["share"]), np.float64))
        values = column[np.isfinite(column)]
        finite += values.size
        if edges.size:
            reach = _OUTLIER_WIDTHS * (edges[-1] - edges[0])
            outliers += int(((values < edges[0] - reach) | (values > edges[-1] + reach)).sum())
    return Drift(psi, 1.0 - finite / inputs.size if inputs.size else 0.0, outliers / max(1, finite), inputs.shape[0])


def _psi(current: FloatArray, reference: FloatArray) -> float:
    c, r = np.maximum(current, _FLOOR), np.maximum(reference, _FLOOR)  # NaN stays NaN
    return float(((c - r) * np.log(c / r)).sum())
