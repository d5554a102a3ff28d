"""Carries out one symbol's commands: the shell around ``core.bracket.step``.

It keeps the core's three promises: one answer to each submit, read and journal command, no retries of its own, commands
started in the order given. Delays are wall time; only the bracket's time exit is due by the market's clock.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

import msgspec
import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.common.time import DAY_MS, HOUR_MS, Clock, monotonic_ms
from packages.exchange import filters
from packages.exchange import trading as wire
from packages.exchange.port import InstrumentInfo
from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.bracket import step
from services.execution.core.state import AlgoState, Bracket, Limits, Phase
from services.execution.journal import (
    ExitWanted,
    IntentClosed,
    IntentOpened,
    Journal,
    JournalError,
    NumbersReserved,
)
from services.execution.reader import SnapshotReader
from services.execution.translate import (
    Named,
    Translator,
    answer_of,
    closing_side,
    opening_side,
    order_id,
    query_answer,
)

log = structlog.get_logger(__name__)

NUMBERS_BLOCK, NUMBERS_MARGIN = 400, 100
TRADING = "TRADING"
ANSWER_S = 15.0  # the client has its own time-out; this one only keeps the promise of an answer
_BEYOND_SHARE = Decimal("0.001")


class Notes(Protocol):
    """What a runner tells its trader. Nothing here may block or raise."""

    def stepped(self, symbol: str, before: Bracket, after: Bracket, event: ev.Event) -> None:
        """One event was folded."""

    def alert(self, symbol: str, code: str) -> None: ...

    def trip(self, symbol: str, latch: ev.Latch, code: str) -> None: ...

    def lapsed(self, symbol: str, reasons: tuple[str, ...]) -> None: ...

    def answered(self, symbol: str, leg: ev.Leg, outcome: wire.Outcome[Any], took_ms: float) -> None:
        """A submit was answered: accepted, refused or unknown."""

    def naked(self, symbol: str, lasted_ms: float) -> None:
        """An interval without a standing stop has ended; ours of it, from the first sign to the acknowledgement."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all runners share."""

    trading: wire.Trading
    journal: Journal
    translator: Translator
    reader: SnapshotReader
    clock: Clock
    notes: Notes
    read_rules: Callable[[], Awaitable[None]]  # every runner then uses the exchange's rules of now; ``VenueError``
    adopted_stop: Decimal = Decimal("0.02")  # distance of the stop of a position without a plan, of the mark
    delays: Mapping[ev.Timer, int] = field(
        default_factory=dict
    )  # wall ms in place of ``commands.DELAY_MS``; slow paces in proportion


def limits_of(info: InstrumentInfo) -> Limits:
    """The market lot as the core asks for it. Raises ``InvalidInputError`` for a symbol without filters."""
    low = info.market_min_qty or info.min_qty
    high = info.market_max_qty or info.max_qty
    if low is None or high is None:
        raise InvalidInputError("market_min_qty", low, f"lot filters of {info.symbol}")
    return Limits(low, high)


