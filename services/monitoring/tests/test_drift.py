import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from services.features.schema import KEYS
from services.monitoring.drift import compute_missing_rate, compute_psi, measure
from services.training.reference import reference_distributions


def naive_psi(current, reference):
    edges = sorted({float(np.quantile(reference, k / 10)) for k in range(1, 10)})

    def share(values, low, high):
        return max(1e-4, sum(low < v <= high for v in values) / len(values))

    total = 0.0
    for low, high in zip([-math.inf, *edges], [*edges, math.inf], strict=True):
        c, r = share(current, low, high), share(reference, low, high)
        total += (c - r) * math.log(c / r)
    return total


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=60), st.lists(st.integers(-20, 20), min_size=1, max_size=60))
def test_the_index_is_that_of_the_definition(current, reference):
    got = compute_psi(pd.Series(current, dtype=float), pd.Series(reference, dtype=float))
    assert got == pytest.approx(naive_psi(current, reference), abs=1e-12)


def test_the_index_of_a_shifted_normal_is_near_its_integral():
    rng = np.random.default_rng(1)
    reference, same, moved = rng.normal(size=200_000), rng.normal(size=200_000), rng.normal(1.0, 1.0, size=200_000)
    assert compute_psi(pd.Series(same), pd.Series(reference)) < 0.001
    # ∫ (p−q) ln(p/q) of two unit normals one apart is 1; ten bins see most of it
    assert 0.8 < compute_psi(pd.Series(moved), pd.Series(reference)) < 1.0


def test_missing_values_are_counted_and_left_out():
    assert compute_missing_rate(pd.DataFrame({"a": [1.0, np.nan], "b": [None, 2.0]})) == 0.5
    assert compute_missing_rate(pd.DataFrame()) == 0.0
    a = pd.Series([1.0, 2.0, np.nan, 3.0])
    assert compute_psi(a, a.dropna()) == 0.0
    assert math.isnan(compute_psi(pd.Series([np.nan]), a))


def test_a_symbol_is_compared_with_its_own_past_and_a_new_one_with_all():
    rng = np.random.default_rng(2)
    quiet, wild = rng.normal(size=(4_000, len(KEYS))), 9.0 * rng.normal(size=(4_000, len(KEYS)))
    wild[:400, 3] = np.nan
    reference = reference_distributions(
        np.concatenate([quiet, wild]), ("QUIETUSDT", "WILDUSDT"), np.repeat([0, 1], 4_000).astype(np.int16)
    )
    own = measure(wild, KEYS, reference, "WILDUSDT")
    assert max(own.psi.values()) < 1e-9
    assert own.missing_rate == pytest.approx(400 / wild.size)
    assert measure(wild, KEYS, reference, "NEWUSDT").mean_psi > 0.1
    jumped = wild.copy()
    jumped[:, 0] = 1_000.0
    found = measure(jumped, KEYS, reference, "WILDUSDT")
    assert found.psi[KEYS[0]] > 1
    assert found.outlier_rate == pytest.approx(4_000 / np.isfinite(jumped).sum())
    assert measure(np.empty((0, len(KEYS))), KEYS, reference, "WILDUSDT").mean_psi is None


def test_a_reference_of_other_inputs_is_refused():
    with pytest.raises(InvalidInputError, match="reference"):
        measure(np.zeros((1, 1)), ("a",), {"rows": 1, "features": {"b": {}}}, "S")
