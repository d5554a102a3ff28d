"""What the models look at: importance by gain and by splits, and SHAP contributions on a sample of rows (§9.3).

Contributions are LightGBM's ``pred_contrib`` (exact tree SHAP: Lundberg, Erion, Lee, 2018, arXiv:1802.03888), in the
unit the booster learned: barrier ATRs for ``er``, ``q05`` and ``e_mae``, minutes for ``e_hold``, log odds for ``p_tp``.
"""

from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from services.features.schema import KEYS
from services.training.fit import Fitted

F64 = NDArray[np.float64]
SHAP_ROWS = 1_000


def explain(
    fitted: tuple[Fitted, ...], inputs: F64, rows: NDArray[np.int64], seed: int, sample: int = SHAP_ROWS
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Target → feature → ``gain`` and ``split`` (shares that add up to 1), ``shap`` (mean absolute contribution),
    ``shap_share`` of their sum, and ``direction``: rank correlation of the feature with its contribution, in [-1, 1],
    ``None`` where one of them is constant. ``sample`` of ``rows`` of ``inputs`` (n, 17) are drawn by ``seed``."""
    drawn = rows
    if rows.size > sample:
        drawn = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    chosen = inputs[drawn]
    out: dict[str, dict[str, dict[str, float | None]]] = {}
    for item in fitted:
        contributions = contributions_of(item.text, chosen)
        size = np.abs(contributions).mean(axis=0)
        total = float(size.sum())
        out[item.target.name] = {
            key: {
                "gain": item.gain_share[key],
                "split": item.split_share[key],
                "shap": float(size[i]),
                "shap_share": float(size[i]) / total if total > 0 else 0.0,
                "direction": direction(chosen[:, i], contributions[:, i]),
            }
            for i, key in enumerate(KEYS)
        }
    return out


def contributions_of(text: str, inputs: F64) -> F64:
    """Contributions (n, 17) of every feature to every prediction; with the booster's mean they add up to its raw
    output."""
    booster = lgb.Booster(model_str=text)
    return np.asarray(booster.predict(inputs, pred_contrib=True), np.float64)[:, :-1]


def direction(values: F64, contributions: F64) -> float | None:
    """Spearman correlation over the finite values; None when undefined."""
    known = np.isfinite(values)
    if known.sum() < 10:
        return None
    a, b = rankdata(values[known]), rankdata(contributions[known])
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def shares(explained: dict[str, dict[str, dict[str, Any]]], kind: str) -> dict[str, dict[str, float]]:
    """Target → feature → one of the figures, as the report wants it."""
    return {target: {key: row[kind] for key, row in rows.items()} for target, rows in explained.items()}
