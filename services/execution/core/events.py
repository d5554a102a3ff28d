"""What can happen to one symbol: the events the state machine folds. The shell translates the wire into these.

An order of ours is named by (leg, attempt). Attempts grow for ever, over brackets and restarts (the base is raised at
each start), so that a late report of an old bracket can never be taken for one of the present one. Quantities are
``Decimal`` in base units; a position is signed, plus is long.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from packages.common.errors import InvalidInputError

ZERO = Decimal(0)


class Leg(StrEnum):
    """Whose order it is. The child of a triggered algo order is reported under its parent's leg."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"
    STAGE = "stage"


class Timer(StrEnum):
    """One alarm of each kind per symbol; arming it again moves it. Durations: ``commands.DELAY_MS``."""

    LIFE = "life"  # the intent is too old to be sent (rule 4)
    ACK = "ack"  # no answer to the entry: its outcome is unknown
    NAKED = "naked"  # bound of the naked interval (rule 6)
    RETRY = "retry"  # next try of the stop
    TARGET = "target"  # next try of the target
    LIST = "list"  # an existing closePosition order must be listed by now (rule 7)
    TOUCH = "touch"  # the mark has been beyond the stop for long enough (rule 8)
    EXIT = "exit"  # next try of the exit
    READ = "read"  # next snapshot; two of them are at least this far apart (rules 12, 16)
    WINDOW = "window"  # no request of unknown outcome can be executed any more: recvWindow + 1 s (rule 2)
    WATCH = "watch"  # end of the ghost watch (rule 2)
    HOLD = "hold"  # the bracket's time exit; due at the intent's own instant


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Refused(StrEnum):
    """Why the exchange said no, as far as it matters here. Codes of the reference §2.7, §7.4."""

    OTHER = "other"
    UNAVAILABLE = "unavailable"  # surely not executed: limits, maintenance; may be tried again
    NO_POSITION = "no_position"  # -4509
    EXISTS = "exists"  # -4130
    WOULD_TRIGGER = "would_trigger"  # -2021, -4142
    REDUCE_ONLY = "reduce_only"  # -2022, -4118
    PRICE_BAND = "price_band"  # -4131, or expired with ``er`` 9
    CLOSED = "closed"  # market halted or settling: -4140, -4141
    TOO_SMALL = "too_small"  # below the lot: dust


class OrderStatus(StrEnum):
    NEW = "new"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class AlgoStatus(StrEnum):
    NEW = "new"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Latch(StrEnum):
    """The kill-switch as one symbol sees it (D24); FLAT is FLATTENING with every symbol flat."""

    RUNNING = "running"
    HALTED = "halted"
    FLATTENING = "flattening"


