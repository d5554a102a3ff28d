import asyncio
import contextlib
from pathlib import Path

import aiohttp
import orjson
import pytest

from services.emulator.config import EmulatorConfig
from services.emulator.generator import GeneratedMarket, default_config
from services.emulator.pump import LEAD_MINUTES
from services.emulator.server import serve_emulator

UNIVERSE = ("BTCUSDT", "ETHUSDT", "XAUUSDT", "PUMPUSDT", "ALPHAUSDT", "BNXUSDT")
# Recorded payloads and bars lie beside the checkout while developing; tests that need them say so when they do not.
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def source():
    return GeneratedMarket(default_config(UNIVERSE, 7, 0.0))


@pytest.fixture(scope="session")
def fixtures():
    if not (SHARED / "fixtures").is_dir():
        pytest.skip(f"recorded payloads are not at {SHARED / 'fixtures'}")

    def read(name: str):
        return orjson.loads((SHARED / "fixtures" / name).read_bytes())

    return read


@pytest.fixture(scope="session")
def bars():
    folder = SHARED / "klines_1m" / "2025-05_2025-06"
    if not folder.is_dir():
        pytest.skip(f"recorded bars are not at {folder}")
    return folder


class Client:
    """A plain client of the exchange."""

    def __init__(self, emulator, session: aiohttp.ClientSession) -> None:
        self.emulator, self.session = emulator, session

    async def get(self, path: str, **params):
        async with self.session.get(self.emulator.rest_url + path, params=params) as response:
            self.headers, self.status = response.headers, response.status
            return orjson.loads(await response.read())

    def socket(self, path: str):
        return self.session.ws_connect(self.emulator.ws_url + path, max_msg_size=0)


@contextlib.asynccontextmanager
async def exchange(source, **config):
    """An exchange at rest (a free clock that nobody reads) unless ``speed`` says otherwise, and its client."""
    config = EmulatorConfig(**{"speed": float("inf"), "history_days": 3, "universe": UNIVERSE, **config})
    async with serve_emulator(config, source=source) as emulator, aiohttp.ClientSession() as session:
        yield Client(emulator, session)


@pytest.fixture
async def still(source):
    async with exchange(source) as client:
        yield client


PATIENT_S = 60.0  # until something that must happen has not


async def until(check):
    """Return the first answer of ``check`` that is true; how long it takes is no claim of a test."""
    async with asyncio.timeout(PATIENT_S):
        while not (found := await check()):  # noqa: ASYNC110 - whoever brings it about need not know who waits
            await asyncio.sleep(0.01)
    return found


async def stands(client, read=1):
    """Return when a free clock has run as far ahead as it may of its reader, who has taken ``read`` minutes and so
    answered the pings after all but the last: an answer may still be on its way."""

    async def waits():
        return any(
            c.seen_marks >= read - 1 and c.sent_marks - c.seen_marks > LEAD_MINUTES
            for c in client.emulator.hub.connections
            if c.category != "private"
        )

    await until(waits)


async def receive(socket, count: int, within_s: float = PATIENT_S):
    """The next ``count`` messages, parsed."""
    return [orjson.loads(await socket.receive_str(timeout=within_s)) for _ in range(count)]
