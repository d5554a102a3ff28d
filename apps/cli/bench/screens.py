"""The desk's readers, for processes of their own that load nothing else: screens on the gateway, callers of the API,
and a server that does nothing but send bytes."""

import asyncio
import socket
import time
from multiprocessing.connection import Connection as Pipe
from typing import Any

import aiohttp
import uvicorn


def watch(pipe: Pipe, base: str, cookie: str, count: int) -> None:
    """Hold ``count`` sockets on ``signal_updates``. Tells when all have their snapshot; at a word sends (minute as ISO
    text, monotonic ns of arrival) of every update since."""
    asyncio.run(_watch(pipe, base, cookie, count))


async def _watch(pipe: Pipe, base: str, cookie: str, count: int) -> None:
    arrivals: list[tuple[str, int]] = []
    waiting = count
    ready, doors = asyncio.Event(), asyncio.Semaphore(32)  # signing in is not what is measured

    async def screen(session: aiohttp.ClientSession) -> None:
        nonlocal waiting
        async with doors:
            ws = await session.ws_connect("/ws")
        async with ws:
            await ws.send_json({"op": "subscribe", "channels": ["signal_updates"]})
            async for message in ws:
                at = time.monotonic_ns()
                text = message.data
                if '"type":"update"' in text[:80]:
                    start = text.index('"ts":"') + 6
                    arrivals.append((text[start : text.index('"', start)], at))
                elif '"type":"snapshot"' in text[:80]:
                    waiting -= 1
                    if waiting == 0:
                        ready.set()

    async with aiohttp.ClientSession(
        base, connector=aiohttp.TCPConnector(limit=0), headers={"Cookie": cookie}
    ) as session:
        tasks = [asyncio.create_task(screen(session)) for _ in range(count)]
        all_ready = asyncio.create_task(ready.wait())
        done, _ = await asyncio.wait([*tasks, all_ready], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {all_ready}:
            task.result()
            raise ConnectionError("a socket was closed before it had its snapshot")
        pipe.send("ready")
        while await asyncio.to_thread(pipe.recv):
            found, arrivals[:] = list(arrivals), []
            pipe.send(found)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def ask(pipe: Pipe) -> None:
    """For every (url, headers, connections, seconds) that the pipe says: each connection asks again as soon as it is
    answered. Sends (answers, seconds, latencies in ms)."""
    while (job := pipe.recv()) is not None:
        pipe.send(asyncio.run(_ask(*job)))


async def _ask(url: str, headers: dict[str, str], connections: int, seconds: float) -> tuple[int, float, list[float]]:
    taken: list[float] = []
    async with aiohttp.ClientSession(headers=headers, auto_decompress=False) as session:

        async def once() -> None:
            begin = time.perf_counter()
            async with session.get(url) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            taken.append((time.perf_counter() - begin) * 1e3)

        await once()  # opens the connection, fills what is kept
        taken.clear()
        begin = time.perf_counter()

        async def caller() -> None:
            while time.perf_counter() - begin < seconds:
                await once()

        await asyncio.gather(*(caller() for _ in range(connections)))
        return len(taken), time.perf_counter() - begin, taken


def serve_bytes(pipe: Pipe, body: bytes) -> None:
    """What is beside the API: the same server that answers everything with ``body``. Tells its port, until a word."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def run() -> None:
        config = uvicorn.Config(app, log_level="critical", access_log=False, server_header=False, lifespan="off")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            pipe.send(listener.getsockname()[1])
            await asyncio.to_thread(pipe.recv)
            server.should_exit = True
            await serving

    asyncio.run(run())
