"""What models look at: shares add up, contributions add up, and directions point the way the data do."""

import lightgbm as lgb
import numpy as np
import pytest

from services.features.schema import KEYS
from services.training.explain import contributions_of, direction, explain
from services.training.fit import Fitted
from services.training.targets import ALL


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((3000, len(KEYS)))
    inputs[:50, KEYS.index("funding_z")] = np.nan
    wanted = 2.0 * inputs[:, KEYS.index("rsi")] - inputs[:, KEYS.index("adx")] + 0.1 * rng.standard_normal(3000)
    options = {"num_leaves": 15, "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}
    booster = lgb.train(options, lgb.Dataset(inputs, wanted), 40)
    gain = {key: 1 / len(KEYS) for key in KEYS}
    return Fitted(ALL["er_long"], booster.model_to_string(), 40, 0.0, gain, gain), inputs


def test_contributions_and_the_mean_add_up_to_the_prediction(model):
    fitted, inputs = model
    booster = lgb.Booster(model_str=fitted.text)
    whole = booster.predict(inputs[:100], pred_contrib=True)
    parts = contributions_of(fitted.text, inputs[:100])
    np.testing.assert_allclose(parts.sum(axis=1) + whole[:, -1], booster.predict(inputs[:100]), rtol=1e-9, atol=1e-9)


def test_the_strongest_features_and_their_directions_are_those_of_the_data(model):
    fitted, inputs = model
    told = explain((fitted,), inputs, np.arange(3000), seed=5, sample=400)["er_long"]
    ordered = sorted(told, key=lambda key: -told[key]["shap"])
    assert ordered[:2] == ["rsi", "adx"]
    assert told["rsi"]["direction"] > 0.95
    assert told["adx"]["direction"] < -0.9
    assert sum(row["shap_share"] for row in told.values()) == pytest.approx(1.0)
    assert told == explain((fitted,), inputs, np.arange(3000), seed=5, sample=400)["er_long"]
    assert told != explain((fitted,), inputs, np.arange(3000), seed=6, sample=400)["er_long"]


def test_a_direction_needs_something_that_varies():
    assert direction(np.ones(50), np.arange(50.0)) is None
    assert direction(np.full(50, np.nan), np.arange(50.0)) is None
    assert direction(np.arange(50.0), -np.arange(50.0)) == pytest.approx(-1.0)
