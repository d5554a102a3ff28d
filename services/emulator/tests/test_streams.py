import asyncio
from collections import defaultdict
from itertools import pairwise

import orjson
import pytest
from aiohttp import WSMsgType

from packages.common.time import DAY_MS, MINUTE_MS
from services.emulator.faults import Fault, Kind
from services.emulator.generator import DEFAULT_START_MS
from services.emulator.pushes import Instant, schedule
from services.emulator.tests.conftest import PATIENT_S, exchange, receive, stands, until

NOW = DEFAULT_START_MS + 3 * DAY_MS
TWO = "btcusdt@kline_1m/btcusdt@markPrice@1s/ethusdt@kline_1m/ethusdt@markPrice@1s"


async def minutes(source, streams, count, **config):
    """Messages of the first ``count`` minutes and an exchange that still serves them over REST."""
    async with exchange(source, **config) as client, client.socket(f"/market/stream?streams={streams}") as ws:
        messages = []
        while True:
            (message,) = await receive(ws, 1)
            data = message["data"]
            event = data[0]["E"] if isinstance(data, list) else data["E"]
            if event > NOW + count * MINUTE_MS:
                return messages
            messages.append(message)


def test_candles_come_before_marks_and_the_last_one_closes():
    plan = schedule(4, 2)
    assert plan == [
        Instant(0, 1, 0), Instant(15_000, 1, 1), Instant(30_000, 0, 1), Instant(30_000, 1, 2), Instant(45_000, 1, 3),
        Instant(60_000, 0, 2),
    ]  # fmt: skip


async def test_payloads_have_the_recorded_keys_in_their_order(source, fixtures):
    messages = await minutes(source, "btcusdt@kline_1m/btcusdt@markPrice@1s", 1)
    candle = next(m["data"] for m in messages if "kline" in m["stream"])
    mark = next(m["data"] for m in messages if "mark" in m["stream"])
    recorded = fixtures("nautilus_test_data.json")
    theirs = recorded["market_data_json/kline_stream_closed"]
    assert list(candle) == list(theirs)
    assert list(candle["k"]) == list(theirs["k"])
    assert {k: type(v) for k, v in candle["k"].items()} == {k: type(v) for k, v in theirs["k"].items()}
    events = [e["event"]["data"] for e in fixtures("events_recorded_2026-09.json") if "data" in e["event"]]
    seen = next(e for e in events if e["e"] == "markPriceUpdate")
    assert list(mark) == list(seen)
    assert {k: type(v) for k, v in mark.items()} == {k: type(v) for k, v in seen.items()}
    assert len(mark["p"].split(".")[1]) == len(seen["p"].split(".")[1])