class SymbolRunner:
    """One symbol. ``feed`` folds an event and starts what it commands; it neither blocks nor raises."""

    def __init__(self, info: InstrumentInfo, parts: Parts) -> None:
        self.info, self._parts = info, parts
        self.symbol = info.symbol
        self.state = Bracket(limits_of(info))
        self.mark: Decimal | None = None
        self.exposed_ts_ms: int | None = None  # when the first sign of the position came
        self.marks_seen: tuple[Decimal, Decimal] | None = None  # lowest and highest since then, in this process
        self.stop_price: Decimal | None = None  # trigger of the last stop sent
        self._entry_ts_ms = 0
        self._reserved = 0
        self._ids: dict[Named, str] = {}
        self._plan_id = f"{info.symbol}:none"
        self._queue: deque[ev.Event] = deque()
        self._busy = False
        self._timers: dict[ev.Timer, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._naked_since: float | None = None
        self._beyond = False

    @property
    def phase(self) -> Phase:
        return self.state.phase

    # --- events in --------------------------------------------------------------------------------------------------

    def feed(self, event: ev.Event) -> None:
        """Fold ``event``. What its commands feed in turn is folded after it."""
        self._queue.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue:
                self._fold(self._queue.popleft())
        finally:
            self._busy = False

    def restart(self, base: int, opened: IntentOpened | None, latch: ev.Latch, exit_reason: str | None) -> None:
        """Begin with what the journal knows (rule 15). ``base`` lies above every number that may have been used, and
        ``NUMBERS_BLOCK`` of them are reserved on disk already."""
        self._reserved = base + NUMBERS_BLOCK
        self._plan_id = opened.intent.decision_id if opened is not None else f"{self.symbol}:{base}"
        if opened is not None:
            self._entry_ts_ms = opened.ts_ms
            self._ids |= {
                Named(ev.Leg.ENTRY, opened.attempt): opened.entry_client_id,
                Named(ev.Leg.STOP, opened.attempt): opened.stop_client_id,
                Named(ev.Leg.TARGET, opened.attempt): opened.target_client_id,
            }
        intent, attempt = (opened.intent, opened.attempt) if opened is not None else (None, 0)
        self.feed(ev.Restarted(intent, attempt, base, latch, exit_reason))

    def use(self, info: InstrumentInfo) -> None:
        """The exchange's rules as they are now; it may change them, and close the symbol, while a position is open."""
        opened, was = info.status == TRADING, self.info.status == TRADING
        self.info = info
        self.state = replace(self.state, limits=limits_of(info))
        if opened != was:
            self.feed(ev.MarketStatus(opened))

    def see_mark(self, mark: Decimal) -> None:
        """Rule 8: is the mark past the stop's trigger by max(2 ticks, 0.1 %)?"""
        self.mark = mark
        if self.state.exposed:
            low, high = self.marks_seen or (mark, mark)
            self.marks_seen = (min(low, mark), max(high, mark))
        plan, direction = self.state.intent, self.state.direction
        if not self.state.exposed or plan is None or plan.direction != direction:
            return
        slack = max(2 * (self.info.tick_size or Decimal(0)), plan.stop_price * _BEYOND_SHARE)
        beyond = (plan.stop_price - mark) * direction >= slack
        if beyond != self._beyond:
            self._beyond = beyond
            self.feed(ev.MarkBeyondStop(beyond))

    async def close(self) -> None:
        """Stop timers and what is under way; orders at the exchange stay."""
        for handle in self._timers.values():
            handle.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _fold(self, event: ev.Event) -> None:
        before = self.state
        self.state, commands = step(before, event)
        for command in commands:
            self._carry_out(command)
        self._measure(before)
        self._parts.notes.stepped(self.symbol, before, self.state, event)

    def _measure(self, before: Bracket) -> None:
        """Naked, as we see it: from the first sign of a position until its stop is known to stand, or it is gone. A
        stop that ends while an exit is under way ended with the position, as far as anybody knows; so did one after
        which the position was told to be zero."""
        now = self.state
        bare = now.stop.state in (AlgoState.NONE, AlgoState.LISTING)
        naked = (
            now.exposed and not now.recovering and (bare or (now.stop.state is AlgoState.DONE and now.position != 0))
        )
        if naked and self._naked_since is None and not before.wants_exit:
            self._naked_since = monotonic_ms()
        elif not naked and self._naked_since is not None:
            self._parts.notes.naked(self.symbol, monotonic_ms() - self._naked_since)
            self._naked_since = None
        if now.exposed and not before.exposed:
            self.exposed_ts_ms, self.marks_seen = self._parts.clock.now_ms(), None
        elif not now.exposed:
            self.exposed_ts_ms, self._beyond = None, False

    # --- commands out -----------------------------------------------------------------------------------------------

    def _carry_out(self, command: do.Command) -> None:
        parts = self._parts
        match command:
            case do.Journal():
                self._plan_id = command.intent.decision_id
                self._start(self._journal(command))
            case do.JournalExit():
                parts.journal.note(ExitWanted(self.symbol, command.reason, parts.clock.now_ms()))
            case do.SubmitEntry():
                side = opening_side(command.intent.direction)
                name = self._name(ev.Leg.ENTRY, command.attempt)
                qty = command.intent.qty
                self._submit(
                    Named(ev.Leg.ENTRY, command.attempt),
                    lambda: parts.trading.place_market(self.symbol, side, qty, name, reduce_only=False),
                )
            case do.SubmitStop():
                self._submit_stop(command)
            case do.SubmitTarget():
                side, name = closing_side(command.direction), self._name(ev.Leg.TARGET, command.attempt)
                trigger = filters.round_price(self.info, command.trigger, up=command.direction < 0)
                self._submit(
                    Named(ev.Leg.TARGET, command.attempt),
                    lambda: parts.trading.place_take_profit(self.symbol, side, trigger, name),
                )
            case do.SubmitStage():
                self._submit_stage(command)
            case do.SubmitExit():
                self._submit_exit(command)
            case do.Cancel():
                self._start(self._cancel(command))
            case do.CancelRegular():
                self._start(self._cancel_regular())
            case do.QueryEntry():
                self._start(self._query(command.attempt))
            case do.ReadSnapshot():
                self._start(self._read())
            case do.Arm():
                self._arm(command)
            case do.Alert():
                parts.notes.alert(self.symbol, command.code)
            case do.Trip():
                parts.notes.trip(self.symbol, command.latch, command.code)
            case do.Lapse():
                parts.notes.lapsed(self.symbol, command.reasons)
            case do.Lock():
                pass  # ``state.locked`` says so
            case do.Release():
                parts.journal.note(IntentClosed(self.symbol, parts.clock.now_ms()))
                self._ids.clear()

    def _submit_stop(self, command: do.SubmitStop) -> None:
        trading, side = self._parts.trading, closing_side(command.direction)
        name = self._name(ev.Leg.STOP, command.attempt)

        async def place() -> wire.Outcome[wire.AlgoOrder]:
            trigger = command.trigger
            if trigger is None:  # a position without a plan
                mark = await self._mark_now()
                away = mark * (1 - command.direction * self._parts.adopted_stop)
                trigger = away
            # the plan's tick may not be the exchange's any more: the nearer price is the safer one
            self.stop_price = trigger = filters.round_price(self.info, trigger, up=command.direction > 0)
            return await trading.place_stop(self.symbol, side, trigger, name)

        self._submit(Named(ev.Leg.STOP, command.attempt), place)

    def _submit_stage(self, command: do.SubmitStage) -> None:
        side, name = closing_side(command.direction), self._name(ev.Leg.STAGE, command.attempt)
        qty = filters.floor_quantity(self.info, command.qty, market=False)
        price = filters.round_price(self.info, command.price, up=command.direction > 0)
        self._submit(
            Named(ev.Leg.STAGE, command.attempt),
            lambda: self._parts.trading.place_limit(self.symbol, side, qty, price, name, reduce_only=True),
        )

    def _submit_exit(self, command: do.SubmitExit) -> None:
        trading, side = self._parts.trading, closing_side(command.direction)
        name = self._name(ev.Leg.EXIT, command.attempt)

        async def place() -> wire.Outcome[wire.Order]:
            qty = filters.floor_quantity(self.info, command.qty, market=not command.at_band_edge)
            if not command.at_band_edge:
                return await trading.place_market(self.symbol, side, qty, name, reduce_only=True)
            edge = filters.band_edge(self.info, await self._mark_there(), side)
            return await trading.place_limit(
                self.symbol, side, qty, edge, name, reduce_only=True, time_in_force=wire.TimeInForce.IOC
            )

        self._submit(Named(ev.Leg.EXIT, command.attempt), place)

    async def _mark_now(self) -> Decimal:
        return self.mark if self.mark is not None else await self._mark_there()

    async def _mark_there(self) -> Decimal:
        """As the exchange has it at this moment: the edge of its band by a mark that we heard of lies outside of it
        half of the time."""
        held = [row for row in await self._parts.trading.positions(self.symbol) if row.mark_price > 0]
        if not held:
            raise InvalidInputError("mark", None, f"a mark price of {self.symbol}")
        return held[0].mark_price

    def _submit(self, named: Named, send: Callable[[], Awaitable[wire.Outcome[Any]]]) -> None:
        self._start(self._answer(named, send))
        if named.attempt + NUMBERS_MARGIN > self._reserved:
            self._reserve(named.attempt + NUMBERS_BLOCK)

    async def _answer(self, named: Named, send: Callable[[], Awaitable[wire.Outcome[Any]]]) -> None:
        started = monotonic_ms()
        dead_ms = self._parts.clock.now_ms() + 60_000
        grid = self._grid
        outcome: wire.Outcome[Any]
        try:
            async with asyncio.timeout(ANSWER_S):
                outcome = await send()
        except InvalidInputError as exc:  # nothing left
            outcome = wire.Rejected(wire.RejectReason.BAD_REQUEST, None, str(exc))
            log.warning("order_refused_here", symbol=self.symbol, leg=named.leg.value, error=str(exc))
        except VenueError as exc:  # of a read before the order
            outcome = wire.Rejected(wire.RejectReason.NOT_SENT, None, str(exc))
        except TimeoutError:
            outcome = wire.Unknown("no answer", None, dead_ms)
        except Exception as exc:  # a fault of ours must not leave the core without its answer
            log.exception("submit_failed", symbol=self.symbol, leg=named.leg.value, error=type(exc).__name__)
            outcome = wire.Unknown("a fault of ours", None, dead_ms)
        if isinstance(outcome, wire.Rejected) and outcome.reason is wire.RejectReason.OFF_GRID:
            outcome = await self._off_grid(outcome, grid)
        self._parts.notes.answered(self.symbol, named.leg, outcome, monotonic_ms() - started)
        self.feed(answer_of(named.leg, named.attempt, outcome))

    async def _off_grid(self, refused: wire.Rejected, sent: tuple[Decimal | None, ...]) -> wire.Rejected:
        """Whether ``refused`` is so because the symbol's tick or step is no longer the ``sent`` one: the next attempt
        is on the new grid then. If they are what we took them for, trying again cannot help."""
        if self._grid == sent:  # nobody has read them since
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._parts.read_rules()
            except (VenueError, TimeoutError) as exc:
                log.warning("rules_not_read", symbol=self.symbol, error=str(exc))
            except Exception as exc:  # a fault of ours must not leave the core without its answer
                log.exception("rules_not_read", symbol=self.symbol, error=type(exc).__name__)
        if self._grid == sent:
            return refused
        log.warning("rules_changed", symbol=self.symbol, error=refused.message)
        return msgspec.structs.replace(refused, reason=wire.RejectReason.RULES_CHANGED)

    @property
    def _grid(self) -> tuple[Decimal | None, ...]:
        return self.info.tick_size, self.info.step_size, self.info.market_step_size

    async def _journal(self, command: do.Journal) -> None:
        attempt, intent, journal = command.entry_attempt, command.intent, self._parts.journal
        self._entry_ts_ms = self._parts.clock.now_ms()
        legs = (ev.Leg.ENTRY, ev.Leg.STOP, ev.Leg.TARGET)
        try:
            if attempt + NUMBERS_MARGIN > self._reserved:
                self._reserved = attempt + NUMBERS_BLOCK
                await journal.append(NumbersReserved(self.symbol, self._reserved))
            await journal.append(
                IntentOpened(
                    self.symbol,
                    intent,
                    attempt,
                    self._entry_ts_ms,
                    *(order_id(self._parts.translator.instance, intent.decision_id, leg, attempt) for leg in legs),
                )
            )
        except JournalError as exc:
            log.error("journal_failed", symbol=self.symbol, error=str(exc))
            self.feed(ev.JournalAnswered(False))
        else:
            self.feed(ev.JournalAnswered(True))

    async def _cancel(self, command: do.Cancel) -> None:
        """No answer is owed: a read follows. Which endpoint an order is at depends on its leg alone."""
        name = self._ids.get(Named(command.leg, command.attempt))
        if name is None:
            log.warning("cancel_of_unknown", symbol=self.symbol, leg=command.leg.value, attempt=command.attempt)
            return
        trading = self._parts.trading
        try:
            if command.leg in (ev.Leg.STOP, ev.Leg.TARGET):
                await trading.cancel_algo(name)
            else:
                await trading.cancel_order(self.symbol, name)
        except VenueError as exc:
            log.warning("cancel_failed", symbol=self.symbol, leg=command.leg.value, error=str(exc))

    async def _cancel_regular(self) -> None:
        """No answer is owed: a read follows."""
        try:
            await self._parts.trading.cancel_all_orders(self.symbol)
        except VenueError as exc:
            log.warning("cancel_failed", symbol=self.symbol, leg="all", error=str(exc))

    async def _query(self, attempt: int) -> None:
        """Rule 2: the order by its id, and, when it is not found, whether any trade since then is unaccounted for."""
        name = self._ids.get(Named(ev.Leg.ENTRY, attempt))
        if name is None:
            return
        trading = self._parts.trading
        try:
            order = await trading.query_order(self.symbol, name)
            traded = order is None and await self._traded()
        except VenueError as exc:
            log.info("query_failed", symbol=self.symbol, error=str(exc))
            return
        self.feed(query_answer(attempt, order, traded=traded))

    async def _traded(self) -> bool:
        """Whether anything traded on the entry's side since it was journaled. Nothing else may: the symbol was flat and
        is locked, so what did is the entry, or a hand."""
        plan, now = self.state.intent, self._parts.clock.now_ms()
        if plan is None:
            return False
        side = opening_side(plan.direction)
        start = max(self._entry_ts_ms, now - 6 * DAY_MS)
        trades = await self._parts.trading.user_trades(self.symbol, start_ms=start, end_ms=now + HOUR_MS)
        return any(trade.side is side for trade in trades)

    async def _read(self) -> None:
        try:
            seen = await self._parts.reader.read(self.symbol)
        except VenueError as exc:
            log.info("read_failed", symbol=self.symbol, error=str(exc))
            self.feed(ev.Snapshot(None))
            return
        for name in (*(row.client_id for row in seen.orders), *(row.client_id for row in seen.algos)):
            named = self._parts.translator.named(name)
            if named is not None:
                self._ids[named] = name
        if seen.position is not None and seen.position.mark_price > 0 and self.mark is None:
            self.mark = seen.position.mark_price
        self.feed(
            self._parts.translator.snapshot(self.state, seen.amount, seen.orders, seen.algos, self.info.tick_size)
        )

    # --- small tools ------------------------------------------------------------------------------------------------

    def _name(self, leg: ev.Leg, attempt: int) -> str:
        name = order_id(self._parts.translator.instance, self._plan_id, leg, attempt)
        self._ids[Named(leg, attempt)] = name
        return name

    def _reserve(self, upto: int) -> None:
        self._reserved = upto
        self._parts.journal.note(NumbersReserved(self.symbol, upto))

    def _arm(self, command: do.Arm) -> None:
        old = self._timers.pop(command.timer, None)
        if old is not None:
            old.cancel()
        if command.delay_ms is not None:
            usual_ms = do.DELAY_MS.get(command.timer, command.delay_ms)
            set_ms = self._parts.delays.get(command.timer, usual_ms)
            delay_s = command.delay_ms * set_ms / usual_ms / 1e3
        else:
            plan, clock = self.state.intent, self._parts.clock
            due = plan.due_ts_ms if plan is not None else clock.now_ms()
            delay_s = max(0.0, (due - clock.now_ms()) / clock.speed / 1e3)
        loop = asyncio.get_running_loop()
        self._timers[command.timer] = loop.call_later(delay_s, self._fire, command.timer)

    def _fire(self, timer: ev.Timer) -> None:
        self._timers.pop(timer, None)
        self.feed(ev.TimerFired(timer))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"execution:{self.symbol}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
