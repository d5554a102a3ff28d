"""Composition root of the API: settings in, pool and bus open, uvicorn until SIGTERM."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import Depends, FastAPI
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from apps.api import errors, examples, params
from apps.api.auth import policy
from apps.api.auth.caller import authorise
from apps.api.channels import CHANNELS
from apps.api.deps import Resources, build
from apps.api.encoding import Compression
from apps.api.errors import Problem
from apps.api.gateway import MESSAGE_MAX
from apps.api.metrics import Measure, Metrics
from apps.api.routers import (
    account,
    audit_log,
    auth,
    desk_pages,
    explain,
    history,
    jobs,
    models,
    operations,
    risk,
    rl,
    settings,
    signals,
    status,
    trading,
    training,
    universe,
    users,
)
from apps.api.security import Gate, allowed_hosts
from apps.api.static import Desk
from packages.common.config import Settings, load_settings
from packages.common.errors import PlatformError, SchemaMismatchError, SettingsError, StoreUnavailableError
from packages.common.logging import configure_logging

log = structlog.get_logger(__name__)

WEB_OUT = Path(__file__).resolve().parent.parent / "web" / "out"
ROUTERS = (
    status,
    universe,
    account,
    signals,
    training,
    trading,
    risk,
    settings,
    desk_pages,
    jobs,
    models,
    explain,
    history,
    rl,
    operations,
    auth,
    users,
    audit_log,
)
_OPEN_TIMEOUT_S = 20.0
_SOCKETS_EVERY_S = 1.0
_PROBLEM: dict[str, Any] = {"model": Problem, "content": {errors.PROBLEM_TYPE: {}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Nobody is signed in", **_PROBLEM},
    403: {"description": "Role, scope, CSRF token or second factor is missing, or a foreign Origin", **_PROBLEM},
    404: {"description": "There is no such thing", **_PROBLEM},
    409: {"description": "Refused in this state; `conditions` are all that are unmet", **_PROBLEM},
    413: {"description": "Too large", **_PROBLEM},
    415: {"description": "Not JSON", **_PROBLEM},
    421: {"description": "A foreign Host", **_PROBLEM},
    422: {"description": "Bad input; `errors` name field, value and expectation", **_PROBLEM},
    429: {"description": "Too many attempts; Retry-After says how long to wait", **_PROBLEM},
    503: {"description": "A store cannot be reached; nothing was lost", **_PROBLEM},
}


def create_app(config: Settings, web_out: Path = WEB_OUT) -> FastAPI:
    """The application over ``config``; its stores are opened by its lifespan."""
    metrics = Metrics()
    desk = Desk(web_out)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        held = build(config, metrics)
        app.state.resources = held
        desk.refresh()  # hashes of the pages' scripts
        try:
            await _open(held)
            async with _background(held):
                yield
        except PlatformError as exc:
            app.state.failure = exc  # uvicorn would print it as a traceback
            raise
        finally:
            await held.redis.aclose()
            await held.pool.close(timeout=2)

    app = FastAPI(
        title="Perpilot",
        version="1",
        description="State of the desk, and the few commands it takes. Times in DTOs are UTC, money is in quote units.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        responses=_ANSWERS,
    )
    errors.install(app)
    for module in ROUTERS:
        policy.check(module.router.routes, CHANNELS)
        app.include_router(module.router, dependencies=[Depends(authorise), Depends(params.only_known)])
    examples.install(app)
    app.state.queries = params.known_queries(app.openapi())
    app.router.default = desk  # what no route takes; a mount would hide 405
    app.add_middleware(Compression)
    app.add_middleware(Measure, metrics=metrics)
    app.add_middleware(Gate, hosts=allowed_hosts(config.api_host))  # outermost: nothing of a stranger gets further
    return app


async def _open(held: Resources) -> None:
    """Open the pool and refuse a database of another exchange (D40)."""
    try:
        await held.pool.open(wait=True, timeout=_OPEN_TIMEOUT_S)
        async with held.pool.connection() as conn:
            there = await (await conn.execute("SELECT to_regclass('store_identity') IS NOT NULL AS there")).fetchone()
            if there is None or not there["there"]:
                return  # not migrated yet: /readyz says so
            row = await (await conn.execute("SELECT exchange FROM store_identity")).fetchone()
    except PlatformError:
        raise
    except Exception as exc:
        raise StoreUnavailableError(f"the database cannot be reached: {exc}") from exc
    if row is not None and row["exchange"] != held.settings.identity:
        raise SchemaMismatchError(
            f"the database belongs to the exchange {row['exchange']!r}, this start is for "
            f"{held.settings.identity!r}: set another VAR_DIR"
        )


@contextlib.asynccontextmanager
async def _background(held: Resources) -> AsyncIterator[None]:
    """Run the loops beside the requests; one that fails ends the process, and the supervisor starts it anew."""
    loops = {"bus": held.tail.run(), "status": held.tail.watch_status(), "sessions": _end_sockets(held)}
    tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
    for task in tasks:
        task.add_done_callback(_fail_stop)
    try:
        yield
    finally:
        await _cancel(tasks)


async def _end_sockets(held: Resources) -> None:
    """Close the sockets of those who are no longer signed in; who cannot be asked about stays until he can be."""
    while True:
        await asyncio.sleep(_SOCKETS_EVERY_S)
        try:
            await held.hub.end(await held.sessions.ended(held.hub.callers()))
        except (DatabaseError, PoolTimeout) as exc:
            log.warning("sessions_unread", error=str(exc))


async def _cancel(tasks: list["asyncio.Task[None]"]) -> None:
    """Cancel until all have ended: a client that is just connecting may swallow one cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)


def _fail_stop(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.critical("loop_failed", loop=task.get_name(), exc_info=exc)
        signal.raise_signal(signal.SIGTERM)


def server_config(app: FastAPI, config: Settings) -> uvicorn.Config:
    """How uvicorn serves ``app``."""
    return uvicorn.Config(
        app,
        host=config.api_host,
        port=config.api_port,
        log_level="critical",  # what fails is logged by us, once
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=2 * MESSAGE_MAX,
        ws_per_message_deflate=False,  # costs more than the loopback saves, per screen
        timeout_graceful_shutdown=3,
    )


def serve(config: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish open requests and leave with status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops on the first signal, then raises it once more for us: a clean end
        signal.signal(number, lambda *_: sys.exit(0))
    app = create_app(config)
    with _listen(config.api_host, config.api_port) as listener:
        server = uvicorn.Server(server_config(app, config))
        try:
            server.run(sockets=[listener])
        except SystemExit:
            if server.started:
                raise
    if not server.started:
        raise getattr(app.state, "failure", None) or StoreUnavailableError("the api did not start; its log says why")


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=_family(host), backlog=1024)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise SettingsError(f"API_PORT: port {port} is taken; expected a free one") from exc
        raise SettingsError(f"API_HOST: cannot listen on {host!r}: {exc.strerror or exc}") from exc


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


BEHIND_THE_TRADER = 5  # screens wait for a decision on a busy machine, never a decision for screens


def main() -> None:
    """``python -m apps.api``."""
    try:
        config = load_settings()
        configure_logging(config.log_level)  # the default one prints local variables, and with them passwords
        if config.database_url is None or config.redis_url is None:
            build(config, Metrics())  # says which address is missing
        os.nice(BEHIND_THE_TRADER)
        serve(config)
    except PlatformError as exc:
        print(f"api: {exc}", file=sys.stderr)
        sys.exit(1)
