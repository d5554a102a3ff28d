"""The emulated exchange as a whole: builds the parts, serves them, and ends them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from packages.common.time import MINUTE_MS, iso
from services.emulator.admin import admin_app
from services.emulator.clock import ClockFile, MarketClock, first_position
from services.emulator.columns import MarketSource
from services.emulator.config import EmulatorConfig, open_source, speed_text
from services.emulator.faults import Faults
from services.emulator.hub import Hub
from services.emulator.limits import Limits
from services.emulator.market import Market
from services.emulator.pump import Pump
from services.emulator.rest import Rest
from services.emulator.sockets import Sockets


@dataclass(frozen=True)
class Emulator:
    """A built exchange. ``rest_url`` and ``ws_url`` are empty until it is served."""

    config: EmulatorConfig
    market: Market
    clock: MarketClock
    hub: Hub
    faults: Faults
    rest: Rest
    pump: Pump
    app: web.Application
    rest_url: str = ""
    ws_url: str = ""
    admin_url: str = ""

    def banner(self) -> str:
        """One line: address, market, clock, speed, updates a minute."""
        config = self.config
        return (
            f"emulated exchange at {self.rest_url}: {self.market.source.name}, {len(self.market.specs)} symbols, "
            f"market time {iso(self.clock.now_ms())}, speed {speed_text(config.speed)}, "
            f"{config.mark_updates} mark and {config.kline_updates} candle updates a minute"
        )


def create_emulator(config: EmulatorConfig, source: MarketSource | None = None) -> Emulator:
    """Build an exchange over ``source``, by default the one that ``config`` names, where its clock stood last."""
    source = open_source(config) if source is None else source
    market = Market(source, config.mark_updates)
    saved = None
    save: Callable[[int], None] = _forget
    if config.state_dir is not None:
        file = ClockFile(Path(config.state_dir) / "clock.json", config.identity)
        saved, save = file.load(config.speed), file.save
    position = first_position(source.start_ms, source.end_ms, config.history_days) if saved is None else saved
    market.minute(position // MINUTE_MS)  # loads the compiled code and makes the days before, ahead of the clock
    clock = MarketClock(position, config.speed, source.end_ms)
    hub, limits, faults = Hub(), Limits(config.weight_per_minute), Faults(config.seed, config.faults)
    rest = Rest(market, clock, limits, faults)
    app = web.Application()
    app.add_routes(Sockets(hub, clock, market.by_name, config.connection_life_s).routes())
    app.router.add_route("*", "/{path:.*}", rest.handle)
    pump = Pump(market, clock, hub, faults, config.kline_updates, save)
    return Emulator(config, market, clock, hub, faults, rest, pump, app)


def _forget(_: int) -> None:
    """A market without a state folder starts anew each time."""


@contextlib.asynccontextmanager
async def serve_emulator(
    config: EmulatorConfig, *, host: str = "127.0.0.1", port: int = 0, source: MarketSource | None = None
) -> AsyncIterator[Emulator]:
    """Serve an exchange on ``port`` (0: a free one) until the context ends; ``OSError`` when the port is taken."""
    built = create_emulator(config, source)
    runner = web.AppRunner(built.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    admin = web.AppRunner(admin_app(built.faults, built.clock, built.hub), access_log=None, shutdown_timeout=1.0)
    pump: asyncio.Task[None] | None = None
    try:
        bound = await _listen(runner, host, port)
        admin_url = ""
        if config.admin_port is not None:
            await admin.setup()
            admin_url = f"http://{host}:{await _listen(admin, host, config.admin_port)}"
        served = replace(built, rest_url=f"http://{host}:{bound}", ws_url=f"ws://{host}:{bound}", admin_url=admin_url)
        pump = asyncio.create_task(built.pump.run(), name="emulator-pump")
        yield served
    finally:
        if pump is not None:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        for connection in list(built.hub.connections):
            connection.cut()
        await admin.cleanup()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    site = web.TCPSite(runner, host, port)
    await site.start()
    return int(runner.addresses[-1][1])
