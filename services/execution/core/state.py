"""The state of one symbol's position life: frozen values, hashable, with their one-word phase (see ``bracket``)."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from services.execution.core import events as ev
from services.execution.core.events import ZERO, Latch, Timer


class Phase(StrEnum):
    """What the symbol is doing, in one word; derived from the state, never stored."""

    FLAT = "flat"
    RECOVERING = "recovering"  # after a restart, before the first clean snapshot
    JOURNALING = "journaling"
    ENTERING = "entering"  # the entry is on the wire or working
    UNKNOWN = "unknown"  # the entry's outcome is unknown: locked and watched
    PROTECTING = "protecting"  # a position, and no stop is known to stand
    PROTECTED = "protected"
    EXITING = "exiting"
    CANNOT_EXIT = "cannot_exit"  # the market is closed; the stop stays, attempts go on (rule 13)
    DUST = "dust"  # to be closed, but below the lot: its stop closes any size
    SETTLING = "settling"  # no position left: proving it, sweeping what stands


class EntryState(StrEnum):
    NONE = "none"
    JOURNALING = "journaling"
    SENT = "sent"
    UNKNOWN = "unknown"
    LIVE = "live"
    DONE = "done"


class AlgoState(StrEnum):
    NONE = "none"
    LISTING = "listing"  # -4130: one exists, a snapshot must show that it is ours (rule 7)
    LIVE = "live"
    TRIGGERED = "triggered"  # triggering, or its child is in the engine
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the symbol: quantities in base units. Of the machine: how often a leg is tried before the bound decides."""

    market_min_qty: Decimal
    market_max_qty: Decimal
    stop_tries: int = 8
    target_tries: int = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """``ruled_out``: all that rule 2 asks for "it does not exist" was seen at once."""

    state: EntryState = EntryState.NONE
    attempt: int = 0
    filled: Decimal = ZERO
    ruled_out: bool = False


@dataclass(frozen=True, slots=True)
class AlgoLeg:
    """Stop or target. ``waiting``: an answer is owed. ``standing``: the attempt accepted and not known to have ended,
    0 none. ``ended``: the highest attempt known to be over; what is told of it, or of a lower one, is old news."""

    state: AlgoState = AlgoState.NONE
    attempt: int = 0
    waiting: bool = False
    standing: int = 0
    ended: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ExitLeg:
    """The last reduce-only order. ``working``: accepted, its end not yet told. ``paced``: refused in a way that the
    next one would be too, so that it waits for its time also when the position was read. ``refused``: the last answer
    was "nothing to reduce"."""

    attempt: int = 0
    waiting: bool = False
    working: bool = False
    at_band_edge: bool = False
    paced: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class StageLeg:
    """The reduce-only LIMIT of a part. ``placed``: how many of the plan's stages have had their one attempt.
    ``standing``: the attempt that rests as far as we know, 0 none. ``missing``: the last list did not show it."""

    attempt: int = 0
    waiting: bool = False
    standing: int = 0
    placed: int = 0
    missing: bool = False


class Reading(StrEnum):
    """A snapshot in flight: none, one that still counts, one that something overtook (rule 16)."""

    NONE = "none"
    CLEAN = "clean"
    DIRTY = "dirty"


@dataclass(frozen=True, slots=True)
class Bracket:
    """The state. ``intent`` is the plan of the present life, ``locked`` spans it; a position without one is adopted."""

    limits: Limits
    intent: ev.Intent | None = None
    locked: bool = False
    recovering: bool = False
    entry: Entry = Entry()
    stop: AlgoLeg = AlgoLeg()
    target: AlgoLeg = AlgoLeg()
    exit: ExitLeg = ExitLeg()
    stage: StageLeg = StageLeg()
    exposed: bool = False
    position: Decimal = ZERO  # the last one told; signed
    exit_reason: str | None = None
    market_closed: bool = False
    latch: Latch = Latch.RUNNING
    zeros: int = 0  # agreeing zero reads, at most two
    reading: Reading = Reading.NONE
    timers: frozenset[Timer] = field(default_factory=frozenset)

    @property
    def wants_exit(self) -> bool:
        return self.exit_reason is not None or self.latch is Latch.FLATTENING

    @property
    def direction(self) -> int:
        """+1 long, -1 short: of the position told, else of the plan; 0 when neither says."""
        if self.position != 0:
            return 1 if self.position > 0 else -1
        return self.intent.direction if self.intent is not None else 0

    @property
    def dust(self) -> bool:
        return self.position != 0 and abs(self.position) < self.limits.market_min_qty

    @property
    def phase(self) -> Phase:
        if self.recovering:
            return Phase.RECOVERING
        if self.exposed:
            return self._exposed_phase()
        if not self.locked:
            return Phase.FLAT
        return {
            EntryState.JOURNALING: Phase.JOURNALING,
            EntryState.SENT: Phase.ENTERING,
            EntryState.LIVE: Phase.ENTERING,
            EntryState.UNKNOWN: Phase.UNKNOWN,
        }.get(self.entry.state, Phase.SETTLING)

    def _exposed_phase(self) -> Phase:
        protected = self.stop.state is AlgoState.LIVE
        if self.wants_exit and self.dust and protected:
            return Phase.DUST
        if self.wants_exit:
            return Phase.CANNOT_EXIT if self.market_closed else Phase.EXITING
        return Phase.PROTECTED if protected else Phase.PROTECTING
