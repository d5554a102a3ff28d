"""Live trading of one account: start-up, the user stream, entries, reconciliation, the operator (execution.md).

Effects in order and nothing else: what to do about a symbol is decided by ``core``, what the account may do by
``kill_switch``, what an entry needs by ``guards``. Nothing here waits for a database, and no write stands between a
fill and its stop.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.common.reasons import ExitReason
from packages.common.time import DAY_MS, MINUTE_MS, Clock, iso, monotonic_ms
from packages.common.types import QualityEvent
from packages.exchange import filters
from packages.exchange import trading as wire
from packages.exchange.port import BookTop, Brackets, Connected, Disconnected, InstrumentInfo
from services.execution import books, guards, kill_switch
from services.execution.canary import ProofRules, Proofs, ask_tier_a
from services.execution.core import events as ev
from services.execution.core.state import Bracket, EntryState, Phase
from services.execution.equity import EquityMarks, first_marks
from services.execution.journal import (
    DAMAGED,
    EquitySeen,
    IntentOpened,
    Journal,
    JournalError,
    JournalState,
    NumbersReserved,
    ProofSeen,
)
from services.execution.kill_switch import Command, EntryAsked, Facts, KillState, StreamFacts, Trip
from services.execution.reader import AccountReading, SnapshotReader
from services.execution.runner import NUMBERS_BLOCK, Parts, SymbolRunner
from services.execution.translate import Translator, order_id

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
TRANSFERS = frozenset({"DEPOSIT", "WITHDRAW", "MARGIN_TRANSFER", "ADMIN_DEPOSIT", "ADMIN_WITHDRAW", "ASSET_TRANSFER"})
_KEPT = 1_000
_PAGE = 1_000
_DEAF_MAX = 3
_QUIET_MS = 2_000.0
_LEDGER_TRIES = 3
_SPARE_BLOCKS = 5
_BOOK_TRIES = 60


class Writer(Protocol):
    """Where rows go: ``packages.common.writer.BatchWriter`` is one."""

    def put(self, table: str, rows: Sequence[Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """A bracket the kernel wants. ``decided_ts_ms`` and ``due_ts_ms`` are market time, prices on the tick, quantity on
    the market lot's grid."""

    decision_id: str
    symbol: str
    direction: int
    quantity: Decimal
    leverage: int
    stop_price: Decimal
    target_price: Decimal
    reference_price: Decimal
    decided_ts_ms: int
    due_ts_ms: int
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class TraderConfig:
    """Wall seconds, unless named otherwise. ``hold_ms`` is market time: the time exit of an order that names none."""

    reconcile_s: float = 45.0
    poll_s: float = 7.0
    account_s: float = 10.0
    echo_s: float = 2.0
    stranger_s: float = 3.0
    ledger_s: float = 60.0  # between attempts at the nightly comparison
    ledger_every_ms: int = DAY_MS  # market time
    ledger_slack: Decimal = Decimal("0.01")
    stream_wait_s: float = 10.0
    retry_s: float = 1.0
    hold_ms: int = 1_440 * MINUTE_MS
    proofs: ProofRules = field(default_factory=ProofRules)
    delays: Mapping[ev.Timer, int] = field(default_factory=dict)  # of the core, in wall ms; what is absent is its own


@dataclass(frozen=True, slots=True)
class LivePosition:
    """A position as last reconciled. ``stop_price`` None: it has no plan."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal | None
    isolated_margin: Decimal
    leverage: int
    stop_price: Decimal | None
    target_price: Decimal | None
    opened_ts_ms: int
    phase: Phase
    protected: bool
    plan: books.Plan | None


@dataclass(frozen=True, slots=True)
class AccountView:
    """What is known of the account now, for the kernel, the screens and the watchdog's heartbeat."""

    ready: bool  # recovered: entries are possible at all
    positions: Mapping[str, LivePosition]
    locked: Mapping[str, Phase]  # symbols with anything under way
    entering: Mapping[str, EntryOrder]  # on their way to the core
    plans: Mapping[str, books.Plan]  # of locked symbols; without a position yet they count as filled
    account: wire.Account | None
    marks: EquityMarks | None
    killed: KillState
    blocks: Mapping[kill_switch.Block, int]
    paused: frozenset[str]
    proofs: Proofs
    stream_up: bool
    naked_ms: tuple[float, ...]
    closed: tuple[books.Closed, ...]  # the last lives booked by this process, oldest first
    closed_before: int  # how many more came before these


@dataclass
class OrderRequest:
    """A bracket as §15 asks for it: quote units and prices; ``side`` BUY or SELL."""

    symbol: str
    side: str
    notional: float
    leverage: int
    sl_price: float
    tp_price: float


class Recorder(Protocol):
    """Keeps events and fills as rows: ``services.userstream.recorder.Recorder`` is one."""

    def event(self, item: wire.UserEvent) -> None: ...

    async def fills(self, symbol: str, trades: Sequence[wire.Trade]) -> None: ...


RecorderOf = Callable[[wire.Trading, Callable[[str], str | None], Callable[[str], str | None]], Recorder]


class Outside(Protocol):
    """What the trader asks of the process around it; every answer is at hand, none waits."""

    def lease_age_ms(self) -> float | None:
        """Since the trading lease was last seen held, monotonic; None: it was not."""

    def stores_lost(self) -> tuple[str, ...]:
        """Stores that do not answer now."""

    def data_ages(self) -> Mapping[str, kill_switch.DataAge]:
        """Of every tradable symbol."""

    def clock_skew_ms(self) -> float | None:
        """Market ms by which the exchange's clock was last found off ours."""

    def model_age_ms(self) -> float | None:
        """Market time since the end of the data that the model knows."""

    def last(self, symbol: str) -> Decimal | None:
        """The last traded price."""

    def brackets(self, symbol: str) -> Brackets | None:
        """Leverage tiers."""

    async def book_top(self, symbol: str) -> BookTop:
        """Best bid and ask, asked for now. Raises ``VenueError``."""


