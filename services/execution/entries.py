"""An entry's way from order to core (execution.md 4): what speaks against it, symbol set-up, the pilot of rule 21."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.exchange import filters
from packages.exchange.port import BookTop
from services.execution import books, guards
from services.execution.core import events as ev
from services.execution.core.state import Phase
from services.execution.desk import Desk
from services.execution.kill_switch import EntryAsked, KillState
from services.execution.ports import EntryOrder
from services.execution.stop_path import StopPath
from services.execution.symbol_setup import SymbolSetup
from services.execution.translate import order_id

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
End = tuple[str, tuple[str, ...]]


class Entries:
    """Tries entries, one a symbol at a time, and tells who waits how they end."""

    def __init__(self, desk: Desk, setup: SymbolSetup, stop_path: StopPath, killed: Callable[[], KillState]) -> None:
        self._desk, self._setup, self._stop_path, self._killed = desk, setup, stop_path, killed
        self._waiting: dict[str, asyncio.Future[End]] = {}  # by decision
        self.asked: deque[EntryAsked] = deque(maxlen=2_000)

    async def enter(self, order: EntryOrder) -> None:
        """Try this bracket; it ends in the core's hands or in a row that says why not."""
        entering = self._desk.entering
        if order.symbol in entering:
            self._lapse(order, ("SYMBOL_LOCKED",))
            return
        entering[order.symbol] = order
        try:
            await self._try(order)
        finally:
            entering.pop(order.symbol, None)

    def end_of(self, decision_id: str) -> "asyncio.Future[End]":
        """How the entry of this decision ends: ``protected``, ``flat`` or ``lapsed``, and why."""
        future = self._waiting[decision_id] = asyncio.get_running_loop().create_future()
        return future

    def resolve(self, decision_id: str, how: str, reasons: tuple[str, ...] = ()) -> None:
        """It ended so."""
        future = self._waiting.pop(decision_id, None)
        if future is not None and not future.done():
            future.set_result((how, reasons))

    async def _try(self, order: EntryOrder) -> None:
        desk = self._desk
        reasons = tuple(why for why in self._reasons(order, None) if why != guards.Refusal.PRICE_UNKNOWN)
        if reasons:
            self._count(order, reasons)
            self._lapse(order, reasons)
            return
        order = self._as_pilot(order)
        try:
            intent = ev.Intent(
                order.decision_id,
                order.direction,
                order.quantity,
                order.stop_price,
                order.target_price,
                order.due_ts_ms,
                self._stages(order),
            )
            book, _ = await asyncio.gather(
                desk.outside.book_top(order.symbol), self._setup.set(order.symbol, order.leverage)
            )
        except (InvalidInputError, VenueError) as exc:
            log.warning("entry_not_set_up", symbol=order.symbol, error=str(exc))
            self._lapse(order, ("SETUP_FAILED" if isinstance(exc, VenueError) else "ORDER_INVALID",), str(exc))
            return
        plan = books.Plan(
            intent, order.symbol, order.leverage, order.reference_price, order.decided_ts_ms, order.model_id
        )
        plan = replace(plan, sent_price=(book.bid + book.ask) / 2)
        reasons = self._reasons(order, book)  # set-up took its time
        self._count(order, reasons)
        runner = desk.runners[order.symbol]
        if "SYMBOL_LOCKED" in reasons:  # what the core says of it would be taken for the life under way
            self._lapse(order, reasons)
            return
        desk.plans[order.symbol] = plan
        runner.feed(ev.EntryRequested(intent, reasons))
        if runner.state.intent is intent:
            entry_id = order_id(desk.translator.instance, order.decision_id, ev.Leg.ENTRY, runner.state.entry.attempt)
            desk.plans[order.symbol] = plan = replace(plan, entry_id=entry_id)
            desk.put_intent(plan, "opened")
        else:
            desk.plans.pop(order.symbol, None)

    def _count(self, order: EntryOrder, reasons: Sequence[str]) -> None:
        """For the runaway guard."""
        if guards.counts(reasons):
            share = guards.notional_share(order, self._equity, self._desk.limits)
            self.asked.append(EntryAsked(self._desk.clock.now_ms(), order.symbol, share))

    def _reasons(self, order: EntryOrder, book: BookTop | None) -> tuple[str, ...]:
        """Every reason against, the kill-switch's first; without ``book`` the price is one."""
        desk, outside, symbol = self._desk, self._desk.outside, order.symbol
        runner = desk.runners.get(symbol)
        facts = guards.EntryFacts(
            now_ms=desk.clock.now_ms(),
            kill=self._killed(),
            info=desk.instruments.get(symbol),
            brackets=outside.brackets(symbol),
            speed=desk.clock.speed,
            lease_age_ms=outside.lease_age_ms(),
            mark=runner.mark if runner is not None else None,
            last=outside.last(symbol),
            bid=book.bid if book is not None else None,
            ask=book.ask if book is not None else None,
            equity=self._equity,
            used_margin=desk.account.initial_margin if desk.account is not None else None,
            stop_path_proven=self._stop_path.proven,
            paused=symbol in desk.paused,
            entries=tuple(self.asked),
            model_age_ms=outside.model_age_ms(),
        )
        recovering = () if desk.ready and runner is not None else ("RECOVERING",)
        locked = () if runner is None or runner.phase in (Phase.FLAT, Phase.RECOVERING) else ("SYMBOL_LOCKED",)
        return (*recovering, *locked, *guards.entry_refusals(order, facts, desk.limits))

    @property
    def _equity(self) -> Decimal | None:
        return self._desk.marks.equity if self._desk.marks is not None else None

    def _as_pilot(self, order: EntryOrder) -> EntryOrder:
        """Tier B: after six hours without a live stop the next entry is as small as the exchange takes."""
        if not self._stop_path.pilot_due:
            return order
        info = self._desk.instruments[order.symbol]
        least = (info.min_notional or ZERO) * Decimal("1.05") / order.reference_price
        smallest = max(info.market_min_qty or info.min_qty or ZERO, least)
        step = info.market_step_size or info.step_size or Decimal(1)
        qty = filters.floor_quantity(info, smallest + step, market=True)
        return replace(order, quantity=qty) if ZERO < qty < order.quantity else order

    def _stages(self, order: EntryOrder) -> tuple[ev.Stage, ...]:
        """The parts that are to leave on the way to the target. One that is too small for the exchange is left out, and
        one whose price is not on the way once rounded; all of them where what they leave would be too small."""
        info, stages = self._desk.instruments[order.symbol], []
        least = info.min_notional or ZERO
        for part, way in self._desk.limits.staged_exits:
            qty = filters.floor_quantity(info, order.quantity * Decimal(repr(part)), market=False)
            exact = order.reference_price + Decimal(repr(way)) * (order.target_price - order.reference_price)
            price = filters.round_price(info, exact, up=order.direction > 0)
            on_the_way = (price - order.reference_price) * order.direction > 0 and (
                order.target_price - price
            ) * order.direction > 0
            if qty > 0 and qty * price >= least and on_the_way:
                stages.append(ev.Stage(qty, price))
        left = order.quantity - sum((stage.qty for stage in stages), ZERO)
        smallest = max(info.market_min_qty or info.min_qty or ZERO, least / order.reference_price)
        return tuple(stages) if left >= smallest else ()

    def _lapse(self, order: EntryOrder, reasons: tuple[str, ...], detail: str = "") -> None:
        """It was not sent, and a row says why."""
        log.info("entry_lapsed", symbol=order.symbol, reasons=reasons)
        if order.symbol in self._desk.instruments:
            self._desk.writer.put("order_intents", [self._lapsed_row(order, reasons, detail)])
        else:  # rows of intents are of known symbols
            self._desk.risk("UNKNOWN_SYMBOL", order.symbol, "an entry was asked for what has no rules here", 2)
        self.resolve(order.decision_id, "lapsed", reasons)

    def _lapsed_row(self, order: EntryOrder, reasons: tuple[str, ...], detail: str) -> dict[str, Any]:
        return {
            "intent_id": f"{order.decision_id}:{order.symbol}",
            "mode": books.MODE,
            "symbol": order.symbol,
            "created_at": order.decided_ts_ms,
            "updated_at": self._desk.clock.now_ms(),
            "kind": "entry",
            "state": "lapsed",
            "payload": {"reasons": list(reasons), "detail": detail},
        }
