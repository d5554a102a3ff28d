"""Thinning keeps ends and extremes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.api.downsample import STEPS_MIN, min_max, significant, step_minutes
from packages.common.time import DAY_MS, MINUTE_MS

values = arrays(np.float64, st.integers(0, 400), elements=st.floats(-1e6, 1e6) | st.just(math.nan))


@settings(deadline=None)
@given(values, st.integers(4, 50))
def test_extremes_and_ends_survive(xs, points):
    kept = min_max(xs, points)
    assert kept.size <= max(points, 4) or xs.size <= points
    assert np.array_equal(kept, np.unique(kept))
    if xs.size == 0:
        return
    assert kept[0] == 0
    assert kept[-1] == xs.size - 1
    if np.isfinite(xs).any():
        assert np.nanmax(xs[kept]) == np.nanmax(xs)
        assert np.nanmin(xs[kept]) == np.nanmin(xs)


def test_a_spike_of_one_point_in_a_year_is_still_there():
    xs = np.zeros(525_600)
    xs[123_457], xs[400_001] = 7.0, -9.0
    kept = min_max(xs)
    assert kept.size <= 3000
    assert {123_457, 400_001} <= set(kept.tolist())


@pytest.mark.parametrize(("days", "step"), [(1, 1), (2, 1), (3, 3), (30, 15), (366, 240), (400, 240)])
def test_bars_grow_with_the_span(days, step):
    assert step_minutes(days * DAY_MS) == step


@settings(deadline=None)
@given(st.integers(1, 400 * DAY_MS))
def test_a_series_never_has_more_points_than_a_screen_shows(span_ms):
    step = step_minutes(span_ms)
    assert step in STEPS_MIN
    assert span_ms / (step * MINUTE_MS) <= 3000


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(1, 9))
def test_significant_digits_are_those_that_python_prints(value, digits):
    (rounded,) = significant(np.array([value]), digits)
    if not np.isfinite(value):
        assert str(rounded) == str(value)
    elif value == 0 or 1e-200 < abs(value) < 1e200:
        assert rounded == pytest.approx(float(f"{value:.{digits - 1}e}"), rel=1.01 * 10.0 ** (1 - digits))
        assert float(f"{rounded:.{digits - 1}e}") == pytest.approx(rounded, rel=1e-15)
        if 1e-9 < abs(value) < 1e9:
            assert len(repr(abs(float(rounded))).replace(".", "").split("e")[0].strip("0")) <= digits