@pytest.mark.parametrize("mark_updates", [4, 7, 10, 60])
async def test_bars_built_from_samples_equal_the_candles_of_rest_bit_for_bit(source, mark_updates):
    count = 5
    async with exchange(source, mark_updates=mark_updates) as client:
        samples = defaultdict(list)
        async with client.socket("/market/ws/btcusdt@markPrice@1s/xauusdt@markPrice@1s") as ws:
            while True:
                (tick,) = await receive(ws, 1)
                if tick["E"] >= NOW + count * MINUTE_MS:
                    break
                samples[tick["s"], tick["E"] // MINUTE_MS * MINUTE_MS].append(tick)
        for symbol in ("BTCUSDT", "XAUUSDT"):
            for path, name, key in (("markPriceKlines", "symbol", "p"), ("indexPriceKlines", "pair", "i")):
                query = {name: symbol, "interval": "1m", "startTime": NOW, "limit": count}
                for row in await client.get(f"/fapi/v1/{path}", **query):
                    ticks = samples[symbol, row[0]]
                    assert [t["E"] for t in ticks] == [row[0] + k * 60_000 // mark_updates for k in range(mark_updates)]
                    values = [float(t[key]) for t in ticks]
                    built = [values[0], max(values), min(values), values[-1]]
                    assert built == [float(x) for x in row[1:5]]


async def test_closed_candles_equal_those_of_rest(source):
    async with exchange(source) as client:
        async with client.socket("/market/ws/ethusdt@kline_1m") as ws:
            pushed = [p["k"] for p in await receive(ws, 5)]
        rows = await client.get("/fapi/v1/klines", symbol="ETHUSDT", interval="1m", startTime=NOW, limit=5)
    for k, row in zip(pushed, rows, strict=True):
        assert k["x"] is True
        assert [k[x] for x in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")] == row
        assert k["L"] - k["f"] + 1 == k["n"]


async def test_unfinished_pushes_grow_into_the_closed_candle(source):
    messages = await minutes(source, "btcusdt@kline_1m", 2, kline_updates=12)
    pushes = [m["data"] for m in messages]
    assert [p["k"]["x"] for p in pushes] == ([False] * 11 + [True]) * 2
    assert [p["E"] for p in pushes[:12]] == [NOW + j * 5_000 for j in range(1, 13)]
    for before, after in pairwise(pushes[:12]):
        a, b = before["k"], after["k"]
        assert a["o"] == b["o"]
        assert float(a["h"]) <= float(b["h"])
        assert float(a["l"]) >= float(b["l"])
        assert float(a["v"]) <= float(b["v"])
        assert a["n"] <= b["n"]
        assert float(a["l"]) <= float(a["c"]) <= float(a["h"])


async def test_within_a_market_instant_candles_come_first(source):
    messages = await minutes(source, TWO, 3)
    events = [(m["data"]["E"], "mark" in m["stream"]) for m in messages]
    assert events == sorted(events)
    closes = [m for m in messages if "kline" in m["stream"]]
    assert len(closes) == 2 * 3


async def test_longer_candles_are_pushed_every_minute_and_close_at_their_end(source):
    messages = await minutes(source, "btcusdt@kline_5m", 10)
    candles = [m["data"]["k"] for m in messages]
    assert [k["x"] for k in candles] == [False] * 4 + [True] + [False] * 4 + [True]
    assert {k["t"] for k in candles} == {NOW, NOW + 300_000}
    async with exchange(source, history_days=4) as client:
        rows = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="5m", startTime=NOW, limit=2)
    assert [[k[x] for x in ("o", "h", "l", "c", "v", "q")] for k in (candles[4], candles[9])] == [
        [*row[1:6], row[7]] for row in rows
    ]


async def test_continuous_candles(source, fixtures):
    messages = await minutes(source, "btcusdt_perpetual@continuousKline_1m", 1)
    data = messages[0]["data"]
    assert messages[0]["stream"] == "btcusdt_perpetual@continuousKline_1m"
    assert (data["e"], data["ps"], data["ct"]) == ("continuous_kline", "BTCUSDT", "PERPETUAL")
    assert "s" not in data["k"]


async def test_all_marks_come_in_one_array_and_traditional_assets_in_another(source):
    messages = await minutes(source, "!markPrice@arr@1s", 1)
    first, second = messages[0]["data"], messages[1]["data"]
    assert [t["s"] for t in first] == ["BTCUSDT", "ETHUSDT", "PUMPUSDT", "LAYERUSDT"]
    assert [t["s"] for t in second] == ["XAUUSDT"]
    assert messages[0]["stream"] == "!markPrice@arr@1s"


async def test_a_three_second_stream_is_sparser_at_the_full_cadence(source):
    messages = await minutes(source, "btcusdt@markPrice/ethusdt@markPrice@1s", 1, mark_updates=60)
    slow = [m["data"]["E"] for m in messages if m["stream"] == "btcusdt@markPrice" and m["data"]["E"] < NOW + MINUTE_MS]
    fast = [m for m in messages if m["stream"] == "ethusdt@markPrice@1s" and m["data"]["E"] < NOW + MINUTE_MS]
    assert slow == [NOW + k * 3_000 for k in range(20)]
    assert len(fast) == 60


async def test_the_book_is_public_and_market_streams_are_silent_there(source, fixtures):
    recorded = fixtures("nautilus_test_data.json")["market_data_json/book_ticker_stream"]
    streams = "btcusdt@bookTicker/btcusdt@kline_1m"
    async with exchange(source, speed=600.0) as client, client.socket(f"/public/stream?streams={streams}") as ws:
        for message in await receive(ws, 15):  # more than a minute
            assert message["stream"] == "btcusdt@bookTicker"
            assert float(message["data"]["b"]) < float(message["data"]["a"])
            assert set(message["data"]) == set(recorded)


@pytest.mark.parametrize("path", ["/ws", "/stream", "/private/ws", "/private/stream"])
async def test_retired_and_foreign_addresses_acknowledge_and_stay_silent(source, path):
    async with exchange(source, speed=6000.0) as client, client.socket(path) as ws:
        await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m", "btcusdt@markPrice@1s"], "id": 5})
        assert await receive(ws, 1) == [{"result": None, "id": 5}]
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive(timeout=0.2)  # twenty market minutes


async def test_the_retired_address_still_carries_public_data(source):
    async with exchange(source, speed=600.0) as client, client.socket("/ws/btcusdt@bookTicker") as ws:
        assert (await receive(ws, 1))[0]["e"] == "bookTicker"


@pytest.mark.parametrize("number", [1, "0b5f9c4e-1", None, [1, {"a": 2}], 1.5])
async def test_the_id_of_a_request_comes_back_whatever_it_is(still, number):
    async with still.socket("/public/ws/0") as ws:
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert await receive(ws, 1) == [{"result": [], "id": number}]


async def test_subscriptions_are_listed_and_ended(still):
    async with still.socket("/market/ws") as ws:
        await ws.send_json({"method": "SUBSCRIBE", "params": ["zzzusdt@kline_1m", "!ticker@arr"], "id": 1})
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        await ws.send_json({"method": "UNSUBSCRIBE", "params": ["!ticker@arr"], "id": 3})
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 4})
        answers = await receive(ws, 4)
    assert [a["result"] for a in answers] == [None, ["zzzusdt@kline_1m", "!ticker@arr"], None, ["zzzusdt@kline_1m"]]


