"""The account's events: one socket, one listenKey, kept alive and replaced together (execution.md 20, reference §5).

A user stream is silent while nothing happens, so silence is no sign of death: the socket is pinged, and the key is
extended every 20 minutes. A key that is gone leaves its stream open and silent (incident 5); then both are made anew.
The key is never deleted: that would end every reader of the account.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import aiohttp
import numpy as np

from packages.common.errors import VenueError, VenueRejectedError
from packages.common.time import HOUR_MS, MINUTE_MS, Clock, monotonic_ms
from packages.common.types import QualityEvent
from packages.exchange.backoff import backoff_s
from packages.exchange.binance.codec_user import Other, decode_user
from packages.exchange.binance.connection import Outbox
from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.binance.transport import plain
from packages.exchange.port import Connected, Disconnected
from packages.exchange.trading import ListenKeyExpired, UserItem, UserStreamStats

NO_SUCH_KEY = -1125
_SHOWN = 200


class ListenKeys(Protocol):
    """The exchange's side of the key; ``Trading`` is one."""

    async def create_listen_key(self) -> str: ...

    async def keep_listen_key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class UserStreamConfig:
    """``*_ms`` is market time, ``*_s`` wall time. A ping every ``ping_s``; unanswered for half as long is an end."""

    keep_every_ms: int = 20 * MINUTE_MS
    keep_retry_ms: int = 10_000
    key_life_ms: int = 60 * MINUTE_MS
    rotate_after_ms: int = 23 * HOUR_MS
    ping_s: float = 10.0
    backoff_s: float = 0.25
    backoff_max_s: float = 5.0
    connect_timeout_s: float = 10.0
    bound: int = 20_000


