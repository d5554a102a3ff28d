"""A small exchange on a free port, whose answers a test scripts one by one."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from urllib.parse import parse_qsl

import aiohttp
import numpy as np
from aiohttp import web

from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.port import InstrumentInfo


class FakeExchange:
    """``script`` holds (status, body, headers) answers that are given before the normal ones."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.script: deque[tuple[int, bytes, dict[str, str]]] = deque()
        self.answers: dict[str, Callable[[web.Request], object]] = {
            "/fapi/v1/time": lambda _: {"serverTime": self.now_ms}
        }
        self.seen: list[web.Request] = []
        self.bodies: list[str] = []
        self.drop = 0  # so many requests get no answer: the connection breaks
        self.hold: asyncio.Event | None = None  # answers wait for it
        self.hold_path = ""
        self.headers = {"X-MBX-USED-WEIGHT-1M": "1"}
        self.connections: list[str] = []
        self.refuse = 0  # so many sockets are refused
        self.pongs = True
        self.sockets: list[web.WebSocketResponse] = []
        self.requests: list[dict] = []
        self.mute = False
        self.url = ""

    def endpoints(self, *before: str) -> Endpoints:
        ws = self.url.replace("http", "ws")
        return Endpoints(rest=(*before, self.url), ws=(ws,))

    def with_wallet(self) -> Endpoints:
        return replace(self.endpoints(), wallet=self.url)

    async def rest(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.bodies.append((await request.read()).decode())
        if self.drop:
            self.drop -= 1
            request.transport.abort()
        if self.hold is not None and request.path.startswith(self.hold_path):
            await self.hold.wait()
        if self.script:
            status, body, headers = self.script.popleft()
            return web.Response(status=status, body=body, headers=headers)
        return web.json_response(self.answers[request.path](request), headers=self.headers)

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        self.connections.append(str(request.rel_url))
        if self.refuse:
            self.refuse -= 1
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(autoping=self.pongs)
        await socket.prepare(request)
        self.sockets.append(socket)
        with contextlib.suppress(ConnectionError):
            async for message in socket:
                if message.type is not web.WSMsgType.TEXT:
                    continue
                asked = json.loads(message.data)
                self.requests.append(asked)
                await socket.send_str(json.dumps({"result": None, "id": asked["id"]}))
        return socket

    def sent(self, at: int = -1) -> dict[str, str]:
        """Parameters of a request, wherever they stood."""
        return dict(parse_qsl(self.seen[at].rel_url.raw_query_string)) | dict(parse_qsl(self.bodies[at]))

    async def push(self, text: str) -> None:
        """To every open socket."""
        for socket in list(self.sockets):
            with contextlib.suppress(ConnectionError):
                if not socket.closed and not self.mute:
                    await socket.send_str(text)

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - any condition of any object
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def fake_exchange() -> AsyncIterator[tuple[FakeExchange, aiohttp.ClientSession]]:
    exchange = FakeExchange()
    app = web.Application()
    for path in ("/market/stream", "/private/ws"):
        app.router.add_get(path, exchange.stream)
    app.router.add_route("*", "/{path:.*}", exchange.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exchange.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield exchange, session
    finally:
        for socket in exchange.sockets:
            await socket.close()
        await runner.cleanup()


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def instrument(
    symbol: str,
    *,
    tick: str | None = "0.10",
    step: str = "0.001",
    low: str = "0.001",
    high: str = "1000",
    market_max: str = "120",
) -> InstrumentInfo:
    """A tradable contract with the filters a test is about."""
    return InstrumentInfo(
        symbol=symbol,
        contract_type="PERPETUAL",
        status="TRADING",
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        onboard_ts_ms=0,
        delivery_ts_ms=4133404800000,
        tick_size=None if tick is None else Decimal(tick),
        step_size=Decimal(step),
        min_qty=Decimal(low),
        max_qty=Decimal(high),
        market_step_size=Decimal(step),
        market_min_qty=Decimal(low),
        market_max_qty=Decimal(market_max),
        min_notional=Decimal(5),
        liquidation_fee=None,
        raw={},
        band_up=Decimal("1.05"),
        band_down=Decimal("0.95"),
    )
