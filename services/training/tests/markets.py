"""Small labelled markets for the tests: returns of a bracket that is held for a fixed time, with or without an edge."""

import numpy as np

from packages.common.time import MINUTE_MS
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.training.dataset import SymbolRows
from services.training.targets import SideLabels

SPEC = LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=30, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15, atr_interval_min=60)
START_MS = 1_750_000_000_000 // MINUTE_MS * MINUTE_MS
COST = 0.001


def make_rows(symbol, seed, *, n=6_000, edge=0.0, hold=30):
    """Features are noise; with ``edge`` the return of the hold follows ``ret_15`` by that many ATRs a deviation."""
    rng = np.random.default_rng(seed)
    atr = 0.004 * np.exp(0.3 * rng.standard_normal())
    features = rng.standard_normal((n, len(schema.KEYS)))
    features[:, schema.ATR] = 100.0 * atr / 8
    features[:, schema.ATR_60] = 100.0 * atr * np.exp(0.1 * rng.standard_normal(n))
    features[: n // 20, schema.FUNDING_Z] = np.nan  # optional
    features[:10, schema.RSI] = np.nan  # required: warm-up
    scale = features[:, schema.ATR_60] / 100.0
    gross = scale * (1.3 * rng.standard_normal(n) + edge * features[:, schema.RET_15])
    labelled = np.arange(n) < n - hold
    tte = np.where(labelled, rng.integers(1, hold + 1, n), np.nan)

    def side(direction):
        moved = direction * gross
        columns = (
            np.sign(moved),
            moved - COST,
            np.abs(np.minimum(moved, 0)) + scale * 0.1,
            tte,
            np.full(n, COST * 0.8),
            np.full(n, COST * 0.2),
            np.zeros(n),
        )
        return SideLabels(*(np.where(labelled, c, np.nan) for c in columns))

    ts = START_MS + np.arange(n, dtype=np.int64) * MINUTE_MS
    return SymbolRows(symbol, ts, features, np.full(n, 100.0), side(1.0), side(-1.0))
