import asyncio
import hashlib
import hmac
from contextlib import asynccontextmanager

import pytest

from packages.common.errors import (
    VenueBannedError,
    VenueRejectedError,
    VenueUnavailableError,
)
from packages.common.time import MINUTE_MS, ManualClock, ScaledClock, monotonic_ms
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.transport import RestConfig
from packages.exchange.clock_sync import sample_clock
from packages.exchange.port import Series
from packages.exchange.tests.fake_exchange import fake_exchange, rng

NOW = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS
QUICK = RestConfig(backoff_s=0.001, backoff_max_s=0.005)


def row(ts, close="1.5"):
    return [ts, "1", "2", "0.5", close, "10", ts + 59_999, "15", 3, "4", "6", "0"]


@asynccontextmanager
async def client(*, clock=None, config=QUICK, credentials=None, before=()):
    async with fake_exchange() as (exchange, session):
        exchange.now_ms = NOW
        clock = clock or ScaledClock(NOW, 1.0)
        yield (
            exchange,
            BinanceRest(session, exchange.endpoints(*before), clock, rng(), credentials=credentials, config=config),
        )


async def test_only_bars_that_the_exchanges_own_clock_has_closed_are_returned():
    # our clock runs an hour ahead: it must not make an unfinished candle a closed one
    async with client(clock=ScaledClock(NOW + 3_600_000, 1.0)) as (exchange, rest):
        exchange.now_ms = NOW + 30_000
        exchange.answers["/fapi/v1/klines"] = lambda _: [row(NOW - 2 * MINUTE_MS), row(NOW - MINUTE_MS), row(NOW, "9")]
        bars = await rest.klines("BTCUSDT", NOW - 2 * MINUTE_MS, NOW + MINUTE_MS)
        assert [b.ts_ms for b in bars] == [NOW - 2 * MINUTE_MS, NOW - MINUTE_MS]
        query = exchange.seen[-1].query
        assert (query["startTime"], query["endTime"]) == (str(NOW - 2 * MINUTE_MS), str(NOW + MINUTE_MS - 1))
        exchange.now_ms = NOW + MINUTE_MS
        assert len(await rest.klines("BTCUSDT", NOW - 2 * MINUTE_MS, NOW + MINUTE_MS)) == 3


async def test_columns_and_records_say_the_same_and_index_goes_by_pair():
    async with client() as (exchange, rest):
        for path in ("klines", "markPriceKlines", "indexPriceKlines"):
            exchange.answers[f"/fapi/v1/{path}"] = lambda _: [row(NOW - MINUTE_MS)]
        columns = await rest.kline_columns(Series.LAST, "BTCUSDT", NOW - MINUTE_MS, NOW)
        [bar] = await rest.klines("BTCUSDT", NOW - MINUTE_MS, NOW)
        assert {name: values[0] for name, values in columns.items()} == {
            **{name: getattr(bar, name) for name in bar.__struct_fields__ if name not in ("symbol", "ts_ms")},
            "ts": bar.ts_ms,
        }
        [index] = await rest.index_klines("BTCUSDT", NOW - MINUTE_MS, NOW)
        assert index.close == 1.5
        assert exchange.seen[-1].query["pair"] == "BTCUSDT"
        [mark] = await rest.mark_klines("BTCUSDT", NOW - MINUTE_MS, NOW)
        assert mark.samples is None


@pytest.mark.parametrize(
    "trouble",
    [
        (503, b"Service Unavailable."),
        (500, b""),
        (400, b'{"code":-1001,"msg":"x"}'),
        (200, b'{"serverTi'),
        (200, b"<h>"),
    ],
)
async def test_passing_trouble_is_retried(trouble):
    async with client() as (exchange, rest):
        exchange.script.extend([(*trouble, {})] * 3)
        assert await rest.server_time_ms() == NOW
        assert len(exchange.seen) == 4


async def test_retries_end():
    async with client() as (exchange, rest):
        exchange.script.extend([(503, b"Service Unavailable.", {})] * 9)
        with pytest.raises(VenueUnavailableError, match="503"):
            await rest.server_time_ms()
        assert len(exchange.seen) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(400, b'{"code":-1121,"msg":"Invalid symbol."}', VenueRejectedError), (403, b"<html>", VenueUnavailableError)],
)
async def test_a_definite_no_is_not_retried(status, body, kind):
    async with client() as (exchange, rest):
        exchange.script.append((status, body, {}))
        with pytest.raises(kind):
            await rest.open_interest("NOPEUSDT")
        assert len(exchange.seen) == 1


async def test_one_answer_of_the_firewall_is_a_short_pause_and_each_further_one_a_longer():
    async with client(clock=ScaledClock(NOW, 400.0)) as (exchange, rest):
        transport = rest.transport
        for pause_ms in (1_000, 2_000, 4_000, 8_000):
            before = transport.clock.now_ms()
            exchange.script.append((403, b"<html>", {}))
            with pytest.raises(VenueUnavailableError):
                await rest.open_interest("BTCUSDT")
            assert before + pause_ms <= transport._paused_until_ms <= transport.clock.now_ms() + pause_ms
        await rest.server_time_ms()  # waits its turn, and is answered: it was about something else
        exchange.script.append((403, b"<html>", {}))
        with pytest.raises(VenueUnavailableError):
            await rest.open_interest("BTCUSDT")
        assert transport._paused_until_ms <= transport.clock.now_ms() + 1_000


