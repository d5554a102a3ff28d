"""Composition root of the realtime worker: settings in, adapters built, loops awaited (§22)."""

import asyncio
import gc
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import date

import aiohttp
import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from apps.worker_realtime import recovery, rows
from apps.worker_realtime.engine import Engine, Permission
from apps.worker_realtime.feature_book import FeatureBook
from apps.worker_realtime.lease import TradingLease
from apps.worker_realtime.link import DeskLink
from apps.worker_realtime.live import Surroundings, TappedStream, account_key, live_trading
from apps.worker_realtime.loop import LoopConfig, MinuteLoop, give_way, stale_limit_ms
from apps.worker_realtime.model_source import LoadedModel, ModelSource
from apps.worker_realtime.publisher import StatePublisher
from apps.worker_realtime.quality import Quality, load_quality
from apps.worker_realtime.settings_source import SettingsSource
from apps.worker_realtime.status import StatusView
from apps.worker_realtime.totals import Totals, load_totals
from packages.common.bus import Bus
from packages.common.config import Settings, load_settings
from packages.common.db import ensure_identity
from packages.common.errors import PlatformError, SettingsError, VenueError
from packages.common.logging import configure_logging
from packages.common.settings_versions import SettingsVersion
from packages.common.time import Clock, ManualClock, ScaledClock, wall_ms
from packages.common.writer import BatchWriter
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.streams import BinanceStream
from packages.exchange.clock_sync import keep_synchronised
from packages.exchange.port import StreamItem
from services.collector.collector import Collector, CollectorConfig
from services.features import kernel
from services.inference import forest
from services.registry.instruments import DayFacts, Instruments, load_days, load_instruments
from services.simulator import step
from services.simulator.tables import State
from services.simulator.volume import VolumeWindow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found in the database."""

    instruments: Instruments
    book: FeatureBook
    volumes: VolumeWindow
    medians: NDArray[np.float64]
    account: State
    days: dict[date, DayFacts]
    totals: Totals
    last_ts: dict[str, int | None]


class Worker:
    """Builds everything once and runs until told to stop. A broken part ends it; the supervisor starts it anew."""

    def __init__(self, settings: Settings) -> None:
        if not settings.database_url or not settings.redis_url:
            raise SettingsError("DATABASE_URL and REDIS_URL: the realtime worker needs both; `perpilot up` sets them")
        self._settings = settings
        self._database_url, self._redis_url = settings.database_url, settings.redis_url
        self._clock: Clock = ManualClock() if math.isinf(settings.clock_speed) else ScaledClock(0, settings.clock_speed)
        self._streams: list[BinanceStream] = []
        self._listed: tuple[str, ...] = ()
        self._symbols: tuple[str, ...] = ()

    async def run(self) -> None:
        """Recover, then loop (start-up is the recovery path)."""
        source = SettingsSource(self._database_url, self._settings)
        settings = self._settings = await asyncio.to_thread(source.start)
        models = ModelSource(self._database_url)
        lease = TradingLease(self._database_url)
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(
                BatchWriter(
                    self._database_url,
                    settings.var_dir / "spill" / "worker_realtime",
                    flush_interval_ms=settings.flush_interval_ms,
                )
            )
            # What an earlier run left on disk goes first: recovery must read the minutes it had decided.
            await writer.flush(timeout_s=120.0)
            state = await asyncio.to_thread(self._recover)
            self._listed, self._symbols = state.instruments.listed, state.instruments.symbols
            await asyncio.to_thread(models.load)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            bus = await stack.enter_async_context(Bus(self._redis_url))
            endpoints = endpoints_for(settings.exchange, settings.exchange_rest_url, settings.exchange_ws_url)
            rng = np.random.default_rng(wall_ms())
            key = account_key(settings, os.environ)
            venue = BinanceRest(session, endpoints, self._clock, rng, credentials=key)
            watchers: list[Callable[[StreamItem], None]] = []

            def open_stream(symbols: Sequence[str]) -> BinanceStream | TappedStream:
                stream = BinanceStream(session, endpoints, self._clock, rng, symbols=symbols)
                self._streams[:] = [stream]
                return TappedStream(stream, watchers) if key is not None else stream

            limits = CollectorConfig(min_samples=settings.mark_samples_needed, bar_deadline_ms=settings.bar_deadline_ms)
            collector = Collector(venue, open_stream, self._clock, state.last_ts, limits)
            publisher = StatePublisher(bus.publish)
            view = StatusView(settings, self._clock, state.instruments, collector, writer, bus, self._streams)
            link = DeskLink(self._database_url, lambda: view.as_json(whole=True))
            loop = MinuteLoop(
                state.book,
                state.volumes,
                state.medians,
                state.days,
                self._clock,
                writer,
                publisher.publish,
                lambda: Permission(
                    trading_on=settings.trading_enabled
                    and settings.mode != "off"
                    and link.state.toggle != "off"
                    and link.fresh
                    and lease.fresh,
                    kill_switch=link.state.kill_switch != "RUNNING",
                ),
                state.totals,
                LoopConfig(stale_limit_ms(settings.stale_after_ms, settings.clock_speed)),
            )
            view.attach(loop, link, models, source)

            def take_settings(version: SettingsVersion) -> None:
                loop.settings = version

            def take_model(model: LoadedModel | None) -> None:
                if model is None:
                    return
                if loop.engine is None:
                    rules = state.instruments
                    loop.engine = Engine(
                        rules.symbols,
                        rules.tradable,
                        rules.constants,
                        source.current.settings,
                        model.predictor,
                        state.account,
                        source.current.version,
                    )
                    loop.tell_account(loop.engine)
                elif loop.engine.model is not model.predictor:
                    loop.engine.use(model.predictor)

            async def pace() -> None:
                take_model(models.current)
                if settings.mode != "off" and not loop.progress.catching_up and loop.progress.fresh_symbols:
                    await link.arm_shadow()
                await give_way(lambda: writer.metrics.queued_rows if writer.metrics.database_ok else 0)

            take_model(models.current)
            tradable = [
                name for name, yes in zip(state.instruments.symbols, state.instruments.tradable, strict=True) if yes
            ]

            async def trade_live() -> None:
                around = Surroundings(
                    venue,
                    self._clock,
                    lease,
                    link,
                    writer,
                    models,
                    state.book,
                    tradable,
                    lambda: loop.progress.catching_up,
                )
                watchers.append(around.see)
                watching = asyncio.create_task(around.watch_clock(), name="clock-watch")
                try:
                    async with live_trading(
                        settings,
                        session,
                        venue,
                        self._clock,
                        rng,
                        writer,
                        publisher.publish,
                        link,
                        around,
                        tradable,
                    ) as live:
                        loop.live = view.live = live
                        watchers.append(live.see)
                        await asyncio.gather(live.obey(), live.follow_rules(), live.tell())
                finally:
                    watching.cancel()

            parts = [
                *([trade_live()] if key is not None else []),
                self._refresh(loop, view),
                lease.run(),
                link.run(),
                models.follow(),
                source.follow(take_settings),
                publisher.run(),
                self._publish_status(publisher, view),
                self._end_when_wanted(link.restart_wanted, collector),
            ]
            if isinstance(self._clock, ScaledClock) and key is None:
                parts.append(keep_synchronised(venue, self._clock))
            helpers = [asyncio.create_task(part) for part in parts]
            main = asyncio.create_task(loop.run(collector.run(), pace), name="minute-loop")
            self._stop_on_signals(collector, main)
            try:
                done, _ = await asyncio.wait([main, *helpers], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in (main, *helpers):
                    task.cancel()
                await asyncio.gather(main, *helpers, return_exceptions=True)
                loop.checkpoint()
                log.info("worker_stopped", minutes=loop.progress.minutes)

    def _recover(self) -> Recovered:
        settings = self._settings
        for compiled in (kernel, forest, step):
            compiled.warm()  # a minute must not wait for the compiler
        gc.freeze()  # nor a stop for a walk over everything that was imported: 140 ms a time
        with psycopg.connect(self._database_url, autocommit=True, connect_timeout=10) as conn:
            ensure_identity(conn, settings.identity)
            universe = recovery.with_held(conn, settings.universe)
            instruments = load_instruments(conn, universe, settings.taker_fee_rate)
            instruments = replace(instruments, tradable=instruments.tradable & np.isin(universe, settings.universe))
            if not instruments.listed:
                raise SettingsError("UNIVERSE: none of its symbols is known; run `perpilot data bootstrap --to-tables`")
            book = recovery.restore_features(conn, instruments.symbols, instruments.listed)
            volumes, medians = recovery.restore_volumes(conn, instruments.symbols)
            account = recovery.restore_account(conn, instruments.symbols, settings.shadow_equity_usdt)
            days = load_days(conn, instruments.symbols)
            totals = load_totals(conn, rows.MODE) or Totals(settings.shadow_equity_usdt)
            last_ts = recovery.last_stored(conn, instruments.listed)
        log.info("recovered", symbols=len(instruments.listed), newest=max(book.last_ts(s) for s in instruments.listed))
        return Recovered(instruments, book, volumes, medians, account, days, totals, last_ts)

    async def _refresh(self, loop: MinuteLoop, view: StatusView, every_s: float = 15.0) -> None:
        """Take in tiers and betas as their job computes them, and what the tables say of data quality."""
        while True:
            with suppress(psycopg.Error):
                loop.days, view.quality = await asyncio.to_thread(self._look_up, loop.progress.candle_ts_ms)
            await asyncio.sleep(every_s)

    def _look_up(self, newest_ts_ms: int | None) -> tuple[dict[date, DayFacts], Quality]:
        with psycopg.connect(self._database_url, connect_timeout=5) as conn:
            days = load_days(conn, self._symbols)
            return days, load_quality(conn, self._listed, newest_ts_ms)

    @staticmethod
    async def _publish_status(publisher: StatePublisher, view: StatusView) -> None:
        while True:
            publisher.publish("status_updates", view.as_json())
            await asyncio.sleep(1.0)

    @staticmethod
    async def _end_when_wanted(wanted: asyncio.Event, collector: Collector) -> None:
        """End after the batch under way, as at a signal; the supervisor starts what ended anew."""
        await wanted.wait()
        log.warning("restart_wanted")
        collector.stop()
        await asyncio.Event().wait()  # the loop ends the process, not this

    @staticmethod
    def _stop_on_signals(collector: Collector, main: "asyncio.Task[None]") -> None:
        """First signal: end after the batch under way. Second: at once."""
        running = asyncio.get_running_loop()
        asked = False

        def stop() -> None:
            nonlocal asked
            if asked:
                main.cancel()
            asked = True
            collector.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, stop)


def main() -> int:
    """Exit code 0 after a stop that was asked for, 1 with one clear line otherwise."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        asyncio.run(Worker(settings).run())
    except (PlatformError, VenueError, psycopg.Error) as exc:
        print(f"worker_realtime: {exc}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
