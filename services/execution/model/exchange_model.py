"""A small abstract exchange around one bracket machine: every interleaving is a path of ``successors``.

One symbol, quantities of a few units, no prices and no clock: a trigger may be hit at any moment, a timer may fire
whenever nothing else is under way. What goes wrong costs one *fault* of a budget; so does a timer that fires while a
message is still travelling, which is what slowness is. The machine under test is the production ``step``.

The exchange follows the reference: closePosition orders need a position (-4509), one per kind (-4130), and expire when
flat; reduce-only orders never reverse; a request whose answer was lost may be executed later, or never.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.bracket import step
from services.execution.core.events import AlgoStatus, Latch, Leg, OrderStatus, Outcome, Refused, Timer
from services.execution.core.state import AlgoLeg, Bracket, Limits, Phase

ZERO, ONE = Decimal(0), Decimal(1)
Order = do.SubmitEntry | do.SubmitStop | do.SubmitTarget | do.SubmitStage | do.SubmitExit
Request = Order | do.Cancel | do.QueryEntry


@dataclass(frozen=True, slots=True)
class Travelling:
    """A request on its way; ``waited`` false: the client has given up on its answer, or died."""

    request: Request
    waited: bool = True


@dataclass(frozen=True, slots=True)
class Algo:
    attempt: int
    triggering: bool = False


class World(NamedTuple):
    """Everything: the machine, the exchange, what travels between them, what the journal holds, what may go wrong."""

    bracket: Bracket
    faults: int
    entries: int  # requests for an entry still to come
    qty: int = 2  # of each
    position: Decimal = ZERO
    resting: Decimal = ZERO  # of the entry, not yet filled
    filled: Decimal = ZERO  # of the entry
    executed: int = 0  # attempt of the entry that reached the book, 0 none
    stop: Algo | None = None
    target: Algo | None = None
    stage: int = 0  # attempt of the one of one unit that rests, 0 none
    stages: int = 0  # of an intent
    closed: bool = False
    connected: bool = True
    requests: tuple[Travelling, ...] = ()
    answers: tuple[ev.SubmitAnswered, ...] = ()
    stream: tuple[ev.Event, ...] = ()
    reading: ev.Snapshot | bool = False  # True: asked, not yet served
    journaling: bool = False
    journal: ev.Intent | None = None
    journal_exit: str | None = None

    @property
    def idle(self) -> bool:
        """Nothing travels: time may pass without anything being slow."""
        return not (self.requests or self.answers or self.stream or self.reading or self.journaling)

    @property
    def good(self) -> bool:
        """Protected or flat, at the exchange and in the machine's mind, with nothing left open."""
        phase = self.bracket.phase
        if self.position == 0:
            orders = self.stop or self.target or self.resting or self.stage
            return phase is Phase.FLAT and not orders and not self.requests
        return phase in (Phase.PROTECTED, Phase.DUST) and self.stop is not None and not self.stop.triggering


class ViolationError(Exception):
    """A property of safety does not hold."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One way on. ``fault``: it took something to go wrong, or an order of the operator."""

    label: str
    world: World
    fault: bool
    event: ev.Event | None
    commands: tuple[do.Command, ...] = field(default=())


def intent(qty: int, stages: int = 0) -> ev.Intent:
    parts = tuple(ev.Stage(ONE, Decimal(100 + n)) for n in range(stages))
    return ev.Intent("d", 1, Decimal(qty), Decimal(90), Decimal(110), 0, parts)


def start(*, faults: int, entries: int = 1, qty: int = 2, min_qty: int = 1, max_qty: int = 9, stages: int = 0) -> World:
    """The first world. An entry of ``qty`` 1 is filled at once, one of 2 may be filled in part; so many ``stages`` of 1
    lie on the way to its target."""
    limits = Limits(Decimal(min_qty), Decimal(max_qty), stop_tries=2, target_tries=1)
    return World(Bracket(limits), faults, entries, qty, stages=stages)


# --- the machine's side ---------------------------------------------------------------------------------------------


