"""The live market streams: one socket a category, kept alive. Order of effects only; frames are ``connection``'s.

Reconnects with exponential backoff and jitter, changes its socket before the exchange does (24 h), and takes
"subscribed but no frame" for a failure: retired addresses connect, acknowledge and stay silent (incident 26).
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import aiohttp
import numpy as np

from packages.common.time import HOUR_MS, Clock, monotonic_ms
from packages.common.types import QualityEvent
from packages.exchange.backoff import backoff_s
from packages.exchange.binance.connection import Connection, Outbox, event_ms, stream_names
from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.port import Connected, Disconnected, StreamItem, StreamStats


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """``*_ms`` is market time, ``*_s`` wall time. Silence is never judged faster than ``silence_floor_s``, because
    that much may be our own delay on an accelerated market."""

    category: str = "market"
    silence_ms: int = 30_000
    silence_floor_s: float = 5.0
    rotate_after_ms: int = 23 * HOUR_MS
    overlap_s: float = 10.0
    backoff_s: float = 0.25
    backoff_max_s: float = 30.0
    connect_timeout_s: float = 10.0
    bound: int = 20_000


class BinanceStream:
    """``MarketStream`` of one category. ``async with`` starts and stops it; ``batches`` has one consumer."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoints: Endpoints,
        clock: Clock,
        rng: np.random.Generator,
        *,
        symbols: Sequence[str],
        config: StreamConfig | None = None,
    ) -> None:
        self._session, self._endpoints, self._clock, self._rng = session, endpoints, clock, rng
        self._config = config or StreamConfig()
        self._symbols = list(symbols)
        self._out = Outbox[StreamItem](self._config.bound)
        self._current: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._attempt = 0
        self._past_frames = self._past_bad = 0
        self._reconnects = self._rotations = self._silences = 0
        self._last_frame_mono: float | None = None
        self._rate = 0.0

    async def __aenter__(self) -> "BinanceStream":
        self._task = asyncio.create_task(self._run(), name=f"stream-{self._config.category}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def batches(self) -> AsyncIterator[list[StreamItem]]:
        """Lists of what came since the last one, in order."""
        while batch := await self._out.take():
            yield batch

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Subscribe to what is new and drop what is gone; a reconnect uses the new list."""
        old, self._symbols = set(self._symbols), list(symbols)
        if self._current is None:
            return
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            gone = stream_names(sorted(old - set(symbols)))
            new = stream_names([s for s in symbols if s not in old])
            if gone:
                await self._current.request("UNSUBSCRIBE", gone)
            if new:
                await self._current.request("SUBSCRIBE", new)

    @property
    def backlog(self) -> bool:
        """True while decoded items wait to be taken."""
        return len(self._out) > 0

    def stats(self) -> StreamStats:
        """State now; healthy means frames come, not that a socket stands."""
        age = None if self._last_frame_mono is None else monotonic_ms() - self._last_frame_mono
        connected = self._current is not None
        return StreamStats(
            connected=connected,
            healthy=connected and age is not None and age <= self._silence_s() * 1e3,
            frame_age_ms=age,
            frames=self._past_frames + (self._current.frames if self._current else 0),
            frames_per_s=self._rate,
            reconnects=self._reconnects,
            rotations=self._rotations,
            silences=self._silences,
            bad_frames=self._past_bad + (self._current.bad_frames if self._current else 0),
            pending=len(self._out),
        )

    # --- the life of the stream ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        reason = "start"
        while True:
            try:
                connection = await self._open(self._out)
            except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                reason = f"{type(exc).__name__}: {exc}"
            else:
                self._out.put(Connected(reason))
                reason = await self._serve(connection)
                self._out.put(Disconnected(reason))
                self._reconnects += 1
            await self._back_off()

    async def _open(self, out: Outbox[StreamItem]) -> Connection:
        url = self._endpoints.stream_url(self._config.category, self._attempt)
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        async with asyncio.timeout(self._config.connect_timeout_s):
            ws = await self._session.ws_connect(url, timeout=timeout, max_msg_size=1 << 20)
            connection = Connection(ws, out, self._clock.now_ms)
            await connection.request("SUBSCRIBE", stream_names(self._symbols))
        return connection

    async def _serve(self, connection: Connection) -> str:
        """Read until the stream ends for good; returns why. Changes the socket in between when it is due."""
        reader = asyncio.create_task(connection.read())
        while True:
            self._current = connection
            successor: tuple[Connection, asyncio.Task[str]] | None = None
            try:
                reason = await self._watch(connection, reader)
                if reason is None:
                    successor = await self._hand_over(connection, reader)
                    reason = None if successor else "rotation failed"
            finally:
                self._past_frames += connection.frames
                self._past_bad += connection.bad_frames
                self._current = None
                await _end(connection, reader)
            if successor is None:
                return reason or "unknown"
            connection, reader = successor
            self._rotations += 1

    async def _watch(self, connection: Connection, reader: "asyncio.Task[str]") -> str | None:
        """Return why the connection is over, or None when it is due for rotation."""
        born, silent_ticks, seen = monotonic_ms(), 0, 0
        tick_s = self._silence_s() / 4
        while True:
            done, _ = await asyncio.wait({reader}, timeout=tick_s)
            if done:
                return _outcome(reader)
            if connection.frames > seen:
                self._rate = (connection.frames - seen) / tick_s
                self._last_frame_mono, self._attempt = monotonic_ms(), 0
                seen, silent_ticks = connection.frames, 0
            elif not connection.blocked:
                # Ticks, not a difference of times: while this process itself stood still, only one tick went by.
                silent_ticks += 1
            if silent_ticks >= 4:
                self._silences += 1
                self._rate = 0.0
                message = f"subscribed to {len(self._symbols)} symbols, no frame for {self._silence_s():.1f} s"
                self._out.put(QualityEvent(self._clock.now_ms(), None, "STREAM_SILENT", message))
                return message
            if (monotonic_ms() - born) * self._clock.speed >= self._config.rotate_after_ms and self._paced:
                return None

    async def _hand_over(
        self, old: Connection, reader: "asyncio.Task[str]"
    ) -> tuple[Connection, "asyncio.Task[str]"] | None:
        """Open the successor and hold its items until the old socket has told everything up to them.

        None when that failed or the old socket died first; then a plain reconnect follows, which owns to a gap.
        """
        held = Outbox[StreamItem](self._config.bound)
        try:
            new = await self._open(held)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        new_reader = asyncio.create_task(new.read())
        first: list[StreamItem] = []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.overlap_s
        overlapped = False
        while loop.time() < deadline and not (overlapped or reader.done() or new_reader.done()):
            await asyncio.sleep(0.01)
            first += held.drain()
            start = next((t for t in map(event_ms, first) if t is not None), None)
            # A second more than equal: the exchange does not order symbols within an instant.
            overlapped = start is not None and old.newest_event_ms > start + 1_000
        if not overlapped:
            await _end(new, new_reader)
            return None
        for item in [*first, *held.drain()]:
            self._out.put(item)
        new.out = self._out
        held.close()
        return new, new_reader

    async def _back_off(self) -> None:
        self._attempt += 1
        await asyncio.sleep(backoff_s(self._attempt, self._config.backoff_s, self._config.backoff_max_s, self._rng))

    def _silence_s(self) -> float:
        market_s = 0.0 if not self._paced else self._config.silence_ms / self._clock.speed / 1e3
        return max(market_s, self._config.silence_floor_s)

    @property
    def _paced(self) -> bool:
        return math.isfinite(self._clock.speed)


async def _end(connection: Connection, reader: "asyncio.Task[str]") -> None:
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, OSError):
        await reader
    await connection.ws.close()


def _outcome(reader: "asyncio.Task[str]") -> str:
    error = reader.exception()
    return reader.result() if error is None else f"{type(error).__name__}: {error}"
