"""The kill-switch (D24, execution.md): its table of triggers as one pure function of facts, folded over time.

Two things come of it. *Blocks* forbid entries, of one symbol or of all, for as long as their condition lasts; nobody
clears them. The *latch* stands until somebody does: it is the strictest of the trips that stand, and only an operator's
``Resume`` takes trips away. For the shadow account, where no money is, two of them also end by themselves.

Milliseconds are market time. Data, loss and entries are measured in it; what a machine or a network needs (the user
stream, lost stores, order failures, clock skew) has its limits in wall time, multiplied by the market's speed here.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.execution.core.events import Latch
from services.execution.equity import EquityMarks
from services.execution.journal import LatchMoved

RESUMED, CLEARED = "RESUMED", "CLEARED"  # codes of a latch that is running again
_STRICTNESS = {Latch.RUNNING: 0, Latch.HALTED: 1, Latch.FLATTENING: 2}


class Trigger(StrEnum):
    """What this module itself finds. The cores, reconciliation and books have words of their own (``Trip.code``)."""

    DATA_STALE = "DATA_STALE"
    DATA_STALE_WIDELY = "DATA_STALE_WIDELY"
    USER_STREAM_DEAD = "USER_STREAM_DEAD"
    ORDER_FAILURES = "ORDER_FAILURES"
    CLOCK_SKEW = "CLOCK_SKEW"
    STORES_LOST = "STORES_LOST"
    NO_JOURNAL = "NO_JOURNAL"
    DAILY_LOSS = "DAILY_LOSS"
    WEEKLY_LOSS = "WEEKLY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    RUNAWAY = "RUNAWAY"
    OPERATOR = "OPERATOR"


class Clears(StrEnum):
    """Who takes a trip away."""

    OPERATOR = "operator"
    ITSELF = "itself"
    NEXT_DAY = "next_day"  # UTC


_IN_SHADOW = {Trigger.DATA_STALE_WIDELY.value: Clears.ITSELF, Trigger.DAILY_LOSS.value: Clears.NEXT_DAY}


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults of the table; fractions of the equity, counts, and milliseconds as the module says."""

    bar_age_ms: float = 90_000
    mark_age_ms: float = 15_000
    wide_share: float = 1 / 3
    echo_ms: float = 2_000
    ping_ms: float = 20_000
    stream_dead_ms: float = 30_000
    order_failures: int = 5
    order_failures_ms: float = 300_000
    skew_block_ms: float = 500
    skew_halt_ms: float = 2_000
    stores_lost_ms: float = 60_000
    day_loss: float = 0.02
    week_loss: float = 0.05
    drawdown: float = 0.10
    entries_minute: int = 6
    entries_hour: int = 30
    entries_day: int = 200
    order_notional: float = 0.5  # of the equity the kernel sizes on


# --- facts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DataAge:
    """Of one tradable symbol: since the end of its last closed bar, since its last mark. None: none was seen yet."""

    bar_ms: float | None
    mark_ms: float | None


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """The user stream now. ``ping_age_ms``: since the connection last answered; ``unechoed_ms``: age of the oldest own
    order that is answered and not echoed, None when there is none; ``key_valid``: no keep-alive said otherwise.

    Silence is no fault: none of these grows while nothing happens (an alive socket answers pings).
    """

    connected: bool
    ping_age_ms: float = 0.0
    unechoed_ms: float | None = None
    key_valid: bool = True


@dataclass(frozen=True, slots=True)
class EntryAsked:
    """An entry that was asked for, sent or not. ``notional_share``: of the equity the kernel sizes on."""

    ts_ms: int
    symbol: str
    notional_share: float


