import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.exchange.filters import band_edge, floor_quantity, market_chunks, price_text, quantity_text, round_price
from packages.exchange.tests.fake_exchange import instrument
from packages.exchange.trading import Side

BTC = instrument("BTCUSDT", tick="0.10", step="0.001", market_max="120")
steps = st.sampled_from(["0.001", "1", "10", "0.00010", "0.5"])
D = Decimal


@pytest.mark.parametrize(
    ("step", "quantity", "text"),
    [("0.001", "1.5", "1.500"), ("1", "3", "3"), ("10", "1E+2", "100"), ("0.00010", "0.0007", "0.0007")],
)
def test_text_has_the_digits_of_the_grid_and_no_exponent(step, quantity, text):
    assert quantity_text(instrument("X", step=step, low=step), D(quantity), market=False) == text


@given(steps, st.integers(1, 10**9))
def test_what_is_on_the_grid_is_sent_exactly(step, n):
    info = instrument("X", step=step, low=step, high="1E+15", market_max="1E+15", tick=step)
    value = D(step) * n
    assert D(quantity_text(info, value, market=True)) == value
    assert D(price_text(info, value)) == value
    assert floor_quantity(info, float(value), market=True) == value  # a float on the grid stays on it


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "Infinity", "0.0005", "1E+30", "1001", "0.0001"])
def test_what_the_exchange_would_refuse_is_refused_here(bad):
    with pytest.raises(InvalidInputError) as refused:
        quantity_text(instrument("X", high="1000"), D(bad), market=False)
    assert refused.value.field == "quantity"


@pytest.mark.parametrize("bad", ["0", "-0.1", "NaN", "0.05", "sNaN"])
def test_a_price_off_the_grid_is_refused_by_its_name(bad):
    with pytest.raises(InvalidInputError) as refused:
        price_text(BTC, D(bad), "trigger_price")
    assert refused.value.field == "trigger_price"


def test_a_symbol_without_filters_is_not_traded():
    with pytest.raises(InvalidInputError, match="tick_size"):
        price_text(instrument("X", tick=None), D(1))


@given(st.floats(0, 1e6), steps)
def test_rounding_never_asks_for_more_and_prices_go_where_they_are_told(value, step):
    info = instrument("X", step=step, low=step, high="1E+15", market_max="1E+15", tick=step)
    rounded = floor_quantity(info, value, market=True)
    assert rounded <= D(repr(value)) < rounded + D(step)
    assert round_price(info, value, up=False) <= D(repr(value)) <= round_price(info, value, up=True)


@given(st.integers(1, 5_000_000))
def test_chunks_close_all_but_dust_and_each_can_be_sent(n):
    quantity = D(n) / 10_000
    chunks = market_chunks(BTC, quantity)
    for chunk in chunks:
        quantity_text(BTC, chunk, market=True)
    assert 0 <= quantity - sum(chunks) < D("0.001")
    assert len(chunks) == math.ceil(floor_quantity(BTC, quantity, market=True) / 120)


def test_the_market_lot_is_its_own():
    with pytest.raises(InvalidInputError, match="at most 120"):
        quantity_text(BTC, D(121), market=True)
    assert quantity_text(BTC, D(121), market=False) == "121.000"


@given(st.floats(1, 1e5))
def test_the_edge_of_the_band_is_inside_it_and_within_a_tick(mark):
    exact = D(repr(mark))
    buy, sell = band_edge(BTC, mark, Side.BUY), band_edge(BTC, exact, Side.SELL)
    assert exact * D("1.05") - D("0.1") < buy <= exact * D("1.05")
    assert exact * D("0.95") <= sell < exact * D("0.95") + D("0.1")
    price_text(BTC, buy)
