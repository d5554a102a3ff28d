import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import ManualClock, ScaledClock
from packages.common.types import MarkTick, QualityEvent
from packages.exchange.binance.connection import requests, stream_names
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.streams import BinanceStream, StreamConfig
from packages.exchange.port import Connected, Disconnected
from packages.exchange.tests.fake_exchange import fake_exchange, rng

# Silence is judged where a test is about it: elsewhere it would be this machine's, which has other things to do.
QUICK = StreamConfig(silence_floor_s=60.0, backoff_s=0.005, backoff_max_s=0.02, overlap_s=2.0)
SHORT = replace(QUICK, silence_floor_s=0.5, silence_ms=500)


def mark(at: int) -> str:
    data = {"e": "markPriceUpdate", "E": at, "s": "BTCUSDT", "p": "5", "i": "5", "P": "5", "r": "0", "T": 9, "st": 1}
    return json.dumps({"stream": "btcusdt@markPrice@1s", "data": data})


class Reader:
    """Keeps what a stream hands over."""

    def __init__(self, stream: BinanceStream) -> None:
        self.items: list = []
        self.task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: BinanceStream) -> None:
        async for batch in stream.batches():
            self.items += batch

    def events(self) -> list[int]:
        return [i.event_ts_ms for i in self.items if isinstance(i, MarkTick)]

    def count(self, kind: type) -> int:
        return sum(isinstance(i, kind) for i in self.items)

    def codes(self) -> list[str]:
        return [i.code for i in self.items if isinstance(i, QualityEvent)]


@asynccontextmanager
async def live(config: StreamConfig = QUICK, clock=None, symbols=("BTCUSDT",)):
    async with fake_exchange() as (exchange, session):
        stream = BinanceStream(
            session, exchange.endpoints(), clock or ScaledClock(0, 1.0), rng(), symbols=symbols, config=config
        )
        async with stream:
            reader = Reader(stream)
            await exchange.until(lambda: exchange.requests)
            yield exchange, stream, reader
        await reader.task  # the end of the stream ends its reader


async def test_frames_become_items_in_order_and_bad_ones_events():
    async with live() as (exchange, stream, reader):
        await exchange.push(mark(1))
        await exchange.push('{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":2,"s":')
        await exchange.push(mark(2).replace('"5"', '"abc"'))
        await exchange.push('{"stream":"x","data":{"e":"somethingNew","E":1}}')
        await exchange.push('{"error":{"code":2,"msg":"Invalid request"},"id":1}')
        await exchange.push(mark(3))
        await exchange.until(lambda: len(reader.events()) == 2)
        assert reader.events() == [1, 3]
        assert reader.codes() == ["BAD_FRAME", "BAD_FRAME", "SUBSCRIBE_REFUSED"]
        assert isinstance(reader.items[0], Connected)
        stats = stream.stats()
        assert stats.connected
        assert (stats.bad_frames, stats.reconnects, stats.frames) == (2, 0, 7)


async def test_it_subscribes_to_both_streams_of_each_symbol_and_follows_changes():
    async with live(symbols=("BTCUSDT", "ETHUSDT")) as (exchange, stream, _):
        first = exchange.requests[0]
        assert first["method"] == "SUBSCRIBE"
        assert first["params"] == stream_names(["BTCUSDT", "ETHUSDT"])
        await stream.set_symbols(["ETHUSDT", "SOLUSDT"])
        await exchange.until(lambda: len(exchange.requests) == 3)
        assert [(r["method"], r["params"]) for r in exchange.requests[1:]] == [
            ("UNSUBSCRIBE", ["btcusdt@kline_1m", "btcusdt@markPrice@1s"]),
            ("SUBSCRIBE", ["solusdt@kline_1m", "solusdt@markPrice@1s"]),
        ]
        assert len({r["id"] for r in exchange.requests}) == 3


async def test_a_lost_connection_is_made_again_and_owned_to():
    async with live() as (exchange, stream, reader):
        await exchange.push(mark(1))
        await exchange.until(reader.events)
        await exchange.sockets[0].close()
        await exchange.until(lambda: len(exchange.requests) == 2)
        await exchange.push(mark(2))
        await exchange.until(lambda: len(reader.events()) == 2)
        kinds = [type(i) for i in reader.items if isinstance(i, Connected | Disconnected)]
        assert kinds == [Connected, Disconnected, Connected]
        assert stream.stats().reconnects == 1


