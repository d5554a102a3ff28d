"""What the watchdog does about what it sees (execution.md 19): pure.

It can only reduce: put a missing stop back, leave at market when that is refused (and take from its way what rests to
leave in parts), cancel an entry that rests while nobody looks after it. It never enters and never cancels a stop, and
where stops stand it only alarms. A read that failed proves nothing: *exchange unreachable* is not *stop missing*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from packages.common.ids import Leg, parse_order_id
from packages.exchange.trading import (
    Accepted,
    AlgoOrder,
    Order,
    Outcome,
    Position,
    Rejected,
    RejectReason,
    Side,
)
from services.execution.core.events import Latch
from services.execution.journal import JournalState, OpenIntent

# Numbers at the end of a symbol's reserved block, which the trader leaves before it gets there.
SPARE_NUMBERS = 50


@dataclass(frozen=True, slots=True)
class Rules:
    """Wall milliseconds. ``agree_ms``: two reads that agree are at least so far apart, and at most ``forget_ms``;
    ``late_ms``: how long a wanted exit or a lost exchange may last before it is an alarm."""

    silent_ms: float = 15_000
    agree_ms: float = 2_000
    forget_ms: float = 60_000
    late_ms: float = 30_000


class Alarm(StrEnum):
    WORKER_SILENT = "WORKER_SILENT"
    EXCHANGE_UNREACHABLE = "EXCHANGE_UNREACHABLE"
    JOURNAL_DAMAGED = "JOURNAL_DAMAGED"
    JOURNAL_GONE = "JOURNAL_GONE"  # it was there; what it said last is what is watched
    STOP_MISSING = "STOP_MISSING"
    STOP_REFUSED = "STOP_REFUSED"
    STOP_ELSEWHERE = "STOP_ELSEWHERE"  # it stands, at another trigger than planned
    UNPLANNED_POSITION = "UNPLANNED_POSITION"
    EXIT_LATE = "EXIT_LATE"
    ENTRY_RESTS = "ENTRY_RESTS"


# --- what is seen ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """One symbol as the exchange shows it. ``position`` None: flat."""

    position: Position | None
    orders: Sequence[Order] = ()
    algos: Sequence[AlgoOrder] = ()

    @property
    def amount(self) -> Decimal:
        return self.position.amount if self.position is not None else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look. ``symbols`` None: the exchange could not be read. ``now_ms``: market time; ``mono_ms``: monotonic.
    ``worker_age_ms``: since the trader last gave a sign of life, None when it never did."""

    now_ms: int
    mono_ms: float
    symbols: Mapping[str, Seen] | None
    worker_age_ms: float | None
    journal_damaged: bool = False
    journal_gone: bool = False


# --- what is remembered ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doubt:
    """A position that was read without its stop. ``refused``: why putting it back failed, None: not tried or not told.
    ``exits``: how often it was sent out at market."""

    amount: Decimal
    since_ms: float
    last_ms: float
    refused: str | None = None
    exits: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Between looks. ``spent``: numbers used by symbol, of the block whose end is beside it. ``since_ms``: when a
    condition began that is an alarm once it lasts."""

    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    resting: Mapping[str, float] = field(default_factory=dict)
    since_ms: Mapping[tuple[Alarm, str], float] = field(default_factory=dict)
    spent: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def uneasy(self) -> bool:
        """Look again as soon as two reads can agree; what did not help is repeated at the usual pace."""
        return bool(self.resting) or any(doubt.exits == 0 for doubt in self.doubts.values())


# --- what is done ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceStop:
    """The plan's closePosition stop; its answer is folded with ``told``."""

    symbol: str
    side: Side
    trigger: Decimal
    decision_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Exit:
    """MARKET, reduce-only, all of it."""

    symbol: str
    side: Side
    quantity: Decimal
    decision_id: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """A regular order of ours."""

    symbol: str
    client_id: str


