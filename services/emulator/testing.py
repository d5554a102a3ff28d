"""An emulated exchange for tests and campaigns: served in this process or as a child, judged by its own books.

```python
async with served(EmulatorConfig(speed=60.0, seed=3)) as exchange:      # here, on a free port of the loopback
    settings = exchange.environment()                                    # EXCHANGE_REST_URL, EXCHANGE_API_KEY, …
    await exchange.control.fault(kind="order_lost", share=0.1, for_ms=3_600_000)
    ...                                                                  # trade over the wire
    report = await exchange.control.audit()
    assert report["accounts"]["main"]["summary"]["duplicates"] == 0

async with spawned("--speed", "60", "--var-dir", folder) as exchange:   # a child: ``exchange.kill()`` is SIGKILL
    ...
```

``Control`` is the admin port, so a campaign may hold one to any emulator that was started with ``--admin-port``. What
``audit`` tells is explained in ``services.emulator.audit``: naked intervals, duplicate entries, orphan orders and the
ledger, none of it from the books of whoever trades. ``audit`` first brings the account up to the present.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from packages.common.errors import PlatformError
from services.emulator.columns import MarketSource
from services.emulator.config import EmulatorConfig
from services.emulator.keys import TEST_KEY, ApiKey
from services.emulator.server import Emulator, serve_emulator

_ROOT = Path(__file__).resolve().parents[2]
_STARTS_S, _ENDS_S = 120.0, 15.0


class ControlError(PlatformError):
    """The admin port refused, or the child did not start."""

    code = "EMULATOR_CONTROL"


class Control:
    """The admin port at ``url``; every call returns its answer, ``ControlError`` says why there is none."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self.url = session, url

    async def audit(self, *, rows: bool = True) -> dict[str, Any]:
        """See ``services.emulator.audit``; without ``rows`` the summaries alone."""
        found: dict[str, Any] = await self.send("GET", "/audit" if rows else "/audit?rows=false")
        return found

    async def status(self) -> dict[str, Any]:
        """Market time, speed, connections."""
        found: dict[str, Any] = await self.send("GET", "/status")
        return found

    async def fault(self, **fault: object) -> Any:
        """Plan a fault (``docs/emulator.md``), times in market ms or as ``in_ms`` and ``for_ms`` from now."""
        return await self.send("POST", "/faults", fault)

    async def faults(self) -> Any:
        """What is possible, what is planned, how often each has struck."""
        return await self.send("GET", "/faults")

    async def clear(self) -> None:
        """No faults any more."""
        await self.send("DELETE", "/faults")

    async def switch(self, **values: object) -> Any:
        """Set switches; all of them are returned."""
        return await self.send("PUT", "/switches", values)

    async def save(self) -> dict[str, Any]:
        """Everything: give it to ``restore`` here, or at another emulator of the same market."""
        found: dict[str, Any] = await self.send("GET", "/state")
        return found

    async def restore(self, state: Mapping[str, Any]) -> None:
        """Become what ``state`` says, time included."""
        await self.send("PUT", "/state", state)

    async def hand(self, **body: object) -> Any:
        """Somebody else's hand on the account: ``method``, ``path``, ``params``, or ``transfer``, or ``adl``."""
        return await self.send("POST", "/hand", body)

    async def send(self, method: str, path: str, body: object = None) -> Any:
        """One request of the admin port."""
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, self.url + path, data=data) as response:
            text = await response.read()
            if response.status >= 400:
                raise ControlError(f"{method} {path}: {text.decode(errors='replace')}")
            return orjson.loads(text)


@dataclass(frozen=True)
class Exchange:
    """A running emulator. ``emulator`` when it is served here, ``process`` when it is a child."""

    rest_url: str
    ws_url: str
    control: Control
    key: ApiKey = TEST_KEY
    emulator: Emulator | None = None
    process: asyncio.subprocess.Process | None = None

    def environment(self) -> dict[str, str]:
        """What a process of the product needs in order to trade here."""
        return {
            "EXCHANGE": "emulator", "EXCHANGE_REST_URL": self.rest_url, "EXCHANGE_WS_URL": self.ws_url,
            "EXCHANGE_API_KEY": self.key.key, "EXCHANGE_API_SECRET": self.key.secret,
        }  # fmt: skip

    async def kill(self) -> None:
        """SIGKILL the child and wait for its end; a new one with the same folder and port goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def served(config: EmulatorConfig, *, source: MarketSource | None = None) -> AsyncIterator[Exchange]:
    """Serve ``config`` in this process until the context ends; an admin port is opened in any case."""
    config = config if config.admin_port is not None else replace(config, admin_port=0)
    async with serve_emulator(config, source=source) as emulator, aiohttp.ClientSession() as session:
        control = Control(session, emulator.admin_url)
        yield Exchange(emulator.rest_url, emulator.ws_url, control, config.keys[0], emulator)


@contextlib.asynccontextmanager
async def spawned(*options: str, key: ApiKey = TEST_KEY, port: int = 0, admin_port: int = 0) -> AsyncIterator[Exchange]:
    """``perpilot emulator serve`` with ``options`` as a child until the context ends, by SIGTERM if it still runs.

    Settings of this process's environment do not reach it. ``ControlError`` when it does not start.
    """
    names = ("EMULATOR", "EXCHANGE", "MARKET", "SEED", "SPEED", "VAR_DIR", "UNIVERSE", "HISTORY")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "apps.cli.main", "emulator", "serve", "--port", str(port), "--admin-port",
        str(admin_port), *options, stdout=asyncio.subprocess.PIPE, env=environment | {"PYTHONPATH": str(_ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        banner = (await asyncio.wait_for(process.stdout.readline(), _STARTS_S)).decode()
        addresses = re.findall(r"http://[\d.]+:\d+", banner)
        if len(addresses) != 2:
            raise ControlError(f"the emulator did not start: {banner!r}")
        async with aiohttp.ClientSession() as session:
            rest, admin = addresses
            yield Exchange(rest, rest.replace("http", "ws", 1), Control(session, admin), key, None, process)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _ENDS_S)
            except TimeoutError:
                process.kill()
                await process.wait()
