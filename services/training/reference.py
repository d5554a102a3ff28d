"""Feature distributions of the training rows: what drift is measured against later (§17)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.features.schema import KEYS

FloatArray = NDArray[np.float64]
BINS = 10


def reference_distributions(inputs: FloatArray, symbols: Sequence[str], symbol: NDArray[np.int16]) -> dict[str, Any]:
    """Per input its inner decile edges, the share of finite rows in each bin, of all rows and of each symbol's own, and
    the share of missing rows.

    ``inputs`` (n, 17); ``symbol`` (n,) indexes ``symbols``. A symbol without finite values of an input has no share.
    """
    out = {}
    for number, key in enumerate(KEYS):
        column = inputs[:, number]
        edges = decile_edges(column)
        own = {name: shares(column[symbol == code], edges) for code, name in enumerate(symbols)}
        out[key] = {
            "edges": edges.tolist(),
            "share": np.nan_to_num(shares(column, edges)).tolist(),
            "by_symbol": {name: part.tolist() for name, part in own.items() if np.isfinite(part).all()},
            "missing_rate": float(1 - np.isfinite(column).sum() / max(1, column.size)),
        }
    return {"rows": int(inputs.shape[0]), "features": out}


def decile_edges(values: FloatArray, bins: int = BINS) -> FloatArray:
    """Inner edges of equally filled bins of the finite values; equal edges are merged, so a discrete input has fewer
    bins; none without values."""
    finite = values[np.isfinite(values)]
    return np.unique(np.quantile(finite, np.arange(1, bins) / bins)) if finite.size else np.empty(0)


def shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Share of the finite values in ``(-inf, e0], (e0, e1], …, (e_last, inf)``, adding up to 1; NaN without values."""
    finite = values[np.isfinite(values)]
    counts = np.bincount(np.searchsorted(edges, finite, side="left"), minlength=edges.size + 1)
    return counts / finite.size if finite.size else np.full(edges.size + 1, np.nan)
