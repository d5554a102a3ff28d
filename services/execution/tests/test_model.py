"""Every interleaving of the machine and the abstract exchange, within bounds that fit the suite."""

import pytest

from services.execution.core import events as ev
from services.execution.core.bracket import step
from services.execution.core.commands import SubmitEntry
from services.execution.core.drawing import render
from services.execution.core.state import EntryState, Phase
from services.execution.model import exchange_model
from services.execution.model.draw import PAGE
from services.execution.model.exchange_model import intent, start
from services.execution.model.explore import PropertyError, explore, guarded

pytestmark = pytest.mark.xdist_group("execution_model")  # one exploration for all of them


def test_one_fault_of_every_kind_at_every_point_ends_protected_or_flat(met):
    assert all(run.complete for run in met.runs)
    assert met.runs[0].worlds > 50_000


def test_every_phase_is_entered(met):
    assert {state.phase for state in met.states} == set(Phase)


def test_a_second_bracket_after_the_first_keeps_the_properties():
    assert explore(start(faults=0, entries=2, qty=1)).complete


def test_lots_smaller_than_the_position_are_closed_in_chunks():
    assert explore(start(faults=0, max_qty=1)).complete


def test_a_part_on_the_way_to_the_target_never_costs_the_rest_its_protection():
    assert explore(start(faults=0, qty=3, stages=2)).complete
    assert explore(start(faults=1, qty=2, stages=1), only="lagging").complete


def test_the_drawing_is_current(met):
    assert PAGE.read_text(encoding="utf-8") == render(met.arrows), "run python -m services.execution.model.draw"


def _every_event():
    one, legs, attempts = ev.Decimal(1), list(ev.Leg), (0, 1, 2)
    yield from (ev.EntryRequested(intent(1)), ev.EntryRequested(intent(1), ("LEASE_STALE",)), ev.ReadDue())
    yield from (ev.JournalAnswered(True), ev.JournalAnswered(False), ev.CloseRequested("operator"))
    for attempt in attempts:
        for leg in legs:
            for outcome in ev.Outcome:
                for refused in ev.Refused if outcome is ev.Outcome.REJECTED else (ev.Refused.OTHER,):
                    yield ev.SubmitAnswered(leg, attempt, outcome, refused)
            yield ev.SubmitAnswered(leg, attempt, ev.Outcome.ACCEPTED, filled=one, done=True)
            yield from (ev.OrderUpdate(leg, attempt, status, one) for status in ev.OrderStatus)
            yield from (ev.AlgoUpdate(leg, attempt, status) for status in ev.AlgoStatus)
            yield ev.Snapshot(one, (ev.Listed(leg, attempt),))
            yield ev.Snapshot(one, (ev.Listed(leg, attempt, matches=False),), foreign=True)
            yield ev.Snapshot(ev.ZERO, (ev.Listed(leg, attempt),))
        yield from (ev.QueryAnswered(attempt, status, one) for status in ev.OrderStatus)
        yield from (ev.QueryAnswered(attempt, None), ev.QueryAnswered(attempt, None, traded=True))
        yield ev.Restarted(intent(1), attempt, 99, ev.Latch.RUNNING)
        yield ev.Restarted(None, attempt, 99, ev.Latch.FLATTENING, "time")
    for position in (one, -one, ev.ZERO):
        yield from (ev.PositionUpdate(position), ev.Snapshot(position))
    yield ev.Snapshot(None)
    yield from (ev.TimerFired(timer) for timer in ev.Timer)
    yield from (ev.MarkBeyondStop(beyond) for beyond in (True, False))
    yield from (ev.LatchChanged(latch) for latch in ev.Latch)
    yield from (ev.MarketStatus(trading) for trading in (True, False))
    yield from (ev.ForeignFill(kind) for kind in ev.ForeignKind)


def _kind(state):
    legs = [(leg.state, leg.waiting) for leg in (state.stop, state.target)]
    exits = (state.exit.waiting, state.exit.working, state.wants_exit)
    return state.phase, state.entry.state, *legs, exits


def test_every_event_in_every_kind_of_state_has_an_answer_that_keeps_the_guard(met):
    kinds = {_kind(state): state for state in met.states}
    events = list(_every_event())
    assert {type(event) for event in events} == set(ev.Event.__args__)
    assert len(kinds) > 100
    for state in kinds.values():
        for event in events:
            after, commands = step(state, event)
            assert guarded(after), (state, event)
            if any(isinstance(command, SubmitEntry) for command in commands):
                assert state.entry.state is EntryState.JOURNALING
                assert event == ev.JournalAnswered(True)


def _broken(monkeypatch, change):
    real = exchange_model.step
    monkeypatch.setattr(exchange_model, "_step", lambda state, event: change(*real(state, event)))


def test_the_explorer_finds_a_machine_that_sends_no_stop(monkeypatch):
    def mute(state, commands):
        return state, tuple(c for c in commands if not isinstance(c, exchange_model.do.SubmitStop))

    _broken(monkeypatch, mute)
    with pytest.raises(PropertyError, match="protected"):
        explore(start(faults=0))


def test_the_explorer_finds_a_machine_that_sends_an_entry_twice(monkeypatch):
    def twice(state, commands):
        return state, commands + tuple(c for c in commands if isinstance(c, exchange_model.do.SubmitEntry))

    _broken(monkeypatch, twice)
    with pytest.raises(PropertyError, match="twice"):
        explore(start(faults=0))


def test_the_explorer_finds_a_machine_that_releases_too_early(monkeypatch):
    def early(state, commands):
        return state, commands + tuple(
            exchange_model.do.Release() for c in commands if isinstance(c, exchange_model.do.SubmitTarget)
        )

    _broken(monkeypatch, early)
    with pytest.raises(PropertyError, match="released"):
        explore(start(faults=0))
