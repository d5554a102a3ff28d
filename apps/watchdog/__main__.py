"""``python -m apps.watchdog``: watches the account that the realtime worker trades (execution.md 19)."""

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import Mapping

import aiohttp
import numpy as np
import structlog

from apps.watchdog.core import Rules
from apps.watchdog.watch import Watchdog, places
from packages.common.config import Settings, load_settings
from packages.common.errors import PlatformError, SettingsError
from packages.common.logging import configure_logging
from packages.common.time import ScaledClock
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import (
    FILE_VARIABLE,
    KEY_VARIABLE,
    SECRET_VARIABLE,
    Credentials,
    load_credentials,
)
from packages.exchange.binance.transport import RestConfig
from packages.exchange.clock_sync import keep_synchronised

log = structlog.get_logger(__name__)

# A key of its own has order limits of its own and survives the loss of the trader's; without one it uses that.
OWN = {KEY_VARIABLE: "WATCHDOG_API_KEY", SECRET_VARIABLE: "WATCHDOG_API_SECRET", FILE_VARIABLE: "WATCHDOG_KEY_FILE"}
_REST = RestConfig(attempts=2, timeout_s=5.0)


def credentials_of(environment: Mapping[str, str]) -> Credentials:
    """The watchdog's key, else the trader's. Raises ``SettingsError`` when there is neither."""
    own = {name: environment.get(mine, "") for name, mine in OWN.items()}
    found = load_credentials(own) or load_credentials(environment)
    if found is None:
        raise SettingsError(f"{OWN[KEY_VARIABLE]} or {KEY_VARIABLE}: the watchdog needs the key of the account")
    return found


async def watch(settings: Settings, credentials: Credentials) -> None:
    """Until SIGTERM or SIGINT. Orders and stops stay as they are."""
    if math.isinf(settings.clock_speed):
        raise SettingsError("SPEED: got max, expected a finite factor: there is no live trading without one")
    endpoints = endpoints_for(settings.exchange, settings.exchange_rest_url, settings.exchange_ws_url)
    rules = Rules(silent_ms=settings.watchdog_silent_ms)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with aiohttp.ClientSession() as session:
        clock, rng = ScaledClock(0, settings.clock_speed), np.random.default_rng(settings.seed)
        venue = BinanceRest(session, endpoints, clock, rng, credentials=credentials, config=_REST)
        watchdog = Watchdog(venue, places(settings.var_dir), rules, poll_s=settings.watchdog_poll_ms / 1e3)
        log.info("watchdog_started", exchange=settings.exchange)
        stopped = asyncio.create_task(stop.wait())
        while not stopped.done():  # only an order ends the watch: what ends otherwise begins anew
            tasks = [asyncio.create_task(watchdog.run()), asyncio.create_task(keep_synchronised(venue, clock))]
            await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            if not stopped.done():
                with contextlib.suppress(OSError, ValueError):
                    log.error("watch_broken", errors=[repr(end) for end in ends if isinstance(end, Exception)])
                await asyncio.wait({stopped}, timeout=1.0)
    log.info("watchdog_stopped")


def main() -> int:
    """Run; returns the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        asyncio.run(watch(settings, credentials_of(os.environ)))
    except PlatformError as exc:
        print(f"{exc.code}: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
