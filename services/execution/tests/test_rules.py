"""The rules of execution, each under its number, on the pure machine."""

from dataclasses import replace
from decimal import Decimal

import pytest

from packages.common.errors import InvalidInputError
from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.bracket import step
from services.execution.core.events import AlgoStatus, Latch, Leg, Listed, OrderStatus, Outcome, Refused, Timer
from services.execution.core.state import Bracket, Limits, Phase, Reading

LONG = ev.Intent("d1", 1, Decimal("0.5"), Decimal(90), Decimal(110), 1_000)
QTY, ZERO = LONG.qty, Decimal(0)
FLAT = Bracket(Limits(Decimal("0.1"), Decimal("0.2")))
UNKNOWN = ev.SubmitAnswered(Leg.ENTRY, 1, Outcome.UNKNOWN)
FILL = ev.OrderUpdate(Leg.ENTRY, 1, OrderStatus.FILLED, QTY)


FLAT_BIG = Bracket(Limits(Decimal("0.1"), Decimal(100)))


class Run:
    """A machine and everything it has commanded."""

    def __init__(self, *events, state=None):
        self.s, self.all = state or FLAT_BIG, []
        self.feed(*events)

    def feed(self, *events):
        """Feed events; returns the commands of the last."""
        out = ()
        for event in events:
            self.s, out = step(self.s, event)
            self.all.extend(out)
        return out

    def sent(self, kind):
        return [command for command in self.all if isinstance(command, kind)]


def fire(timer):
    return ev.TimerFired(timer)


def refused(leg, attempt, why):
    return ev.SubmitAnswered(leg, attempt, Outcome.REJECTED, why)


def accepted(leg, attempt):
    return ev.SubmitAnswered(leg, attempt, Outcome.ACCEPTED)


def kinds(commands):
    return [type(command) for command in commands]


def entered():
    return Run(ev.EntryRequested(LONG), ev.JournalAnswered(True))


def filled():
    run = entered()
    run.feed(accepted(Leg.ENTRY, 1), ev.PositionUpdate(QTY), FILL)
    return run


def protected():
    run = filled()
    run.feed(accepted(Leg.STOP, 1), accepted(Leg.TARGET, 1))
    assert run.s.phase is Phase.PROTECTED
    return run


def answer_reads(run, snapshot):
    """Answer what is being read until nothing is; returns the last commands."""
    out = ()
    while run.s.reading is not Reading.NONE:
        out = run.feed(snapshot)
    return out


def read_flat(run):
    """Let read intervals pass, the position being zero."""
    for _ in range(4):
        answer_reads(run, ev.Snapshot(ZERO))
        run.feed(fire(Timer.READ))
    answer_reads(run, ev.Snapshot(ZERO))


def test_rule_01_an_entry_is_sent_once_and_never_again():
    run = entered()
    run.feed(UNKNOWN, fire(Timer.ACK), ev.JournalAnswered(True), fire(Timer.READ), ev.QueryAnswered(1, None))
    run.feed(ev.EntryRequested(LONG), ev.JournalAnswered(True), refused(Leg.ENTRY, 1, Refused.UNAVAILABLE))
    run.feed(ev.Restarted(LONG, 1, 7, Latch.RUNNING), ev.JournalAnswered(True))
    assert len(run.sent(do.SubmitEntry)) == 1


def test_rule_01_every_attempt_has_an_id_of_its_own():
    run = filled()
    for attempt in (1, 2, 3):
        run.feed(ev.SubmitAnswered(Leg.STOP, attempt, Outcome.UNKNOWN), fire(Timer.RETRY))
    attempts = [command.attempt for command in run.sent(do.SubmitStop)]
    assert attempts == [1, 2, 3, 4]


def test_rule_02_not_found_needs_window_position_and_trades_and_then_the_watch():
    run = entered()
    run.feed(UNKNOWN, refused(Leg.STOP, 1, Refused.NO_POSITION), ev.QueryAnswered(1, None))
    assert not run.s.entry.ruled_out  # the window is open
    run.feed(fire(Timer.WINDOW), ev.QueryAnswered(1, None))
    assert not run.s.entry.ruled_out  # no clean read of zero yet
    answer_reads(run, ev.Snapshot(ZERO))
    run.feed(ev.QueryAnswered(1, None, traded=True))
    assert not run.s.entry.ruled_out
    run.feed(ev.QueryAnswered(1, None))
    assert run.s.entry.ruled_out
    assert run.s.phase is Phase.UNKNOWN
    read_flat(run)
    assert run.s.locked  # the ghost watch
    run.feed(fire(Timer.WATCH))
    read_flat(run)
    assert run.s.phase is Phase.FLAT
    assert kinds(run.all).count(do.Release) == 1