@dataclass(frozen=True, slots=True)
class _LedgerMark:
    """The wallet at a moment in which nothing happened."""

    ts_ms: int
    wallet: Decimal


class Trader:
    """One account. ``run`` recovers and then works until it is cancelled; its stops stay when it ends."""

    def __init__(
        self,
        trading: wire.Trading,
        stream: wire.UserStream,
        journal: Journal,
        left: JournalState,
        instruments: Mapping[str, InstrumentInfo],
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
        plans: Sequence[books.Plan] = (),
    ) -> None:
        """``left`` is what the journal held; ``killed`` the kill-switch as the stricter of journal and database has it;
        ``plans`` those whose trades may not have been booked yet."""
        self._trading, self._stream, self._journal, self._left = trading, stream, journal, left
        self._instruments, self._clock, self._writer, self._publish = instruments, clock, writer, publish
        self._outside, self._config = outside, config or TraderConfig()
        self._entry_limits = limits or guards.EntryLimits()
        self._limits = self._entry_limits.rates
        moves = () if left.moved is None else (left.moved,)
        self._killed = killed or kill_switch.restored(moves)
        self._universe = tuple(universe)
        self._translator = Translator(left.instance)
        self._reader = SnapshotReader(trading)
        self._parts = Parts(trading, journal, self._translator, self._reader, clock, self, delays=self._config.delays)
        self._recorder = recorder(trading, self._leg_of, self._intent_of)
        self._runners: dict[str, SymbolRunner] = {}
        self._plans: dict[str, books.Plan] = {}
        self._unbooked = deque(plans)
        self._entering: dict[str, EntryOrder] = {}
        self._waiting: dict[str, list[asyncio.Future[tuple[str, tuple[str, ...]]]]] = {}
        self._held: dict[str, wire.Position] = {}
        self._configs: dict[str, wire.SymbolConfig] = {}
        self._levers: dict[str, int] = {}  # the leverage we asked for last
        self._account: wire.Account | None = None
        self._marks = left.marks
        self._up = False
        self._first_up = asyncio.Event()
        self._key_valid = True
        self._buffer: list[wire.UserItem] = []
        self._started = False
        self._echoes: dict[str, float] = {}
        self._event_mono_ms = monotonic_ms()  # of the last event of the account
        self._ledger: _LedgerMark | None = None
        self._ledger_misses = 0
        self._deaf = 0  # reconnects for want of an echo, with no echo since
        self._told: OrderedDict[str, None] = OrderedDict()  # orders that the stream told of, often before the answer
        self._failures: deque[int] = deque(maxlen=200)
        self._asked: deque[EntryAsked] = deque(maxlen=2_000)
        self._trips: list[Trip] = []
        self._commands: list[Command] = []
        self._paused: set[str] = set()
        self._proofs = Proofs(dict(left.proofs))
        self._naked: deque[float] = deque(maxlen=_KEPT)
        self._closed: deque[books.Closed] = deque(maxlen=_KEPT)
        self._closed_count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._judging = False
        self.running: asyncio.Task[None] | None = None  # ``run``, for whoever has started it
        self.loop: asyncio.AbstractEventLoop | None = None  # where it runs

    # --- the outside's face -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start (rule 15), then until cancelled. What was under way at the exchange stays there, stops above all."""
        self.loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consume(), name="user-stream-consumer")
            await self._start()
            every = self._config
            for name, work, pause_s in (
                ("judge", self._judge_now, 0.25),
                ("echo", self._check_echoes, 0.25),
                ("strangers", self._check_strangers, every.stranger_s),
                ("poll", self._poll, every.poll_s),
                ("account", self._read_account, every.account_s),
                ("reconcile", self._reconcile, every.reconcile_s),
                ("canary", self._ask_canary, 1.0),
                ("ledger", self._check_ledger, every.ledger_s),
            ):
                group.create_task(self._repeat(work, pause_s), name=f"trader-{name}")

    async def close_down(self) -> None:
        """Stop every timer and request of ours; to be awaited after ``run`` was cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for runner in self._runners.values():
            await runner.close()

    def enter(self, order: EntryOrder) -> None:
        """Try this bracket; it ends in a position or in a row that says why not. Never blocks."""
        self._start_task(self._enter(order), f"enter:{order.symbol}")

    def close(self, symbol: str, reason: str) -> None:
        """Close the position of ``symbol`` (rule 10). ``InvalidInputError`` for a symbol that nothing is known of."""
        self._known(symbol).feed(ev.CloseRequested(reason))

    def command(self, command: Command) -> None:
        """The operator's halt, flatten or resume; takes effect before this returns."""
        self._commands.append(command)
        self._judge()

    def report(self, trip: Trip) -> None:
        """Something outside asks for a stricter latch, as the watchdog's acting does."""
        self._trip(trip)

    async def reconcile(self) -> None:
        """Compare the account with what is believed now, beside the regular turn. Raises ``VenueError``."""
        await self._reconcile()

    def pause(self, symbol: str, paused: bool) -> None:
        """No entries on one symbol; its position stays."""
        (self._paused.add if paused else self._paused.discard)(symbol)

    def see_mark(self, symbol: str, mark: Decimal) -> None:
        """A new mark price."""
        runner = self._runners.get(symbol)
        if runner is not None:
            runner.see_mark(mark)

    def market_status(self, symbol: str, trading: bool) -> None:
        """The exchange opened or closed a symbol."""
        runner = self._runners.get(symbol)
        if runner is not None:
            runner.feed(ev.MarketStatus(trading))

    def use_instruments(self, instruments: Mapping[str, InstrumentInfo]) -> None:
        """The exchange's rules as they are now."""
        self._instruments = instruments
        for symbol, runner in self._runners.items():
            if symbol in instruments:
                opened = instruments[symbol].status == "TRADING"
                if opened != (runner.info.status == "TRADING"):
                    runner.feed(ev.MarketStatus(opened))
                runner.use(instruments[symbol])

    @property
    def killed(self) -> KillState:
        return self._killed

    @property
    def ready(self) -> bool:
        """Recovered: no symbol is still finding out where it stands."""
        return self._started and all(runner.phase is not Phase.RECOVERING for runner in self._runners.values())

    @property
    def frame_age_ms(self) -> float:
        """Wall time since the last frame of the user stream; infinite before the first."""
        age = self._stream.stats().frame_age_ms
        return math.inf if age is None else age

    def stop_path_proven(self) -> bool:
        """Rule 21: entries may be made."""
        return self._proofs.proven(self._clock.now_ms(), self._config.proofs)

    def view(self) -> AccountView:
        """Everything known now."""
        positions = {
            symbol: self._position(runner, self._held[symbol])
            for symbol, runner in self._runners.items()
            if runner.state.exposed and symbol in self._held
        }
        return AccountView(
            ready=self.ready,
            positions=positions,
            locked={symbol: runner.phase for symbol, runner in self._runners.items() if runner.phase is not Phase.FLAT},
            entering=dict(self._entering),
            plans=dict(self._plans),
            account=self._account,
            blocks=self._killed.blocks,
            marks=self._marks,
            killed=self._killed,
            paused=frozenset(self._paused),
            proofs=self._proofs,
            stream_up=self._up,
            naked_ms=tuple(self._naked),
            closed=tuple(self._closed),
            closed_before=self._closed_count - len(self._closed),
        )

    async def place(self, req: "OrderRequest") -> dict[str, Any]:
        """One bracket from request to its end: ``status`` is ``protected``, ``flat`` (opened, and closed again because
        it could not be protected or had to leave) or ``lapsed``, with ``reasons``. Raises ``InvalidInputError`` for a
        symbol or a side that there is none of; every other fault of a request is a reason."""
        runner = self._known(req.symbol)
        if req.side not in ("BUY", "SELL"):
            raise InvalidInputError("side", req.side, "BUY or SELL")
        now, mark = self._clock.now_ms(), runner.mark
        price = mark if mark is not None else Decimal("NaN")
        qty = Decimal(0)
        if price > 0 and math.isfinite(req.notional) and req.notional > 0:
            qty = filters.floor_quantity(runner.info, Decimal(repr(req.notional)) / price, market=True)
        order = EntryOrder(
            decision_id=f"request:{req.symbol}:{now}",
            symbol=req.symbol,
            direction=1 if req.side == "BUY" else -1,
            quantity=qty,
            leverage=req.leverage,
            stop_price=Decimal(repr(float(req.sl_price))),
            target_price=Decimal(repr(float(req.tp_price))),
            reference_price=price,
            decided_ts_ms=now,
            due_ts_ms=now + self._config.hold_ms,
        )
        future: asyncio.Future[tuple[str, tuple[str, ...]]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(req.symbol, []).append(future)
        self.enter(order)
        status, reasons = await future
        return {
            "status": status,
            "symbol": req.symbol,
            "side": req.side,
            "qty": str(qty),
            "decision_id": order.decision_id,
            "reasons": list(reasons),
        }

    # --- start (rule 15) --------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """The journal was read and the lease waited for by the caller; the stream buffers; then REST, then each symbol
        finds out where it stands. Entries wait for all of it, protection for none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.stream_wait_s):
                await self._first_up.wait()
        account = await self._until_read(self._reader.read_account)
        for row in await self._until_read(self._trading.symbol_config):
            self._configs[row.symbol] = row
        await self._until_read(self._read_account)
        left = self._left
        symbols = {*self._universe, *account.symbols, *left.open, *left.exits}
        unknown = sorted(symbol for symbol in symbols if symbol not in self._instruments)
        for symbol in unknown:
            self._trip(Trip(ev.Latch.HALTED, "UNKNOWN_SYMBOL", symbol, "something is open that has no rules here"))
        # damage may have swallowed a reservation
        spare = _SPARE_BLOCKS * NUMBERS_BLOCK if left.latch_code == DAMAGED else 0
        bases = {
            symbol: spare + max(left.reserved.get(symbol, 0), left.open[symbol].attempt if symbol in left.open else 0)
            for symbol in symbols
            if symbol in self._instruments
        }
        try:
            await asyncio.gather(
                *(self._journal.append(NumbersReserved(s, base + NUMBERS_BLOCK)) for s, base in bases.items())
            )
        except JournalError as exc:
            self._trip(Trip(ev.Latch.HALTED, "JOURNAL", "journal", str(exc)))
        for symbol, base in bases.items():
            opened, exit_wanted = left.open.get(symbol), left.exits.get(symbol)
            if opened is not None:
                known = [plan for plan in self._unbooked if plan.intent.decision_id == opened.intent.decision_id]
                self._plans[symbol] = known[-1] if known else _plan_of(opened)
            reason = exit_wanted.reason if exit_wanted is not None else None
            self._take_positions(symbol, account)
            self._runner(symbol).restart(base, opened, self._killed.latch, reason)
        self._started = True
        buffered, self._buffer = self._buffer, []
        for item in buffered:
            self._take(item)
        for plan in self._unbooked:
            if self._plans.get(plan.symbol) is not plan:
                self._start_task(self._book(plan, None, self._clock.now_ms(), None), f"book:{plan.symbol}")
        self._unbooked.clear()
        log.info("trader_started", symbols=len(bases), open=sorted(left.open), latch=self._killed.word)

    async def _until_read(self, read: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await read()
            except VenueError as exc:
                log.warning("start_read_failed", error=str(exc))
                await asyncio.sleep(self._config.retry_s)

    # --- the user stream --------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        async for batch in self._stream.batches():
            for item in batch:
                if isinstance(item, Connected | Disconnected):
                    self._turn_stream(item)
                if self._started:
                    self._take(item)
                else:
                    self._buffer.append(item)

    def _turn_stream(self, item: Connected | Disconnected) -> None:
        self._up = isinstance(item, Connected)
        if self._up:
            self._first_up.set()
        self._key_valid = True
        log.info("user_stream", up=self._up, reason=item.reason)

    def _take(self, item: wire.UserItem) -> None:
        """Fold what it means, then keep the books. A gap is closed by reading; nothing protective waits for that."""
        match item:
            case Connected():
                self._read_all("gap")
                self._start_task(self._catch_up_fills(), "catch-up")
            case Disconnected():
                self._echoes.clear()
            case QualityEvent():
                self._writer.put("quality_events", [(item.ts_ms, item.symbol, item.code, item.message, item.details)])
                if item.code == "BAD_FRAME":
                    self._read_all("bad frame")
                elif item.code == "LISTEN_KEY_REFUSED":
                    self._key_valid = False
            case _:
                for symbol, event in self._translator.events(item):
                    runner = self._runner_of(symbol)
                    if runner is not None:
                        runner.feed(event)
                self._note_event(item)

    def _note_event(self, item: wire.UserEvent) -> None:
        self._event_mono_ms = monotonic_ms()
        self._recorder.event(item)
        match item:
            case wire.OrderUpdate():
                self._echoed(item.client_id)
                named = self._translator.owner(item.symbol, item.order_id, item.client_id)
                if named is not None and named.leg is ev.Leg.STOP and item.status is wire.OrderStatus.FILLED:
                    self._see_proof("trigger")
                if item.trade_id is not None:
                    self._start_task(self._poll(), "poll")
            case wire.FillNotice():
                self._echoed(item.client_id)
            case wire.AlgoUpdate():
                named = self._translator.named(item.client_id)
                if named is not None and named.leg is ev.Leg.STOP and item.status is wire.AlgoStatus.NEW:
                    self._see_part(item.symbol, named.attempt, "told")
            case wire.AccountUpdate():
                if item.reason in TRANSFERS:
                    change = sum((row.change for row in item.balances), ZERO)
                    if self._marks is not None:
                        self._take_marks(self._marks.transfer(change))
                for position in item.positions:
                    if position.amount == 0:
                        self._held.pop(position.symbol, None)
            case wire.ConfigUpdate():
                self._note_config(item)
            case wire.MarginCall():
                for risk in item.positions:
                    self._risk("MARGIN_CALL", risk.symbol, "The exchange warns of a margin call", 3)
            case wire.ListenKeyExpired():
                log.warning("listen_key_expired")

    def _echoed(self, client_id: str) -> None:
        self._echoes.pop(client_id, None)
        self._deaf = 0
        self._told[client_id] = None
        if len(self._told) > _KEPT:
            self._told.popitem(last=False)

    def _note_config(self, item: wire.ConfigUpdate) -> None:
        """Leverage or mode was changed: by us, or by a hand."""
        if item.multi_assets:
            self._trip(Trip(ev.Latch.HALTED, "MANUAL", "account", "multi-assets mode was turned on"))
        if item.symbol is not None and item.leverage is not None:
            config = self._configs.get(item.symbol)
            if config is not None:
                self._compare_config(config, _with_leverage(config, item.leverage))

    def _compare_config(self, known: wire.SymbolConfig, now: wire.SymbolConfig) -> None:
        """What was set, by a hand if not by us: the answer to our own change may have been lost (incident 19)."""
        self._configs[now.symbol] = now
        ours = now.leverage in (known.leverage, self._levers.get(now.symbol)) and now.isolated >= known.isolated
        if not ours:
            was, mode = known.leverage, "isolated" if now.isolated else "cross"
            self._trip(Trip(ev.Latch.HALTED, "MANUAL", now.symbol, f"set to {now.leverage}x {mode}, was {was}x"))

    async def _compare_configs(self) -> None:
        """Margin mode changes without an event, and a gap may have swallowed a leverage."""
        before, entering = dict(self._configs), set(self._entering)
        for row in await self._trading.symbol_config():
            known = before.get(row.symbol)
            if known is None or self._configs.get(row.symbol) is not known:
                continue  # it was set meanwhile
            if row.symbol not in entering | self._entering.keys():
                self._compare_config(known, row)

    def _read_all(self, why: str) -> None:
        """Read every symbol where something is under way, and compare the rest (rules 15, 16)."""
        for runner in self._runners.values():
            if runner.phase is not Phase.FLAT:
                runner.feed(ev.ReadDue())
        self._start_task(self._reconcile(), f"reconcile:{why}")

    async def _catch_up_fills(self) -> None:
        """Fills that a gap may have swallowed, into the books by their ids."""
        now = self._clock.now_ms()
        for symbol, runner in list(self._runners.items()):
            if runner.phase is Phase.FLAT:
                continue
            try:
                trades = await self._trading.user_trades(symbol, start_ms=now - DAY_MS, end_ms=now + MINUTE_MS)
            except VenueError as exc:
                log.info("catch_up_failed", symbol=symbol, error=str(exc))
                continue
            await self._recorder.fills(symbol, trades)

    # --- entries ----------------------------------------------------------------------------------------------------

    async def _enter(self, order: EntryOrder) -> None:
        """Rule 4: what speaks against it from outside the core, symbol set-up, then the core's own checks."""
        if order.symbol in self._entering:
            self._lapse(order, ("SYMBOL_LOCKED",))
            return
        self._entering[order.symbol] = order
        try:
            await self._try_entry(order)
        finally:
            self._entering.pop(order.symbol, None)

    async def _try_entry(self, order: EntryOrder) -> None:
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
            )
            book, _ = await asyncio.gather(
                self._outside.book_top(order.symbol), self._set_up(order.symbol, order.leverage)
            )
        except (InvalidInputError, VenueError) as exc:
            log.warning("entry_not_set_up", symbol=order.symbol, error=str(exc))
            self._lapse(order, ("SETUP_FAILED" if isinstance(exc, VenueError) else "ORDER_INVALID",), str(exc))
            return
        plan = books.Plan(
            intent, order.symbol, order.leverage, order.reference_price, order.decided_ts_ms, order.model_id
        )
        reasons = self._reasons(order, book)  # set-up took its time
        self._count(order, reasons)
        runner = self._runners[order.symbol]
        if "SYMBOL_LOCKED" in reasons:  # what the core says of it would be taken for the life under way
            self._lapse(order, reasons)
            return
        self._plans[order.symbol] = plan
        runner.feed(ev.EntryRequested(intent, reasons))
        if runner.state.intent is intent:
            entry_id = order_id(self._translator.instance, order.decision_id, ev.Leg.ENTRY, runner.state.entry.attempt)
            self._plans[order.symbol] = plan = replace(plan, entry_id=entry_id)
            self._writer.put("order_intents", [books.intent_row(plan, "opened", self._clock.now_ms())])
        else:
            self._plans.pop(order.symbol, None)

    def _count(self, order: EntryOrder, reasons: Sequence[str]) -> None:
        """For the runaway guard."""
        if guards.counts(reasons):
            share = guards.notional_share(order, self._equity, self._entry_limits)
            self._asked.append(EntryAsked(self._clock.now_ms(), order.symbol, share))

    def _reasons(self, order: EntryOrder, book: BookTop | None) -> tuple[str, ...]:
        """Every reason against, the kill-switch's first; without ``book`` the price is one."""
        outside, symbol = self._outside, order.symbol
        runner = self._runners.get(symbol)
        facts = guards.EntryFacts(
            now_ms=self._clock.now_ms(),
            kill=self._killed,
            info=self._instruments.get(symbol),
            brackets=outside.brackets(symbol),
            speed=self._clock.speed,
            lease_age_ms=outside.lease_age_ms(),
            mark=runner.mark if runner is not None else None,
            last=outside.last(symbol),
            bid=book.bid if book is not None else None,
            ask=book.ask if book is not None else None,
            equity=self._equity,
            used_margin=self._account.initial_margin if self._account is not None else None,
            stop_path_proven=self.stop_path_proven(),
            paused=symbol in self._paused,
            entries=tuple(self._asked),
            model_age_ms=outside.model_age_ms(),
        )
        recovering = () if self.ready and runner is not None else ("RECOVERING",)
        locked = () if runner is None or runner.phase in (Phase.FLAT, Phase.RECOVERING) else ("SYMBOL_LOCKED",)
        return (*recovering, *locked, *guards.entry_refusals(order, facts, self._entry_limits))

    @property
    def _equity(self) -> Decimal | None:
        return self._marks.equity if self._marks is not None else None

    def _as_pilot(self, order: EntryOrder) -> EntryOrder:
        """Tier B: after six hours without a live stop the next entry is as small as the exchange takes."""
        if not self._proofs.pilot_due(self._clock.now_ms(), self._config.proofs):
            return order
        info = self._instruments[order.symbol]
        least = (info.min_notional or ZERO) * Decimal("1.05") / order.reference_price
        smallest = max(info.market_min_qty or info.min_qty or ZERO, least)
        step = info.market_step_size or info.step_size or Decimal(1)
        qty = filters.floor_quantity(info, smallest + step, market=True)
        return replace(order, quantity=qty) if ZERO < qty < order.quantity else order

    async def _set_up(self, symbol: str, leverage: int) -> None:
        """Isolated margin and the leverage of this entry; what holds is not asked for. Raises ``VenueError``."""
        config = self._configs.get(symbol)
        if config is None or not config.isolated:
            await self._trading.set_isolated(symbol)
        if config is None or config.leverage != leverage:
            self._levers[symbol] = leverage
            holds = await self._trading.set_leverage(symbol, leverage)
            if holds != leverage:
                raise InvalidInputError("leverage", leverage, f"what the exchange allows, {holds}")
        if config is None or not config.isolated or config.leverage != leverage:
            auto, cap = (config.auto_add_margin, config.max_notional) if config else (False, ZERO)
            self._configs[symbol] = wire.SymbolConfig(symbol, True, auto, leverage, cap)

    def _lapse(self, order: EntryOrder, reasons: tuple[str, ...], detail: str = "") -> None:
        """It was not sent, and a row says why."""
        now = self._clock.now_ms()
        row = {
            "intent_id": f"{order.decision_id}:{order.symbol}",
            "mode": books.MODE,
            "symbol": order.symbol,
            "created_at": order.decided_ts_ms,
            "updated_at": now,
            "kind": "entry",
            "state": "lapsed",
            "payload": {"reasons": list(reasons), "detail": detail},
        }
        self._writer.put("order_intents", [row])
        log.info("entry_lapsed", symbol=order.symbol, reasons=reasons)
        self._resolve(order.symbol, "lapsed", reasons)

    # --- what runners tell ------------------------------------------------------------------------------------------

    def stepped(self, symbol: str, before: Bracket, after: Bracket, event: ev.Event) -> None:
        """Keep the intent's row, and book a life that is over."""
        match event:
            case ev.SubmitAnswered(leg=ev.Leg.STOP, outcome=ev.Outcome.ACCEPTED, attempt=attempt):
                self._see_part(symbol, attempt, "accepted")
            case ev.Snapshot(listed=listed):
                for row in listed:
                    if row.leg is ev.Leg.STOP and row.matches:
                        self._see_part(symbol, row.attempt, "listed")
            case _:
                pass
        plan = self._plans.get(symbol)
        if before.phase is not after.phase:
            if plan is not None:
                self._writer.put("order_intents", [books.intent_row(plan, after.phase.value, self._clock.now_ms())])
            if after.phase is Phase.PROTECTED:
                self._resolve(symbol, "protected")
        if before.locked and not after.locked:
            self._held.pop(symbol, None)
            self._resolve(symbol, "flat", (before.exit_reason,) if before.exit_reason else ())
            if plan is not None:
                del self._plans[symbol]
                self._start_task(
                    self._book(
                        plan,
                        before.exit_reason,
                        self._clock.now_ms(),
                        self._runners[symbol].marks_seen,
                        before.entry.filled,
                    ),
                    f"book:{symbol}",
                )

    def alert(self, symbol: str, code: str) -> None:
        if code == "ENTRY_UNKNOWN" and self._runners[symbol].state.recovering:
            return  # at a start every entry is, until the first reading
        self._risk(code, symbol, _ALERTS.get(code, code), 2)

    def trip(self, symbol: str, latch: ev.Latch, code: str) -> None:
        self._trip(Trip(latch, code.upper(), symbol))

    def lapsed(self, symbol: str, reasons: tuple[str, ...]) -> None:
        plan = self._plans.get(symbol)
        if plan is not None:
            now = self._clock.now_ms()
            self._writer.put("order_intents", [books.intent_row(plan, "lapsed", now, reasons=list(reasons))])
        log.info("entry_lapsed", symbol=symbol, reasons=reasons)
        self._resolve(symbol, "lapsed", reasons)

    def answered(self, symbol: str, leg: ev.Leg, outcome: wire.Outcome[Any], took_ms: float) -> None:
        """Count failures, and wait for the stream to tell of what was taken."""
        match outcome:
            case wire.Accepted(record=wire.Order() as order):
                if order.status is not wire.OrderStatus.EXPIRED and order.client_id not in self._told:
                    self._echoes[order.client_id] = monotonic_ms() + self._config.echo_s * 1e3
            case wire.Accepted():
                pass
            case wire.Rejected(reason=reason, code=code, message=message):
                normal = {wire.RejectReason.NO_POSITION, wire.RejectReason.STOP_EXISTS, wire.RejectReason.REDUCE_ONLY}
                if reason not in normal:
                    self._failures.append(self._clock.now_ms())
                if leg is ev.Leg.STOP and reason is wire.RejectReason.BAD_REQUEST:
                    self._proofs = self._proofs.void()  # an unexpected code: the path is not what it was
                    log.warning("order_rejected", symbol=symbol, leg=leg.value, code=code, error=message)
            case wire.Unknown(why=why):
                self._failures.append(self._clock.now_ms())
                log.warning("order_unknown", symbol=symbol, leg=leg.value, error=why, took_ms=round(took_ms))

    def naked(self, symbol: str, lasted_ms: float) -> None:
        self._naked.append(lasted_ms)
        if lasted_ms > 1_000:
            self._risk("NAKED_TOO_LONG", symbol, "A position stood without a stop for longer than allowed", 3,
                       lasted_ms=round(lasted_ms))  # fmt: skip

    # --- the kill-switch --------------------------------------------------------------------------------------------

    def _trip(self, trip: Trip) -> None:
        self._trips.append(trip)
        self._judge()

    async def _judge_now(self) -> None:
        self._judge()

    def _judge(self) -> None:
        """Evaluate the table on what is the case now, and act on what changed. A trip during it waits its turn."""
        if self._judging:
            return
        self._judging = True
        try:
            while True:
                facts = self._facts()
                before, self._killed = self._killed, kill_switch.evaluate(self._killed, facts, self._limits)
                self._act_on(kill_switch.changes(before, self._killed), before)
                if not self._trips and not self._commands:
                    return
        finally:
            self._judging = False

    def _facts(self) -> Facts:
        trips, self._trips = tuple(self._trips), []
        orders, self._commands = tuple(self._commands), []
        if any(isinstance(order, kill_switch.Resume) for order in orders) and self._marks is not None:
            self._take_marks(first_marks(self._marks.equity, self._clock.now_ms()))
        stats, now = self._stream.stats(), monotonic_ms()
        oldest = min(self._echoes.values(), default=None)
        age = None if oldest is None else (now - oldest + self._config.echo_s * 1e3) * self._clock.speed
        exposed = frozenset(symbol for symbol, runner in self._runners.items() if runner.phase is not Phase.FLAT)
        unknown = sum(runner.state.entry.state is EntryState.UNKNOWN for runner in self._runners.values())
        return Facts(
            now_ms=self._clock.now_ms(),
            live=True,
            speed=self._clock.speed,
            data=self._outside.data_ages(),
            stream=StreamFacts(stats.connected, 0.0, age, self._key_valid),
            order_failures=tuple(self._failures),
            clock_skew_ms=self._outside.clock_skew_ms(),
            stores_lost=self._outside.stores_lost(),
            journal_healthy=self._journal.healthy,
            exposed=exposed,
            entries_unknown=unknown,
            trips=trips,
            marks=self._marks,
            entries=tuple(self._asked),
            commands=orders,
        )

    def _act_on(self, changed: kill_switch.Changes, before: KillState) -> None:
        state = self._killed
        for code in changed.tripped:
            trip = state.trips[code]
            message = f"{code}: {trip.latch.value}" + (f" ({trip.detail})" if trip.detail else "")
            self._risk(code, None, message, books.latch_severity(trip.latch), by=trip.by)
        if changed.latch is not None:
            self._journal.note(changed.latch)
            log.warning("kill_switch", state=state.word, code=state.code)
        if state.latch is not before.latch:
            for runner in self._runners.values():
                runner.feed(ev.LatchChanged(state.latch))

    # --- upkeep -----------------------------------------------------------------------------------------------------

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            try:
                await work()
            except VenueError as exc:
                log.info("upkeep_failed", error=str(exc))
            await asyncio.sleep(pause_s)

    async def _check_echoes(self) -> None:
        """An own order that the stream does not tell of: the stream is dead, whatever the socket says (incident 5).
        REST tells of it after the reconnect; a stream that then tells of nothing again is not trusted any more."""
        now = monotonic_ms()
        overdue = [name for name, due in self._echoes.items() if now > due]
        if overdue and self._stream.stats().connected:
            log.warning("order_not_echoed", orders=len(overdue))
            self._echoes.clear()
            self._deaf += 1
            if self._deaf >= _DEAF_MAX:
                self._trip(Trip(ev.Latch.HALTED, "USER_STREAM_DEAD", "user_stream", "orders are not echoed"))
            await self._stream.reconnect("own order was not echoed")

    async def _check_strangers(self) -> None:
        for symbol, event in self._translator.strangers():
            runner = self._runner_of(symbol)
            if runner is not None:
                runner.feed(event)

    async def _poll(self) -> None:
        """Positions every few seconds while there are any (the stream may be dead and not know it)."""
        if not any(runner.state.exposed for runner in self._runners.values()):
            return
        rows = {row.symbol: row for row in await self._trading.positions() if row.side == "BOTH"}
        for symbol, runner in self._runners.items():
            row = rows.get(symbol)
            amount = row.amount if row is not None else ZERO
            if amount != 0 and row is not None:
                self._held[symbol] = row
            else:
                self._held.pop(symbol, None)
            if amount != runner.state.position and runner.phase in (Phase.PROTECTED, Phase.FLAT):
                runner.feed(ev.ReadDue())

    async def _read_account(self) -> None:
        """The account's totals; what they are measured against moves with the day, the week and the peak."""
        self._account = await self._trading.account()
        equity, now = self._account.margin_balance, self._clock.now_ms()
        self._take_marks(self._marks.see(equity, now) if self._marks is not None else first_marks(equity, now))

    def _take_marks(self, marks: EquityMarks) -> None:
        old, self._marks = self._marks, marks
        if old is None or (old.day_start, old.week_start, old.peak) != (marks.day_start, marks.week_start, marks.peak):
            self._journal.note(EquitySeen(marks))

    async def _reconcile(self) -> None:
        """D28: the account against what is believed. A difference is read anew by its symbol, which acts on that."""
        await self._compare_configs()
        account = await self._reader.read_account()
        for symbol, reading in account.symbols.items():
            self._take_positions(symbol, account)
            for algo in reading.algos:
                named = self._translator.named(algo.client_id)
                if named is not None and named.leg is ev.Leg.STOP:
                    self._see_part(symbol, named.attempt, "listed")
            self._runner_of(symbol)
        for symbol, runner in list(self._runners.items()):
            if runner.state.exposed and guards.must_leave(runner.info, self._clock.now_ms()):
                runner.feed(ev.CloseRequested("delivery"))
            reading = account.of(symbol)
            open_here = bool(reading.orders or reading.algos)
            flat = runner.phase is Phase.FLAT
            if reading.amount != runner.state.position or (flat and (open_here or reading.amount != 0)):
                runner.feed(ev.ReadDue())
            elif runner.phase is Phase.PROTECTED:
                stops = [a for a in reading.algos if a.close_position and a.type == "STOP_MARKET"]
                if not stops:
                    runner.feed(ev.ReadDue())

    async def _check_ledger(self) -> None:
        """Rule 17, nightly: what the wallet changed by is what the exchange booked, to the cent. Compared between two
        moments in which nothing happened; a difference is looked at three times before it halts."""
        now = self._clock.now_ms()
        since = self._ledger
        if since is not None and now - since.ts_ms < self._config.ledger_every_ms:
            return
        if monotonic_ms() - self._event_mono_ms < _QUIET_MS:
            return
        wallet = (await self._trading.account()).wallet_balance
        if since is not None:
            booked = sum((row.amount for row in await self._income(None, since.ts_ms, now)), ZERO)
            difference = wallet - since.wallet - booked
            if monotonic_ms() - self._event_mono_ms < _QUIET_MS:
                return  # something happened meanwhile
            if abs(difference) > self._config.ledger_slack:
                self._ledger_misses += 1
                log.warning("ledger_differs", difference=str(difference), tries=self._ledger_misses)
                if self._ledger_misses < _LEDGER_TRIES:
                    return
                text = f"the wallet changed by {wallet - since.wallet}, the exchange booked {booked}"
                self._trip(Trip(ev.Latch.HALTED, "LEDGER_MISMATCH", "ledger", text))
        if monotonic_ms() - self._event_mono_ms >= _QUIET_MS:
            self._ledger, self._ledger_misses = _LedgerMark(now, wallet), 0

    async def _ask_canary(self) -> None:
        """Tier A on a symbol that is flat and free, whenever it is due."""
        now = self._clock.now_ms()
        if not self.ready or not self._proofs.ask_due(now, self._config.proofs):
            return
        for symbol in self._universe:
            runner = self._runners.get(symbol)
            if runner is None or runner.phase is not Phase.FLAT or runner.mark is None or symbol in self._entering:
                continue
            answer = await ask_tier_a(
                self._trading, self._instruments[symbol], runner.mark, self._translator.instance, now
            )
            if answer.working:
                self._see_proof("A")
            elif not answer.unknown:
                self._proofs = self._proofs.void()
                self._journal.note(ProofSeen("A", 0))
                self._risk("STOP_PATH_BROKEN", symbol, f"The exchange answered the stop canary: {answer.said}", 2)
            return

    # --- books ------------------------------------------------------------------------------------------------------

    async def _book(
        self,
        plan: books.Plan,
        exit_reason: str | None,
        over_ms: int,
        marks: tuple[Decimal, Decimal] | None,
        filled: Decimal = ZERO,
    ) -> None:
        """A closed life from trades and income by id (rule 17), tried until it is booked. The symbol was proven flat at
        ``over_ms``; which trades are its own their ids say, for clocks may disagree. ``filled``: at least so much."""
        symbol = plan.symbol
        closing: ev.Leg | None = None
        for _ in range(_BOOK_TRIES):
            try:
                trades = await self._life(plan, filled)
                closed = None
                if trades:
                    start, last = trades[0].ts_ms, trades[-1].ts_ms
                    end = min(max(over_ms, last + 1), last + MINUTE_MS)
                    closed = books.close_out(
                        symbol, plan.intent.direction, trades, await self._income(symbol, start, end)
                    )
                if trades is not None and (closed is None or closed.complete):
                    await self._recorder.fills(symbol, trades)
                    closing = await self._leg_of_order(symbol, trades[-1].order_id) if trades else None
                    break
            except (VenueError, InvalidInputError) as exc:
                log.warning("book_failed", symbol=symbol, error=str(exc))
            await asyncio.sleep(self._config.retry_s)
        else:
            self._risk("NOT_BOOKED", symbol, "A closed trade could not be booked; see order_intents", 2)
            return
        now = self._clock.now_ms()
        if closed is None:
            self._writer.put("order_intents", [books.intent_row(plan, "closed", now, opened=False)])
            return
        self._closed.append(closed)
        self._closed_count += 1
        word = _exit_word(closing, exit_reason, closed)
        self._writer.put("trades", [books.trade_row(closed, plan, word, marks)])
        self._writer.put("order_intents", [books.intent_row(plan, "booked", now, net=str(closed.net))])

    async def _leg_of_order(self, symbol: str, number: int) -> ev.Leg | None:
        """Which leg of ours an order is, or is the child of; None for everybody else's."""
        named = self._translator.owner(symbol, number, "")
        if named is None:
            order = await self._trading.query_order(symbol, number)
            named = self._translator.named(order.client_id) if order is not None else None
        return named.leg if named is not None else None

    async def _life(self, plan: books.Plan, filled: Decimal) -> list[wire.Trade] | None:
        """The trades from the entry's first on, until flat; empty when it never filled, None when the exchange does not
        tell of all of them yet (it may not find an order for minutes, incident 2)."""
        if not plan.entry_id:
            return []
        order = await self._trading.query_order(plan.symbol, plan.entry_id)
        if order is None or order.filled < filled:
            return None if filled else []
        if order.filled == 0:
            return []
        entries = await self._trading.user_trades(plan.symbol, order_id=order.order_id)
        if sum((row.quantity for row in entries), ZERO) < order.filled:
            return None
        return books.life_of(await self._trading.user_trades(plan.symbol, from_id=entries[0].trade_id))

    async def _income(self, symbol: str | None, start_ms: int, end_ms: int) -> list[wire.Income]:
        """Bookings on one symbol, or all of them."""
        out: list[wire.Income] = []
        for page in range(1, 100):
            rows = await self._trading.income(start_ms, end_ms, page=page, limit=_PAGE)
            out += [row for row in rows if symbol is None or row.symbol == symbol]
            if len(rows) < _PAGE:
                break
        return out

    def _risk(self, code: str, symbol: str | None, message: str, severity: int, **details: Any) -> None:
        row = books.risk_row(self._clock.now_ms(), code, symbol, message, severity, **details)
        self._writer.put("risk_events", [row])
        self._publish("risk_events", [row | {"ts": iso(row["ts"])}])
        log.warning("risk_event", code=code, symbol=symbol, message=message)

    def _see_proof(self, tier: Any) -> None:
        now = self._clock.now_ms()
        self._proofs = self._proofs.see(tier, now)
        self._journal.note(ProofSeen(tier, now))

    def _see_part(self, symbol: str, attempt: int, what: Any) -> None:
        self._proofs, whole = self._proofs.part(symbol, attempt, what)
        if whole:
            self._see_proof("B")

    # --- small tools ------------------------------------------------------------------------------------------------

    def _runner(self, symbol: str) -> SymbolRunner:
        if symbol not in self._runners:
            self._runners[symbol] = SymbolRunner(self._instruments[symbol], self._parts)
        return self._runners[symbol]

    def _runner_of(self, symbol: str) -> SymbolRunner | None:
        """The symbol's runner, made when something happens on a symbol that was not watched; None without rules."""
        if symbol in self._runners:
            return self._runners[symbol]
        if symbol not in self._instruments:
            self._trip(Trip(ev.Latch.HALTED, "UNKNOWN_SYMBOL", symbol, "something happened that has no rules here"))
            return None
        runner = self._runner(symbol)
        base = self._left.reserved.get(symbol, 0)
        self._journal.note(NumbersReserved(symbol, base + NUMBERS_BLOCK))
        runner.restart(base, None, self._killed.latch, None)
        return runner

    def _known(self, symbol: str) -> SymbolRunner:
        if symbol not in self._runners:
            raise InvalidInputError("symbol", symbol, "one of " + ", ".join(sorted(self._runners)))
        return self._runners[symbol]

    def _take_positions(self, symbol: str, account: AccountReading) -> None:
        held = account.of(symbol).position
        if held is not None and held.amount != 0:
            self._held[symbol] = held

    def _position(self, runner: SymbolRunner, held: wire.Position) -> LivePosition:
        plan = self._plans.get(runner.symbol)
        intent = runner.state.intent
        config = self._configs.get(runner.symbol)
        return LivePosition(
            runner.symbol,
            held.amount,
            held.entry_price,
            held.mark_price,
            held.unrealized_pnl,
            held.liquidation_price,
            held.isolated_margin,
            plan.leverage if plan is not None else config.leverage if config is not None else 1,
            intent.stop_price if intent is not None else None,
            intent.target_price if intent is not None else None,
            runner.exposed_ts_ms or held.update_ts_ms,
            runner.phase,
            runner.phase in (Phase.PROTECTED, Phase.DUST),
            plan,
        )

    def _leg_of(self, client_id: str) -> str | None:
        named = self._translator.named(client_id)
        return named.leg.value if named is not None else None

    def _intent_of(self, symbol: str) -> str | None:
        plan = self._plans.get(symbol)
        return f"{plan.intent.decision_id}:{symbol}" if plan is not None else None

    def _resolve(self, symbol: str, how: str, reasons: tuple[str, ...] = ()) -> None:
        for future in self._waiting.pop(symbol, []):
            if not future.done():
                future.set_result((how, reasons))

    def _start_task(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._guarded(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _guarded(work: Awaitable[None]) -> None:
        """A background task that fails says so and hurts nothing else."""
        try:
            await work
        except VenueError as exc:
            log.info("task_failed", error=str(exc))
        except Exception as exc:
            log.exception("task_broken", error=type(exc).__name__)


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


def _with_leverage(config: wire.SymbolConfig, leverage: int) -> wire.SymbolConfig:
    return wire.SymbolConfig(config.symbol, config.isolated, config.auto_add_margin, leverage, config.max_notional)


def _exit_word(closing: ev.Leg | None, reason: str | None, closed: books.Closed) -> str:
    """Why the position was closed, in the kernel's words."""
    if closed.liquidation_fee:
        return ExitReason.LIQUIDATION.value
    if closing is ev.Leg.STOP or reason in ("software_stop", "stop_crossed"):
        return ExitReason.SL.value
    if closing is ev.Leg.TARGET or reason == "target_crossed":
        return ExitReason.TP.value
    if reason == "time":
        return ExitReason.TIME.value
    if reason in ("operator", "agent"):
        return reason.upper()
    return ExitReason.HALT.value