async def test_subscribed_but_silent_raises_an_alarm_and_reconnects():
    async with live(SHORT) as (exchange, stream, reader):
        assert not stream.stats().healthy  # acknowledged, yet no frame: not counted as healthy (incident 26)
        await exchange.push(mark(1))
        await exchange.until(lambda: stream.stats().healthy)
        exchange.mute = True
        await exchange.until(lambda: "STREAM_SILENT" in reader.codes())
        await exchange.until(lambda: len(exchange.requests) >= 2)
        exchange.mute = False
        await exchange.push(mark(2))
        await exchange.until(lambda: 2 in reader.events())
        assert stream.stats().silences >= 1


async def test_rotation_changes_the_socket_without_losing_or_reordering_a_frame():
    config = replace(QUICK, silence_floor_s=2.0, silence_ms=2_000, rotate_after_ms=150)
    async with live(config) as (exchange, stream, reader):
        at = 0
        async with asyncio.timeout(60):
            while stream.stats().rotations < 2:
                at += 500
                await exchange.push(mark(at))
                await asyncio.sleep(0.005)
        await exchange.until(lambda: reader.events()[-1] == at)
        assert sorted(set(reader.events())) == list(range(500, at + 1, 500))
        firsts = list(dict.fromkeys(reader.events()))
        assert firsts == sorted(firsts)  # what comes twice comes later, never out of order the first time
        assert reader.count(Disconnected) == 0
        assert reader.count(Connected) == 1


async def test_an_announced_shutdown_reconnects():
    async with live() as (exchange, _, reader):
        await exchange.push('{"stream":"x","data":{"e":"serverShutdown","E":1}}')
        await exchange.until(lambda: len(exchange.requests) == 2)
        await exchange.until(lambda: reader.count(Connected) == 2)


async def test_a_slow_consumer_holds_the_sender_back_instead_of_filling_memory():
    sent: list[int] = []
    enough = asyncio.Event()

    async def flood(exchange) -> None:
        while not enough.is_set():
            await exchange.sockets[0].send_str(mark(len(sent)).replace('"st"', f'"note": "{"x" * 4_000}", "st"'))
            sent.append(len(sent))

    async with fake_exchange() as (exchange, session):
        config = StreamConfig(bound=100, silence_floor_s=0.1)
        stream = BinanceStream(session, exchange.endpoints(), ManualClock(), rng(), symbols=["BTCUSDT"], config=config)
        async with stream:
            await exchange.until(lambda: exchange.requests)
            flooding = asyncio.create_task(flood(exchange))
            before = -1
            async with asyncio.timeout(60):
                while len(sent) > before:  # until the full socket stops the sender
                    before = len(sent)
                    await asyncio.sleep(0.3)
            assert stream.stats().pending <= 101
            assert stream.stats().silences == 0  # we are the slow ones, not the exchange
            reader = Reader(stream)
            await exchange.until(lambda: len(reader.items) > before)
            enough.set()  # cancelled in mid-send it would take the server's drain future, which close() awaits, with it
            await flooding
            assert reader.events() == list(range(len(reader.events())))
        await reader.task


def test_long_lists_are_subscribed_in_pieces():
    names = [f"s{n}@kline_1m" for n in range(450)]
    messages = [json.loads(m) for m in requests("SUBSCRIBE", names, 5)]
    assert [len(m["params"]) for m in messages] == [200, 200, 50]
    assert [m["id"] for m in messages] == [5, 6, 7]
    assert [p for m in messages for p in m["params"]] == names


def test_profiles_differ_in_addresses_only():
    real = endpoints_for("binance")
    assert real.stream_url("market") == "wss://fstream.binance.com/market/stream"
    assert real.rest == ("https://fapi.binance.com",)
    demo = endpoints_for("binance-demo")
    assert [demo.stream_url("market", n) for n in range(3)] == [
        "wss://demo-fstream.binance.com/market/stream",
        "wss://fstream.binancefuture.com/market/stream",
        "wss://demo-fstream.binance.com/market/stream",
    ]
    local = endpoints_for("emulator", "http://127.0.0.1:1/", "ws://127.0.0.1:2")
    assert local.rest == ("http://127.0.0.1:1",)
    assert local.stream_url("private") == "ws://127.0.0.1:2/private/stream"
    assert endpoints_for("binance", "https://a.example, https://b.example").rest == ("https://a.example", "https://b.example")  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("emulator",), "EXCHANGE_REST_URL"),
        (("emulator", "http://x"), "EXCHANGE_WS_URL"),
        (("kraken",), "EXCHANGE"),
        (("binance", "ftp://x"), "url"),
        (("binance", None, "http://x"), "url"),
    ],
)
def test_bad_addresses_are_named(arguments, named):
    with pytest.raises(InvalidInputError, match=named):
        endpoints_for(*arguments)
