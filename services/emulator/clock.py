"""The exchange's own time: runs at a factor of ours, or as fast as the streams are read; survives a kill."""

import asyncio
import math
import os
from pathlib import Path

import orjson

from packages.common.time import MINUTE_MS, monotonic_ms, wall_ms

# A stop shorter than this is part of the market: at a finite speed time went on without us. After a longer one (the
# desk was shut for the night) the market resumes where it stood, instead of jumping by days.
CATCH_UP_WALL_MS = 120_000
# Windows of limits at speed "max" last as long as at this speed; nothing else could reset them while time stands still.
LIMIT_SPEED = 600.0


class MarketClock:
    """A ``packages.common.time.Clock``. At a finite ``speed`` it runs by itself; at ``inf`` the pump moves it.

    ``end_ms`` is where the market ends: time stands still there.
    """

    def __init__(self, position_ms: int, speed: float, end_ms: int | None = None) -> None:
        if not speed > 0:
            raise ValueError(f"speed: got {speed!r}, expected a factor > 0, or inf")
        self._speed = speed
        self._anchor_ms = float(position_ms)
        self._mono_ms = monotonic_ms()
        self._end_ms = end_ms
        self.jumps = 0  # how often time was set

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def free(self) -> bool:
        """True when events alone move the clock."""
        return math.isinf(self._speed)

    def now_ms(self) -> int:
        now = self._anchor_ms
        if not self.free:
            now += (monotonic_ms() - self._mono_ms) * self._speed
        return int(now if self._end_ms is None else min(now, self._end_ms))

    def ended(self) -> bool:
        return self._end_ms is not None and self.now_ms() >= self._end_ms

    def advance_to(self, ts_ms: int) -> None:
        """Move a free clock forward; the pump's."""
        self._anchor_ms = max(self._anchor_ms, float(ts_ms))

    def set_to(self, ts_ms: int) -> None:
        """Rewind, or jump ahead: the admin port's."""
        self._anchor_ms, self._mono_ms = float(ts_ms), monotonic_ms()
        self.jumps += 1

    async def sleep(self, market_ms: float) -> None:
        if self.free:
            until = self._anchor_ms + market_ms
            while self._anchor_ms < until:  # noqa: ASYNC110 - the pump need not know who sleeps
                await asyncio.sleep(0.005)
        else:
            await asyncio.sleep(max(0.0, market_ms) / self._speed / 1e3)

    async def pause(self, market_ms: float) -> None:
        """Like ``sleep``, but measured as limits are: it ends also while a free clock stands still."""
        await asyncio.sleep(self.wall_s(market_ms))

    def wall_s(self, market_ms: float) -> float:
        """Seconds of ours that ``pause`` takes."""
        return market_ms / (LIMIT_SPEED if self.free else self._speed) / 1e3

    def limit_ms(self) -> float:
        """Time that windows of rate limits are measured in: market time, also while a free clock stands still."""
        return monotonic_ms() * (LIMIT_SPEED if self.free else self._speed)


class ClockFile:
    """Where the market stands, on disk: written often, whole or not at all."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path, self._identity = path, identity
        path.parent.mkdir(parents=True, exist_ok=True)

    def save(self, market_ms: int) -> None:
        text = orjson.dumps({"identity": self._identity, "market_ms": market_ms, "wall_ms": wall_ms()})
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(text)
        os.replace(partial, self._path)  # no fsync: what must survive is a kill, and losing seconds is harmless

    def load(self, speed: float) -> int | None:
        """Market time to go on at; None at the first start, for another market, or when the file is damaged."""
        try:
            saved = orjson.loads(self._path.read_bytes())
            identity, market_ms, saved_wall_ms = saved["identity"], int(saved["market_ms"]), int(saved["wall_ms"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        if identity != self._identity:
            return None
        away_ms = wall_ms() - saved_wall_ms
        if math.isinf(speed) or not 0 <= away_ms <= CATCH_UP_WALL_MS:
            return market_ms
        return int(market_ms + away_ms * speed)


def first_position(start_ms: int, end_ms: int | None, history_days: int) -> int:
    """Where a market begins to be live: after its history, of which a short recording gives two thirds."""
    position = start_ms + history_days * 1440 * MINUTE_MS
    if end_ms is not None and position > end_ms - 1440 * MINUTE_MS:
        position = start_ms + (end_ms - start_ms) * 2 // 3
    return position // MINUTE_MS * MINUTE_MS
