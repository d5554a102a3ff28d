"""Trading over the wire: keys, signatures, limits, the user stream, faults, state."""

import asyncio
import base64
import math
from dataclasses import replace
from decimal import Decimal
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from packages.common.errors import InvalidInputError
from services.emulator.faults import Fault, Faults, Kind
from services.emulator.keys import TEST_KEY, ApiKey, KeyRing, read
from services.emulator.limits import Window
from services.emulator.params import ApiError
from services.emulator.store import Asked, VenueStore
from services.emulator.tests.conftest import PATIENT_S, exchange, receive
from services.emulator.tests.trader import Trader, gather
from services.emulator.venue.switches import Switches

FOREVER = 1 << 60


@pytest.fixture
async def trader(still):
    return Trader(still)


# --- keys and signatures ---


def test_the_signature_is_that_of_the_published_example():
    # Binance's own example of an HMAC signature (its API documentation, endpoint security)
    key = ApiKey("vmPU", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
    text = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )
    good = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert key.signed(text.encode(), good)
    assert not key.signed(text.encode() + b"0", good)


def test_the_payload_is_query_then_body_as_they_were_sent():
    params, payload = read("b=%20x&a=1", "a=2&c=3&signature=abc")
    assert params == {"b": " x", "a": "1", "c": "3", "signature": "abc"}
    assert payload == b"b=%20x&a=1a=2&c=3"


def test_an_ed25519_key_is_checked_and_another_kind_refused():
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = ApiKey("k", pem)
    payload = b"timestamp=5"
    signature = base64.b64encode(private.sign(payload)).decode()
    KeyRing([key]).check(key, {"timestamp": "5", "signature": signature}, payload, [5])
    with pytest.raises(ApiError) as caught:
        KeyRing([key]).check(key, {"timestamp": "5", "signature": "zzzz"}, payload, [5])
    assert caught.value.code == -1022
    with pytest.raises(InvalidInputError):
        ApiKey("k", "-----BEGIN PUBLIC KEY-----\nno\n-----END PUBLIC KEY-----")


@pytest.mark.parametrize(
    ("age", "window", "code"),
    [(0, None, 0), (5000, None, 0), (5001, None, -1021), (-999, None, 0), (-1000, None, -1021),
     (20_000, 30_000, 0), (0, 60_001, -1131), (0, 0, -1131)],
)  # fmt: skip
def test_the_window_of_time(age, window, code):
    now = 1_770_000_000_000
    params = {"timestamp": str(now - age)} | ({} if window is None else {"recvWindow": str(window)})
    payload = "&".join(f"{k}={v}" for k, v in params.items()).encode()
    params["signature"] = Trader(None).sign(payload)
    try:
        KeyRing([TEST_KEY]).check(TEST_KEY, params, payload, [now])
        got = 0
    except ApiError as error:
        got = error.code
    assert got == code


async def test_requests_are_refused_with_the_codes_of_the_exchange(still, trader):
    account = "/fapi/v3/account"
    assert (await Trader(still, None).send("GET", account, signed=False))["code"] == -2014
    stranger = Trader(still, replace(TEST_KEY, key="x" * 64))
    assert (await stranger.get("account", 3))["code"] == -2015
    assert stranger.status == 401
    thief = Trader(still, replace(TEST_KEY, secret="y" * 64))
    assert (await thief.get("account", 3))["code"] == -1022
    assert (await trader.send("GET", account, signed=False))["code"] == -1102
    stamp = f"timestamp={still.emulator.clock.now_ms()}"
    assert "'signature'" in (await trader.send("GET", account, raw=stamp))["msg"]
    assert (await trader.get("account", 3, skew_ms=-7_200_000))["code"] == -1021
    assert (await trader.get("account", 3, skew_ms=7_200_000))["code"] == -1021
    assert (await trader.send("PATCH", "/fapi/v1/order"))["code"] == -5000


async def test_parameters_may_come_in_query_body_or_both(trader):
    assert (await trader.post("leverage", symbol="BTCUSDT", leverage=7, form=True))["leverage"] == 7
    order = await trader.order("BUY", "0.1", type="LIMIT", timeInForce="GTC", price="70000", form=True)
    cancelled = await trader.delete("order", symbol="BTCUSDT", orderId=order["orderId"], form=True)
    assert cancelled["status"] == "CANCELED"
    raw = quote("newClientOrderId=a:b/c", safe="=") + f"&timestamp={trader.client.emulator.clock.now_ms()}"
    raw += "&symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1"
    answer = await trader.send("POST", "/fapi/v1/order", raw=raw + "&signature=" + trader.sign(raw.encode()))
    assert answer["clientOrderId"] == "a:b/c"


