# ruff: noqa: E501 - tables of cases stay tables
"""The gateway: snapshot then updates, nobody slowed, nobody's queue growing."""

import asyncio
import contextlib
import json
import re
import struct
from datetime import UTC, datetime, timedelta

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.api import filters
from apps.api.channels import CHANNELS, Kind
from apps.api.gateway import EVENTS_MAX, MESSAGE_MAX, BadMessageError, Subscription, parse
from apps.api.keyed import NewestRows
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import NEWEST, heartbeat, seed

integration = pytest.mark.integration


async def connect(server, *channels):
    socket = await server.client.ws_connect("/ws")
    if channels:
        await socket.send_json({"op": "subscribe", "channels": list(channels)})
    return socket


async def frame(socket, seconds=60.0):
    return json.loads(await socket.receive_str(timeout=seconds))


async def plain(socket):
    """A frame without its place, which differs from one start of the API to the next."""
    found = await frame(socket)
    found.pop("at", None)
    return found


async def tell(server, channel, value):
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    await server.resources.redis.xadd(channel, {"data": data})


def signal(symbol, ts, ev=0.0):
    return {"symbol": symbol, "ts": ts, "ev_long": ev}


# --- pure -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.text(max_size=200)
    | st.none()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=5,
    ).map(json.dumps)
)
def test_nothing_a_client_says_raises_anything_else(text):
    with contextlib.suppress(BadMessageError):
        assert parse(text).op in ("subscribe", "unsubscribe", "ping")


def test_states_are_replaced_and_events_are_joined():
    state = Subscription(wants_snapshot=False)
    assert not state.offer(Kind.STATE, "1")
    assert state.offer(Kind.STATE, "2")
    assert (state.take(), state.take()) == ("2", None)
    events = Subscription(wants_snapshot=False)
    for data in ('{"a":1}', '[{"a":2},{"a":3}]', "[]"):
        events.offer(Kind.EVENTS, data)
    assert json.loads(events.take()) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert events.take() is None


def test_too_many_events_become_a_snapshot_and_not_a_queue():
    held = Subscription(wants_snapshot=False)
    for i in range(EVENTS_MAX + 1):
        held.offer(Kind.EVENTS, json.dumps({"i": i}))
    assert held.wants_snapshot
    assert held.take() is None


def test_filters_keep_rows_and_name_what_is_wrong():
    wanted = parse(
        '{"op":"subscribe","channels":["order_updates"],"filters":{"symbol":["A","B"],"mode":["live"]}}'
    ).wanted
    rows = [{"symbol": s, "mode": m} for s in ("A", "B", "C", None) for m in ("live", "shadow")]
    assert json.loads(filters.keep(json.dumps(rows), wanted)) == [rows[0], rows[2]]
    assert json.loads(filters.keep(json.dumps(rows[0]), wanted)) == [rows[0]]
    for nothing in (
        '{"mode":"live"}',
        "1",
        "null",
        "[1, null, []]",
        '{"symbol":["A"],"mode":{}}',
    ):  # the reader of the bus goes on
        assert json.loads(filters.keep(nothing, wanted)) == []


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"filters": {"mode": ["live"]}}, "'mode', expected for signal_updates one of: symbol"),
        ({"filters": {"symbol": "BTCUSDT"}}, "filters.symbol: expected a list of 1 to 100 texts"),
        ({"filters": {"symbol": []}}, "filters.symbol"),
        ({"filters": {"symbol": [1]}}, "filters.symbol"),
        ({"filters": {"symbol": ["A"] * 101}}, "filters.symbol"),
        ({"filters": []}, "filters: expected an object"),
        ({"resume": ["x"]}, "resume: expected"),
        ({"resume": {"signal_updates": 7}}, "resume: expected"),
        ({"symbols": ["A"]}, "symbols: expected op, channels, filters and resume only"),
    ],
)
def test_a_wish_that_is_not_understood_is_refused(extra, said):
    with pytest.raises(BadMessageError, match=re.escape(said)):
        parse(json.dumps({"op": "subscribe", "channels": ["signal_updates"], **extra}))


def test_every_channel_says_what_it_can_be_filtered_by():
    assert filters.FIELDS.keys() == CHANNELS.keys()


