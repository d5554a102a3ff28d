"""WebSocket endpoints: paths, subscriptions, control messages and the rules of a connection (§1.2, §4.1)."""

import asyncio
import contextlib
from collections import deque
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from packages.common.time import monotonic_ms
from services.emulator.clock import MarketClock
from services.emulator.faults import Faults
from services.emulator.hub import Connection, Hub
from services.emulator.topics import Topic, parse

MOST_STREAMS = 1024
MESSAGES_A_SECOND = 10
PING_EVERY_S = 180.0
PONG_WITHIN_S = 600.0
_CATEGORIES = ("market", "public", "private")


class Sockets:
    """Handlers of every stream path. ``life_s``: seconds of ours after which a connection is closed (24 h)."""

    def __init__(self, hub: Hub, clock: MarketClock, faults: Faults, by_name: dict[str, int], life_s: float) -> None:
        self._hub, self._clock, self._faults, self._by_name, self._life_s = hub, clock, faults, by_name, life_s

    def routes(self) -> list[web.RouteDef]:
        found = []
        for category in (*_CATEGORIES, "legacy"):
            lead = "" if category == "legacy" else f"/{category}"
            found += [
                web.get(f"{lead}/ws", self._handler(category, combined=False)),
                web.get(lead + "/ws/{streams:.*}", self._handler(category, combined=False)),
                web.get(f"{lead}/stream", self._handler(category, combined=True)),
                web.get(lead + "/stream/{streams:.*}", self._handler(category, combined=True)),
            ]
        return found

    def _handler(self, category: str, *, combined: bool) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            if self._faults.down(self._clock.now_ms()):
                return web.Response(status=503, text="Service Unavailable.")
            socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
            await socket.prepare(request)
            connection = Connection(socket, request, category, combined=combined)
            connection.dead = self._faults.half_open(category, self._clock.now_ms())
            self._hub.add(connection)
            tasks = [asyncio.create_task(self._keep_alive(connection))]
            try:
                names = asked(request)
                if names:
                    self._hub.subscribe(connection, {name: parse(name, self._by_name) for name in names[:MOST_STREAMS]})
                await self._listen(connection)
            finally:
                self._hub.remove(connection)
                for task in tasks:
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(*tasks, return_exceptions=True)
            return socket

        return handle

    async def _keep_alive(self, connection: Connection) -> None:
        """Ping every three minutes, end the connection at the end of its life."""
        ends = monotonic_ms() + self._life_s * 1e3
        while (left := ends - monotonic_ms()) > 0:
            await asyncio.sleep(min(PING_EVERY_S, left / 1e3))
            if monotonic_ms() - connection.heard_ms > PONG_WITHIN_S * 1e3:
                break
            if not connection.dead:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.socket.ping(b"%d" % self._clock.now_ms())
        await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"disconnected")

    async def _listen(self, connection: Connection) -> None:
        socket = connection.socket
        received: deque[float] = deque(maxlen=MESSAGES_A_SECOND)
        async for message in socket:
            if connection.dead:
                continue  # whatever comes is lost, as on a line that nobody holds at this end
            now = self._clock.limit_ms()
            connection.heard_ms = monotonic_ms()
            if message.type is WSMsgType.PONG:
                connection.answered(bytes(message.data))
                continue  # answers to our own pings are not held against the client
            if len(received) == MESSAGES_A_SECOND and now - received[0] < 1_000:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            received.append(now)
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._control(connection, message.data)
            else:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Binary frames are not supported")
                return

    async def _control(self, connection: Connection, text: str) -> None:
        """Answer one request; the answer is on its way before any data that it asked for."""
        answer, topics = self._understand(connection, text)
        await connection.socket.send_str(answer.decode())
        if topics is not None:
            self._hub.subscribe(connection, topics)

    def _understand(self, connection: Connection, text: str) -> tuple[bytes, dict[str, Topic] | None]:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return _error(3, f"Invalid JSON: {error}", None), None
        if not isinstance(request, dict):
            return _error(2, "Invalid request: expected an object", None), None
        number, method, params = request.get("id"), request.get("method"), request.get("params")
        match method:
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
                    return _error(2, "Invalid request: params must be an array of strings", number), None
                topics = dict(connection.topics)
                for name in params:
                    if method == "SUBSCRIBE":
                        topics[name] = parse(name, self._by_name)
                    else:
                        topics.pop(name, None)
                if len(topics) > MOST_STREAMS:
                    return _error(2, f"Invalid request: more than {MOST_STREAMS} streams", number), None
                return _result(None, number), topics
            case "LIST_SUBSCRIPTIONS":
                return _result(list(connection.topics), number), None
            case "SET_PROPERTY" | "GET_PROPERTY":
                return _property(connection, str(method), params, number)
            case _:
                return _error(2, f"Invalid request: unknown method {method!r}", number), None


def asked(request: web.Request) -> list[str]:
    """Streams named by the address: ``/ws/a/b``, ``/stream?streams=a/b`` or ``/ws?listenKey=a``. A bare number is a
    client's own count."""
    path = request.match_info.get("streams", "")
    parts = (path, request.query.get("streams", ""), request.query.get("listenKey", ""))
    names = [name for part in parts for name in part.split("/") if name]
    return [name for name in dict.fromkeys(names) if not name.isdigit()]


def _property(
    connection: Connection, method: str, params: object, number: object
) -> tuple[bytes, dict[str, Topic] | None]:
    """The one property of a connection: whether its frames name their stream."""
    wanted = 2 if method == "SET_PROPERTY" else 1
    if not isinstance(params, list) or len(params) != wanted:
        return _error(2, f"Invalid request: expected {wanted} params", number), None
    if params[0] != "combined":
        return _error(0, f"Unknown property {params[0]}", number), None
    if method == "GET_PROPERTY":
        return _result(connection.combined, number), None
    if not isinstance(params[1], bool):
        return _error(1, "Invalid value type: expected Boolean", number), None
    connection.combined = params[1]
    return _result(None, number), dict(connection.topics)


def _result(value: object, number: object) -> bytes:
    return orjson.dumps({"result": value, "id": number})


def _error(code: int, message: str, number: object) -> bytes:
    return orjson.dumps({"error": {"code": code, "msg": message}, "id": number})
