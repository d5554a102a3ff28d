"""Live trading beside the shadow account: what the worker tells the trader, asks of it and writes for it (D33)."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import numpy as np
import orjson
import psycopg
import structlog

from apps.worker_realtime import differences, rows
from apps.worker_realtime.account_gate import AccountGate
from apps.worker_realtime.engine import Decided, Engine
from apps.worker_realtime.lease import TradingLease
from apps.worker_realtime.link import DeskCommand, DeskLink, SwitchRow
from apps.worker_realtime.live_account import MODE, LiveAccount, LiveMinute, LivePermission
from apps.worker_realtime.live_screens import LiveScreens, account_row, position_rows
from apps.worker_realtime.loop import stale_limit_ms
from apps.worker_realtime.model_source import ModelSource
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import InvalidInputError, PlatformError, SettingsError, VenueError
from packages.common.ids import instance_tag
from packages.common.time import MINUTE_MS, Clock, from_datetime, iso, monotonic_ms, wall_ms
from packages.common.types import KlineUpdate, MarkTick, OhlcBar
from packages.common.writer import BatchWriter
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials, load_credentials
from packages.exchange.binance.streams import BinanceStream
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.clock_sync import sample_clock
from packages.exchange.port import BookTop, Brackets, InstrumentInfo, StreamItem, StreamStats
from services.execution import books, guards
from services.execution.assembly import trading_desk
from services.execution.core.events import Latch
from services.execution.core.state import Phase
from services.execution.journal import LatchMoved, read_state
from services.execution.kill_switch import DataAge, Flatten, Halt, Resume, Trip, restored
from services.execution.ports import AccountView
from services.execution.trader import Trader
from services.simulator.codec import FORMAT, pack_inputs, pack_rows, pack_state
from services.userstream.recorder import Recorder

log = structlog.get_logger(__name__)

_LEASE_GRACE_MS = 8_500.0  # recvWindow of an entry, 2 s of staleness and 5 s (rule 18)
_ROW_WAIT_MS = 30_000.0  # for the operator's last word; without a database the journal's counts
_CLOSE_WITHIN_S = 300.0  # a word of long ago is not one of now
JOURNAL = Path("execution") / "journal.ndjson"


class Feed(Protocol):
    """Bars so far: ``apps.worker_realtime.feature_book.FeatureBook`` is one."""

    @property
    def symbols(self) -> tuple[str, ...]: ...
    def last_ts(self, symbol: str) -> int | None: ...


class TappedStream:
    """The collector's stream, with every record shown to ``watchers`` as it passes."""

    def __init__(self, stream: BinanceStream, watchers: Sequence[Callable[[StreamItem], None]]) -> None:
        self._stream, self._watchers = stream, watchers

    async def __aenter__(self) -> "TappedStream":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stream.__aexit__(*failure)

    async def batches(self) -> AsyncIterator[list[StreamItem]]:
        """As the stream's own."""
        async for batch in self._stream.batches():
            for see in self._watchers:
                for item in batch:
                    see(item)
            yield batch

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """As the stream's own."""
        await self._stream.set_symbols(symbols)

    @property
    def backlog(self) -> bool:
        """As the stream's own."""
        return self._stream.backlog

    def stats(self) -> StreamStats:
        """As the stream's own."""
        return self._stream.stats()


