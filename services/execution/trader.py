"""Live trading of one account: start-up, the user stream, entries, reconciliation, the operator (execution.md).

Composition and nothing else: what to do about a symbol is decided by ``core``, what the account may do by
``kill_switch``, what an entry needs by ``guards``; their effects have a module each. Nothing here waits for a database,
and no write stands between a fill and its stop.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.common.time import Clock
from packages.common.types import QualityEvent
from packages.exchange import filters
from packages.exchange import trading as wire
from packages.exchange.port import Connected, Disconnected, InstrumentInfo
from services.execution import books, guards, kill_switch
from services.execution.canary import Proofs
from services.execution.core import events as ev
from services.execution.core.state import Bracket, Phase
from services.execution.desk import Desk
from services.execution.echoes import Echoes
from services.execution.entries import Entries
from services.execution.journal import DAMAGED, IntentOpened, Journal, JournalError, JournalState, NumbersReserved
from services.execution.judge import Judge
from services.execution.kill_switch import Command, KillState, Trip
from services.execution.ledger import Life, TradeBooks, WalletCheck
from services.execution.ports import (
    AccountView,
    EntryOrder,
    LivePosition,
    OrderRequest,
    Outside,
    RecorderOf,
    TraderConfig,
    Writer,
)
from services.execution.reader import AccountReading, SnapshotReader
from services.execution.reconciliation import Reconciliation
from services.execution.runner import NUMBERS_BLOCK, Parts, SymbolRunner
from services.execution.stop_path import StopPath
from services.execution.symbol_setup import SymbolSetup
from services.execution.translate import NOT_TAKEN, Translator

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
TRANSFERS = frozenset({"DEPOSIT", "WITHDRAW", "MARGIN_TRANSFER", "ADMIN_DEPOSIT", "ADMIN_WITHDRAW", "ASSET_TRANSFER"})
_KEPT = 1_000
_SPARE_BLOCKS = 5


class Trader:
    """One account. ``run`` recovers and then works until it is cancelled; its stops stay when it ends."""

    def __init__(
        self,
        trading: wire.Trading,
        stream: wire.UserStream,
        journal: Journal,
        left: JournalState,
        instruments: dict[str, InstrumentInfo],
        clock: Clock,
        writer: Writer,
        publish: Callable[[str, Any], None],
        outside: Outside,
        recorder: RecorderOf,
        *,
        universe: Sequence[str],
        config: TraderConfig | None = None,
        limits: guards.EntryLimits | None = None,
        killed: KillState | None = None,
        unbooked: Sequence[books.Plan | books.Adopted] = (),
    ) -> None:
        """``instruments`` is renewed here, for whoever else holds it. ``left`` is what the journal held; ``killed`` the
        kill-switch as the stricter of journal and database has it; ``unbooked``: what may not have been booked yet,
        oldest first."""
        self._left = left
        self.desk = desk = Desk(
            trading=trading,
            stream=stream,
            journal=journal,
            clock=clock,
            writer=writer,
            publish=publish,
            outside=outside,
            config=config or TraderConfig(),
            limits=limits or guards.EntryLimits(),
            instruments=instruments,
            universe=tuple(universe),
            translator=Translator(left.instance),
            reader=SnapshotReader(trading),
            marks=left.marks,
        )
        moves = () if left.moved is None else (left.moved,)
        self.stop_path = StopPath(desk, Proofs(dict(left.proofs)))
        self._judge = Judge(
            desk,
            killed or kill_switch.restored(moves),
            lambda: self._echoes.oldest_age_ms,
            lambda: self._entries.asked,
        )
        self._echoes = Echoes(desk, self._judge.trip)
        self._setup = SymbolSetup(desk, self._judge.trip)
        self._entries = Entries(desk, self._setup, self.stop_path, lambda: self._judge.killed)
        self.wallet = WalletCheck(desk, self._judge.trip, left.wallet)
        self._recorder = recorder(trading, self._leg_of, self._intent_of)
        self._books = TradeBooks(desk, self._recorder)
        self._reconciliation = Reconciliation(desk, self._setup, self.stop_path, self._recorder, self._runner_of)
        self._parts = Parts(
            trading, journal, desk.translator, desk.reader, clock, self, self._read_rules, delays=desk.config.delays
        )
        self._unbooked = tuple(unbooked)
        self._up = False
        self._first_up = asyncio.Event()
        self._buffer: list[wire.UserItem] = []
        self._told: asyncio.Queue[wire.UserEvent] = asyncio.Queue()  # folded, and not in the books yet
        self._seen_ms: dict[str, int] = {}  # since when a position has been seen
        self._requests = 0  # of ``place``: two in one millisecond are two
        self._naked: deque[float] = deque(maxlen=_KEPT)
        self._not_taken: dict[str, wire.RejectReason] = {}  # why an entry was not, until its lapse is told
        self.running: asyncio.Task[None] | None = None  # ``run``, for whoever has started it
        self.loop: asyncio.AbstractEventLoop | None = None  # where it runs

    # --- the outside's face -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start (rule 15), then until cancelled. What was under way at the exchange stays there, stops above all."""
        self.loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consume(), name="user-stream-consumer")
            group.create_task(self._keep_books(), name="user-stream-books")
            await self._start()
            every = self.desk.config
            for name, work, pause_s in (
                ("judge", self._judge_now, 0.25),
                ("echo", self._echoes.check, 0.25),
                ("strangers", self._check_strangers, every.stranger_s),
                ("poll", self._reconciliation.poll, every.poll_s),
                ("account", self._reconciliation.read_totals, every.account_s),
                ("reconcile", self._reconciliation.compare, every.reconcile_s),
                ("canary", self.stop_path.ask, 1.0),
                ("ledger", self.wallet.check, every.ledger_s),
            ):
                group.create_task(_repeat(work, pause_s), name=f"trader-{name}")

    async def close_down(self) -> None:
        """Stop every timer and request of ours; to be awaited after ``run`` was cancelled."""
        while not self._told.empty():
            self._note_event(self._told.get_nowait())
        await self.desk.stop()
        for runner in self.desk.runners.values():
            await runner.close()

    def enter(self, order: EntryOrder) -> None:
        """Try this bracket; it ends in a position or in a row that says why not. Never blocks."""
        self.desk.start(self._entries.enter(order), f"enter:{order.symbol}")

    async def place(self, req: OrderRequest) -> dict[str, Any]:
        """One bracket from request to its end: ``status`` is ``protected``, ``flat`` (opened, and closed again because
        it could not be protected or had to leave) or ``lapsed``, with ``reasons``: every fault of a request is one."""
        order = self._order_of(req)
        ended = self._entries.end_of(order.decision_id)
        self.enter(order)
        status, reasons = await ended
        return {
            "status": status,
            "symbol": req.symbol,
            "side": req.side,
            "qty": str(order.quantity),
            "decision_id": order.decision_id,
            "reasons": list(reasons),
        }

    def close(self, symbol: str, reason: str) -> None:
        """Close the position of ``symbol`` (rule 10). ``InvalidInputError`` for a symbol that nothing is known of."""
        self.desk.runner(symbol).feed(ev.CloseRequested(reason))

    def command(self, command: Command) -> None:
        """The operator's halt, flatten or resume; takes effect before this returns."""
        self._judge.command(command)

    def report(self, trip: Trip) -> None:
        """Something outside asks for a stricter latch, as the watchdog's acting does."""
        self._judge.trip(trip)

    async def reconcile(self) -> None:
        """Compare the account with what is believed now, beside the regular turn. Raises ``VenueError``."""
        await self._reconciliation.compare()

    def pause(self, symbol: str, paused: bool) -> None:
        """No entries on one symbol; its position stays."""
        (self.desk.paused.add if paused else self.desk.paused.discard)(symbol)

    def see_mark(self, symbol: str, mark: Decimal) -> None:
        """A new mark price."""
        runner = self.desk.runners.get(symbol)
        if runner is not None:
            runner.see_mark(mark)

    def use_instruments(self, instruments: Mapping[str, InstrumentInfo]) -> None:
        """The exchange's rules as they are now, and whether each symbol trades."""
        self.desk.instruments.update(instruments)
        for symbol, runner in self.desk.runners.items():
            if symbol in instruments:
                runner.use(instruments[symbol])

    async def _read_rules(self) -> None:
        self.use_instruments(await self.desk.outside.instruments())

    @property
    def killed(self) -> KillState:
        return self._judge.killed

    @property
    def ready(self) -> bool:
        """Recovered: no symbol is still finding out where it stands."""
        return self.desk.ready

    @property
    def frame_age_ms(self) -> float:
        """Wall time since the last frame of the user stream; infinite before the first."""
        age = self.desk.stream.stats().frame_age_ms
        return math.inf if age is None else age

    def stop_path_proven(self) -> bool:
        """Rule 21: entries may be made."""
        return self.stop_path.proven

    def view(self) -> AccountView:
        """Everything known now."""
        desk, killed = self.desk, self._judge.killed
        return AccountView(
            ready=self.ready,
            positions={
                symbol: self._position(runner, desk.held[symbol])
                for symbol, runner in desk.runners.items()
                if runner.state.exposed and symbol in desk.held
            },
            locked={symbol: runner.phase for symbol, runner in desk.runners.items() if runner.phase is not Phase.FLAT},
            entering=dict(desk.entering),
            plans=dict(desk.plans),
            account=desk.account,
            blocks=killed.blocks,
            marks=desk.marks,
            killed=killed,
            paused=frozenset(desk.paused),
            proofs=self.stop_path.proofs,
            stream_up=self._up,
            naked_ms=tuple(self._naked),
            closed=self._books.closed,
            closed_before=self._books.closed_before,
        )

    def _order_of(self, req: OrderRequest) -> EntryOrder:
        """What cannot be is kept as it is: the refusal names it."""
        runner, now = self.desk.runners.get(req.symbol), self.desk.clock.now_ms()
        mark = runner.mark if runner is not None else None
        qty, notional = Decimal(repr(float(req.notional))), float(req.notional)
        if runner is not None and mark is not None and mark > 0 and math.isfinite(notional) and notional > 0:
            exact = Decimal(repr(notional)) / mark
            qty = filters.floor_quantity(runner.info, exact, market=True) or exact
        self._requests += 1
        return EntryOrder(
            decision_id=f"request:{req.symbol}:{now}:{self._requests}",
            symbol=req.symbol,
            direction={"BUY": 1, "SELL": -1}.get(req.side, 0),
            quantity=qty,
            leverage=req.leverage,
            stop_price=Decimal(repr(float(req.sl_price))),
            target_price=Decimal(repr(float(req.tp_price))),
            reference_price=Decimal("NaN") if mark is None else mark,
            decided_ts_ms=now,
            due_ts_ms=now + self.desk.config.hold_ms,
        )

    def _position(self, runner: SymbolRunner, held: wire.Position) -> LivePosition:
        plan, intent = self.desk.plans.get(runner.symbol), runner.state.intent
        return LivePosition(
            runner.symbol,
            held.amount,
            held.entry_price,
            held.mark_price,
            held.unrealized_pnl,
            held.liquidation_price,
            held.isolated_margin,
            held.maint_margin,
            plan.leverage if plan is not None else self._setup.leverage(runner.symbol) or 1,
            intent.stop_price if intent is not None else None,
            intent.target_price if intent is not None else None,
            runner.exposed_ts_ms or held.update_ts_ms,
            runner.phase,
            runner.phase in (Phase.PROTECTED, Phase.DUST),
            plan,
        )

    # --- start (rule 15) --------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """The journal was read and the lease waited for by the caller; the stream buffers; then REST, then each symbol
        finds out where it stands. Entries wait for all of it, protection for none."""
        desk, left = self.desk, self._left
        with suppress(TimeoutError):
            async with asyncio.timeout(desk.config.stream_wait_s):
                await self._first_up.wait()
        account = await self._until_read(desk.reader.read_account)
        await self._until_read(self._setup.read)
        await self._until_read(self._reconciliation.read_totals)
        symbols = {*desk.universe, *account.symbols, *left.open, *left.exits}
        unknown = sorted(symbol for symbol in symbols if symbol not in desk.instruments)
        for symbol in unknown:
            self._judge.trip(
                Trip(ev.Latch.HALTED, "UNKNOWN_SYMBOL", symbol, "something is open that has no rules here")
            )
        # damage may have swallowed a reservation
        spare = _SPARE_BLOCKS * NUMBERS_BLOCK if left.latch_code == DAMAGED else 0
        bases = {
            symbol: spare + max(left.reserved.get(symbol, 0), left.open[symbol].attempt if symbol in left.open else 0)
            for symbol in symbols
            if symbol in desk.instruments
        }
        try:
            await asyncio.gather(
                *(desk.journal.append(NumbersReserved(s, base + NUMBERS_BLOCK)) for s, base in bases.items())
            )
        except JournalError as exc:
            self._judge.trip(Trip(ev.Latch.HALTED, "JOURNAL", "journal", str(exc)))
        plans = [plan for plan in self._unbooked if isinstance(plan, books.Plan)]
        for symbol, base in bases.items():
            opened, exit_wanted = left.open.get(symbol), left.exits.get(symbol)
            if opened is not None:
                known = [plan for plan in plans if plan.intent.decision_id == opened.intent.decision_id]
                desk.plans[symbol] = known[-1] if known else _plan_of(opened)
            reason = exit_wanted.reason if exit_wanted is not None else None
            self._reconciliation.take_position(symbol, account)
            self._runner(symbol).restart(base, opened, self._judge.killed.latch, reason)
        over = [what for what in self._unbooked if not self._goes_on(what, account)]
        desk.started = True
        self._books.begin()
        buffered, self._buffer = self._buffer, []
        for item in buffered:
            self._take(item)
        for what in over:
            now = desk.clock.now_ms()
            life = Life(what.symbol, what, now)
            if isinstance(what, books.Adopted):
                life = Life(what.symbol, what, what.over_ts_ms or now, what.seen_ts_ms)
            desk.start(self._books.book(life), f"book:{what.symbol}")
        self._unbooked = ()
        log.info("trader_started", symbols=len(bases), open=sorted(left.open), latch=self._judge.killed.word)

    def _goes_on(self, what: books.Plan | books.Adopted, account: AccountReading) -> bool:
        """Whether a life that an earlier process has not booked is under way still; one without a plan is then ours
        from where that process first saw it."""
        if isinstance(what, books.Plan):
            return self.desk.plans.get(what.symbol) is what
        if what.over_ts_ms is not None or account.of(what.symbol).amount == 0 or what.symbol in self.desk.plans:
            return False
        runner = self.desk.runners.get(what.symbol)
        if runner is not None:
            self._seen_ms[what.symbol], runner.stop_price = what.seen_ts_ms, what.stop_price
        return True

    async def _until_read(self, read: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await read()
            except VenueError as exc:
                log.warning("start_read_failed", error=str(exc))
                await asyncio.sleep(self.desk.config.retry_s)

    def _runner(self, symbol: str) -> SymbolRunner:
        runners = self.desk.runners
        if symbol not in runners:
            runners[symbol] = SymbolRunner(self.desk.instruments[symbol], self._parts)
        return runners[symbol]

    def _runner_of(self, symbol: str) -> SymbolRunner | None:
        """The symbol's runner, made when something happens on a symbol that was not watched; None without rules."""
        if symbol in self.desk.runners:
            return self.desk.runners[symbol]
        if symbol not in self.desk.instruments:
            self._judge.trip(
                Trip(ev.Latch.HALTED, "UNKNOWN_SYMBOL", symbol, "something happened that has no rules here")
            )
            return None
        runner = self._runner(symbol)
        base = self._left.reserved.get(symbol, 0)
        self.desk.journal.note(NumbersReserved(symbol, base + NUMBERS_BLOCK))
        runner.restart(base, None, self._judge.killed.latch, None)
        return runner

    # --- the user stream --------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        async for batch in self.desk.stream.batches():
            for item in batch:
                if isinstance(item, Connected | Disconnected):
                    self._turn_stream(item)
                if self.desk.started:
                    self._take(item)
                    await asyncio.sleep(0)  # a stop that follows leaves before the next record is looked at
                else:
                    self._buffer.append(item)

    async def _keep_books(self) -> None:
        """What the stream told of, into the books: one record at a time, so that a fill waits for one at the most."""
        while True:
            self._note_event(await self._told.get())
            await asyncio.sleep(0)

    def _turn_stream(self, item: Connected | Disconnected) -> None:
        self._up = isinstance(item, Connected)
        if self._up:
            self._first_up.set()
        self._judge.key_valid = True
        log.info("user_stream", up=self._up, reason=item.reason)

    def _take(self, item: wire.UserItem) -> None:
        """Fold what it means; the books are kept after it. A gap is closed by reading; nothing protective waits for
        either."""
        desk = self.desk
        match item:
            case Connected():
                self._reconciliation.read_all("gap")
                desk.start(self._reconciliation.catch_up_fills(), "catch-up")
            case Disconnected():
                self._echoes.forget()
            case QualityEvent():
                desk.writer.put("quality_events", [(item.ts_ms, item.symbol, item.code, item.message, item.details)])
                if item.code == "BAD_FRAME":
                    self._reconciliation.read_all("bad frame")
                elif item.code == "LISTEN_KEY_REFUSED":
                    self._judge.key_valid = False
            case _:
                for symbol, event in desk.translator.events(item):
                    runner = self._runner_of(symbol)
                    if runner is not None:
                        runner.feed(event)
                self.wallet.disturb()
                self._told.put_nowait(item)

    def _note_event(self, item: wire.UserEvent) -> None:
        desk = self.desk
        self._recorder.event(item)
        match item:
            case wire.OrderUpdate():
                self._echoes.hear(item.client_id)
                named = desk.translator.owner(item.symbol, item.order_id, item.client_id)
                if named is not None and named.leg is ev.Leg.STOP and item.status is wire.OrderStatus.FILLED:
                    self.stop_path.see("trigger")
                if item.trade_id is not None:
                    desk.start(self._reconciliation.poll(), "poll")
            case wire.FillNotice():
                self._echoes.hear(item.client_id)
            case wire.AlgoUpdate():
                named = desk.translator.named(item.client_id)
                if named is not None and named.leg is ev.Leg.STOP and item.status is wire.AlgoStatus.NEW:
                    self.stop_path.see_part(item.symbol, named.attempt, "told")
            case wire.AccountUpdate():
                if item.reason in TRANSFERS and desk.marks is not None:
                    desk.take_marks(desk.marks.transfer(sum((row.change for row in item.balances), ZERO)))
                for position in item.positions:
                    if position.amount == 0:
                        desk.held.pop(position.symbol, None)
            case wire.ConfigUpdate():
                self._setup.note(item)
            case wire.MarginCall():
                for risk in item.positions:
                    desk.risk("MARGIN_CALL", risk.symbol, "The exchange warns of a margin call", 3)
            case wire.ListenKeyExpired():
                log.warning("listen_key_expired")

    async def _check_strangers(self) -> None:
        for symbol, event in self.desk.translator.strangers():
            runner = self._runner_of(symbol)
            if runner is not None:
                runner.feed(event)

    async def _judge_now(self) -> None:
        self._judge.judge()

    # --- what runners tell (``runner.Notes``) -----------------------------------------------------------------------

    def stepped(self, symbol: str, before: Bracket, after: Bracket, event: ev.Event) -> None:
        """Keep the intent's row, and book a life that is over."""
        match event:
            case ev.SubmitAnswered(leg=ev.Leg.STOP, outcome=ev.Outcome.ACCEPTED, attempt=attempt):
                self.stop_path.see_part(symbol, attempt, "accepted")
            case ev.Snapshot(listed=listed):
                for row in listed:
                    if row.leg is ev.Leg.STOP and row.matches:
                        self.stop_path.see_part(symbol, row.attempt, "listed")
            case _:
                pass
        desk = self.desk
        plan = desk.plans.get(symbol)
        if after.position != 0:
            self._seen_ms.setdefault(symbol, desk.clock.now_ms())
        if before.phase is not after.phase:
            if plan is not None:
                desk.put_intent(plan, after.phase.value)
            elif after.position != 0:
                desk.put_adopted(self._adopted(symbol), after.phase.value)
            if after.phase is Phase.PROTECTED:
                self._resolve(plan, "protected")
        if before.locked and not after.locked:
            desk.held.pop(symbol, None)
            reason = before.exit_reason
            self._resolve(plan, "flat", (reason,) if reason else ())
            now, marks, filled = desk.clock.now_ms(), desk.runners[symbol].marks_seen, before.entry.filled
            what: books.Plan | books.Adopted | None = plan
            if plan is None and symbol in self._seen_ms:
                what = self._adopted(symbol, over_ts_ms=now)
                desk.put_adopted(what, after.phase.value)
            seen_ms = self._seen_ms.pop(symbol, None)
            desk.plans.pop(symbol, None)
            if what is not None:
                life = Life(symbol, what, now, seen_ms, reason, marks, filled)
                desk.start(self._books.book(life), f"book:{symbol}")

    def _resolve(self, plan: books.Plan | None, how: str, reasons: tuple[str, ...] = ()) -> None:
        if plan is not None:
            self._entries.resolve(plan.intent.decision_id, how, reasons)

    def _adopted(self, symbol: str, over_ts_ms: int | None = None) -> books.Adopted:
        leverage, stop_price = self._setup.leverage(symbol) or 1, self.desk.runners[symbol].stop_price
        return books.Adopted(symbol, self._seen_ms[symbol], leverage, stop_price, over_ts_ms)

    def alert(self, symbol: str, code: str) -> None:
        if code == "ENTRY_UNKNOWN" and self.desk.runners[symbol].state.recovering:
            return  # at a start every entry is, until the first reading
        self.desk.risk(code, symbol, _ALERTS.get(code, code), 2)

    def trip(self, symbol: str, latch: ev.Latch, code: str) -> None:
        self._judge.trip(Trip(latch, code.upper(), symbol))

    def lapsed(self, symbol: str, reasons: tuple[str, ...]) -> None:
        why = self._not_taken.pop(symbol, None)
        if why is not None:
            reasons = (why.value,)
        plan = self.desk.plans.pop(symbol, None)  # nothing of it can happen any more: the row stays as it is
        if plan is not None:
            self.desk.put_intent(plan, "lapsed", reasons=list(reasons))
        log.info("entry_lapsed", symbol=symbol, reasons=reasons)
        self._resolve(plan, "lapsed", reasons)

    def answered(self, symbol: str, leg: ev.Leg, outcome: wire.Outcome[Any], took_ms: float) -> None:
        """Count failures, and wait for the stream to tell of what was taken."""
        match outcome:
            case wire.Accepted(record=wire.Order() as order):
                if order.status is not wire.OrderStatus.EXPIRED:
                    self._echoes.expect(order.client_id)
            case wire.Accepted():
                pass
            case wire.Rejected(reason=reason, code=code, message=message):
                normal = {wire.RejectReason.NO_POSITION, wire.RejectReason.STOP_EXISTS, wire.RejectReason.REDUCE_ONLY}
                normal.add(wire.RejectReason.RULES_CHANGED)  # of every symbol at once, when they do
                if leg is ev.Leg.ENTRY:
                    normal.add(wire.RejectReason.NO_ROOM)  # our limits keep their room for stops and exits
                    if reason in NOT_TAKEN:
                        self._not_taken[symbol] = reason
                if reason not in normal:
                    self._judge.fail()
                if leg is ev.Leg.STOP and reason in (wire.RejectReason.BAD_REQUEST, wire.RejectReason.OFF_GRID):
                    self.stop_path.void()
                    log.warning("order_rejected", symbol=symbol, leg=leg.value, code=code, error=message)
            case wire.Unknown(why=why):
                self._judge.fail()
                log.warning("order_unknown", symbol=symbol, leg=leg.value, error=why, took_ms=round(took_ms))

    def naked(self, symbol: str, lasted_ms: float) -> None:
        self._naked.append(lasted_ms)
        if lasted_ms > 1_000:
            message = "A position stood without a stop for longer than allowed"
            self.desk.risk("NAKED_TOO_LONG", symbol, message, 3, lasted_ms=round(lasted_ms))

    # --- names for the recorder -------------------------------------------------------------------------------------

    def _leg_of(self, client_id: str) -> str | None:
        named = self.desk.translator.named(client_id)
        return named.leg.value if named is not None else None

    def _intent_of(self, symbol: str) -> str | None:
        plan = self.desk.plans.get(symbol)
        return f"{plan.intent.decision_id}:{symbol}" if plan is not None else None


