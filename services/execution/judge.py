"""Gathers the facts for the kill-switch, and carries out what it says."""

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from services.execution import books, kill_switch
from services.execution.core import events as ev
from services.execution.core.state import EntryState, Phase
from services.execution.desk import Desk
from services.execution.equity import first_marks
from services.execution.kill_switch import Command, EntryAsked, Facts, KillState, StreamFacts, Trip

log = structlog.get_logger(__name__)


class Judge:
    """Holds the latch. ``echo_age`` and ``asked`` are what the echoes and the entries know."""

    def __init__(
        self,
        desk: Desk,
        killed: KillState,
        echo_age: Callable[[], float | None],
        asked: Callable[[], Sequence[EntryAsked]],
    ) -> None:
        self._desk, self.killed, self._echo_age, self._asked = desk, killed, echo_age, asked
        self.key_valid = True
        self._failures: deque[int] = deque(maxlen=200)
        self._trips: list[Trip] = []
        self._commands: list[Command] = []
        self._judging = False

    def fail(self) -> None:
        """An order failed."""
        self._failures.append(self._desk.clock.now_ms())

    def trip(self, trip: Trip) -> None:
        """Something asks for a stricter latch."""
        self._trips.append(trip)
        self.judge()

    def command(self, command: Command) -> None:
        """The operator's word; takes effect before this returns."""
        self._commands.append(command)
        self.judge()

    def judge(self) -> None:
        """Evaluate the table on what is the case now, and act on what changed. A trip during it waits its turn."""
        if self._judging:
            return
        self._judging = True
        try:
            while True:
                facts = self._facts()
                before, self.killed = self.killed, kill_switch.evaluate(self.killed, facts, self._desk.limits.rates)
                self._act_on(kill_switch.changes(before, self.killed), before)
                if not self._trips and not self._commands:
                    return
        finally:
            self._judging = False

    def _facts(self) -> Facts:
        desk = self._desk
        trips, self._trips = tuple(self._trips), []
        orders, self._commands = tuple(self._commands), []
        if any(isinstance(order, kill_switch.Resume) for order in orders) and desk.marks is not None:
            desk.take_marks(first_marks(desk.marks.equity, desk.clock.now_ms()))
        age = self._echo_age()
        runners = desk.runners
        return Facts(
            now_ms=desk.clock.now_ms(),
            live=True,
            speed=desk.clock.speed,
            data=desk.outside.data_ages(),
            stream=StreamFacts(
                desk.stream.stats().connected, 0.0, None if age is None else age * desk.clock.speed, self.key_valid
            ),
            order_failures=tuple(self._failures),
            clock_skew_ms=desk.outside.clock_skew_ms(),
            stores_lost=desk.outside.stores_lost(),
            journal_healthy=desk.journal.healthy,
            exposed=frozenset(symbol for symbol, runner in runners.items() if runner.phase is not Phase.FLAT),
            entries_unknown=sum(runner.state.entry.state is EntryState.UNKNOWN for runner in runners.values()),
            trips=trips,
            marks=desk.marks,
            entries=tuple(self._asked()),
            commands=orders,
        )

    def _act_on(self, changed: kill_switch.Changes, before: KillState) -> None:
        state, desk = self.killed, self._desk
        for code in changed.tripped:
            trip = state.trips[code]
            message = f"{code}: {trip.latch.value}" + (f" ({trip.detail})" if trip.detail else "")
            desk.risk(code, None, message, books.latch_severity(trip.latch), by=trip.by)
        if changed.latch is not None:
            desk.journal.note(changed.latch)
            log.warning("kill_switch", state=state.word, code=state.code)
        if state.latch is not before.latch:
            for runner in desk.runners.values():
                runner.feed(ev.LatchChanged(state.latch))