_step = lru_cache(maxsize=None)(step)  # few machine states recur in many worlds


def tell(world: World, event: ev.Event) -> tuple[World, tuple[do.Command, ...]]:
    """Let the machine see ``event`` and put its commands on their way."""
    bracket, commands = _step(world.bracket, event)
    changes: dict[str, Any] = {"bracket": bracket}
    requests = list(world.requests)
    for command in commands:
        match command:
            case do.SubmitEntry(attempt=attempt):
                if world.executed == attempt or any(_entry_attempt(row.request) == attempt for row in requests):
                    raise ViolationError("an intent was sent twice")
                requests.append(Travelling(command))
            case do.SubmitStage():
                if world.stage or any(isinstance(row.request, do.SubmitStage) for row in requests):
                    raise ViolationError("two stages at once")
                requests.append(Travelling(command))
            case do.SubmitStop() | do.SubmitTarget() | do.SubmitExit():
                requests.append(Travelling(command))
            case do.QueryEntry():
                if not any(isinstance(row.request, do.QueryEntry) for row in requests):
                    requests.append(Travelling(command))
            case do.Cancel(leg=leg):
                if leg is Leg.STOP and world.position != 0 and not world.resting:
                    raise ViolationError("a stop is cancelled under a position")
                if Travelling(command, False) not in requests:
                    requests.append(Travelling(command, False))
            case do.ReadSnapshot():
                if changes.get("reading", world.reading) is not False and not isinstance(event, ev.Snapshot):
                    raise ViolationError("two reads at once")
                changes["reading"] = True
            case do.Journal():
                changes.update(journaling=True)
            case do.JournalExit(reason=reason):
                changes["journal_exit"] = reason
            case do.Release():
                stray = any(not isinstance(row.request, do.Cancel | do.QueryEntry) for row in world.requests)
                if world.position or world.resting or world.stop or world.target or world.stage or stray:
                    raise ViolationError("released with something open")
                changes.update(journal=None, journal_exit=None)
            case _:
                pass
    if len(requests) != len(world.requests):
        changes["requests"] = _ordered(requests)
    return world._replace(**changes), commands


def _ordered(rows: Iterable[Travelling]) -> tuple[Travelling, ...]:
    """Requests travel in no order."""
    return tuple(sorted(rows, key=lambda row: (type(row.request).__name__, row.request.attempt, row.waited)))


def _entry_attempt(request: Request) -> int:
    return request.attempt if isinstance(request, do.SubmitEntry) else 0


# --- the exchange's side --------------------------------------------------------------------------------------------


def push(world: World, *events: ev.Event) -> World:
    return world._replace(stream=world.stream + events) if world.connected else world


def _with(world: World, leg: Leg, algo: Algo | None) -> World:
    return world._replace(stop=algo) if leg is Leg.STOP else world._replace(target=algo)


def move(world: World, position: Decimal, *after: ev.Event) -> World:
    """The position becomes ``position``; when flat, closePosition orders expire."""
    if position < 0:
        raise ViolationError("the position was reversed")
    world = push(world._replace(position=position), ev.PositionUpdate(position), *after)
    if position == 0:
        for leg, algo in ((Leg.STOP, world.stop), (Leg.TARGET, world.target)):
            if algo is not None:
                world = push(world, ev.AlgoUpdate(leg, algo.attempt, AlgoStatus.EXPIRED))
        world = world._replace(stop=None, target=None)
    return world


Answer = ev.SubmitAnswered | ev.QueryAnswered | None


