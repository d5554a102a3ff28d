"""What live and shadow earned apart, to the last digit."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from services.execution.attribution import Booked, attribute, booked_of

D = Decimal
money = st.decimals(-(10**6), 10**6, places=8)
price = st.decimals(D("0.0001"), 10**6, places=8)
quantity = st.decimals(D("0.001"), 10**6, places=3)
trades = st.builds(Booked, st.just(1), quantity, price, price, money, money, money, money, money)
SHADOW = Booked(1, D(2), D(100), D(110), slippage=D("0.2"), fees=D("0.1"), funding=D("0.05"))


@given(trades, trades, st.sampled_from((1, -1)), st.none() | price)
def test_the_parts_sum_to_the_difference(live, shadow, direction, sent):
    live, shadow = replace(live, direction=direction), replace(shadow, direction=direction)
    found = attribute(live, shadow, sent)
    assert found.difference == live.net - shadow.net
    assert sum(D(text) for name, text in found.as_json().items() if name != "difference") == found.difference


@given(trades, st.none() | price)
def test_one_trade_differs_from_itself_by_nothing_but_how_it_is_told(trade, sent):
    found = attribute(trade, trade, sent)
    assert found.difference == found.entry == found.exit == found.fee == found.funding == found.liquidation == 0
    assert found.latency + found.slippage == 0


@pytest.mark.parametrize(
    ("change", "part", "amount"),
    [
        ({"quantity": D(4), "slippage": D("0.4"), "fees": D("0.2"), "funding": D("0.1")}, "size", SHADOW.net),
        ({"entry_ref": D(101)}, "entry", D(-2)),
        ({"exit_ref": D(109)}, "exit", D(-2)),
        ({"slippage": D("0.5")}, "slippage", D("-0.3")),
        ({"fees": D("0.4")}, "fee", D("-0.3")),
        ({"funding": D("-0.05")}, "funding", D("0.1")),
        ({"liquidation_fee": D(3)}, "liquidation", D(-3)),
        ({"absorbed": D(3)}, "liquidation", D(3)),
    ],
)
def test_each_cause_has_its_own_part(change, part, amount):
    found = attribute(replace(SHADOW, **change), SHADOW)
    assert getattr(found, part) == amount
    assert found.difference == amount


@pytest.mark.parametrize("direction", [1, -1])
def test_what_the_market_moved_before_the_order_left_is_latency(direction):
    shadow = replace(SHADOW, direction=direction)
    live = replace(shadow, slippage=D("0.2") + direction * 2 * D("0.3"))  # filled 0.3 higher, where the market was
    found = attribute(live, shadow, D("100.3"))
    assert (found.latency, found.slippage) == (-direction * D("0.6"), 0)


def test_two_sides_and_no_numbers_are_refused():
    with pytest.raises(InvalidInputError, match="direction"):
        attribute(replace(SHADOW, direction=-1), SHADOW)
    with pytest.raises(InvalidInputError, match="quantity"):
        attribute(SHADOW, replace(SHADOW, quantity=D(0)))
    with pytest.raises(InvalidInputError, match="net"):
        attribute(SHADOW, replace(SHADOW, fees=D("NaN")))


def test_a_row_of_trades_says_what_it_earned():
    names = ("entry_ref", "exit_ref", "slippage", "fees", "funding", "liquidation_fee", "absorbed")
    row = {"side": "SHORT", "qty": 2.0} | dict(zip(names, (110.0, 100.0, 0.2, 0.1, 0.05, 0.0, 0.0), strict=True))
    assert booked_of(row).net == D("19.65")
