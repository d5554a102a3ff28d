"""Every interleaving of the machine and the abstract exchange, within bounds that fit the suite."""

import pytest

from services.execution.model import exchange_model
from services.execution.model.exchange_model import start
from services.execution.model.explore import PropertyError, explore


def test_without_faults_every_run_of_two_brackets_ends_protected_or_flat():
    found = explore(start(faults=0, entries=2), max_worlds=200_000)
    assert found.complete
    assert found.worlds > 3_000


def test_lots_smaller_than_the_position_are_closed_in_chunks():
    assert explore(start(faults=0, max_qty=2)).complete


def _broken(monkeypatch, change):
    real = exchange_model.step
    monkeypatch.setattr(exchange_model, "_step", lambda state, event: change(*real(state, event)))


def test_the_explorer_finds_a_machine_that_sends_no_stop(monkeypatch):
    def mute(state, commands):
        return state, tuple(c for c in commands if not isinstance(c, exchange_model.do.SubmitStop))

    _broken(monkeypatch, mute)
    with pytest.raises(PropertyError, match="quiescent|no way|exposed"):
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
