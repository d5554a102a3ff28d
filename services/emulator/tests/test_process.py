"""The exchange as a process: it starts by its command, is killed, and goes on."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from services.emulator.tests.conftest import receive

ROOT = Path(__file__).resolve().parents[3]
UNIVERSE = "BTCUSDT,ETHUSDT"


class Process:
    def __init__(self, folder, speed):
        self.arguments = [
            sys.executable, "-c", "from apps.cli.emulator import app; app()", "serve", "--port", "0",
            "--speed", speed, "--var-dir", str(folder), "--universe", UNIVERSE, "--history-days", "2",
        ]  # fmt: skip
        self.folder = folder

    async def __aenter__(self):
        environment = {k: v for k, v in os.environ.items() if k.isupper() and not k.startswith(("EXCHANGE", "MARKET"))}
        self.process = await asyncio.create_subprocess_exec(
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
        )
        self.banner = (await asyncio.wait_for(self.process.stdout.readline(), 60)).decode()
        self.url = re.search(r"http://[\d.]+:\d+", self.banner).group()
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    async def kill(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def now(self):
        async with self.session.get(f"{self.url}/fapi/v1/time") as response:
            return (await response.json())["serverTime"]

    async def candles(self, start, end):
        query = {"symbol": "ETHUSDT", "interval": "1m", "startTime": start, "endTime": end}
        async with self.session.get(f"{self.url}/fapi/v1/klines", params=query) as response:
            return await response.read()


@pytest.mark.integration
async def test_a_killed_exchange_goes_on_with_the_same_market(tmp_path):
    async with Process(tmp_path, "max") as first:
        assert "generated (seed 7, " in first.banner
        assert "speed max, 10 mark and 1 candle updates a minute" in first.banner
        async with first.session.ws_connect(f"{first.url}/market/ws/ethusdt@kline_1m", max_msg_size=0) as ws:
            opens = [push["k"]["t"] for push in await receive(ws, 300)]
        killed_at = await first.now()
        start, end = opens[100], opens[200]
        before = await first.candles(start, end)
        await asyncio.sleep(0.1)
        await first.kill()
    async with Process(tmp_path, "max") as second:
        resumed_at = await second.now()
        assert resumed_at == killed_at  # nobody read: it stood, and where it stood was saved
        assert await second.candles(start, end) == before
        second.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.process.wait(), 10) == 0


async def test_a_malformed_option_ends_the_start_with_its_name(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *Process(tmp_path, "fast").arguments,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"SPEED: got 'fast'" in errors
