"""The real server on a free port of loopback, in the test's own loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from apps.api.auth import Role, sessions
from apps.api.deps import Resources
from apps.api.main import create_app, server_config
from packages.common.config import Settings, load_settings

_USER = """
INSERT INTO users (user_id, name, role) VALUES (gen_random_uuid(), %s, %s)
ON CONFLICT (name) DO UPDATE SET role = EXCLUDED.role RETURNING user_id
"""


@dataclass(frozen=True)
class Running:
    """A server, its address and a client of it."""

    base: str
    client: aiohttp.ClientSession
    resources: Resources
    headers: dict[str, str]  # with which the client is signed in

    @property
    def ws(self) -> str:
        return self.base.replace("http", "ws", 1) + "/ws"


def settings_for(database_url: str, redis_url: str, **more: object) -> Settings:
    return load_settings(env_file=None, database_url=database_url, redis_url=redis_url, **more)


async def signed_in(resources: Resources, role: Role, name: str = "") -> dict[str, str]:
    """Headers of a new session of the user ``name`` (the role's by default), who is made if need be."""
    async with resources.pool.connection() as conn:
        there = await (await conn.execute("SELECT to_regclass('users') IS NOT NULL AS there")).fetchone()
        if there is None or not there["there"]:
            return {}  # not migrated: nobody can sign in
        row = await (await conn.execute(_USER, (f"{name or role}", f"{role}"))).fetchone()
        assert row is not None
        secret, _ = await sessions.start(conn, row["user_id"], user_agent="tests", second_factor=False)
    return {"Cookie": f"{sessions.COOKIE}={secret}", "X-CSRF": sessions.csrf_of(secret)}


@contextlib.asynccontextmanager
async def running(
    settings: Settings, web_out: Path = Path("/nonexistent"), role: Role | None = Role.ADMIN
) -> AsyncIterator[Running]:
    """``client`` is signed in as a user of that role; None: it is nobody's."""
    app = create_app(settings, web_out)
    server = uvicorn.Server(server_config(app, settings))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as uvloop does: else each answer waits 40 ms
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the server did not start")
            await asyncio.sleep(0.005)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            connector = aiohttp.TCPConnector(limit=0)
            headers = await signed_in(app.state.resources, role) if role is not None else {}
            async with aiohttp.ClientSession(base, connector=connector, headers=headers) as client:
                yield Running(base, client, app.state.resources, headers)
        finally:
            server.should_exit = True
            await task


async def call(server: Running, method: str, path: str, status: int, body: object = None) -> Any:
    """The answer's JSON, which must have come with ``status``."""
    async with server.client.request(method, path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)
