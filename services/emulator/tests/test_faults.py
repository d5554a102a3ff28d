"""Every fault, seen from where it hurts."""

import asyncio
from decimal import Decimal
from pathlib import Path

import aiohttp
import orjson
import pytest

from packages.common.time import HOUR_MS, MINUTE_MS
from services.emulator import clock
from services.emulator.config import EmulatorConfig
from services.emulator.faults import FOREVER_MS, KINDS, LEGS, Fault, Faults, Kind, Request, leg_of
from services.emulator.feed import MarketFeed
from services.emulator.market import Market
from services.emulator.shaken import Shaken
from services.emulator.testing import served
from services.emulator.tests.conftest import PATIENT_S, UNIVERSE, Client, exchange, receive, until
from services.emulator.tests.trader import Trader, gather

DOCS = Path(__file__).resolve().parents[3] / "docs" / "emulator.md"
SECOND = {"speed": 60.0, "mark_updates": 60}


def plan(still, kind, **fields):
    fault = Fault(kind, 0, **fields)
    still.emulator.faults.add(fault)
    return fault


@pytest.fixture
async def trader(still):
    return Trader(still)


def fired(client):
    return [row["fired"] for row in client.emulator.faults.state()]


# --- the schedule ---


def test_the_documentation_lists_every_fault_as_it_is():
    text = DOCS.read_text()
    for kind, about in KINDS.items():
        takes = ", ".join(f"`{name}`" for name in about.takes)
        assert f"| `{kind}` | {about.layer} | {takes} | {about.says} |" in text
    assert ", ".join(f"`{leg}`" for leg in LEGS) in text


@pytest.mark.parametrize(
    ("method", "path", "params", "leg"),
    [
        ("POST", "/fapi/v1/order", {}, "entry"), ("POST", "/fapi/v1/order", {"reduceOnly": "true"}, "exit"),
        ("POST", "/fapi/v1/algoOrder", {"type": "STOP_MARKET"}, "stop"), ("PUT", "/fapi/v1/order", {}, "amend"),
        ("POST", "/fapi/v1/algoOrder", {"type": "TAKE_PROFIT_MARKET"}, "target"),
        ("DELETE", "/fapi/v1/algoOrder", {}, "cancel"), ("DELETE", "/fapi/v1/allOpenOrders", {}, "cancel"),
        ("GET", "/fapi/v1/order", {"timestamp": "1"}, "query"),
        ("GET", "/fapi/v3/account", {"timestamp": "1"}, "query"),
        ("POST", "/fapi/v1/leverage", {}, "setup"), ("PUT", "/fapi/v1/listenKey", {}, "key"),
        ("GET", "/fapi/v1/klines", {}, "market"),
    ],
)  # fmt: skip
def test_a_request_has_a_leg(method, path, params, leg):
    assert leg_of(method, path, params) == leg


def test_faults_strike_after_so_many_occasions_and_so_often_and_say_how_often():
    faults = Faults(7, [Fault(Kind.ORDER_LOST, 0, leg="stop", after=2, times=3)])
    stop, entry = Request("/fapi/v1/algoOrder", "stop", "X"), Request("/fapi/v1/order", "entry", "X")
    struck = [faults.trading(stop, 5) is not None for _ in range(8)]
    assert struck == [False, False, True, True, True, False, False, False]
    assert faults.trading(entry, 5) is None
    row = faults.shown(5)["plan"][0]
    assert (row["seen"], row["fired"], row["active"]) == (5, 3, True)  # what is over is not asked any more
    again = Faults(7)
    again.restore(faults.state())
    assert again.trading(stop, 5) is None


def test_shares_are_drawn_by_seed_and_kept_over_a_restart():
    def run(faults, n=200):
        return [faults.trading(Request("/x", "entry", ""), 1) is not None for _ in range(n)]

    whole = Faults(3, [Fault(Kind.ORDER_LOST, 0, share=0.3)])
    parts = Faults(3, [Fault(Kind.ORDER_LOST, 0, share=0.3)])
    first = run(parts, 80)
    later = Faults(3)
    later.restore(parts.state())
    hits = run(whole)
    assert hits == first + run(later, 120)
    assert 40 < hits.count(True) < 80
    assert hits != run(Faults(4, [Fault(Kind.ORDER_LOST, 0, share=0.3)]))


def test_what_happens_at_an_instant_happens_once_or_at_its_interval():
    once, often = Fault(Kind.ADL, 100, 1000), Fault(Kind.ADL, 100, 1000, every_ms=200, times=3)
    faults = Faults(1, [once, often])
    found = {now: faults.due([Kind.ADL], now) for now in (50, 100, 150, 290, 310, 800, 900, 1001)}
    assert {now: hits for now, hits in found.items() if hits} == {100: [once, often], 310: [often], 800: [often]}