class Surroundings:
    """``services.execution.ports.Outside`` in the worker: every answer is at hand."""

    def __init__(
        self,
        venue: BinanceRest,
        clock: Clock,
        lease: TradingLease,
        link: DeskLink,
        writer: BatchWriter,
        models: ModelSource,
        feed: Feed,
        tradable: Sequence[str],
        catching_up: Callable[[], bool],
    ) -> None:
        self._catching_up = catching_up
        self.venue, self._clock, self._lease, self._link = venue, clock, lease, link
        self._writer, self._models, self._feed, self._tradable = writer, models, feed, tuple(tradable)
        self._lasts: dict[str, float] = {}
        self._mark_ts: dict[str, int] = {}
        self._tiers: Mapping[str, Brackets] = {}
        self._skew: float | None = None
        self.lease_settled = False
        self._synced_mono_ms = -1e18

    def see(self, item: StreamItem) -> None:
        """A record of the market stream."""
        if isinstance(item, MarkTick):
            self._mark_ts[item.symbol] = item.event_ts_ms
        elif isinstance(item, KlineUpdate):
            self._lasts[item.bar.symbol] = item.bar.close

    def lease_age_ms(self) -> float | None:
        """None too while a former holder's requests may still be under way: see ``LiveTrading``."""
        return self._lease.age_ms if self.lease_settled else None

    def lease_held_ms(self) -> float | None:
        return self._lease.held_ms

    def stores_lost(self) -> tuple[str, ...]:
        return () if self._link.fresh and self._writer.metrics.database_ok else ("database",)

    def data_ages(self) -> Mapping[str, DataAge]:
        """Ages since this process has caught up: what it has not heard yet blocks, and is no loss of data."""
        now = self._clock.now_ms()
        if self._catching_up():
            return dict.fromkeys(self._tradable, DataAge(None, None))
        ages = {}
        for symbol in self._tradable:
            bar, mark = self._feed.last_ts(symbol), self._mark_ts.get(symbol)
            ages[symbol] = DataAge(
                None if bar is None else float(now - bar - MINUTE_MS), None if mark is None else float(now - mark)
            )
        return ages

    def clock_skew_ms(self) -> float | None:
        return self._skew

    def sync_age_ms(self) -> float | None:
        """Wall time since the exchange's clock was last asked with success; None: never."""
        age = monotonic_ms() - self._synced_mono_ms
        return age if age < 1e9 else None

    def model_age_ms(self) -> float | None:
        model = self._models.current
        return None if model is None or model.train_end_ms is None else float(self._clock.now_ms() - model.train_end_ms)

    def model_permitted(self, exchange: str) -> bool:
        """A demo model is valid for shadow only (D40); at an emulated exchange there is no money."""
        model = self._models.current
        return model is not None and (model.kind == "production" or exchange == "emulator")

    def last(self, symbol: str) -> Decimal | None:
        price = self._lasts.get(symbol)
        return None if price is None else Decimal(repr(price))

    def brackets(self, symbol: str) -> Brackets | None:
        return self._tiers.get(symbol)

    async def book_top(self, symbol: str) -> BookTop:
        return await self.venue.book_top(symbol)

    async def instruments(self) -> Mapping[str, InstrumentInfo]:
        return (await self.venue.exchange_info()).instruments

    async def mark_bars(self, symbol: str, start_ms: int, end_ms: int) -> Sequence[OhlcBar]:
        return await self.venue.mark_klines(symbol, start_ms, end_ms)

    async def refresh(self) -> None:
        """Leverage tiers, asked with the account's key. Raises ``VenueError``."""
        self._tiers = {row.symbol: row for row in await self.venue.leverage_brackets()}

    async def watch_clock(self, every_s: float = 10.0) -> None:
        """Keep the clock on the exchange's and remember by how much it was off."""
        while True:
            try:
                self._skew = await sample_clock(self.venue, self._clock)
                self._synced_mono_ms = monotonic_ms()
            except VenueError:
                self._skew = None
            await asyncio.sleep(every_s)


