"""The port behind the exchange: faults by schedule, where the clock stands. Served only when asked for."""

from dataclasses import asdict

import orjson
from aiohttp import web

from packages.common.errors import InvalidInputError
from services.emulator.clock import MarketClock
from services.emulator.faults import Fault, Faults
from services.emulator.hub import Hub
from services.emulator.params import ApiError
from services.emulator.trading import Trading


def admin_app(faults: Faults, clock: MarketClock, hub: Hub, trading: Trading, market: str) -> web.Application:
    """``GET /status``; ``GET``, ``POST`` (one fault as an object) and ``DELETE /faults``; ``POST /hand``: somebody
    else's hand on the account, ``{"account", "method", "path", "params"}`` of a request that needs no signature,
    ``{"transfer": "-5"}`` or ``{"adl": "BTCUSDT", "part": "0.5"}``; ``GET`` and ``PUT`` of
    ``/switches`` (those to change) and of ``/state`` (all that was saved by a ``GET``, here or at another emulator of
    the same market; time goes there too); ``GET /audit`` (``?rows=false``: the summaries alone)."""

    async def status(_: web.Request) -> web.Response:
        return _json(
            {
                "market_ms": clock.now_ms(),
                "speed": None if clock.free else clock.speed,
                "ended": clock.ended(),
                "connections": {
                    category: sum(c.category == category for c in hub.connections)
                    for category in ("market", "public", "private", "legacy")
                },
                "sent_messages": hub.sent_messages,
            }
        )

    async def shown(_: web.Request) -> web.Response:
        return _json(faults.shown(clock.now_ms()))

    async def added(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            if not isinstance(body, dict):
                raise InvalidInputError("body", body, "an object")
            fault = Fault.from_json(body, clock.now_ms())
        except (InvalidInputError, ValueError, TypeError) as error:
            return _json({"error": str(error)}, status=400)
        faults.add(fault)
        trading.changed()
        return _json(asdict(fault), status=201)

    async def cleared(_: web.Request) -> web.Response:
        faults.clear()
        trading.changed()
        return _json([])

    async def switches(request: web.Request) -> web.Response:
        if request.method == "PUT":
            try:
                body = orjson.loads(await request.read())
                trading.venue.switch(trading.venue.switches.changed(body))
            except (InvalidInputError, ValueError, TypeError, AttributeError) as error:
                return _json({"error": str(error)}, status=400)
            trading.changed()
        return _json(asdict(trading.venue.switches))

    async def saved(_: web.Request) -> web.Response:
        return _json({"market": market, **trading.state()})

    async def restored(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            if not isinstance(body, dict) or body.get("market") != market:
                raise InvalidInputError("market", market, "a state that was saved from this market")
            trading.rewind(body)
        except (InvalidInputError, ValueError) as error:
            return _json({"error": str(error)}, status=400)
        return _json({"market_ms": clock.now_ms()})

    async def hand(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            if not isinstance(body, dict):
                raise InvalidInputError("body", body, "an object")
            return _json(trading.hand(body))
        except (InvalidInputError, ValueError) as error:
            return _json({"error": str(error)}, status=400)
        except ApiError as error:
            return _json({"error": {"code": error.code, "msg": error.message}}, status=400)

    async def audited(request: web.Request) -> web.Response:
        return _json(trading.audited(rows=request.query.get("rows", "true") != "false"))

    app = web.Application(client_max_size=1 << 28)
    app.add_routes(
        [
            web.get("/status", status),
            web.get("/faults", shown),
            web.post("/faults", added),
            web.delete("/faults", cleared),
            web.post("/hand", hand),
            web.get("/switches", switches),
            web.put("/switches", switches),
            web.get("/state", saved),
            web.put("/state", restored),
            web.get("/audit", audited),
        ]
    )
    return app


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
