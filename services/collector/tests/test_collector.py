import asyncio
import dataclasses
import math
from contextlib import asynccontextmanager

import pytest

from packages.common.errors import VenueUnavailableError
from packages.common.time import HOUR_MS, MINUTE_MS, ManualClock
from packages.common.types import KlineUpdate, MarkTick
from services.collector.batch import CollectorBatch
from services.collector.collector import Collector, CollectorConfig
from services.collector.repair import RepairConfig
from services.collector.tests.fakes import (
    FUNDING_EVERY,
    HOURLY,
    OFFSETS,
    T0,
    FakeMarket,
    bar,
    funding_every,
    next_funding,
    prices,
)

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
CONFIG = CollectorConfig(min_samples=5, repair=RepairConfig(pause_ms=1.0, pause_max_ms=4.0, absent_pause_ms=5.0))


class Tape:
    """Everything a collector handed over, checked for order as it comes."""

    def __init__(self, market: FakeMarket, collector: Collector) -> None:
        self.market, self.collector = market, collector
        self.batches: list[CollectorBatch] = []
        self.last: dict[str, int] = {}
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for batch in self.collector.run():
            for record in batch.records:
                symbol, ts = record.bar.symbol, record.bar.ts_ms
                assert ts > self.last.get(symbol, 0), "records of a symbol went back in time"
                self.last[symbol] = ts
                assert record.bar == bar(symbol, ts)
                mark = record.mark
                assert (mark.open, mark.high, mark.low, mark.close) == prices(symbol, ts)
                close = ts + MINUTE_MS
                due = close % funding_every(symbol) == 0 and (symbol, close) not in self.market.venue.unposted
                assert record.settled_rate == 1e-4 if due else math.isnan(record.settled_rate), (symbol, ts)
                if record.source == "ws" or not self.market.venue.posted_after_ms:
                    assert record.next_funding_ts_ms == next_funding(ts, symbol)
            self.batches.append(batch)

    @property
    def closed(self) -> list[int]:
        return [b.closed_ts_ms for b in self.batches if b.closed_ts_ms is not None]

    def minutes(self, symbol: str) -> list[int]:
        return [r.bar.ts_ms for b in self.batches for r in b.records if r.bar.symbol == symbol]

    def gaps(self) -> list[tuple]:
        return [(g.symbol, g.dataset, g.from_ts_ms, g.to_ts_ms, g.status) for b in self.batches for g in b.gaps]

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while not condition():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.001)

    async def minute(self, **trouble) -> int:
        """Push a minute and wait until it closes."""
        ts = self.market.minute(**trouble)
        await self.until(lambda: ts in self.closed)
        return ts


@asynccontextmanager
async def running(
    behind: int = 3, market: FakeMarket | None = None, last: dict | None = None, config: CollectorConfig = CONFIG
):
    market = market or FakeMarket(SYMBOLS)
    start = dict.fromkeys(SYMBOLS, T0 - (behind + 1) * MINUTE_MS) if last is None else last
    collector = Collector(market.venue, market.open_stream, ManualClock(), start, config)
    tape = Tape(market, collector)
    try:
        await tape.until(market.opened.is_set)
        yield market, tape
        assert tape.closed == list(range(tape.closed[0], tape.closed[-1] + 1, MINUTE_MS)), "a minute was left out"
    finally:
        collector.stop()
        tape.task.cancel()
        await asyncio.gather(tape.task, return_exceptions=True)
        assert market.stream is None or market.stream.closed


def minutes(first: int, last: int) -> list[int]:
    return list(range(first, last + 1, MINUTE_MS))


async def test_history_is_caught_up_and_the_stream_goes_on_without_a_seam():
    async with running(behind=200) as (_market, tape):
        for _ in range(5):
            await tape.minute()
        for symbol in SYMBOLS:
            assert tape.minutes(symbol) == minutes(T0 - 200 * MINUTE_MS, T0 + 4 * MINUTE_MS)
        live = [b for b in tape.batches if b.live and b.closed_ts_ms is not None]
        assert not any(b.late or b.unavailable for b in tape.batches)
        assert {r.source for b in live[2:] for r in b.records} == {"ws"}
        assert {r.mark.samples for b in live[2:] for r in b.records} == {len(OFFSETS)}
        assert tape.gaps().count(("BTCUSDT", "candles_1m", T0 - 200 * MINUTE_MS, T0 - MINUTE_MS, "repaired")) == 1


async def test_a_symbol_without_history_starts_with_the_minute_under_way():
    async with running(last=dict.fromkeys(SYMBOLS)) as (_, tape):
        ts = await tape.minute()
        assert [tape.minutes(s) for s in SYMBOLS] == [[ts]] * 3