def test_rule_02_a_late_fill_is_adopted_with_its_stored_stop():
    run = entered()
    run.feed(UNKNOWN, refused(Leg.STOP, 1, Refused.NO_POSITION), ev.Snapshot(ZERO), ev.Snapshot(ZERO))
    run.feed(fire(Timer.RETRY), refused(Leg.STOP, 2, Refused.NO_POSITION))
    run.feed(ev.PositionUpdate(QTY), fire(Timer.RETRY))
    assert run.sent(do.SubmitStop)[-1].trigger == LONG.stop_price
    assert run.s.phase is Phase.PROTECTING


def test_rule_03_the_stop_probes_an_unknown_entry():
    run = entered()
    assert do.SubmitStop(1, 1, LONG.stop_price) in run.feed(UNKNOWN)
    run.feed(accepted(Leg.STOP, 1))
    assert run.s.phase is Phase.PROTECTED
    assert run.s.exposed


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ((ev.LatchChanged(Latch.HALTED),), "KILL_SWITCH"),
        ((ev.EntryRequested(LONG),), "SYMBOL_LOCKED"),
        ((ev.PositionUpdate(QTY),), "SYMBOL_LOCKED"),
        ((ev.MarketStatus(False),), "SYMBOL_NOT_TRADABLE"),
    ],
)
def test_rule_04_an_entry_lapses_with_its_reasons(before, reason):
    run = Run(*before)
    (lapse,) = [c for c in run.feed(ev.EntryRequested(LONG, ("LEASE_STALE",))) if isinstance(c, do.Lapse)]
    assert lapse.reasons == ("LEASE_STALE", reason)
    assert not run.sent(do.SubmitEntry)


def test_rule_04_the_market_lot_bounds_the_quantity_and_age_bounds_the_intent():
    (lapse,) = Run(state=FLAT).feed(ev.EntryRequested(LONG))
    assert lapse.reasons == ("ABOVE_MARKET_LOT",)
    old = Run(ev.EntryRequested(LONG), fire(Timer.LIFE), ev.JournalAnswered(True))
    assert not old.sent(do.SubmitEntry)


@pytest.mark.parametrize(
    "sign",
    [
        FILL,
        ev.OrderUpdate(Leg.ENTRY, 1, OrderStatus.PARTIAL, Decimal("0.1")),
        ev.PositionUpdate(QTY),
        ev.SubmitAnswered(Leg.ENTRY, 1, Outcome.ACCEPTED, filled=QTY),
    ],
)
def test_rule_06_the_stop_goes_out_at_the_first_sign_of_a_position_and_first(sign):
    orders = [c for c in entered().feed(sign) if isinstance(c, do.SubmitStop | do.SubmitTarget | do.ReadSnapshot)]
    assert orders == [do.SubmitStop(1, 1, LONG.stop_price)]


def test_rule_05_stop_and_target_carry_a_trigger_and_no_quantity():
    run = protected()
    stop, target = run.sent(do.SubmitStop)[0], run.sent(do.SubmitTarget)[0]
    assert (stop.trigger, target.trigger) == (LONG.stop_price, LONG.target_price)
    assert not {"qty", "quantity"} & {*stop.__slots__, *target.__slots__}
    run.feed(ev.PositionUpdate(QTY * 2))  # a late fill is covered without another order
    assert len(run.sent(do.SubmitStop)) == 1


def test_rule_06_no_stop_before_the_entry_is_seen():
    run = entered()
    run.feed(accepted(Leg.ENTRY, 1))
    assert not run.sent(do.SubmitStop)


def test_rule_06_no_position_is_tried_eight_times_then_slowly_and_the_bound_forces_the_exit():
    run = filled()
    for attempt in range(1, 9):
        out = run.feed(refused(Leg.STOP, attempt, Refused.NO_POSITION))
        assert do.Arm(Timer.RETRY, 100 if attempt < 8 else 5_000) in out
        run.feed(fire(Timer.RETRY))
    out = run.feed(fire(Timer.NAKED))
    assert do.SubmitExit(1, 1, QTY, at_band_edge=False) in out
    assert do.Trip(Latch.FLATTENING, "naked") in out