def execute(world: World, request: Request) -> Iterator[tuple[str, bool, World, Answer]]:
    """What the exchange may do with ``request``: (label, fault, world, answer)."""
    match request:
        case do.SubmitEntry(attempt=attempt):
            yes = ev.SubmitAnswered(Leg.ENTRY, attempt, Outcome.ACCEPTED)
            no = replace(yes, outcome=Outcome.REJECTED)
            if world.closed:
                yield "refused", False, world, replace(no, refused=Refused.CLOSED)
                return
            qty = request.intent.qty
            booked = world._replace(executed=attempt)
            full = ev.OrderUpdate(Leg.ENTRY, attempt, OrderStatus.FILLED, qty)
            yield "filled", False, move(booked._replace(filled=qty), world.position + qty, full), yes
            part = ev.OrderUpdate(Leg.ENTRY, attempt, OrderStatus.PARTIAL, ONE)
            resting = booked._replace(filled=ONE, resting=qty - ONE)
            if qty > ONE:
                yield "partly filled", False, move(resting, world.position + ONE, part), yes
            yield "refused", True, world, no
        case do.SubmitStop(attempt=attempt) | do.SubmitTarget(attempt=attempt):
            leg = Leg.STOP if isinstance(request, do.SubmitStop) else Leg.TARGET
            yes = ev.SubmitAnswered(leg, attempt, Outcome.ACCEPTED)
            no = replace(yes, outcome=Outcome.REJECTED)
            standing = world.stop if leg is Leg.STOP else world.target
            if world.position == 0:
                yield "no position", False, world, replace(no, refused=Refused.NO_POSITION)
            elif standing is not None:
                yield "exists", False, world, replace(no, refused=Refused.EXISTS)
            else:
                placed = _with(world, leg, Algo(attempt))
                yield "placed", False, push(placed, ev.AlgoUpdate(leg, attempt, AlgoStatus.NEW)), yes
                for why in (Refused.OTHER, Refused.WOULD_TRIGGER, Refused.UNAVAILABLE):
                    yield why.value, True, world, replace(no, refused=why)
        case do.SubmitExit(attempt=attempt):
            yes = ev.SubmitAnswered(Leg.EXIT, attempt, Outcome.ACCEPTED)
            no = replace(yes, outcome=Outcome.REJECTED)
            if world.position == 0:
                yield "reduce only", False, world, replace(no, refused=Refused.REDUCE_ONLY)
            elif world.closed:
                yield "closed", False, world, replace(no, refused=Refused.CLOSED)
            else:
                left = max(world.position - request.qty, ZERO)
                done = ev.OrderUpdate(Leg.EXIT, attempt, OrderStatus.FILLED)
                yield "filled", False, move(world, left, done), yes
                if request.qty > ONE and world.position > ONE:
                    rest = ev.OrderUpdate(Leg.EXIT, attempt, OrderStatus.EXPIRED)
                    yield "partly filled", True, move(world, world.position - ONE, rest), yes
                yield "band", True, world, replace(no, refused=Refused.PRICE_BAND)
        case do.SubmitStage():
            yield from _stage(world, request)
        case do.Cancel(leg=leg, attempt=attempt):
            yield "cancelled", False, _cancelled(world, leg, attempt), None
        case do.QueryEntry(attempt=attempt):
            absent = ev.QueryAnswered(attempt, None)
            if world.executed != attempt:
                yield "not found", False, world, absent
                return
            status = OrderStatus.PARTIAL if world.resting else OrderStatus.FILLED
            yield "found", False, world, ev.QueryAnswered(attempt, status, world.filled)
            yield "lagging", True, world, absent


def _cancelled(world: World, leg: Leg, attempt: int) -> World:
    if leg is Leg.STAGE and world.stage == attempt:
        return push(world._replace(stage=0), ev.OrderUpdate(leg, attempt, OrderStatus.CANCELED))
    if leg is Leg.ENTRY and world.resting and attempt == world.executed:
        over = ev.OrderUpdate(Leg.ENTRY, attempt, OrderStatus.CANCELED, world.filled)
        return push(world._replace(resting=ZERO), over)
    for kind, algo in ((Leg.STOP, world.stop), (Leg.TARGET, world.target)):
        if leg is kind and algo is not None and algo.attempt == attempt:
            return push(_with(world, leg, None), ev.AlgoUpdate(leg, attempt, AlgoStatus.CANCELED))
    return world


