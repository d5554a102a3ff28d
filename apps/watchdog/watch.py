"""The watchdog's loop: look, decide, act, write down; the decisions are ``core``'s.

It needs a disk and the exchange, and neither Postgres nor Redis: the plan is the trader's journal, read without a lock.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, assert_never

import msgspec
import structlog

from apps.watchdog import core
from packages.common import ids
from packages.common.errors import InvalidInputError, VenueError
from packages.common.time import Clock, monotonic_ms, wall_ms
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import market_chunks, round_price
from packages.exchange.port import InstrumentInfo
from packages.exchange.trading import Accepted, AlgoOrder, Outcome, Rejected, RejectReason, Trading, Unknown
from services.execution.journal import JournalDamagedError, JournalError, JournalMissingError, JournalState, read_state

log = structlog.get_logger(__name__)

_ACTIONS_KEPT = 50
_RULES_EVERY_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one desk: the trader's journal and sign of life, and our own report."""

    journal: Path
    worker: Path
    report: Path


def places(var_dir: Path) -> Places:
    """Where they are in ``VAR_DIR``."""
    run = var_dir / "run"
    return Places(var_dir / "execution" / "journal.ndjson", run / "trader.json", run / "watchdog.json")


@dataclass(slots=True)
class Report:
    """What ``run/watchdog.json`` says. Wall time; ``checked_ts_ms``: the last look that saw the exchange;
    ``acted_ts_ms``: the last action, of which ``actions`` keeps the newest."""

    started_ts_ms: int
    alive_ts_ms: int
    checked_ts_ms: int | None = None
    acted_ts_ms: int | None = None
    worker_age_ms: float | None = None
    positions: dict[str, str] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)