async def test_the_combined_property_switches_the_framing(source):
    async with exchange(source) as client, client.socket("/market/ws") as ws:
        await ws.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
        await ws.send_json({"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 3})
        answers = await receive(ws, 4)
    assert [a.get("result") for a in answers[:3]] == [False, None, None]
    assert answers[3]["stream"] == "btcusdt@kline_1m"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method":"DANCE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@kline_1m","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
    ],
)
async def test_bad_requests_are_answered_with_a_code_and_leave_the_socket_open(still, text, code):
    async with still.socket("/market/ws") as ws:
        await ws.send_str(text)
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 9})
        bad, good = await receive(ws, 2)
    assert bad["error"]["code"] == code
    assert good == {"result": [], "id": 9}


async def test_more_than_1024_streams_are_refused(still):
    async with still.socket("/market/ws") as ws:
        await ws.send_json({"method": "SUBSCRIBE", "params": [f"s{k}@ticker" for k in range(1025)], "id": 1})
        assert (await receive(ws, 1))[0]["error"]["code"] == 2


async def test_a_hasty_client_is_disconnected(source):
    async with exchange(source, speed=1.0) as client, client.socket("/market/ws") as ws:
        for k in range(11):
            await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": k})
        kinds = [(await ws.receive(timeout=PATIENT_S)).type for _ in range(11)]
        assert kinds == [WSMsgType.TEXT] * 10 + [WSMsgType.CLOSE]
        assert ws.close_code == 1008


async def test_binary_frames_end_the_connection(still):
    async with still.socket("/market/ws") as ws:
        await ws.send_bytes(b"{}")
        assert (await ws.receive(timeout=PATIENT_S)).type is WSMsgType.CLOSE
        assert ws.close_code == 1008


async def test_a_connection_has_a_life(source):
    async with exchange(source, connection_life_s=0.05) as client, client.socket("/market/ws") as ws:
        assert (await ws.receive(timeout=PATIENT_S)).type is WSMsgType.CLOSE


async def test_a_free_market_waits_for_its_reader(source):
    async with exchange(source) as client:
        clock = client.emulator.clock
        await asyncio.sleep(0.1)
        assert clock.now_ms() == NOW
        async with client.socket(f"/market/stream?streams={TWO}") as ws:
            await receive(ws, 1)
            await stands(client)  # the reader sleeps
            stood = clock.now_ms()
            assert stood <= NOW + 5 * MINUTE_MS
            await asyncio.sleep(0.1)
            assert clock.now_ms() == stood
            last = (await receive(ws, 2000))[-1]["data"]["E"]
            assert clock.now_ms() >= last > stood

        async def gone():
            return not client.emulator.hub.connections

        await until(gone)
        stood = clock.now_ms()
        await asyncio.sleep(0.1)
        assert clock.now_ms() == stood