def _stage(world: World, request: do.SubmitStage) -> Iterator[tuple[str, bool, World, Answer]]:
    yes = ev.SubmitAnswered(Leg.STAGE, request.attempt, Outcome.ACCEPTED)
    no = replace(yes, outcome=Outcome.REJECTED)
    if world.position == 0:
        yield "reduce only", False, world, replace(no, refused=Refused.REDUCE_ONLY)
    elif world.closed:
        yield "closed", False, world, replace(no, refused=Refused.CLOSED)
    else:
        told = ev.OrderUpdate(Leg.STAGE, request.attempt, OrderStatus.NEW)
        yield "rests", False, push(world._replace(stage=request.attempt), told), yes
        yield "refused", True, world, no


def listing(world: World) -> ev.Snapshot:
    rows = [ev.Listed(Leg.ENTRY, world.executed)] if world.resting else []
    if world.stage:
        rows.append(ev.Listed(Leg.STAGE, world.stage))
    for leg, algo in ((Leg.STOP, world.stop), (Leg.TARGET, world.target)):
        if algo is not None and not algo.triggering:
            rows.append(ev.Listed(leg, algo.attempt))
    return ev.Snapshot(world.position, tuple(rows))


# --- every way on ---------------------------------------------------------------------------------------------------


def successors(world: World, only: str = "") -> Iterator[Edge]:
    """Every next world, in canonical form. Faults while the budget lasts, of labels that hold a part of ``only``."""
    kinds = only.split(",")
    for label, fault, after, event in _moves(world):
        if fault and (world.faults == 0 or not any(kind in label for kind in kinds)):
            continue
        if fault:
            after = after._replace(faults=after.faults - 1)  # noqa: PLW2901 - the budget is part of the move
        if event is None:
            yield Edge(label, canonical(after), fault, None)
        else:
            told, commands = tell(after, event)
            yield Edge(label, canonical(told), fault, event, commands)


Move = tuple[str, bool, World, ev.Event | None]


def _moves(world: World) -> Iterator[Move]:
    yield from _request_moves(world)
    yield from _message_moves(world)
    yield from _market_moves(world)
    yield from _timer_moves(world)
    yield from _outside_moves(world)


def _request_moves(world: World) -> Iterator[Move]:
    for i, row in enumerate(world.requests):
        name = type(row.request).__name__
        rest = world._replace(requests=world.requests[:i] + world.requests[i + 1 :])
        for label, fault, after, answer in execute(rest, row.request):
            if isinstance(answer, ev.QueryAnswered):
                if row.waited:
                    yield f"{name}: {label}", fault, after, answer
            elif row.waited and answer is not None:
                yield f"{name}: {label}", fault, after._replace(answers=after.answers + (answer,)), None
                if not fault:
                    lost = ev.SubmitAnswered(answer.leg, answer.attempt, Outcome.UNKNOWN)
                    yield f"{name}: {label}, answer lost", True, after._replace(answers=after.answers + (lost,)), None
            elif not fault:
                yield f"{name}: {label}, nobody waits", False, after, None
        if row.waited and isinstance(row.request, Order):
            stray = rest._replace(requests=_ordered((*rest.requests, Travelling(row.request, False))))
            yield (
                f"{name}: timeout",
                True,
                stray,
                ev.SubmitAnswered(_leg(row.request), row.request.attempt, Outcome.UNKNOWN),
            )
        if not row.waited:
            yield f"{name}: never arrives", isinstance(row.request, do.Cancel), rest, None


def _leg(request: Request) -> Leg:
    match request:
        case do.SubmitStop():
            return Leg.STOP
        case do.SubmitTarget():
            return Leg.TARGET
        case do.SubmitExit():
            return Leg.EXIT
        case do.SubmitStage():
            return Leg.STAGE
        case _:
            return Leg.ENTRY


