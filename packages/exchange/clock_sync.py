"""Keeps our clock on the exchange's (execution.md 23)."""

import asyncio
from typing import Protocol

from packages.common.errors import VenueError
from packages.common.time import Clock, ManualClock, ScaledClock, monotonic_ms


class TimeSource(Protocol):
    async def server_time_ms(self) -> int: ...


async def sample_clock(venue: TimeSource, clock: Clock, samples: int = 1) -> float:
    """Ask the exchange's time ``samples`` times; returns the last correction in market milliseconds.

    A ``ManualClock`` (as fast as the consumer follows) is moved by events and only started here.
    """
    correction = 0.0
    for _ in range(samples):
        sent = monotonic_ms()
        server_ms = await venue.server_time_ms()
        received = monotonic_ms()
        if isinstance(clock, ScaledClock):
            correction = clock.sample(server_ms, sent, received)
        elif isinstance(clock, ManualClock) and clock.now_ms() == 0:
            clock.advance_to(server_ms)
    return correction


async def keep_synchronised(venue: TimeSource, clock: Clock, *, every_s: float = 10.0) -> None:
    """Sample for ever, every ``every_s`` wall seconds; a failed sample is skipped. Ends when cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await sample_clock(venue, clock)
        except VenueError:
            continue
