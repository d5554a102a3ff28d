"""The exchange as a process: it starts by its command, is killed, and goes on."""

import asyncio
import base64
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yarl import URL

from packages.common.time import wall_ms
from services.emulator.testing import spawned
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
        assert await asyncio.wait_for(second.process.wait(), 60) == 0


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


@pytest.mark.integration
async def test_options_make_the_account_the_switches_and_the_faults(tmp_path):
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = tmp_path / "key.pem"
    pem.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    plan = tmp_path / "faults.json"
    plan.write_text('[{"kind": "order_rejected", "leg": "stop", "code": -4120, "in_ms": 0, "for_ms": 600000000}]')
    options = (
        "--speed", "1", "--universe", UNIVERSE, "--history-days", "2", "--var-dir", str(tmp_path), "--balance", "250.5",
        "--api-key", "mine", "--public-key", str(pem), "--switch", "client_ids_reusable=false", "--switch",
        "query_lag_ms=5", "--faults", str(plan), "--wall-stamps",
    )  # fmt: skip
    for round_ in (1, 2):  # the second time the plan goes on instead of beginning again
        async with spawned(*options) as found, aiohttp.ClientSession(headers={"X-MBX-APIKEY": "mine"}) as session:
            stamp = f"timestamp={wall_ms()}"
            signature = quote(base64.b64encode(private.sign(stamp.encode())).decode(), safe="")
            url = f"{found.rest_url}/fapi/v3/balance?{stamp}&signature={signature}"
            async with session.get(URL(url, encoded=True)) as response:
                assert (await response.json())[0]["balance"] == "250.50000000", round_
            switches = await found.control.switch()
            assert (switches["client_ids_reusable"], switches["query_lag_ms"]) == (False, 5)
            assert [row["kind"] for row in (await found.control.faults())["plan"]] == ["order_rejected"]