def test_a_field_that_a_kind_does_not_heed_is_refused_and_times_count_from_now():
    fault = Fault.from_json({"kind": "order_lost", "in_ms": 5, "for_ms": 10, "leg": "stop"}, 100)
    assert (fault.from_ms, fault.to_ms, fault.leg) == (105, 115, "stop")
    assert Fault.from_json({"kind": "halt", "symbols": ["A"]}, 7).to_ms == FOREVER_MS
    assert Fault.from_json({"kind": "market_short"}).size == 0.5


# --- requests ---


@pytest.mark.parametrize(
    ("kind", "fields", "status", "code"),
    [
        (Kind.REST_503, {}, 503, None), (Kind.REST_500, {}, 500, -1001),
        (Kind.REST_429, {"delay_ms": 4000}, 429, -1003), (Kind.REST_429, {"delay_ms": 0}, 429, -1003),
        (Kind.REST_418, {"delay_ms": 600_000}, 418, -1003), (Kind.MAINTENANCE, {}, 503, None),
    ],
)  # fmt: skip
async def test_requests_are_refused_unexecuted(still, trader, kind, fields, status, code):
    plan(still, kind, **fields)
    answer = await trader.order("BUY", "0.01", newClientOrderId="x")
    assert (trader.status, answer.get("code")) == (status, code)
    assert ("Retry-After" in trader.headers) == (status == 418 or fields.get("delay_ms") == 4000)
    assert fired(still) == [1]
    still.emulator.faults.clear()
    found = await trader.get("openOrders")
    assert found["code"] == -1003 if kind is Kind.REST_418 else found == []  # a ban outlives its cause
    assert not still.emulator.trading.venue.desks["main"].ledger.account.orders


async def test_a_firewall_answers_with_a_page(still):
    plan(still, Kind.REST_403)
    async with still.session.get(still.emulator.rest_url + "/fapi/v1/time") as response:
        assert (response.status, response.content_type) == (403, "text/html")


async def test_a_skewed_clock_refuses_those_who_do_not_ask_for_the_time(still, trader):
    plan(still, Kind.CLOCK_SKEW, delay_ms=-1_200_000)
    assert (await trader.get("account", 3))["code"] == -1021
    now = (await still.get("/fapi/v1/time"))["serverTime"]
    assert now == still.emulator.clock.now_ms() - 1_200_000
    assert "assets" in await trader.get("account", 3, skew_ms=-1_200_000)


async def test_a_late_order_is_executed_after_its_answer_and_never_after_its_window(still, trader, monkeypatch):
    monkeypatch.setattr(clock, "LIMIT_SPEED", 30.0)  # a market minute in two seconds: time to ask meanwhile

    async def filled():
        return (await trader.get("order", **asked)).get("status") == "FILLED"

    plan(still, Kind.ORDER_LATE, delay_ms=60_000)
    answer = await trader.order("BUY", "0.01", newClientOrderId="late", recvWindow=60_000)
    assert (trader.status, "code" in answer) == (503, False)
    asked = {"symbol": "BTCUSDT", "origClientOrderId": "late"}
    assert (await trader.get("order", **asked))["code"] == -2013
    await until(filled)
    plan(still, Kind.ORDER_REJECTED)  # behind the first, which strikes instead
    assert "code" not in await trader.order("BUY", "0.01", newClientOrderId="soon", recvWindow=600)
    asked["origClientOrderId"] = "soon"
    await until(filled)


async def test_what_was_under_way_does_not_outlive_a_rewind(still, trader):
    state = still.emulator.trading.state()
    plan(still, Kind.ORDER_LATE, delay_ms=60_000)
    await trader.order("BUY", "0.01", newClientOrderId="late", recvWindow=60_000)
    still.emulator.trading.rewind(state)
    await asyncio.sleep(0.15)
    assert await trader.get("allOrders", symbol="BTCUSDT") == []


async def test_stops_alone_are_refused_after_the_first(still, trader):
    plan(still, Kind.ORDER_REJECTED, leg="stop", code=-4120, after=1)
    await trader.order("BUY", "0.01")
    assert (await trader.stop("10000"))["algoStatus"] == "NEW"
    await trader.delete("algoOpenOrders", symbol="BTCUSDT")
    assert (await trader.stop("10000"))["code"] == -4120
    assert (await trader.stop("900000", type="TAKE_PROFIT_MARKET"))["algoStatus"] == "NEW"


