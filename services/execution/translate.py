"""The exchange's words into the core's and back: events, snapshots, refusals. Pure; the core never sees a wire record.

An order is ours when its client id carries our instance; the child of a triggered order is known by its parent's client
id or by the number that ALGO_UPDATE names, whichever the exchange keeps (reference §2.5).
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from packages.common import ids
from packages.exchange import trading as wire
from services.execution.core import events as ev
from services.execution.core.state import Bracket

_LEGS = MappingProxyType(
    {
        ids.Leg.ENTRY: ev.Leg.ENTRY,
        ids.Leg.STOP: ev.Leg.STOP,
        ids.Leg.TARGET: ev.Leg.TARGET,
        ids.Leg.EXIT: ev.Leg.EXIT,
        ids.Leg.STAGE: ev.Leg.STAGE,
    }
)
_ID_LEGS = MappingProxyType({core: leg for leg, core in _LEGS.items()})
_ORDER = MappingProxyType(
    {
        wire.OrderStatus.PARTIALLY_FILLED: ev.OrderStatus.PARTIAL,
        wire.OrderStatus.FILLED: ev.OrderStatus.FILLED,
        wire.OrderStatus.CANCELED: ev.OrderStatus.CANCELED,
        wire.OrderStatus.REJECTED: ev.OrderStatus.CANCELED,
        wire.OrderStatus.EXPIRED: ev.OrderStatus.EXPIRED,
        wire.OrderStatus.EXPIRED_IN_MATCH: ev.OrderStatus.EXPIRED,
    }
)
_ALGO = MappingProxyType(
    {
        wire.AlgoStatus.NEW: ev.AlgoStatus.NEW,
        wire.AlgoStatus.TRIGGERING: ev.AlgoStatus.TRIGGERING,
        wire.AlgoStatus.TRIGGERED: ev.AlgoStatus.TRIGGERED,
        wire.AlgoStatus.FINISHED: ev.AlgoStatus.FINISHED,
        wire.AlgoStatus.CANCELED: ev.AlgoStatus.CANCELED,
        wire.AlgoStatus.EXPIRED: ev.AlgoStatus.EXPIRED,
        wire.AlgoStatus.REJECTED: ev.AlgoStatus.REJECTED,
    }
)
_REFUSED = MappingProxyType(
    {
        wire.RejectReason.NO_POSITION: ev.Refused.NO_POSITION,
        wire.RejectReason.STOP_EXISTS: ev.Refused.EXISTS,
        wire.RejectReason.WOULD_TRIGGER: ev.Refused.WOULD_TRIGGER,
        wire.RejectReason.REDUCE_ONLY: ev.Refused.REDUCE_ONLY,
        wire.RejectReason.PRICE_BAND: ev.Refused.PRICE_BAND,
        wire.RejectReason.SYMBOL: ev.Refused.CLOSED,
        wire.RejectReason.RATE_LIMITED: ev.Refused.UNAVAILABLE,
        wire.RejectReason.NO_ROOM: ev.Refused.UNAVAILABLE,
        wire.RejectReason.NOT_SENT: ev.Refused.UNAVAILABLE,
        wire.RejectReason.CLOCK: ev.Refused.UNAVAILABLE,
        wire.RejectReason.RULES_CHANGED: ev.Refused.UNAVAILABLE,
        wire.RejectReason.NOT_FILLABLE: ev.Refused.UNAVAILABLE,
    }
)
# Nothing against the order itself, which was surely not executed: asked again, it may be taken.
NOT_TAKEN = frozenset(reason for reason, refused in _REFUSED.items() if refused is ev.Refused.UNAVAILABLE)
# The exchange's own orders (reference §5.2): whatever else is not ours was done by hand or by another program.
_OF_THE_EXCHANGE = (
    ("autoclose-", ev.ForeignKind.LIQUIDATION),
    ("adl_autoclose", ev.ForeignKind.ADL),
    ("settlement_autoclose-", ev.ForeignKind.SETTLEMENT),
    ("delivery_autoclose-", ev.ForeignKind.SETTLEMENT),
)
_FILLS = frozenset({wire.Execution.TRADE, wire.Execution.CALCULATED})
_TRIGGERED = frozenset({wire.AlgoStatus.TRIGGERING, wire.AlgoStatus.TRIGGERED})
_CHILDREN_KEPT = 4_096


class Named(NamedTuple):
    """An order of ours as the core names it."""

    leg: ev.Leg
    attempt: int


def order_id(instance: str, decision_id: str, leg: ev.Leg, attempt: int) -> str:
    """The client id of one attempt at one leg."""
    return ids.client_order_id(instance, decision_id, _ID_LEGS[leg], attempt)


def closing_side(direction: int) -> wire.Side:
    """The side that closes a position of ``direction``."""
    return wire.Side.SELL if direction > 0 else wire.Side.BUY


def opening_side(direction: int) -> wire.Side:
    """The side that opens a position of ``direction``."""
    return wire.Side.BUY if direction > 0 else wire.Side.SELL


def foreign_kind(client_id: str) -> ev.ForeignKind:
    """Who placed an order that is not ours."""
    return next((kind for start, kind in _OF_THE_EXCHANGE if client_id.startswith(start)), ev.ForeignKind.MANUAL)


def refusal(answer: wire.Rejected) -> ev.Refused:
    """What a definite no means to the core."""
    return _REFUSED.get(answer.reason, ev.Refused.OTHER)


def answer_of(leg: ev.Leg, attempt: int, outcome: wire.Outcome[wire.Order] | wire.Outcome[wire.AlgoOrder]) -> ev.Event:
    """The one answer to a submit command."""
    match outcome:
        case wire.Accepted(record=wire.Order() as order):
            return ev.SubmitAnswered(leg, attempt, ev.Outcome.ACCEPTED, filled=order.filled, done=order.status.terminal)
        case wire.Accepted():
            return ev.SubmitAnswered(leg, attempt, ev.Outcome.ACCEPTED)
        case wire.Rejected():
            return ev.SubmitAnswered(leg, attempt, ev.Outcome.REJECTED, refusal(outcome))
        case wire.Unknown():
            return ev.SubmitAnswered(leg, attempt, ev.Outcome.UNKNOWN)


def query_answer(attempt: int, order: wire.Order | None, *, traded: bool) -> ev.QueryAnswered:
    """What GET of the entry says. An order without a status that we know counts as working: it is asked again."""
    if order is None:
        return ev.QueryAnswered(attempt, None, traded=traded)
    return ev.QueryAnswered(attempt, _ORDER.get(order.status, ev.OrderStatus.NEW), order.filled)


class Translator:
    """User-stream records into core events by symbol. Remembers which orders are children of ours.

    A closing order with an unknown id is either the child of a trigger whose parent has not been heard of yet, or a
    stranger's: it waits unclaimed for ALGO_UPDATE, and is a stranger's when its time is up.
    """

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self._children: OrderedDict[tuple[str, int], Named] = OrderedDict()
        self._unclaimed: dict[tuple[str, int], wire.OrderUpdate] = {}
        self._long_unclaimed: dict[tuple[str, int], wire.OrderUpdate] = {}

    def named(self, client_id: str) -> Named | None:
        """Which of our orders carries this id; None for everybody else's, and for the canary's."""
        parsed = ids.parse_order_id(client_id)
        if parsed is None or parsed.instance != self.instance or parsed.leg not in _LEGS:
            return None
        return Named(_LEGS[parsed.leg], parsed.attempt)

    def owner(self, symbol: str, order_id: int, client_id: str) -> Named | None:
        """Which of our orders this one is, or whose child."""
        return self.named(client_id) or self._children.get((symbol, order_id))

    def ours(self, client_id: str) -> bool:
        """True for every order of this desk, the canary's included."""
        parsed = ids.parse_order_id(client_id)
        return parsed is not None and parsed.instance == self.instance

    def events(self, item: wire.UserEvent) -> list[tuple[str, ev.Event]]:
        """The core events in ``item``, each with its symbol, in order. What concerns the account alone gives none."""
        match item:
            case wire.OrderUpdate():
                return [(item.symbol, event) for event in self._order(item)]
            case wire.FillNotice():
                return [(item.symbol, self._fill(item))]
            case wire.AlgoUpdate():
                return [(item.symbol, event) for event in self._algo(item)]
            case wire.AccountUpdate():
                return [(row.symbol, ev.PositionUpdate(row.amount)) for row in item.positions if row.side == "BOTH"]
            case _:
                return []

    def strangers(self) -> list[tuple[str, ev.Event]]:
        """Give up on the orders that nobody claimed since the call before this one; to be called every few seconds."""
        due = [symbol for symbol, _ in self._long_unclaimed]
        self._long_unclaimed, self._unclaimed = self._unclaimed, {}
        return [(symbol, ev.ForeignFill(ev.ForeignKind.MANUAL)) for symbol in due]

    # --- one record -------------------------------------------------------------------------------------------------

    def _order(self, item: wire.OrderUpdate) -> Iterable[ev.Event]:
        key = (item.symbol, item.order_id)
        named = self.owner(*key, item.client_id)
        if named is not None:
            return [_order_event(named, item)]
        if self.ours(item.client_id):
            return [ev.ReadDue()]
        kind = foreign_kind(item.client_id)
        if kind is ev.ForeignKind.MANUAL and item.close_position | item.reduce_only:
            self._unclaimed[key] = item
            return [ev.ReadDue()]
        if item.execution in _FILLS or kind is ev.ForeignKind.MANUAL:
            return [ev.ForeignFill(kind)]
        return [ev.ReadDue()]

    def _fill(self, item: wire.FillNotice) -> ev.Event:
        named = self.owner(item.symbol, item.order_id, item.client_id)
        if named is None:
            return ev.ReadDue()  # its ORDER_TRADE_UPDATE says whose it is
        return ev.OrderUpdate(*named, ev.OrderStatus.PARTIAL, item.last_quantity)

    def _algo(self, item: wire.AlgoUpdate) -> Iterable[ev.Event]:
        named = self.named(item.client_id)
        if named is None:
            if self.ours(item.client_id):
                return []
            return [ev.ForeignFill(ev.ForeignKind.MANUAL) if item.status is wire.AlgoStatus.NEW else ev.ReadDue()]
        claimed: list[ev.Event] = []
        if item.child_order_id is not None:
            key = (item.symbol, item.child_order_id)
            self._children[key] = named
            if len(self._children) > _CHILDREN_KEPT:
                self._children.popitem(last=False)
            for unclaimed in (self._long_unclaimed, self._unclaimed):
                if key in unclaimed:
                    claimed.append(_order_event(named, unclaimed.pop(key)))
        status = _ALGO.get(item.status)
        if status is None:
            return [*claimed, ev.ReadDue()]
        return [*claimed, ev.AlgoUpdate(named.leg, named.attempt, status)]

    # --- snapshots --------------------------------------------------------------------------------------------------

    def snapshot(
        self,
        bracket: Bracket,
        position: Decimal,
        orders: Sequence[wire.Order],
        algos: Sequence[wire.AlgoOrder],
        tick: Decimal | None = None,
    ) -> ev.Snapshot:
        """What REST shows of one symbol, read against the bracket's plan. ``tick``: of the symbol now; a plan made on a
        finer one stands at the exchange on the next price of this one."""
        listed, foreign = [], False
        for order in orders:
            named = self.owner(order.symbol, order.order_id, order.client_id)
            if named is not None and named.leg in (ev.Leg.ENTRY, ev.Leg.EXIT, ev.Leg.STAGE):
                listed.append(ev.Listed(*named))
            elif named is None:
                foreign = foreign or foreign_kind(order.client_id) is ev.ForeignKind.MANUAL
        for algo in algos:
            named = self.named(algo.client_id)
            if named is not None and position != 0 and algo.status in _TRIGGERED:
                continue  # it protects nothing any more, and may be stuck (rule 8)
            if named is not None:
                listed.append(ev.Listed(*named, matches=_as_planned(bracket, named.leg, position, algo, tick)))
            elif not self.ours(algo.client_id):
                foreign = True
        return ev.Snapshot(position, tuple(listed), foreign)


def _order_event(named: Named, item: wire.OrderUpdate) -> ev.OrderUpdate:
    return ev.OrderUpdate(*named, _ORDER.get(item.status, ev.OrderStatus.NEW), item.filled)


def _as_planned(bracket: Bracket, leg: ev.Leg, position: Decimal, algo: wire.AlgoOrder, tick: Decimal | None) -> bool:
    """Rule 7: our trigger, side and working type. A position without a plan takes any stop that closes it."""
    kind = "STOP_MARKET" if leg is ev.Leg.STOP else "TAKE_PROFIT_MARKET"
    if not algo.close_position or algo.working_type != "MARK_PRICE" or algo.type != kind:
        return False
    plan = bracket.intent
    direction = (1 if position > 0 else -1) if position != 0 else plan.direction if plan is not None else 0
    if direction != 0 and algo.side is not closing_side(direction):
        return False
    if plan is None or plan.direction != direction:
        return True
    off = abs(algo.trigger_price - (plan.stop_price if leg is ev.Leg.STOP else plan.target_price))
    return off == 0 or (tick is not None and off < tick)