def place_entry_with_brackets(req: OrderRequest, *, trader: Trader) -> dict[str, Any]:
    """Place a market entry with its stop and target, atomic in behaviour: it ends protected, flat or never sent (§15).

    Blocks until then, so it is for a thread other than the trader's own; ``Trader.place`` is the same to await. Raises
    ``InvalidInputError`` for an unknown symbol or side, and when the trader does not run.
    """
    if trader.loop is None:
        raise InvalidInputError("trader", "not running", "a trader whose run() is under way")
    return asyncio.run_coroutine_threadsafe(trader.place(req), trader.loop).result()


_ALERTS = {
    "ENTRY_UNKNOWN": "The outcome of an entry is unknown: the symbol is locked and watched",
    "ENTRY_STILL_UNKNOWN": "An entry's outcome is still unknown after the watch; it goes on",
    "ENTRY_REJECTED": "The exchange refused an entry",
    "STOP_WOULD_TRIGGER": "The price is through the stop already: leaving at the market",
    "STOP_REFUSED": "The exchange refused a stop",
    "STAGE_REFUSED": "A part of a position could not be offered on the way to its target, which takes it along",
    "EXIT_REFUSED": "The exchange refused an exit; it is tried again",
    "CANNOT_EXIT": "The market is closed: the stop stays, attempts go on",
    "MISMATCHED_STOP": "A stop stands that is not the planned one",
    "MISMATCHED_TARGET": "A target stands that is not the planned one",
    "NOT_LISTED": "An order that must exist is not listed",
    "SETTLEMENT": "The exchange settled the contract",
}


def _plan_of(opened: IntentOpened) -> books.Plan:
    """A plan as the journal knows it: leverage and reference are not in it and are taken as unknown."""
    intent = opened.intent
    middle = (intent.stop_price + intent.target_price) / 2
    return books.Plan(intent, opened.symbol, 0, middle, opened.ts_ms, entry_id=opened.entry_client_id)


async def _repeat(work: Callable[[], Awaitable[None]], pause_s: float) -> None:
    while True:
        try:
            await work()
        except VenueError as exc:
            log.info("upkeep_failed", error=str(exc))
        await asyncio.sleep(pause_s)
