"""The trading engine against figures worked by hand (reference §8.1, §8.2) and the codes of §7.4."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from packages.common.time import HOUR_MS
from services.emulator.params import ApiError
from services.emulator.tests.bench import BTC, T0, Bench, D, code
from services.emulator.venue import margin
from services.emulator.venue.book import Quote, levels, sweep
from services.emulator.venue.model import Income
from services.emulator.venue.venue import Venue

# --- arithmetic ---


def test_maintenance_is_continuous_across_brackets_and_matches_a_worked_example():
    # BTCUSDT: 300 000 at 0.4 %, then 0.5 % less cum = 300 000 x (0.005 - 0.004) = 300
    assert margin.maintenance(BTC.tiers, D(100_000)) == D(400)
    assert margin.maintenance(BTC.tiers, D(500_000)) == D(500_000) * D("0.005") - 300 == D(2200)
    # third bracket: cum = 300 + 800 000 x 0.0015 = 1500
    assert margin.maintenance(BTC.tiers, D(1_000_000)) == D(6500) - 1500
    for tier in BTC.tiers[:-1]:
        below, above = margin.maintenance(BTC.tiers, tier.cap), margin.maintenance(BTC.tiers, tier.cap + D("0.01"))
        assert 0 < above - below < D("0.01")


@pytest.mark.parametrize(
    ("amt", "entry", "wallet", "expected"),
    [
        # (500 + 0 - 0.1 x 50 000) / (0.1 x (0.004 - 1)) = -4500 / -0.0996
        (D("0.1"), D(50_000), D(500), D(-4500) / D("-0.0996")),
        # short: (500 + 0.1 x 50 000) / (0.1 x 1.004)
        (D("-0.1"), D(50_000), D(500), D(5500) / D("0.1004")),
        # 10 BTC, 20x: q·LP stays in the second bracket: (25 000 + 300 - 500 000) / (10 x (0.005 - 1))
        (D(10), D(50_000), D(25_000), D(-474_700) / D("-9.95")),
        # a long with all its value as margin cannot be liquidated
        (D("0.1"), D(50_000), D(5_000), D(0)),
    ],
)
def test_liquidation_price_is_that_of_the_worked_example(amt, entry, wallet, expected):
    price = margin.liquidation_price(BTC.tiers, amt, entry, wallet)
    assert price == expected
    if price:  # and there the balance is exactly the maintenance margin
        balance = wallet + margin.unrealized(amt, entry, price)
        assert abs(balance - margin.maintenance(BTC.tiers, abs(amt) * price)) < D("1e-15")


def test_funding_of_a_positive_rate_is_paid_by_longs():
    assert margin.funding(D("0.5"), D(50_000), D("0.0001")) == D("-2.5")
    assert margin.funding(D("-0.5"), D(50_000), D("0.0001")) == D("2.5")
    assert margin.funding(D("0.5"), D(50_000), D("-0.0001")) == D("2.5")


def test_leverage_bounds_the_notional_by_the_brackets():
    assert margin.max_notional(BTC.tiers, 150) == 300_000
    assert margin.max_notional(BTC.tiers, 101) == 300_000
    assert margin.max_notional(BTC.tiers, 100) == 800_000
    assert margin.max_notional(BTC.tiers, 10) == 200_000_000
    assert margin.max_notional(BTC.tiers, 151) == 0


def test_a_sweep_never_pays_less_than_level_by_level():
    quote = Quote(T0, D(50_000), D(50_000), D("50000.0"), D("50000.1"), D("0.5"), D(10))
    assert sweep(BTC, quote, "BUY", D("0.4")) == [(D("50000.1"), D("0.4"))]
    assert sweep(BTC, quote, "SELL", D(1)) == [(D("50000.0"), D("0.5")), (D("49999.9"), D("0.5"))]
    fills = sweep(BTC, quote, "BUY", D(200))
    assert len(fills) < 12
    assert sum(size for _, size in fills) == 200
    single, left, k = D(0), D(200), 0
    while left > 0:
        taken = min(left, D("0.5") * (k + 1))
        single, left, k = single + taken * (D("50000.1") + k * D("0.1")), left - taken, k + 1
    assert sum(price * size for price, size in fills) >= single
    sizes = [size for _, size in levels(BTC, quote, "BUY")]
    assert sum(sizes[:6]) == D("0.5") * 16 * 17 / 2  # sixteen levels in six groups: 4 x 1, 4, 8


# --- a position's life ---


def test_a_market_order_opens_closes_and_every_cent_is_booked():
    bench = Bench(fee_from="wallet")
    answer = bench.order("BUY", "0.100")
    assert (answer["status"], answer["executedQty"]) == ("FILLED", "0.100")
    assert "avgPrice" not in answer
    assert bench.said() == ["order NEW NEW", "TRADE_LITE", "account ORDER", "order TRADE FILLED"]
    position = bench.position()
    assert (position.amt, position.entry) == (D("0.1"), D("50000.1"))
    assert position.isolated_wallet == D("500.001")  # 5000.01 / 10
    assert bench.account.wallet == D(10_000) - D("2.500005")  # 0.05 %
    bench.feed.at(10, 51000)
    bench.until(10)
    bench.order("SELL", "0.1", reduceOnly=True)
    assert bench.position().amt == 0
    assert bench.position().isolated_wallet == 0
    # (51 000 - 50 000.1) x 0.1 = 99.99, fee 5100 x 0.0005 = 2.55
    assert bench.account.wallet == D(10_000) - D("2.500005") + D("99.99") - D("2.55")
    kinds = [row["incomeType"] for row in bench.get("income")]
    assert kinds == ["TRANSFER", "COMMISSION", "REALIZED_PNL", "COMMISSION"]
    bench.ledger_is_whole()


def test_a_larger_order_reverses_the_position_and_only_the_closed_part_is_realized():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.feed.at(5, 50500)
    bench.until(5)
    bench.order("SELL", "0.3")
    position = bench.position()
    assert (position.amt, position.entry) == (D("-0.2"), D(50500))
    assert bench.get("userTrades", symbol="BTCUSDT")[-1]["realizedPnl"] == "49.99000000"
    bench.ledger_is_whole()


def test_entries_average_and_break_even_covers_the_fees():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.feed.at(5, 51000)
    bench.until(5)
    bench.order("BUY", "0.1")
    row = bench.get("positionRisk", 3)[0]
    assert D(row["entryPrice"]) == (D("50000.1") + D("51000.1")) / 2
    assert D(row["breakEvenPrice"]) == D(row["entryPrice"]) + (D("2.500005") + D("2.550005")) / D("0.2")
    assert not {"leverage", "marginType"} & set(row)


def test_funding_moves_the_isolated_wallet_at_its_instant_only():
    bench = Bench()
    bench.order("BUY", "0.1")
    instant = T0 - 1000 + HOUR_MS
    bench.feed.funding["BTCUSDT"] = {instant: (D("0.0001"), D(50_000))}
    before, wallet = bench.position().isolated_wallet, bench.account.wallet
    bench.until(3598)
    assert bench.position().isolated_wallet == before
    bench.events.clear()
    bench.until(3599)
    assert bench.position().isolated_wallet == before - D("0.5")
    assert bench.account.wallet == wallet - D("0.5")
    event = bench.events[0]["a"]
    assert (event["m"], event["S"], len(event["P"])) == ("FUNDING_FEE", "BTCUSDT", 1)
    assert bench.get("income", incomeType="FUNDING_FEE")[0]["income"] == "-0.50000000"
    bench.until(7300)
    assert len(bench.get("income", incomeType="FUNDING_FEE")) == 1


def test_liquidation_strikes_at_its_price_and_takes_the_isolated_wallet_and_no_more():
    bench = Bench(fee_from="wallet")
    bench.order("BUY", "0.1")
    held = bench.account.wallet - bench.position().isolated_wallet
    price = D(bench.get("positionRisk", 3)[0]["liquidationPrice"])
    bench.feed.at(10, 45300, mark=price + D("0.01"))
    bench.feed.at(20, 45000, mark=price - D("0.01"))
    bench.until(19)
    assert bench.position().amt == D("0.1")
    assert "MARGIN_CALL" in bench.said()
    bench.until(20)
    assert bench.said() == ["order NEW NEW", "account ORDER", "order CALCULATED FILLED", "account INSURANCE_CLEAR"]
    assert bench.position().amt == 0
    assert bench.account.wallet == held
    order = bench.get("allOrders", symbol="BTCUSDT")[-1]
    assert order["clientOrderId"].startswith("autoclose-")
    bench.ledger_is_whole()


def test_a_gap_below_bankruptcy_is_paid_by_the_insurance_fund():
    bench = Bench()
    bench.order("BUY", "0.1")
    held = bench.account.wallet - bench.position().isolated_wallet
    bench.feed.at(10, 30000)
    bench.until(10)
    assert bench.account.wallet == held
    assert D(bench.get("income", incomeType="INSURANCE_CLEAR")[0]["income"]) > 0
    bench.ledger_is_whole()


def test_a_cross_account_is_liquidated_as_a_whole_and_never_owes():
    bench = Bench(wallet="600", isolated=False)
    bench.order("BUY", "0.1")
    bench.post("leverage", symbol="ETHUSDT", leverage=20)
    bench.order("BUY", "0.2", symbol="ETHUSDT")
    bench.feed.at(10, 40000)
    bench.until(10)
    assert not bench.desk.ledger.held()
    assert bench.account.wallet == 0
    bench.ledger_is_whole()


# --- orders ---


def test_filters_answer_with_their_codes():
    bench = Bench()
    limit = {"type": "LIMIT", "timeInForce": "GTC"}
    assert code(bench.order, "BUY", "0.1234") == -1111
    assert code(bench.order, "BUY", "0") == -4003
    assert code(bench.order, "BUY", "121") == -4005
    assert code(bench.order, "BUY", "0.001") == -4164  # 50 USDT where 100 are the least
    assert code(bench.order, "BUY", "NaN") == -1100
    assert code(bench.order, "BUY", "0.1", **limit, price="49000.155") == -1111
    assert code(bench.order, "BUY", "0.1", **limit, price="49000.15") == -4014
    assert code(bench.order, "BUY", "0.1", **limit, price="60000") == -4016
    assert code(bench.order, "SELL", "0.1", **limit, price="40000") == -4024
    assert code(bench.order, "BUY", "0.1", **limit, price="-1") == -4001
    assert code(bench.order, "BUY", "0.1", type="LIMIT", price="49000") == -1102
    assert code(bench.order, "UP", "0.1") == -1117
    assert code(bench.order, "BUY", "0.1", type="ICEBERG") == -1116
    assert code(bench.order, "BUY", "0.1", symbol="NOPEUSDT") == -1121
    assert code(bench.order, "BUY", "0.1", positionSide="LONG") == -4061
    assert code(bench.order, "BUY", "0.1", newClientOrderId="x" * 37) == -4015
    assert code(bench.order, "BUY", "3") == -2019
    assert code(bench.order, "BUY", "0.1", symbol="XAUUSDT") == -4411
    assert code(bench.post, "leverage", symbol="BTCUSDT", leverage=151) == -4028
    bench.post("leverage", symbol="BTCUSDT", leverage=150)
    assert code(bench.order, "BUY", "7") == -2027
    assert bench.get("allOrders", symbol="BTCUSDT") == []
    assert bench.said() == ["ACCOUNT_CONFIG_UPDATE"]


@pytest.mark.parametrize("kind", ["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"])
def test_the_old_endpoint_refuses_conditional_orders(kind):
    assert code(Bench().order, "SELL", "0.1", type=kind, stopPrice="49000") == -4120


def test_limit_orders_rest_fill_at_a_touch_in_part_and_past_it_in_full():
    bench = Bench()
    answer = bench.order("BUY", "1.5", type="LIMIT", timeInForce="GTC", price="49900")
    assert answer["status"] == "NEW"
    bench.feed.at(10, 49900)
    bench.until(10)
    assert bench.get("openOrders")[0]["executedQty"] == "1.000"  # a tenth of the 10 traded in that second
    bench.feed.at(11, 49899)
    bench.until(11)
    order = bench.get("order", symbol="BTCUSDT", orderId=answer["orderId"])
    assert (order["status"], order["avgPrice"]) == ("FILLED", "49900")
    trades = bench.get("userTrades", symbol="BTCUSDT")
    assert all(trade["maker"] for trade in trades)
    assert D(trades[0]["commission"]) == D("49900") * D("0.0002")


def test_time_in_force():
    bench = Bench()
    limit = {"type": "LIMIT", "symbol": "BTCUSDT"}
    assert code(bench.order, "BUY", "1.5", **limit, timeInForce="FOK", price="50000.1") == -5021
    assert code(bench.order, "BUY", "1.5", **limit, timeInForce="GTX", price="50000.1") == -5022
    assert bench.order("BUY", "0.1", **limit, timeInForce="GTX", price="50000")["status"] == "NEW"
    bench.said()
    answer = bench.order("BUY", "1.2", **limit, timeInForce="IOC", price="50000.1")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "1.000")
    assert bench.said()[-1] == "order EXPIRED EXPIRED"
    assert bench.order("BUY", "0.3", **limit, timeInForce="FOK", price="50000.1")["status"] == "FILLED"


def test_a_market_order_stops_at_the_bound_and_expires_with_reason_nine():
    bench = Bench(wallet="100000000")
    bench.feed.at(1, 52499, mark=50000)  # the bound is 52 500
    bench.until(1)
    answer = bench.order("BUY", "100")
    assert answer["status"] == "EXPIRED"
    assert 0 < D(answer["executedQty"]) < 100
    assert bench.events[-1]["o"]["er"] == "9"
    bench.feed.at(2, 52600, mark=50000)
    bench.until(2)
    assert code(bench.order, "BUY", "1") == -4131


def test_reduce_only_never_opens_and_never_reverses():
    bench = Bench()
    assert code(bench.order, "SELL", "0.1", reduceOnly=True) == -2022
    bench.order("BUY", "0.1")
    assert code(bench.order, "BUY", "0.1", reduceOnly=True) == -2022
    resting = {"type": "LIMIT", "timeInForce": "GTC", "price": "51000", "reduceOnly": True}
    bench.order("SELL", "0.06", **resting)
    assert code(bench.order, "SELL", "0.06", reduceOnly=True) == -4118
    bench.order("SELL", "0.001", reduceOnly=True)  # exempt from the least notional
    bench.order("SELL", "0.099")
    assert bench.position().amt == 0
    assert bench.get("openOrders") == []  # pushed out
    assert bench.events[-1]["o"]["er"] == "4"
    bench.order("BUY", "0.1")
    assert bench.order("SELL", "5", reduceOnly=True)["origQty"] == "0.100"
    assert bench.position().amt == 0


def test_client_ids_are_unique_among_open_orders_only():
    bench = Bench()
    limit = {"type": "LIMIT", "timeInForce": "GTC", "price": "49000", "newClientOrderId": "mine"}
    bench.order("BUY", "0.1", **limit)
    assert code(bench.order, "BUY", "0.1", **limit) == -4116
    cancelled = bench.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert cancelled["status"] == "CANCELED"
    assert code(bench.call, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine") == -2011
    again = bench.order("BUY", "0.1", **limit)
    assert bench.get("order", symbol="BTCUSDT", origClientOrderId="mine")["orderId"] == again["orderId"]
    assert code(bench.get, "order", symbol="BTCUSDT", origClientOrderId="other") == -2013
    strict = Bench(client_ids_reusable=False)
    strict.order("BUY", "0.1", newClientOrderId="once")
    assert code(strict.order, "BUY", "0.1", newClientOrderId="once") == -4116


def test_resting_orders_hold_margin_and_a_closing_one_holds_none():
    bench = Bench()
    bench.order("BUY", "0.1", type="LIMIT", timeInForce="GTC", price="49000")
    account = bench.get("account", 3)
    assert (account["totalOpenOrderInitialMargin"], account["availableBalance"]) == ("490.00000000", "9510.00000000")
    bench.call("DELETE", "allOpenOrders", symbol="BTCUSDT")
    bench.order("BUY", "0.1")
    bench.order("SELL", "0.1", type="LIMIT", timeInForce="GTC", price="51000")
    assert bench.get("account", 3)["totalOpenOrderInitialMargin"] == "0.00000000"


# --- conditional orders ---


@pytest.mark.parametrize("late", [False, True])
def test_a_stop_lives_its_whole_life(late):
    bench = Bench(triggered_event="after_fills" if late else "before_fills")
    bench.order("BUY", "0.1")
    bench.said()
    stop = bench.stop("49000", clientAlgoId="sl")
    take = bench.stop("52000", type="TAKE_PROFIT_MARKET", clientAlgoId="tp")
    assert bench.said() == ["algo NEW", "algo NEW"]
    assert len(str(stop["algoId"])) == 16
    bench.feed.at(10, 48900, mark="49000.01")  # the last price alone triggers nothing
    bench.feed.at(20, 48950, mark=49000)
    bench.until(19)
    assert bench.said() == []
    bench.until(20)
    fills = ["TRADE_LITE", "account ORDER", "order TRADE FILLED"]
    middle = fills + ["algo TRIGGERED"] if late else ["algo TRIGGERED"] + fills
    assert bench.said() == ["algo TRIGGERING", "order NEW NEW", *middle, "algo FINISHED", "algo EXPIRED"]
    assert bench.position().amt == 0
    row = bench.get("algoOrder", algoId=stop["algoId"])
    child = bench.get("order", symbol="BTCUSDT", orderId=row["actualOrderId"])
    assert (row["algoStatus"], row["actualQty"], child["clientOrderId"]) == ("FINISHED", "0.1", "sl")
    assert child["origType"] == "STOP_MARKET"
    assert bench.get("algoOrder", clientAlgoId="tp")["algoStatus"] == "EXPIRED"
    assert code(bench.call, "DELETE", "algoOrder", algoId=take["algoId"]) == -2011
    assert code(bench.get, "order", symbol="BTCUSDT", orderId=stop["algoId"]) == -2013  # another space of ids
    assert bench.get("openAlgoOrders") == []


def test_the_rules_of_close_position():
    bench = Bench()
    assert code(bench.stop, "49000") == -4509
    bench.order("BUY", "0.1")
    assert code(bench.stop, "51000") == -2021
    assert code(bench.stop, "49000", type="TAKE_PROFIT_MARKET") == -2021
    assert code(bench.stop, "49000", reduceOnly=True) == -1106
    assert code(bench.stop, "49000", quantity="0.1", closePosition=True) == -4137
    assert code(bench.stop, "49000", type="STOP", price="48000") == -4136
    assert code(bench.stop, "51000", side="BUY") == -4509  # closes a short, and there is none
    bench.stop("49000")
    assert code(bench.stop, "48000") == -4130
    bench.stop("52000", type="TAKE_PROFIT_MARKET")
    assert code(bench.stop, "53000", type="TAKE_PROFIT_MARKET") == -4130
    bench.order("BUY", "0.1")  # added later: covered all the same
    bench.said()
    bench.order("SELL", "0.2", reduceOnly=True)
    assert bench.said()[-2:] == ["algo EXPIRED", "algo EXPIRED"]
    lenient = Bench(flat_close_position="accept")
    lenient.stop("49000")
    lenient.order("BUY", "0.1")
    assert len(lenient.get("openAlgoOrders")) == 1


def test_a_plain_reduce_only_stop_of_a_flat_account_is_rejected_when_it_triggers():
    bench = Bench()
    stop = bench.stop("49000", quantity="0.1", reduceOnly=True)
    bench.feed.at(5, 48000)
    bench.until(5)
    assert bench.said() == ["algo NEW", "algo TRIGGERING", "algo REJECTED"]
    assert bench.get("algoOrder", algoId=stop["algoId"])["algoStatus"] == "REJECTED"
    assert code(Bench(flat_reduce_only_stop="reject").stop, "49000", quantity="0.1", reduceOnly=True) == -2022


def test_a_stop_limit_rests_after_its_trigger_and_finishes_with_its_child():
    bench = Bench(triggered_event="before_fills")
    bench.order("BUY", "0.1")
    stop = bench.stop("49000", type="STOP", quantity="0.1", price="49500", reduceOnly=True)
    bench.said()
    bench.feed.at(5, 48000)
    bench.until(5)
    assert bench.said() == ["algo TRIGGERING", "order NEW NEW", "algo TRIGGERED"]
    assert code(bench.call, "DELETE", "algoOrder", algoId=stop["algoId"]) == -2011
    child = bench.get("algoOrder", algoId=stop["algoId"])["actualOrderId"]
    bench.call("DELETE", "order", symbol="BTCUSDT", orderId=child)
    assert bench.said() == ["order CANCELED CANCELED", "algo FINISHED"]


def test_price_protection_holds_a_trigger_while_mark_and_last_are_apart():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.stop("49000", priceProtect=True)
    bench.feed.at(5, 52000, mark=48900)
    bench.feed.at(9, 49000, mark=48900)
    bench.until(8)
    assert bench.position().amt == D("0.1")
    bench.until(9)
    assert bench.position().amt == 0


def test_a_stuck_trigger_cannot_be_cancelled_and_goes_on_when_the_fault_ends():
    bench = Bench()
    bench.order("BUY", "0.1")
    stop = bench.stop("49000")
    bench.venue.stuck = lambda symbol, ts_ms: ts_ms < T0 + 30_000
    bench.feed.at(5, 48900)
    bench.until(20)
    assert bench.get("algoOrder", algoId=stop["algoId"])["algoStatus"] == "TRIGGERING"
    assert code(bench.call, "DELETE", "algoOrder", algoId=stop["algoId"]) == -2011
    bench.until(30)
    assert bench.position().amt == 0


def test_mass_cancels_keep_to_their_own_kind():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.stop("49000")
    bench.order("BUY", "0.1", type="LIMIT", timeInForce="GTC", price="49500")
    bench.call("DELETE", "allOpenOrders", symbol="BTCUSDT")
    assert (len(bench.get("openOrders")), len(bench.get("openAlgoOrders"))) == (0, 1)
    bench.call("DELETE", "algoOpenOrders", symbol="BTCUSDT")
    assert bench.get("openAlgoOrders") == []
    assert bench.position().amt == D("0.1")


def test_two_hundred_conditional_orders_are_the_most():
    bench = Bench()
    for k in range(200):
        bench.stop(f"{49000 - k}", quantity="0.1")
    assert code(bench.stop, "40000", quantity="0.1") == -4045


# --- settings ---


def test_settings_say_so_when_nothing_changes_and_refuse_while_something_is_open():
    bench = Bench()
    assert code(bench.post, "marginType", symbol="BTCUSDT", marginType="ISOLATED") == -4046
    assert code(bench.post, "positionSide/dual", dualSidePosition=False) == -4059
    assert code(bench.post, "multiAssetsMargin", multiAssetsMargin=False) == -4171
    assert code(bench.post, "multiAssetsMargin", multiAssetsMargin=True) == -4167
    assert bench.post("leverage", symbol="BTCUSDT", leverage=10)["leverage"] == 10
    bench.order("BUY", "0.1")
    assert code(bench.post, "leverage", symbol="BTCUSDT", leverage=5) == -4161
    assert bench.post("leverage", symbol="BTCUSDT", leverage=20)["maxNotionalValue"] == "80000000"
    assert code(bench.post, "marginType", symbol="BTCUSDT", marginType="CROSSED") == -4048
    bench.stop("49000")
    assert code(bench.post, "marginType", symbol="BTCUSDT", marginType="CROSSED") == -4047
    assert code(bench.post, "positionSide/dual", dualSidePosition=True) == -4067
    before = D(bench.get("positionRisk", 3)[0]["liquidationPrice"])
    bench.post("positionMargin", symbol="BTCUSDT", amount=100, type=1)
    assert D(bench.get("positionRisk", 3)[0]["liquidationPrice"]) < before
    assert code(bench.post, "positionMargin", symbol="BTCUSDT", amount=100000, type=1) == -4050
    assert bench.get("symbolConfig", symbol="BTCUSDT")[0]["marginType"] == "ISOLATED"


# --- state ---


def script(bench, cut=None):
    """A run with a bit of everything; ``cut``: where it is saved and restored."""
    bench.feed.funding["BTCUSDT"] = {T0 - 1000 + HOUR_MS: (D("0.0001"), D(50_100))}
    for k, last in enumerate((50010, 49950, 49890, 50200, 48990, 50000)):
        bench.feed.at(1000 * (k + 1), last)
    steps = [
        lambda: bench.order("BUY", "0.2"),
        lambda: bench.stop("49000"),
        lambda: bench.order("BUY", "0.1", type="LIMIT", timeInForce="GTC", price="49900"),
        lambda: bench.order("SELL", "0.05", reduceOnly=True),
        lambda: bench.until(5500),
    ]
    for k, step in enumerate(steps):
        bench.until(900 * (k + 1))
        step()
        if k == cut:
            state = bench.venue.state()
            bench.venue.restore(state)
            assert bench.venue.state() == state
    return [{**event} for event in bench.events], bench.venue.state()


@pytest.mark.parametrize("cut", range(5))
def test_a_restored_venue_goes_on_as_if_nothing_had_been(cut):
    assert script(Bench(), cut) == script(Bench())


def test_how_often_time_is_brought_forward_makes_no_difference():
    one, many = Bench(), Bench()
    for bench in (one, many):
        bench.feed.at(30, 48900)
        bench.order("BUY", "0.1")
        bench.stop("49000")
    one.until(100)
    for second in range(101):
        many.until(second)
    assert one.events == many.events
    assert one.venue.state() == many.venue.state()


def test_a_market_that_stands_still_trades_nothing():
    bench = Bench()
    bench.order("BUY", "0.1")
    live = bench.feed.quote
    bench.feed.quote = lambda symbol, ts: replace(live(symbol, ts), live=not T0 + 10_000 <= ts < T0 + 70_000)
    bench.until(12)
    assert code(bench.order, "SELL", "0.1", reduceOnly=True) == -1112
    resting = bench.order("SELL", "0.1", type="LIMIT", timeInForce="GTC", price="49900", reduceOnly=True)
    assert resting["status"] == "NEW"
    bench.until(69)
    assert bench.position().amt == D("0.1")
    bench.until(70)
    assert bench.position().amt == 0


class EverySecond(Venue):
    """Skips nothing; what it does is what the skipping one must do."""

    def _loud(self, active, minute_ms):
        return active


def campaign(kind, seed, isolated):
    """A random market and random orders on a venue of ``kind``: its events and its state at the end."""
    rng = np.random.default_rng(seed)
    bench = Bench(wallet="3000", isolated=isolated)
    bench.venue.__class__ = kind
    price = 50000.0
    for second in range(5, 4000, 7):
        price *= float(np.exp(rng.normal(0, 0.0008)))
        bench.feed.at(second, f"{price:.1f}", mark=f"{price * (1 + rng.normal(0, 0.0005)):.2f}")
    bench.feed.funding["BTCUSDT"] = {T0 - 1000 + HOUR_MS: (D("0.0003"), D(50_000))}
    for second in range(100, 4000, 97):
        bench.until(second)
        at, away = bench.venue.quote_of("BTCUSDT").mark, D(str(round(float(rng.uniform(0.985, 1.015)), 4)))
        side, wanted = "BUY" if rng.random() < 0.5 else "SELL", f"{at * away // 1:f}"
        closing = "SELL" if bench.position().amt > 0 else "BUY"
        chosen, qty = int(rng.integers(5)), f"{rng.integers(2, 200) / 1000}"
        with contextlib.suppress(ApiError):
            match chosen:
                case 0:
                    bench.order(side, qty)
                case 1:
                    bench.order(side, "0.05", type="LIMIT", timeInForce="GTC", price=wanted)
                case 2:
                    bench.stop(wanted, side=closing)
                case 3:
                    bench.stop(wanted, side=closing, type="TAKE_PROFIT_MARKET")
                case 4:
                    bench.order(closing, "0.02", reduceOnly=True)
        bench.ledger_is_whole()
    return bench.events, bench.venue.state()


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_minutes_are_skipped_only_when_nothing_would_have_happened_in_them(seed, isolated):
    events, state = campaign(Venue, seed, isolated)
    assert (events, state) == campaign(EverySecond, seed, isolated)
    told = [event["e"] for event in events]
    assert "ALGO_UPDATE" in told
    assert told.count("ACCOUNT_UPDATE") >= 10


def test_a_delisted_symbol_settles_without_a_fee():
    ended = replace(BTC, spec=replace(BTC.spec, delivery_ms=T0 + 60_000))
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.stop("49000")
    bench.order("BUY", "0.1", type="LIMIT", timeInForce="GTC", price="49500")
    bench.venue.contracts["BTCUSDT"] = ended
    bench.said()
    bench.until(60)
    told = bench.said()
    assert told[0] == "order EXPIRED EXPIRED"
    assert told[-1] == "algo EXPIRED"
    assert bench.position().amt == 0
    assert code(bench.order, "BUY", "0.1") == -4141
    assert isinstance(bench.account.incomes[-1], Income)
    assert bench.account.incomes[-1].kind == "REALIZED_PNL"
    bench.ledger_is_whole()
