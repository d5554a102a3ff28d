import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS
from services.training.sampling import average_uniqueness, parse_events, select_events

TS = np.arange(12, dtype=np.int64) * MINUTE_MS
FLAT = np.full(12, 0.01)
ZERO = np.zeros(12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 15)), min_size=1, max_size=25))
def test_average_uniqueness_equals_the_definition(labels):
    start = np.array([a for a, _ in labels], np.int64)
    stop = np.array([a + b for a, b in labels], np.int64)
    alive = [sum(s <= bar <= e for s, e in zip(start, stop, strict=True)) for bar in range(50)]
    wanted = [np.mean([1 / alive[bar] for bar in range(s, e + 1)]) for s, e in zip(start, stop, strict=True)]
    np.testing.assert_allclose(average_uniqueness(start, stop, 50), wanted, rtol=1e-12)


def test_every_nth_bar_is_on_the_clock_and_staggered_by_symbol():
    assert select_events("every", 5, TS, FLAT, ZERO, ZERO, 0).nonzero()[0].tolist() == [0, 5, 10]
    assert select_events("every", 5, TS, FLAT, ZERO, ZERO, 2).nonzero()[0].tolist() == [3, 8]


def test_volatility_change_fires_on_moves_of_the_logarithm_only():
    atr = np.array([math.nan, 1.0, 1.05, 1.3, 1.3, 1.0, 1.0, math.nan, 0.0, 2.0, 2.0, 2.0])
    assert select_events("vol_change", 0.2, TS, atr, ZERO, ZERO, 0).nonzero()[0].tolist() == [1, 3, 5, 9]


def test_a_volume_spike_is_one_event_however_long_it_lasts():
    z = np.array([0.0, 3.0, 3.0, 1.0, math.nan, 2.5, 2.0, 5.0, 5.0, 5.0, 0.0, 0.0])
    assert select_events("volume_spike", 2.5, TS, FLAT, z, ZERO, 0).nonzero()[0].tolist() == [1, 5, 7]


def test_cusum_fires_when_moves_add_up_to_an_atr_either_way():
    ret = np.array([0.0, 0.006, 0.005, 0.004, math.nan, 0.006, -0.02, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert select_events("cusum", 1.0, TS, FLAT, ZERO, ret, 0).nonzero()[0].tolist() == [2, 5, 6]


@settings(deadline=None)
@given(st.integers(1, 11), st.sampled_from(["vol_change", "volume_spike", "cusum"]))
def test_no_event_depends_on_later_bars(k, kind):
    rng = np.random.default_rng(k)
    arrays = (np.exp(rng.normal(size=12)) * 0.01, rng.normal(size=12), rng.normal(size=12) * 0.01)
    whole = select_events(kind, 0.5, TS, *arrays, 0)
    part = select_events(kind, 0.5, TS[:k], *(a[:k].copy() for a in arrays), 0)
    np.testing.assert_array_equal(whole[:k], part)


@pytest.mark.parametrize(
    "text", ["every", "every:0", "every:2.5", "sometimes:3", "cusum:nan", "cusum:-1", "cusum:inf", ""]
)
def test_malformed_events_are_refused(text):
    with pytest.raises(InvalidInputError, match="events"):
        parse_events(text)
