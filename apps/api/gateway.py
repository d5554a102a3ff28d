"""The WebSocket gateway: one reader of the bus, any number of screens, none of which can slow another.

The reader hands each message to every subscriber by reference and never waits. A subscriber keeps at most one
unsent message a channel (or one bounded list of events); its own sender task takes it when its socket is writable. A
slow screen therefore skips states, and a stuck one is closed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field

import orjson
import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolClosed, PoolTimeout
from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.api.auth.errors import AuthError
from apps.api.auth.identity import Identity
from apps.api.auth.identity import Kind as CallerKind
from apps.api.auth.policy import CHANNELS as CHANNEL_RULES
from apps.api.cache import BodyCache
from apps.api.channels import ALWAYS_READ, CHANNELS, Kind
from apps.api.metrics import Metrics

log = structlog.get_logger(__name__)

MESSAGE_MAX = 4096  # bytes of a client's message
CLIENTS_MAX = 1000
EVENTS_MAX = 256  # unsent events of a channel; beyond them the screen gets a fresh snapshot instead
REPLIES_MAX = 32  # unsent answers; a client that asks without reading is closed
BAD_MAX = 20  # bad messages before the socket is closed
SEND_TIMEOUT_S = 30.0
HEARTBEAT_S = 15.0
PACE_S = 0.05  # least time between two rounds of updates to one screen
RETRY_S = 2.0
SIGNED_OUT = 4401  # close code

Read = Callable[[str], Awaitable[bytes]]


class BadMessageError(Exception):
    """A client's message that cannot be served."""


@dataclass(slots=True)
class Subscription:
    """What one screen has still to get of one channel."""

    seq: int = 0
    wants_snapshot: bool = True
    state: str | None = None
    events: list[str] = field(default_factory=list)

    def offer(self, kind: Kind, data: str) -> bool:
        """Take a message over; True when something unsent was replaced."""
        if kind is not Kind.EVENTS:
            replaced, self.state = self.state is not None, data
            return replaced
        inner = data[1:-1] if data.startswith("[") else data
        if inner.strip() and not self.wants_snapshot:
            self.events.append(inner)
            if len(self.events) > EVENTS_MAX:
                self.events.clear()
                self.wants_snapshot = True
                return True
        return False

    def take(self) -> str | None:
        """The unsent update, joined; None when there is none."""
        if self.events:
            data = f"[{','.join(self.events)}]"
            self.events.clear()
            return data
        data_or_none, self.state = self.state, None
        return data_or_none


