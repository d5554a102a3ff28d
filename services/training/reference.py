"""Feature distributions of the training rows: what drift is measured against later (§17)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.features.schema import KEYS


def reference_distributions(inputs: NDArray[np.float64], bins: int = 10) -> dict[str, Any]:
    """Per input its inner decile edges, the share of finite rows in each bin, and the share of missing rows.

    ``inputs`` (n, 17). Bins are ``(-inf, e0], (e0, e1], …, (e_last, inf)``; equal edges are merged, so a discrete
    feature has fewer bins. The shares are of the finite rows and add up to 1.
    """
    out = {}
    for number, key in enumerate(KEYS):
        column = inputs[:, number]
        finite = column[np.isfinite(column)]
        edges = np.unique(np.quantile(finite, np.arange(1, bins) / bins)) if finite.size else np.empty(0)
        counts = np.bincount(np.searchsorted(edges, finite, side="left"), minlength=edges.size + 1)
        out[key] = {
            "edges": [float(e) for e in edges],
            "share": [float(c) / max(1, finite.size) for c in counts],
            "missing_rate": float(1 - finite.size / max(1, column.size)),
        }
    return {"rows": int(inputs.shape[0]), "features": out}