@pytest.mark.parametrize("slow_one", ["/market/ws/ethusdt@kline_1m", "/public/ws/ethusdt@bookTicker"])
async def test_a_free_market_is_as_slow_as_its_slowest_reader(source, slow_one):
    async with (
        exchange(source) as client,
        client.socket("/market/ws/btcusdt@kline_1m") as quick,
        client.socket(slow_one) as slow,
    ):
        task = asyncio.create_task(_read_all(quick))
        await receive(slow, 1)
        await stands(client)
        assert client.emulator.clock.now_ms() <= NOW + 5 * MINUTE_MS
        task.cancel()


async def _read_all(socket):
    async for _ in socket:
        pass


async def test_nothing_is_lost_or_repeated_at_full_speed(source):
    messages = await minutes(source, TWO, 200)
    for name in ("btcusdt", "ethusdt"):
        opens = [m["data"]["k"]["t"] for m in messages if m["stream"] == f"{name}@kline_1m"]
        assert opens == [NOW + k * MINUTE_MS for k in range(200)]
        marks = [m["data"]["E"] for m in messages if m["stream"] == f"{name}@markPrice@1s"]
        assert marks[:2000] == [NOW + k * 6_000 for k in range(2000)]


async def test_the_same_market_pushes_the_same_bytes(source):
    async def bytes_of():
        async with exchange(source) as client, client.socket(f"/market/stream?streams={TWO}") as ws:
            return [(await ws.receive_str()) for _ in range(200)]

    assert await bytes_of() == await bytes_of()


async def test_missing_and_late_closing_pushes(source):
    faults = (
        Fault(Kind.MISSING_CLOSE, NOW + 2 * MINUTE_MS, NOW + 2 * MINUTE_MS + 1, symbols=("BTCUSDT",)),
        Fault(Kind.LATE_CLOSE, NOW + 3 * MINUTE_MS, NOW + 3 * MINUTE_MS + 1, delay_ms=18_000, symbols=("ETHUSDT",)),
    )
    messages = await minutes(source, TWO, 5, faults=faults)
    closes = {name: [(m["data"]["k"]["t"], m["data"]["E"]) for m in messages if m["stream"] == f"{name}@kline_1m"]
              for name in ("btcusdt", "ethusdt")}  # fmt: skip
    assert [t for t, _ in closes["btcusdt"]] == [NOW + k * MINUTE_MS for k in (0, 2, 3, 4)]
    assert [t for t, _ in closes["ethusdt"]] == [NOW + k * MINUTE_MS for k in range(5)]
    assert closes["ethusdt"][2][1] == NOW + 3 * MINUTE_MS + 18_000


async def test_a_cut_connection_and_a_silent_one(source):
    faults = (
        Fault(Kind.SILENT_SOCKET, NOW + 2 * MINUTE_MS, NOW + 4 * MINUTE_MS),
        Fault(Kind.DROP_CONNECTION, NOW + 6 * MINUTE_MS, NOW + 6 * MINUTE_MS + 1),
    )
    async with exchange(source, faults=faults) as client, client.socket("/market/ws/btcusdt@markPrice@1s") as ws:
        seen = []
        while (message := await ws.receive(timeout=PATIENT_S)).type is WSMsgType.TEXT:
            seen.append(orjson.loads(message.data)["E"])
        assert not [e for e in seen if NOW + 2 * MINUTE_MS <= e < NOW + 4 * MINUTE_MS]
        assert [e for e in seen if e >= NOW + 4 * MINUTE_MS]
        assert max(seen) < NOW + 6 * MINUTE_MS


async def test_the_admin_port_schedules_faults(source):
    async with exchange(source, admin_port=0) as client:
        admin, session = client.emulator.admin_url, client.session
        async with session.post(f"{admin}/faults", data=b'{"kind":"rest_503","for_ms":60000}') as response:
            assert response.status == 201
            assert (await response.json())["to_ms"] == NOW + MINUTE_MS
        await client.get("/fapi/v1/ping")
        assert client.status == 503
        async with session.post(f"{admin}/faults", data=b'{"kind":"fire"}') as response:
            assert response.status == 400
        async with session.delete(f"{admin}/faults") as response:
            assert await response.json() == []
        assert await client.get("/fapi/v1/ping") == {}
        async with session.get(f"{admin}/status") as response:
            assert (await response.json())["market_ms"] == NOW


async def test_without_being_asked_there_is_no_admin_port(still):
    assert still.emulator.admin_url == ""
    await still.get("/faults")
    assert still.status == 404
