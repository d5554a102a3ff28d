"""What losses are measured from: day, week, peak, and what a transfer does to them."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from packages.common.time import DAY_MS, HOUR_MS
from services.execution.equity import first_marks

D = Decimal
MONDAY = 4 * DAY_MS  # 1970-01-05
amounts = st.decimals(D(0), D(10**6), places=2)


def test_a_day_and_a_week_start_with_the_equity_before_them():
    marks = first_marks(D(100), MONDAY + HOUR_MS).see(D(90), MONDAY + 2 * HOUR_MS)
    assert (marks.day_start, marks.week_start, marks.peak) == (D(100), D(100), D(100))
    tuesday = marks.see(D(80), MONDAY + DAY_MS)
    assert (tuesday.day_start, tuesday.week_start) == (D(90), D(100))
    assert tuesday.see(D(70), MONDAY + 7 * DAY_MS).week_start == D(80)


def test_the_past_changes_nothing():
    marks = first_marks(D(100), MONDAY)
    assert marks.see(D(500), MONDAY - 1) == marks


@given(st.lists(amounts, min_size=1, max_size=8), amounts)
def test_a_transfer_is_neither_gain_nor_loss(readings, amount):
    marks = first_marks(readings[0], MONDAY)
    for hour, equity in enumerate(readings[1:], 1):
        marks = marks.see(equity, MONDAY + hour * HOUR_MS)
    moved = marks.transfer(amount)
    for name in ("day_start", "week_start", "peak"):
        assert getattr(moved, name) - moved.equity == getattr(marks, name) - marks.equity
    assert marks.peak == max(readings)
