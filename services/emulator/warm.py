"""Compiles what the first pushes need, so that no client waits for the compiler."""

import asyncio

import aiohttp

from services.emulator.config import EmulatorConfig
from services.emulator.server import serve_emulator

_STREAMS = "btcusdt@markPrice@1s/btcusdt@kline_1m"


def warm() -> None:
    """Serve a small market to one reader for a moment."""
    asyncio.run(_serve())


async def _serve() -> None:
    config = EmulatorConfig(speed=float("inf"), history_days=1, universe=("BTCUSDT",))
    async with serve_emulator(config) as emulator, aiohttp.ClientSession() as session:
        async with session.get(f"{emulator.rest_url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=2") as answer:
            await answer.read()
        async with session.ws_connect(f"{emulator.ws_url}/market/stream?streams={_STREAMS}") as socket:
            for _ in range(30):
                await socket.receive(timeout=120)