async def test_a_reading_key_reads_and_cannot_trade_and_the_permissions_say_so(source):
    reader = ApiKey("r" * 64, "s" * 64, trade=False, withdraw=True)
    async with exchange(source, keys=(TEST_KEY, reader)) as client:
        trader = Trader(client, reader)
        assert (await trader.get("balance", 3))[0]["balance"] == "10000.00000000"
        assert (await trader.order("BUY", "0.1"))["code"] == -2015
        rights = await trader.send("GET", "/sapi/v1/account/apiRestrictions")
        assert (rights["enableFutures"], rights["enableWithdrawals"]) == (False, True)


async def test_orders_are_counted_and_limited(source):
    async with exchange(source, weight_per_minute=10_000) as client:
        trader = Trader(client)
        await trader.order("BUY", "0.1")
        assert (trader.headers["X-MBX-ORDER-COUNT-10S"], trader.headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")
        await trader.get("account", 3)
        assert "X-MBX-ORDER-COUNT-10S" not in trader.headers
        assert int(trader.headers["X-MBX-USED-WEIGHT-1M"]) >= 5


async def test_orders_beyond_the_counter_are_refused_and_cancels_are_not(still, trader):
    still.emulator.trading._counters["main"] = (Window(2, 10**9), Window(1200, 10**9))
    item = {"type": "LIMIT", "timeInForce": "GTC", "price": "70000"}
    order = await trader.order("BUY", "0.01", **item)
    assert (await trader.stop("10"))["code"] == -4509  # counted all the same
    assert (await trader.order("BUY", "0.01", **item))["code"] == -1015
    assert trader.status == 429
    assert (await trader.delete("order", symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "CANCELED"


async def test_accounts_are_apart(source):
    other = ApiKey("o" * 64, "p" * 64, account="other", deposit=Decimal(500))
    async with exchange(source, keys=(TEST_KEY, other)) as client:
        await Trader(client).order("BUY", "0.01")
        assert await Trader(client, other).get("positionRisk", 3) == []
        assert (await Trader(client, other).get("balance", 3))[0]["balance"] == "500.00000000"


# --- the user stream ---


async def test_a_bracket_from_entry_to_exit_on_the_user_stream(source):
    switches = Switches(triggered_event="before_fills")
    async with exchange(source, switches=switches) as client:
        trader = Trader(client)
        key = await trader.key_of_stream()
        assert key == await trader.key_of_stream()
        assert len(key) == 64
        async with client.socket(f"/private/ws?listenKey={key}") as plain, client.socket("/private/stream") as combined:
            await combined.send_str(orjson.dumps({"method": "SUBSCRIBE", "params": [key], "id": "x"}).decode())
            assert orjson.loads(await combined.receive_str()) == {"result": None, "id": "x"}
            await trader.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
            await trader.order("BUY", "0.01", newClientOrderId="in")
            mark = await trader.mark()
            await trader.stop(f"{mark * 0.9:.1f}", clientAlgoId="sl")
            await trader.stop(f"{mark * 1.1:.1f}", type="TAKE_PROFIT_MARKET", clientAlgoId="tp")
            await trader.order("SELL", "0.01", reduceOnly=True)
            events = await receive(plain, 12)
            wrapped = await receive(combined, 12)
            assert await gather(plain, 0.1) == await gather(combined, 0.1) == []
        assert [item["data"] for item in wrapped] == events
        assert {item["stream"] for item in wrapped} == {key}
        kinds = [event["e"] for event in events]
        fill = ["ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
        assert kinds == [*fill, "ALGO_UPDATE", "ALGO_UPDATE", *fill, "ALGO_UPDATE", "ALGO_UPDATE"]
        assert [e["o"]["X"] for e in events if e["e"] == "ALGO_UPDATE"] == ["NEW", "NEW", "EXPIRED", "EXPIRED"]
        lite, account, told = events[1:4]
        assert account["T"] == told["T"] == lite["T"]
        assert told["o"]["c"] == "in"
        assert account["a"]["P"][0]["mt"] == "isolated"
        assert Decimal(account["a"]["B"][0]["wb"]) == 10_000 - Decimal(told["o"]["n"])


async def test_a_stop_triggers_when_the_pushed_mark_passes_it(source):
    """The whole way: prices from the pump, the trigger, the fill, the events; the market is that of the streams."""
    async with exchange(source, mark_updates=60) as client:
        trader = Trader(client)
        key = await trader.key_of_stream()
        await trader.order("BUY", "0.01")
        mark = await trader.mark()
        stop, take = round(mark * 0.9995, 1), round(mark * 1.0005, 1)
        await trader.stop(f"{stop}")
        await trader.stop(f"{take}", type="TAKE_PROFIT_MARKET")
        async with client.socket(f"/private/ws/{key}") as user, client.socket("/market/ws/btcusdt@markPrice@1s") as ws:
            while True:
                price = orjson.loads(await ws.receive_str(timeout=PATIENT_S))
                if not stop < float(price["p"]) < take:
                    break
            events = [orjson.loads(await user.receive_str(timeout=PATIENT_S)) for _ in range(8)]
        assert events[0]["o"]["X"] == "TRIGGERING"
        assert events[0]["o"]["tt"] == price["E"]
        assert events[0]["o"]["o"] == ("STOP_MARKET" if float(price["p"]) <= stop else "TAKE_PROFIT_MARKET")
        assert sorted(e["o"]["X"] for e in events if e["e"] == "ALGO_UPDATE") == [
            "EXPIRED", "FINISHED", "TRIGGERED", "TRIGGERING"
        ]  # fmt: skip
        assert await trader.get("positionRisk", 3) == []


async def test_a_listen_key_ends_by_time_or_by_word_and_a_new_one_is_another(source):
    async with exchange(source, speed=60.0, listen_key_life_s=1.5) as client:
        trader = Trader(client)
        key = await trader.key_of_stream()
        async with client.socket(f"/private/ws/{key}") as user:
            assert await trader.send("PUT", "/fapi/v1/listenKey", signed=False) == {"listenKey": key}
            last = orjson.loads(await user.receive_str(timeout=PATIENT_S))
            assert (last["e"], last["listenKey"]) == ("listenKeyExpired", key)
            assert (await trader.send("PUT", "/fapi/v1/listenKey", signed=False))["code"] == -1125
            assert await trader.key_of_stream() != key
            await trader.order("BUY", "0.01")
            assert await gather(user, 0.1) == []
        assert await trader.send("DELETE", "/fapi/v1/listenKey", signed=False) == {}
        assert (await trader.send("DELETE", "/fapi/v1/listenKey", signed=False))["code"] == -1125


async def test_the_retired_and_the_foreign_addresses_carry_no_account_data(still, trader):
    key = await trader.key_of_stream()
    async with still.socket(f"/ws/{key}") as legacy, still.socket(f"/market/ws/{key}") as foreign:
        await trader.order("BUY", "0.01")
        assert await gather(legacy, 0.1) == []
        assert await gather(foreign, 0.1) == []


# --- faults ---


async def test_a_lost_answer_was_executed(still, trader):
    still.emulator.faults.add(Fault(Kind.ORDER_LOST, 0, FOREVER, path="/fapi/v1/order"))
    with pytest.raises(aiohttp.ClientError):
        await trader.order("BUY", "0.01", newClientOrderId="lost")
    still.emulator.faults.clear()
    assert (await trader.get("order", symbol="BTCUSDT", origClientOrderId="lost"))["status"] == "FILLED"


@pytest.mark.parametrize(
    ("kind", "code", "status", "executed"),
    [(Kind.ORDER_UNKNOWN, 0, 503, True), (Kind.ORDER_UNKNOWN, -1007, 408, True), (Kind.ORDER_DROPPED, 0, 503, False),
     (Kind.ORDER_REJECTED, 0, 503, False), (Kind.ORDER_REJECTED, -4120, 400, False)],
)  # fmt: skip
async def test_answers_that_say_little(still, trader, kind, code, status, executed):
    still.emulator.faults.add(Fault(kind, 0, FOREVER, code=code))
    answer = await trader.order("BUY", "0.01", newClientOrderId="x")
    assert trader.status == status
    assert answer.get("code", 0) == (code or (-1008 if kind is Kind.ORDER_REJECTED else 0))
    found = await trader.get("order", symbol="BTCUSDT", origClientOrderId="x")
    assert found.get("status") == ("FILLED" if executed else None)


async def test_faults_strike_below_their_path_and_a_market_order_may_fall_short(still, trader):
    still.emulator.faults.add(Fault(Kind.ORDER_REJECTED, 0, FOREVER, path="/fapi/v1/algoOrder", code=-4120))
    still.emulator.faults.add(Fault(Kind.MARKET_SHORT, 0, FOREVER))
    answer = await trader.order("BUY", "0.01")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.005")
    assert (await trader.stop("10000"))["code"] == -4120
    still.emulator.faults.clear()
    still.emulator.faults.add(Fault(Kind.ORDER_SLOW, 0, FOREVER, delay_ms=60_000))
    started = asyncio.get_running_loop().time()
    assert (await trader.stop("10000"))["algoStatus"] == "NEW"
    assert asyncio.get_running_loop().time() - started >= 0.1  # a market minute at the pace of limits


def test_a_plan_that_is_taken_over_keeps_its_numbers_and_drops_nobody_twice():
    plan = [Fault(Kind.DROP_CONNECTION, 5, 5), Fault(Kind.MARKET_SHORT, 0, 100, share=0.5)]
    first, second = Faults(7, plan), Faults(7)
    assert first.due([Kind.DROP_CONNECTION], 5) == plan[:1]
    second.restore(first.state())
    assert second.due([Kind.DROP_CONNECTION], 6) == []
    shares = [first.filled_share("BTCUSDT", 50, k) for k in range(50)]
    assert shares == [second.filled_share("BTCUSDT", 50, k) for k in range(50)]
    assert 10 < shares.count(0.5) < 40


# --- state ---


async def test_what_was_acknowledged_survives_a_kill(source, tmp_path):
    async with exchange(source, state_dir=tmp_path) as client:
        trader = Trader(client)
        await trader.order("BUY", "0.01", newClientOrderId="a")
        stop = await trader.stop("10000")
        rows = [await trader.get("income"), await trader.get("account", 3), await trader.get("openAlgoOrders")]
        key = await trader.key_of_stream()
        kept = {path.name: path.read_bytes() for path in (tmp_path / "venue").iterdir()}
    for path in (tmp_path / "venue").iterdir():  # undo what the orderly end wrote: as if it had been killed
        path.unlink()
    for name, content in kept.items():
        (tmp_path / "venue" / name).write_bytes(content)
    (tmp_path / "venue" / "journal-99.jsonl").write_bytes(b"not ours")
    async with exchange(source, state_dir=tmp_path) as client:
        trader = Trader(client)
        again = [await trader.get("income"), await trader.get("account", 3), await trader.get("openAlgoOrders")]
        assert again == rows
        assert await trader.key_of_stream() == key
        assert (await trader.stop("9000"))["code"] == -4130
        later = await trader.stop("990000", type="TAKE_PROFIT_MARKET")
        assert later["algoId"] == stop["algoId"] + 1
    async with exchange(source, state_dir=tmp_path, seed=8) as client:  # another market
        assert await Trader(client).get("openAlgoOrders") == []


def test_a_journal_cut_in_its_last_line_keeps_the_others(tmp_path):
    store = VenueStore(tmp_path, "m")
    assert store.load() is None
    store.snapshot({"a": 1})
    asked = Asked(5, "main", "POST", "/x", {"q": "1"})
    store.append(asked)
    store.append(asked)
    store.close()
    path = next(tmp_path.glob("journal-*"))
    path.write_bytes(path.read_bytes()[:-7])
    assert VenueStore(tmp_path, "m").load() == ({"a": 1}, [asked])
    assert VenueStore(tmp_path, "other").load() is None


async def test_a_state_is_saved_forked_and_rewound_over_the_admin_port(source):
    async with exchange(source, admin_port=0) as one, exchange(source, admin_port=0) as two:

        async def admin(client, method, path, body=None):
            url = client.emulator.admin_url + path
            async with client.session.request(method, url, data=orjson.dumps(body) if body else None) as response:
                return orjson.loads(await response.read())

        trader, twin = Trader(one), Trader(two)
        await trader.order("BUY", "0.01")
        state = await admin(one, "GET", "/state")
        before = await trader.get("account", 3)
        async with one.socket("/market/ws/btcusdt@kline_1m") as ws:
            for _ in range(5):
                await ws.receive_str(timeout=PATIENT_S)
        later = one.emulator.clock.now_ms()
        await trader.order("SELL", "0.01")
        assert later > state["market_ms"]
        for client in (one, two):
            assert (await admin(client, "PUT", "/state", state))["market_ms"] == state["market_ms"]
        assert await trader.get("account", 3) == before == await twin.get("account", 3)
        await trader.order("SELL", "0.01")
        await twin.order("SELL", "0.01")
        assert await trader.get("income") == await twin.get("income")
        assert "error" in await admin(one, "PUT", "/state", {"market": state["market"], "accounts": []})
        assert "error" in await admin(one, "PUT", "/state", {"market": "other"})
        assert len(await trader.get("income")) == len(await twin.get("income"))
        assert (await admin(one, "PUT", "/switches", {"query_lag_ms": 5}))["query_lag_ms"] == 5
        assert "error" in await admin(one, "PUT", "/switches", {"nonsense": 1})


async def test_a_running_market_goes_on_from_where_it_was_rewound_to(source):
    async with exchange(source, speed=600.0, admin_port=0) as client:
        state = client.emulator.trading.state()
        async with client.socket("/market/ws/btcusdt@kline_1m") as ws:
            first = orjson.loads(await ws.receive_str(timeout=PATIENT_S))["k"]["t"]
            while orjson.loads(await ws.receive_str(timeout=PATIENT_S))["k"]["t"] < first + 300_000:
                pass
            client.emulator.trading.rewind(state)
            while (now := orjson.loads(await ws.receive_str(timeout=PATIENT_S))["k"]["t"]) >= first + 300_000:
                pass  # what was on its way
            assert now <= first
        assert math.isfinite(client.emulator.clock.now_ms())