def test_rule_07_an_existing_stop_counts_only_when_listed_as_ours():
    run = filled()
    assert do.ReadSnapshot in kinds(run.feed(refused(Leg.STOP, 1, Refused.EXISTS)))
    assert run.s.phase is Phase.PROTECTING
    ours = Run(state=run.s)
    ours.feed(ev.Snapshot(QTY, (Listed(Leg.STOP, 1),)))
    assert ours.s.phase is Phase.PROTECTED
    other = Run(state=run.s)
    assert do.SubmitExit in kinds(other.feed(ev.Snapshot(QTY, (Listed(Leg.STOP, 0, matches=False),))))
    never = Run(state=run.s)
    out = never.feed(ev.Snapshot(QTY), fire(Timer.LIST))
    assert do.Alert("NOT_LISTED") in out
    assert do.SubmitExit in kinds(out)


@pytest.mark.parametrize("status", [AlgoStatus.REJECTED, AlgoStatus.EXPIRED])
def test_rule_08_a_stop_lost_under_a_position_is_answered_at_once(status):
    assert do.SubmitExit in kinds(protected().feed(ev.AlgoUpdate(Leg.STOP, 1, status)))


def test_rule_08_a_stop_stuck_in_triggering_is_answered_within_the_bound():
    run = protected()
    assert do.Arm(Timer.NAKED, 1_000) in run.feed(ev.AlgoUpdate(Leg.STOP, 1, AlgoStatus.TRIGGERING))
    assert do.SubmitExit in kinds(run.feed(fire(Timer.NAKED)))


def test_rule_08_the_software_stop_waits_while_the_position_shrinks():
    run = protected()
    run.feed(ev.MarkBeyondStop(True))
    assert do.Arm(Timer.TOUCH, 1_000) in run.feed(ev.PositionUpdate(QTY / 2))
    out = run.feed(fire(Timer.TOUCH))
    assert do.SubmitExit(1, 1, QTY / 2, at_band_edge=False) in out
    assert do.Cancel not in kinds(out)
    back = protected()
    back.feed(ev.MarkBeyondStop(True), ev.MarkBeyondStop(False), fire(Timer.TOUCH))
    assert not back.sent(do.SubmitExit)


def test_rule_09_a_leg_refused_for_good_means_out():
    for why in (Refused.WOULD_TRIGGER, Refused.OTHER):
        assert do.SubmitExit in kinds(filled().feed(refused(Leg.STOP, 1, why)))
        run = filled()
        run.feed(accepted(Leg.STOP, 1))
        assert do.SubmitExit in kinds(run.feed(refused(Leg.TARGET, 1, why)))


def test_rule_09_a_target_that_meets_a_closed_market_waits_under_its_stop():
    run = filled()
    run.feed(accepted(Leg.STOP, 1))
    run.feed(refused(Leg.TARGET, 1, Refused.CLOSED))
    assert (run.s.phase, run.s.wants_exit, run.sent(do.Trip)) == (Phase.PROTECTED, False, [])
    assert do.SubmitTarget(2, 1, LONG.target_price) in run.feed(fire(Timer.TARGET))


@pytest.mark.parametrize("wish", [fire(Timer.HOLD), ev.CloseRequested("agent"), ev.LatchChanged(Latch.FLATTENING)])
def test_rule_10_a_close_is_reduce_only_and_leaves_the_bracket_standing(wish):
    out = protected().feed(wish)
    assert do.SubmitExit(1, 1, QTY, at_band_edge=False) in out
    assert do.Cancel not in kinds(out)


STAGED = replace(LONG, stages=(ev.Stage(Decimal("0.2"), Decimal(100)), ev.Stage(Decimal("0.2"), Decimal(105))))


def staged():
    """Protected, and the first stage on its way."""
    run = Run(ev.EntryRequested(STAGED), ev.JournalAnswered(True), accepted(Leg.ENTRY, 1), ev.PositionUpdate(QTY), FILL)
    run.feed(accepted(Leg.STOP, 1))
    assert not run.sent(do.SubmitStage)  # the target first
    assert do.SubmitStage(1, 1, Decimal("0.2"), Decimal(100)) in run.feed(accepted(Leg.TARGET, 1))
    return run


