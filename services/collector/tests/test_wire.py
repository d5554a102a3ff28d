"""The whole way over real sockets: emulated exchange, REST, stream, minutes."""

import math

import aiohttp
import numpy as np
import pytest

from packages.common.time import MINUTE_MS, Clock, ManualClock, ScaledClock, floor_minute
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.streams import BinanceStream
from services.collector.collector import Collector, CollectorConfig
from services.collector.universe_worker import plan_instruments, tradable

emulator = pytest.importorskip("services.emulator.server")
config = pytest.importorskip("services.emulator.config")

UNIVERSE = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNXUSDT")


def four(bar) -> tuple[float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close


@pytest.mark.parametrize(("speed", "minutes"), [(math.inf, 70), (600.0, 12)])
async def test_streamed_minutes_equal_the_exchanges_own_candles_bit_for_bit(speed, minutes):
    settings = config.EmulatorConfig(speed=speed, history_days=1)
    async with emulator.serve_emulator(settings) as exchange, aiohttp.ClientSession() as session:
        endpoints = endpoints_for("emulator", exchange.rest_url, exchange.ws_url)
        clock: Clock = ManualClock() if math.isinf(speed) else ScaledClock(0, speed)
        rng = np.random.default_rng(1)
        rest = BinanceRest(session, endpoints, clock, rng)
        now = await rest.server_time_ms()
        symbols = tradable(plan_instruments(await rest.exchange_info(), UNIVERSE, now))
        assert symbols == list(UNIVERSE[:4])

        def open_stream(names):
            return BinanceStream(session, endpoints, clock, rng, symbols=names)

        start = floor_minute(now) - 30 * MINUTE_MS
        collector = Collector(rest, open_stream, clock, dict.fromkeys(symbols, start), CollectorConfig(min_samples=8))
        closed, records, live, late = [], {s: [] for s in symbols}, 0, 0
        async for batch in collector.run():
            for record in batch.records:
                records[record.bar.symbol].append(record)
            late += len(batch.late)
            if batch.closed_ts_ms is not None:
                closed.append(batch.closed_ts_ms)
                live += batch.live
            if live >= minutes:
                break
        assert closed == list(range(start + MINUTE_MS, closed[-1] + 1, MINUTE_MS))
        if math.isinf(speed):
            assert late == 0  # the exchange waits for its reader, so nobody can be late
        for symbol, got in records.items():
            opens = [r.bar.ts_ms for r in got]
            assert opens == closed[: len(opens)]
            span = (symbol, opens[0], opens[-1] + MINUTE_MS)
            marks, indexes = await rest.mark_klines(*span), await rest.index_klines(*span)
            assert [r.bar for r in got] == await rest.klines(*span)
            assert [four(r.mark) for r in got] == [four(b) for b in marks]
            assert [four(r.index) for r in got] == [four(b) for b in indexes]
            settled = await rest.funding_rates(symbol, opens[0] + 1, opens[-1] + MINUTE_MS + 1)
            rates = {r.bar.ts_ms + MINUTE_MS: r.settled_rate for r in got if not math.isnan(r.settled_rate)}
            assert rates == {s.ts_ms: s.rate for s in settled}
            assert sum(r.source == "ws" for r in got) >= minutes // 2
        assert rest.failures == 0