def test_late_symbols_complete_the_picture():
    rows = NewestRows()
    at = [(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i)).isoformat() for i in range(120)]
    whole = orjson.dumps([signal("A", at[1]), signal("B", at[1])])
    assert rows.merge(whole) is whole
    late = json.loads(rows.merge(orjson.dumps([signal("A", at[2], 1.0)])))
    assert late == [signal("A", at[2], 1.0), signal("B", at[1])]
    assert json.loads(rows.merge(orjson.dumps(signal("A", at[0], 9.0)))) == late  # an old row replaces nothing
    assert [row["symbol"] for row in json.loads(rows.merge(orjson.dumps([signal("C", at[119])])))] == ["C"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"1",
        b'[{"ts":"2026-01-01T00:00:00Z"}]',
        b'[{"symbol":"A","ts":"now"}]',
        b'{"symbol":"A","ts":"2026-01-01T00:00:00"}',
        b"NaN",
    ],
)
def test_what_is_no_row_is_refused(message):
    with pytest.raises(ValueError, match=r"\w"):
        NewestRows().merge(message)


# --- over the wire --------------------------------------------------------------------------------------------------


@integration
async def test_every_channel_begins_with_a_snapshot_of_the_tables(desk):
    socket = await connect(desk, *CHANNELS)
    frames = [await frame(socket) for _ in CHANNELS]
    assert [f["channel"] for f in frames] == list(CHANNELS)
    assert {(f["type"], f["seq"]) for f in frames} == {("snapshot", 1)}
    data = {f["channel"]: f["data"] for f in frames}
    for channel, path in (
        ("status_updates", "/api/status"),
        ("account_updates", "/api/account/latest"),
        ("position_updates", "/api/positions/latest"),
    ):
        async with desk.client.get(path) as answer:
            found = await answer.json()
            assert data[channel] == ([found] if channel == "account_updates" else found), channel
    async with desk.client.get("/api/signals/latest?sort=universe") as answer:
        assert data["signal_updates"] == (await answer.json())["items"]
    assert [event["event_type"] for event in data["risk_events"]] == ["DAILY_LOSS_LIMIT"]
    assert (len(data["order_updates"]), len(data["training_updates"])) == (7, 2)
    await socket.close()


@integration
async def test_an_empty_desk_has_empty_snapshots(api):
    socket = await connect(api, "account_updates", "position_updates", "signal_updates")
    assert [(await frame(socket))["data"] for _ in range(3)] == [[], [], []]
    await socket.close()


@integration
async def test_updates_follow_with_a_growing_seq_per_channel(desk):
    socket = await connect(desk, "position_updates", "risk_events")
    assert {(await frame(socket))["type"] for _ in range(2)} == {"snapshot"}
    for i in range(2, 6):
        await tell(desk, "position_updates", [{"i": i}])
        assert await plain(socket) == {"channel": "position_updates", "type": "update", "seq": i, "data": [{"i": i}]}
    await tell(desk, "risk_events", {"event_type": "X"})
    assert await plain(socket) == {"channel": "risk_events", "type": "update", "seq": 2, "data": [{"event_type": "X"}]}
    await tell(desk, "order_updates", {})  # not asked for
    await socket.send_json({"op": "unsubscribe", "channels": ["position_updates"]})
    await socket.send_json({"op": "ping"})
    assert await frame(socket) == {"type": "pong"}
    await tell(desk, "position_updates", [])
    await socket.send_json({"op": "subscribe", "channels": ["risk_events"]})  # lost its place
    found = await frame(socket)
    assert (found["type"], found["seq"]) == ("snapshot", 3)
    await socket.close()


@integration
async def test_a_screen_gets_only_what_it_filters_for(desk):
    socket, all_of_it = await connect(desk), await connect(desk, "signal_updates", "risk_events")
    await socket.send_json({"op": "subscribe", "channels": ["signal_updates"], "filters": {"symbol": ["BTCUSDT"]}})
    await socket.send_json({"op": "subscribe", "channels": ["risk_events"], "filters": {"symbol": ["ETHUSDT"]}})
    first = {f["channel"]: f for f in [await frame(socket), await frame(socket)]}
    assert [row["symbol"] for row in first["signal_updates"]["data"]] == ["BTCUSDT"]
    assert first["risk_events"]["data"] == []
    for _ in range(2):
        await frame(all_of_it)
    ts = NEWEST + timedelta(minutes=1)
    events = [{"event_id": i, "symbol": s, "event_type": "X"} for i, s in enumerate(("BTCUSDT", None, "ETHUSDT"))]
    for event in events:
        await tell(desk, "risk_events", event)
    await tell(desk, "signal_updates", [signal(s, ts.isoformat()) for s in ("BTCUSDT", "ETHUSDT")])
    got = [await frame(socket), await frame(socket)]
    assert [event["event_id"] for f in got if f["channel"] == "risk_events" for event in f["data"]] == [2]
    assert {row["symbol"] for f in got if f["channel"] == "signal_updates" for row in f["data"]} == {"BTCUSDT"}
    await socket.close()
    await all_of_it.close()