async def test_queries_lag_behind_what_they_ask_for(source):
    async with exchange(source, **SECOND) as client:
        trader = Trader(client)
        # two seconds of ours
        client.emulator.faults.add(Fault(Kind.STALE_READ, 0, delay_ms=120_000, path="/fapi/v3/positionRisk"))
        client.emulator.trading.changed()
        await trader.order("BUY", "0.01")
        assert await trader.get("positionRisk", 3) == []
        assert (await trader.get("openOrders")) == []
        assert (await trader.get("positionRisk", 2, symbol="BTCUSDT"))[0]["positionAmt"] == "0.010"
        (row,) = await until(lambda: trader.get("positionRisk", 3))
        assert row["positionAmt"] == "0.010"


async def test_a_query_may_be_overtaken_by_what_happens_after_it(still, trader):
    plan(still, Kind.READ_OVERTAKEN, delay_ms=600_000, times=1)
    asked = asyncio.create_task(trader.get("positionRisk", 3))

    async def answered():
        return still.emulator.faults.state()[0]["fired"]

    await until(answered)
    await trader.order("BUY", "0.01")
    assert len(await trader.get("positionRisk", 3)) == 1
    assert not asked.done()
    still.emulator.faults.clear()
    assert await asked == []


# --- sockets and events ---


async def minute(client, path="/market/ws/ethusdt@kline_1m", count=3):
    """Let a free clock run on."""
    async with client.socket(path) as ws:
        await receive(ws, count)


