"""One symbol's position life as a pure machine: ``step(state, event) -> (state, commands)`` (execution.md 1-13).

It works in two halves. ``_observe`` writes into the state what an event tells and nothing else. ``_act`` looks at the
state alone and issues whatever is missing: a stop under an exposure, an exit that is due, a read where belief is not
proof. So no rule hangs on the order in which events come, every event is answered in every state, and doing the right
thing after a restart is the same code as doing it the first time.

Beliefs err towards exposure. Any sign of a position (a fill, a position update, an accepted closePosition stop) makes
the symbol exposed; only a clean snapshot that reads zero takes it back, and only two of them, a read interval apart,
with nothing in flight, free the symbol. A snapshot is clean when nothing happened between its request and its answer.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any, assert_never

from packages.common.errors import InvalidInputError
from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.events import ZERO, AlgoStatus, Latch, Leg, OrderStatus, Outcome, Refused, Timer
from services.execution.core.state import (
    AlgoLeg,
    AlgoState,
    Bracket,
    Entry,
    EntryState,
    ExitLeg,
    Phase,
    Reading,
    StageLeg,
)


def step(state: Bracket, event: ev.Event) -> tuple[Bracket, tuple[do.Command, ...]]:
    """Fold one event. Total: no state and event raise; what does not concern the state leaves it as it was.

    Raises ``InvalidInputError`` for a quantity or position that is not finite, which no exchange sends.
    """
    turn = _Turn(state)
    turn.observe(event)
    turn.act()
    return turn.s, tuple(turn.out)


_TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED})
_ALGO_ENDED = frozenset({AlgoStatus.FINISHED, AlgoStatus.CANCELED, AlgoStatus.EXPIRED, AlgoStatus.REJECTED})
_SENT_STATES = frozenset({EntryState.SENT, EntryState.UNKNOWN, EntryState.LIVE})


def _finite(name: str, value: Decimal) -> Decimal:
    if not value.is_finite():
        raise InvalidInputError(name, value, "a finite number")
    return value


class _Turn:
    """One step under way: the state so far and the commands so far."""

    def __init__(self, state: Bracket) -> None:
        self.s = state
        self.out: list[do.Command] = []

    # --- small tools ------------------------------------------------------------------------------------------------

    def set(self, **changes: Any) -> None:
        self.s = replace(self.s, **changes)

    def arm(self, timer: Timer, *, slow: bool = False) -> None:
        delay_ms = do.SLOW_MS[timer] if slow else do.DELAY_MS.get(timer)
        self.out.append(do.Arm(timer, delay_ms))
        self.set(timers=self.s.timers | {timer})

    def disarm(self, *timers: Timer) -> None:
        if not self.s.timers.isdisjoint(timers):
            self.set(timers=self.s.timers.difference(timers))

    def armed(self, timer: Timer) -> bool:
        return timer in self.s.timers

    def alert(self, code: str) -> None:
        self.out.append(do.Alert(code))

    def trip(self, latch: Latch, code: str) -> None:
        self.out.append(do.Trip(latch, code))

    def lock(self) -> None:
        if not self.s.locked:
            self.set(locked=True)
            self.out.append(do.Lock())

    def read(self) -> None:
        """Ask for a snapshot now; one in flight that something overtook is asked for again when it answers."""
        if self.s.reading is Reading.NONE:
            self.set(reading=Reading.CLEAN)
            self.out.append(do.ReadSnapshot())

    def overtake(self) -> None:
        """Something happened: a snapshot in flight may show the time before it."""
        if self.s.reading is Reading.CLEAN:
            self.set(reading=Reading.DIRTY)

    def expose(self) -> None:
        """A sign of a position: from here on the naked interval counts."""
        self.lock()
        if self.s.zeros:
            self.set(zeros=0)
        if not self.s.exposed:
            self.set(exposed=True)
            if self.s.intent is not None and not self.armed(Timer.HOLD):
                self.out.append(do.Arm(Timer.HOLD, None))
                self.set(timers=self.s.timers | {Timer.HOLD})

    def want_exit(self, reason: str) -> None:
        """Close the position. The first reason stays: it is why."""
        if self.s.exit_reason is None and self.s.locked:
            self.set(exit_reason=reason)
            self.out.append(do.JournalExit(reason))

    def cannot_protect(self, reason: str) -> None:
        """A position that cannot be protected: out at once, and the kill-switch flattens (rules 6, 9)."""
        if self.s.exit_reason is None:
            self.trip(Latch.FLATTENING, reason)
        self.want_exit(reason)

    def unknown_outcome(self) -> None:
        """A request may still be executed: nothing is released before its window has passed."""
        self.arm(Timer.WINDOW)

    # --- what an event tells ----------------------------------------------------------------------------------------

    def observe(self, event: ev.Event) -> None:
        match event:
            case ev.EntryRequested():
                self.entry_requested(event)
            case ev.JournalAnswered():
                self.journal_answered(event)
            case ev.SubmitAnswered():
                self.submit_answered(event)
            case ev.OrderUpdate():
                self.order_update(event)
            case ev.AlgoUpdate():
                self.algo_update(event)
            case ev.PositionUpdate():
                self.position_update(event)
            case ev.QueryAnswered():
                self.query_answered(event)
            case ev.Snapshot():
                self.snapshot(event)
            case ev.TimerFired():
                self.timer_fired(event.timer)
            case ev.ReadDue():
                self.overtake()
                self.read()
            case ev.MarkBeyondStop():
                self.mark_beyond_stop(event.beyond)
            case ev.CloseRequested():
                self.want_exit(event.reason)
            case ev.LatchChanged():
                self.set(latch=event.latch)
            case ev.MarketStatus():
                self.set(market_closed=not event.trading)
                if event.trading:
                    self.disarm(Timer.EXIT)
            case ev.ForeignFill():
                self.foreign_fill(event.kind)
            case ev.Restarted():
                self.restarted(event)
            case _:
                assert_never(event)

    def entry_requested(self, event: ev.EntryRequested) -> None:
        """Rule 4: every reason against, or the journal first. FLAT is itself the proof that nothing is open: it is
        reached only over two zero reads, nothing in flight and nothing listed."""
        s = self.s
        reasons = list(event.unmet)
        if s.phase is not Phase.FLAT:
            reasons.append("SYMBOL_LOCKED")
        if s.latch is not Latch.RUNNING:
            reasons.append("KILL_SWITCH")
        if s.market_closed:
            reasons.append("SYMBOL_NOT_TRADABLE")
        if not _finite("qty", event.intent.qty) <= s.limits.market_max_qty:
            reasons.append("ABOVE_MARKET_LOT")
        if event.intent.qty < s.limits.market_min_qty:
            reasons.append("BELOW_MARKET_LOT")
        if reasons:
            self.out.append(do.Lapse(tuple(reasons)))
            return
        attempt = 1 + max(s.entry.attempt, s.stop.attempt, s.target.attempt, s.exit.attempt, s.stage.attempt)
        self.lock()
        self.set(
            intent=event.intent,
            entry=Entry(EntryState.JOURNALING, attempt),
            stop=AlgoLeg(attempt=s.stop.attempt, ended=s.stop.attempt),
            target=AlgoLeg(attempt=s.target.attempt, ended=s.target.attempt),
            exit=ExitLeg(attempt=s.exit.attempt),
            stage=StageLeg(attempt=s.stage.attempt),
            exit_reason=None,
            position=ZERO,
            zeros=0,
        )
        self.out.append(do.Journal(event.intent, attempt))
        self.arm(Timer.LIFE)

    def journal_answered(self, event: ev.JournalAnswered) -> None:
        s = self.s
        if s.entry.state is not EntryState.JOURNALING or s.intent is None:
            return
        if not event.ok:
            self.lapse("NO_JOURNAL")
        elif s.latch is not Latch.RUNNING:
            self.lapse("KILL_SWITCH")
        elif s.exposed or s.wants_exit or s.market_closed:
            self.lapse("SYMBOL_LOCKED")
        else:
            self.disarm(Timer.LIFE)
            self.overtake()
            self.set(entry=replace(s.entry, state=EntryState.SENT))
            self.out.append(do.SubmitEntry(s.intent, s.entry.attempt))
            self.arm(Timer.ACK)

    def lapse(self, reason: str) -> None:
        """The entry was never sent; the life ends as any other does."""
        self.disarm(Timer.LIFE)
        self.set(entry=replace(self.s.entry, state=EntryState.DONE))
        self.out.append(do.Lapse((reason,)))

    # --- the entry --------------------------------------------------------------------------------------------------

    def entry_state(self, state: EntryState) -> None:
        """Move the entry forward; what is done stays done, and what was never sent is not moved by hearsay."""
        old = self.s.entry.state
        if old not in _SENT_STATES or old is state:
            return
        self.disarm(Timer.ACK)
        if state is EntryState.UNKNOWN:
            self.unknown_outcome()
            self.arm(Timer.WATCH)
            self.out.append(do.QueryEntry(self.s.entry.attempt))
            self.alert("ENTRY_UNKNOWN")
        else:
            self.disarm(Timer.WATCH)
        self.set(entry=replace(self.s.entry, state=state, ruled_out=False))

    def entry_filled(self, filled: Decimal) -> None:
        if _finite("filled", filled) > self.s.entry.filled:
            self.set(entry=replace(self.s.entry, filled=filled))
            self.expose()

    def entry_told(self, status: OrderStatus, filled: Decimal) -> None:
        self.entry_filled(filled)
        self.entry_state(EntryState.DONE if status in _TERMINAL else EntryState.LIVE)

    def query_answered(self, event: ev.QueryAnswered) -> None:
        """Rule 2: "it does not exist" needs the window past, no trades, no position, and -2013, all at once."""
        s = self.s
        if event.attempt != s.entry.attempt or s.entry.state not in _SENT_STATES:
            return
        if event.status is not None:
            self.overtake()
            self.entry_told(event.status, event.filled)
        elif s.entry.state is EntryState.UNKNOWN:
            absent = not (self.armed(Timer.WINDOW) or event.traded or s.exposed or s.recovering) and s.zeros > 0
            self.set(entry=replace(s.entry, ruled_out=absent))

    # --- answers and stream -----------------------------------------------------------------------------------------

    def submit_answered(self, event: ev.SubmitAnswered) -> None:
        self.overtake()
        match event.leg:
            case Leg.ENTRY:
                if event.attempt == self.s.entry.attempt:
                    self.entry_answered(event)
            case Leg.EXIT:
                if event.attempt == self.s.exit.attempt and self.s.exit.waiting:
                    self.exit_answered(event)
            case Leg.STAGE:
                if event.attempt == self.s.stage.attempt and self.s.stage.waiting:
                    self.stage_answered(event)
            case Leg.STOP | Leg.TARGET:
                leg = self.leg(event.leg)
                if event.attempt == leg.attempt and leg.waiting:
                    self.set_leg(event.leg, waiting=False)
                    self.algo_answered(event)
            case _:
                assert_never(event.leg)

    def entry_answered(self, event: ev.SubmitAnswered) -> None:
        if event.outcome is Outcome.ACCEPTED:
            self.entry_told(OrderStatus.FILLED if event.done else OrderStatus.NEW, event.filled)
        elif self.s.entry.state is EntryState.SENT:
            if event.outcome is Outcome.UNKNOWN:
                self.entry_state(EntryState.UNKNOWN)
            else:
                if event.refused is Refused.UNAVAILABLE:  # it says nothing against this entry, and was not executed
                    self.out.append(do.Lapse(("UNAVAILABLE",)))
                else:
                    self.alert("ENTRY_REJECTED")
                self.entry_state(EntryState.DONE)
        elif self.s.entry.state is EntryState.UNKNOWN and event.outcome is Outcome.REJECTED:
            self.entry_state(EntryState.DONE)

    def order_update(self, event: ev.OrderUpdate) -> None:
        self.overtake()
        match event.leg:
            case Leg.ENTRY:
                if event.attempt == self.s.entry.attempt:
                    self.entry_told(event.status, event.filled)
            case Leg.EXIT:
                if event.attempt == self.s.exit.attempt and event.status in _TERMINAL:
                    edge = self.s.exit.at_band_edge or event.status is OrderStatus.EXPIRED
                    self.set(exit=replace(self.s.exit, working=False, at_band_edge=edge))
                    self.read()
            case Leg.STAGE:
                if event.attempt == self.s.stage.standing and event.status in _TERMINAL:
                    self.set(stage=replace(self.s.stage, standing=0, missing=False))
                    self.read()
            case Leg.STOP | Leg.TARGET:
                # the child of a triggered order; its parent's end may come before or after (incident 6)
                if event.attempt > self.leg(event.leg).ended:
                    self.triggered(event.leg, event.attempt)
                    if event.status in _TERMINAL:
                        self.algo_ended(event.leg, event.attempt)
                self.read()
            case _:
                assert_never(event.leg)

    def position_update(self, event: ev.PositionUpdate) -> None:
        self.overtake()
        before = self.s.position
        self.set(position=_finite("position", event.position))
        if event.position != 0:
            self.expose()
            if abs(event.position) < abs(before) and self.armed(Timer.TOUCH):
                self.arm(Timer.TOUCH)  # it shrinks: the stop is at work
        elif before != 0 or self.s.exposed:
            self.read()

    def foreign_fill(self, kind: ev.ForeignKind) -> None:
        self.overtake()
        match kind:
            case ev.ForeignKind.LIQUIDATION | ev.ForeignKind.ADL:
                self.trip(Latch.FLATTENING, kind.name)
            case ev.ForeignKind.MANUAL:
                self.trip(Latch.HALTED, kind.name)
            case ev.ForeignKind.SETTLEMENT:
                self.alert(kind.name)
            case _:
                assert_never(kind)
        self.lock()  # until snapshots have shown what it left
        self.read()

    # --- stop and target --------------------------------------------------------------------------------------------

    def leg(self, leg: Leg) -> AlgoLeg:
        return self.s.stop if leg is Leg.STOP else self.s.target

    def set_leg(self, leg: Leg, **changes: Any) -> None:
        now: AlgoLeg = replace(self.leg(leg), **changes)
        self.set(**{leg.value: now})

    def retry_timer(self, leg: Leg) -> Timer:
        return Timer.RETRY if leg is Leg.STOP else Timer.TARGET

    def stands(self, leg: Leg, attempt: int) -> None:
        """The order is accepted, so there is a position, and this leg covers it (rule 3)."""
        self.set_leg(leg, state=AlgoState.LIVE, standing=attempt, tries=0)
        self.disarm(self.retry_timer(leg))
        if leg is Leg.STOP:
            self.disarm(Timer.NAKED)
        if AlgoState.LISTING not in (self.s.stop.state, self.s.target.state):
            self.disarm(Timer.LIST)
        self.expose()

    def triggered(self, leg: Leg, attempt: int) -> None:
        if self.leg(leg).state is not AlgoState.DONE:
            self.set_leg(leg, state=AlgoState.TRIGGERED, standing=attempt)

    def algo_ended(self, leg: Leg, attempt: int) -> None:
        now = self.leg(leg)
        state = AlgoState.DONE if now.standing in (0, attempt) and now.state is not AlgoState.LISTING else now.state
        standing = 0 if now.standing == attempt else now.standing
        self.set_leg(leg, state=state, standing=standing, ended=max(now.ended, attempt))

    def algo_answered(self, event: ev.SubmitAnswered) -> None:
        leg, now = event.leg, self.leg(event.leg)
        if event.outcome is Outcome.ACCEPTED:
            if event.attempt > now.ended and now.state is not AlgoState.TRIGGERED:
                self.stands(leg, event.attempt)
            return
        if event.outcome is Outcome.UNKNOWN:
            self.unknown_outcome()
        if now.state in (AlgoState.LIVE, AlgoState.TRIGGERED):
            return  # an earlier attempt was heard of meanwhile: it stands
        if event.outcome is Outcome.REJECTED and event.refused is Refused.EXISTS:
            self.exists(leg)
        else:
            self.refused(leg, Refused.UNAVAILABLE if event.outcome is Outcome.UNKNOWN else event.refused)

    def exists(self, leg: Leg) -> None:
        """-4130. With an accepted order of ours not known to have ended it is that one; else a list must show it."""
        standing = self.leg(leg).standing
        if standing:
            self.stands(leg, standing)
            return
        self.set_leg(leg, state=AlgoState.LISTING)
        self.arm(Timer.LIST)
        if leg is Leg.STOP:
            self.disarm(Timer.NAKED)  # one stands; LIST bounds how long whose it is may stay open
        self.expose()
        self.read()

    def refused(self, leg: Leg, why: Refused) -> None:
        """The leg does not stand: try again, or leave (rules 6, 9)."""
        now = self.leg(leg)
        limit = self.s.limits.stop_tries if leg is Leg.STOP else self.s.limits.target_tries
        tries = min(now.tries + 1, limit)
        self.set_leg(leg, state=AlgoState.NONE, tries=tries)
        if why is Refused.NO_POSITION:
            self.read()
        closed = leg is Leg.TARGET and why is Refused.CLOSED  # the market opens again, and the stop stands till then
        lasting = why not in (Refused.NO_POSITION, Refused.UNAVAILABLE) and not closed
        if leg is Leg.STOP:
            self.arm(Timer.RETRY, slow=lasting or tries >= limit)
            if self.s.exposed and why is Refused.WOULD_TRIGGER:
                self.alert("STOP_WOULD_TRIGGER")
                self.want_exit("stop_crossed")
            elif self.s.exposed and lasting:
                self.cannot_protect("stop_refused")
            elif lasting:
                self.alert("STOP_REFUSED")
        else:
            self.arm(
                Timer.TARGET, slow=closed or tries > 1
            )  # under its stop the position can wait for an outage to pass
            if why is Refused.WOULD_TRIGGER:
                self.want_exit("target_crossed")
            elif lasting or (tries >= limit and why is Refused.UNAVAILABLE):
                self.cannot_protect("target_refused")

    def algo_update(self, event: ev.AlgoUpdate) -> None:
        self.overtake()
        if event.leg not in (Leg.STOP, Leg.TARGET):
            return
        leg, now = event.leg, self.leg(event.leg)
        if event.attempt <= now.ended:
            return
        if event.status is AlgoStatus.NEW:
            if now.state is not AlgoState.TRIGGERED:
                self.stands(leg, event.attempt)
        elif event.status not in _ALGO_ENDED:
            self.triggered(leg, event.attempt)
            self.read()
        else:
            self.algo_over(leg, event.attempt, event.status)

    def algo_over(self, leg: Leg, attempt: int, status: AlgoStatus) -> None:
        """The end of a stop or target. It is the normal end when the position is going; else rule 8."""
        s = self.s
        current = self.leg(leg).standing in (0, attempt)
        other = s.target if leg is Leg.STOP else s.stop
        going = (
            s.position == 0
            or other.state in (AlgoState.TRIGGERED, AlgoState.DONE)
            or s.exit.waiting
            or s.exit.working
            or status is AlgoStatus.FINISHED
        )
        self.algo_ended(leg, attempt)
        self.read()
        if not current or not s.exposed or going:
            return
        if status is AlgoStatus.CANCELED:
            self.trip(Latch.HALTED, "MANUAL")  # nobody here cancels under a position: place it anew
            self.set_leg(leg, state=AlgoState.NONE)
        else:
            self.cannot_protect(f"{leg.value}_{status.value}")

    # --- exits ------------------------------------------------------------------------------------------------------

    def exit_answered(self, event: ev.SubmitAnswered) -> None:
        accepted = event.outcome is Outcome.ACCEPTED
        refused = self.s.exit.refused and not accepted
        self.set(exit=replace(self.s.exit, waiting=False, working=accepted and not event.done, refused=refused))
        if event.outcome is Outcome.UNKNOWN:
            self.unknown_outcome()
        if event.outcome is Outcome.REJECTED:
            if event.refused is Refused.PRICE_BAND:
                self.set(exit=replace(self.s.exit, at_band_edge=True, paced=self.s.exit.at_band_edge))
            elif event.refused is Refused.CLOSED:
                if not self.s.market_closed:
                    self.alert("CANNOT_EXIT")
                self.set(market_closed=True)
                self.arm(Timer.EXIT, slow=True)
            elif event.refused is Refused.REDUCE_ONLY:  # what the read below shows goes at once, but once (rule 11)
                self.set(exit=replace(self.s.exit, refused=True, paced=self.s.exit.refused))
                self.arm(Timer.EXIT, slow=True)
            elif event.refused is Refused.UNAVAILABLE:
                self.set(exit=replace(self.s.exit, paced=True))
                self.arm(Timer.EXIT)
            else:
                self.alert("EXIT_REFUSED")
                self.set(exit=replace(self.s.exit, paced=True))
                self.arm(Timer.EXIT, slow=True)
        self.read()

    def stage_answered(self, event: ev.SubmitAnswered) -> None:
        """Each stage has one attempt: without it the position goes to its target as a whole."""
        rejected = event.outcome is Outcome.REJECTED
        standing = 0 if rejected or event.done else event.attempt
        self.set(stage=replace(self.s.stage, waiting=False, standing=standing, missing=False))
        if rejected:
            self.alert("STAGE_REFUSED")
        if event.outcome is Outcome.UNKNOWN:
            self.unknown_outcome()  # taken as resting, until a read shows that it does not
        if standing == 0 or event.outcome is Outcome.UNKNOWN:
            self.read()

    def mark_beyond_stop(self, beyond: bool) -> None:
        if not beyond:
            self.disarm(Timer.TOUCH)
        elif self.s.exposed and not self.armed(Timer.TOUCH):
            self.arm(Timer.TOUCH)

    # --- snapshots and timers ---------------------------------------------------------------------------------------

    def snapshot(self, event: ev.Snapshot) -> None:
        """Rule 16: dropped when something happened meanwhile or a request is in flight."""
        s = self.s
        reading = s.reading
        self.set(reading=Reading.NONE)
        waiting = s.stop.waiting or s.target.waiting or s.exit.waiting or s.stage.waiting
        busy = waiting or s.entry.state is EntryState.SENT
        if reading is not Reading.CLEAN or busy or event.position is None:
            if reading is Reading.DIRTY and not busy and event.position is not None:
                self.read()
            return
        position = _finite("position", event.position)
        if event.foreign:
            self.trip(Latch.HALTED, "FOREIGN_ORDER")
        self.set(recovering=False, position=position)
        exits = {row.attempt for row in event.listed if row.leg is Leg.EXIT}
        if s.exit.working and s.exit.attempt not in exits:
            self.set(exit=replace(s.exit, working=False))
        self.entry_listed(event)
        self.stage_listed(event)
        if position != 0:
            self.position_read(event, position)
        else:
            self.zero_read(event)

    def entry_listed(self, event: ev.Snapshot) -> None:
        entry = self.s.entry
        if any(row.leg is Leg.ENTRY and row.attempt == entry.attempt for row in event.listed):
            self.entry_state(EntryState.LIVE)

    def stage_listed(self, event: ev.Snapshot) -> None:
        """Of a plan one rests at a time, none where the position is to go or gone. One that a list lacks is over only
        when the next lacks it too: unlike stop and target it would outlive the position."""
        stage, rows = self.s.stage, [row.attempt for row in event.listed if row.leg is Leg.STAGE]
        if rows:
            self.set(stage=replace(stage, standing=max(rows), missing=False))
        elif stage.standing:
            self.set(stage=replace(stage, standing=0 if stage.missing else stage.standing, missing=not stage.missing))
        unwanted = self.s.wants_exit or self.s.intent is None or event.position == 0
        kept = 0 if unwanted else self.s.stage.standing
        for attempt in sorted({*rows, self.s.stage.standing} - {0, kept}):
            self.out.append(do.Cancel(Leg.STAGE, attempt))

    def position_read(self, event: ev.Snapshot, position: Decimal) -> None:
        """There is a position: is it the planned one, and is it covered?"""
        s = self.s
        self.expose()
        if s.intent is None or s.intent.direction * position < 0:
            if s.latch is Latch.RUNNING:
                self.trip(Latch.HALTED, "UNPLANNED_POSITION")
            self.set(intent=None)
        if event.foreign and s.latch is Latch.FLATTENING:
            self.out.append(do.CancelRegular())  # a hand's may be in the way too (rule 12)
        for row in event.listed:  # an older one that rests is in the way of the next (rule 11)
            if row.leg is Leg.EXIT and (row.attempt != s.exit.attempt or not s.exit.working):
                self.out.append(do.Cancel(row.leg, row.attempt))
        left = self.s.exit
        if not (left.waiting or left.working or left.paced or s.market_closed):
            self.disarm(Timer.EXIT)  # the position was just read: what is left goes now
        for leg in (Leg.STOP, Leg.TARGET):
            self.leg_listed(leg, [row for row in event.listed if row.leg is leg])

    def leg_listed(self, leg: Leg, rows: list[ev.Listed]) -> None:
        now = self.leg(leg)
        ours = [row for row in rows if row.matches]
        if ours:
            self.set_leg(leg, ended=min(now.ended, ours[0].attempt - 1))
            self.stands(leg, ours[0].attempt)
        elif rows:  # a closePosition order stands in the way that is not the planned one (rule 7)
            self.set_leg(leg, state=AlgoState.LISTING, standing=0)
            self.alert("MISMATCHED_" + leg.name)
            self.cannot_protect(f"{leg.value}_mismatched")
        elif now.state is AlgoState.LIVE or (now.state is AlgoState.TRIGGERED and self.s.wants_exit):
            self.set_leg(leg, state=AlgoState.NONE)  # one read is enough to place it anew
        elif now.state is AlgoState.DONE:
            self.cannot_protect(f"{leg.value}_spent")  # it is over and the position is not (rule 8)

    def zero_read(self, event: ev.Snapshot) -> None:
        """No position now. The second such read, an interval later, may sweep and release (rules 12, 16)."""
        s = self.s
        if s.exposed:
            self.set(exposed=False)
            self.disarm(Timer.NAKED, Timer.TOUCH, Timer.LIST, Timer.EXIT)
        for leg in (Leg.STOP, Leg.TARGET):
            rows = [row.attempt for row in event.listed if row.leg is leg]
            state = AlgoState.LIVE if rows else AlgoState.NONE
            ended = self.leg(leg).ended if rows else self.leg(leg).attempt
            self.set_leg(leg, state=state, standing=max(rows, default=0), tries=0, ended=ended)
        if not (s.zeros and self.armed(Timer.READ)):
            self.set(zeros=min(s.zeros + 1, 2))
        if self.s.zeros == 2 and s.entry.state not in _SENT_STATES:
            for row in event.listed:
                if row.leg is not Leg.STAGE:  # asked for above
                    self.out.append(do.Cancel(row.leg, row.attempt))
            if not event.listed and not event.foreign:
                self.release()

    def release(self) -> None:
        """Flat, proven. Not while a request of unknown outcome could still be executed."""
        if not self.s.locked or self.armed(Timer.WINDOW) or self.s.entry.state is EntryState.JOURNALING:
            return
        if self.s.stage.standing:
            return
        self.set(
            intent=None,
            locked=False,
            exit_reason=None,
            stop=replace(self.s.stop, state=AlgoState.NONE, tries=0),
            target=replace(self.s.target, state=AlgoState.NONE, tries=0),
            exit=replace(self.s.exit, at_band_edge=False, paced=False, refused=False),
            stage=StageLeg(attempt=self.s.stage.attempt),
            timers=frozenset(),
        )
        self.out.append(do.Release())

    def timer_fired(self, timer: Timer) -> None:
        if not self.armed(timer):
            return
        self.disarm(timer)
        s = self.s
        match timer:
            case Timer.LIFE:
                if s.entry.state is EntryState.JOURNALING:
                    self.lapse("INTENT_STALE")
            case Timer.ACK:
                if s.entry.state is EntryState.SENT:
                    self.entry_state(EntryState.UNKNOWN)
            case Timer.NAKED:
                if s.exposed and s.stop.state not in (AlgoState.LIVE, AlgoState.LISTING):
                    self.cannot_protect("naked")
            case Timer.LIST:
                self.not_listed()
            case Timer.TOUCH | Timer.HOLD:
                if s.exposed:
                    self.want_exit("time" if timer is Timer.HOLD else "software_stop")
            case Timer.WATCH:
                self.watch_over()
            case Timer.READ:
                self.read()
                if s.entry.state in (EntryState.UNKNOWN, EntryState.LIVE):
                    self.out.append(do.QueryEntry(s.entry.attempt))
                if s.entry.state is EntryState.LIVE:  # a MARKET order that rests after a read interval (incident 9)
                    self.out.append(do.Cancel(Leg.ENTRY, s.entry.attempt))
            case Timer.RETRY | Timer.TARGET | Timer.EXIT | Timer.WINDOW:
                pass  # what they held back is done below
            case _:
                assert_never(timer)

    def not_listed(self) -> None:
        """Rule 7: what -4130 spoke of was never shown."""
        for leg in (Leg.STOP, Leg.TARGET):
            if self.leg(leg).state is AlgoState.LISTING and self.s.exposed:
                self.set_leg(leg, state=AlgoState.NONE)
                self.alert("NOT_LISTED")
                self.cannot_protect(f"{leg.value}_not_listed")

    def watch_over(self) -> None:
        """Rule 2: the entry is given up only when it is ruled out by then; else the watch goes on."""
        if self.s.entry.state is EntryState.UNKNOWN and self.s.entry.ruled_out:
            self.entry_state(EntryState.DONE)
        elif self.s.entry.state is EntryState.UNKNOWN:
            self.alert("ENTRY_STILL_UNKNOWN")
            self.arm(Timer.WATCH)

    def restarted(self, event: ev.Restarted) -> None:
        """Rule 15: what the journal says, then a snapshot. An intent without an end may have been sent."""
        base = event.attempt_base
        sent = event.intent is not None
        self.s = Bracket(
            limits=self.s.limits,
            intent=event.intent,
            recovering=True,
            entry=Entry(EntryState.SENT if sent else EntryState.NONE, event.entry_attempt),
            stop=AlgoLeg(attempt=base),
            target=AlgoLeg(attempt=base),
            exit=ExitLeg(attempt=base),
            # which of them were placed nobody knows: what rests is found, and no more are placed
            stage=StageLeg(attempt=base, placed=0 if event.intent is None else len(event.intent.stages)),
            latch=event.latch,
        )
        self.lock()
        self.unknown_outcome()
        if sent:
            self.entry_state(EntryState.UNKNOWN)
        if event.exit_reason is not None:
            self.want_exit(event.exit_reason)
        self.read()

    # --- what is missing --------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Issue what the state lacks. The stop comes before everything else."""
        self.place_stop()
        self.bound_naked()
        self.place_exit()
        self.place_target()
        self.place_stage()
        self.look()

    def place_stop(self) -> None:
        """Rules 3 and 6: at the first sign of a position, and while an entry is unknown; never before the entry."""
        s = self.s
        probing = s.entry.state is EntryState.UNKNOWN and not s.entry.ruled_out
        if not (s.exposed or probing) or s.stop.waiting or self.armed(Timer.RETRY):
            return
        # a stop that is over makes room for a new one at once: the exit that answers its end may not come through
        if s.stop.state in (AlgoState.LIVE, AlgoState.LISTING, AlgoState.TRIGGERED) or s.direction == 0:
            return
        if s.stop.state is AlgoState.DONE and not s.wants_exit:
            return
        attempt = max(s.stop.attempt + 1, s.entry.attempt)
        self.set_leg(Leg.STOP, state=AlgoState.NONE, attempt=attempt, waiting=True)
        self.overtake()
        planned = s.intent is not None and s.intent.direction == s.direction
        trigger = s.intent.stop_price if planned and s.intent is not None else None
        self.out.append(do.SubmitStop(attempt, s.direction, trigger))

    def bound_naked(self) -> None:
        s = self.s
        covered = s.stop.state in (AlgoState.LIVE, AlgoState.LISTING)
        if s.exposed and not covered and not s.wants_exit and not self.armed(Timer.NAKED):
            self.arm(Timer.NAKED)

    def place_exit(self) -> None:
        """Rules 10-13: regular orders go first, the stop never; one order at a time, paced by EXIT."""
        s = self.s
        if not s.wants_exit:
            return
        if s.entry.state is EntryState.JOURNALING:
            self.lapse("KILL_SWITCH" if s.exit_reason is None else "CLOSED")
        if not s.exposed or s.dust or s.direction == 0:
            return
        if s.exit.waiting or self.armed(Timer.EXIT):
            return
        if s.entry.state is EntryState.LIVE:
            self.out.append(do.Cancel(Leg.ENTRY, s.entry.attempt))
        if s.exit.working:
            self.out.append(do.Cancel(Leg.EXIT, s.exit.attempt))
        if s.stage.standing:
            self.out.append(do.Cancel(Leg.STAGE, s.stage.standing))
        told = abs(s.position) or s.entry.filled or (s.intent.qty if s.intent is not None else ZERO)
        qty = min(told, s.limits.market_max_qty)
        attempt = max(s.exit.attempt + 1, s.entry.attempt)
        self.set(exit=replace(s.exit, attempt=attempt, waiting=True, working=False, paced=False))
        self.overtake()
        self.out.append(do.SubmitExit(attempt, s.direction, qty, s.exit.at_band_edge))
        self.arm(Timer.EXIT, slow=s.market_closed)

    def place_target(self) -> None:
        """Once the stop stands, and the position is meant to stay."""
        s = self.s
        wanted = s.exposed and not s.wants_exit and s.stop.state is AlgoState.LIVE and s.intent is not None
        if not wanted or s.target.state is not AlgoState.NONE or s.target.waiting or self.armed(Timer.TARGET):
            return
        assert s.intent is not None
        attempt = max(s.target.attempt + 1, s.entry.attempt)
        self.set_leg(Leg.TARGET, attempt=attempt, waiting=True)
        self.overtake()
        self.out.append(do.SubmitTarget(attempt, s.intent.direction, s.intent.target_price))

    def place_stage(self) -> None:
        """One at a time, once the whole bracket stands and nothing of unknown outcome can still be executed: a later
        price is met after an earlier one. What would leave less than can be sold is left out."""
        s = self.s
        plan = s.intent
        if plan is None or s.wants_exit or s.phase is not Phase.PROTECTED or s.target.state is not AlgoState.LIVE:
            return
        if s.entry.state is not EntryState.DONE or s.direction != plan.direction or s.position == 0:
            return
        if s.stage.waiting or s.stage.standing or self.armed(Timer.WINDOW) or s.market_closed:
            return
        if s.reading is not Reading.NONE:
            return  # while it is being read the position may be less than was told
        for placed, stage in enumerate(plan.stages[s.stage.placed :], s.stage.placed + 1):
            left = abs(s.position) - stage.qty
            if left < s.limits.market_min_qty or left <= 0:
                self.set(stage=replace(self.s.stage, placed=placed))
                continue
            attempt = max(s.stage.attempt + 1, s.entry.attempt)
            self.set(stage=replace(s.stage, attempt=attempt, waiting=True, placed=placed))
            self.overtake()
            self.out.append(do.SubmitStage(attempt, plan.direction, stage.qty, stage.price))
            return

    def look(self) -> None:
        """Wherever belief is not proof a snapshot is due: the next one is in flight or armed."""
        s = self.s
        if s.reading is not Reading.NONE or self.armed(Timer.READ) or self._settled():
            return
        if s.exposed and s.direction == 0:
            self.read()  # nothing says which side it is on: no order can be placed before that is known
            return
        watching = s.entry.state is EntryState.UNKNOWN and s.entry.ruled_out
        self.arm(Timer.READ, slow=watching or s.phase is Phase.DUST)

    def _settled(self) -> bool:
        s = self.s
        match s.phase:
            case Phase.FLAT | Phase.JOURNALING:
                return True
            case Phase.ENTERING:
                return s.entry.state is EntryState.SENT
            case Phase.PROTECTED:
                placed = s.target.state is AlgoState.LIVE or s.intent is None
                return placed and s.entry.state is EntryState.DONE and s.position != 0 and not s.stage.missing
            case _:
                return False
