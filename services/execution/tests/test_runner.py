"""The shell around one symbol's machine: one answer to each command, whatever the exchange does."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

from packages.common.errors import InvalidInputError, VenueUnavailableError
from packages.common.time import ScaledClock
from packages.exchange import trading as wire
from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.state import Phase
from services.execution.runner import NUMBERS_BLOCK, NUMBERS_MARGIN, Parts, SymbolRunner
from services.execution.translate import Translator

D = Decimal
INFO = SimpleNamespace(
    symbol="BTCUSDT", tick_size=D("0.1"), step_size=D("0.001"), min_qty=D("0.001"), max_qty=D(100),
    market_step_size=None,
    market_min_qty=None, market_max_qty=None, band_up=D("1.05"), band_down=D("0.95"),
)  # fmt: skip
INTENT = ev.Intent("d", 1, D(1), D(90), D(110), 10_000)
FILL = ev.OrderUpdate(ev.Leg.ENTRY, 1, ev.OrderStatus.FILLED, D(1))


class Exchange:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self):
        self.asked, self.fails, self.told = [], {}, lambda: None

    async def _say(self, name, *given):
        self.asked.append((name, *given))
        await asyncio.sleep(0)
        error = self.fails.get(name)
        if isinstance(error, Exception):
            raise error
        return error or wire.Rejected(wire.RejectReason.NO_POSITION, -4509, "no")

    async def place_market(self, symbol, side, qty, name, *, reduce_only):
        return await self._say("exit" if reduce_only else "entry", side, qty, name)

    async def place_stop(self, symbol, side, trigger, name):
        return await self._say("stop", side, trigger, name)

    async def place_take_profit(self, symbol, side, trigger, name):
        return await self._say("target", side, trigger, name)

    async def read_rules(self):
        self.asked.append(("rules",))
        if "rules" in self.fails:
            raise self.fails["rules"]
        self.told()

    async def cancel_order(self, symbol, name):
        return await self._say("cancel_order", name)

    async def cancel_algo(self, name):
        return await self._say("cancel_algo", name)


class Journal:
    def __init__(self):
        self.noted, self.appended = [], []

    def note(self, record):
        self.noted.append(record)

    async def append(self, record):
        self.appended.append(record)


class Notes:
    def __init__(self):
        self.events, self.outcomes, self.nakeds = [], [], []

    def stepped(self, symbol, before, after, event):
        self.events.append(event)

    def alert(self, symbol, code): ...

    def trip(self, symbol, latch, code): ...

    def lapsed(self, symbol, reasons): ...

    def answered(self, symbol, leg, outcome, took_ms):
        self.outcomes.append(outcome)

    def naked(self, symbol, lasted_ms):
        self.nakeds.append(lasted_ms)


class NoReader:
    async def read(self, symbol):
        raise VenueUnavailableError("away")


@pytest.fixture
async def made():
    exchange, journal, notes = Exchange(), Journal(), Notes()
    parts = Parts(exchange, journal, Translator("desk"), NoReader(), ScaledClock(1_000), notes, exchange.read_rules)
    runner = SymbolRunner(INFO, parts)
    runner._reserved = NUMBERS_BLOCK
    yield SimpleNamespace(runner=runner, exchange=exchange, journal=journal, notes=notes)
    await runner.close()


async def entered(made):
    """An entry on its way, journaled first."""
    made.runner.feed(ev.EntryRequested(INTENT))
    assert made.exchange.asked == []  # nothing leaves before the journal has it
    await settled(made)


async def settled(made):
    """Return when everything under way is done."""
    while made.runner._tasks:
        await asyncio.wait(made.runner._tasks)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidInputError("quantity", 0, "more"), ev.Outcome.REJECTED),
        (VenueUnavailableError("away"), ev.Outcome.REJECTED),
        (RuntimeError("a fault of ours"), ev.Outcome.UNKNOWN),
    ],
)
async def test_every_submit_is_answered_once_whatever_happens(made, error, outcome):
    made.exchange.fails["entry"] = error
    await entered(made)
    told = [event for event in made.notes.events if isinstance(event, ev.SubmitAnswered)]
    answers = [event for event in told if event.leg is ev.Leg.ENTRY]
    assert [answer.outcome for answer in answers] == [outcome]
    assert [name for name, *_ in made.exchange.asked].count("entry") == 1


@pytest.mark.parametrize("case", ["changed", "changed meanwhile", "unchanged", "unread", "fault"])
async def test_a_price_off_the_grid_is_tried_again_only_where_the_rules_changed(made, case):
    made.exchange.fails["stop"] = wire.Rejected(wire.RejectReason.OFF_GRID, -4014, "tick")
    if case == "unread":
        made.exchange.fails["rules"] = VenueUnavailableError("away")
    elif case == "fault":
        made.exchange.fails["rules"] = KeyError("ours")
    coarse = SimpleNamespace(**(vars(INFO) | {"tick_size": D(1), "status": "TRADING"}))
    if case == "changed":
        made.exchange.told = lambda: setattr(made.runner, "info", coarse)
    made.runner._carry_out(do.SubmitStop(1, 1, D("90.1")))
    if case == "changed meanwhile":  # another symbol's refusal was read first
        await asyncio.sleep(0)
        made.runner.info = coarse
    await asyncio.gather(*made.runner._tasks)
    asked = ["stop"] if case == "changed meanwhile" else ["stop", "rules"]
    assert [row[0] for row in made.exchange.asked] == asked
    (answer,) = [event for event in made.notes.events if isinstance(event, ev.SubmitAnswered)]
    changed = case.startswith("changed")
    assert answer.refused is (ev.Refused.UNAVAILABLE if changed else ev.Refused.OTHER)
    made.runner._carry_out(do.SubmitStop(2, 1, D("90.1")))
    await asyncio.gather(*made.runner._tasks)
    assert made.exchange.asked[len(asked)][2] == (D(91) if changed else D("90.1"))


@pytest.mark.parametrize("leg", ["stop", "exit"])
async def test_22_what_our_own_limits_have_no_room_for_is_tried_again(made, leg):
    """It never left, so nothing is proven against the stop or the exit: no flattening, and the next attempt goes."""
    made.exchange.fails[leg] = wire.Rejected(wire.RejectReason.NO_ROOM, None, "no room for 300 ms")
    await entered(made)
    made.runner.feed(FILL)
    if leg == "exit":
        made.runner.feed(ev.CloseRequested("operator"))
    await settled(made)
    answers = [event for event in made.notes.events if isinstance(event, ev.SubmitAnswered)]
    assert {answer.refused for answer in answers if answer.leg.name.lower() == leg} == {ev.Refused.UNAVAILABLE}
    timer = ev.Timer.RETRY if leg == "stop" else ev.Timer.EXIT
    assert made.runner.state.exit_reason == ("operator" if leg == "exit" else None)
    before = [row[0] for row in made.exchange.asked].count(leg)
    made.runner.feed(ev.TimerFired(timer))
    await settled(made)
    assert [row[0] for row in made.exchange.asked].count(leg) == before + 1


async def test_the_intent_is_journaled_with_the_ids_that_are_sent(made):
    await entered(made)
    opened = made.journal.appended[0]
    assert opened.entry_client_id == made.exchange.asked[0][3]
    made.runner.feed(FILL)
    await settled(made)
    (stop,) = [row for row in made.exchange.asked if row[0] == "stop"]
    assert stop[1:] == (wire.Side.SELL, D(90), opened.stop_client_id)


async def test_numbers_are_reserved_before_they_run_out(made):
    made.runner._reserved = NUMBERS_MARGIN
    await entered(made)
    assert [type(row).__name__ for row in made.journal.appended] == ["NumbersReserved", "IntentOpened"]


async def test_an_exit_is_cut_to_the_grid_and_cannot_open(made):
    await entered(made)
    made.runner._carry_out(do.SubmitExit(5, 1, D("0.12345"), False))
    await settled(made)
    assert made.exchange.asked[-1][:3] == ("exit", wire.Side.SELL, D("0.123"))


async def test_orders_are_cancelled_where_their_leg_lives(made):
    await entered(made)
    made.runner.feed(FILL)
    await settled(made)
    for leg, way in ((ev.Leg.ENTRY, "cancel_order"), (ev.Leg.STOP, "cancel_algo")):
        made.runner._carry_out(do.Cancel(leg, 1))
        await settled(made)
        assert made.exchange.asked[-1][0] == way


async def test_a_failed_read_is_an_answer_too(made):
    await entered(made)
    made.runner.feed(ev.ReadDue())
    await settled(made)
    assert ev.Snapshot(None) in made.notes.events


async def test_naked_is_measured_from_the_first_sign_to_the_stop(made):
    await entered(made)
    made.runner.feed(FILL)
    assert made.notes.nakeds == []
    made.runner.feed(ev.AlgoUpdate(ev.Leg.STOP, 1, ev.AlgoStatus.NEW))
    assert len(made.notes.nakeds) == 1
    assert made.runner.phase is Phase.PROTECTED


async def test_a_stop_that_took_the_position_with_it_leaves_nothing_naked(made):
    await entered(made)
    made.runner.feed(FILL)
    made.runner.feed(ev.AlgoUpdate(ev.Leg.STOP, 1, ev.AlgoStatus.NEW))
    made.runner.feed(ev.PositionUpdate(D(1)))
    made.runner.feed(ev.AlgoUpdate(ev.Leg.STOP, 1, ev.AlgoStatus.TRIGGERED))
    made.runner.feed(ev.PositionUpdate(D(0)))
    made.runner.feed(ev.AlgoUpdate(ev.Leg.STOP, 1, ev.AlgoStatus.FINISHED))
    assert made.runner._naked_since is None
    assert len(made.notes.nakeds) == 1


async def test_08_the_mark_beyond_the_stop_is_told_once_on_the_way_there_and_back(made):
    await entered(made)
    made.runner.feed(FILL)
    for mark in ("100", "89.95", "89.90", "89.0", "91"):
        made.runner.see_mark(D(mark))
    told = [event.beyond for event in made.notes.events if isinstance(event, ev.MarkBeyondStop)]
    assert told == [True, False]
