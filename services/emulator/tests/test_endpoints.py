"""Changing orders, batches, countdowns, trailing stops, prices by the book, dates, ADL, the end of a contract."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from packages.common.time import HOUR_MS, MINUTE_MS
from services.emulator.tests.bench import T0, Bench, D, code
from services.emulator.tests.trader import Trader
from services.emulator.venue.liquidation import deleverage
from services.emulator.venue.model import Account, dump, load

LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}


def put(bench, **params):
    return bench.call("PUT", "order", **{"symbol": "BTCUSDT", "side": "BUY"} | params)


def test_a_resting_order_is_changed_and_remembers_it():
    bench = Bench()
    order = bench.order("BUY", "0.5", **LIMIT, price="49900")
    bench.said()
    changed = put(bench, orderId=order["orderId"], quantity="0.4", price="49800", modifyId=12)
    assert (changed["origQty"], changed["price"], changed["status"]) == ("0.400", "49800.00", "NEW")
    assert (changed["pair"], changed["modifyId"]) == ("BTCUSDT", 12)
    assert bench.events[-1]["o"]["x"] == "AMENDMENT"
    assert bench.events[-1]["o"]["M"] == "12"
    same = {"orderId": order["orderId"], "quantity": "0.4", "price": "49800"}
    assert code(put, bench, **same) == -5027
    assert code(put, bench, **same | {"side": "SELL"}) == -1117
    assert code(put, bench, **same | {"quantity": "900"}) == -2019
    assert code(put, bench, **same | {"price": "60000"}) == -4016
    assert code(put, bench, **same | {"orderId": 5}) == -2013
    assert bench.get("openOrders")[0]["price"] == "49800.00"
    (row,) = bench.get("orderAmendment", symbol="BTCUSDT")
    assert row["amendment"]["price"] == {"before": "49900", "after": "49800"}
    bench.feed.at(5, 49799)
    bench.until(5)
    assert bench.position().amt == D("0.4")


def test_a_change_that_crosses_trades_and_one_below_the_fill_ends_the_order():
    bench = Bench()
    order = bench.order("BUY", "1.2", **LIMIT, price="49900")
    bench.feed.at(5, 49900)
    bench.until(5)  # a tenth of the second's ten is filled
    assert put(bench, orderId=order["orderId"], quantity="0.5", price="49900")["status"] == "CANCELED"
    assert bench.position().amt == 1
    second = bench.order("BUY", "0.5", **LIMIT, price="49800")
    assert put(bench, orderId=second["orderId"], quantity="0.5", price="49910")["status"] == "FILLED"
    post = bench.order("BUY", "0.5", **LIMIT | {"timeInForce": "GTX"}, price="49800")
    assert put(bench, orderId=post["orderId"], quantity="0.5", price="49910")["status"] == "CANCELED"


@pytest.mark.parametrize("spelling", ["orderIdList", "orderidlist"])  # clients send the one or the other
def test_every_item_of_a_batch_has_its_own_answer(spelling):
    bench = Bench()
    items = [
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": price, **LIMIT}
        for price in ("49000", "49100.05", "49200")
    ]
    first, refused, third = bench.post("batchOrders", batchOrders=orjson.dumps(items).decode())
    assert (first["status"], refused["code"], third["status"]) == ("NEW", -4014, "NEW")
    change = [{"symbol": "BTCUSDT", "side": "BUY", "orderId": first["orderId"], "quantity": 0.2, "price": "49000"}]
    (changed,) = bench.call("PUT", "batchOrders", batchOrders=orjson.dumps(change).decode())
    assert changed["origQty"] == "0.200"
    ids = orjson.dumps([first["orderId"], 7]).decode()
    gone, unknown = bench.call("DELETE", "batchOrders", symbol="BTCUSDT", **{spelling: ids})
    assert (gone["status"], unknown["code"]) == ("CANCELED", -2011)
    assert code(bench.post, "batchOrders", batchOrders=orjson.dumps(items * 2).decode()) == -4082
    assert code(bench.post, "batchOrders", batchOrders="{") == -1130


def test_a_countdown_cancels_orders_and_leaves_conditional_ones():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.stop("49000")
    bench.order("BUY", "0.1", **LIMIT, price="49500")
    down = {"symbol": "BTCUSDT", "countdownTime": 120_000}
    assert bench.post("countdownCancelAll", **down) == {"symbol": "BTCUSDT", "countdownTime": "120000"}
    bench.until(100)
    bench.post("countdownCancelAll", **down)
    bench.until(219)
    assert len(bench.get("openOrders")) == 1
    bench.until(220)
    assert (len(bench.get("openOrders")), len(bench.get("openAlgoOrders"))) == (0, 1)
    bench.order("BUY", "0.1", **LIMIT, price="49500")
    bench.post("countdownCancelAll", **down)
    bench.post("countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
    bench.until(900)
    assert len(bench.get("openOrders")) == 1


def test_a_trailing_stop_is_activated_follows_and_triggers_at_its_distance():
    bench = Bench(triggered_event="before_fills")
    bench.order("BUY", "0.1")
    trail = {"type": "TRAILING_STOP_MARKET", "quantity": "0.1", "reduceOnly": True, "workingType": "CONTRACT_PRICE"}

    def place(**more):
        return bench.post("algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", **trail, **more)

    assert code(place, callbackRate=1, activatePrice=50000) == -2021  # a sell waits for a rise
    assert code(place, callbackRate=21) == -1130
    assert code(place) == -1102
    assert code(place, callbackRate=1, triggerPrice=49000) == -1106
    bench.said()
    order = place(callbackRate=1, activatePrice=51000)
    assert (order["activatePrice"], order["callbackRate"]) == ("51000.00", "1")
    bench.feed.at(10, 50900)
    bench.feed.at(20, 50000)  # a fall before the activation is none of its business
    bench.feed.at(70, 51200)
    bench.feed.at(130, 52000)
    bench.feed.at(140, 51490)
    bench.until(69)
    assert [e["o"]["ia"] for e in bench.events] == [False]
    bench.until(139)
    assert [e["o"]["ia"] for e in bench.events] == [False, True]
    assert bench.position().amt == D("0.1")
    bench.feed.at(141, 51480)  # one percent below 52 000
    bench.until(141)
    assert bench.position().amt == 0
    assert bench.get("algoOrder", algoId=order["algoId"])["algoStatus"] == "FINISHED"


def test_a_trailing_buy_without_activation_follows_at_once():
    bench = Bench()
    bench.order("SELL", "0.1")
    order = bench.post(
        "algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="BUY", type="TRAILING_STOP_MARKET", quantity="0.1",
        reduceOnly=True, callbackRate="2",
    )  # fmt: skip
    bench.feed.at(30, 49000)
    bench.feed.at(90, 49970)
    bench.feed.at(91, 49980)
    bench.until(90)
    assert bench.get("algoOrder", algoId=order["algoId"])["algoStatus"] == "NEW"
    bench.until(91)
    assert bench.position().amt == 0


def test_a_price_may_be_that_of_a_level():
    bench = Bench()
    assert bench.order("BUY", "0.1", **LIMIT, priceMatch="QUEUE_5")["price"] == "49999.60"
    assert bench.order("SELL", "0.1", **LIMIT, priceMatch="QUEUE")["price"] == "50000.10"
    taker = bench.order("BUY", "0.1", **LIMIT, priceMatch="OPPONENT_5")
    assert (taker["price"], taker["status"], taker["priceMatch"]) == ("50000.50", "FILLED", "OPPONENT_5")
    assert code(bench.order, "BUY", "0.1", **LIMIT, priceMatch="OPPONENT_7") == -5037
    assert code(bench.order, "BUY", "0.1", **LIMIT, priceMatch="OPPONENT", price="50000") == -5038
    assert code(bench.order, "BUY", "0.1", priceMatch="OPPONENT") == -5038


def test_an_order_good_till_a_date_ends_there():
    bench = Bench()
    day = {"type": "LIMIT", "timeInForce": "GTD", "price": "49000"}
    assert code(bench.order, "BUY", "0.1", **day) == -1102
    assert code(bench.order, "BUY", "0.1", **day, goodTillDate=T0 + 600_000) == -5040
    order = bench.order("BUY", "0.1", **day, goodTillDate=T0 + 700_500)
    assert order["goodTillDate"] == T0 + 700_000
    bench.until(699)
    assert len(bench.get("openOrders")) == 1
    bench.until(700)
    assert bench.events[-1]["o"]["X"] == "EXPIRED"


def test_deleveraging_takes_a_part_at_the_mark_and_keeps_the_stop():
    bench = Bench()
    bench.order("BUY", "0.1")
    bench.stop("49000")
    bench.feed.at(5, 51000)
    bench.until(5)
    assert bench.get("adlQuantile")[0]["adlQuantile"]["BOTH"] == bench.get("positionRisk", 3)[0]["adl"] == 2
    ledger, desk = bench.desk.ledger, bench.desk
    assert deleverage(ledger, desk.orders, desk.algos, "BTCUSDT", D("0.3"), bench.now)
    bench.take()
    assert bench.position().amt == D("0.07")
    assert len(bench.get("openAlgoOrders")) == 1
    deleverage(ledger, desk.orders, desk.algos, "BTCUSDT", D(1), bench.now)
    bench.take()
    assert bench.get("openAlgoOrders") == []
    assert not deleverage(ledger, desk.orders, desk.algos, "BTCUSDT", D(1), bench.now)
    told = [e["o"] for e in bench.events if e["e"] == "ORDER_TRADE_UPDATE" and e["o"]["c"] == "adl_autoclose"]
    assert [o["x"] for o in told] == ["NEW", "CALCULATED"] * 2
    assert len(bench.get("forceOrders")) == len(bench.get("forceOrders", autoCloseType="ADL")) == 2
    assert bench.get("forceOrders", autoCloseType="LIQUIDATION") == []
    assert code(bench.get, "forceOrders", autoCloseType="X") == -1130
    bench.ledger_is_whole()


def test_a_liquidation_is_a_forced_order():
    bench = Bench()
    bench.order("BUY", "1")
    bench.feed.at(5, 44000)
    bench.until(5)
    (row,) = bench.get("forceOrders", autoCloseType="LIQUIDATION")
    assert row["clientOrderId"].startswith("autoclose-")


def test_nothing_is_opened_in_the_last_half_hour_of_a_contract():
    bench = Bench()
    bench.order("BUY", "0.1")
    contract = bench.venue.contracts["BTCUSDT"]
    spec = replace(contract.spec, delivery_ms=T0 + HOUR_MS)
    bench.venue.contracts["BTCUSDT"] = replace(contract, spec=spec)
    bench.until(30 * 60 - 1)
    bench.order("BUY", "0.1")
    bench.until(30 * 60)
    assert code(bench.order, "BUY", "0.1") == -4140
    assert bench.order("SELL", "0.1", reduceOnly=True)["status"] == "FILLED"
    bench.until(HOUR_MS // 1000)
    assert bench.position().amt == 0


def test_a_late_market_order_fills_when_it_arrives_with_what_is_left_to_reduce():
    bench = Bench()
    bench.order("BUY", "0.3")
    bench.venue.delay = bench.desk.orders.delay = lambda symbol, ts_ms, order: 60_000
    late = bench.order("SELL", "0.3", reduceOnly=True)
    assert late["status"] == "NEW"
    bench.until(59)
    bench.desk.orders.delay = lambda symbol, ts_ms, order: 0
    assert bench.position().amt == D("0.3")
    assert code(bench.order, "SELL", "0.3", reduceOnly=True) == -4118
    bench.order("SELL", "0.2")
    bench.until(60)
    assert bench.position().amt == 0
    row = bench.get("order", symbol="BTCUSDT", orderId=late["orderId"])
    assert (row["status"], row["executedQty"]) == ("EXPIRED", "0.100")


def test_settings_that_are_only_told():
    bench = Bench()
    bench.post("feeBurn", feeBurn=True)
    assert bench.get("feeBurn") == {"feeBurn": True}
    assert code(bench.post, "feeBurn") == -1102
    assert [row["interval"] for row in bench.get("rateLimit/order")] == ["SECOND", "MINUTE"]
    assert bench.get("orderAmendment", symbol="BTCUSDT") == []


def test_everything_new_survives_a_save():
    bench = Bench()
    order = bench.order("BUY", "0.5", **LIMIT, price="49900")
    put(bench, orderId=order["orderId"], quantity="0.4", price="49800")
    bench.post("countdownCancelAll", symbol="BTCUSDT", countdownTime=120_000)
    assert load(Account, dump(bench.account)) == bench.account


async def test_aggregates_of_trades_carry_the_prices_and_the_volume_of_their_minute(still):
    now = still.emulator.clock.now_ms()
    start = now - 5 * MINUTE_MS
    path = "/fapi/v1/aggTrades"
    rows = await still.get(path, symbol="BTCUSDT", startTime=start, endTime=start + MINUTE_MS - 1)
    (bar,) = await still.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=start, limit=1)
    assert sum(D(row["q"]) for row in rows) == D(bar[5])
    assert max(D(row["p"]) for row in rows) == D(bar[2])
    assert (rows[0]["p"], rows[-1]["p"]) == (bar[1], bar[4])
    assert (await still.get(path, symbol="BTCUSDT", fromId=rows[7]["a"], limit=2)) == rows[7:9]
    assert (await still.get(path, symbol="BTCUSDT", limit=5))[-1]["T"] == now
    assert (await still.get(path, symbol="BTCUSDT", startTime=1, endTime=1 + 2 * HOUR_MS))["code"] == -1127


@pytest.mark.parametrize(("orders", "used"), [(1, "2"), (5, "6")])
async def test_a_batch_costs_five_of_ten_seconds_and_one_of_a_minute(still, orders, used):
    trader = Trader(still)
    item = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "9"}
    for _ in range(50):  # a minute of this market is a tenth of our second: until both requests fall into one
        await asyncio.sleep(0.1)
        await trader.order("BUY", "0.01")
        if orders == 1:
            await trader.order("BUY", "0.01")
        else:
            (refused,) = await trader.post("batchOrders", batchOrders=orjson.dumps([item]).decode())
            assert refused["code"] == -4164
        counted = trader.headers["X-MBX-ORDER-COUNT-10S"], trader.headers["X-MBX-ORDER-COUNT-1M"]
        if counted[1] == "2":
            break
    # ten seconds of this market are sixteen of our milliseconds: the first order may be of the window before
    assert counted in ((used, "2"), (str(orders), "2"))
    assert int(trader.headers["X-MBX-ORDER-COUNT-10S"]) >= orders
