"""The market's heartbeat: the instants of a minute, and when time may go on."""

import asyncio
from collections.abc import Callable

from packages.common.time import MINUTE_MS, monotonic_ms
from services.emulator.clock import MarketClock
from services.emulator.faults import Faults
from services.emulator.hub import Connection, Hub
from services.emulator.market import Market
from services.emulator.pushes import Pushes, schedule

# A free clock runs at most this many minutes ahead of what a reader has answered a ping for.
LEAD_MINUTES = 2
# It waits for newcomers to finish subscribing, and a moment for one that left to come back (milliseconds of ours).
SETTLE_MS = 250.0
RETURN_MS = 1_000.0
# A running clock that fell behind by more than this (a suspended machine) leaves the missed pushes out.
SKIP_BEHIND_MS = 3 * MINUTE_MS
SKIP_BEHIND_WALL_MS = 3_000.0


class Pump:
    """Pushes minute after minute. ``save`` is called with the market's position now and then, ``tick`` with
    every instant, after its pushes: what trading makes of it follows the prices."""

    def __init__(
        self,
        market: Market,
        clock: MarketClock,
        hub: Hub,
        faults: Faults,
        kline_updates: int,
        save: Callable[[int], None],
        tick: Callable[[int], None],
    ) -> None:
        self._clock, self._hub, self._save, self._tick = clock, hub, save, tick
        self._plan = schedule(market.mark_updates, kline_updates)
        self._push = Pushes(market, hub, faults, kline_updates).push
        self._saved_ms = 0.0

    async def run(self) -> None:
        """Push until cancelled or the market ends."""
        number, jumps = self._clock.now_ms() // MINUTE_MS, self._clock.jumps
        while not self._clock.ended():
            if self._clock.free:
                await self._readers_ready()
            if self._clock.jumps != jumps:
                number, jumps = self._clock.now_ms() // MINUTE_MS, self._clock.jumps
            if self._clock.free:
                await self._free_minute(number)
            else:
                number = await self._running_minute(number)
            number += 1
        self._save(self._clock.now_ms())

    # --- time ---

    async def _free_minute(self, number: int) -> None:
        for instant in self._plan:
            self._clock.advance_to(number * MINUTE_MS + instant.at_ms)
            self._push(number, instant)
            self._tick(number * MINUTE_MS + instant.at_ms)
        self._save(self._clock.now_ms())  # before anybody can see it: killed, an exchange does not go back in time
        self._hub.flush()
        readers = self._hub.readers()
        for connection in readers:
            await connection.drain()
        await asyncio.gather(*(self._mark(connection) for connection in readers))
        await asyncio.sleep(0)

    async def _running_minute(self, number: int) -> int:
        open_ms, jumps = number * MINUTE_MS, self._clock.jumps
        behind = self._clock.now_ms() - (open_ms + MINUTE_MS)
        if behind > SKIP_BEHIND_MS and behind / self._clock.speed > SKIP_BEHIND_WALL_MS:
            return self._clock.now_ms() // MINUTE_MS - 1
        for instant in self._plan:
            due_ms = open_ms + instant.at_ms
            wait = due_ms - self._clock.now_ms()
            if wait > 0:
                self._hub.flush()
                self._save_sometimes()
                await self._clock.sleep(wait)
                while self._clock.now_ms() < due_ms and not self._clock.ended() and self._clock.jumps == jumps:
                    await self._clock.sleep(due_ms - self._clock.now_ms())
                if self._clock.jumps != jumps:
                    break
                if self._clock.now_ms() < due_ms:  # the market ended within the minute
                    break
            elif instant.number % 16 == 0:
                await asyncio.sleep(0)  # catching up must not starve the rest
            self._push(number, instant)
            self._tick(due_ms)
        self._hub.flush()
        return number

    async def _readers_ready(self) -> None:
        """Wait for a reader, for subscriptions to settle, and briefly for one that just left."""
        while True:
            if not self._hub.market_listeners():
                self._save(self._clock.now_ms())
            await self._hub.market_listener()
            now = monotonic_ms()
            wait = max(self._hub.joined_ms + SETTLE_MS - now, self._hub.left_ms + RETURN_MS - now)
            if wait <= 0:
                return
            await asyncio.sleep(wait / 1e3)

    async def _mark(self, connection: Connection) -> None:
        """Ping after the minute; wait while more than ``LEAD_MINUTES`` of them are unanswered."""
        if not connection.alive or connection.dead:
            return
        connection.sent_marks += 1
        try:
            await connection.socket.ping(b"m%d" % connection.sent_marks)
        except (ConnectionError, RuntimeError):
            connection.alive = False
        while connection.alive and connection.sent_marks - connection.seen_marks > LEAD_MINUTES:
            connection.mark_seen.clear()
            await connection.mark_seen.wait()

    def _save_sometimes(self) -> None:
        now = monotonic_ms()
        if now - self._saved_ms > 500.0:
            self._saved_ms = now
            self._save(self._clock.now_ms())