def _message_moves(world: World) -> Iterator[Move]:
    for i, answer in enumerate(world.answers):
        rest = world._replace(answers=world.answers[:i] + world.answers[i + 1 :])
        yield "answer", False, rest, answer
    for i, event in enumerate(world.stream):
        rest = world._replace(stream=world.stream[:i] + world.stream[i + 1 :])
        yield "stream", i > 0, rest, event
        yield "twice", True, world, event
    if world.reading is True:
        yield "read served", False, world._replace(reading=listing(world)), None
        yield "read lagging", True, world._replace(reading=ev.Snapshot(world.position)), None
        yield "read failed", True, world._replace(reading=ev.Snapshot(None)), None
    elif isinstance(world.reading, ev.Snapshot):
        yield "read", False, world._replace(reading=False), world.reading
    if world.journaling:
        done = world._replace(journaling=False)
        yield "journaled", False, done._replace(journal=world.bracket.intent), ev.JournalAnswered(True)
        yield "disk full", True, done, ev.JournalAnswered(False)


def _market_moves(world: World) -> Iterator[Move]:
    meanwhile = not world.idle
    if world.resting:
        full = world.filled + world.resting
        told = ev.OrderUpdate(Leg.ENTRY, world.executed, OrderStatus.FILLED, full)
        moved = move(world._replace(filled=full, resting=ZERO), world.position + world.resting, told)
        yield "rest filled", meanwhile, moved, None
        over = ev.OrderUpdate(Leg.ENTRY, world.executed, OrderStatus.EXPIRED, world.filled)
        yield "rest expired", meanwhile, push(world._replace(resting=ZERO), over), None
    if world.stage and not world.closed:
        gone = world._replace(stage=0)
        if world.position:
            told = ev.OrderUpdate(Leg.STAGE, world.stage, OrderStatus.FILLED, ONE)
            yield "stage filled", meanwhile, move(gone, world.position - ONE, told), None
        else:  # met without a position a reduce-only order expires
            told = ev.OrderUpdate(Leg.STAGE, world.stage, OrderStatus.EXPIRED)
            yield "stage expired", meanwhile, push(gone, told), None
    for leg, algo in ((Leg.STOP, world.stop), (Leg.TARGET, world.target)):
        if algo is None or world.closed:
            continue
        if not algo.triggering:
            hit = _with(world, leg, Algo(algo.attempt, True))
            yield f"{leg} hit", meanwhile, push(hit, ev.AlgoUpdate(leg, algo.attempt, AlgoStatus.TRIGGERING)), None
            continue
        gone = _with(world, leg, None)
        filled = ev.OrderUpdate(leg, algo.attempt, OrderStatus.FILLED, world.position)
        finished = ev.AlgoUpdate(leg, algo.attempt, AlgoStatus.FINISHED)
        yield f"{leg} filled", meanwhile, move(gone, ZERO, filled, finished), None
        yield f"{leg} rejected", True, push(gone, ev.AlgoUpdate(leg, algo.attempt, AlgoStatus.REJECTED)), None
        if world.position > ONE:
            yield f"{leg} partly filled", True, move(gone, world.position - ONE, finished), None
    if world.closed:
        yield "market opens", False, world._replace(closed=False), ev.MarketStatus(True)
    else:
        yield "market closes", True, world._replace(closed=True), None


_TIMER = {timer: f"timer {timer}" for timer in Timer}
# Timers that measure when a request can no longer arrive; the others may fire late or early against the traffic.
_AFTER_TRAFFIC = frozenset({Timer.WINDOW, Timer.WATCH})


def _timer_moves(world: World) -> Iterator[Move]:
    for timer in sorted(world.bracket.timers):
        if world.idle:
            yield _TIMER[timer], False, world, ev.TimerFired(timer)
        elif timer not in _AFTER_TRAFFIC or not world.requests:
            yield _TIMER[timer] + " overtakes", True, world, ev.TimerFired(timer)