class LiveTrading:
    """The trader in the worker: minutes in, orders out, rows and messages written, the operator's word obeyed."""

    def __init__(
        self,
        trader: Trader,
        surroundings: Surroundings,
        link: DeskLink,
        settings: Settings,
        writer: BatchWriter,
        clock: Clock,
        instruments: Mapping[str, InstrumentInfo],
        limits: guards.EntryLimits,
        gate: AccountGate,
        publish: Callable[[str, Any], None],
    ) -> None:
        self.gate = gate
        self._screens = LiveScreens(trader.view, publish, clock)
        self._limits, self._venue = limits, surroundings.venue
        self.lease_grace_ms = _LEASE_GRACE_MS
        self._watchdog_acted = wall_ms()  # what it did before this process is history
        self._bare_since: dict[str, int] = {}  # wall time since which a position is seen without a confirmed stop
        self.trader, self._surroundings = trader, surroundings
        self._link, self._settings, self._writer, self._clock = link, settings, writer, clock
        self._instruments = instruments
        self._account: LiveAccount | None = None
        self._engine: Engine | None = None
        self._row = SwitchRow(link.state)

    def clock_skew_ms(self) -> float | None:
        """By how many market ms our clock was off the exchange's when last compared; None unknown."""
        return self._surroundings.clock_skew_ms()

    def see(self, item: StreamItem) -> None:
        """Marks for the software stop (rule 8) and for screens."""
        if isinstance(item, MarkTick):
            mark = Decimal(repr(item.mark))
            self.trader.see_mark(item.symbol, mark)
            self._screens.see_mark(item.symbol, mark)

    def minute(self, shadow: Decided, engine: Engine, late_ms: int, decided_at_ms: int) -> None:
        """Decide for the account on the shadow account's inputs, hand over what follows, keep the rows."""
        if self._account is None or self._engine is not engine:
            self._account, self._engine = LiveAccount(engine), engine
        view = self.trader.view()
        permission = LivePermission(
            trading_on=self._settings.trading_enabled
            and self._link.state.toggle == "live"
            and self._link.fresh
            and self._surroundings.model_permitted(self._settings.exchange)
            and self.gate.permits(),
            stop_path_ok=self.trader.stop_path_proven(),
        )
        minute = self._account.minute(shadow, view, permission, self._instruments, self._limits)
        for order in minute.entries:
            self.trader.enter(order)
        for symbol, reason in minute.exits:
            self.trader.close(symbol, reason)
        self._write(minute, engine, view, late_ms, decided_at_ms)

    def _write(self, minute: LiveMinute, engine: Engine, view: AccountView, late_ms: int, at_ms: int) -> None:
        ts_ms, put = minute.decided.ts_ms, self._writer.put
        put("signals", rows.signal_rows(minute.decided, engine, late_ms, MODE))
        put(
            "decisions",
            [
                {
                    "ts": ts_ms,
                    "mode": MODE,
                    "model_id": engine.model.model_id,
                    "symbols": list(engine.symbols),
                    "inputs": pack_inputs(minute.decided.inputs),
                    "outputs": pack_rows(minute.decided.out.rows),
                    "state": pack_state(minute.state),
                    "format": FORMAT,
                    "decided_at": at_ms,
                    "settings_version": engine.settings_version,
                    "settings_hash": engine.settings_hash,
                }
            ],
        )
        account = account_row(view, ts_ms)
        if account is not None:
            put("account_snapshots", [account])
        positions = position_rows(view, ts_ms)
        if positions:
            put("positions", positions)

    # --- the operator -----------------------------------------------------------------------------------------------

    async def obey(self, every_s: float = 0.25) -> None:
        """Carry what the desk's tables ask to the trader, and its latch back to them, until cancelled."""
        while True:
            if self.trader.running is not None and self.trader.running.done():
                self.trader.running.result()  # a trader that ended by itself is a fault: begin anew
            state = self._link.state
            seen = self._row.moved_from(state, ours=books.MODE)
            if seen is not None:
                self._hear(state.kill_switch, seen, state.reason, state.changed_by)
            for symbol in self._link.paused ^ self.trader.view().paused:
                self.trader.pause(symbol, paused=symbol in self._link.paused)
            for command in self._link.take_commands():
                await self._link.answer(command, self._carry_out(command))
            await self._settle_lease()
            word = self.trader.killed.word
            if word != self._row.word:
                version = await self._link.report_latch(word, self.trader.killed.code, books.MODE)
                if version is not None:
                    self._row.wrote(word, version)
            self._watch_the_watchdog()
            self._beat()
            await asyncio.sleep(every_s)

    async def _settle_lease(self) -> None:
        """Rule 18: a new holder enters when the old one's requests are dead and the account was compared since. Nothing
        else waits for that: what protects never needs the lease."""
        around, held_ms = self._surroundings, self._surroundings.lease_held_ms()
        if held_ms is None:
            around.lease_settled = False
        elif not around.lease_settled and held_ms >= self.lease_grace_ms:
            try:
                await self.trader.reconcile()
            except VenueError as exc:
                log.info("lease_not_settled", error=str(exc))
            else:
                around.lease_settled = True

    async def tell(self) -> None:
        """Show the account on screens, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._screens.follow(lambda: self._bare_since))
            if self._settings.database_url:
                group.create_task(self._screens.follow_totals(self._settings.database_url))

    async def follow_rules(self, every_s: float = 60.0) -> None:
        """The exchange's rules and its opening and closing of symbols, for ever: they may change under a position."""
        while True:
            await asyncio.sleep(every_s)
            try:
                self._instruments = (await self._venue.exchange_info()).instruments
                await self._surroundings.refresh()
            except VenueError as exc:
                log.info("rules_not_read", error=str(exc))
                continue
            self.trader.use_instruments(self._instruments)

    def _watch_the_watchdog(self) -> None:
        """What the watchdog did by itself was not planned here: stop entering until an operator has looked."""
        path = self._settings.var_dir / "run" / "watchdog.json"
        try:
            acted = orjson.loads(path.read_bytes()).get("acted_ts_ms")
        except (OSError, ValueError, AttributeError):
            return
        if acted is not None and acted > self._watchdog_acted:
            self._watchdog_acted = acted
            self.trader.report(Trip(Latch.HALTED, "WATCHDOG_ACTED", "watchdog", "see run/watchdog.json"))

    def _hear(self, asked: str, seen: str, reason: str, author: str) -> None:
        """The operator moved the switch in the desk's row, from what the row said then (``seen``). What has tripped
        since was not looked at by anybody, so it is not cleared: the row is set right, to be decided anew."""
        now = self.trader.killed.word
        if asked == "RUNNING" and now not in ("RUNNING", seen):
            log.warning("resume_of_another_state", seen=seen, now=now)
        elif asked == "RUNNING" and now != "RUNNING":
            self.trader.command(Resume(reason or "resumed", author))
        elif asked == "HALTED" and now == "RUNNING":
            self.trader.command(Halt(reason or "halted", author))
        elif asked == "FLATTENING" and now in ("RUNNING", "HALTED"):
            self.trader.command(Flatten(reason or "flatten", author))

    def _carry_out(self, command: DeskCommand) -> str:
        """Close one symbol; returns what came of it. Pauses are a state of the table and stand already."""
        if command.kind != "close":
            return "done"
        if command.age_s > _CLOSE_WITHIN_S:
            return f"refused: asked {command.age_s:.0f} s ago, while nobody traded; ask again"
        if command.symbol not in self.trader.view().locked:
            return f"refused: nothing is open on {command.symbol}"
        try:
            self.trader.close(command.symbol, "operator")
        except InvalidInputError as exc:
            return f"refused: {exc}"
        return "done"

    def _beat(self) -> None:
        """The watchdog's sign of life: it must not need a database."""
        view = self.trader.view()
        bare = [symbol for symbol, held in view.positions.items() if not held.protected]
        self._bare_since = {symbol: self._bare_since.get(symbol, wall_ms()) for symbol in bare}
        path = self._settings.var_dir / "run" / "trader.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        beat = {
            "wall_ms": wall_ms(),
            "market_ms": self._clock.now_ms(),
            "latch": view.killed.word,
            "positions": {symbol: str(row.amount) for symbol, row in view.positions.items()},
            "ready": view.ready,
        }
        temporary = path.with_suffix(".new")
        temporary.write_bytes(orjson.dumps(beat))
        temporary.replace(path)

    def status(self) -> dict[str, Any]:
        """For ``process_status``: what gates and screens ask of live trading."""
        view = self.trader.view()
        now, killed = self._clock.now_ms(), view.killed
        trips = [
            {"code": code, "latch": trip.latch.value.upper(), "since": iso(trip.since_ms), "by": trip.by,
             "detail": trip.detail}
            for code, trip in sorted(killed.trips.items(), key=lambda item: item[1].since_ms)
        ]  # fmt: skip
        return {
            "ready": view.ready,
            "stream_up": view.stream_up,
            "latch": killed.word,
            "latch_code": killed.code,
            "latch_since": next((row["since"] for row in trips if row["code"] == killed.code), None),
            "trips": trips,
            "blocks": [
                {"code": block.code, "symbol": block.symbol, "since": iso(since)}
                for block, since in sorted(killed.blocks.items(), key=lambda item: (item[0].code, item[0].symbol or ""))
            ],
            "positions": len(view.positions),
            "unprotected": sorted(symbol for symbol, held in view.positions.items() if not held.protected),
            "unprotected_since": {symbol: iso(at) for symbol, at in sorted(self._bare_since.items())},
            "paused": sorted(view.paused),
            "proofs": {tier: iso(at) for tier, at in view.proofs.seen.items() if at},
            "stop_path_proven": self.trader.stop_path_proven(),
            "locked": {symbol: phase.value for symbol, phase in view.locked.items()},
            "naked_ms": _spread(view.naked_ms),
            "entries_unknown": sum(phase is Phase.UNKNOWN for phase in view.locked.values()),
            "equity": None if view.account is None else str(view.account.margin_balance),
            "market_ts": iso(now) if now > 0 else None,
        }