@integration
async def test_a_screen_that_comes_back_goes_on_where_it_was(desk):
    channels = ["position_updates", "risk_events", "status_updates"]
    socket = await connect(desk, *channels)
    at = {f["channel"]: f["at"] for f in [await frame(socket) for _ in channels]}
    await socket.close()
    events = [{"event_id": i, "symbol": None, "event_type": "X"} for i in range(3)]
    for event in events:
        await tell(desk, "risk_events", event)
    watcher = await connect(desk, "risk_events")  # its frames tell when the bus has been read
    seen = 0
    while seen < 3:
        seen = int((await frame(watcher))["at"].rpartition("-")[2]) - int(at["risk_events"].rpartition("-")[2])
    back = await connect(desk)
    await back.send_json({"op": "subscribe", "channels": channels, "resume": at})
    frames = {f["channel"]: f for f in [await frame(back), await frame(back)]}
    assert frames.keys() == {"risk_events", "status_updates"}  # of positions there is no news
    assert (frames["risk_events"]["type"], frames["risk_events"]["data"]) == ("update", events)
    assert frames["status_updates"]["type"] == "snapshot"  # health is always asked anew
    for stale in ("00000000-3", at["risk_events"][:-1] + "9999", "x", ""):
        await back.send_json({"op": "subscribe", "channels": ["risk_events"], "resume": {"risk_events": stale}})
        answer = await frame(back)
        while answer["channel"] != "risk_events":
            answer = await frame(back)
        assert answer["type"] == "snapshot", stale
    await back.close()
    await watcher.close()


@integration
async def test_who_comes_later_gets_the_last_word_of_the_bus(desk):
    first = await connect(desk, "position_updates")
    await frame(first)
    await tell(desk, "position_updates", [{"symbol": "NEW"}])
    await frame(first)
    second = await connect(desk, "position_updates")
    assert await plain(second) == {
        "channel": "position_updates",
        "type": "snapshot",
        "seq": 1,
        "data": [{"symbol": "NEW"}],
    }
    await first.close()
    await second.close()


@integration
async def test_a_started_gateway_knows_what_was_said_before(postgres_url, redis_url):
    seed(postgres_url)
    ts = NEWEST.isoformat()
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.xadd("signal_updates", {"data": orjson.dumps([signal("A", ts), signal("B", ts)])})
        client.xadd("signal_updates", {"data": orjson.dumps([signal("B", ts, 2.0)])})  # late
        client.xadd("risk_events", {"data": b'{"old": true}'})
    async with running(settings_for(postgres_url, redis_url)) as server:
        socket = await connect(server, "signal_updates", "risk_events")
        found = await frame(socket)
        while found["data"] and found["data"][0]["symbol"] == "BTCUSDT":  # the tables, if the bus was not read yet
            found = await frame(socket)
        assert found["data"] == [signal("A", ts), signal("B", ts, 2.0)]
        await socket.close()


@integration
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "1", "null", '"ping"', "{}", '{"op": "shout"}', '{"op": "subscribe"}', '{"op": "subscribe", "channels": []}',
     '{"op": "subscribe", "channels": "risk_events"}', '{"op": "subscribe", "channels": ["nothing"]}',
     '{"op": "subscribe", "channels": [1]}', '{"op": "subscribe", "channels": [["risk_events"]]}',
     json.dumps({"op": "subscribe", "channels": ["risk_events"] * 100}), "x" * (MESSAGE_MAX + 1), '{"op": NaN}'],
)  # fmt: skip
async def test_a_malformed_message_gets_an_error_and_costs_nothing(shared_api, message):
    socket = await connect(shared_api)
    await socket.send_str(message)
    found = await frame(socket)
    assert (found["type"], found["code"]) == ("error", "INVALID_INPUT")
    assert "expected" in found["message"]
    await socket.send_json({"op": "ping"})
    assert await frame(socket) == {"type": "pong"}
    await socket.close()


@integration
async def test_bytes_and_floods_and_giants_are_not_served(api):
    socket = await connect(api)
    await socket.send_bytes(b"\x00")
    assert (await frame(socket))["type"] == "error"
    for _ in range(30):
        await socket.send_str("x")
    async for message in socket:
        assert json.loads(message.data)["type"] == "error"
    assert socket.close_code == 1008
    giant = await connect(api)
    await giant.send_str("x" * 100_000)
    message = await giant.receive(timeout=60)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert giant.close_code == 1009


