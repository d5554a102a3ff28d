"""The other side of the wire, for a process of its own that loads nothing else."""

import asyncio
import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe

from aiohttp import web


def serve(pipe: Pipe, messages: Sequence[str]) -> None:
    """Tell the port through ``pipe``, send ``messages`` to whoever connects, until the pipe says something."""
    asyncio.run(_serve(pipe, messages))


async def _serve(pipe: Pipe, messages: Sequence[str]) -> None:
    async def stream(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        for message in messages:
            await ws.send_str(message)
        await ws.receive()
        return ws

    app = web.Application()
    app.router.add_get("/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    pipe.send(sock.getsockname()[1])
    await asyncio.to_thread(pipe.recv)
    await runner.cleanup()
