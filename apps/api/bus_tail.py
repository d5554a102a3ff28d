"""The one reader of the bus for all screens (§19.2)."""

import asyncio
from typing import Any, cast

import orjson
import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolClosed, PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.api.channels import CHANNELS, Kind
from apps.api.gateway import Hub
from apps.api.keyed import NewestRows
from apps.api.queries.status import SILENT_AFTER_MS
from packages.common.time import monotonic_ms

log = structlog.get_logger(__name__)

Entries = list[tuple[bytes, dict[bytes, bytes]]]  # (id, fields), as RESP2 brings them

_BLOCK_MS = 1000
_BATCH = 256
_REPLAYED = 32  # messages that certainly reach back to a whole minute of signals
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0)


class BusTail:
    """Reads every channel's stream from its newest entry on and hands the messages to the hub."""

    def __init__(self, redis: Redis, hub: Hub) -> None:
        self._redis, self._hub = redis, hub
        self._signals = NewestRows()
        self._places: dict[str, bytes] = {}
        self._status_at_ms = monotonic_ms()

    async def run(self) -> None:
        """Read until cancelled; an unreachable bus is asked again, screens stay open meanwhile."""
        failures = 0
        while True:
            try:
                await self._find_ends()
                while True:
                    await self.step()
                    self._hub.metrics.bus_up.set(1)
                    failures = 0
            except (RedisError, OSError) as exc:
                self._hub.metrics.bus_up.set(0)
                if failures == 0:
                    log.warning("bus_unreachable", error=str(exc))
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    async def _find_ends(self) -> None:
        """Start each stream at its newest entry, whose message is the state so far; then go on where we were."""
        for channel in CHANNELS:
            if channel in self._places:
                continue
            kind = CHANNELS[channel]
            count = _REPLAYED if kind is Kind.KEYED else 1
            newest: Entries = cast(Entries, await self._redis.xrevrange(channel, count=count))
            if kind is not Kind.EVENTS:
                self._publish(channel, newest[::-1])
            self._places[channel] = newest[0][0] if newest else b"0-0"

    async def step(self) -> None:
        """Wait up to a second for messages and hand them on."""
        places: dict[Any, Any] = dict(self._places)
        found = await self._redis.xread(places, count=_BATCH, block=_BLOCK_MS)
        for name, entries in cast(list[tuple[bytes, Entries]], found or []):
            channel = name.decode()
            self._places[channel] = entries[-1][0]
            self._hub.metrics.bus_messages.labels(channel).inc(len(entries))
            if channel == "status_updates":
                self._status_at_ms = monotonic_ms()
            # of several complete states only the newest is worth anybody's time
            self._publish(channel, entries[-1:] if CHANNELS[channel] is Kind.STATE else entries)

    def _publish(self, channel: str, entries: Entries) -> None:
        for _, fields in entries:
            data = fields.get(b"data", b"")
            try:
                if CHANNELS[channel] is Kind.KEYED:
                    data = self._signals.merge(data)
                else:
                    orjson.loads(data)  # a broken message must not break every screen's frame
            except ValueError as exc:  # no JSON, or not rows
                self._hub.metrics.bus_bad.labels(channel).inc()
                log.warning("bus_message_refused", channel=channel, error=str(exc))
                continue
            self._hub.publish(channel, data.decode())

    async def watch_status(self) -> None:
        """While the worker says nothing, tell the screens so: their last word must not stay "all is well"."""
        while True:
            await asyncio.sleep(SILENT_AFTER_MS / 4e3)
            if monotonic_ms() - self._status_at_ms < SILENT_AFTER_MS or not self._hub.listening("status_updates"):
                continue
            try:
                self._hub.publish("status_updates", await self._hub.snapshot("status_updates"))
            except (DatabaseError, PoolTimeout, PoolClosed) as exc:
                log.warning("status_unknown", error=str(exc))