async def test_a_half_open_socket_says_nothing_not_even_a_pong(source):
    async with exchange(source, speed=600.0) as client, client.socket("/market/ws/btcusdt@markPrice@1s") as ws:
        await receive(ws, 2)
        client.emulator.faults.add(Fault(Kind.HALF_OPEN, 0, FOREVER_MS))
        (line,) = client.emulator.hub.connections

        async def dead():
            return line.dead

        await until(dead)
        died = client.emulator.clock.now_ms()
        client.emulator.faults.clear()  # also after the fault: the line stays dead
        await ws.ping()
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        assert all(event["E"] <= died for event in await gather(ws))  # what was on its way, and no answer
        async with client.socket("/market/ws/btcusdt@markPrice@1s") as again:
            await receive(again, 1)


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Kind.CLOSE_CONNECTION, {aiohttp.WSMsgType.CLOSE}),
        (Kind.MAINTENANCE, {aiohttp.WSMsgType.CLOSE}),
        (Kind.TRUNCATED_FRAME, {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}),
    ],
)
async def test_connections_end_as_their_fault_says(source, kind, types):
    async with exchange(source, speed=600.0) as client, client.socket("/market/ws/btcusdt@markPrice@1s") as ws:
        await receive(ws, 2)
        client.emulator.faults.add(Fault(kind, client.emulator.clock.now_ms()))
        seen = []
        while True:
            message = await ws.receive(timeout=PATIENT_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            seen.append(orjson.loads(message.data)["e"])
        assert message.type in types
        if kind is Kind.CLOSE_CONNECTION:
            assert message.data == 1001
        if kind is Kind.MAINTENANCE:
            assert seen[-1] == "serverShutdown"
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client.socket("/market/ws")
            assert caught.value.status == 503


async def stream(client, trader, act, count):
    """The first ``count`` messages of what ``act`` brings about, and nothing else comes."""
    key = await trader.key_of_stream()
    async with client.socket(f"/private/ws/{key}") as user:
        await act()
        found = [await user.receive_str(timeout=PATIENT_S) for _ in range(count)]
        assert await gather(user, 0.2) == []
        return found


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (Kind.EVENT_LOST, {"event": "TRADE_LITE"}, ["NEW", "ACCOUNT_UPDATE", "FILLED"]),
        (Kind.EVENT_TWICE, {"event": "ACCOUNT_UPDATE", "delay_ms": 0},
         ["NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "FILLED", "ACCOUNT_UPDATE"]),
        (Kind.EVENT_LATE, {"event": "TRADE_LITE", "delay_ms": 60_000},
         ["NEW", "ACCOUNT_UPDATE", "FILLED", "TRADE_LITE"]),
        (Kind.EVENT_SWAPPED, {"event": "TRADE_LITE"}, ["NEW", "ACCOUNT_UPDATE", "TRADE_LITE", "FILLED"]),
        (Kind.EVENT_SWAPPED, {"event": "ORDER_TRADE_UPDATE", "after": 1},
         ["NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "FILLED"]),
        (Kind.EVENT_GARBLED, {"event": "TRADE_LITE", "symbols": ("BTCUSDT",)},
         ["NEW", "?", "ACCOUNT_UPDATE", "FILLED"]),
        (Kind.EVENT_LOST, {"symbols": ("ETHUSDT",)}, ["NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "FILLED"]),
    ],
)  # fmt: skip
async def test_user_events_are_lost_late_doubled_swapped_and_garbled(still, trader, kind, fields, expected):
    plan(still, kind, **fields)
    seen = []
    for text in await stream(still, trader, lambda: trader.order("BUY", "0.01"), len(expected)):
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError:
            seen.append("?")
            continue
        seen.append(event["o"]["X"] if event["e"] == "ORDER_TRADE_UPDATE" else event["e"])
    assert seen == expected


@pytest.mark.parametrize(("kind", "said"), [(Kind.KEY_EXPIRED, ["listenKeyExpired"]), (Kind.KEY_LOST, [])])
async def test_a_listen_key_ends_with_or_without_a_word(source, kind, said):
    async with exchange(source, **SECOND) as client:
        trader = Trader(client)
        key = await trader.key_of_stream()
        async with client.socket(f"/private/ws/{key}") as user:
            client.emulator.faults.add(Fault(kind, client.emulator.clock.now_ms()))

            async def ended():
                return (await trader.send("PUT", "/fapi/v1/listenKey", signed=False)).get("code") == -1125

            await until(ended)
            await trader.order("BUY", "0.01")
            assert [event["e"] for event in await receive(user, len(said))] == said
            assert await gather(user, 0.1) == []
            assert not user.closed


# --- the engine and the market ---


async def test_positions_are_deleveraged_on_schedule_and_by_hand(source):
    config = EmulatorConfig(history_days=3, universe=UNIVERSE, **SECOND)
    async with served(config, source=source) as found, aiohttp.ClientSession() as session:
        trader = Trader(Client(found.emulator, session))
        await trader.order("BUY", "0.1")
        await found.control.fault(kind="adl", size=0.5, symbols=["BTCUSDT"])

        async def halved():
            return (await trader.get("positionRisk", 3))[0]["positionAmt"] == "0.050"

        await until(halved)
        await found.control.hand(adl="BTCUSDT", part=0.2)
        order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
        await found.control.hand(method="POST", path="/fapi/v1/order", params=order)
        assert (await trader.get("positionRisk", 3))[0]["positionAmt"] == "0.030"
        before = Decimal((await trader.get("balance", 3))[0]["balance"])
        await found.control.hand(transfer="-250.5")
        assert before - Decimal((await trader.get("balance", 3))[0]["balance"]) == Decimal("250.5")
        summary = (await found.control.audit(rows=False))["accounts"]["main"]["summary"]
        assert summary["differences"] == []
        rows = (await found.control.faults())["plan"]
        assert [(row["kind"], row["fired"]) for row in rows] == [("adl", 1)]


async def test_a_gap_passes_through_a_stop(source):
    """The stop is filled where the market opens, not where it stood; candles and marks show the same gap."""
    async with exchange(source, speed=600.0, mark_updates=60) as client:
        trader = Trader(client)
        await trader.post("leverage", symbol="BTCUSDT", leverage=2)
        await trader.order("BUY", "0.01")
        mark = await trader.mark()
        await trader.stop(f"{mark * 0.99:.1f}")
        start = client.emulator.clock.now_ms()
        client.emulator.faults.add(Fault(Kind.PRICE_GAP, start, size=-0.1, symbols=("BTCUSDT",)))
        await until(trader.is_flat)
        exit_price = Decimal((await trader.get("userTrades", symbol="BTCUSDT"))[-1]["price"])
        assert exit_price < Decimal(mark) * Decimal("0.93")
        bars = await client.get(
            "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=start - MINUTE_MS, limit=2
        )
        assert float(bars[1][1]) / float(bars[0][4]) == pytest.approx(0.9, abs=0.01)


def shaken(source, *faults):
    known = Faults(7)
    market = Market(Shaken(source, known), 60)
    known.watch(market.forget)
    for fault in faults:
        known.add(fault)
    return market


def test_faults_of_the_market_begin_with_a_whole_minute_and_change_what_they_name(source):
    start = source.start_ms + 3 * 24 * HOUR_MS
    plain, number = Market(source, 60), start // MINUTE_MS
    gap = Fault(Kind.PRICE_GAP, start + 1, start + 3 * MINUTE_MS, size=0.5, symbols=("BTCUSDT",))
    fair = Fault(Kind.MARK_GAP, start, start + MINUTE_MS, size=0.1, symbols=("ETHUSDT",))
    market = shaken(source, gap, fair)
    for k, factor in ((0, 1.0), (1, 1.5), (2, 1.5), (3, 1.0)):
        ours, theirs = market.minute(number + k), plain.minute(number + k)
        assert ours.last[0].max() / theirs.last[0].max() == pytest.approx(factor, abs=1e-5)
        assert ours.mark[0, 0] / theirs.mark[0, 0] == pytest.approx(factor, abs=1e-5)
        assert all(price % source.specs[0].tick_units == 0 for price in ours.last[0])
    assert market.minute(number).mark[1, 0] / plain.minute(number).mark[1, 0] == pytest.approx(1.1, abs=1e-4)
    assert (market.minute(number).last[1] == plain.minute(number).last[1]).all()


def test_a_halt_an_end_and_another_rhythm_of_funding(source):
    start = source.start_ms + 3 * 24 * HOUR_MS
    market = shaken(
        source,
        Fault(Kind.HALT, start, start + 2 * MINUTE_MS, symbols=("BTCUSDT",)),
        Fault(Kind.DELIST, start + 3 * MINUTE_MS, symbols=("ETHUSDT",)),
        Fault(Kind.FUNDING_HOURS, start + HOUR_MS, start + 4 * HOUR_MS, size=1, symbols=("BTCUSDT",)),
    )
    number, specs = start // MINUTE_MS, market.specs
    assert [market.minute(number + k).present[:2].tolist() for k in range(4)] == [
        [False, True], [False, True], [True, True], [True, False]
    ]  # fmt: skip
    assert [specs[0].status(start + k * MINUTE_MS) for k in (-1, 0, 2)] == ["TRADING", "TRADING_HALT", "TRADING"]
    assert specs[1].status(start + 3 * MINUTE_MS) == "SETTLING"
    assert not MarketFeed(market).quote("BTCUSDT", start + 1000).live
    times = [ts for ts, _, _ in market.source.funding(0, start, start + 9 * HOUR_MS)]
    assert times == [start + k * HOUR_MS for k in (0, 1, 2, 3, 8)]
    assert market.source.next_funding_ms(0, start + HOUR_MS) == start + 2 * HOUR_MS
    assert (market.source.funding_hours(0, start + HOUR_MS), market.source.funding_hours(0, start)) == (1, 8)


async def test_a_delisted_contract_settles_and_an_open_market_refuses_nothing(source):
    async with exchange(source, speed=600.0) as client:
        trader = Trader(client)
        await trader.order("BUY", "0.01")
        client.emulator.faults.add(Fault(Kind.DELIST, client.emulator.clock.now_ms() + 30_000, symbols=("BTCUSDT",)))
        assert (await trader.order("BUY", "0.01"))["code"] == -4140  # the last half hour
        await until(trader.is_flat)
        order = (await trader.get("allOrders", symbol="BTCUSDT"))[-1]
        assert order["clientOrderId"].startswith("settlement_autoclose-")
        assert (await trader.order("BUY", "0.01"))["code"] == -4141
        symbols = {row["symbol"]: row["status"] for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        assert (symbols["BTCUSDT"], symbols["ETHUSDT"]) == ("SETTLING", "TRADING")


async def test_a_halted_market_takes_no_orders_and_lets_cancel(still, trader):
    order = await trader.order("BUY", "0.01", type="LIMIT", timeInForce="GTC", price="70000")
    plan(still, Kind.HALT, symbols=("BTCUSDT",))
    assert (await trader.order("BUY", "0.01"))["code"] == -1122
    assert (await trader.delete("order", symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "CANCELED"
    assert (await trader.order("BUY", "0.1", symbol="ETHUSDT"))["status"] == "FILLED"


async def test_the_plan_survives_with_its_counts(source, tmp_path):
    async with exchange(source, state_dir=tmp_path) as client:
        trader = Trader(client)
        client.emulator.faults.add(Fault(Kind.ORDER_DROPPED, 0, leg="entry", times=1))
        client.emulator.faults.add(Fault(Kind.FILL_LATE, 0, delay_ms=60_000))
        await trader.order("BUY", "0.01")
        assert (await trader.order("BUY", "0.01"))["status"] == "NEW"
    async with exchange(source, state_dir=tmp_path) as client:
        assert fired(client) == [1, 1]
        order = await Trader(client).get("openOrders")
        assert [row["type"] for row in order] == ["MARKET"]