@integration
async def test_broken_messages_of_the_bus_reach_nobody(desk):
    socket = await connect(desk, "position_updates")
    await frame(socket)
    for broken in (b"", b"{", b"[NaN]", b"\xff", b'[]}{"'):
        await tell(desk, "position_updates", broken)
        await asyncio.sleep(0.02)
    await desk.resources.redis.xadd("position_updates", {"other": "field"})
    await tell(desk, "position_updates", [{"whole": True}])
    assert (await frame(socket))["data"] == [{"whole": True}]
    await socket.close()


@integration
async def test_a_worker_that_falls_silent_is_told_of(desk, postgres_url, monkeypatch):
    monkeypatch.setattr("apps.api.bus_tail.SILENT_AFTER_MS", 200)
    heartbeat(postgres_url, {"collector_ok": True}, age_s=60)
    socket = await connect(desk, "status_updates")
    assert (await frame(socket))["data"]["collector_ok"] is False
    found = await frame(socket)
    assert (found["type"], found["data"]["collector_ok"]) == ("update", False)
    await socket.close()


@integration
async def test_a_screen_that_does_not_read_slows_nobody(desk):
    """It is left with its socket's buffer and one unsent state; the others get every update at once."""
    host, port = desk.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"Cookie: " + desk.headers["Cookie"].encode() + b"\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    wish = b'{"op":"subscribe","channels":["position_updates"]}'
    writer.write(struct.pack("!BB4s", 0x81, 0x80 | len(wish), b"\0\0\0\0") + wish)
    await writer.drain()
    brisk = await connect(desk, "position_updates")
    await frame(brisk)
    padding = "x" * 500_000
    for i in range(40):  # 20 MB, more than any buffer between them: whoever waited for the other would wait for ever
        await tell(desk, "position_updates", [{"i": i, "padding": padding}])
        assert (await frame(brisk))["data"][0]["i"] == i
    clients = [c for c in desk.resources.hub._clients if c.subscriptions]
    unsent = [c.subscriptions["position_updates"].state for c in clients]
    assert len(clients) == 2
    assert sum(state is not None for state in unsent) == 1
    assert json.loads(next(s for s in unsent if s))[0]["i"] == 39  # the newest, and only that
    writer.close()
    await brisk.close()


@integration
async def test_three_hundred_screens_get_every_update_in_order(desk):
    """All of them open at once, as after a restart: more than may wait for a connection to the database."""
    count, rounds = 300, 5
    sockets = await asyncio.gather(*(connect(desk, "signal_updates", "position_updates") for _ in range(count)))
    for _ in range(2):
        assert {(await frame(s))["type"] for s in sockets} == {"snapshot"}
    assert desk.resources.hub.clients == count
    delays = []
    loop = asyncio.get_running_loop()
    for i in range(rounds):
        started = loop.time()
        await tell(desk, "position_updates", [{"i": i}])

        async def take(socket, expected=i, since=started):
            found = await frame(socket)
            delays.append(loop.time() - since)
            assert (found["seq"], found["data"][0]["i"]) == (expected + 2, expected)

        await asyncio.gather(*map(take, sockets))
        await asyncio.sleep(0.06)
    print(f"{count} screens: p99 delivery {sorted(delays)[int(len(delays) * 0.99)] * 1e3:.0f} ms")
    await asyncio.gather(*(s.close() for s in sockets))
    async with asyncio.timeout(60):
        while desk.resources.hub.clients:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.02)
    assert not any(desk.resources.hub.listening(channel) for channel in CHANNELS)


@integration
async def test_screens_stay_while_the_bus_and_the_database_are_away(killable_postgres, killable_redis):
    seed(killable_postgres.url)
    async with running(settings_for(killable_postgres.url, killable_redis.url)) as server:
        socket = await connect(server, "position_updates")
        await frame(socket)
        killable_redis.kill()
        killable_postgres.kill()
        async with server.client.get("/healthz") as answer:
            assert answer.status == 200
        async with server.client.get("/readyz") as answer:
            assert (answer.status, (await answer.json())["ok"]) == (503, False)
        async with server.client.get("/api/universe") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            assert (await answer.json(content_type=None))["code"] == "STORE_UNAVAILABLE"
        await socket.send_json({"op": "subscribe", "channels": ["risk_events"]})
        found = await frame(socket)
        assert (found["type"], found["code"]) == ("error", "STORE_UNAVAILABLE")
        killable_redis.start()
        killable_postgres.start()
        while found.get("type") != "snapshot":
            found = await frame(socket)
        assert found["channel"] == "risk_events"
        for i in range(200):
            with contextlib.suppress(Exception):
                await tell(server, "position_updates", [{"i": i}])
                assert (await frame(socket, 0.5))["channel"] == "position_updates"
                break
        else:
            pytest.fail("no update after the bus came back")
        async with server.client.get("/api/universe") as answer:
            assert answer.status == 200
        await socket.close()