def test_rule_06_parts_are_offered_one_after_another_under_the_whole_bracket():
    run = staged()
    run.feed(accepted(Leg.STAGE, 1), ev.PositionUpdate(Decimal("0.3")))
    assert len(run.sent(do.SubmitStage)) == 1
    out = run.feed(ev.OrderUpdate(Leg.STAGE, 1, OrderStatus.FILLED))
    assert do.SubmitStage not in kinds(out)  # what is left is read first
    listed = (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1))
    assert do.SubmitStage(2, 1, Decimal("0.2"), Decimal(105)) in answer_reads(run, ev.Snapshot(Decimal("0.3"), listed))
    run.feed(refused(Leg.STAGE, 2, Refused.OTHER), ev.Snapshot(Decimal("0.3"), listed))
    assert len(run.sent(do.SubmitStage)) == 2  # one attempt each
    assert run.s.phase is Phase.PROTECTED
    assert not run.sent(do.SubmitExit)


def test_rule_06_a_part_that_would_leave_less_than_can_be_sold_is_left_out():
    run = Run(ev.EntryRequested(STAGED), ev.JournalAnswered(True), accepted(Leg.ENTRY, 1))
    run.feed(ev.PositionUpdate(Decimal("0.25")), FILL, accepted(Leg.STOP, 1), accepted(Leg.TARGET, 1))
    assert not run.sent(do.SubmitStage)
    assert run.s.stage.placed == 2


def test_rule_11_what_rests_on_the_way_is_cancelled_before_a_close_and_found_after_a_restart():
    run = staged()
    out = run.feed(accepted(Leg.STAGE, 1), ev.CloseRequested("operator"))
    assert kinds(out).index(do.Cancel) < kinds(out).index(do.SubmitExit)
    assert do.Cancel(Leg.STAGE, 1) in out
    run = Run(ev.Restarted(STAGED, 1, 9, Latch.RUNNING, None), ev.QueryAnswered(1, OrderStatus.FILLED, QTY))
    listed = (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1), Listed(Leg.STAGE, 1))
    run.feed(refused(Leg.STOP, 10, Refused.EXISTS))
    answer_reads(run, ev.Snapshot(QTY, listed))
    assert (run.s.stage.standing, run.s.phase) == (1, Phase.PROTECTED)
    assert not run.sent(do.SubmitStage)
    assert not run.sent(do.Cancel)
    assert do.Cancel(Leg.STAGE, 1) in run.feed(ev.CloseRequested("operator"))


def test_rule_06_a_part_whose_fill_was_told_before_its_answer_is_not_waited_for():
    run = staged()
    run.feed(
        ev.PositionUpdate(Decimal("0.3")), ev.OrderUpdate(Leg.STAGE, 1, OrderStatus.FILLED), accepted(Leg.STAGE, 1)
    )
    listed = (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1))
    for _ in range(2):  # two lists lack it
        answer_reads(run, ev.Snapshot(Decimal("0.3"), listed))
        run.feed(fire(Timer.READ))
    answer_reads(run, ev.Snapshot(Decimal("0.3"), listed))
    assert [row.attempt for row in run.sent(do.SubmitStage)] == [1, 2]


def test_rule_12_what_rests_on_the_way_keeps_the_symbol_until_two_lists_lack_it():
    run = staged()
    run.feed(accepted(Leg.STAGE, 1), ev.AlgoUpdate(Leg.STOP, 1, AlgoStatus.FINISHED), ev.PositionUpdate(ZERO))
    assert do.Cancel(Leg.STAGE, 1) in answer_reads(run, ev.Snapshot(ZERO, (Listed(Leg.STAGE, 1),)))
    run.feed(fire(Timer.READ))
    answer_reads(run, ev.Snapshot(ZERO))
    assert run.s.locked
    run.feed(fire(Timer.READ))
    answer_reads(run, ev.Snapshot(ZERO))
    assert run.s.phase is Phase.FLAT


def test_rule_11_a_refused_reduction_reads_before_it_is_tried_again():
    run = protected()
    run.feed(fire(Timer.HOLD))
    out = run.feed(refused(Leg.EXIT, 1, Refused.REDUCE_ONLY))
    assert kinds(out) == [do.Arm, do.ReadSnapshot]
    listed = (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1))
    assert do.SubmitExit(2, 1, QTY, at_band_edge=False) in run.feed(ev.Snapshot(QTY, listed))


