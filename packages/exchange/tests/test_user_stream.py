import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.time import MINUTE_MS, ManualClock
from packages.common.types import QualityEvent
from packages.exchange.binance.codec_user import Other, decode_user
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.binance.transport import RestConfig, Transport
from packages.exchange.binance.user_stream import BinanceUserStream, UserStreamConfig
from packages.exchange.port import Connected, Disconnected
from packages.exchange.tests.fake_exchange import fake_exchange, rng
from packages.exchange.trading import (
    AccountUpdate,
    AlgoStatus,
    AlgoUpdate,
    ConfigUpdate,
    Execution,
    FillNotice,
    ListenKeyExpired,
    MarginCall,
    OrderStatus,
    OrderUpdate,
    Side,
)

NOW = 1_700_000_000_000
D = Decimal
FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures"
QUICK = UserStreamConfig(backoff_s=0.005, backoff_max_s=0.02, keep_retry_ms=60_000)

FILL = {
    "e": "ORDER_TRADE_UPDATE", "E": NOW + 1, "T": NOW,
    "o": {"s": "BTCUSDT", "c": "id-1", "S": "BUY", "o": "MARKET", "f": "GTC", "q": "0.010", "p": "0", "ap": "60000.5",
          "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 8886774, "l": "0.004", "z": "0.004", "L": "60000.5",
          "N": "USDT", "n": "0.12", "T": NOW, "t": 77, "m": False, "R": False, "ot": "MARKET", "ps": "BOTH",
          "cp": False, "rp": "0", "er": "0", "V": "EXPIRE_MAKER", "aNewField": {"x": 1}},
}  # fmt: skip
STOPPED = {
    "e": "ALGO_UPDATE", "E": NOW + 2, "T": NOW + 2,
    "o": {"caid": "id-s1", "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL",
          "ps": "BOTH", "f": "GTE_GTC", "q": "0", "X": "TRIGGERED", "ai": "4400", "ap": "0", "aq": "0", "act": "MARKET",
          "tp": "59000.1", "p": "0", "wt": "MARK_PRICE", "cp": True, "pP": False, "R": True, "tt": NOW, "rm": ""},
}  # fmt: skip


def fixture(name):
    path = FIXTURES / name
    if not path.exists():
        pytest.skip("the recorded payloads are not here")
    return json.loads(path.read_text())


# --- decoding --------------------------------------------------------------------------------------------------------


def test_a_fill_is_read_whole_alone_or_wrapped():
    alone = decode_user(json.dumps(FILL))
    assert decode_user(json.dumps({"stream": "key", "data": FILL})) == alone
    assert isinstance(alone, OrderUpdate)
    assert (alone.execution, alone.status, alone.side) == (Execution.TRADE, OrderStatus.PARTIALLY_FILLED, Side.BUY)
    assert (alone.last_quantity, alone.filled, alone.trade_id) == (D("0.004"), D("0.004"), 77)
    assert (alone.commission, alone.commission_asset, alone.expiry_reason) == (D("0.12"), "USDT", 0)


def test_a_triggered_stop_names_its_child_as_soon_as_there_is_one():
    update = decode_user(json.dumps(STOPPED))
    assert (update.status, update.child_order_id, update.trigger_ts_ms) == (AlgoStatus.TRIGGERED, 4400, NOW)
    before = {**STOPPED, "o": {**STOPPED["o"], "X": "NEW", "ai": "", "tt": 0, "rm": None}}
    update = decode_user(json.dumps(before))
    assert (update.child_order_id, update.trigger_ts_ms, update.reject_message) == (None, None, "")


def test_recorded_events_decode():
    kinds = []
    for row in fixture("events_recorded_2026-09.json"):
        event = row["event"]
        if event.get("e") not in ("ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ALGO_UPDATE"):
            continue
        kinds.append(type(decode_user(json.dumps({"E": NOW, **event}))))  # some origins left the times out
    assert kinds == [OrderUpdate, FillNotice, AccountUpdate, FillNotice, AccountUpdate, AlgoUpdate]