class BinanceUserStream:
    """``UserStream``. ``async with`` starts and stops it; ``batches`` has one consumer."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoints: Endpoints,
        keys: ListenKeys,
        clock: Clock,
        rng: np.random.Generator,
        config: UserStreamConfig | None = None,
    ) -> None:
        self._session, self._endpoints, self._keys = session, endpoints, keys
        self._clock, self._rng = clock, rng
        self._config = config or UserStreamConfig()
        self._out = Outbox[UserItem](self._config.bound)
        self._task: asyncio.Task[None] | None = None
        self._given_up: asyncio.Future[str] | None = None
        self._connected_mono: float | None = None
        self._frame_mono: float | None = None
        self._attempt = 0
        self._frames = self._bad_frames = self._reconnects = 0

    async def __aenter__(self) -> "BinanceUserStream":
        self._task = asyncio.create_task(self._run(), name="user-stream")
        # A fault of ours must not leave a reader waiting for an account that seems quiet.
        self._task.add_done_callback(lambda _: self._out.close())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def batches(self) -> AsyncIterator[list[UserItem]]:
        """Lists of what came since the last one, in the order in which it came; raises what ended the stream, if it
        was a fault of ours."""
        while batch := await self._out.take():
            yield batch
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def reconnect(self, reason: str) -> None:
        """Give up this connection for a new one; without one, nothing."""
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(reason)

    def stats(self) -> UserStreamStats:
        """State now."""
        now = monotonic_ms()
        return UserStreamStats(
            connected=self._connected_mono is not None,
            frame_age_ms=None if self._frame_mono is None else now - self._frame_mono,
            connected_age_ms=None if self._connected_mono is None else now - self._connected_mono,
            frames=self._frames,
            reconnects=self._reconnects,
            bad_frames=self._bad_frames,
            pending=len(self._out),
        )

    # --- the life of the stream ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        reason = "start"
        while True:
            try:
                # An active key is returned again and extended, so that each connection may simply ask for one.
                key = await self._keys.create_listen_key()
                socket = await self._open(key)
            except VenueRejectedError as exc:
                reason = str(exc)
                self._event("LISTEN_KEY_REFUSED", reason)
            except VenueError as exc:
                reason = str(exc)
            except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                reason = f"connect: {plain(exc)}"
            else:
                self._out.put(Connected(reason))
                reason = await self._serve(socket, key)
                self._out.put(Disconnected(reason))
                self._reconnects += 1
            self._attempt += 1
            await asyncio.sleep(backoff_s(self._attempt, self._config.backoff_s, self._config.backoff_max_s, self._rng))

    async def _open(self, key: str) -> aiohttp.ClientWebSocketResponse:
        url = self._endpoints.user_url(key, self._attempt)
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        async with asyncio.timeout(self._config.connect_timeout_s):
            return await self._session.ws_connect(
                url, timeout=timeout, heartbeat=self._config.ping_s, max_msg_size=1 << 20
            )

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse, key: str) -> str:
        """Until the first of: the socket ends, the key is lost, it is time for another socket, someone gives up."""
        self._connected_mono = monotonic_ms()
        self._given_up = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(work) for work in (self._read(socket, key), self._keep(key), self._rotate())]
        try:
            done, _ = await asyncio.wait({*tasks, self._given_up}, return_when=asyncio.FIRST_COMPLETED)
            # In the order of what they know: an end that was told says more than one that was decided.
            first = next(task for task in (*tasks, self._given_up) if task in done)
            return first.result()
        finally:
            lasted_ms = monotonic_ms() - self._connected_mono
            if lasted_ms >= self._config.backoff_max_s * 1e3:
                self._attempt = 0
            self._connected_mono = None
            self._given_up.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, key: str) -> str:
        """Decode until the socket ends; returns why. Nothing that comes over the wire raises."""
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                if message.type is aiohttp.WSMsgType.BINARY:
                    continue
                error = socket.exception()
                return f"closed ({socket.close_code}{'' if error is None else ', ' + plain(error)})"
            self._frames += 1
            self._frame_mono, self._attempt = monotonic_ms(), 0
            shown = message.data[:_SHOWN].replace(key, "<hidden>")
            try:
                item = decode_user(message.data)
            except (ValueError, RecursionError) as exc:
                self._bad_frames += 1
                self._event("BAD_FRAME", f"an event was lost, it does not decode: {exc}", shown)
                continue
            if isinstance(item, Other):
                if item.event == "serverShutdown":
                    return "the exchange announced its shutdown"
                if item.event is not None or item.error is not None:
                    self._event("UNKNOWN_EVENT", f"not an event that is known: {item.event or item.error}", shown)
                continue
            if self._out.put(item):
                await self._out.space()
            if isinstance(item, ListenKeyExpired):
                return "the listenKey expired"

    async def _keep(self, key: str) -> str:
        """Extend the key for as long as that works; returns why it no longer does."""
        kept_ms = self._clock.now_ms()
        await self._clock.sleep(self._config.keep_every_ms)
        while True:
            try:
                now_key = await self._keys.keep_listen_key()
            except VenueRejectedError as exc:
                if exc.venue_code == NO_SUCH_KEY:
                    return "the exchange knows no listenKey"
                self._event("LISTEN_KEY_REFUSED", str(exc))
            except VenueError:
                pass
            else:
                if now_key not in (key, ""):  # older answers did not repeat it
                    return "the exchange named another listenKey"
                kept_ms = self._clock.now_ms()
                await self._clock.sleep(self._config.keep_every_ms)
                continue
            if self._clock.now_ms() - kept_ms >= self._config.key_life_ms:
                return "the listenKey could not be extended within its life"
            await self._clock.sleep(self._config.keep_retry_ms)

    async def _rotate(self) -> str:
        await self._clock.sleep(self._config.rotate_after_ms)
        return "before the exchange ends it (24 h)"

    def _event(self, code: str, message: str, frame: str = "") -> None:
        details = {"frame": frame} if frame else {}
        self._out.put(QualityEvent(self._clock.now_ms(), None, code, message, details))