class Watchdog:
    """Watches one account. ``poll_s``: wall seconds between looks; in doubt the next one comes as soon as it counts."""

    def __init__(self, venue: BinanceRest, files: Places, rules: core.Rules, *, poll_s: float = 5.0) -> None:
        self._venue, self._files, self._rules, self._poll_s = venue, files, rules, poll_s
        self._clock: Clock = venue.transport.clock
        self._instruments: dict[str, InstrumentInfo] = {}
        self._instruments_mono_ms = -1e18
        self._trading: Trading = BinanceTrading(venue.transport, self._instruments)
        self._plan, self._damaged, self._gone = JournalState("", 0), False, False
        self._memory = core.Memory()
        self._raised: tuple[core.Raised, ...] = ()
        now = wall_ms()
        self._report = Report(now, now, **_kept(files.report))

    async def run(self) -> None:
        """Look until cancelled. Nothing that a look meets ends it: who watches must not be the one that is missing."""
        while True:
            try:
                await self.look()
            except Exception as exc:
                with contextlib.suppress(OSError, ValueError):  # the log may have gone with the disk
                    log.exception("look_failed", error=type(exc).__name__)
            agree_s = self._rules.agree_ms / 1e3
            await asyncio.sleep(min(agree_s, self._poll_s) if self._memory.uneasy else self._poll_s)

    async def look(self) -> core.Decision:
        """One look and what follows from it."""
        self._read_plan()
        seen = await self._see()
        look = core.Look(
            now_ms=self._clock.now_ms(),
            mono_ms=monotonic_ms(),
            symbols=seen,
            worker_age_ms=_age_ms(self._files.worker),
            journal_damaged=self._damaged,
            journal_gone=self._gone,
        )
        decision = core.decide(self._plan, look, self._memory, self._rules)
        self._memory = decision.memory
        self._say(decision.alarms)
        self._write(look)
        for action in decision.actions:
            await self._act(action)
        if decision.actions:
            self._write(look)
        return decision

    # --- seeing -------------------------------------------------------------------------------------------------

    def _read_plan(self) -> None:
        """The journal now. While it cannot be read, or when it has vanished, the last plan known stands; of a damaged
        one counts what reads."""
        self._gone = False
        try:
            self._plan, self._damaged = read_state(self._files.journal), False
        except JournalMissingError:
            self._gone = self._plan.instance != ""  # else nothing was ever traded from there
        except JournalDamagedError as exc:
            log.warning("journal_damaged", error=str(exc))
            self._damaged = True
            with contextlib.suppress(JournalError):
                self._plan = read_state(self._files.journal, accept_damage=True)
        except JournalError as exc:
            log.warning("journal_unreadable", error=str(exc))

    async def _see(self) -> Mapping[str, core.Seen] | None:
        """Planned symbols and whatever else is open; None when any of it could not be read."""
        try:
            await self._prepare()
            listed = await asyncio.gather(*(self._listed(symbol) for symbol in sorted(self._plan.open)))
            held = {row.symbol: row for row in await self._trading.positions() if row.side == "BOTH"}
        except VenueError as exc:
            log.warning("exchange_unreachable", error=str(exc))
            return None
        planned = dict(listed)
        return {
            symbol: core.Seen(held.get(symbol), *planned.get(symbol, ((), ())))
            for symbol in sorted({*planned, *(symbol for symbol, row in held.items() if row.amount != 0)})
        }

    async def _listed(self, symbol: str) -> tuple[str, tuple[Any, Any]]:
        orders, algos = await asyncio.gather(self._trading.open_orders(symbol), self._trading.open_algo_orders(symbol))
        return symbol, (orders, algos)

    async def _prepare(self) -> None:
        """Clock and contracts, at the first look and every hour."""
        if monotonic_ms() - self._instruments_mono_ms < _RULES_EVERY_MS:
            return
        await sample_clock(self._venue, self._clock, 3)
        self._instruments.update((await self._venue.exchange_info()).instruments)
        self._instruments_mono_ms = monotonic_ms()

    # --- acting -------------------------------------------------------------------------------------------------

    async def _act(self, action: core.Action) -> None:
        match action:
            case core.PlaceStop():
                outcome = await self._place_stop(action)
                self._memory = core.told(self._memory, action, outcome)
                self._note(action, outcome)
            case core.Exit():
                info = self._instruments.get(action.symbol)
                chunks = market_chunks(info, action.quantity) if info is not None else []
                for n, chunk in enumerate(chunks):
                    name = self._name(action.decision_id, ids.Leg.EXIT, action.number, n)
                    self._note(
                        action,
                        await self._trading.place_market(action.symbol, action.side, chunk, name, reduce_only=True),
                    )
            case core.Cancel():
                self._note(action, await self._trading.cancel_order(action.symbol, action.client_id))
            case _:
                assert_never(action)

    async def _place_stop(self, action: core.PlaceStop) -> Outcome[AlgoOrder]:
        """At the plan's trigger; when the tick has changed since, at the next one that is nearer to the price."""
        name = self._name(action.decision_id, ids.Leg.STOP, action.number)
        try:
            info = self._instruments[action.symbol]
            trigger = round_price(info, action.trigger, up=action.side.value == "SELL")
            return await self._trading.place_stop(action.symbol, action.side, trigger, name)
        except (InvalidInputError, KeyError) as exc:
            return Rejected(RejectReason.BAD_REQUEST, None, str(exc))

    def _name(self, decision_id: str, leg: ids.Leg, number: int, chunk: int = 0) -> str:
        """An id of the desk's, so that its trader knows the order for one of its own, and never one it gives itself."""
        owner = f"{decision_id}/watchdog/{self._report.started_ts_ms}/{chunk}"
        return ids.client_order_id(self._plan.instance, owner, leg, min(number, ids.ATTEMPTS_MAX))

    # --- telling ------------------------------------------------------------------------------------------------

    def _say(self, alarms: tuple[core.Raised, ...]) -> None:
        before = {(row.alarm, row.symbol) for row in self._raised}
        for row in alarms:
            if (row.alarm, row.symbol) not in before:
                log.error("alarm", alarm=row.alarm.value, symbol=row.symbol or None, detail=row.detail)
        now = {(row.alarm, row.symbol) for row in alarms}
        for alarm, symbol in sorted(before - now):
            log.info("alarm_over", alarm=alarm.value, symbol=symbol or None)
        self._raised = alarms

    def _note(self, action: core.Action, outcome: Outcome[Any]) -> None:
        match outcome:
            case Accepted():
                text = "accepted"
            case Rejected(reason=reason, code=code):
                text = f"rejected: {reason.value} {code}"
            case Unknown(why=why):
                text = f"unknown: {why}"
        row = {"ts_ms": wall_ms(), "action": type(action).__name__, **_plain(action), "outcome": text}
        log.error("acted", **row)
        report = self._report
        report.acted_ts_ms = row["ts_ms"]
        report.actions = [*report.actions, row][-_ACTIONS_KEPT:]

    def _write(self, look: core.Look) -> None:
        """Replace the report; a disk that refuses must not end the watch."""
        report, now = self._report, wall_ms()
        report.alive_ts_ms, report.worker_age_ms = now, look.worker_age_ms
        if look.symbols is not None:
            report.checked_ts_ms = now
            report.positions = {symbol: str(seen.amount) for symbol, seen in look.symbols.items() if seen.amount != 0}
        report.alarms = [{"alarm": r.alarm.value, "symbol": r.symbol, "detail": r.detail} for r in self._raised]
        path = self._files.report
        temporary = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(report))
            temporary.replace(path)
        except OSError as exc:
            log.warning("report_not_written", error=str(exc))


def _plain(action: core.Action) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else str(value) for name, value in asdict(action).items()}


def _kept(path: Path) -> dict[str, Any]:
    """Actions of the run before: a restart of ours must not hide that something was done."""
    try:
        old = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return {}
    return {"actions": old.actions, "acted_ts_ms": old.acted_ts_ms}


def _age_ms(path: Path) -> float | None:
    """Since the file was last written; None when there is none."""
    try:
        return max(0.0, wall_ms() - path.stat().st_mtime * 1e3)
    except OSError:
        return None