def test_rule_12_chunks_two_reads_of_zero_then_the_sweep():
    run = protected()
    run.s = replace(run.s, limits=FLAT.limits)
    assert do.SubmitExit(1, 1, Decimal("0.2"), at_band_edge=False) in run.feed(ev.LatchChanged(Latch.FLATTENING))
    left = Decimal("0.3")
    run.feed(accepted(Leg.EXIT, 1), ev.PositionUpdate(left), ev.OrderUpdate(Leg.EXIT, 1, OrderStatus.FILLED))
    listed = (Listed(Leg.STOP, 1),)
    assert do.SubmitExit(2, 1, Decimal("0.2"), at_band_edge=False) in answer_reads(run, ev.Snapshot(left, listed))
    run.feed(accepted(Leg.EXIT, 2), ev.PositionUpdate(ZERO), ev.OrderUpdate(Leg.EXIT, 2, OrderStatus.FILLED))
    assert do.Cancel not in kinds(answer_reads(run, ev.Snapshot(ZERO, listed)))  # one read is not enough
    assert run.s.zeros == 1
    run.feed(fire(Timer.READ))
    assert do.Cancel(Leg.STOP, 1) in answer_reads(run, ev.Snapshot(ZERO, listed))
    assert run.s.locked
    run.feed(fire(Timer.READ))
    answer_reads(run, ev.Snapshot(ZERO))
    assert run.s.phase is Phase.FLAT


@pytest.mark.parametrize(("latch", "cancels"), [(Latch.FLATTENING, True), (Latch.HALTED, False)])
def test_rule_12_flattening_alone_cancels_what_a_hand_left(latch, cancels):
    run = protected()
    run.feed(ev.LatchChanged(latch))
    run.feed(refused(Leg.EXIT, 1, Refused.REDUCE_ONLY) if cancels else ev.ReadDue())
    answer_reads(run, ev.Snapshot(QTY, (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1)), foreign=True))
    assert bool(run.sent(do.CancelRegular)) is cancels
    assert not any(command.leg is Leg.STOP for command in run.sent(do.Cancel))


def test_rule_11_an_older_exit_that_rests_is_cancelled_before_the_next():
    run = protected()
    run.feed(fire(Timer.HOLD), refused(Leg.EXIT, 1, Refused.REDUCE_ONLY))
    listed = (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1), Listed(Leg.EXIT, 7))
    assert do.Cancel(Leg.EXIT, 7) in answer_reads(run, ev.Snapshot(QTY, listed))


def test_rule_12_outside_the_band_the_next_attempt_is_at_its_edge():
    run = protected()
    run.feed(fire(Timer.HOLD), refused(Leg.EXIT, 1, Refused.PRICE_BAND))
    out = run.feed(ev.Snapshot(QTY, (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1))))
    assert do.SubmitExit(2, 1, QTY, at_band_edge=True) in out


@pytest.mark.parametrize(
    "why", [Refused.PRICE_BAND, Refused.OTHER, Refused.TOO_SMALL, Refused.REDUCE_ONLY, Refused.UNAVAILABLE]
)
def test_rule_10_an_exit_that_is_refused_again_and_again_is_asked_for_at_its_pace_and_not_at_that_of_reading(why):
    run = protected()
    run.feed(fire(Timer.HOLD), refused(Leg.EXIT, 1, why))
    standing = ev.Snapshot(QTY, (Listed(Leg.STOP, 1), Listed(Leg.TARGET, 1)))
    if why in (Refused.PRICE_BAND, Refused.REDUCE_ONLY):  # the first answer may be mended by reading, or at the edge
        run.feed(standing, refused(Leg.EXIT, 2, why))
    for _ in range(5):
        assert do.SubmitExit not in kinds(run.feed(standing, ev.ReadDue()))
    assert do.SubmitExit in kinds(run.feed(fire(Timer.EXIT)))


def test_rule_13_a_closed_market_keeps_its_stop_says_so_and_is_tried_when_it_opens():
    run = protected()
    run.feed(ev.LatchChanged(Latch.FLATTENING))
    out = run.feed(refused(Leg.EXIT, 1, Refused.CLOSED))
    assert do.Alert("CANNOT_EXIT") in out
    assert do.Arm(Timer.EXIT, 5_000) in out
    assert run.s.phase is Phase.CANNOT_EXIT
    assert do.SubmitExit in kinds(run.feed(ev.MarketStatus(True)))
    assert not run.sent(do.Cancel)


