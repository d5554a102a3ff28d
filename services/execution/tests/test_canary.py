"""Proof of the stop path: what counts, what voids it, for how long it is believed (rule 21)."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from packages.exchange import trading as wire
from services.execution.canary import ProofRules, Proofs, ask_tier_a

RULES = ProofRules(ask_every_ms=900, pilot_after_ms=5_000)
INFO = SimpleNamespace(symbol="BTCUSDT", tick_size=Decimal("0.1"))
REASON = wire.RejectReason


class Answers:
    """The exchange's answer to a stop of a flat account, and what was cancelled after it."""

    def __init__(self, answer):
        self.answer, self.placed, self.cancelled = answer, [], []

    async def place_stop(self, symbol, side, trigger, name):
        self.placed.append((symbol, side, trigger, name))
        return self.answer

    async def cancel_algo(self, name):
        self.cancelled.append(name)


def no(reason, code):
    return wire.Rejected(reason, code, "no")


async def ask(answer):
    exchange = Answers(answer)
    return await ask_tier_a(exchange, INFO, Decimal("100.07"), "desk", 7), exchange


async def test_21_only_the_refusal_of_a_flat_account_proves_the_path():
    found, exchange = await ask(no(REASON.NO_POSITION, -4509))
    assert (found.working, found.unknown) == (True, False)
    assert exchange.placed[0][:3] == ("BTCUSDT", wire.Side.SELL, Decimal("50.0"))
    assert exchange.cancelled == []


@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        (no(REASON.BAD_REQUEST, -4120), False),
        (no(REASON.STOP_EXISTS, -4130), False),
        (no(REASON.RATE_LIMITED, -1003), True),
        (no(REASON.CLOCK, -1021), True),
        (no(REASON.NOT_SENT, None), True),
        (wire.Unknown("no answer", None, 0), True),
    ],
)
async def test_21_every_other_answer_proves_nothing_and_a_lasting_one_says_that_it_is_broken(answer, unknown):
    found, _ = await ask(answer)
    assert (found.working, found.unknown) == (False, unknown)


async def test_21_a_stop_that_was_taken_or_may_have_been_is_cancelled():
    for answer in (wire.Accepted(object()), wire.Unknown("no answer", None, 0)):
        found, exchange = await ask(answer)
        assert not found.working
        assert exchange.cancelled == [exchange.placed[0][3]]


def test_21_a_proof_is_believed_for_twice_the_time_between_two_of_them():
    proofs = Proofs().see("A", 1_000)
    assert not Proofs().proven(1_000, RULES)
    assert proofs.proven(2_800, RULES)
    assert not proofs.proven(2_801, RULES)
    assert proofs.ask_due(1_900, RULES)
    assert not proofs.ask_due(1_899, RULES)


def test_21_an_unexpected_code_voids_all_but_a_trigger_that_was_seen():
    proofs = Proofs().see("A", 1).see("B", 2).see("trigger", 3).void()
    assert proofs.seen == {"trigger": 3}
    assert not proofs.proven(3, RULES)


def test_21_the_first_entry_without_a_live_stop_is_a_pilot():
    assert Proofs().pilot_due(1, RULES)
    live = Proofs().see("B", 10)
    assert not live.pilot_due(5_009, RULES)
    assert live.pilot_due(5_010, RULES)


def test_21_a_live_stop_counts_when_it_was_accepted_listed_and_told_of():
    proofs, whole = Proofs(), []
    for symbol, what in (("A", "told"), ("A", "accepted"), ("B", "listed"), ("A", "listed")):
        proofs, done = proofs.part(symbol, 1, what)
        whole.append(done)
    assert whole == [False, False, False, True]
    assert set(proofs.parts) == {("B", 1)}
