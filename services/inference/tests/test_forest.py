"""The compiled forest equals LightGBM in every bit, whatever the values."""

import lightgbm as lgb
import numpy as np
import pytest

from packages.common.errors import SchemaMismatchError
from services.inference import forest

WIDTH = 17


def train(objective, seed, *, rounds=12, leaves=31, **params):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, WIDTH))
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 5] = rng.normal(size=1500)  # a column without missing values in training
    x[:, 16] = rng.integers(0, 3, 1500)
    x[:, 7] = np.where(rng.random(1500) < 0.3, 0.0, x[:, 7])
    y = np.nan_to_num(x[:, 0]) - np.isnan(x[:, 1]) + 0.5 * rng.normal(size=1500)
    if objective == "binary":
        y = (y > 0).astype(float)
    settings = {"objective": objective, "num_leaves": leaves, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    return lgb.train(settings | params, lgb.Dataset(x, y), rounds).model_to_string()


@pytest.fixture(scope="module")
def texts():
    return [
        train("regression", 1),
        train("quantile", 2, alpha=0.05),
        train("binary", 3),
        train("binary", 4, sigmoid=0.7),
        train("regression", 5, leaves=2),
        train("regression", 6, rounds=1),
        train("regression", 7, min_data_in_leaf=100_000),  # trees of one leaf
        train("regression", 8, use_missing=False),
    ]


def awkward_rows():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(203, WIDTH)) * 2
    x[rng.random(x.shape) < 0.15] = np.nan
    x[0], x[1], x[2], x[3] = np.nan, np.inf, -np.inf, 0.0
    x[4], x[5], x[6] = 1e-36, -1e-36, -0.0
    x[7], x[8] = 1e300, -1e300
    x[9, ::2] = np.inf
    return x


def test_every_bit_is_lightgbm(texts):
    x = awkward_rows()
    boosters = [lgb.Booster(model_str=text) for text in texts]
    wanted = np.column_stack([b.predict(x, num_threads=1) for b in boosters])
    got = forest.predict(forest.parse(texts, WIDTH), x)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, wanted)
    splits_on_missing = [t for t in texts if " inf" in t or "=inf" in t]
    assert splits_on_missing, "no tree splits missing from the rest: the rule for it was not tested"


def test_values_on_a_threshold_go_the_same_way(texts):
    trees = forest.parse(texts[:1], WIDTH)
    inner = np.flatnonzero(trees.child[::2] != np.arange(trees.threshold.size))
    x = np.tile(awkward_rows()[50], (3 * inner.size, 1))
    for i, node in enumerate(inner):
        value = trees.threshold[node]
        column = trees.column[node] % WIDTH
        x[3 * i : 3 * i + 3, column] = np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)
    np.testing.assert_array_equal(
        forest.predict(trees, x)[:, 0], lgb.Booster(model_str=texts[0]).predict(x, num_threads=1)
    )


def test_rows_do_not_affect_each_other(texts):
    trees = forest.parse(texts, WIDTH)
    x = awkward_rows()
    whole = forest.predict(trees, x)
    for n in (1, 7, 8, 9):
        np.testing.assert_array_equal(forest.predict(trees, x[40 : 40 + n].copy()), whole[40 : 40 + n])
    assert forest.predict(trees, x[:0].copy()).shape == (0, len(texts))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda: train("regression", 1).replace("objective=regression", "objective=poisson"), "objective"),
        (lambda: train("regression", 1, zero_as_missing=True), "decision type"),
        (lambda: train("regression", 1, linear_tree=True, use_missing=False), "linear"),
    ],
)
def test_what_is_not_trained_here_is_refused(text, message):
    with pytest.raises(SchemaMismatchError, match=message):
        forest.parse([text()], WIDTH)


def test_another_width_is_refused(texts):
    with pytest.raises(SchemaMismatchError, match="17 inputs, expected 16"):
        forest.parse(texts, 16)