async def test_a_full_window_stops_every_caller_until_it_turns():
    speed = 400.0
    async with client(clock=ScaledClock(NOW, speed)) as (exchange, rest):
        exchange.script.append((429, b'{"code":-1003,"msg":"Too many requests"}', {"Retry-After": "40"}))
        start = monotonic_ms()
        first = asyncio.create_task(rest.server_time_ms())
        await exchange.until(lambda: rest.failures)
        await rest.server_time_ms()  # another caller waits as well
        assert (monotonic_ms() - start) * speed >= 40_000
        await first
        assert len(exchange.seen) == 3


async def test_a_ban_stops_all_calls_without_a_further_request_and_ends():
    clock = ManualClock(NOW)
    async with client(clock=clock) as (exchange, rest):
        exchange.script.append((418, b'{"code":-1003,"msg":"banned until %d"}' % (NOW + 120_000), {}))
        for _ in range(3):
            with pytest.raises(VenueBannedError):
                await rest.server_time_ms()
        assert len(exchange.seen) == 1
        clock.advance_to(NOW + 120_000)
        assert await rest.server_time_ms() == NOW


async def test_the_budget_waits_before_it_would_be_exceeded():
    speed = 600.0
    config = RestConfig(reserve=0.5)
    async with client(clock=ScaledClock(NOW, speed), config=config) as (exchange, rest):
        exchange.answers["/fapi/v1/exchangeInfo"] = lambda _: {
            "symbols": [],
            "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100}],
        }
        start = monotonic_ms()
        await rest.exchange_info()  # 40 of the 50 that are allowed
        await asyncio.gather(*(rest.server_time_ms() for _ in range(12)))
        assert (monotonic_ms() - start) * speed >= 50_000
        assert rest.used_weight <= 50


async def test_clock_skew_is_answered_by_taking_the_exchanges_time():
    async with client() as (exchange, rest):
        exchange.script.append((400, b'{"code":-1021,"msg":"Timestamp"}', {}))
        exchange.answers["/fapi/v1/openInterest"] = lambda _: {"symbol": "B", "openInterest": "1", "time": NOW}
        assert (await rest.open_interest("BTCUSDT")).open_interest == 1.0
        assert [r.path for r in exchange.seen] == ["/fapi/v1/openInterest", "/fapi/v1/time", "/fapi/v1/openInterest"]


async def test_the_signature_is_over_the_bytes_sent_also_for_non_ascii_symbols():
    secret = Credentials("public-part", "private-part")
    async with client(credentials=secret) as (exchange, rest):
        exchange.answers["/fapi/v1/leverageBracket"] = lambda _: []
        await rest.leverage_brackets("币安USDT")
        request = exchange.seen[-1]
        query, _, signature = request.rel_url.raw_query_string.partition("&signature=")
        assert "%E5%B8%81" in query
        assert signature == hmac.new(b"private-part", query.encode(), hashlib.sha256).hexdigest()
        assert request.headers["X-MBX-APIKEY"] == "public-part"
        assert "part" not in repr(secret)


async def test_without_a_key_nothing_is_signed():
    async with client() as (exchange, rest):
        exchange.answers["/fapi/v1/leverageBracket"] = lambda _: []
        await rest.leverage_brackets()
        assert "X-MBX-APIKEY" not in exchange.seen[-1].headers
        assert exchange.seen[-1].query_string == ""


async def test_another_host_serves_when_the_first_cannot_be_had():
    async with client(before=("http://127.0.0.1:9",)) as (exchange, rest):
        assert await rest.server_time_ms() == NOW
        assert len(exchange.seen) == 1


async def test_funding_is_cut_to_the_range_and_rounded():
    async with client() as (exchange, rest):
        hour = NOW // 3_600_000 * 3_600_000
        times = [hour - 3_600_000, hour + 7, hour + 3_600_000]
        exchange.answers["/fapi/v1/fundingRate"] = lambda _: [
            {"symbol": "BTCUSDT", "fundingTime": t, "fundingRate": "0.0001", "markPrice": "5"} for t in times
        ]
        rates = await rest.funding_rates(None, hour, hour + 1)
        assert [(r.ts_ms, r.rate, r.mark_price) for r in rates] == [(hour, 0.0001, 5.0)]
        assert "symbol" not in exchange.seen[-1].query


async def test_samples_of_the_exchanges_time_set_the_clock():
    clock = ScaledClock(0, 1.0)
    async with client(clock=clock) as (_, rest):
        await sample_clock(rest, clock, 3)
        assert abs(clock.now_ms() - NOW) < 60_000  # it began at zero
    manual = ManualClock()
    async with client(clock=manual) as (_, rest):
        await sample_clock(rest, manual)
        assert manual.now_ms() == NOW
