import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.emulator import columns, kernels
from services.emulator.render import Sheet, frame, template

prices = st.integers(1, 10**13)


def minute_row(values, closes_high):
    low, a, b, high = sorted(values)
    row = np.zeros((1, columns.WIDTH), np.int64)
    row[0, :4] = (a, high, low, b) if closes_high else (b, high, low, a)
    return row


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(prices, prices, prices, prices),
    st.booleans(),
    st.integers(4, 60),
    st.integers(0, 2**62),
    st.integers(0, 10**8),
)
def test_a_path_passes_through_open_high_low_and_close(values, rising, n, key, minute):
    row = minute_row(values, rising)
    path = kernels.paths(row, 0, np.array([key]), minute, n, np.ones(1, np.int64))[0]
    open_, high, low, close = row[0, :4]
    assert (path[0], path[-1], path.max(), path.min()) == (open_, close, high, low)


def test_a_path_repeats_itself_and_differs_between_minutes_and_symbols():
    row = np.repeat(minute_row((100_000, 105_000, 120_000, 90_000), True), 2, axis=0)
    keys, grain = np.array([1, 2]), np.ones(2, np.int64)
    first = kernels.paths(row, 0, keys, 7, 30, grain)
    assert np.array_equal(first, kernels.paths(row, 0, keys, 7, 30, grain))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, kernels.paths(row, 0, keys, 8, 30, grain))


def test_paths_of_last_and_mark_visit_their_extremes_together():
    rows = np.zeros((50, columns.WIDTH), np.int64)
    rows[:, 0:4] = 1000, 1100, 900, 1050
    rows[:, 9:13] = 1001, 1099, 902, 1049
    keys, grain = np.arange(50), np.ones(50, np.int64)
    last, mark = (kernels.paths(rows, at, keys, 3, 20, grain) for at in (0, 9))
    row = np.arange(50)
    assert np.all(mark.max(1) - mark[row, last.argmax(1)] <= 2)
    assert np.all(mark[row, last.argmin(1)] - mark.min(1) <= 2)
    assert np.corrcoef(last.ravel(), mark.ravel())[0, 1] > 0.99


def test_prices_of_a_path_stand_on_ticks():
    row = minute_row((100_000, 104_000, 112_000, 92_000), True)
    path = kernels.paths(row, 0, np.array([9]), 5, 60, np.array([500]))[0]
    assert np.all(path % 500 == 0)


def decimal(value: int, decimals: int) -> str:
    from decimal import Decimal

    return f"{Decimal(value).scaleb(-decimals):.{decimals}f}"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=5), st.integers(0, 8))
def test_numbers_are_printed_exactly(values, decimals):
    sheet = Sheet([template('["%"],', [decimals])])
    expected = "".join(f'["{decimal(v, decimals)}"],' for v in values)
    assert sheet.same(np.array(values)[:, None]).decode() == expected


@pytest.mark.parametrize("pad", [0, 50, 117, 118, 119, 130, 5000])
def test_framed_rows_are_websocket_frames(pad):
    text = '{"a":%,"b":"' + "x" * pad + '"}'
    sheet = Sheet([template(text, [0])])
    rows = sheet.print(np.zeros(2, np.int64), np.array([[5], [77]]), framed=True)
    assert rows == frame(text.replace("%", "5").encode()) + frame(text.replace("%", "77").encode())


def test_a_template_must_have_as_many_places_as_numbers():
    with pytest.raises(ValueError, match="2 places, 1 numbers"):
        template("%,%", [0])
