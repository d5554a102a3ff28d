"""The real server on a free port of loopback, in the test's own loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvicorn

from apps.api.deps import Resources
from apps.api.main import create_app, server_config
from packages.common.config import Settings, load_settings


@dataclass(frozen=True)
class Running:
    """A server, its address and a client of it."""

    base: str
    client: aiohttp.ClientSession
    resources: Resources

    @property
    def ws(self) -> str:
        return self.base.replace("http", "ws", 1) + "/ws"


def settings_for(database_url: str, redis_url: str, **more: object) -> Settings:
    return load_settings(env_file=None, database_url=database_url, redis_url=redis_url, **more)


@contextlib.asynccontextmanager
async def running(settings: Settings, web_out: Path = Path("/nonexistent")) -> AsyncIterator[Running]:
    app = create_app(settings, web_out)
    server = uvicorn.Server(server_config(app, settings))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the server did not start")
            await asyncio.sleep(0.005)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(base, connector=connector) as client:
                yield Running(base, client, app.state.resources)
        finally:
            server.should_exit = True
            await task