def test_published_events_decode_liquidations_and_settlements_included():
    data = fixture("nautilus_test_data.json")
    events = {
        name.partition("/")[2]: decode_user(json.dumps(payload))
        for name, payload in data.items()
        if name.startswith("user_data_json/")
    }
    assert len(events) >= 14
    assert not [name for name, event in events.items() if isinstance(event, Other)]
    assert events["order_update_adl"].status is OrderStatus.NEW_ADL
    assert events["order_update_calculated"].execution is Execution.CALCULATED
    assert events["order_update_calculated_pending"].trade_id is None
    assert events["order_update_settlement"].client_id == "settlement_autoclose-9999"
    assert events["algo_update_canceled"].status is AlgoStatus.CANCELED
    assert [p.amount for p in events["account_update"].positions] == [D(0), D(20), D(-10)]


def test_documented_pushes_decode_or_are_named():
    stream = fixture("binance_net_test_data.json")["ws_stream"]
    kinds = {
        "AccountUpdate": AccountUpdate, "AlgoOrderUpdate": AlgoUpdate, "MarginUpdate": MarginCall,
        "OrderUpdate": OrderUpdate, "Leverage": ConfigUpdate, "MultiAssetMode": ConfigUpdate, "TradeUpdate": FillNotice,
        "ConditionalTrigger": Other, "StrategyUpdate": Other, "GridUpdate": Other,
    }  # fmt: skip
    for name, kind in kinds.items():
        pushed = [row["pushed"] for row in stream[name] if "pushed" in row]
        assert pushed
        for push in pushed:
            assert isinstance(decode_user(json.dumps(push)), kind), name
    assert decode_user('{"e":"listenKeyExpired","E":"1576653824250","listenKey":"x"}') == ListenKeyExpired(
        1576653824250
    )


@pytest.mark.parametrize(
    "frame",
    [
        "", "{", "[]", "null", "1", '{"e":5}', "{}", '{"data":{}}', '{"e":"ORDER_TRADE_UPDATE","E":1}', "\ud83d",
        json.dumps({**FILL, "o": {**FILL["o"], "l": "NaN"}}), json.dumps({**FILL, "o": {**FILL["o"], "i": "x"}}),
    ],
)  # fmt: skip
def test_a_lost_event_is_an_error_and_never_another_event(frame):
    with pytest.raises(ValueError, match=r"."):
        decode_user(frame)


@given(st.integers(0, len(json.dumps(FILL)) - 1))
def test_no_truncated_frame_passes_for_an_event(length):
    with pytest.raises(ValueError, match=r"."):
        decode_user(json.dumps(FILL)[:length])


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_raise_value_error(frame):
    with suppress(ValueError):
        decode_user(frame)


# --- the life of the stream ------------------------------------------------------------------------------------------


class CountingClock(ManualClock):
    """``slept``: how often somebody began to sleep, and so waits for the clock to be moved."""

    slept = 0

    async def sleep(self, market_ms):
        self.slept += 1
        await super().sleep(market_ms)


class Reader:
    def __init__(self, stream):
        self.items = []
        self.task = asyncio.create_task(self._read(stream))

    async def _read(self, stream):
        async for batch in stream.batches():
            self.items += batch

    def of(self, kind):
        return [item for item in self.items if isinstance(item, kind)]

    def codes(self):
        return [item.code for item in self.of(QualityEvent)]


@asynccontextmanager
async def live(config=QUICK, *, key="listen-key-1", before=None):
    async with fake_exchange() as (exchange, session):
        exchange.now_ms, exchange.key = NOW, key
        exchange.answers["/fapi/v1/listenKey"] = lambda _: {"listenKey": exchange.key}
        if before:
            before(exchange)
        clock = CountingClock(NOW)
        transport = Transport(
            session, exchange.endpoints(), clock, rng(), credentials=Credentials("k", "s"), config=RestConfig()
        )
        keys = BinanceTrading(transport, {})
        async with BinanceUserStream(session, exchange.endpoints(), keys, clock, rng(), config) as stream:
            reader = Reader(stream)
            await exchange.until(lambda: reader.of(Connected) and clock.slept >= 2)  # for the key, and for the rotation
            yield exchange, stream, reader, clock
        await reader.task