@dataclass(frozen=True, slots=True)
class Halt:
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Flatten:
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Clear the latch. Failures and entries before it no longer count, and losses are measured from here. Raises
    ``InvalidInputError`` without a reason or an author: both go to the audit log."""

    reason: str
    author: str

    def __post_init__(self) -> None:
        for name, value in (("reason", self.reason), ("author", self.author)):
            if not value.strip():
                raise InvalidInputError(name, value, "a text that is not empty")


Command = Halt | Flatten | Resume


@dataclass(frozen=True, slots=True)
class Trip:
    """Something asks for a stricter latch: a core (``commands.Trip``), reconciliation, the books. ``source`` is the
    symbol, or who says so."""

    latch: Latch
    code: str
    source: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is the case at ``now_ms``; ``trips`` and ``commands`` are those since the evaluation before, in order.

    ``order_failures`` and ``entries``: at least those of the last five minutes (times speed) and of the last day.
    ``marks``: the equity now and what it is measured against, None when it is not known; whoever keeps them begins
    anew from the present equity after a ``Resume``, or the same loss trips again. ``exposed``: symbols not proven
    flat (a core in any phase but FLAT). ``stores_lost``: names of those that do not answer, as database, bus.
    ``clock_skew_ms``: market ms, None unknown.
    """

    now_ms: int
    live: bool
    speed: float = 1.0
    data: Mapping[str, DataAge] = field(default_factory=dict)
    stream: StreamFacts | None = None  # None: there is no account (shadow)
    order_failures: tuple[int, ...] = ()
    clock_skew_ms: float | None = None
    stores_lost: tuple[str, ...] = ()
    journal_healthy: bool = True
    exposed: frozenset[str] = frozenset()
    entries_unknown: int = 0
    trips: tuple[Trip, ...] = ()
    marks: EquityMarks | None = None
    entries: tuple[EntryAsked, ...] = ()
    commands: tuple[Command, ...] = ()


# --- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """Entries are forbidden for as long as this lasts; ``symbol`` None: all of them."""

    code: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A trip that has not been cleared."""

    latch: Latch
    since_ms: int
    by: str
    detail: str


@dataclass(frozen=True, slots=True)
class KillState:
    """At ``ts_ms``: ``trips`` by code. ``flat``: flattening is done and proven. ``resumed_ms``: of the last ``Resume``,
    0 when there was none."""

    ts_ms: int = 0
    trips: Mapping[str, Standing] = field(default_factory=dict)
    blocks: Mapping[Block, int] = field(default_factory=dict)  # since when
    flat: bool = False
    resumed_ms: int = 0
    resumed_by: str = ""
    resumed_reason: str = ""

    @property
    def latch(self) -> Latch:
        """The strictest of what stands: what every core is told."""
        return max((trip.latch for trip in self.trips.values()), key=_STRICTNESS.__getitem__, default=Latch.RUNNING)

    @property
    def word(self) -> str:
        """RUNNING, HALTED, FLATTENING or FLAT: for rows and screens."""
        return "FLAT" if self.flat else self.latch.value.upper()

    @property
    def code(self) -> str:
        """Why the latch is where it is: the oldest of its strictest trips; empty when running."""
        standing = [(trip.since_ms, code) for code, trip in self.trips.items() if trip.latch is self.latch]
        return min(standing)[1] if standing else ""

    def reasons(self, symbol: str) -> tuple[str, ...]:
        """Why ``symbol`` may not be entered now, empty when it may."""
        blocks = [block.code for block in self.blocks if block.symbol in (None, symbol)]
        latched = ["KILL_SWITCH"] if self.trips else []
        return tuple(sorted({*blocks, *latched}))


def clears(code: str, *, live: bool) -> Clears:
    """Who takes a trip of ``code`` away."""
    return Clears.OPERATOR if live else _IN_SHADOW.get(code, Clears.OPERATOR)


def restored(moves: Iterable[LatchMoved]) -> KillState:
    """The state at start: the strictest of what journal and database remember (rule 14)."""
    state = KillState()
    for move in moves:
        if move.code == RESUMED:
            state = replace(state, resumed_ms=max(state.resumed_ms, move.ts_ms))
        elif move.latch is not Latch.RUNNING:
            trip = Standing(move.latch, move.ts_ms, move.by, move.reason)
            state = replace(state, trips=_with(state.trips, move.code, trip))
    return state


def evaluate(state: KillState, facts: Facts, limits: Limits) -> KillState:
    """The state at ``facts.now_ms``. The stricter wins, and a trip whose condition still holds after a ``Resume``
    stands again at once. Raises ``InvalidInputError`` for an equity that is not finite."""
    turn = _Turn(state, facts, limits)
    turn.commands()
    turn.data()
    turn.user_stream()
    turn.orders()
    turn.clock()
    turn.stores()
    turn.losses()
    turn.runaway()
    for trip in facts.trips:
        turn.trip(trip.code, trip.latch, trip.source, trip.detail)
    turn.clear_by_itself()
    return turn.result()


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two states. ``latch``: to be journaled; ``tripped``: codes new or stricter than before."""

    latch: LatchMoved | None
    tripped: tuple[str, ...]
    raised: tuple[Block, ...]
    cleared: tuple[Block, ...]
    word: str | None


