"""What the watchdog decides, look by look (execution.md 19)."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.watchdog.core import (
    SPARE_NUMBERS,
    Alarm,
    Cancel,
    Exit,
    Look,
    Memory,
    PlaceStop,
    Rules,
    Seen,
    decide,
    told,
)
from packages.common.ids import Leg, client_order_id
from packages.exchange.trading import (
    Accepted,
    AlgoOrder,
    AlgoStatus,
    Order,
    OrderStatus,
    Position,
    Rejected,
    RejectReason,
    Side,
    Unknown,
)
from services.execution.core.events import Intent, Latch
from services.execution.journal import ExitWanted, IntentOpened, JournalState, LatchMoved
from services.execution.runner import NUMBERS_MARGIN

D = Decimal
NOW = 1_000_000
INTENT = Intent("d1", 1, D("0.5"), D(90), D(110), NOW + 10_000_000)
OPENED = IntentOpened("BTCUSDT", INTENT, 7, NOW, "e", "s", "t")
PLAN = JournalState("a", 0, open={"BTCUSDT": OPENED}, reserved={"BTCUSDT": 400})
EMPTY = JournalState("a", 0)
RULES = Rules()


def position(amount="0.5", symbol="BTCUSDT"):
    zero = D(0)
    return Position(symbol, D(amount), D(100), D(100), zero, None, zero, zero, zero, zero, 0)


STOP = AlgoOrder("BTCUSDT", 1, "x", Side.SELL, "STOP_MARKET", AlgoStatus.NEW, D(90), "MARK_PRICE", False, True, True,
                 None, None, None, 0)  # fmt: skip
ENTRY = Order("BTCUSDT", 1, client_order_id("a", "d1", Leg.ENTRY, 7), Side.BUY, "LIMIT", OrderStatus.NEW, D(1), D(0),
              D(99), None, False, False, "GTC", 0)  # fmt: skip
BARE = Seen(position())
COVERED = Seen(position(), algos=(STOP,))
REFUSED = Rejected(RejectReason.BAD_REQUEST, -4120, "moved")


def look(seen=BARE, at=0.0, worker=1_000.0, **given):
    symbols = seen if seen is None or isinstance(seen, dict) else {"BTCUSDT": seen}
    return Look(now_ms=NOW, mono_ms=at, symbols=symbols, worker_age_ms=worker, **given)


class Watch:
    """Looks one after another; ``answer`` is what every stop is answered."""

    def __init__(self, plan=PLAN, answer=None):
        self.plan, self.answer, self.memory = plan, answer, Memory()

    def __call__(self, seen=BARE, at=0.0, **given):
        decision = decide(self.plan, look(seen, at, **given), self.memory, RULES)
        self.memory = decision.memory
        for action in decision.actions:
            if isinstance(action, PlaceStop) and self.answer is not None:
                self.memory = told(self.memory, action, self.answer)
        self.alarms = [raised.alarm for raised in decision.alarms]
        return list(decision.actions)


def kinds(actions):
    return [type(action) for action in actions]


def test_a_covered_position_is_left_alone():
    watch = Watch()
    assert watch(COVERED) == []
    assert watch.alarms == []


def test_a_silent_worker_over_a_standing_stop_is_an_alarm_and_nothing_else():
    for worker in (None, 15_001.0, float("nan")):
        watch = Watch()
        assert watch(COVERED, worker=worker) == watch(COVERED, at=60_000.0, worker=worker) == []
        assert watch.alarms == [Alarm.WORKER_SILENT]
    idle = Watch(EMPTY)
    assert idle({}, worker=None) == []
    assert idle.alarms == []


def test_a_working_trader_has_its_own_second_for_the_stop():
    watch = Watch()
    assert watch(BARE) == []
    assert watch.memory.uneasy
    assert watch(BARE, at=1_999.0) == []
    assert kinds(watch(BARE, at=2_000.0)) == [PlaceStop]
    assert watch.alarms == [Alarm.STOP_MISSING]


def test_a_silent_workers_position_gets_its_stop_at_once():
    [action] = Watch()(BARE, worker=None)
    assert action == PlaceStop("BTCUSDT", Side.SELL, D(90), "d1", 400)


def test_an_exit_needs_a_refused_stop_and_two_agreeing_reads():
    watch = Watch(answer=REFUSED)
    assert kinds(watch(BARE, worker=None)) == [PlaceStop]
    assert kinds(watch(BARE, at=1_999.0, worker=None)) == [PlaceStop]
    actions = watch(BARE, at=2_000.0, worker=None)
    assert kinds(actions) == [Exit, PlaceStop]
    assert actions[0] == Exit("BTCUSDT", Side.SELL, D("0.5"), "d1", 398, "BAD_REQUEST -4120")
    assert watch.alarms == [Alarm.WORKER_SILENT, Alarm.STOP_MISSING, Alarm.STOP_REFUSED]
    assert not watch.memory.uneasy  # again, but not in a storm
    assert kinds(watch(BARE, at=7_000.0, worker=None)) == [Exit, PlaceStop]
    assert watch(Seen(None), at=12_000.0, worker=None) == []
    assert watch.memory.doubts == {}


def test_what_rests_to_leave_in_parts_goes_before_an_exit_and_not_before_a_stop():
    part = msgspec.structs.replace(
        ENTRY, client_id=client_order_id("a", "d1", Leg.STAGE, 8), side=Side.SELL, reduce_only=True
    )
    by_hand = msgspec.structs.replace(part, client_id="by-hand")
    bare = Seen(position(), orders=(part, by_hand))
    watch = Watch(answer=REFUSED)
    assert kinds(watch(bare, worker=None)) == [PlaceStop]
    actions = watch(bare, at=2_000.0, worker=None)
    assert kinds(actions) == [Cancel, Exit, PlaceStop]
    assert actions[0] == Cancel("BTCUSDT", part.client_id)


@pytest.mark.parametrize(
    "answer",
    [
        Accepted(STOP),
        Rejected(RejectReason.STOP_EXISTS, -4130, ""),
        Rejected(RejectReason.NO_POSITION, -4509, ""),
        Rejected(RejectReason.NOT_SENT, None, ""),
        Rejected(RejectReason.RATE_LIMITED, -1003, ""),
        Rejected(RejectReason.CLOCK, -1021, ""),
        Unknown("no answer", None, 0),
    ],
)
def test_no_other_answer_leads_to_an_exit(answer):
    watch = Watch(answer=answer)
    for n in range(10):
        assert Exit not in kinds(watch(BARE, at=n * 3_000.0, worker=None))


@pytest.mark.parametrize(
    "answer", [Rejected(RejectReason.WOULD_TRIGGER, -2021, ""), Rejected(RejectReason.ACCOUNT, -2015, ""), REFUSED]
)
def test_a_refusal_of_the_order_itself_does(answer):
    watch = Watch(answer=answer)
    watch(BARE)
    assert kinds(watch(BARE, at=2_000.0)) == [PlaceStop]
    assert kinds(watch(BARE, at=4_000.0)) == [Exit, PlaceStop]


def test_an_unreachable_exchange_proves_nothing_and_is_an_alarm_when_it_lasts():
    watch = Watch(answer=REFUSED)
    watch(BARE, worker=None)
    assert watch(None, at=2_500.0, worker=None) == []
    assert watch.alarms == [Alarm.WORKER_SILENT]
    assert watch(None, at=32_500.0, worker=None) == []
    assert Alarm.EXCHANGE_UNREACHABLE in watch.alarms
    assert kinds(watch(BARE, at=33_000.0, worker=None)) == [Exit, PlaceStop]  # it agrees with the first read


def test_reads_far_apart_do_not_agree():
    watch = Watch(answer=REFUSED)
    watch(BARE, worker=None)
    assert kinds(watch(BARE, at=60_001.0, worker=None)) == [PlaceStop]


def test_a_position_that_changes_is_at_work():
    watch = Watch(answer=REFUSED)
    watch(BARE)
    assert watch(Seen(position("0.4")), at=2_000.0) == []
    assert watch(Seen(position("0.3")), at=4_000.0) == []
    assert kinds(watch(Seen(position("0.3")), at=6_000.0)) == [PlaceStop]


@pytest.mark.parametrize(
    "algo",
    [
        {"side": Side.BUY},
        {"close_position": False, "quantity": D("0.5")},
        {"type": "TAKE_PROFIT_MARKET"},
        {"status": AlgoStatus.CANCELED},
    ],
)
def test_what_does_not_close_the_position_is_no_stop(algo):
    seen = Seen(position(), algos=(msgspec.structs.replace(STOP, **algo),))
    assert kinds(Watch()(seen, worker=None)) == [PlaceStop]


def test_a_short_is_closed_by_a_buy():
    short = replace(INTENT, direction=-1, stop_price=D(110), target_price=D(90))
    plan = replace(PLAN, open={"BTCUSDT": msgspec.structs.replace(OPENED, intent=short)})
    [action] = Watch(plan)(Seen(position("-0.5")), worker=None)
    assert (action.side, action.trigger) == (Side.BUY, D(110))


def test_a_stop_elsewhere_is_an_alarm():
    watch = Watch()
    assert watch(Seen(position(), algos=(msgspec.structs.replace(STOP, trigger_price=D(80)),))) == []
    assert watch.alarms == [Alarm.STOP_ELSEWHERE]


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, exits={"BTCUSDT": ExitWanted("BTCUSDT", "time", 1)}),
        replace(PLAN, moved=LatchMoved(Latch.FLATTENING, "ADL", "x", "", 1)),
        replace(PLAN, open={"BTCUSDT": msgspec.structs.replace(OPENED, intent=replace(INTENT, due_ts_ms=NOW - 1))}),
    ],
)
def test_a_late_exit_over_a_standing_stop_is_an_alarm_and_no_exit(plan):
    watch = Watch(plan)
    assert watch(COVERED, worker=None) == []
    assert Alarm.EXIT_LATE not in watch.alarms
    assert watch(COVERED, at=30_000.0, worker=None) == []
    assert Alarm.EXIT_LATE in watch.alarms


def test_a_position_without_a_plan_is_not_touched():
    for plan, seen in ((EMPTY, BARE), (PLAN, Seen(position("-0.5")))):
        watch = Watch(plan, answer=REFUSED)
        for n in range(20):
            assert watch(seen, at=n * 3_000.0, worker=None) == []
        assert Alarm.UNPLANNED_POSITION in watch.alarms


def test_an_entry_that_rests_is_cancelled_when_nobody_looks_after_it():
    resting = Seen(None, orders=(ENTRY,))
    watch = Watch()
    assert watch(resting) == watch(resting, at=9_000.0) == []
    assert watch(resting, worker=None) == []
    assert watch.memory.uneasy
    assert watch(resting, at=2_000.0, worker=None) == [Cancel("BTCUSDT", ENTRY.client_id)]
    halted = Watch(replace(PLAN, moved=LatchMoved(Latch.HALTED, "MANUAL", "x", "", 1)))
    halted(resting)
    assert kinds(halted(resting, at=2_000.0)) == [Cancel]


@pytest.mark.parametrize(
    "order",
    [
        {"client_id": client_order_id("b", "d1", Leg.ENTRY, 7)},
        {"client_id": client_order_id("a", "d1", Leg.EXIT, 7)},
        {"client_id": "by-hand"},
        {"reduce_only": True},
    ],
)
def test_no_other_order_is_cancelled(order):
    resting = Seen(None, orders=(msgspec.structs.replace(ENTRY, **order),))
    watch = Watch()
    assert watch(resting, worker=None) == watch(resting, at=5_000.0, worker=None) == []


def test_a_damaged_journal_is_an_alarm_and_its_plan_still_counts():
    watch = Watch()
    assert kinds(watch(BARE, worker=None, journal_damaged=True)) == [PlaceStop]
    assert Alarm.JOURNAL_DAMAGED in watch.alarms


def test_numbers_come_from_the_end_of_the_reserved_block_and_are_not_used_twice():
    watch = Watch()
    numbers = [watch(BARE, at=n * 3_000.0, worker=None)[-1].number for n in range(20)]
    assert numbers == list(range(400, 380, -1))
    watch.plan = replace(PLAN, reserved={"BTCUSDT": 800})
    assert watch(BARE, at=61_000.0, worker=None)[-1].number == 800


def test_the_trader_never_comes_to_the_numbers_of_the_watchdog():
    assert SPARE_NUMBERS <= NUMBERS_MARGIN  # it reserves anew that far from the end


algos = st.builds(
    lambda side, closes, kind: msgspec.structs.replace(STOP, side=side, close_position=closes, type=kind),
    st.sampled_from(Side), st.booleans(), st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET"]),
)  # fmt: skip
sights = st.builds(
    lambda amount, orders, stops: Seen(position(amount) if amount else None, orders, stops),
    st.sampled_from([None, "0.5", "0.4", "-0.5"]),
    st.sampled_from([(), (ENTRY,)]),
    st.lists(algos, max_size=2).map(tuple),
)
answers = st.sampled_from([Accepted(STOP), REFUSED, Unknown("", None, 0), Rejected(RejectReason.NOT_SENT, None, "")])


@given(
    st.sampled_from([PLAN, EMPTY, replace(PLAN, moved=LatchMoved(Latch.FLATTENING, "ADL", "x", "", 1))]),
    st.lists(st.tuples(st.none() | sights, st.sampled_from([500, 2_000, 70_000]), st.booleans(), answers), max_size=12),
)
def test_it_only_reduces_and_only_where_no_stop_stands(plan, history):
    watch, at, refusals = Watch(plan), 0.0, 0
    for seen, step, alive, answer in history:
        at += step
        watch.answer = answer
        for action in watch(seen, at=at, worker=1.0 if alive else None):
            if isinstance(action, Cancel):
                assert action.client_id == ENTRY.client_id
                continue
            assert plan.open, "without a plan nothing is done"
            assert seen.amount > 0
            assert action.side is Side.SELL
            assert not any(algo.close_position and algo.type == "STOP_MARKET" and algo.side is Side.SELL
                           for algo in seen.algos)  # fmt: skip
            if isinstance(action, Exit):
                assert action.quantity == seen.amount
                assert refusals
            elif answer is REFUSED:
                refusals += 1