def asked(exchange):
    return [r.method for r in exchange.seen if r.path == "/fapi/v1/listenKey"]


async def test_it_connects_on_the_private_path_with_an_unsigned_key_and_hands_events_over_in_order():
    async with live() as (exchange, stream, reader, _):
        assert exchange.connections == ["/private/ws?listenKey=listen-key-1"]
        assert (exchange.seen[0].query_string, exchange.bodies[0]) == ("", "")
        assert exchange.seen[0].headers["X-MBX-APIKEY"] == "k"
        await exchange.push(json.dumps(FILL))
        await exchange.push(json.dumps(STOPPED))
        await exchange.until(lambda: len(reader.items) == 3)
        assert [type(i) for i in reader.items] == [Connected, OrderUpdate, AlgoUpdate]
        assert stream.stats().connected
        assert stream.stats().frames == 2


async def test_unknown_and_broken_frames_become_quality_events_and_the_stream_lives_on():
    async with live() as (exchange, stream, reader, _):
        await exchange.push('{"e":"BRAND_NEW_EVENT","E":1,"x":{}}')
        await exchange.push('{"result":null,"id":1}')
        await exchange.push('{"data":' * 20_000 + "1" + "}" * 20_000)
        await exchange.push(json.dumps(FILL)[:-40])
        await exchange.push(json.dumps(FILL))
        await exchange.until(lambda: reader.of(OrderUpdate))
        assert reader.codes() == ["UNKNOWN_EVENT", "BAD_FRAME", "BAD_FRAME"]
        assert stream.stats().bad_frames == 2
        assert len(exchange.connections) == 1


async def test_a_lost_socket_is_told_as_a_gap_and_replaced():
    async with live() as (exchange, stream, reader, _):
        await exchange.sockets[0].close(code=1011)
        await exchange.until(lambda: len(reader.of(Connected)) == 2)
        await exchange.push(json.dumps(FILL))
        await exchange.until(lambda: reader.of(OrderUpdate))
        assert [type(i) for i in reader.items] == [Connected, Disconnected, Connected, OrderUpdate]
        assert "1011" in reader.of(Disconnected)[0].reason
        assert stream.stats().reconnects == 1


async def test_refused_sockets_are_tried_again_and_the_key_is_in_no_reason(caplog):
    caplog.set_level(logging.DEBUG)

    def refuse(exchange):
        exchange.refuse = 3

    async with live(before=refuse) as (exchange, _, reader, _clock):
        assert len(exchange.connections) == 4
        assert "WSServerHandshakeError" in reader.of(Connected)[0].reason
        await exchange.push('{"e":"listenKeyExpired","E":{},"listenKey":"listen-key-1"}')
        await exchange.until(reader.codes)
        assert "listen-key-1" not in repr(reader.items) + caplog.text


async def test_rule_20_the_key_is_extended_every_twenty_minutes_and_never_deleted():
    async with live() as (exchange, _, reader, clock):
        assert asked(exchange) == ["POST"]
        clock.advance_to(NOW + 20 * MINUTE_MS - 1)
        await asyncio.sleep(0.03)
        assert asked(exchange) == ["POST"]
        for n in (1, 2):
            clock.advance_to(NOW + n * 20 * MINUTE_MS)
            await exchange.until(lambda n=n: len(asked(exchange)) == n + 1 and clock.slept == n + 2)
        assert asked(exchange) == ["POST", "PUT", "PUT"]
        assert not reader.of(Disconnected)
    assert "DELETE" not in asked(exchange)


async def test_an_expired_key_is_told_and_replaced_with_its_socket():
    async with live() as (exchange, _, reader, _clock):
        exchange.key = "listen-key-2"
        await exchange.push('{"e":"listenKeyExpired","E":1700000000000,"listenKey":"listen-key-1"}')
        await exchange.until(lambda: len(reader.of(Connected)) == 2)
        assert [type(i) for i in reader.items] == [Connected, ListenKeyExpired, Disconnected, Connected]
        assert exchange.connections[1].endswith("listen-key-2")