class Client:
    """One socket: its subscriptions and the task that writes to it."""

    def __init__(self, socket: WebSocket, hub: "Hub", caller: Identity) -> None:
        self._socket, self._hub, self.caller = socket, hub, caller
        self.subscriptions: dict[str, Subscription] = {}
        self._replies: list[str] = []
        self._wake = asyncio.Event()
        self._bad = 0

    def offer(self, channel: str, data: str) -> None:
        """Called by the reader of the bus: never waits."""
        if self.subscriptions[channel].offer(CHANNELS[channel], data):
            self._hub.metrics.conflated.labels(channel).inc()
        self._wake.set()

    async def serve(self) -> None:
        """Read and write until either ends: the socket closed, or was closed for a reason."""
        tasks = (asyncio.create_task(self._read()), asyncio.create_task(self._write()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("socket_failed", exc_info=outcome)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._handle(message.get("text"))
            except BadMessageError as exc:
                self._bad += 1
                self._reply({"type": "error", "code": "INVALID_INPUT", "message": str(exc)})
            except AuthError as exc:
                self._bad += 1
                self._reply({"type": "error", "code": exc.code, "message": str(exc)})
            if self._bad > BAD_MAX or len(self._replies) > REPLIES_MAX:
                await self.close(1008, "too many requests")
                return

    def _handle(self, text: str | None) -> None:
        request = parse(text)
        if request.op == "ping":
            self._reply({"type": "pong"})
        elif request.op == "subscribe":
            for channel in request.channels:
                self.caller.obey(CHANNEL_RULES[channel])
            for channel in request.channels:
                held = self.subscriptions.setdefault(channel, Subscription())
                held.wants_snapshot = True  # asked again: a screen that lost its place
                self._hub.join(channel, self)
        else:
            for channel in request.channels:
                self.subscriptions.pop(channel, None)
                self._hub.leave(channel, self)
        self._wake.set()

    def _reply(self, value: dict[str, str]) -> None:
        self._replies.append(orjson.dumps(value).decode())
        self._wake.set()

    async def _write(self) -> None:
        """Send what is due, for ever; a socket that does not take it in time is closed."""
        try:
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self._wake.wait()
                except TimeoutError:
                    await self._send('{"type":"heartbeat"}')
                    continue
                self._wake.clear()
                replies, self._replies = self._replies, []
                for reply in replies:
                    await self._send(reply)
                sent = 0
                for channel in tuple(self.subscriptions):
                    sent += await self._send_channel(channel)
                if sent:
                    await asyncio.sleep(PACE_S)
        except TimeoutError:
            log.warning("socket_stuck", seconds=SEND_TIMEOUT_S)
            await self.close(1013, "too slow")
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # gone

    async def _send_channel(self, channel: str) -> int:
        held = self.subscriptions.get(channel)
        if held is None:
            return 0
        sent = 0
        if held.wants_snapshot:
            held.wants_snapshot = False  # before reading: events from now on come after the snapshot
            data = await self._snapshot(channel, held)
            if data is None or self.subscriptions.get(channel) is not held:
                return 0
            await self._send_frame(channel, "snapshot", held, data)
            sent += 1
        update = held.take()
        if update is not None:
            await self._send_frame(channel, "update", held, update)
            sent += 1
        return sent

    async def _snapshot(self, channel: str, held: Subscription) -> str | None:
        try:
            return await self._hub.snapshot(channel)
        except (DatabaseError, PoolTimeout, PoolClosed) as exc:
            log.warning("snapshot_failed", channel=channel, error=str(exc))
            held.wants_snapshot = True
            asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
            message = f"{channel}: the database cannot be reached; a snapshot follows when it can"
            await self._send(orjson.dumps({"type": "error", "code": "STORE_UNAVAILABLE", "message": message}).decode())
            return None

    async def _send_frame(self, channel: str, kind: str, held: Subscription, data: str) -> None:
        held.seq += 1
        # by hand: the data is JSON already, and the same string for every screen
        await self._send(f'{{"channel":"{channel}","type":"{kind}","seq":{held.seq},"data":{data}}}')
        self._hub.metrics.sent.labels(channel, kind).inc()

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._socket.send_text(text)

    async def close(self, code: int, reason: str) -> None:
        """End the socket; one that does not take it in time is cut off when its tasks end."""
        with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.close(code, reason)


@dataclass(frozen=True, slots=True)
class Request:
    """A client's wish."""

    op: str
    channels: tuple[str, ...] = ()


def parse(text: str | None) -> Request:
    """Read a client's message; raises ``BadMessageError`` saying what was expected."""
    if text is None:
        raise BadMessageError("message: got bytes, expected JSON text")
    if len(text.encode()) > MESSAGE_MAX:
        raise BadMessageError(f"message: expected at most {MESSAGE_MAX} bytes")
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as exc:
        raise BadMessageError("message: expected a JSON object") from exc
    if not isinstance(value, dict):
        raise BadMessageError("message: expected a JSON object")
    op, channels = value.get("op"), value.get("channels")
    if op == "ping":
        return Request("ping")
    if op not in ("subscribe", "unsubscribe"):
        raise BadMessageError(f"op: got {str(op)[:40]!r}, expected subscribe, unsubscribe or ping")
    if not isinstance(channels, list) or not 1 <= len(channels) <= len(CHANNELS):
        raise BadMessageError(f"channels: expected a list of 1 to {len(CHANNELS)} names")
    for channel in channels:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise BadMessageError(f"channels: got {str(channel)[:40]!r}, expected one of {', '.join(CHANNELS)}")
    return Request(op, tuple(dict.fromkeys(channels)))


class Hub:
    """All screens by channel, and the newest message of each channel of state."""

    def __init__(self, read: Read, metrics: Metrics) -> None:
        self._read, self.metrics = read, metrics
        self._clients: set[Client] = set()
        self._channels: dict[str, set[Client]] = {channel: set() for channel in CHANNELS}
        self._newest: dict[str, str] = {}
        self._snapshots = BodyCache(ttl_ms=250.0)

    @property
    def clients(self) -> int:
        """Open sockets."""
        return len(self._clients)

    def listening(self, channel: str) -> bool:
        """Whether any screen wants ``channel``."""
        return bool(self._channels[channel])

    def join(self, channel: str, client: Client) -> None:
        """``client`` wants ``channel`` from now on."""
        self._channels[channel].add(client)

    def leave(self, channel: str, client: Client) -> None:
        """``client`` no longer wants ``channel``."""
        self._channels[channel].discard(client)

    def publish(self, channel: str, data: str) -> None:
        """Hand JSON ``data`` to every subscriber of ``channel``. Never waits."""
        if CHANNELS[channel] is not Kind.EVENTS:
            self._newest[channel] = data
        for client in self._channels[channel]:
            client.offer(channel, data)

    async def snapshot(self, channel: str) -> str:
        """The current state of ``channel``: the bus's last word on it where that is complete, else the tables'."""
        if channel not in ALWAYS_READ and channel in self._newest:
            return self._newest[channel]
        body = await self._snapshots.get(channel, lambda: self._read(channel))
        return body.data.decode()

    def callers(self) -> list[Identity]:
        """Whose sockets are open."""
        return [client.caller for client in self._clients]

    async def end(self, ended: Container[tuple[bool, int]]) -> None:
        """Close the sockets of those callers, named as ``Sessions.ended`` names them."""
        gone = [one for one in self._clients if (one.caller.kind is CallerKind.SESSION, one.caller.number) in ended]
        await asyncio.gather(*(client.close(SIGNED_OUT, "signed out") for client in gone))

    async def serve(self, socket: WebSocket, caller: Identity) -> None:
        """Hold one socket until it closes, or its caller is signed out."""
        await socket.accept()
        if len(self._clients) >= CLIENTS_MAX:
            await socket.close(1013, "too many screens")
            return
        client = Client(socket, self, caller)
        self._clients.add(client)
        self.metrics.sockets.set(len(self._clients))
        try:
            await client.serve()
        finally:
            for channel in CHANNELS:
                self.leave(channel, client)
            self._clients.discard(client)
            self.metrics.sockets.set(len(self._clients))