Action = PlaceStop | Exit | Cancel


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that holds at this look; ``symbol`` empty: of the whole account."""

    alarm: Alarm
    symbol: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    actions: tuple[Action, ...]
    alarms: tuple[Raised, ...]
    memory: Memory


def decide(plan: JournalState, look: Look, memory: Memory, rules: Rules) -> Decision:
    """What to do after ``look``, by the plan that the journal holds."""
    turn = _Turn(plan, look, memory, rules)
    turn.account()
    for symbol, seen in (look.symbols or {}).items():
        turn.symbol(symbol, seen)
    return turn.result()


def told(memory: Memory, action: PlaceStop, outcome: Outcome[AlgoOrder]) -> Memory:
    """What the answer to a stop proves. Only a refusal of the order itself does; silence, limits and clocks do not."""
    doubt = memory.doubts.get(action.symbol)
    if doubt is None:
        return memory
    match outcome:
        case Accepted() | Rejected(reason=RejectReason.STOP_EXISTS | RejectReason.NO_POSITION):
            return replace(memory, doubts=_without(memory.doubts, action.symbol))
        case Rejected(reason=reason, code=code) if reason not in _PROVES_NOTHING:
            refused = replace(doubt, refused=f"{reason.value} {code}")
            return replace(memory, doubts={**memory.doubts, action.symbol: refused})
        case _:
            return memory


_PROVES_NOTHING = frozenset(
    {RejectReason.NO_ROOM, RejectReason.NOT_SENT, RejectReason.RATE_LIMITED, RejectReason.CLOCK}
)


def covers(position: Position, algo: AlgoOrder) -> bool:
    """A stop that closes ``position`` whatever its size."""
    return (
        algo.close_position
        and algo.type == "STOP_MARKET"
        and algo.side is _closing(position.amount)
        and not algo.status.terminal
    )


class _Turn:
    """One look under way. What is not remembered anew is forgotten."""

    def __init__(self, plan: JournalState, look: Look, memory: Memory, rules: Rules) -> None:
        self.plan, self.look, self.memory, self.rules = plan, look, memory, rules
        self.actions: list[Action] = []
        self.alarms: list[Raised] = []
        self.doubts: dict[str, Doubt] = {}
        self.resting: dict[str, float] = {}
        self.since: dict[tuple[Alarm, str], float] = {}
        self.spent = dict(memory.spent)
        age = look.worker_age_ms
        self.silent = age is None or not age <= rules.silent_ms

    def alarm(self, alarm: Alarm, symbol: str = "", detail: str = "") -> None:
        self.alarms.append(Raised(alarm, symbol, detail))

    def lasting(self, alarm: Alarm, symbol: str = "", detail: str = "") -> None:
        """An alarm only once it has lasted."""
        key = (alarm, symbol)
        self.since[key] = self.memory.since_ms.get(key, self.look.mono_ms)
        if self.look.mono_ms - self.since[key] >= self.rules.late_ms:
            self.alarm(alarm, symbol, detail)

    def account(self) -> None:
        if self.look.journal_damaged:
            self.alarm(Alarm.JOURNAL_DAMAGED)
        if self.look.journal_gone:
            self.alarm(Alarm.JOURNAL_GONE)
        if self.silent and (self.plan.open or any(seen.amount for seen in (self.look.symbols or {}).values())):
            age = self.look.worker_age_ms
            self.alarm(Alarm.WORKER_SILENT, detail="never seen" if age is None else f"for {age / 1e3:.0f} s")
        if self.look.symbols is None:
            self.lasting(Alarm.EXCHANGE_UNREACHABLE)
            self.doubts, self.resting = dict(self.memory.doubts), dict(self.memory.resting)
            self.since |= {key: at for key, at in self.memory.since_ms.items() if key[1]}

    def symbol(self, symbol: str, seen: Seen) -> None:
        intent = self.plan.open.get(symbol)
        self.entries(symbol, seen)
        if seen.position is None or seen.position.amount == 0:
            return
        if intent is None or intent.intent.direction * seen.position.amount < 0:
            self.lasting(Alarm.UNPLANNED_POSITION, symbol, f"{seen.position.amount}")
            return
        stops = [algo for algo in seen.algos if covers(seen.position, algo)]
        if stops:
            self.covered(symbol, intent, stops)
        else:
            self.bare(symbol, intent, seen, seen.position)

    def covered(self, symbol: str, intent: OpenIntent, stops: Sequence[AlgoOrder]) -> None:
        if all(algo.trigger_price != intent.intent.stop_price for algo in stops):
            self.alarm(Alarm.STOP_ELSEWHERE, symbol, f"{stops[0].trigger_price}, planned {intent.intent.stop_price}")
        due = self.look.now_ms > intent.intent.due_ts_ms
        if due or symbol in self.plan.exits or self.plan.latch is Latch.FLATTENING:
            self.lasting(Alarm.EXIT_LATE, symbol)

    def bare(self, symbol: str, intent: OpenIntent, seen: Seen, position: Position) -> None:
        """No stop. The trader has its own second for it; what is still so at the next look, or while it is silent, is
        ours. A position that changes is at work: the reads do not agree."""
        now, amount = self.look.mono_ms, position.amount
        old = self.memory.doubts.get(symbol)
        if old is None or old.amount != amount or now - old.last_ms > self.rules.forget_ms:
            doubt = Doubt(amount, now, now)
        else:
            doubt = replace(old, last_ms=now)
        self.doubts[symbol] = doubt
        agreed = now - doubt.since_ms >= self.rules.agree_ms
        if not (agreed or self.silent):
            return
        self.alarm(Alarm.STOP_MISSING, symbol, f"{amount}")
        side = _closing(amount)
        if doubt.refused is not None:
            self.alarm(Alarm.STOP_REFUSED, symbol, doubt.refused)
            if agreed:
                parts = [order for order in seen.orders if self.ours(order, Leg.STAGE)]
                self.actions += [Cancel(symbol, order.client_id) for order in parts]
                number = self.number(symbol, intent)
                name = intent.intent.decision_id
                self.actions.append(Exit(symbol, side, abs(amount), name, number, doubt.refused))
                self.doubts[symbol] = replace(doubt, exits=doubt.exits + 1)
        number = self.number(symbol, intent)
        self.actions.append(PlaceStop(symbol, side, intent.intent.stop_price, intent.intent.decision_id, number))

    def entries(self, symbol: str, seen: Seen) -> None:
        """An entry that rests is looked after by a running trader; else it may open what nobody protects."""
        rests = [order for order in seen.orders if not order.reduce_only and self.ours(order, Leg.ENTRY)]
        if not rests or not (self.silent or self.plan.latch is not Latch.RUNNING):
            return
        self.alarm(Alarm.ENTRY_RESTS, symbol)
        self.resting[symbol] = self.memory.resting.get(symbol, self.look.mono_ms)
        if self.look.mono_ms - self.resting[symbol] >= self.rules.agree_ms:
            self.actions += [Cancel(symbol, order.client_id) for order in rests]

    def ours(self, order: Order, leg: Leg) -> bool:
        name = parse_order_id(order.client_id)
        return name is not None and name.instance == self.plan.instance and name.leg is leg

    def number(self, symbol: str, intent: OpenIntent) -> int:
        """From the end of the reserved block downward: the trader's core takes our stop for one of its own."""
        end = max(self.plan.reserved.get(symbol, 0), intent.attempt + SPARE_NUMBERS)
        block, used = self.spent.get(symbol, (end, 0))
        used = used if block == end else 0
        self.spent[symbol] = (end, used + 1)
        return end - used % SPARE_NUMBERS

    def result(self) -> Decision:
        memory = Memory(self.doubts, self.resting, self.since, self.spent)
        return Decision(tuple(self.actions), tuple(self.alarms), memory)


def _closing(amount: Decimal) -> Side:
    return Side.SELL if amount > 0 else Side.BUY


def _without(doubts: Mapping[str, Doubt], symbol: str) -> dict[str, Doubt]:
    return {name: doubt for name, doubt in doubts.items() if name != symbol}
