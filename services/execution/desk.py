"""What the parts of a trader share: the ports, and what is believed of the account."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.common.time import Clock, iso
from packages.exchange import trading as wire
from packages.exchange.port import InstrumentInfo
from services.execution import books, guards
from services.execution.core.state import Phase
from services.execution.equity import EquityMarks
from services.execution.journal import EquitySeen, Journal
from services.execution.kill_switch import Trip
from services.execution.ports import EntryOrder, Outside, TraderConfig, Writer
from services.execution.reader import SnapshotReader
from services.execution.runner import SymbolRunner
from services.execution.translate import Translator

log = structlog.get_logger(__name__)

TripOf = Callable[[Trip], None]


@dataclass(kw_only=True)
class Desk:
    """One account. Every part reads it; each field has one writer, named beside it where it is not the trader."""

    trading: wire.Trading
    stream: wire.UserStream
    journal: Journal
    clock: Clock
    writer: Writer
    publish: Callable[[str, Any], None]
    outside: Outside
    config: TraderConfig
    limits: guards.EntryLimits
    instruments: dict[str, InstrumentInfo]
    universe: tuple[str, ...]
    translator: Translator
    reader: SnapshotReader
    marks: EquityMarks | None  # through ``take_marks``
    runners: dict[str, SymbolRunner] = field(default_factory=dict)
    plans: dict[str, books.Plan] = field(default_factory=dict)
    entering: dict[str, EntryOrder] = field(default_factory=dict)  # entries
    held: dict[str, wire.Position] = field(default_factory=dict)  # reconciliation
    account: wire.Account | None = None  # reconciliation
    paused: set[str] = field(default_factory=set)
    started: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def ready(self) -> bool:
        """Recovered: no symbol is still finding out where it stands."""
        return self.started and all(runner.phase is not Phase.RECOVERING for runner in self.runners.values())

    def runner(self, symbol: str) -> SymbolRunner:
        """The runner of ``symbol``. Raises ``InvalidInputError`` when there is none."""
        if symbol not in self.runners:
            raise InvalidInputError("symbol", symbol, "one of " + ", ".join(sorted(self.runners)))
        return self.runners[symbol]

    def take_marks(self, marks: EquityMarks) -> None:
        """New marks that losses are measured from; the journal keeps what they were last moved to."""
        old, self.marks = self.marks, marks
        if old is None or (old.day_start, old.week_start, old.peak) != (marks.day_start, marks.week_start, marks.peak):
            self.journal.note(EquitySeen(marks))

    def put_intent(self, plan: books.Plan, state: str, **details: Any) -> None:
        """Where an intent stands, as a row."""
        self.writer.put("order_intents", [books.intent_row(plan, state, self.clock.now_ms(), **details)])

    def put_adopted(self, adopted: books.Adopted, state: str, **details: Any) -> None:
        """Where a position without a plan stands, as a row."""
        self.writer.put("order_intents", [books.adopted_row(adopted, state, self.clock.now_ms(), **details)])

    def risk(self, code: str, symbol: str | None, message: str, severity: int, **details: Any) -> None:
        """Tell of a risk event: a row, a message and a line of the log."""
        row = books.risk_row(self.clock.now_ms(), code, symbol, message, severity, **details)
        self.writer.put("risk_events", [row])
        self.publish("risk_events", [row | {"ts": iso(row["ts"])}])
        log.warning("risk_event", code=code, symbol=symbol, message=message)

    # --- work beside the stream ---

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do ``work`` beside everything else; when it fails it says so and hurts nothing."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(_guarded(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # ended before it began, it would be said never to be awaited

    async def stop(self) -> None:
        """End what ``start`` began."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _guarded(work: Awaitable[None]) -> None:
    try:
        await work
    except VenueError as exc:
        log.info("task_failed", error=str(exc))
    except Exception as exc:
        log.exception("task_broken", error=type(exc).__name__)