async def test_a_lost_closed_candle_comes_from_rest_before_anything_later():
    async with running() as (market, tape):
        await tape.minute()
        ts = await tape.minute(lose={"ETHUSDT"})
        await tape.minute()
        assert tape.minutes("ETHUSDT")[-2:] == [ts, ts + MINUTE_MS]
        assert ("ETHUSDT", "candles_1m", ts, ts, "repaired") in tape.gaps()
        assert not any(b.late for b in tape.batches)
        assert ("klines", "BTCUSDT", ts, ts + MINUTE_MS) not in market.venue.asked


async def test_lost_samples_are_fetched_as_a_mark_bar():
    async with running() as (_, tape):
        await tape.minute()
        ts = await tape.minute(lose_marks={"SOLUSDT"})
        assert ("SOLUSDT", "mark_candles_1m", ts, ts, "repaired") in tape.gaps()
        [record] = [r for b in tape.batches for r in b.records if (r.bar.symbol, r.bar.ts_ms) == ("SOLUSDT", ts)]
        assert record.source == "rest"
        assert record.index.samples is None


async def test_the_minute_of_a_reconnect_is_repaired():
    async with running() as (market, tape):
        await tape.minute()
        market.reconnect()
        ts = await tape.minute()
        after = await tape.minute()
        sources = {r.bar.ts_ms: r.source for b in tape.batches for r in b.records}
        assert (sources[ts], sources[after]) == ("rest", "ws")
        assert "STREAM_DISCONNECTED" in [q.code for b in tape.batches for q in b.quality]


async def test_an_outage_of_everything_is_repaired_in_order():
    async with running() as (market, tape):
        first = await tape.minute()
        for _ in range(30):  # nothing comes, time goes on
            market.venue.now_ms += MINUTE_MS
        market.reconnect()
        last = await tape.minute()
        await tape.until(lambda: all(tape.last.get(s) == last for s in SYMBOLS))
        for symbol in SYMBOLS:
            assert tape.minutes(symbol)[-31:] == minutes(first + MINUTE_MS, last)


async def test_bars_that_do_not_exist_are_reported_and_passed():
    async with running() as (market, tape):
        await tape.minute()
        now = market.under_way
        hole = minutes(now, now + 2 * MINUTE_MS)
        market.venue.absent |= {("ETHUSDT", ts) for ts in hole}
        for _ in range(5):
            await tape.minute()
        await tape.until(lambda: ("ETHUSDT", "candles_1m", hole[0], hole[-1], "unavailable") in tape.gaps())
        after = await tape.minute()
        await tape.until(lambda: after in tape.minutes("ETHUSDT"))
        assert not set(hole) & set(tape.minutes("ETHUSDT"))
        assert tape.minutes("BTCUSDT")[-1] == after
        late = {s for b in tape.batches for s in b.late}
        assert late == {"ETHUSDT"}  # nobody else waited for it


async def test_a_symbol_that_stays_away_is_not_waited_for_and_comes_back():
    async with running() as (market, tape):
        await tape.minute()
        start = market.under_way
        market.venue.absent |= {("SOLUSDT", start + n * MINUTE_MS) for n in range(6)}
        for _ in range(6):
            await tape.minute()
        await tape.until(lambda: any(b.unavailable == ("SOLUSDT",) for b in tape.batches))
        assert ("SOLUSDT", "candles_1m", start, start, "open") in tape.gaps()
        for _ in range(3):
            back = await tape.minute()
        await tape.until(lambda: back in tape.minutes("SOLUSDT"))
        assert ("SOLUSDT", "candles_1m", start, start + 5 * MINUTE_MS, "unavailable") in tape.gaps()
        final = await tape.minute()
        assert next(b for b in tape.batches if b.closed_ts_ms == final).unavailable == ()


async def test_a_settlement_minute_carries_the_settled_rate():
    due = next_funding(T0)
    market = FakeMarket(SYMBOLS, due - 3 * MINUTE_MS)
    start = dict.fromkeys(SYMBOLS, due - 5 * MINUTE_MS)
    async with running(market=market, last=start) as (_, tape):
        for _ in range(6):
            await tape.minute()  # Tape checks each record's rate
        told = [s for b in tape.batches for s in b.settlements]
        assert {(s.symbol, s.ts_ms) for s in told} >= {(s, due) for s in SYMBOLS}
        assert not any(b.late for b in tape.batches)