@asynccontextmanager
async def live_trading(
    settings: Settings,
    session: aiohttp.ClientSession,
    venue: BinanceRest,
    clock: Clock,
    rng: np.random.Generator,
    writer: BatchWriter,
    publish: Callable[[str, Any], None],
    link: DeskLink,
    surroundings: Surroundings,
    tradable: Sequence[str],
) -> AsyncIterator[LiveTrading]:
    """The trader of this worker. It recovers and protects at once; entries wait for the lease (rule 18)."""
    started = monotonic_ms()
    while not link.fresh and monotonic_ms() - started < _ROW_WAIT_MS:  # noqa: ASYNC110 - a state, not an event
        await asyncio.sleep(0.05)
    path = settings.var_dir / JOURNAL
    instruments = (await venue.exchange_info()).instruments
    await surroundings.refresh()
    left = read_state(path, accept_damage=True).moved if path.exists() else None
    moves = [] if left is None else [left]
    if link.state.kill_switch != "RUNNING":
        latch = Latch.HALTED if link.state.kill_switch == "HALTED" else Latch.FLATTENING
        moves.append(LatchMoved(latch, "OPERATOR", link.state.changed_by, link.state.reason, clock.now_ms()))
    limits = on_market(guards.entry_limits(settings), clock.speed)
    async with trading_desk(
        session,
        venue.transport,
        clock,
        rng,
        instruments,
        journal_path=path,
        instance=settings.instance or instance_tag(settings.var_dir),
        universe=tradable,
        writer=writer,
        publish=publish,
        outside=surroundings,
        recorder=lambda trading, leg_of, intent_of: Recorder(trading, writer, publish, leg_of, intent_of),
        limits=limits,
        killed=restored(moves),
        unbooked=await asyncio.to_thread(unbooked, settings.database_url),
    ) as trader:
        trading = BinanceTrading(venue.transport, instruments)
        gate = AccountGate(settings, clock.speed, trading, venue, tuple(tradable), surroundings, trader)
        asking = [asyncio.create_task(gate.run(link.gate_wanted, lambda: link.state.toggle == "live"), name="gate")]
        if settings.database_url:
            asking.append(asyncio.create_task(differences.follow(settings.database_url), name="differences"))
        try:
            yield LiveTrading(trader, surroundings, link, settings, writer, clock, instruments, limits, gate, publish)
        finally:
            for task in asking:
                task.cancel()


