"""The bus: Redis Streams under the channel names of §19.2, one field ``data`` of JSON each.

Publishing never waits: messages go to a bounded buffer that a task sends in pipelines. Without Redis the buffer keeps
the newest; of a state channel the oldest are dropped (each message is complete state, so the newest says all) and
counted. What must not be dropped goes through ``send``, which says whether it arrived.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import orjson
import redis
import redis.asyncio
from pydantic import BaseModel
from redis.asyncio import Redis

from packages.common.errors import StoreUnavailableError

log = logging.getLogger(__name__)

STATE_CHANNELS = (
    "status_updates",
    "account_updates",
    "position_updates",
    "order_updates",
    "signal_updates",
    "risk_events",
    "training_updates",
)
_DOWN = (redis.RedisError, OSError)
_BACKOFF_S = (0.05, 2.0)
_BATCH = 500


class Message(NamedTuple):
    """``id`` is Redis's; ``raw`` the JSON as it was published."""

    channel: str
    id: str
    raw: bytes

    def json(self) -> Any:
        return orjson.loads(self.raw)


@dataclass(frozen=True, slots=True)
class BusMetrics:
    """``dropped``: state messages given up since the start because Redis was away or slow."""

    buffered: int
    published: int
    dropped: int
    connected: bool
    last_error: str | None


def encode(payload: object) -> bytes:
    """JSON of a DTO, a list of DTOs or plain values; NaN becomes null, bytes are taken as JSON already."""
    if isinstance(payload, bytes):
        return payload
    return orjson.dumps(payload, default=_dto, option=orjson.OPT_SERIALIZE_NUMPY)


