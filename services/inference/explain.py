"""Why a row was predicted as it was: what each input added to each prediction, off the decision path.

Contributions are LightGBM's ``pred_contrib`` (exact tree SHAP: Lundberg, Erion, Lee, 2018, arXiv:1802.03888). With the
base they add up to the prediction: fractions of the entry, minutes, and log odds for ``p_tp``. They are computed from
the stored inputs of the row and kept in ``signals.explain``, so that a row has one explanation for ever.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import lightgbm as lgb
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import dict_row

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.types import TARGETS
from services.features import schema
from services.registry.package import ModelPackage, load_package

F64 = NDArray[np.float64]
TOP = 6  # inputs named for each target; the others are one sum

_ROW = """
SELECT s.symbol, s.ts, s.model_id::text, s.mode, s.decision, s.explain, f.features, f.schema_version,
       k.close AS mark_close, m.artifact_uri, m.content_hash
FROM signals s JOIN models m USING (model_id)
LEFT JOIN features_1m f ON f.symbol = s.symbol AND f.ts = s.ts
LEFT JOIN mark_candles_1m k ON k.symbol = s.symbol AND k.ts = s.ts
WHERE s.symbol = %(symbol)s AND s.ts = %(ts)s AND s.mode = %(mode)s
  AND (%(model_id)s::uuid IS NULL OR s.model_id = %(model_id)s::uuid)
ORDER BY s.model_id IS NOT DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger'), s.model_id
LIMIT 1
"""
_KEEP = """
UPDATE signals SET explain = %(explain)s
WHERE symbol = %(symbol)s AND ts = %(ts)s AND mode = %(mode)s AND model_id = %(model_id)s::uuid AND explain IS NULL
"""
_TRADED = """
SELECT symbol, ts, mode, model_id::text FROM signals WHERE decision <> 'FLAT' AND explain IS NULL
ORDER BY ts DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Explainer:
    """The boosters of one package, loaded to be asked about single rows."""

    model_id: str
    boosters: dict[str, lgb.Booster]
    scaled: frozenset[str]
    scale_column: int

    @classmethod
    def of(cls, package: ModelPackage) -> "Explainer":
        """``SchemaMismatchError`` when it was made for another feature schema."""
        if (package.schema["version"], tuple(package.schema["keys"])) != (schema.SCHEMA_VERSION, schema.KEYS):
            raise SchemaMismatchError(f"model {package.model_id}: made for another feature schema")
        boosters = {name: lgb.Booster(model_str=package.boosters[name]) for name in TARGETS}
        scaled = frozenset(package.schema["scaled"])
        return cls(package.model_id, boosters, scaled, schema.KEYS.index(package.schema["scale_key"]))

    def explain(self, features: F64, mark_close: float) -> dict[str, Any]:
        """JSON of one row: ``features`` (17,), NaN where missing, and the close of its mark bar, quote units.

        Per target ``prediction`` (for p_tp log odds), ``base``, the ``top`` contributions by size and the ``rest`` of
        them; base + top + rest = prediction. All null for a scaled target where the barriers' ATR is missing.
        """
        inputs = schema.model_inputs(features[None, :], np.array([mark_close]))
        targets = {}
        for name, booster in self.boosters.items():
            found = np.asarray(booster.predict(inputs, pred_contrib=True, num_threads=1), np.float64)[0]
            if name in self.scaled:
                found = found * inputs[0, self.scale_column]
            order = np.argsort(-np.abs(found[:-1]), kind="stable")
            targets[name] = {
                "prediction": _number(found.sum()),
                "base": _number(found[-1]),
                "unit": _unit(name, self.scaled),
                "top": [{"feature": schema.KEYS[i], "contribution": _number(found[i])} for i in order[:TOP]],
                "rest": _number(found[order[TOP:]].sum()),
            }
        values = {key: _number(value) for key, value in zip(schema.KEYS, inputs[0], strict=True)}
        return {"model_id": self.model_id, "inputs": values, "targets": targets}


@lru_cache(maxsize=2)
def load(url: str, content_hash: str) -> Explainer:
    """Of the package at ``url``; the last two are kept."""
    return Explainer.of(load_package(url, expected_hash=content_hash))


def explain_stored(
    conn: psycopg.Connection[Any], symbol: str, ts: datetime, mode: str, model_id: str | None = None
) -> dict[str, Any] | None:
    """The explanation of a stored row, computed and kept unless it was before; None when there is no such row.

    ``conn`` in autocommit. A row whose inputs or package are gone is kept as ``{"unavailable": why}``.
    """
    key = {"symbol": symbol, "ts": ts, "mode": mode, "model_id": model_id}
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_ROW, key).fetchone()
    if row is None:
        return None
    if row["explain"] is None:
        row["explain"] = _computed(row)
        conn.execute(_KEEP, {name: row[name] for name in key} | {"explain": json.dumps(row["explain"])})
    return row


def explain_traded(conn: psycopg.Connection[Any], most: int) -> int:
    """Explain the newest ``most`` traded rows that nobody explained; returns how many there were."""
    rows = conn.execute(_TRADED, (most,)).fetchall()
    for symbol, ts, mode, model_id in rows:
        explain_stored(conn, symbol, ts, mode, model_id)
    return len(rows)


def _computed(row: dict[str, Any]) -> dict[str, Any]:
    if row["features"] is None or row["mark_close"] is None:
        return {"unavailable": "its inputs are not stored any more"}
    try:
        features = schema.feature_row(row["features"], row["schema_version"])
        return load(row["artifact_uri"], row["content_hash"]).explain(features, row["mark_close"])
    except (SchemaMismatchError, InvalidInputError) as exc:  # any other: the store is away, and may come back
        return {"unavailable": str(exc)}


def _unit(name: str, scaled: frozenset[str]) -> str:
    return "fraction" if name in scaled else "log_odds" if name.startswith("p_tp") else "minutes"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
