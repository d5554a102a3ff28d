import dataclasses

import lightgbm as lgb
import numpy as np
import pytest

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.types import TARGETS
from services.features.schema import ATR_60, KEYS, RSI
from services.inference.predictor import Predictor
from services.inference.tests.test_forest import train
from services.labeling.triple_barrier import LabelSpec
from services.registry.package import ModelPackage, save_package

SPEC = LabelSpec(1.5, 1.0, 1440, 3.0, 0.0004, 0.15, atr_interval_min=60, stop_overshoot=0.25)


@pytest.fixture(scope="module")
def package():
    kinds = {"er": "regression", "q05": "quantile", "e_mae": "regression", "e_hold": "regression", "p_tp": "binary"}
    return ModelPackage(
        boosters={t: train(kinds[t.rpartition("_")[0]], i, rounds=5) for i, t in enumerate(TARGETS)},
        schema={
            "version": 1, "keys": list(KEYS), "targets": list(TARGETS), "scale_key": "atr_60",
            "scaled": [t for t in TARGETS if t.startswith(("er", "q05", "e_mae"))],
        },
        label_spec=dataclasses.asdict(SPEC) | {"hash": SPEC.hash()},
        manifest={}, reference={}, metrics={},
    )  # fmt: skip


def inputs(n=50):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, len(KEYS)))
    x[:, ATR_60] = np.abs(x[:, ATR_60]) * 0.01
    x[3, RSI] = np.nan
    return x


def test_predictions_are_the_boosters_in_the_units_of_the_decision(package, tmp_path):
    predictor = Predictor.load(save_package(package, f"file://{tmp_path}"), expected_hash=package.content_hash)
    x = inputs()
    x[5, ATR_60] = np.nan
    raw = np.column_stack([lgb.Booster(model_str=package.boosters[t]).predict(x, num_threads=1) for t in TARGETS])
    np.testing.assert_array_equal(predictor.raw(x), raw)
    got = predictor.predict(x)
    assert got.shape == (50, 10)
    for i, target in enumerate(TARGETS):
        scaled = target.startswith(("er", "q05", "e_mae"))
        np.testing.assert_array_equal(got[:, i], raw[:, i] * x[:, ATR_60] if scaled else raw[:, i])
        assert np.isnan(got[5, i]) == scaled
    assert np.isfinite(got[3]).all()
    assert predictor.model_id == package.model_id
    assert predictor.label_spec == SPEC


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": {"version": 2}}, "made for feature schema 2"),
        ({"schema": {"keys": ["ret_1"]}}, "with 1 keys"),
        ({"label_spec": {"k_tp": 9.0}}, "hashes to"),
        ({"label_spec": {"k_moon": 9.0}}, "k_moon"),
    ],
)
def test_a_package_of_another_schema_is_refused(package, changes, message):
    name, change = next(iter(changes.items()))
    odd = dataclasses.replace(package, **{name: dict(getattr(package, name)) | change})
    with pytest.raises(SchemaMismatchError, match=message):
        Predictor.load(odd)


def test_a_package_that_lacks_a_target_is_refused(package):
    fewer = {t: text for t, text in package.boosters.items() if t != "q05_short"}
    with pytest.raises(SchemaMismatchError, match=r"no booster for .*q05_short"):
        Predictor.load(dataclasses.replace(package, boosters=fewer))


def test_another_width_of_inputs_is_refused(package):
    with pytest.raises(InvalidInputError, match="inputs"):
        Predictor.load(package).predict(np.zeros((3, 16)))