def _outside_moves(world: World) -> Iterator[Move]:
    if world.entries:
        asked = world._replace(entries=world.entries - 1)
        yield "entry requested", False, asked, ev.EntryRequested(intent(world.qty, world.stages))
    if not world.connected:
        yield "reconnect", False, world._replace(connected=True), ev.ReadDue()
    if not world.faults:
        return  # what follows would be built for nothing
    if world.connected:
        yield "disconnect", True, world._replace(connected=False, stream=()), None
    yield "reconcile", True, world, ev.ReadDue()
    yield "close", True, world, ev.CloseRequested("operator")
    if world.bracket.latch is Latch.RUNNING:
        yield "halt", True, world, ev.LatchChanged(Latch.HALTED)
        yield "flatten", True, world, ev.LatchChanged(Latch.FLATTENING)
    if world.position and not (world.closed or (world.stop and world.stop.triggering)):
        yield "closed by hand", True, move(world, ZERO), None
        yield "liquidated", True, move(world, ZERO), ev.ForeignFill(ev.ForeignKind.LIQUIDATION)
        yield "mark beyond stop", True, world, ev.MarkBeyondStop(True)
    if world.stop is not None and not world.stop.triggering:
        told = ev.AlgoUpdate(Leg.STOP, world.stop.attempt, AlgoStatus.CANCELED)
        yield "stop cancelled by hand", True, push(world._replace(stop=None), told), None
    yield "crash", True, *_crash(world)


def _crash(world: World) -> tuple[World, ev.Event]:
    """The process dies and starts: what is left is the exchange, the journal, and requests on their way."""
    strays = _ordered(Travelling(row.request, False) for row in world.requests)
    after = world._replace(requests=strays, answers=(), stream=(), reading=False, journaling=False, connected=True)
    bracket = world.bracket
    restart = ev.Restarted(
        intent=world.journal,
        entry_attempt=bracket.entry.attempt,
        attempt_base=max(_attempts(world)),
        latch=bracket.latch,
        exit_reason=world.journal_exit,
    )
    return after, restart


# --- canonical form -------------------------------------------------------------------------------------------------


def _attempts(world: World) -> set[int]:
    b = world.bracket
    found = {0, b.entry.attempt, b.exit.attempt, b.stage.attempt, b.stage.standing, world.executed, world.stage}
    for leg in (b.stop, b.target):
        found.update((leg.attempt, leg.standing, leg.ended))
    found.update(algo.attempt for algo in (world.stop, world.target) if algo is not None)
    found.update(row.request.attempt for row in world.requests)
    found.update(answer.attempt for answer in world.answers)
    found.update(getattr(event, "attempt", 0) for event in world.stream)
    if isinstance(world.reading, ev.Snapshot):
        found.update(row.attempt for row in world.reading.listed)
    return found


def canonical(world: World) -> World:
    """The same world with attempts numbered without gaps and reasons forgotten: behaviour hangs on neither."""
    b = world.bracket
    if b.exit_reason not in (None, "x"):
        b = replace(b, exit_reason="x")
        world = world._replace(bracket=b)
    if world.journal_exit not in (None, "x"):
        world = world._replace(journal_exit="x")
    found = sorted(_attempts(world))
    if found[-1] == len(found) - 1:
        return world
    to = {attempt: rank for rank, attempt in enumerate(found)}

    def moved(thing: Any) -> Any:
        return replace(thing, attempt=to[thing.attempt]) if hasattr(thing, "attempt") else thing

    def leg(now: AlgoLeg) -> AlgoLeg:
        return replace(now, attempt=to[now.attempt], standing=to[now.standing], ended=to[now.ended])

    reading = world.reading
    if isinstance(reading, ev.Snapshot):
        reading = replace(reading, listed=tuple(moved(row) for row in reading.listed))
    return world._replace(
        bracket=replace(
            b,
            entry=moved(b.entry),
            exit=moved(b.exit),
            stop=leg(b.stop),
            target=leg(b.target),
            stage=replace(b.stage, attempt=to[b.stage.attempt], standing=to[b.stage.standing]),
        ),
        stage=to[world.stage],
        executed=to[world.executed],
        stop=moved(world.stop) if world.stop is not None else None,
        target=moved(world.target) if world.target is not None else None,
        requests=_ordered(Travelling(moved(row.request), row.waited) for row in world.requests),
        answers=tuple(moved(answer) for answer in world.answers),
        stream=tuple(moved(event) for event in world.stream),
        reading=reading,
    )
