"""The two jobs of ``scripts/``, put together from settings: clients in, one line of summary out."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import numpy as np

from packages.common.config import Settings
from packages.common.errors import InvalidInputError, SettingsError
from packages.common.time import DAY_MS, MINUTE_MS, Clock, ManualClock, ScaledClock, floor_minute
from packages.common.writer import BatchWriter
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.clock_sync import sample_clock
from services.collector.adapters.postgres import PostgresSink
from services.collector.bootstrap import bootstrap_history, parse_span
from services.collector.universe_worker import UniverseWorker, tradable

_BAR_WIDTH = 30


@asynccontextmanager
async def open_venue(settings: Settings) -> AsyncIterator[tuple[BinanceRest, Clock]]:
    """The exchange of the settings over REST, and its clock, sampled."""
    endpoints = endpoints_for(settings.exchange, settings.exchange_rest_url, settings.exchange_ws_url)
    paced = settings.clock_speed != float("inf")
    clock: Clock = ScaledClock(0, settings.clock_speed) if paced else ManualClock()
    async with aiohttp.ClientSession() as session:
        venue = BinanceRest(session, endpoints, clock, np.random.default_rng(settings.seed))
        await sample_clock(venue, clock, samples=3)
        yield venue, clock


@asynccontextmanager
async def _parts(settings: Settings) -> AsyncIterator[tuple[BinanceRest, PostgresSink, Clock]]:
    if not settings.database_url:
        raise SettingsError("DATABASE_URL: not set, expected the address of the migrated database")
    writer = BatchWriter(settings.database_url, settings.var_dir / "spill" / "scripts", flush_interval_ms=50)
    async with (
        open_venue(settings) as (venue, clock),
        writer,
        PostgresSink(settings.database_url, writer) as sink,
    ):
        yield venue, sink, clock


async def init_universe(settings: Settings) -> str:
    """Sync ``UNIVERSE`` into ``instruments``; says how many may be traded."""
    async with _parts(settings) as (venue, sink, clock):
        rows = await UniverseWorker(venue, sink, clock, settings.universe).sync_once()
    others = ", ".join(f"{row['symbol']} {row['status']}" for row in rows if row["status"] != "active")
    return f"{len(rows)} symbols, {len(tradable(rows))} active" + (f"; {others}" if others else "")


async def load_history(
    settings: Settings,
    days: int | None = None,
    *,
    from_: str | None = None,
    to: str | None = None,
    symbols: Sequence[str] = (),
) -> str:
    """Sync the universe, then load ``days`` (default ``HISTORY_DAYS``) of history, or ``from_`` to ``to``, of it or of
    ``symbols`` into the tables; says what was stored."""
    async with _parts(settings) as (venue, sink, clock):
        rows = await UniverseWorker(venue, sink, clock, settings.universe).sync_once()
        known = tradable(rows)
        for symbol in symbols:
            if symbol not in known:
                raise InvalidInputError(
                    "symbols", symbol, f"symbols of UNIVERSE that can be traded: {', '.join(known)}"
                )
        end_ms = floor_minute(await venue.server_time_ms())
        if from_ is None and to is None:
            start_ms = end_ms - (days or settings.history_days) * DAY_MS
        else:
            start_ms, end_ms = parse_span(days, from_, to, end_ms, settings.history_days)
        chosen = list(symbols) or known
        stored = await sink.stored_until(chosen)
        report = await bootstrap_history(
            venue,
            chosen,
            start_ms,
            end_ms,
            sink,
            progress=_show,
            resume_from={key: ts_ms + MINUTE_MS for key, ts_ms in stored.items()},
        )
    parts = [f"{n} {name}" for name, n in sorted(report.rows.items())]
    return f"{len(chosen)} symbols: {', '.join(parts) or 'nothing new'}; {len(report.gaps)} gaps"


def _show(fraction: float, stage: str) -> None:
    done = int(fraction * _BAR_WIDTH)
    end = "\n" if fraction >= 1 else ""
    print(
        f"\r[{'#' * done}{'.' * (_BAR_WIDTH - done)}] {fraction:4.0%} {stage:<40}", end=end, file=sys.stderr, flush=True
    )
