"""Feature schema v1: names, order and the two other shapes of a row (JSONB dict, model inputs) (D13, features.md).

A feature row is float64 in the order of ``KEYS``; NaN is missing. The formulas stand in ``kernel``.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError, SchemaMismatchError

SCHEMA_VERSION: Final = 1

KEYS: Final[tuple[str, ...]] = (
    "ret_1",
    "ret_5",
    "ret_15",
    "atr",
    "atr_60",
    "ema_dist_atr",
    "adx",
    "rsi",
    "macd_z",
    "bb_z",
    "vol_z",
    "funding_rate",
    "funding_z",
    "basis",
    "btc_ret_60",
    "btc_vol_60",
    "btc_regime",
)
N_FEATURES: Final = len(KEYS)

# May be NaN without blocking a decision; any other NaN is FEATURE_NAN.
OPTIONAL: Final = frozenset({"funding_z", "basis"})

RET_1: Final = 0
RET_5: Final = 1
RET_15: Final = 2
ATR: Final = 3
ATR_60: Final = 4
EMA_DIST_ATR: Final = 5
ADX: Final = 6
RSI: Final = 7
MACD_Z: Final = 8
BB_Z: Final = 9
VOL_Z: Final = 10
FUNDING_RATE: Final = 11
FUNDING_Z: Final = 12
BASIS: Final = 13
BTC_RET_60: Final = 14
BTC_VOL_60: Final = 15
BTC_REGIME: Final = 16

INDEX: Final[Mapping[str, int]] = {key: i for i, key in enumerate(KEYS)}
REQUIRED_INDICES: Final = np.array([i for i, key in enumerate(KEYS) if key not in OPTIONAL])


def model_inputs(features: NDArray[np.float64], mark_close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Model inputs ``(n, 17)``: the features with ``atr`` and ``atr_60`` as fractions of the mark close.

    ``mark_close`` has shape ``(n,)``, quote units, and is the close of each row's own mark bar. NaN stays NaN.
    Raises InvalidInputError on other shapes.
    """
    if features.ndim != 2 or features.shape[1] != N_FEATURES:
        raise InvalidInputError("features", features.shape, f"shape (n, {N_FEATURES})")
    if mark_close.shape != features.shape[:1]:
        raise InvalidInputError("mark_close", mark_close.shape, f"shape {features.shape[:1]}")
    out = np.array(features, dtype=np.float64, order="C")
    out[:, ATR] /= mark_close
    out[:, ATR_60] /= mark_close
    return out


def feature_nan(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a key that is not optional is missing, ``(n,)``: reason code FEATURE_NAN."""
    return np.asarray(np.isnan(features[:, REQUIRED_INDICES]).any(axis=1))


def feature_dict(row: NDArray[np.float64]) -> dict[str, float | None]:
    """The JSONB form of one row ``(17,)``: every key, None where missing. ``feature_row`` gives back every bit."""
    if row.shape != (N_FEATURES,):
        raise InvalidInputError("row", row.shape, f"shape ({N_FEATURES},)")
    return {key: None if math.isnan(value) else value for key, value in zip(KEYS, row.tolist(), strict=True)}


def feature_row(features: Mapping[str, float | None], schema_version: int = SCHEMA_VERSION) -> NDArray[np.float64]:
    """The array form ``(17,)`` of a stored dict. Raises SchemaMismatchError on another version or another key set."""
    if schema_version != SCHEMA_VERSION:
        raise SchemaMismatchError(f"schema_version: got {schema_version}, expected {SCHEMA_VERSION}")
    if features.keys() != INDEX.keys():
        odd = sorted(features.keys() ^ INDEX.keys())
        raise SchemaMismatchError(f"features: keys {odd} are missing or unknown in schema {SCHEMA_VERSION}")
    return np.array([math.nan if (value := features[key]) is None else value for key in KEYS], dtype=np.float64)
