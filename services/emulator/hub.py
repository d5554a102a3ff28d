"""Who listens to what: connections, their topics, and the writing of frames with back-pressure."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from packages.common.time import monotonic_ms
from services.emulator.render import frame
from services.emulator.topics import Topic

# What may wait in our memory for one reader before it is waited for (free clock) or cut off (running clock).
HIGH_WATER = 128 * 1024
TOO_SLOW = 64 * 1024 * 1024


class Connection:
    """One WebSocket. ``category``: market, public, private or legacy (the retired addresses: public data only)."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, category: str, *, combined: bool) -> None:
        self.socket, self.category, self.combined = socket, category, combined
        self.topics: dict[str, Topic] = {}
        self.opened_ms = self.heard_ms = monotonic_ms()
        self.alive = True
        self.dead = False  # half open: nothing comes in or goes out any more (a fault)
        self._transport = request.transport
        self._protocol = request.protocol
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._waiting: list[bytes] = []
        self.sent_marks = 0  # flow control of a free clock: pings sent, pongs back
        self.seen_marks = 0
        self.mark_seen = asyncio.Event()

    def carries(self, topic: Topic) -> bool:
        """Foreign streams are acknowledged and stay silent (§1.2)."""
        return topic.category == ("public" if self.category == "legacy" else self.category)

    def answered(self, payload: bytes) -> None:
        """A pong arrived; ``m7`` answers the ping after the seventh minute."""
        if payload[:1] == b"m" and payload[1:].isdigit():
            self.seen_marks = max(self.seen_marks, int(payload[1:]))
            self.mark_seen.set()

    def queue(self, frames: bytes) -> None:
        self._waiting.append(frames)

    def flush(self) -> None:
        """Hand everything queued to the socket in one write; a reader that is hopelessly behind is cut off."""
        if not self._waiting:
            return
        frames = b"".join(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting.clear()
        if not self.alive or self.dead or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(frames)
        if self._transport.get_write_buffer_size() > TOO_SLOW:
            self.cut()

    async def drain(self) -> None:
        """Return when the socket's buffer is below its mark."""
        if self.alive and self._transport is not None and not self._transport.is_closing():
            try:
                await self._protocol._drain_helper()
            except (ConnectionError, RuntimeError):
                self.alive = False

    def truncate(self) -> None:
        """End it in the middle of what is queued, or of a frame that never gets its text."""
        frames = b"".join(self._waiting) or frame(b" " * 64)
        self._waiting.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frames[: len(frames) - len(frames) // 3 - 1])
            self._transport.close()  # after what was written
        self.alive = False

    def close(self) -> None:
        """End it with a close frame (1001), as the exchange does after a day."""
        self.queue(b"\x88\x02\x03\xe9")
        self.flush()

    def cut(self) -> None:
        """End it without a close frame, as a network does."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()


class Group(NamedTuple):
    """Connections that want exactly the same frames of one kind; ``symbols`` ascending."""

    combined: bool
    symbols: NDArray[np.int64]
    connections: tuple[Connection, ...]


class Hub:
    """All connections. Groups are worked out again after a change of subscriptions, not at every push."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.sent_messages = 0
        self.joined_ms = -1e12
        self.left_ms = -1e12
        self._groups: dict[tuple[str, str], list[Group]] | None = None
        self._market_change = asyncio.Event()

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)

    def remove(self, connection: Connection) -> None:
        connection.alive = False
        connection.mark_seen.set()
        self.connections.discard(connection)
        if connection.topics:
            self.left_ms = monotonic_ms()
        self._groups = None

    def subscribe(self, connection: Connection, topics: dict[str, Topic]) -> None:
        """Set the connection's topics."""
        connection.topics = topics
        self.joined_ms = monotonic_ms()
        self._groups = None
        self._market_change.set()

    def groups(self, kind: str, detail: str) -> list[Group]:
        """Groups of one kind of stream."""
        return self._all().get((kind, detail), [])

    def details(self, kind: str) -> Iterator[str]:
        """Details (intervals) of ``kind`` that somebody listens to."""
        return (detail for known, detail in self._all() if known == kind)

    def readers(self) -> list[Connection]:
        """Live connections that something is pushed to."""
        return [
            c
            for c in self.connections
            if c.alive and any(c.carries(t) and not t.kind.startswith("quiet") for t in c.topics.values())
        ]

    def market_listeners(self) -> list[Connection]:
        """Those on the market path: a free clock moves only for them."""
        return [c for c in self.readers() if c.category == "market"]

    async def market_listener(self) -> None:
        """Return when there is one."""
        while not self.market_listeners():
            self._market_change.clear()
            await self._market_change.wait()

    def send(self, group: Group, frames: bytes, messages: int) -> None:
        self.sent_messages += messages * len(group.connections)
        for connection in group.connections:
            connection.queue(frames)

    def send_user(self, key: str, payload: bytes) -> None:
        """Queue an event at every private connection that listens with ``key``."""
        for connection in sorted(self.connections, key=lambda c: c.opened_ms):
            topic = connection.topics.get(key)
            if topic is not None and topic.kind == "user" and connection.carries(topic):
                text = b'{"stream":"%b","data":%b}' % (key.encode(), payload) if connection.combined else payload
                connection.queue(frame(text))
                self.sent_messages += 1

    def flush(self) -> None:
        for connection in self.connections:
            connection.flush()

    def _all(self) -> dict[tuple[str, str], list[Group]]:
        if self._groups is None:
            self._groups = _grouped(self.connections)
        return self._groups


def _grouped(connections: set[Connection]) -> dict[tuple[str, str], list[Group]]:
    wanted: dict[tuple[str, str], dict[tuple[bool, tuple[int, ...]], list[Connection]]] = {}
    for connection in sorted(connections, key=lambda c: c.opened_ms):
        mine: dict[tuple[str, str], set[int]] = {}
        for topic in connection.topics.values():
            if connection.carries(topic) and not topic.kind.startswith("quiet"):
                mine.setdefault((topic.kind, topic.detail), set()).add(topic.symbol)
        for key, symbols in mine.items():
            same = (connection.combined, tuple(sorted(symbols)))
            wanted.setdefault(key, {}).setdefault(same, []).append(connection)
    return {
        key: [
            Group(combined, np.array(symbols, np.int64), tuple(found)) for (combined, symbols), found in parts.items()
        ]
        for key, parts in wanted.items()
    }
