"""The WebSocket gateway: one reader of the bus, any number of screens, none of which can slow another.

The reader hands each message to every subscriber by reference and never waits. A subscriber keeps at most one
unsent message a channel (or one bounded list of events); its own sender task takes it when its socket is writable. A
slow screen therefore skips states, and a stuck one is closed.

A frame's ``seq`` counts what one socket got of a channel. Its ``at`` names the place in the channel itself: a screen
that comes back with it gets what it missed, or a snapshot where that is no longer known.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field

import orjson
import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolClosed, PoolTimeout
from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.api import filters
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
EVENTS_MAX = 256  # unsent or missed messages of a channel of events; beyond them the screen gets a snapshot instead
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
    place: int = 0  # of the newest message that was offered, in the hub's count
    wanted: filters.Filter = filters.EVERYTHING
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

    def wanted(self, channel: str) -> filters.Filter:
        """What this screen wants of ``channel``."""
        return self.subscriptions[channel].wanted

    def offer(self, channel: str, data: str, place: int) -> None:
        """Called by the reader of the bus: never waits."""
        held = self.subscriptions[channel]
        held.place = place
        if held.offer(CHANNELS[channel], data):
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
                self._subscribe(channel, request)
        else:
            for channel in request.channels:
                self.subscriptions.pop(channel, None)
                self._hub.leave(channel, self)
        self._wake.set()

    def _subscribe(self, channel: str, request: "Request") -> None:
        """Begin with what was missed since the named place, else with a snapshot: also for one that asks again."""
        held = self.subscriptions.setdefault(channel, Subscription())
        held.wanted, held.state = request.wanted, None
        held.events.clear()
        held.place = self._hub.place(channel)
        missed = self._hub.missed(channel, request.resume.get(channel))
        held.wants_snapshot = missed is None
        for data in missed or ():
            held.offer(CHANNELS[channel], filters.keep(data, held.wanted) if held.wanted else data)
        self._hub.join(channel, self)

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
            held.place = place = self._hub.place(channel)
            data = await self._snapshot(channel, held)
            if data is None or self.subscriptions.get(channel) is not held:
                return 0
            await self._send_frame(channel, "snapshot", held, data, place)
            sent += 1
        update = held.take()
        if update is not None:
            await self._send_frame(channel, "update", held, update, held.place)
            sent += 1
        return sent

    async def _snapshot(self, channel: str, held: Subscription) -> str | None:
        try:
            data = await self._hub.snapshot(channel)
            return filters.keep(data, held.wanted) if held.wanted else data
        except (DatabaseError, PoolTimeout, PoolClosed) as exc:
            log.warning("snapshot_failed", channel=channel, error=str(exc))
            held.wants_snapshot = True
            asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
            message = f"{channel}: the database cannot be reached; a snapshot follows when it can"
            await self._send(orjson.dumps({"type": "error", "code": "STORE_UNAVAILABLE", "message": message}).decode())
            return None

    async def _send_frame(self, channel: str, kind: str, held: Subscription, data: str, place: int) -> None:
        held.seq += 1
        at = f"{self._hub.life}-{place}"
        # by hand: the data is JSON already, and the same string for every screen
        await self._send(f'{{"channel":"{channel}","type":"{kind}","seq":{held.seq},"at":"{at}","data":{data}}}')
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
    wanted: filters.Filter = filters.EVERYTHING
    resume: Mapping[str, str] = field(default_factory=dict)


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
    for name in value:
        if name not in ("op", "channels", "filters", "resume"):
            raise BadMessageError(f"{name[:40]}: expected op, channels, filters and resume only")
    if op == "ping":
        return Request("ping")
    if op not in ("subscribe", "unsubscribe"):
        raise BadMessageError(f"op: got {str(op)[:40]!r}, expected subscribe, unsubscribe or ping")
    if not isinstance(channels, list) or not 1 <= len(channels) <= len(CHANNELS):
        raise BadMessageError(f"channels: expected a list of 1 to {len(CHANNELS)} names")
    for channel in channels:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise BadMessageError(f"channels: got {str(channel)[:40]!r}, expected one of {', '.join(CHANNELS)}")
    channels = tuple(dict.fromkeys(channels))
    try:
        wanted = filters.read(value.get("filters", {}), channels)
    except filters.FilterError as exc:
        raise BadMessageError(str(exc)) from exc
    resume = value.get("resume", {})
    if not isinstance(resume, dict) or not all(isinstance(at, str) for at in resume.values()):
        raise BadMessageError('resume: expected the "at" of the last frame by channel, such as {"risk_events": "…-7"}')
    return Request(op, channels, wanted, resume)


class Hub:
    """All screens by channel, and the newest message of each channel of state."""

    def __init__(self, read: Read, metrics: Metrics) -> None:
        self._read, self.metrics = read, metrics
        self._clients: set[Client] = set()
        self._channels: dict[str, set[Client]] = {channel: set() for channel in CHANNELS}
        self._newest: dict[str, str] = {}
        self.life = secrets.token_hex(4)  # places of another life mean nothing
        self._places = dict.fromkeys(CHANNELS, 0)
        self._past: dict[str, deque[str]] = {channel: deque(maxlen=EVENTS_MAX) for channel in CHANNELS}
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

    def place(self, channel: str) -> int:
        """How many messages ``channel`` has had."""
        return self._places[channel]

    def missed(self, channel: str, at: str | None) -> list[str] | None:
        """Messages of ``channel`` after the place ``at``, as a frame named it; None where only a snapshot helps."""
        life, _, number = (at or "").rpartition("-")
        if life != self.life or not number.isdecimal() or channel in ALWAYS_READ:
            return None
        behind = self._places[channel] - int(number)
        if CHANNELS[channel] is not Kind.EVENTS:  # the newest says everything
            return None if behind < 0 else [self._newest[channel]] if behind else []
        past = self._past[channel]
        return None if not 0 <= behind <= len(past) else list(past)[len(past) - behind :]

    def publish(self, channel: str, data: str) -> None:
        """Hand JSON ``data`` to every subscriber of ``channel``. Never waits."""
        self._places[channel] += 1
        if CHANNELS[channel] is Kind.EVENTS:
            self._past[channel].append(data)
        else:
            self._newest[channel] = data
        shares = {filters.EVERYTHING: data}  # one for all who want the same
        for client in self._channels[channel]:
            wanted = client.wanted(channel)
            if wanted not in shares:
                shares[wanted] = filters.keep(data, wanted)
            client.offer(channel, shares[wanted], self._places[channel])

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