class ForeignKind(StrEnum):
    """Fills and orders nobody here asked for (§5.2: ``autoclose-``, ``adl_autoclose``, ``settlement_autoclose-``)."""

    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a position, in base units, that is offered at a price on the way to its target."""

    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Intent:
    """An approved bracket. ``direction`` +1 long, -1 short; triggers on the mark; ``due_ts_ms`` is the time exit.
    ``stages``: in the order in which the price meets them.

    Raises ``InvalidInputError`` when a figure is not finite and positive, when stop and target are on wrong sides, or a
    stage is not between them, or all of them leave nothing to the target.
    """

    decision_id: str
    direction: int
    qty: Decimal
    stop_price: Decimal
    target_price: Decimal
    due_ts_ms: int
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise InvalidInputError("direction", self.direction, "1 or -1")
        for name, value in (("qty", self.qty), ("stop_price", self.stop_price), ("target_price", self.target_price)):
            if not value.is_finite() or value <= 0:
                raise InvalidInputError(name, value, "a finite number above 0")
        if (self.target_price - self.stop_price) * self.direction <= 0:
            raise InvalidInputError("stop_price", self.stop_price, "on the losing side of the target")
        low, high = sorted((self.stop_price, self.target_price))
        for stage in self.stages:
            if not stage.qty.is_finite() or stage.qty <= 0:
                raise InvalidInputError("stages.qty", stage.qty, "a finite number above 0")
            if not low < stage.price < high:
                raise InvalidInputError("stages.price", stage.price, "between stop and target")
        if sum((stage.qty for stage in self.stages), ZERO) >= self.qty:
            raise InvalidInputError("stages.qty", self.stages, f"less than {self.qty} in all")


@dataclass(frozen=True, slots=True)
class EntryRequested:
    """Policy and risk want this bracket. ``unmet``: reason codes of checks outside the machine's sight that failed
    (lease checked within 2 s, age, spread, gap of last and mark, canary, runaway guard: rules 4, 18, 21, D44)."""

    intent: Intent
    unmet: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalAnswered:
    """The intent is on disk (``ok``), or cannot be written: then nothing is sent (rule 14)."""

    ok: bool


@dataclass(frozen=True, slots=True)
class SubmitAnswered:
    """The one answer each submit command gets, from the exchange or from the client's own timeout."""

    leg: Leg
    attempt: int
    outcome: Outcome
    refused: Refused = Refused.OTHER
    filled: Decimal = ZERO  # cumulative, when the answer says so
    done: bool = False  # accepted and already over


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """ORDER_TRADE_UPDATE or TRADE_LITE of an order of ours, or of the child of a stop or target."""

    leg: Leg
    attempt: int
    status: OrderStatus
    filled: Decimal = ZERO  # cumulative


@dataclass(frozen=True, slots=True)
class AlgoUpdate:
    """ALGO_UPDATE of our stop or target."""

    leg: Leg
    attempt: int
    status: AlgoStatus


@dataclass(frozen=True, slots=True)
class PositionUpdate:
    """ACCOUNT_UPDATE. A sign, not a proof: it may be late or repeated."""

    position: Decimal


@dataclass(frozen=True, slots=True)
class QueryAnswered:
    """GET of the entry. ``status`` None: not found (-2013). ``traded``: userTrades knows the order all the same."""

    attempt: int
    status: OrderStatus | None
    filled: Decimal = ZERO
    traded: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """An open order in a snapshot. ``matches``: a closePosition order with the plan's trigger, side, working type."""

    leg: Leg
    attempt: int
    matches: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Position, open orders and open algo orders, read together by REST. None: the read failed."""

    position: Decimal | None
    listed: tuple[Listed, ...] = ()
    foreign: bool = False  # an order that carries no tag, or a foreign one


@dataclass(frozen=True, slots=True)
class TimerFired:
    timer: Timer


@dataclass(frozen=True, slots=True)
class ReadDue:
    """A reconnect, or the periodic reconciliation: read a snapshot (rules 15, 16)."""


@dataclass(frozen=True, slots=True)
class MarkBeyondStop:
    """The mark is past the stop's trigger by max(2 ticks, 0.1 %), or (False) no longer (rule 8)."""

    beyond: bool


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The operator's or the agent's close (rule 10)."""

    reason: str


@dataclass(frozen=True, slots=True)
class LatchChanged:
    """The kill-switch moved: halt, flatten, or running again."""

    latch: Latch


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The symbol's status changed."""

    trading: bool


@dataclass(frozen=True, slots=True)
class ForeignFill:
    """A fill on this symbol by an order that is not ours."""

    kind: ForeignKind


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process began anew: all that is known is the journal. ``attempt_base`` lies above every number ever used.

    ``intent`` is the one not yet released, if any: nobody knows whether it was sent, and it never will be again.
    """

    intent: Intent | None
    entry_attempt: int
    attempt_base: int
    latch: Latch
    exit_reason: str | None = None


Event = (
    EntryRequested
    | JournalAnswered
    | SubmitAnswered
    | OrderUpdate
    | AlgoUpdate
    | PositionUpdate
    | QueryAnswered
    | Snapshot
    | TimerFired
    | ReadDue
    | MarkBeyondStop
    | CloseRequested
    | LatchChanged
    | MarketStatus
    | ForeignFill
    | Restarted
)
