"""What the state machine wants done: values, carried out by the shell in the order given.

Each submit command gets exactly one ``SubmitAnswered``, ``ReadSnapshot`` exactly one ``Snapshot``, ``Journal`` exactly
one ``JournalAnswered``; the shell has its own time-outs to keep that promise, and no retries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from services.execution.core.events import Intent, Latch, Leg, Timer

# Milliseconds at 1x; settings may replace them. HOLD is absent: it is due at the intent's own instant.
DELAY_MS: Mapping[Timer, int] = MappingProxyType(
    {
        Timer.LIFE: 5_000,
        Timer.ACK: 1_500,
        Timer.NAKED: 1_000,
        Timer.RETRY: 100,
        Timer.TARGET: 250,
        Timer.LIST: 5_000,
        Timer.TOUCH: 1_000,
        Timer.EXIT: 1_000,
        Timer.READ: 2_000,
        Timer.WINDOW: 11_000,
        Timer.WATCH: 600_000,
    }
)
SLOW_MS: Mapping[Timer, int] = MappingProxyType(
    {Timer.RETRY: 5_000, Timer.TARGET: 5_000, Timer.EXIT: 5_000, Timer.READ: 10_000}
)


@dataclass(frozen=True, slots=True)
class Journal:
    """Write the intent with its entry, stop and target attempts and sync it; answer when it is on disk."""

    intent: Intent
    entry_attempt: int


@dataclass(frozen=True, slots=True)
class JournalExit:
    """Note that this bracket is to be closed, and why. Nothing waits for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class SubmitEntry:
    """POST the MARKET entry once; the client's own retries are off."""

    intent: Intent
    attempt: int


@dataclass(frozen=True, slots=True)
class SubmitStop:
    """POST a closePosition STOP_MARKET on the mark that closes a position of ``direction``.

    ``trigger`` None: a position without a plan, the shell takes the adoption distance of the settings.
    """

    attempt: int
    direction: int
    trigger: Decimal | None


@dataclass(frozen=True, slots=True)
class SubmitTarget:
    """POST a closePosition TAKE_PROFIT_MARKET on the mark."""

    attempt: int
    direction: int
    trigger: Decimal


@dataclass(frozen=True, slots=True)
class SubmitStage:
    """POST a reduce-only LIMIT, good till cancelled, of a part of a position of ``direction``."""

    attempt: int
    direction: int
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class SubmitExit:
    """POST a reduce-only order against a position of ``direction``: MARKET, or LIMIT IOC at the band's edge."""

    attempt: int
    direction: int
    qty: Decimal
    at_band_edge: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an order of ours, by its id and at the endpoint of its leg. The answer is not needed: a read follows."""

    leg: Leg
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelRegular:
    """Cancel every regular order of the symbol, whoever placed it; conditional ones stay. No answer is needed."""


@dataclass(frozen=True, slots=True)
class QueryEntry:
    """Ask for the entry and for its trades. No answer is owed: it is asked again."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """Read position, open orders and open algo orders."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Fire ``TimerFired`` after ``delay_ms``; None for HOLD: at the intent's ``due_ts_ms``, at once when it has passed.

    A timer that is no longer in ``Bracket.timers`` may be forgotten; firing it does nothing.
    """

    timer: Timer
    delay_ms: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell the operator."""

    code: str


@dataclass(frozen=True, slots=True)
class Trip:
    """Ask the kill-switch to move, with a risk event. It comes back as ``LatchChanged``, to every symbol."""

    latch: Latch
    code: str


@dataclass(frozen=True, slots=True)
class Lapse:
    """The entry is not sent, with every reason."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """The symbol is taken: no other entry, its exposure counts as filled."""


@dataclass(frozen=True, slots=True)
class Release:
    """The symbol is free again; the journal closes the intent."""


Command = (
    Journal
    | JournalExit
    | SubmitEntry
    | SubmitStop
    | SubmitTarget
    | SubmitStage
    | SubmitExit
    | Cancel
    | CancelRegular
    | QueryEntry
    | ReadSnapshot
    | Arm
    | Alert
    | Trip
    | Lapse
    | Lock
    | Release
)
