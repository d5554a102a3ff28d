"""Rounding, slippage and liquidation arithmetic against exact rational arithmetic and first principles."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common import math as m
from packages.common import reasons

deterministic = settings(deadline=None, derandomize=True, max_examples=150)

TICKS = st.sampled_from([0.1, 0.01, 0.0001, 0.5, 1e-7, 0.25, 5.0])
BRACKETS = np.array(
    [[5e4, 0.004, 0.0, 125.0], [6e5, 0.005, 50.0, 100.0], [3e6, 0.01, 3050.0, 50.0], [1.2e7, 0.025, 48050.0, 20.0]]
)
NONE = np.full((1, 4), np.nan)


@deterministic
@given(st.integers(1, 10**7), TICKS)
def test_a_price_on_the_grid_stays_there(n, tick):
    price = n * tick
    for rounded in (m.round_up(price, tick), m.round_down(price, tick), m.round_nearest(price, tick)):
        assert rounded == pytest.approx(price, rel=1e-15)


@deterministic
@given(st.floats(1.0, 1e5), st.sampled_from([0.1, 0.01, 0.5, 0.25, 5.0]))
def test_rounding_agrees_with_rational_arithmetic(price, tick):
    exact = Fraction(price) / Fraction(tick)
    tolerance = Fraction(2, 10**9)
    down, up = round(m.round_down(price, tick) / tick), round(m.round_up(price, tick) / tick)
    assert exact - 1 <= down <= exact + tolerance
    assert exact - tolerance <= up <= exact + 1
    assert abs(round(m.round_nearest(price, tick) / tick) - exact) <= Fraction(1, 2) + tolerance


def test_ties_go_up_and_no_grid_rounds_nothing():
    assert m.round_nearest(0.75, 0.5) == 1.0
    assert m.round_nearest(100.05, 0.1) == pytest.approx(100.1)
    assert m.round_up(1.234567, 0.0) == m.round_down(1.234567, 0.0) == m.round_nearest(1.234567, 0.0) == 1.234567


@pytest.mark.parametrize(
    ("notional", "volume", "expected"),
    [(0.0, 1e6, 0.15), (1e6, 1e6, 0.3), (4e4, 1e4, 0.45), (1e9, 1e6, 1.65), (0.0, 0.0, 1.65), (5.0, math.nan, 1.65)],
)
def test_slippage_has_its_documented_values(notional, volume, expected):
    assert m.slippage_atr(notional, volume, 0.15) == pytest.approx(expected)


@deterministic
@given(st.floats(10.0, 1e5), st.floats(0.0, 2.0), st.floats(0.0, 50.0), st.sampled_from([0.0, 0.1, 0.01]))
def test_fills_are_never_better_than_the_reference(reference, slip, atr1, tick):
    noise = 2e-9 * tick
    assert m.fill_price(reference, 1, slip, atr1, tick) >= reference - noise
    assert m.fill_price(reference, -1, slip, atr1, tick) <= reference + noise


def test_stops_round_away_and_targets_to_the_nearest():
    assert m.stop_price(100.0, 1, 0.01234, 0.1) == pytest.approx(98.7)
    assert m.stop_price(100.0, -1, 0.01234, 0.1) == pytest.approx(101.3)
    assert m.target_price(100.0, 1, 0.01234, 0.1) == pytest.approx(101.2)
    assert m.target_price(100.0, -1, 0.01236, 0.1) == pytest.approx(98.8)


def test_trigger_reference_follows_the_basis_and_stays_in_the_bar():
    assert m.trigger_reference(99.0, 100.5, 100.0, 98.0, 101.0) == 99.5
    assert m.trigger_reference(90.0, 100.5, 100.0, 98.0, 101.0) == 98.0
    assert m.trigger_reference(120.0, 100.5, 100.0, 98.0, 101.0) == 101.0


def test_overshoot_loses_its_share_of_the_rest_of_the_bar():
    assert m.overshoot(1, 99.0, 95.0, 102.0, 0.25) == 98.0
    assert m.overshoot(-1, 99.0, 95.0, 103.0, 0.25) == 100.0


def _maintenance(notional):
    """Maintenance margin from the bracket table by first principles: the largest of all linear pieces (convex)."""
    return max(row[m.MMR] * notional - row[m.CUM] for row in BRACKETS)


@deterministic
@given(st.sampled_from([1, -1]), st.floats(1e2, 8e6), st.floats(0.01, 1e5), st.integers(1, 100), st.floats(-0.5, 0.5))
def test_at_the_liquidation_price_margin_equals_maintenance(side, notional, entry, leverage, funding_share):
    qty = notional / entry
    margin = notional / leverage * (1.0 - funding_share)
    price = m.liquidation_price(side, qty, entry, margin, BRACKETS)
    if price <= 0.0:
        assert side == 1
        return
    left = margin + side * qty * (price - entry)
    assert left == pytest.approx(_maintenance(qty * price), rel=1e-9, abs=1e-9 * notional)


def test_without_brackets_or_quantity_there_is_no_liquidation_price():
    assert math.isnan(m.liquidation_price(1, 1.0, 100.0, 10.0, NONE))
    assert math.isnan(m.liquidation_price(1, 1.0, 100.0, 10.0, np.empty((0, 4))))
    assert math.isnan(m.liquidation_price(1, 0.0, 100.0, 10.0, BRACKETS))


def test_loss_has_both_fills_in_it():
    assert m.round_trip_loss(0.01, 0.0005, 0.3, 2.0, 100.0) == pytest.approx(0.01 + 0.001 + 0.012)
    assert m.loss_label(0.01, 0.0004, 0.15, 2.0, 100.0) == pytest.approx(0.01 + 0.0008 + 0.006)


def test_codes_match_the_names():
    for reason in reasons.Reason:
        assert getattr(reasons, reason.value) == reasons.reason_code(reason)
        assert reasons.reason_of(reasons.reason_code(reason)) is reason
    for exit_reason in reasons.ExitReason:
        assert reasons.exit_reason_of(getattr(reasons, exit_reason.value)) is exit_reason
    for code in (0, -1, 99):
        with pytest.raises(IndexError):
            reasons.reason_of(code)
        with pytest.raises(IndexError):
            reasons.exit_reason_of(code)
