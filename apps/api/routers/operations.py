"""Liveness, readiness, metrics, and the gateway's door."""

import asyncio

from fastapi import APIRouter, WebSocket
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg import Error as DatabaseError
from psycopg_pool import PoolClosed, PoolTimeout
from redis.exceptions import RedisError
from starlette.responses import JSONResponse, PlainTextResponse, Response

from apps.api.auth import Caller
from apps.api.deps import Res, Resources
from apps.api.dto import ReadyDTO

router = APIRouter(tags=["operations"])
_WAIT_S = 2.0


@router.get("/healthz", operation_id="getHealth")
async def get_health() -> dict[str, bool]:
    """The process answers."""
    return {"ok": True}


@router.get("/readyz", operation_id="getReadiness", responses={200: {"model": ReadyDTO}, 503: {"model": ReadyDTO}})
async def get_readiness(res: Res) -> Response:
    """The stores behind it answer, and the database is migrated; 503 says which does not."""
    database, bus = await asyncio.gather(_database(res), _bus(res))
    ready = ReadyDTO(ok=database == bus == "ok", database=database, bus=bus)
    return JSONResponse(ready.model_dump(), status_code=200 if ready.ok else 503)


@router.get("/metrics", operation_id="getMetrics", include_in_schema=False)
async def get_metrics(res: Res) -> Response:
    """Figures for Prometheus."""
    return PlainTextResponse(res.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.websocket("/ws")
async def gateway(socket: WebSocket, caller: Caller) -> None:
    """The gateway of §19.2."""
    held: Resources = socket.app.state.resources
    await held.hub.serve(socket, caller)


async def _database(res: Resources) -> str:
    try:
        async with asyncio.timeout(_WAIT_S), res.pool.connection() as conn:
            row = await (await conn.execute("SELECT to_regclass('trading_state') IS NOT NULL AS there")).fetchone()
        return "ok" if row is not None and row["there"] else "not migrated"
    except (DatabaseError, PoolTimeout, PoolClosed, TimeoutError):
        return "unreachable"


async def _bus(res: Resources) -> str:
    try:
        async with asyncio.timeout(_WAIT_S):
            await res.redis.ping()
        return "ok"
    except (RedisError, OSError, TimeoutError):
        return "unreachable"
