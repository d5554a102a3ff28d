"""The emulated exchange as a whole: builds the parts, serves them, and ends them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from packages.common.time import MINUTE_MS, iso, monotonic_ms, wall_ms
from services.emulator.admin import admin_app
from services.emulator.audit import Audit
from services.emulator.clock import LIMIT_SPEED, ClockFile, MarketClock, first_position
from services.emulator.columns import MarketSource
from services.emulator.config import EmulatorConfig, open_source, speed_text
from services.emulator.faults import Faults
from services.emulator.feed import MarketFeed, contracts_of
from services.emulator.hub import Hub
from services.emulator.keys import AHEAD_MS, KeyRing
from services.emulator.limits import Limits
from services.emulator.market import Market
from services.emulator.pump import Pump
from services.emulator.rest import Rest
from services.emulator.shaken import Shaken
from services.emulator.sockets import Sockets
from services.emulator.store import VenueStore
from services.emulator.trading import Trading, adopt
from services.emulator.venue.margin import amount
from services.emulator.venue.model import Account
from services.emulator.venue.venue import Venue


@dataclass(frozen=True)
class Emulator:
    """A built exchange. ``rest_url`` and ``ws_url`` are empty until it is served."""

    config: EmulatorConfig
    market: Market
    clock: MarketClock
    hub: Hub
    faults: Faults
    rest: Rest
    trading: Trading
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
    faults = Faults(config.seed, config.faults)
    market = Market(Shaken(source, faults), config.mark_updates)
    saved = None
    save: Callable[[int], None] = _forget
    store, left = None, None
    if config.state_dir is not None:
        file = ClockFile(Path(config.state_dir) / "clock.json", config.identity)
        saved, save = file.load(config.speed), file.save
        store = VenueStore(Path(config.state_dir) / "venue", config.identity)
        left = store.load() if saved is not None else None
    position = first_position(source.start_ms, source.end_ms, config.history_days) if saved is None else saved
    venue = _venue(config, market, faults, position)

    def shaken() -> None:
        market.forget()
        venue.changed(contracts_of(market))

    faults.watch(shaken)
    began = wall_ms() - monotonic_ms()
    audit = Audit(lambda: began + monotonic_ms())
    if left is not None:
        # an exchange does not go back behind what it answered
        position = max(position, adopt(venue, faults, audit, *left))
        venue.advance(position)
        for name, event in venue.take_events():
            audit.hear(name, event)
    market.minute(position // MINUTE_MS)  # loads the compiled code and makes the days before, ahead of the clock
    clock = MarketClock(position, config.speed, source.end_ms)
    save(position)
    hub, limits = Hub(), Limits(config.weight_per_minute)
    # a client's clock is wrong by milliseconds of ours, whatever the speed
    ahead_ms = AHEAD_MS * (LIMIT_SPEED if clock.free else max(1.0, config.speed))
    keys = KeyRing(config.keys, ahead_ms, LIMIT_SPEED if clock.free else 1.0)
    trading = Trading(
        venue,
        clock,
        hub,
        faults,
        keys,
        store,
        audit,
        life_s=config.listen_key_life_s,
        wall_stamps=config.wall_stamps,
    )
    rest = Rest(market, clock, limits, faults, trading)
    app = web.Application()
    app.add_routes(Sockets(hub, clock, faults, market.by_name, config.connection_life_s).routes())
    app.router.add_route("*", "/{path:.*}", rest.handle)
    pump = Pump(market, clock, hub, faults, config.kline_updates, save, trading.tick)
    return Emulator(config, market, clock, hub, faults, rest, trading, pump, app)


def _venue(config: EmulatorConfig, market: Market, faults: Faults, position: int) -> Venue:
    """The trading half at its very beginning: every account with its deposit and nothing else."""
    venue = Venue(
        contracts_of(market),
        MarketFeed(market),
        [Account(key.account) for key in config.keys],
        position,
        seed=config.seed,
        switches=config.switches,
        stuck=faults.stuck,
        share=faults.filled_share,
        delay=faults.fill_delay,
    )
    for name, deposit in {key.account: key.deposit for key in reversed(config.keys)}.items():
        venue.desks[name].ledger.book("TRANSFER", "", amount(deposit), position)
    return venue


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
    ports = admin_app(built.faults, built.clock, built.hub, built.trading, config.identity)
    admin = web.AppRunner(ports, access_log=None, shutdown_timeout=1.0)
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
        built.trading.close()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    site = web.TCPSite(runner, host, port)
    await site.start()
    return int(runner.addresses[-1][1])
