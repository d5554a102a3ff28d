"""The port behind the exchange: faults by schedule, where the clock stands. Served only when asked for."""

from dataclasses import asdict

import orjson
from aiohttp import web

from packages.common.errors import InvalidInputError
from services.emulator.clock import MarketClock
from services.emulator.faults import Fault, Faults
from services.emulator.hub import Hub


def admin_app(faults: Faults, clock: MarketClock, hub: Hub) -> web.Application:
    """``GET /status``; ``GET``, ``POST`` (one fault as an object) and ``DELETE /faults``."""

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
        return _json([asdict(fault) for fault in faults.plan])

    async def added(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            if not isinstance(body, dict):
                raise InvalidInputError("body", body, "an object")
            # times may be given from now on
            now = clock.now_ms()
            if "in_ms" in body:
                body["from_ms"] = now + int(body.pop("in_ms"))
            if "for_ms" in body:
                body["to_ms"] = int(body.get("from_ms", now)) + int(body.pop("for_ms"))
            body.setdefault("from_ms", now)
            fault = Fault.from_json(body)
        except (InvalidInputError, ValueError, TypeError) as error:
            return _json({"error": str(error)}, status=400)
        faults.add(fault)
        return _json(asdict(fault), status=201)

    async def cleared(_: web.Request) -> web.Response:
        faults.clear()
        return _json([])

    app = web.Application()
    app.add_routes(
        [
            web.get("/status", status),
            web.get("/faults", shown),
            web.post("/faults", added),
            web.delete("/faults", cleared),
        ]
    )
    return app


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
