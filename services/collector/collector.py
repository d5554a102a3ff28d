"""The collector: history from REST up to now, then the live streams; minutes out, in order, with nothing missing.

Order of effects only. What is complete the assembler knows, what closes the gate, what is given up the repair desk.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from packages.common.errors import VenueError, VenueRejectedError
from packages.common.time import HOUR_MS, MINUTE_MS, Clock, ManualClock, floor_minute, monotonic_ms
from packages.common.types import KlineUpdate, MarkTick, MinuteRecord, QualityEvent, Settlement
from packages.exchange.clock_sync import sample_clock
from packages.exchange.port import Connected, Disconnected, MarketData, MarketStream, OpenInterest, StreamItem
from services.collector.batch import CollectorBatch, GapReport
from services.collector.core.gate import MinuteGate
from services.collector.refresh import fetch_due_settlements, refresh_open_interest, refresh_settlements
from services.collector.repair import RepairConfig, RepairDesk
from services.collector.rest_feed import Answer, fetch
from services.normalizer.assembler import Assembler, AssemblerConfig, Want
from services.normalizer.quality import QualityLog

_FUNDING_ASKS = 3  # answers without a rate before it is given up

OpenStream = Callable[[Sequence[str]], AbstractAsyncContextManager[MarketStream]]


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """``*_ms`` market time. A minute closes ``bar_deadline_ms`` after its end, or ``own_delay_s`` of wall time where
    that is longer: on an accelerated market our own way to the exchange must not count as its lateness."""

    min_samples: int
    bar_deadline_ms: int = 5_000
    own_delay_s: float = 0.15
    funding_waive_ms: int = 600_000
    refresh_ms: int = HOUR_MS
    catch_up_minutes: int = 720
    repair: RepairConfig = field(default_factory=RepairConfig)


@dataclass(frozen=True, slots=True)
class CollectorStats:
    """For status pages and metrics. ``behind``: symbols that wait for REST."""

    catching_up: bool
    open_minute_ms: int
    newest_event_ms: int
    behind: int
    duplicates: int
    absent: tuple[str, ...]


class Collector:
    """One per process. ``last_ts`` maps each symbol to its last stored minute, None where there is none."""

    def __init__(
        self,
        venue: MarketData,
        open_stream: OpenStream,
        clock: Clock,
        last_ts: Mapping[str, int | None],
        config: CollectorConfig,
    ) -> None:
        self._venue, self._open_stream, self._clock, self._config = venue, open_stream, clock, config
        self._initial = dict(last_ts)
        self._deadline_ms = config.bar_deadline_ms
        if math.isfinite(clock.speed):
            self._deadline_ms = max(self._deadline_ms, int(config.own_delay_s * 1e3 * clock.speed))
        self._quality = QualityLog()
        self._assembler = Assembler(self._assembler_config(), {}, self._quality)
        self._gate = MinuteGate({})
        self._desk = RepairDesk(self._assembler, self._gate, config.repair)
        self._stream: MarketStream | None = None
        self._incoming: deque[list[StreamItem]] = deque()
        self._room = asyncio.Event()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected = False
        self._last_batch_mono = 0.0
        self._checked_minute = 0
        self._checked_mono = 0.0
        self._refresh_due_ms = 0
        self._funding_pause_mono = 0.0
        self._funding_pause_ms = 0
        self._asking_funding = self._refreshing = False
        self._funding_asks: dict[int, int] = {}
        self._failure: BaseException | None = None
        self._stopped = False
        self._catching_up = True
        self._unreached = False
        self._gaps: list[GapReport] = []
        self._settlements: list[Settlement] = []
        self._open_interest: list[OpenInterest] = []
        self._late: list[MinuteRecord] = []

    def stop(self) -> None:
        """End ``run`` after the batch under way."""
        self._stopped = True
        self._wake.set()

    def stats(self) -> CollectorStats:
        """State now."""
        return CollectorStats(
            catching_up=self._catching_up,
            open_minute_ms=self._gate.open_ts_ms,
            newest_event_ms=self._assembler.newest_event_ms,
            behind=self._desk.open_cases,
            duplicates=self._assembler.duplicates,
            absent=tuple(sorted(self._gate.absent)),
        )

    async def set_symbols(self, last_ts: Mapping[str, int | None]) -> None:
        """Change the symbols in mid-run: new ones start after their last stored minute, missing ones are let go."""
        now = self._clock.now_ms()
        for symbol in set(self._assembler.symbols) - last_ts.keys():
            self._assembler.retire(symbol)
            self._gate.retire(symbol)
            self._desk.forget(symbol)
        for symbol in last_ts.keys() - set(self._assembler.symbols):
            start = _start(last_ts[symbol], now)
            self._assembler.admit(symbol, start)
            self._gate.admit(symbol, max(start, self._gate.open_ts_ms - MINUTE_MS))
        if self._stream is not None:
            await self._stream.set_symbols(list(self._assembler.symbols))

    async def run(self) -> AsyncIterator[CollectorBatch]:
        """Batches until ``stop``. Raises ``VenueError`` only while nothing at all can be had at the start."""
        await self._begin()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._cancel_tasks)
            async for batch in self._catch_up():
                yield batch
            self._stream = await stack.enter_async_context(self._open_stream(list(self._assembler.symbols)))
            self._spawn(self._pump(self._stream))
            while not self._stopped:
                await self._wait()
                if self._failure is not None:
                    raise self._failure
                for batch in self._step():
                    yield batch

    # --- start ------------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        await sample_clock(self._venue, self._clock, samples=5)
        now = self._clock.now_ms()
        start = {symbol: _start(last, now) for symbol, last in self._initial.items()}
        self._assembler = Assembler(self._assembler_config(), start, self._quality)
        self._gate = MinuteGate(start)
        self._desk = RepairDesk(self._assembler, self._gate, self._config.repair)
        for premium in await self._venue.premium_index():
            if premium.next_funding_ts_ms > 0:
                self._assembler.on_next_funding(premium.symbol, premium.next_funding_ts_ms)

    async def _catch_up(self) -> AsyncIterator[CollectorBatch]:
        """Minutes from the last stored one to now, from REST, all symbols in step."""
        while not self._stopped:
            now = await self._venue.server_time_ms()
            closed = floor_minute(now) - MINUTE_MS
            oldest = self._oldest(closed)
            if oldest >= closed - MINUTE_MS:
                break
            through = min(closed, oldest + self._config.catch_up_minutes * MINUTE_MS)
            if not await self._fill(through, now):
                continue
            if self._assembler.missing_settlements(now):
                await self._settle(self._assembler.missing_settlements(now))
                self._late += self._gate.add(self._assembler.take_ready(now, self._clock.now_ms(), everyone=True))
            # A minute that may still come on time is not closed by force: the live loop goes on with it.
            for batch in self._drain(now, min(through + MINUTE_MS, now - self._deadline_ms), live=False):
                yield batch
            if self._oldest(closed) == oldest and self._assembler.missing_settlements(now):
                break  # only time can tell, and an exchange without a reader may stand still: the live loop waits
        self._catching_up = False
        self._refresh_due_ms = self._clock.now_ms() + self._config.refresh_ms

    def _oldest(self, closed_ms: int) -> int:
        """Last minute handed over of whoever is furthest behind; ``closed_ms`` when nobody is waited for."""
        waited_for = [s for s in self._assembler.symbols if s not in self._gate.absent]
        return min((self._assembler.last_ts(s) for s in waited_for), default=closed_ms)

    async def _fill(self, through_ms: int, now_ms: int) -> bool:
        """Ask every symbol's minutes up to ``through_ms`` until they are here or given up.

        False when the exchange could not be reached: then nothing is concluded, and it is asked again.
        """
        for attempt in range(3):
            wants = [
                Want(s, self._assembler.last_ts(s) + MINUTE_MS, through_ms, True, True, True)
                for s in self._assembler.symbols
                if self._assembler.last_ts(s) < through_ms and s not in self._gate.absent
            ]
            if not wants:
                break
            if attempt:
                await asyncio.sleep(self._config.repair.pause_ms * 5 / 1e3)
            self._desk.due(wants, now_ms, math.inf)
            self._unreached = False
            await asyncio.gather(*(self._ask(want, now_ms) for want in wants))
            if self._unreached:
                await asyncio.sleep(self._config.repair.pause_max_ms / 1e3)
                return False
        return True

    # --- live -------------------------------------------------------------------------------------------------------

    def _step(self) -> list[CollectorBatch]:
        """Take in what came, ask for what is missing, hand over what is over."""
        while self._incoming:
            self._take_in(self._incoming.popleft())
        self._room.set()
        now, mono = self._now(), monotonic_ms()
        minute_turned = floor_minute(now) != self._checked_minute
        timer = minute_turned or mono - self._checked_mono >= 20
        records = self._assembler.take_ready(now, self._clock.now_ms(), everyone=timer)
        self._late += self._gate.add(records)
        if not (timer or records or self._late):
            return []
        self._checked_minute, self._checked_mono = floor_minute(now), mono
        self._ask_settlements(now, mono)
        self._refresh(now)
        for want in self._desk.due(self._assembler.wants(now), now, mono):
            self._spawn(self._ask(want, now))
        # Where events alone move time nobody is late while we ask: the exchange waits for us.
        patient = math.isinf(self._clock.speed) and self._asking
        return list(self._drain(now, -1 if patient else now - self._deadline_ms, live=True))

    def _take_in(self, items: list[StreamItem]) -> None:
        assembler, now = self._assembler, self._clock.now_ms()
        for item in items:
            if type(item) is MarkTick:
                assembler.on_mark(item, now)
            elif type(item) is KlineUpdate:
                assembler.on_kline(item, now)
            elif type(item) is Connected:
                assembler.on_connected()
                self._connected = True
                self._spawn(self._sample_clock())
            elif type(item) is Disconnected:
                self._connected = False
                self._quality.add(now, None, "STREAM_DISCONNECTED", item.reason)
            elif type(item) is QualityEvent:
                self._quality.put(item)
        if isinstance(self._clock, ManualClock):
            self._clock.advance_to(assembler.newest_event_ms)

    def _drain(self, now_ms: int, due_ms: int, *, live: bool) -> list[CollectorBatch]:
        batches: list[CollectorBatch] = []
        absent = tuple(sorted(self._gate.absent))
        if self._late:
            batches.append(CollectorBatch(None, tuple(self._late), unavailable=absent, live=live))
            self._late = []
        for closing in self._gate.close(due_ms):
            batches.append(CollectorBatch(closing.ts_ms, closing.records, closing.late, absent, live=live))
        quality = self._quality.take(now_ms)
        if not (self._gaps or quality or self._settlements or self._open_interest):
            return batches
        # What was learned on the side travels with the first batch: a record never comes before its gap's report.
        first = batches[0] if batches else CollectorBatch(None, unavailable=absent, live=live)
        told = CollectorBatch(
            first.closed_ts_ms,
            first.records,
            first.late,
            first.unavailable,
            tuple(self._gaps),
            tuple(quality),
            tuple(self._settlements),
            tuple(self._open_interest),
            live,
        )
        self._gaps, self._settlements, self._open_interest = [], [], []
        return [told, *batches[1:]]

    async def _wait(self) -> None:
        """Return when something came, or after a tick, so that deadlines are seen in time."""
        if math.isinf(self._clock.speed) and self._asking:
            while self._asking and not self._stopped and self._failure is None:
                self._wake.clear()
                await self._wake.wait()
            return
        if self._incoming:
            return
        self._wake.clear()
        tick_s = min(0.25, max(0.02, 1.0 / self._clock.speed))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), tick_s)

    def _now(self) -> int:
        """Exchange time up to which everything was handed in.

        While frames flow that is the newest event, not the clock: unread frames must not count as missing.
        """
        now, newest = self._clock.now_ms(), self._assembler.newest_event_ms
        flowing = self._stream is not None and (
            self._stream.backlog or bool(self._incoming) or monotonic_ms() - self._last_batch_mono < 1_000
        )
        return min(now, newest) if self._connected and flowing and newest else now

    async def _pump(self, stream: MarketStream) -> None:
        async for items in stream.batches():
            self._incoming.append(items)
            self._last_batch_mono = monotonic_ms()
            self._wake.set()
            while len(self._incoming) >= 4:
                self._room.clear()
                await self._room.wait()

    # --- asking -----------------------------------------------------------------------------------------------------

    @property
    def _asking(self) -> bool:
        return self._desk.asking > 0 or self._asking_funding

    async def _ask(self, want: Want, now_ms: int) -> None:
        """Fetch a want and hand the answer in. A failure is noted and tried again later."""
        symbol, assembler = want.symbol, self._assembler
        if symbol not in assembler.symbols:
            return
        missing = [ts for ts in range(want.from_ms, want.to_ms + 1, MINUTE_MS) if not assembler.has(symbol, ts)[0]]
        try:
            after = assembler.last_close(symbol)
            answer = await fetch(self._venue, want, settled_after_ms=after, posted_ms=assembler.config.posted_ms)
            if symbol not in assembler.symbols:
                return
            if want.needs_mark and not assembler.knows_next_funding(symbol, want.to_ms):
                for premium in await self._venue.premium_index(symbol):
                    assembler.on_next_funding(symbol, premium.next_funding_ts_ms)
        except VenueError as exc:
            self._quality.add(now_ms, symbol, "REST_FAILED", str(exc)[:300], error=exc.code)
            if self._catching_up and not isinstance(exc, VenueRejectedError):
                self._unreached = True  # at the start that is everyone's trouble, not this symbol's
                return
            self._gaps += self._desk.failed(symbol, monotonic_ms(), now_ms)
            return
        if symbol not in assembler.symbols:
            return
        self._hand_in(answer)
        now = max(now_ms, self._now())
        self._late += self._gate.add(assembler.take_ready(now, self._clock.now_ms(), everyone=True))
        self._gaps += self._desk.answered(answer, missing, now, monotonic_ms())
        self._checked_mono = 0.0  # look at once: the minute may be complete now
        self._late += self._gate.add(assembler.take_ready(now, self._clock.now_ms(), everyone=True))

    def _hand_in(self, answer: Answer) -> None:
        want, assembler = answer.want, self._assembler
        for settlement in answer.settlements:
            assembler.on_settlement(settlement)
        self._settlements += answer.settlements
        if answer.funded_through_ms is not None:
            assembler.on_funding_history(want.symbol, answer.funded_through_ms)
        have = {index.ts_ms for index in answer.indexes}
        lacking: Sequence[int] = ()
        if want.needs_index and (not have or self._desk.attempts(want.symbol) >= self._config.repair.attempts):
            # None at all while marks came, or still none on a further try: the exchange has no index here.
            lacking = [mark.ts_ms for mark in answer.marks if mark.ts_ms not in have]
        now = max(self._clock.now_ms(), want.to_ms + MINUTE_MS)
        assembler.on_rest(want.symbol, answer.bars, answer.marks, answer.indexes, now, no_index=lacking)

    def _ask_settlements(self, now_ms: int, mono_ms: float) -> None:
        missing = self._assembler.missing_settlements(now_ms)
        if not missing or self._asking_funding or mono_ms < self._funding_pause_mono or now_ms < self._funding_pause_ms:
            return
        self._asking_funding = True
        self._spawn(self._settle(missing))

    async def _settle(self, missing: dict[int, list[str]]) -> None:
        """Ask for the rates of ``missing``; an answer without one is judged by how late it was given."""
        try:
            # The exchange's own time, asked first: ours may be ahead of an exchange that was away.
            asked_ms = await self._venue.server_time_ms()
            found = await fetch_due_settlements(self._venue, missing, self._assembler.symbols)
            for settlement in found:
                self._assembler.on_settlement(settlement)
            self._settlements += found
            # Only an answer given after history must hold the rate says that there is none.
            told = [due for due in missing if asked_ms - due >= self._assembler.config.posted_ms]
            self._funding_asks = {due: self._funding_asks.get(due, 0) + 1 for due in told}
            have = {(settlement.symbol, settlement.ts_ms) for settlement in found}
            for due in told:
                for symbol in missing[due]:
                    if (symbol, due) not in have:
                        self._without_rate(symbol, due, asked_ms)
        except VenueError as exc:
            self._quality.add(self._clock.now_ms(), None, "REST_FAILED", f"funding: {exc}"[:300], error=exc.code)
        finally:
            # A second of market time; where events alone move it, asking again before they did could not help.
            self._funding_pause_ms = self._now() + 1_000
            self._funding_pause_mono = monotonic_ms() + 20
            self._asking_funding = False
            self._wake.set()

    def _without_rate(self, symbol: str, due_ms: int, asked_ms: int) -> None:
        """History has no rate where it must hold one: nothing was settled, unless the exchange had announced it."""
        if self._assembler.announced(symbol, due_ms):
            # Old alone is no reason: after a pause of ours it may be asked for the first time now.
            if asked_ms - due_ms <= self._config.funding_waive_ms or self._funding_asks[due_ms] < _FUNDING_ASKS:
                return
            self._gaps.append(GapReport(symbol, "funding_rates", due_ms, due_ms, 1, asked_ms, status="unavailable"))
        self._assembler.on_no_settlement(symbol, due_ms)

    def _refresh(self, now_ms: int) -> None:
        if now_ms >= self._refresh_due_ms and not self._refreshing:
            since = self._refresh_due_ms - 2 * self._config.refresh_ms
            self._refresh_due_ms = now_ms + self._config.refresh_ms
            self._refreshing = True
            self._spawn(self._refresh_now(since, now_ms))

    async def _refresh_now(self, since_ms: int, now_ms: int) -> None:
        try:
            symbols = [s for s in self._assembler.symbols if s not in self._gate.absent]
            # Not `+= await`: that adds to the list as it was before, and what came meanwhile would be lost.
            settlements = await refresh_settlements(self._venue, symbols, since_ms, now_ms + 1)
            self._settlements += settlements
            open_interest = await refresh_open_interest(self._venue, symbols, since_ms, now_ms + 1)
            self._open_interest += open_interest
        except VenueError as exc:
            self._quality.add(now_ms, None, "REST_FAILED", f"refresh: {exc}"[:300], error=exc.code)
        finally:
            self._refreshing = False

    async def _sample_clock(self) -> None:
        with contextlib.suppress(VenueError):
            server_ms = await self._venue.server_time_ms()
            if isinstance(self._clock, ManualClock):
                self._clock.advance_to(server_ms)

    # --- tasks ------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()  # a broken invariant: run() raises it
        self._wake.set()

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _assembler_config(self) -> AssemblerConfig:
        # REST is asked halfway to the deadline, so that what it has still comes on time.
        half = self._deadline_ms // 2
        return AssemblerConfig(self._config.min_samples, deadline_ms=half, grace_ms=half)


def _start(last_ts: int | None, now_ms: int) -> int:
    """A symbol without history starts with the minute under way."""
    return floor_minute(now_ms) - MINUTE_MS if last_ts is None else last_ts