async def test_a_rate_posted_late_makes_the_symbols_late_and_comes_alone():
    due = next_funding(T0)
    market = FakeMarket(SYMBOLS, due - 3 * MINUTE_MS)
    market.venue.posted_after_ms = 100_000
    async with running(market=market, last=dict.fromkeys(SYMBOLS, due - 5 * MINUTE_MS)) as (_, tape):
        for _ in range(6):
            last = await tape.minute()
        await tape.until(lambda: all(tape.last[s] == last for s in SYMBOLS))
        [held] = [b for b in tape.batches if b.closed_ts_ms == due - MINUTE_MS]
        assert held.late == tuple(SYMBOLS)
        alone = [b for b in tape.batches if b.closed_ts_ms is None and b.records]
        assert {r.bar.ts_ms for b in alone for r in b.records} >= {due - MINUTE_MS}


HOUR = next(
    hour for hour in range(T0 // HOUR_MS * HOUR_MS, T0 + FUNDING_EVERY, HOUR_MS) if hour > T0 and hour % FUNDING_EVERY
)


@pytest.mark.parametrize("stands_ms", [-MINUTE_MS, 0, 5, 10_000, MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS])
@pytest.mark.parametrize("behind", [1, 30])
async def test_a_start_around_a_full_hour_misses_no_settlement_of_that_hour(stands_ms, behind):
    """Nobody announces an hour that is just over: some symbols settled, others did not, and history is late to say."""
    symbols = [*SYMBOLS, HOURLY]
    market = FakeMarket(symbols, HOUR + stands_ms)
    market.venue.posted_after_ms = 9
    start = dict.fromkeys(symbols, HOUR - behind * MINUTE_MS - MINUTE_MS)
    async with running(market=market, last=start) as (_, tape):
        for _ in range(6):
            last = await tape.minute()
        await tape.until(lambda: all(tape.last.get(s) == last for s in symbols))  # Tape checks each record's rate
        assert HOUR - MINUTE_MS in tape.minutes(HOURLY)
        assert not [gap for gap in tape.gaps() if gap[1] == "funding_rates"]


async def test_an_exchange_that_went_back_before_the_settlement_proves_nothing_about_it():
    symbols = [*SYMBOLS, HOURLY]
    market = FakeMarket(symbols, HOUR - 2 * MINUTE_MS)
    start = dict.fromkeys(symbols, HOUR - 4 * MINUTE_MS)
    async with running(market=market, last=start) as (_, tape):
        await tape.minute()
        market.venue.behind_ms = 4 * MINUTE_MS  # what follows was told by the stream before it went away
        market.venue.posted_after_ms = 50_000
        lost = market.minute(lose_marks=set(symbols))
        for _ in range(3):
            market.minute()
        market.venue.behind_ms = 170_000  # twenty seconds past the hour: candles are there, the rate is not
        asked = len(market.venue.asked)
        await tape.until(lambda: [what for what in market.venue.asked[asked:] if what[0] == "funding"][2:])
        assert tape.last[HOURLY] < lost
        market.venue.behind_ms = 0
        last = await tape.minute()
        await tape.until(lambda: all(tape.last.get(s) == last for s in symbols))  # Tape checks each record's rate


async def test_a_refresh_under_way_takes_nothing_away_of_what_comes_meanwhile():
    """A rate the features know and the table does not could never be computed again offline."""
    symbols = [*SYMBOLS, HOURLY]
    market = FakeMarket(symbols, HOUR - 20 * MINUTE_MS)
    config = dataclasses.replace(CONFIG, refresh_ms=15 * MINUTE_MS)
    async with running(market=market, last=dict.fromkeys(symbols, HOUR - 22 * MINUTE_MS), config=config) as (_, tape):
        market.venue.slow_funding = True  # the refresh five minutes before the hour ends right after the hour's rates
        while market.under_way < HOUR + 2 * MINUTE_MS:
            lose = {"ETHUSDT"} if market.under_way == HOUR - 3 * MINUTE_MS else set()  # a gap report is told meanwhile
            last = await tape.minute(lose=lose)
        await tape.until(lambda: tape.last[HOURLY] == last and any(b.open_interest for b in tape.batches))
        refreshed_to = [what[3] for what in market.venue.asked if what[:2] == ("funding", HOURLY)]
        assert refreshed_to
        assert max(refreshed_to) < HOUR  # so that only the hour's own answer can have brought it
        told = {(s.symbol, s.ts_ms) for b in tape.batches for s in b.settlements}
        assert (HOURLY, HOUR) in told


async def test_an_announced_settlement_without_a_rate_is_given_up_late_and_with_a_gap():
    symbols = [*SYMBOLS, HOURLY]
    market = FakeMarket(symbols, HOUR - 2 * MINUTE_MS)
    market.venue.unposted = {(HOURLY, HOUR)}
    async with running(market=market, last=dict.fromkeys(symbols, HOUR - 4 * MINUTE_MS)) as (_, tape):
        for _ in range(11):
            await tape.minute(lose_marks={HOURLY} if market.under_way == HOUR - MINUTE_MS else frozenset())
        assert tape.last[HOURLY] == HOUR - 2 * MINUTE_MS
        given_up = (HOURLY, "funding_rates", HOUR, HOUR, "unavailable")
        while given_up not in tape.gaps():
            last = await tape.minute()
            await asyncio.sleep(0.01)  # it takes three answers, and a question waits for its pause and for time to move
        await tape.until(lambda: tape.last[HOURLY] == last)


async def test_bad_frames_are_told_and_nothing_is_lost():
    async with running() as (market, tape):
        await tape.minute()
        now = market.under_way
        broken = bar("BTCUSDT", now)
        fields = {n: getattr(broken, n) for n in broken.__struct_fields__} | {"volume": -1.0}
        market.stream.put(
            KlineUpdate(now + MINUTE_MS, True, type(broken)(**fields)),
            MarkTick("BTCUSDT", now + 1, math.nan, 1.0, 0.0, 0),
            MarkTick("NOPEUSDT", now + 1, 1.0, 1.0, 0.0, 0),
        )
        ts = await tape.minute()
        codes = [q.code for b in tape.batches for q in b.quality]
        assert sorted(codes) == ["NAN_PRICE", "NEGATIVE_VOLUME", "UNKNOWN_SYMBOL"]
        assert tape.minutes("BTCUSDT")[-1] == ts


async def test_rest_that_fails_for_a_while_delays_but_loses_nothing():
    async with running() as (market, tape):
        await tape.minute()
        market.venue.down = True
        ts = market.minute(lose={"ETHUSDT"})
        await tape.until(lambda: "REST_FAILED" in [q.code for b in tape.batches for q in b.quality])
        market.venue.down = False
        await tape.minute()
        await tape.until(lambda: tape.last.get("ETHUSDT") == ts + MINUTE_MS)
        assert tape.minutes("ETHUSDT")[-2:] == [ts, ts + MINUTE_MS]


async def test_history_that_cannot_be_reached_is_waited_for_and_nobody_is_given_up():
    market = FakeMarket(SYMBOLS)
    market.venue.failures = 40
    async with running(behind=100, market=market) as (_, tape):
        await tape.minute()
        assert not any(b.late or b.unavailable for b in tape.batches)
        assert [tape.minutes(s) for s in SYMBOLS] == [minutes(T0 - 100 * MINUTE_MS, T0)] * 3
        assert "REST_FAILED" in [q.code for b in tape.batches for q in b.quality]


async def test_an_exchange_that_is_away_at_the_start_is_an_error():
    market = FakeMarket(SYMBOLS)

    async def away() -> int:
        raise VenueUnavailableError("away")

    market.venue.server_time_ms = away
    collector = Collector(market.venue, market.open_stream, ManualClock(), dict.fromkeys(SYMBOLS), CONFIG)
    with pytest.raises(VenueUnavailableError):
        await anext(aiter(collector.run()))


async def test_an_exchange_without_an_index_gives_records_without_one():
    market = FakeMarket(SYMBOLS)
    market.venue.no_index = {"SOLUSDT"}
    async with running(market=market) as (_, tape):
        await tape.minute()
        early = [r for b in tape.batches for r in b.records if r.bar.ts_ms < T0]
        assert {r.bar.symbol for r in early if r.index is None} == {"SOLUSDT"}


async def test_symbols_change_while_it_runs():
    market = FakeMarket([*SYMBOLS, "XRPUSDT"])
    async with running(market=market) as (_, tape):
        ts = await tape.minute()
        await tape.collector.set_symbols({"BTCUSDT": ts, "ETHUSDT": ts, "XRPUSDT": ts - 5 * MINUTE_MS})
        assert sorted(market.stream.symbols) == ["BTCUSDT", "ETHUSDT", "XRPUSDT"]
        market.symbols.remove("SOLUSDT")
        for _ in range(3):
            last = await tape.minute()
        await tape.until(lambda: tape.last.get("XRPUSDT") == last)
        assert tape.minutes("XRPUSDT") == minutes(ts - 4 * MINUTE_MS, last)
        assert tape.minutes("SOLUSDT")[-1] == ts