def unbooked(database_url: str | None) -> list[books.Plan | books.Adopted]:
    """Plans and positions without one whose ends an earlier process may not have booked; none while the database is
    away. Blocks."""
    if not database_url:
        return []
    query = (
        "SELECT kind, symbol, created_at, payload FROM order_intents "
        "WHERE mode = %s AND kind = ANY(%s) AND NOT state = ANY(%s) ORDER BY created_at"
    )
    try:
        with connect(database_url, autocommit=True, timeout_s=5) as conn:
            rows = conn.execute(query, (MODE, list(books.KINDS), list(books.DONE))).fetchall()
    except (PlatformError, psycopg.Error) as exc:
        log.warning("plans_not_read", error=type(exc).__name__)
        return []
    return [
        books.unbooked_of(kind, symbol, from_datetime(created_at), payload)
        for kind, symbol, created_at, payload in rows
    ]


def on_market(limits: guards.EntryLimits, speed: float) -> guards.EntryLimits:
    """Ages of data on an accelerated market: a second of our own time is allowed for on top, as in the kernel."""
    rates = limits.rates
    bar_ms, mark_ms = (stale_limit_ms(int(age), speed) for age in (rates.bar_age_ms, rates.mark_age_ms))
    return replace(limits, rates=replace(rates, bar_age_ms=bar_ms, mark_age_ms=mark_ms))


def account_key(settings: Settings, environment: Mapping[str, str]) -> Credentials | None:
    """The account's key, None where live trading is not permitted: then it is not even read.

    MODE=live without one, or on a market without a speed, stops the start: it could never do what it is there for.
    """
    if settings.mode != "live":
        return None
    found = load_credentials(environment)
    if found is None:
        raise SettingsError(
            "MODE=live: needs a key of the account; set EXCHANGE_API_KEY and EXCHANGE_API_SECRET, or EXCHANGE_KEY_FILE"
        )
    if math.isinf(settings.clock_speed):
        raise SettingsError("SPEED: live trading needs a market that moves by itself; set a number")
    return found


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "max": round(max(values), 1)}