def test_rule_14_nothing_is_sent_without_a_journal():
    run = Run(ev.EntryRequested(LONG))
    assert run.feed(ev.JournalAnswered(False)) == (do.Lapse(("NO_JOURNAL",)), do.Arm(Timer.READ, 2_000))
    assert not run.sent(do.SubmitEntry)
    assert kinds(entered().all).index(do.Journal) < kinds(entered().all).index(do.SubmitEntry)


def test_rule_15_a_restart_adopts_verifies_and_closes_what_is_overdue():
    run = Run(ev.Restarted(LONG, 1, 9, Latch.RUNNING, "time"))
    assert run.s.phase is Phase.RECOVERING
    run.feed(refused(Leg.STOP, 10, Refused.EXISTS), ev.Snapshot(QTY), ev.QueryAnswered(1, OrderStatus.FILLED, QTY))
    out = run.feed(ev.Snapshot(QTY, (Listed(Leg.STOP, 1),)))
    assert run.sent(do.SubmitExit) or do.SubmitExit in kinds(out)
    assert not run.sent(do.SubmitEntry)


def test_rule_16_a_snapshot_that_something_overtook_is_dropped():
    run = protected()
    run.feed(ev.ReadDue(), ev.PositionUpdate(QTY))
    assert do.ReadSnapshot in kinds(run.feed(ev.Snapshot(ZERO)))
    assert run.s.exposed
    run.feed(ev.Snapshot(QTY))  # one clean read is enough to place a stop anew
    assert run.sent(do.SubmitStop)[-1].attempt == 2


def test_rule_17_fills_nobody_asked_for_are_told_and_read():
    for kind, latch in ((ev.ForeignKind.ADL, Latch.FLATTENING), (ev.ForeignKind.MANUAL, Latch.HALTED)):
        out = protected().feed(ev.ForeignFill(kind))
        assert do.Trip(latch, kind.name) in out
        assert do.ReadSnapshot() in out


def test_incident_06_the_child_may_fill_before_its_parent_is_told_of():
    child = ev.OrderUpdate(Leg.STOP, 1, OrderStatus.FILLED, QTY)
    parent = [ev.AlgoUpdate(Leg.STOP, 1, AlgoStatus.TRIGGERED), ev.AlgoUpdate(Leg.STOP, 1, AlgoStatus.FINISHED)]
    ends = set()
    for order in ([child, *parent], [*parent, child], [parent[0], child, parent[1]], [child, child, *parent, *parent]):
        run = protected()
        run.feed(*order, ev.PositionUpdate(ZERO), ev.AlgoUpdate(Leg.TARGET, 1, AlgoStatus.EXPIRED))
        assert not run.sent(do.SubmitExit)
        read_flat(run)
        ends.add(run.s)
    assert len(ends) == 1
    assert ends.pop().phase is Phase.FLAT


def test_incident_20_a_position_without_a_plan_is_protected_and_halts():
    run = Run(ev.ReadDue(), ev.Snapshot(-QTY))
    assert do.SubmitStop(1, -1, None) in run.all
    assert do.Trip(Latch.HALTED, "UNPLANNED_POSITION") in run.all
    assert not run.sent(do.SubmitExit)


def test_dust_keeps_its_stop_and_sends_no_order_below_the_lot():
    run = protected()
    run.feed(ev.PositionUpdate(Decimal("0.05")), ev.CloseRequested("operator"))
    assert run.s.phase is Phase.DUST
    assert not run.sent(do.SubmitExit)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("qty", {"qty": Decimal("NaN")}),
        ("stop_price", {"stop_price": Decimal(120)}),
        ("direction", {"direction": 0}),
        ("target_price", {"target_price": Decimal(-1)}),
    ],
)
def test_bad_intents_are_refused_by_name(field, change):
    good = {"decision_id": "d", "direction": 1, "qty": QTY, "stop_price": Decimal(90), "target_price": Decimal(110)}
    with pytest.raises(InvalidInputError) as refusal:
        ev.Intent(**good | {"due_ts_ms": 0} | change)
    assert refusal.value.field == field


def test_a_position_that_is_no_number_is_refused():
    with pytest.raises(InvalidInputError):
        step(FLAT, ev.PositionUpdate(Decimal("NaN")))