def changes(before: KillState, after: KillState) -> Changes:
    """What to journal, tell and show after an evaluation; None and empty where nothing changed."""
    tripped = tuple(
        code
        for code, trip in after.trips.items()
        if code not in before.trips or _STRICTNESS[trip.latch] > _STRICTNESS[before.trips[code].latch]
    )
    resumed = after.resumed_ms != before.resumed_ms
    moved = (after.latch, after.code) != (before.latch, before.code) or resumed
    return Changes(
        latch=_move(after, resumed) if moved else None,
        tripped=tripped,
        raised=tuple(block for block in after.blocks if block not in before.blocks),
        cleared=tuple(block for block in before.blocks if block not in after.blocks),
        word=after.word if after.word != before.word else None,
    )


def _move(after: KillState, resumed: bool) -> LatchMoved:
    if after.trips:
        trip = after.trips[after.code]
        return LatchMoved(after.latch, after.code, trip.by, trip.detail, trip.since_ms)
    if resumed:
        return LatchMoved(Latch.RUNNING, RESUMED, after.resumed_by, after.resumed_reason, after.resumed_ms)
    return LatchMoved(Latch.RUNNING, CLEARED, "kill_switch", "its condition is over", after.ts_ms)


# --- the table -------------------------------------------------------------------------------------------------------


