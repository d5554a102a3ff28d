"""The exchange's words in the core's: whose an order is, in every order of events."""

from decimal import Decimal

from packages.common import ids
from packages.exchange import trading as wire
from services.execution.core import events as ev
from services.execution.core.events import Intent
from services.execution.core.state import Bracket, Limits
from services.execution.translate import Translator, order_id

D = Decimal
SYMBOL = "BTCUSDT"
STOP_ID = order_id("desk", "d", ev.Leg.STOP, 3)
PLAN = Bracket(Limits(D("0.001"), D(100)), intent=Intent("d", 1, D(1), D(90), D(110), 9))


def order_update(client_id, order_number=7, *, reduce_only=True, status=wire.OrderStatus.FILLED):
    return wire.OrderUpdate(
        1, 1, SYMBOL, order_number, client_id, wire.Side.SELL, "MARKET", wire.Execution.TRADE, status, D(1), D(0),
        D(100), D(1), D(1), D(100), 5, D(0), "USDT", D(0), False, reduce_only, False, 0, "BOTH",
    )  # fmt: skip


def algo_update(client_id, status, child=None):
    return wire.AlgoUpdate(
        1, 1, SYMBOL, 50, client_id, wire.Side.SELL, "STOP_MARKET", status, D(90), "MARK_PRICE", True, True, None,
        child, D(0), D(0), None, "",
    )  # fmt: skip


def algo(client_id, *, status=wire.AlgoStatus.NEW, trigger="90", side=wire.Side.SELL, kind="STOP_MARKET", whole=True):
    return wire.AlgoOrder(
        SYMBOL, 50, client_id, side, kind, status, D(trigger), "MARK_PRICE", False, whole, True,
        None if whole else D(1), None, None, 1,
    )  # fmt: skip


def test_the_child_of_a_trigger_is_claimed_before_or_after_its_fill():
    told = ev.OrderUpdate(ev.Leg.STOP, 3, ev.OrderStatus.FILLED, D(1))
    first = Translator("desk")
    assert [event for _, event in first.events(algo_update(STOP_ID, wire.AlgoStatus.TRIGGERED, child=7))] == [
        ev.AlgoUpdate(ev.Leg.STOP, 3, ev.AlgoStatus.TRIGGERED)
    ]
    assert first.events(order_update("x7")) == [(SYMBOL, told)]
    later = Translator("desk")
    assert later.events(order_update("x7")) == [(SYMBOL, ev.ReadDue())]
    claimed = later.events(algo_update(STOP_ID, wire.AlgoStatus.TRIGGERED, child=7))
    assert claimed == [(SYMBOL, told), (SYMBOL, ev.AlgoUpdate(ev.Leg.STOP, 3, ev.AlgoStatus.TRIGGERED))]
    assert [later.strangers() for _ in range(3)] == [[], [], []]
    assert later.owner(SYMBOL, 7, "") == (ev.Leg.STOP, 3)


def test_a_closing_order_that_nobody_claims_is_a_strangers():
    translator = Translator("desk")
    translator.events(order_update("web_1"))
    assert translator.strangers() == []
    assert translator.strangers() == [(SYMBOL, ev.ForeignFill(ev.ForeignKind.MANUAL))]
    assert translator.strangers() == []


def test_an_opening_order_of_a_stranger_is_one_at_once():
    found = Translator("desk").events(order_update("web_1", reduce_only=False))
    assert found == [(SYMBOL, ev.ForeignFill(ev.ForeignKind.MANUAL))]


def test_another_instance_is_a_stranger():
    other = order_id("other", "d", ev.Leg.STOP, 3)
    translator = Translator("desk")
    assert translator.named(other) is None
    assert not translator.ours(other)
    assert translator.snapshot(PLAN, D(1), [], [algo(other)]).foreign


def test_the_exchanges_own_orders_are_known_by_their_names():
    for name, kind in (
        ("autoclose-1", ev.ForeignKind.LIQUIDATION),
        ("adl_autoclose", ev.ForeignKind.ADL),
        ("settlement_autoclose-1", ev.ForeignKind.SETTLEMENT),
    ):
        assert Translator("desk").events(order_update(name)) == [(SYMBOL, ev.ForeignFill(kind))]


def test_the_canary_is_ours_and_no_leg():
    name = ids.client_order_id("desk", "canary:1", ids.Leg.CANARY, 1)
    translator = Translator("desk")
    assert translator.ours(name)
    assert translator.named(name) is None
    assert translator.events(algo_update(name, wire.AlgoStatus.NEW)) == []


def test_a_listed_stop_is_ours_only_as_it_was_planned():
    translator = Translator("desk")

    def matches(**changes):
        (row,) = translator.snapshot(PLAN, D(1), [], [algo(STOP_ID, **changes)]).listed
        return row.matches

    assert matches()
    assert not matches(trigger="91")
    assert not matches(side=wire.Side.BUY)
    assert not matches(kind="TAKE_PROFIT_MARKET")
    assert not matches(whole=False)


def test_a_stop_that_has_triggered_is_no_protection_and_still_swept_when_flat():
    translator = Translator("desk")
    for status in (wire.AlgoStatus.TRIGGERING, wire.AlgoStatus.TRIGGERED):
        assert translator.snapshot(PLAN, D(1), [], [algo(STOP_ID, status=status)]).listed == ()
        assert len(translator.snapshot(PLAN, D(0), [], [algo(STOP_ID, status=status)]).listed) == 1


def test_a_position_without_a_plan_takes_any_stop_that_closes_it():
    bare = Bracket(Limits(D("0.001"), D(100)))
    translator = Translator("desk")
    (row,) = translator.snapshot(bare, D(1), [], [algo(STOP_ID, trigger="55")]).listed
    assert row.matches
    (row,) = translator.snapshot(bare, D(-1), [], [algo(STOP_ID, trigger="55")]).listed
    assert not row.matches
