"""Closed lives as rows: every digit of the account's trades and income is in them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.exchange.trading import Income, Side, Trade
from services.execution import books
from services.execution.core.events import Intent

D = Decimal


def trade(trade_id, side, price, qty, pnl="0", fee="0", asset="USDT", number=1):
    price, qty = D(price), D(qty)
    return Trade(
        "BTCUSDT",
        trade_id,
        number,
        side,
        price,
        qty,
        price * qty,
        D(pnl),
        D(fee),
        asset,
        maker=False,
        ts_ms=trade_id * 10,
    )


def income(kind, amount, ts_ms=20):
    return Income(kind, 1, "BTCUSDT", "USDT", D(amount), None, "", ts_ms)


def plan(direction=1):
    prices = (D(90), D(110)) if direction > 0 else (D(110), D(90))
    return books.Plan(Intent("d", direction, D(1), *prices, 99), "BTCUSDT", 5, D(100), 5)


BUY, SELL = Side.BUY, Side.SELL


def test_a_life_ends_where_the_position_is_zero():
    life = [trade(1, BUY, "100", "2"), trade(2, BUY, "101", "1"), trade(3, SELL, "99", "3")]
    later = [trade(4, BUY, "100", "1"), trade(5, SELL, "100", "1")]
    assert books.life_of(life + later) == life
    assert books.life_of(life[:2]) == life[:2]
    assert books.life_of([]) == []


def test_a_life_that_went_through_zero_ends_there_and_is_not_complete():
    life = [trade(1, SELL, "100", "2"), trade(2, BUY, "101", "3"), trade(3, SELL, "99", "1")]
    assert books.life_of(life) == life[:2]
    closed = books.close_out("BTCUSDT", life[:2], [], -1)
    assert closed is not None
    assert not closed.complete


def test_the_net_is_what_the_wallet_gained():
    trades = [trade(1, BUY, "100", "2", fee="0.1"), trade(2, SELL, "98", "2", pnl="-4", fee="0.098")]
    rows = [income("FUNDING_FEE", "-0.25"), income("INSURANCE_CLEAR", "-0.5"), income("COMMISSION", "-0.1")]
    closed = books.close_out("BTCUSDT", trades, rows, 1)
    assert closed is not None
    assert closed.complete
    assert closed.net == D("-4") - D("0.198") - D("0.25") - D("0.5")
    assert (closed.entry_price, closed.exit_price, closed.qty) == (D(100), D(98), D(2))


def test_nothing_opened_is_no_life():
    assert books.close_out("BTCUSDT", [], [], 1) is None


def test_the_last_life_is_what_led_to_flat():
    before = [trade(1, BUY, "100", "1"), trade(2, SELL, "100", "1")]
    life = [trade(3, SELL, "100", "2"), trade(4, SELL, "101", "1"), trade(5, BUY, "99", "3")]
    assert books.last_life(before + life) == life
    assert books.last_life(life[1:]) == life[1:]
    assert books.last_life([]) == []


def test_a_life_older_than_the_history_has_the_entry_that_its_profit_implies():
    seen = [trade(7, BUY, "104", "1", fee="0.05"), trade(9, SELL, "110", "4", pnl="36", fee="0.2")]
    closed = books.close_out("BTCUSDT", seen, [], None, cut=True)
    assert (closed.direction, closed.qty, closed.unseen, closed.complete) == (1, D(4), D(3), True)
    assert closed.entry_price == D(101)  # three at 100 before the history, one at 104
    assert closed.net == D("35.75")
    row = books.trade_row(closed, books.Adopted("BTCUSDT", 0, 7, D(90)), "SL", None)
    assert (row["entry_ref"], row["exit_ref"], row["sl_price"], row["tp_price"], row["leverage"]) == (101, 90, 90, 0, 7)
    assert row["gross"] - row["slippage"] - row["fees"] == pytest.approx(row["net"])


def test_parts_that_left_on_the_way_are_no_slippage():
    trades = [
        trade(1, BUY, "100", "4"),
        trade(2, SELL, "105", "1", pnl="5", number=70),
        trade(3, SELL, "89", "3", pnl="-33", number=71),
    ]
    closed = books.close_out("BTCUSDT", trades, [], 1, staged={70})
    row = books.trade_row(closed, plan(1), "SL", None)  # its stop at 90 was filled at 89
    assert row["slippage"] == 3.0
    assert row["gross"] == 5 - 30
    assert row["gross"] - row["slippage"] == pytest.approx(row["net"])


def test_a_fee_in_another_asset_is_refused():
    with pytest.raises(InvalidInputError, match="commission_asset"):
        books.close_out("BTCUSDT", [trade(1, BUY, "100", "1", fee="0.01", asset="BNB")], [], 1)


@given(
    st.sampled_from((1, -1)),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**4)), min_size=1, max_size=6),
    st.integers(1, 10**6),
    st.sampled_from(("SL", "TP", "TIME", "OPERATOR", "HALT", "LIQUIDATION")),
    st.integers(-(10**6), 10**6),
)
def test_every_row_adds_up(direction, entries, out, reason, funding):
    opening, closing = (BUY, SELL) if direction > 0 else (SELL, BUY)
    qty = sum(D(q) for _, q in entries)
    cost = sum(D(p) / 100 * q for p, q in entries)
    pnl = direction * (D(out) / 100 * qty - cost)
    trades = [trade(n, opening, D(p) / 100, q, fee="0.01") for n, (p, q) in enumerate(entries, 1)]
    trades.append(trade(99, closing, D(out) / 100, qty, pnl=pnl, fee="0.02"))
    closed = books.close_out("BTCUSDT", trades, [income("FUNDING_FEE", D(funding) / 10**4)], direction)
    row = books.trade_row(closed, plan(direction), reason, None)
    parts = row["gross"] - row["slippage"] - row["fees"] - row["liquidation_fee"] - row["funding"]
    assert parts == pytest.approx(row["net"], abs=1e-6 * max(1.0, abs(row["gross"])))
    assert row["mae"] >= 0
    assert row["mfe"] >= 0