class _Turn:
    """One evaluation under way."""

    def __init__(self, state: KillState, facts: Facts, limits: Limits) -> None:
        self.s, self.facts, self.limits = state, facts, limits
        self.blocks: dict[Block, int] = {}
        self.holds: set[str] = set()  # codes whose condition is the case now
        self.resumed = any(isinstance(command, Resume) for command in facts.commands)

    def wall(self, limit_ms: float) -> float:
        """A limit of wall time in market milliseconds; on a market without a speed only events count."""
        return limit_ms * self.facts.speed

    def trip(self, code: str, latch: Latch, by: str, detail: str = "") -> None:
        """Stand until cleared. The first cause stays, unless the new one is stricter."""
        self.holds.add(code)
        if latch is not Latch.RUNNING:
            standing = Standing(latch, self.facts.now_ms, by, detail)
            self.s = replace(self.s, trips=_with(self.s.trips, code, standing))

    def block(self, code: str, symbol: str | None = None) -> float:
        """Block now; returns for how long it has been so."""
        block = Block(code, symbol)
        since = self.s.blocks.get(block, self.facts.now_ms)
        self.blocks[block] = since
        return self.facts.now_ms - since

    def commands(self) -> None:
        for command in self.facts.commands:
            match command:
                case Halt():
                    self.trip(Trigger.OPERATOR, Latch.HALTED, command.author, command.reason)
                case Flatten():
                    self.trip(Trigger.OPERATOR, Latch.FLATTENING, command.author, command.reason)
                case Resume():
                    self.s = replace(
                        self.s,
                        trips={},
                        resumed_ms=self.facts.now_ms,
                        resumed_by=command.author,
                        resumed_reason=command.reason,
                    )
                case _:
                    assert_never(command)

    def data(self) -> None:
        """Stale data block their symbol. What was never seen is not a loss of data: it blocks and does not halt."""
        facts, limits, lost = self.facts, self.limits, 0
        for symbol, age in facts.data.items():
            bar, mark = (math.inf if ms is None else ms for ms in (age.bar_ms, age.mark_ms))
            if not (bar <= limits.bar_age_ms and mark <= limits.mark_age_ms):
                self.block(Trigger.DATA_STALE, symbol)
            lost += any(ms is not None and not ms <= limits.bar_age_ms for ms in (age.bar_ms, age.mark_ms))
        if lost > limits.wide_share * len(facts.data):
            self.trip(Trigger.DATA_STALE_WIDELY, Latch.HALTED, "data", f"{lost} of {len(facts.data)} symbols")

    def user_stream(self) -> None:
        stream = self.facts.stream
        if stream is None:
            return
        faults = {
            "not connected": not stream.connected,
            "ping overdue": not stream.ping_age_ms <= self.wall(self.limits.ping_ms),
            "order not echoed": stream.unechoed_ms is not None
            and not stream.unechoed_ms <= self.wall(self.limits.echo_ms),
            "listenKey lost": not stream.key_valid,
        }
        found = [fault for fault, there in faults.items() if there]
        if found and self.block(Trigger.USER_STREAM_DEAD) > self.wall(self.limits.stream_dead_ms):
            self.trip(Trigger.USER_STREAM_DEAD, Latch.HALTED, "user_stream", ", ".join(found))

    def orders(self) -> None:
        since = max(self.facts.now_ms - self.wall(self.limits.order_failures_ms), self.s.resumed_ms)
        failed = sum(ts_ms > since for ts_ms in self.facts.order_failures)
        if failed >= self.limits.order_failures:
            self.trip(Trigger.ORDER_FAILURES, Latch.HALTED, "orders", f"{failed} failed")

    def clock(self) -> None:
        """An unknown skew blocks; it halts nothing, for nothing was measured."""
        skew = self.facts.clock_skew_ms
        if skew is None or not abs(skew) <= self.wall(self.limits.skew_block_ms):
            self.block(Trigger.CLOCK_SKEW)
        if skew is not None and not abs(skew) <= self.wall(self.limits.skew_halt_ms):
            self.trip(Trigger.CLOCK_SKEW, Latch.HALTED, "clock", f"{skew:.0f} ms")

    def stores(self) -> None:
        lost = self.facts.stores_lost
        if not self.facts.journal_healthy:
            self.block(Trigger.NO_JOURNAL)
        if not lost:
            return
        long = self.block(Trigger.STORES_LOST) > self.wall(self.limits.stores_lost_ms)
        if long and (self.facts.exposed or self.facts.entries_unknown):
            self.trip(Trigger.STORES_LOST, Latch.HALTED, "stores", ", ".join(lost))

    def losses(self) -> None:
        """Against marks above zero only: an empty account has nothing to lose. A ``Resume`` accepts the loss so far."""
        marks = self.facts.marks
        if marks is None:
            return
        if not all(level.is_finite() for level in (marks.equity, marks.day_start, marks.week_start, marks.peak)):
            raise InvalidInputError("marks", marks, "finite amounts")
        rules = [(Trigger.DAILY_LOSS, marks.day_start, self.limits.day_loss)]
        if self.facts.live:
            rules.append((Trigger.WEEKLY_LOSS, marks.week_start, self.limits.week_loss))
            rules.append((Trigger.DRAWDOWN, marks.peak, self.limits.drawdown))
        for code, mark, limit in rules:
            if mark > 0 and mark - marks.equity >= mark * Decimal(repr(limit)) and not self.resumed:
                self.trip(code, Latch.FLATTENING, "equity", f"{marks.equity} against {mark}")

    def runaway(self) -> None:
        """Entries asked for faster than any sane policy would, or larger than it could: a fault of ours (D44)."""
        now, limits = self.facts.now_ms, self.limits
        entries = [entry for entry in self.facts.entries if entry.ts_ms > self.s.resumed_ms]
        for name, window, limit in rates(limits):
            count = sum(entry.ts_ms > now - window for entry in entries)
            if count > limit:
                self.trip(Trigger.RUNAWAY, Latch.HALTED, "entries", f"{count} in a {name}")
        huge = [entry.symbol for entry in entries if not entry.notional_share <= limits.order_notional]
        if huge:
            self.trip(Trigger.RUNAWAY, Latch.HALTED, "entries", f"notional of {huge[-1]}")

    def clear_by_itself(self) -> None:
        """For the shadow account only (see ``clears``)."""
        now = self.facts.now_ms
        for code, trip in list(self.s.trips.items()):
            how = clears(code, live=self.facts.live)
            over = how is Clears.ITSELF or (how is Clears.NEXT_DAY and now // DAY_MS > trip.since_ms // DAY_MS)
            if over and code not in self.holds:
                self.s = replace(self.s, trips={name: row for name, row in self.s.trips.items() if name != code})

    def result(self) -> KillState:
        proven = not self.facts.exposed and not self.facts.entries_unknown
        return replace(
            self.s, ts_ms=self.facts.now_ms, blocks=self.blocks, flat=self.s.latch is Latch.FLATTENING and proven
        )


def rates(limits: Limits) -> tuple[tuple[str, int, int], ...]:
    """Name, window and most entries of each rate of the runaway guard."""
    return (
        ("minute", MINUTE_MS, limits.entries_minute),
        ("hour", HOUR_MS, limits.entries_hour),
        ("day", DAY_MS, limits.entries_day),
    )


def _with(trips: Mapping[str, Standing], code: str, new: Standing) -> dict[str, Standing]:
    old = trips.get(code)
    keep = old is not None and _STRICTNESS[old.latch] >= _STRICTNESS[new.latch]
    return {**trips, code: old if keep and old is not None else new}