@pytest.mark.parametrize("how", ["another key", "no key"])
async def test_a_key_that_was_lost_without_a_word_is_found_when_it_is_extended(how):
    async with live() as (exchange, _, reader, clock):
        if how == "another key":
            exchange.key = "listen-key-2"
        else:
            exchange.script.append((400, b'{"code":-1125,"msg":"This listenKey does not exist."}', {}))
        clock.advance_to(NOW + 20 * MINUTE_MS)
        await exchange.until(lambda: len(reader.of(Connected)) == 2)
        assert asked(exchange) == ["POST", "PUT", "POST"]
        assert "listenKey" in reader.of(Disconnected)[0].reason
        assert "listen-key" not in reader.of(Disconnected)[0].reason


async def test_a_short_outage_of_the_key_changes_nothing_a_long_one_ends_the_connection():
    async with live() as (exchange, _, reader, clock):
        exchange.script.append((503, b"", {}))
        clock.advance_to(NOW + 20 * MINUTE_MS)
        await exchange.until(lambda: len(asked(exchange)) == 2 and clock.slept == 3)
        clock.advance_to(NOW + 21 * MINUTE_MS)
        await exchange.until(lambda: len(asked(exchange)) == 3 and clock.slept == 4)
        assert not reader.of(Disconnected)
        exchange.script.extend([(503, b"", {})] * 2)
        clock.advance_to(NOW + 41 * MINUTE_MS)
        await exchange.until(lambda: len(asked(exchange)) == 4 and clock.slept == 5)
        clock.advance_to(NOW + 81 * MINUTE_MS)
        await exchange.until(lambda: len(reader.of(Connected)) == 2)
        assert "within its life" in reader.of(Disconnected)[0].reason


async def test_a_half_open_socket_is_found_by_its_silence_to_pings():
    def mute(exchange):
        exchange.pongs = False

    config = UserStreamConfig(ping_s=0.1, backoff_s=0.005, backoff_max_s=0.02)
    async with live(config, before=mute) as (exchange, _, reader, _clock):
        await exchange.until(lambda: len(reader.of(Connected)) >= 2)
        assert reader.of(Disconnected)
    async with live(UserStreamConfig(ping_s=0.6)) as (_, stream, reader, _clock):
        await asyncio.sleep(1.5)
        assert stream.stats().connected  # silent, and alive
        assert not reader.of(Disconnected)


async def test_it_changes_its_socket_before_a_day_is_over_and_when_told_to():
    config = UserStreamConfig(backoff_s=0.005, backoff_max_s=0.02, rotate_after_ms=10 * MINUTE_MS)
    async with live(config) as (exchange, stream, reader, clock):
        clock.advance_to(NOW + 10 * MINUTE_MS)
        await exchange.until(lambda: len(reader.of(Connected)) == 2)
        await stream.reconnect("own order not echoed")
        await exchange.until(lambda: len(reader.of(Connected)) == 3)
        assert [d.reason for d in reader.of(Disconnected)] == [
            "before the exchange ends it (24 h)", "own order not echoed"
        ]  # fmt: skip
        assert len(asked(exchange)) == 3


async def test_a_key_that_is_not_allowed_is_shown_and_asked_for_again():
    def refuse(exchange):
        exchange.script.append((401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action"}', {}))

    async with live(before=refuse) as (_, _stream, reader, _clock):
        assert reader.codes() == ["LISTEN_KEY_REFUSED"]
        assert "-2015" in reader.of(Connected)[0].reason


async def test_a_fault_of_ours_ends_the_reader_instead_of_leaving_it_waiting():
    class Broken:
        async def create_listen_key(self):
            raise ZeroDivisionError

        keep_listen_key = create_listen_key

    async with fake_exchange() as (exchange, session):
        stream = BinanceUserStream(session, exchange.endpoints(), Broken(), ManualClock(NOW), rng(), QUICK)
        async with stream:
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(anext(stream.batches()), 60)