def _dto(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")


class Bus:
    """One per process: ``async with Bus(url) as bus``. Reading and writing, each on connections of their own."""

    def __init__(self, url: str, *, max_length: int = 2_000, buffer: int = 10_000) -> None:
        """``max_length``: messages kept per channel, roughly; ``buffer``: messages held while Redis is away."""
        self._client: Redis = redis.asyncio.from_url(url, socket_connect_timeout=2, socket_keepalive=True)
        self._max_length, self._limit = max_length, buffer
        self._buffer: deque[tuple[str, bytes]] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._published = self._dropped = 0
        self._error: str | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="bus-publisher")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self, timeout_s: float = 2.0) -> None:
        """Send what is buffered, for at most ``timeout_s``, then close."""
        if self._task is not None:
            with contextlib.suppress(StoreUnavailableError):
                await self.flush(timeout_s)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._client.aclose()

    # --- publishing -------------------------------------------------------------------------------------------------

    def publish(self, channel: str, payload: object) -> None:
        """Buffer one message and return at once. For state channels; what must arrive goes through ``send``."""
        self._buffer.append((channel, encode(payload)))
        if len(self._buffer) > self._limit:
            self._buffer.popleft()
            self._dropped += 1
        self._idle.clear()
        self._wake.set()

    def publish_many(self, messages: Iterable[tuple[str, object]]) -> None:
        """Buffer several messages; they leave in one pipeline."""
        for channel, payload in messages:
            self.publish(channel, payload)

    async def send(self, channel: str, payload: object) -> str:
        """Publish now and return the message's id. Raises StoreUnavailableError when it may not have arrived."""
        try:
            key = await self._client.xadd(channel, {"data": encode(payload)}, maxlen=self._max_length, approximate=True)
        except _DOWN as exc:
            raise StoreUnavailableError(f"Redis: {exc}") from exc
        return _text(key)

    async def flush(self, timeout_s: float | None = None) -> None:
        """Return when the buffer is empty. Raises StoreUnavailableError after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError as exc:
            raise StoreUnavailableError(f"{len(self._buffer)} messages not sent: {self._error}") from exc

    @property
    def metrics(self) -> BusMetrics:
        return BusMetrics(len(self._buffer), self._published, self._dropped, self._error is None, self._error)

    async def _run(self) -> None:
        backoff = _BACKOFF_S[0]
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._buffer:
                batch = [self._buffer.popleft() for _ in range(min(_BATCH, len(self._buffer)))]
                try:
                    await self._send_batch(batch)
                except BaseException as exc:
                    self._buffer.extendleft(reversed(batch))
                    if not isinstance(exc, _DOWN):
                        raise
                    while len(self._buffer) > self._limit:
                        self._buffer.popleft()
                        self._dropped += 1
                    if self._error is None:
                        log.warning("redis_lost: %s", exc)
                    self._error = str(exc) or type(exc).__name__
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, _BACKOFF_S[1])
                else:
                    self._published += len(batch)
                    self._error, backoff = None, _BACKOFF_S[0]
            self._idle.set()

    async def _send_batch(self, batch: list[tuple[str, bytes]]) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for channel, data in batch:
                pipe.xadd(channel, {"data": data}, maxlen=self._max_length, approximate=True)
            await pipe.execute()

    # --- fan-out: every reader sees every message -------------------------------------------------------------------

    async def latest(self, channel: str) -> Message | None:
        """The newest message of a channel: with complete-state messages, the state. None when there is none."""
        try:
            found = await self._client.xrevrange(channel, count=1)
        except _DOWN as exc:
            raise StoreUnavailableError(f"Redis: {exc}") from exc
        return _message(channel, found[0]) if found else None

    async def tail(self, channels: Iterable[str], *, since: dict[str, str] | None = None) -> AsyncIterator[Message]:
        """Yield messages of ``channels`` as they come, for ever; a lost connection is taken up where it broke.

        ``since``: the last id seen per channel; a channel without one begins with what is published from now on.
        """
        places = dict(since or {})
        backoff = _BACKOFF_S[0]
        wanted = list(channels)
        while True:
            try:
                for channel in wanted:
                    if channel not in places:  # "$" again after a reconnect would skip what came meanwhile
                        newest = await self._client.xrevrange(channel, count=1)
                        places[channel] = _message(channel, newest[0]).id if newest else "0-0"
                found = await self._client.xread({c: places[c] for c in wanted}, block=2_000, count=_BATCH)
                backoff = _BACKOFF_S[0]
            except _DOWN as exc:
                log.debug("redis_lost while reading: %s", exc)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _BACKOFF_S[1])
                continue
            for message in _messages(found):
                places[message.channel] = message.id
                yield message

    # --- consumer groups: every message is handled once -------------------------------------------------------------

    async def consume(
        self, channel: str, group: str, consumer: str, *, claim_after_ms: int = 30_000
    ) -> AsyncIterator[Message]:
        """Yield messages of ``channel`` for this consumer of ``group``, for ever; call ``ack`` after handling one.

        First come our own unacknowledged messages, then those another consumer has left for ``claim_after_ms``, then
        new ones. The group begins with the oldest message kept. A message may come twice: effects must be repeatable.
        """
        pending_from: str | None = "0"
        backoff = _BACKOFF_S[0]
        while True:
            try:
                if pending_from is not None:
                    await self._make_group(channel, group)
                    found = await self._client.xreadgroup(group, consumer, {channel: pending_from}, count=_BATCH)
                    messages = _messages(found)
                    pending_from = messages[-1].id if messages else None
                else:
                    messages = await self._claim(channel, group, consumer, claim_after_ms)
                    if not messages:
                        block = max(1, min(2_000, claim_after_ms))
                        found = await self._client.xreadgroup(
                            group, consumer, {channel: ">"}, count=_BATCH, block=block
                        )
                        messages = _messages(found)
                backoff = _BACKOFF_S[0]
            except _DOWN as exc:
                log.debug("redis_lost while consuming: %s", exc)
                pending_from = "0"  # what was delivered into a broken connection is pending now; the group may be gone
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _BACKOFF_S[1])
                continue
            for message in messages:
                if message.raw:
                    yield message
                else:  # trimmed away while pending
                    with contextlib.suppress(StoreUnavailableError):
                        await self.ack(message, group)

    async def ack(self, message: Message, group: str) -> None:
        """The message is handled. Raises StoreUnavailableError; it will then come again."""
        try:
            await self._client.xack(message.channel, group, message.id)
        except _DOWN as exc:
            raise StoreUnavailableError(f"Redis: {exc}") from exc

    async def lag(self, channel: str, group: str) -> int:
        """Messages of ``channel`` that ``group`` has not handled: not delivered yet, or not acknowledged."""
        try:
            for info in await self._client.xinfo_groups(channel):
                if _text(info["name"]) == group:
                    return int(info["lag"] or 0) + int(info["pending"])
            return int(await self._client.xlen(channel))
        except redis.ResponseError:
            return 0  # no such stream yet
        except _DOWN as exc:
            raise StoreUnavailableError(f"Redis: {exc}") from exc

    async def _make_group(self, channel: str, group: str) -> None:
        try:
            await self._client.xgroup_create(channel, group, id="0", mkstream=True)
        except redis.ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise

    async def _claim(self, channel: str, group: str, consumer: str, after_ms: int) -> list[Message]:
        answer = await self._client.xautoclaim(channel, group, consumer, min_idle_time=after_ms, count=_BATCH)
        return [_message(channel, entry) for entry in answer[1]]


class Publisher:
    """Publishing from a process without a loop, such as a batch job. A lost message is logged, never raised."""

    def __init__(self, url: str, *, max_length: int = 2_000) -> None:
        self._client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
        self._max_length = max_length

    def publish(self, channel: str, payload: object) -> bool:
        """Publish now; returns whether it arrived."""
        try:
            self._client.xadd(channel, {"data": encode(payload)}, maxlen=self._max_length, approximate=True)
        except _DOWN as exc:
            log.warning("redis_lost: %s", exc)
            return False
        return True

    def close(self) -> None:
        self._client.close()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _message(channel: str, entry: Any) -> Message:
    key, fields = entry
    return Message(channel, _text(key), (fields or {}).get(b"data", b""))


def _messages(answer: Any) -> list[Message]:
    streams = answer.items() if isinstance(answer, dict) else answer or ()
    out = []
    for channel, entries in streams:
        # RESP3 answers wrap the entries of a stream in one more list
        flat = (
            entries[0] if entries and isinstance(entries[0], list) and not isinstance(entries[0][0], bytes) else entries
        )
        out += [_message(_text(channel), entry) for entry in flat]
    return out
