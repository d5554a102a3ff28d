"""Clocks. Nothing else in the product reads the wall clock (D2).

Two kinds of time exist. *Market time* is the exchange's: epoch milliseconds that run ``speed`` times as fast as ours
when the exchange is an accelerated emulator. *Wall time* is this machine's; only process supervision uses it.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Clock(Protocol):
    """Market time."""

    @property
    def speed(self) -> float:
        """Market milliseconds in one of ours; ``inf`` when events alone move the clock."""

    def now_ms(self) -> int:
        """Epoch milliseconds, UTC."""

    async def sleep(self, market_ms: float) -> None:
        """Return when ``market_ms`` of market time have passed, or a little later."""


def wall_ms() -> int:
    """Wall clock of this machine, epoch milliseconds. For heartbeats and file names, never for a decision."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> float:
    """Milliseconds of a clock that never steps; only differences mean anything."""
    return time.monotonic_ns() / 1e6


class ScaledClock:
    """Market time that runs from an anchor at ``speed``; re-anchored by samples of the exchange's own time.

    With ``speed=1`` and samples it is the exchange-synchronised clock; without samples it is an accelerated one.
    """

    def __init__(self, anchor_market_ms: float, speed: float = 1.0) -> None:
        if not speed > 0 or speed == float("inf"):
            raise ValueError(f"speed: got {speed!r}, expected a finite number > 0")
        self._speed = speed
        self._market_ms = anchor_market_ms
        self._mono_ms = monotonic_ms()
        self._best_round_trip_ms = float("inf")

    @property
    def speed(self) -> float:
        return self._speed

    def now_ms(self) -> int:
        return int(self._market_ms + (monotonic_ms() - self._mono_ms) * self._speed)

    def sample(self, server_ms: int, sent_mono_ms: float, received_mono_ms: float) -> float:
        """Re-anchor on the exchange's time, halfway through the round trip; returns the correction in market ms.

        The sample of the shortest round trip wins (execution.md 23); the record ages, so that drift is followed.
        """
        round_trip = received_mono_ms - sent_mono_ms
        middle = (sent_mono_ms + received_mono_ms) / 2
        correction = server_ms - (self._market_ms + (middle - self._mono_ms) * self._speed)
        if round_trip <= self._best_round_trip_ms * 1.5 or abs(correction) > round_trip * self._speed + 1_000:
            self._market_ms, self._mono_ms = float(server_ms), middle
            self._best_round_trip_ms = min(round_trip, self._best_round_trip_ms * 1.1)
        return correction

    async def sleep(self, market_ms: float) -> None:
        await asyncio.sleep(max(0.0, market_ms) / self._speed / 1e3)


class SystemClock(ScaledClock):
    """This machine's clock as market time, for tools without an exchange."""

    def __init__(self) -> None:
        super().__init__(wall_ms())


class ManualClock:
    """Time stands still until told. Also the clock of a replay that runs as fast as its consumer: events move it."""

    def __init__(self, start_ms: int = 0) -> None:
        self._now_ms = start_ms

    @property
    def speed(self) -> float:
        return float("inf")

    def now_ms(self) -> int:
        return self._now_ms

    def advance_to(self, ts_ms: int) -> None:
        """Move forward; going back is ignored, as late events do."""
        self._now_ms = max(self._now_ms, ts_ms)

    async def sleep(self, market_ms: float) -> None:
        until = self._now_ms + market_ms
        while self._now_ms < until:  # noqa: ASYNC110 - whoever moves the clock need not know who sleeps
            await asyncio.sleep(0.005)


def floor_minute(ts_ms: int) -> int:
    """Open time of the minute that holds ``ts_ms``."""
    return ts_ms - ts_ms % MINUTE_MS


def round_minute(ts_ms: int) -> int:
    """Nearest minute: settlement times carry some milliseconds of jitter."""
    return floor_minute(ts_ms + MINUTE_MS // 2)


def to_datetime(ts_ms: int) -> datetime:
    """Aware UTC datetime, for the database and for display."""
    return datetime.fromtimestamp(ts_ms / 1e3, tz=UTC)


def from_datetime(when: datetime) -> int:
    """Epoch milliseconds of an aware datetime."""
    if when.tzinfo is None:
        raise ValueError(f"when: got the naive {when!r}, expected an aware datetime")
    return round(when.timestamp() * 1e3)


def iso(ts_ms: int) -> str:
    """``2026-01-31T23:59:00.000Z``, the form of every DTO."""
    return to_datetime(ts_ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ts_ms % 1000:03d}Z"
