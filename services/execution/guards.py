"""What an entry needs besides the core's own checks (execution.md 4, 18, 23; D44). Pure: every reason against at once.

Whatever is unknown counts against the entry: a missing quote, an age nobody measured, a number that is none.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from packages.common.config import Settings
from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS
from packages.exchange import filters
from packages.exchange.port import Bracket, Brackets, InstrumentInfo
from services.execution import kill_switch
from services.execution.kill_switch import EntryAsked, KillState

ZERO = Decimal(0)
# A perpetual's delivery lies in the year 2100; one that comes nearer is a delisting.
_NEVER_MS = 3_650 * DAY_MS
LEAVE_BEFORE_MS = DAY_MS


class Refusal(StrEnum):
    """Why an entry is not sent; the kill-switch's blocks come with their own words (``kill_switch.Trigger``)."""

    # the moment
    LEASE_STALE = "LEASE_STALE"
    INTENT_STALE = "INTENT_STALE"
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    MARK_GAP_TOO_WIDE = "MARK_GAP_TOO_WIDE"
    STOP_PATH_UNPROVEN = "STOP_PATH_UNPROVEN"
    RUNAWAY = "RUNAWAY"
    ORDER_NOTIONAL = "ORDER_NOTIONAL"
    CAPITAL_LIMIT = "CAPITAL_LIMIT"
    PAUSED = "PAUSED"
    DELIVERY_MOVED = "DELIVERY_MOVED"
    MODEL_STALE = "MODEL_STALE"
    # the order
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    SYMBOL_NOT_TRADABLE = "SYMBOL_NOT_TRADABLE"
    NO_FILTERS = "NO_FILTERS"
    NO_BRACKETS = "NO_BRACKETS"
    NO_EQUITY = "NO_EQUITY"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    DIRECTION = "DIRECTION"
    STOP_WRONG_SIDE = "STOP_WRONG_SIDE"
    TARGET_WRONG_SIDE = "TARGET_WRONG_SIDE"
    STOP_TOUCHED = "STOP_TOUCHED"
    TARGET_TOUCHED = "TARGET_TOUCHED"
    OFF_GRID = "OFF_GRID"
    BELOW_MARKET_LOT = "BELOW_MARKET_LOT"
    ABOVE_MARKET_LOT = "ABOVE_MARKET_LOT"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    LEVERAGE_ABOVE_BRACKET = "LEVERAGE_ABOVE_BRACKET"
    DUE_PASSED = "DUE_PASSED"


class Order(Protocol):
    """A bracket as it is asked for (``ports.EntryOrder``)."""

    @property
    def symbol(self) -> str: ...
    @property
    def direction(self) -> int: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def leverage(self) -> int: ...
    @property
    def stop_price(self) -> Decimal: ...
    @property
    def target_price(self) -> Decimal: ...
    @property
    def reference_price(self) -> Decimal: ...
    @property
    def decided_ts_ms(self) -> int: ...
    @property
    def due_ts_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """``lease_ms`` is wall time, ``intent_ms`` wall time too (times the speed it is market time), ``model_ms`` market
    time; basis points of the mark. ``rates``: the runaway guard's part of the kill-switch's limits.

    ``staged_exits``: parts of the quantity at parts of the way from the entry to the target.
    ``capital_limit`` and its ``stage`` cap the equity that is traded on (D44), in quote units and as a fraction.
    """

    rates: kill_switch.Limits = field(default_factory=kill_switch.Limits)
    lease_ms: float = 2_000
    intent_ms: float = 5_000
    spread_bps: float = 10.0
    mark_gap_bps: float = 20.0
    model_ms: float = 45 * DAY_MS
    capital_limit: Decimal | None = None
    stage: Decimal = Decimal(1)
    staged_exits: tuple[tuple[float, float], ...] = ()


def entry_limits(settings: Settings) -> EntryLimits:
    """The limits that the settings name, the kill-switch's (``rates``) among them."""
    capital = settings.capital_limit_usdt
    return EntryLimits(
        rates=kill_switch.Limits(
            bar_age_ms=settings.stale_after_ms,
            day_loss=settings.daily_loss_limit_pct,
            week_loss=settings.weekly_loss_limit_pct,
            drawdown=settings.drawdown_limit_pct,
            entries_minute=settings.entries_per_minute,
            entries_hour=settings.entries_per_hour,
            entries_day=settings.entries_per_day,
            order_notional=settings.max_order_notional_pct,
        ),
        staged_exits=settings.staged_exits,
        spread_bps=settings.max_spread_bps,
        mark_gap_bps=settings.max_mark_gap_bps,
        model_ms=settings.model_max_age_days * DAY_MS,
        capital_limit=None if capital is None else Decimal(repr(capital)),
        stage=Decimal(repr(settings.capital_stage_pct)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFacts:
    """The moment of an entry; None: not known. ``kill`` is an evaluation of this moment.

    ``lease_age_ms``: since the lease was seen held, by the monotonic clock. ``equity`` and ``used_margin`` (initial
    margin of what is open) of the account in quote units. ``entries``: those that counted within a day, this one not.
    ``model_age_ms``: market time since the end of the data the model knows.
    """

    now_ms: int
    kill: KillState
    info: InstrumentInfo | None
    brackets: Brackets | None
    speed: float = 1.0
    lease_age_ms: float | None = None
    mark: Decimal | None = None
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    equity: Decimal | None = None
    used_margin: Decimal | None = None
    stop_path_proven: bool = False
    paused: bool = False
    entries: Sequence[EntryAsked] = ()
    model_age_ms: float | None = None


def sizing_equity(equity: Decimal, limits: EntryLimits) -> Decimal:
    """The equity that the kernel may size on: the account's, capped by the capital limit and its stage."""
    cap = equity if limits.capital_limit is None else limits.capital_limit
    return min(equity, cap * limits.stage)


def notional_share(order: Order, equity: Decimal | None, limits: EntryLimits) -> float:
    """Notional of ``order`` as a share of the sizing equity; NaN when there is no such number."""
    if equity is None or not all(value.is_finite() for value in (equity, order.quantity, order.reference_price)):
        return math.nan
    base = sizing_equity(equity, limits)
    return float(order.quantity * order.reference_price / base) if base > 0 else math.nan


def counts(refusals: Sequence[str]) -> bool:
    """An entry counts for the runaway guard (``EntryAsked``) when it is sent, or refused by that guard itself: then the
    kill-switch sees one too many, and halts."""
    return not refusals or Refusal.RUNAWAY in refusals or Refusal.ORDER_NOTIONAL in refusals


def must_leave(info: InstrumentInfo, now_ms: int) -> bool:
    """A position must be out: its contract is delivered within a day."""
    return 0 < info.delivery_ts_ms <= now_ms + LEAVE_BEFORE_MS


def entry_refusals(order: Order, facts: EntryFacts, limits: EntryLimits) -> tuple[str, ...]:
    """Every reason against ``order`` now, the kill-switch's first; empty when it may be sent."""
    found: list[str] = [*facts.kill.reasons(order.symbol)]
    found += moment_refusals(order, facts, limits)
    found += order_refusals(order, facts)
    found += capital_refusals(order, facts, limits)
    return tuple(dict.fromkeys(found))


def moment_refusals(order: Order, facts: EntryFacts, limits: EntryLimits) -> list[Refusal]:
    """Rule 4: what this moment must be like."""
    age_ms = facts.now_ms - order.decided_ts_ms
    intent_ms = limits.intent_ms * facts.speed
    tests = {
        Refusal.LEASE_STALE: not _within(facts.lease_age_ms, limits.lease_ms),
        # one from the future was dated by another clock: its age says nothing
        Refusal.INTENT_STALE: not -intent_ms <= age_ms <= intent_ms,
        Refusal.STOP_PATH_UNPROVEN: not facts.stop_path_proven,
        Refusal.PAUSED: facts.paused,
        Refusal.MODEL_STALE: not _within(facts.model_age_ms, limits.model_ms),
        Refusal.RUNAWAY: _runaway(facts, limits.rates),
    }
    return [*_true(tests), *_price_refusals(facts, limits)]


def order_refusals(order: Order, facts: EntryFacts) -> list[Refusal]:
    """Whether it is an order at all: what fails here must never reach the wire."""
    info = facts.info
    if info is None or info.symbol != order.symbol:
        return [Refusal.UNKNOWN_SYMBOL]
    prices = (order.stop_price, order.target_price, order.reference_price)
    if not all(_positive(value) for value in (order.quantity, *prices)):
        return [Refusal.NOT_A_NUMBER]
    if order.direction not in (1, -1):
        return [Refusal.DIRECTION]
    side, mark = order.direction, facts.mark
    tests = {
        Refusal.SYMBOL_NOT_TRADABLE: info.status != "TRADING",
        Refusal.DELIVERY_MOVED: 0 < info.delivery_ts_ms < facts.now_ms + _NEVER_MS,
        Refusal.DUE_PASSED: order.due_ts_ms <= facts.now_ms,
        Refusal.STOP_WRONG_SIDE: (order.reference_price - order.stop_price) * side <= 0,
        Refusal.TARGET_WRONG_SIDE: (order.target_price - order.reference_price) * side <= 0,
    }
    if mark is not None and _positive(mark):
        tests[Refusal.STOP_TOUCHED] = (mark - order.stop_price) * side <= 0
        tests[Refusal.TARGET_TOUCHED] = (order.target_price - mark) * side <= 0
    return [*_true(tests), *_filter_refusals(order, info), *_bracket_refusals(order, facts.brackets)]


def capital_refusals(order: Order, facts: EntryFacts, limits: EntryLimits) -> list[Refusal]:
    """How much of the account it may take (D44)."""
    equity, used = facts.equity, facts.used_margin
    if equity is None or not _positive(equity) or used is None or not used.is_finite():
        return [Refusal.NO_EQUITY]
    base, share = sizing_equity(equity, limits), notional_share(order, equity, limits)
    if not base > 0:
        return [Refusal.NO_EQUITY]
    margin = float(used / base) + share / order.leverage if order.leverage >= 1 else math.nan
    return _true(
        {
            Refusal.ORDER_NOTIONAL: not share <= limits.rates.order_notional,
            Refusal.CAPITAL_LIMIT: not margin <= 1.0,
        }
    )


def _price_refusals(facts: EntryFacts, limits: EntryLimits) -> list[Refusal]:
    mark, last, bid, ask = facts.mark, facts.last, facts.bid, facts.ask
    if mark is None or last is None or bid is None or ask is None:
        return [Refusal.PRICE_UNKNOWN]
    if not all(_positive(price) for price in (mark, last, bid, ask)) or ask < bid:
        return [Refusal.PRICE_UNKNOWN]
    return _true(
        {
            Refusal.SPREAD_TOO_WIDE: float((ask - bid) / mark) * 1e4 > limits.spread_bps,
            Refusal.MARK_GAP_TOO_WIDE: float(abs(last - mark) / mark) * 1e4 > limits.mark_gap_bps,
        }
    )


def _filter_refusals(order: Order, info: InstrumentInfo) -> list[Refusal]:
    """By the very functions that write the order; only what they say is sorted here."""
    try:
        floored = filters.floor_quantity(info, order.quantity, market=True)
        prices = (order.stop_price, order.target_price)
        on_tick = all(filters.round_price(info, price, up=False) == price for price in prices)
    except InvalidInputError as exc:
        return [Refusal.NO_FILTERS if exc.field in ("tick_size", "step_size") else Refusal.NOT_A_NUMBER]
    found = [] if on_tick else [Refusal.OFF_GRID]
    if floored == 0:
        found.append(Refusal.BELOW_MARKET_LOT)
    elif floored != order.quantity:
        found.append(Refusal.OFF_GRID)
    else:
        try:
            filters.quantity_text(info, order.quantity, market=True)
        except InvalidInputError:
            found.append(Refusal.ABOVE_MARKET_LOT)
    if info.min_notional is not None and order.quantity * order.reference_price < info.min_notional:
        found.append(Refusal.MIN_NOTIONAL)
    return found


def _bracket_refusals(order: Order, brackets: Brackets | None) -> list[Refusal]:
    if brackets is None or not brackets.brackets:
        return [Refusal.NO_BRACKETS]
    tier = _tier(brackets.brackets, float(order.quantity * order.reference_price))
    fits = tier is not None and 1 <= order.leverage <= tier.initial_leverage
    return [] if fits else [Refusal.LEVERAGE_ABOVE_BRACKET]


def _tier(tiers: Iterable[Bracket], notional: float) -> Bracket | None:
    return next((tier for tier in tiers if notional <= tier.notional_cap), None)


def _runaway(facts: EntryFacts, limits: kill_switch.Limits) -> bool:
    """One more entry would be too many in its minute, hour or day. The one refused counts too, and then halts."""
    asked = [entry.ts_ms for entry in facts.entries if entry.ts_ms > facts.kill.resumed_ms]
    return any(
        sum(ts_ms > facts.now_ms - window for ts_ms in asked) >= most for _, window, most in kill_switch.rates(limits)
    )


def _within(age_ms: float | None, limit_ms: float) -> bool:
    return age_ms is not None and age_ms <= limit_ms


def _positive(value: Decimal) -> bool:
    return value.is_finite() and value > 0


def _true(tests: dict[Refusal, bool]) -> list[Refusal]:
    return [refusal for refusal, found in tests.items() if found]
