"""What an entry needs from outside the core, reason by reason; a bad order never reaches the wire."""

from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.config import load_settings
from packages.common.time import DAY_MS
from packages.exchange.port import Bracket, Brackets
from packages.exchange.tests.fake_exchange import instrument
from services.execution.guards import (
    EntryFacts,
    EntryLimits,
    Refusal,
    counts,
    entry_limits,
    entry_refusals,
    must_leave,
    notional_share,
    order_refusals,
    sizing_equity,
)
from services.execution.kill_switch import EntryAsked, Facts, KillState, Limits, evaluate

D = Decimal
NOW = 20_000 * DAY_MS
LIMITS = EntryLimits()
INFO = msgspec.structs.replace(instrument("BTCUSDT"), min_notional=D(50))
BRACKETS = Brackets("BTCUSDT", (Bracket(1, 20, 0, 10_000, 0.01, 0), Bracket(2, 5, 10_000, 50_000, 0.02, 100)))


@dataclass(frozen=True)
class Asked:
    symbol: str = "BTCUSDT"
    direction: int = 1
    quantity: Decimal = Decimal("0.100")
    leverage: int = 5
    stop_price: Decimal = Decimal("9900.0")
    target_price: Decimal = Decimal("10200.0")
    reference_price: Decimal = Decimal("10000.0")
    decided_ts_ms: int = NOW - 800
    due_ts_ms: int = NOW + DAY_MS


FACTS = EntryFacts(
    now_ms=NOW, kill=KillState(), info=INFO, brackets=BRACKETS, lease_age_ms=900.0, mark=D(10_000), last=D(10_001),
    bid=D(10_000), ask=D("10000.1"), equity=D(10_000), used_margin=D(0), stop_path_proven=True, model_age_ms=1e6,
)  # fmt: skip


def refusals(order=None, limits=LIMITS, **facts):
    return entry_refusals(order or Asked(), replace(FACTS, **facts), limits)


def entries(count, every_ms):
    return [EntryAsked(NOW - n * every_ms, "ETHUSDT", 0.1) for n in range(count)]


def test_nothing_speaks_against_a_sane_entry():
    assert refusals() == ()
    short = Asked(direction=-1, stop_price=D(10_100), target_price=D(9_800))
    assert refusals(short) == ()


MOMENTS = {
    "lease checked too long ago": ({"lease_age_ms": 2_000.1}, ["LEASE_STALE"]),
    "lease never checked": ({"lease_age_ms": None}, ["LEASE_STALE"]),
    "spread": ({"ask": D("10010.1")}, ["SPREAD_TOO_WIDE"]),
    "last above the mark": ({"last": D("10020.1")}, ["MARK_GAP_TOO_WIDE"]),
    "last below the mark": ({"last": D("9979.9")}, ["MARK_GAP_TOO_WIDE"]),
    "no quote": ({"bid": None}, ["PRICE_UNKNOWN"]),
    "no mark": ({"mark": None}, ["PRICE_UNKNOWN"]),
    "a mark that is none": ({"mark": D("NaN")}, ["PRICE_UNKNOWN"]),
    "a crossed quote": ({"ask": D(9_999)}, ["PRICE_UNKNOWN"]),
    "stop path unproven": ({"stop_path_proven": False}, ["STOP_PATH_UNPROVEN"]),
    "symbol paused": ({"paused": True}, ["PAUSED"]),
    "old model": ({"model_age_ms": 45.0 * DAY_MS + 1}, ["MODEL_STALE"]),
    "no model": ({"model_age_ms": None}, ["MODEL_STALE"]),
    "six in a minute": ({"entries": entries(6, 9_000)}, ["RUNAWAY"]),
    "thirty in an hour": ({"entries": entries(30, 110_000)}, ["RUNAWAY"]),
    "two hundred in a day": ({"entries": entries(200, 400_000)}, ["RUNAWAY"]),
    "no equity": ({"equity": D(0)}, ["NO_EQUITY"]),
    "equity unknown": ({"equity": None}, ["NO_EQUITY"]),
    "equity not a number": ({"equity": D("NaN")}, ["NO_EQUITY"]),
    "margin unknown": ({"used_margin": None}, ["NO_EQUITY"]),
    "a large part of the account": ({"equity": D(1_999)}, ["ORDER_NOTIONAL"]),
    "margin in use": ({"used_margin": D(9_801)}, ["CAPITAL_LIMIT"]),
    "symbol not listed": ({"info": None}, ["UNKNOWN_SYMBOL"]),
    "rules of another symbol": ({"info": instrument("ETHUSDT")}, ["UNKNOWN_SYMBOL"]),
    "symbol halted": ({"info": msgspec.structs.replace(INFO, status="BREAK")}, ["SYMBOL_NOT_TRADABLE"]),
    "delivery moved": ({"info": msgspec.structs.replace(INFO, delivery_ts_ms=NOW + 7 * DAY_MS)}, ["DELIVERY_MOVED"]),
    "no tick": ({"info": msgspec.structs.replace(INFO, tick_size=None)}, ["NO_FILTERS"]),
    "brackets unknown": ({"brackets": None}, ["NO_BRACKETS"]),
    "stop touched already": ({"mark": D(9_900), "last": D(9_900), "bid": D(9_900), "ask": D(9_900)}, ["STOP_TOUCHED"]),
    "target touched already": (
        {"mark": D(10_200), "last": D(10_200), "bid": D(10_200), "ask": D(10_200)},
        ["TARGET_TOUCHED"],
    ),
}
ORDERS = {
    "too old": ({"decided_ts_ms": NOW - 5_001}, ["INTENT_STALE"]),
    "from the future": ({"decided_ts_ms": NOW + 5_001}, ["INTENT_STALE"]),
    "time exit passed": ({"due_ts_ms": NOW}, ["DUE_PASSED"]),
    "stop on the wrong side": ({"stop_price": D(10_001)}, ["STOP_WRONG_SIDE", "STOP_TOUCHED"]),
    "target on the wrong side": ({"target_price": D(9_999)}, ["TARGET_WRONG_SIDE", "TARGET_TOUCHED"]),
    "price not a number": ({"stop_price": D("NaN")}, ["NOT_A_NUMBER"]),
    "infinite target": ({"target_price": D("Infinity")}, ["NOT_A_NUMBER"]),
    "quantity not a number": ({"quantity": D("NaN")}, ["NOT_A_NUMBER", "ORDER_NOTIONAL", "CAPITAL_LIMIT"]),
    "quantity of zero": ({"quantity": D(0)}, ["NOT_A_NUMBER"]),
    "quantity below the filter": ({"quantity": D("0.0004")}, ["BELOW_MARKET_LOT", "MIN_NOTIONAL"]),
    "quantity off the grid": ({"quantity": D("0.1005")}, ["OFF_GRID"]),
    "stop off the tick": ({"stop_price": D("9900.05")}, ["OFF_GRID"]),
    "notional below the filter": ({"quantity": D("0.004")}, ["MIN_NOTIONAL"]),
    "above the market lot": (
        {"quantity": D(121)},
        ["ABOVE_MARKET_LOT", "LEVERAGE_ABOVE_BRACKET", "ORDER_NOTIONAL", "CAPITAL_LIMIT"],
    ),
    "a quantity beyond arithmetic": (
        {"quantity": D("1e20")},
        ["NOT_A_NUMBER", "LEVERAGE_ABOVE_BRACKET", "ORDER_NOTIONAL", "CAPITAL_LIMIT"],
    ),
    "leverage above the bracket": ({"leverage": 21}, ["LEVERAGE_ABOVE_BRACKET"]),
    "no leverage": ({"leverage": 0}, ["LEVERAGE_ABOVE_BRACKET", "CAPITAL_LIMIT"]),
    "no direction": ({"direction": 0}, ["DIRECTION"]),
    "unknown symbol": ({"symbol": "NONEUSDT"}, ["UNKNOWN_SYMBOL"]),
}


@pytest.mark.parametrize("row", MOMENTS)
def test_the_moment_refuses(row):
    facts, reasons = MOMENTS[row]
    assert list(refusals(**facts)) == reasons


@pytest.mark.parametrize("row", ORDERS)
def test_the_order_is_refused(row):
    order, reasons = ORDERS[row]
    assert list(refusals(Asked(**order))) == reasons


def test_every_refusal_has_a_case():
    told = {reason for rows in (MOMENTS, ORDERS) for _, reasons in rows.values() for reason in reasons}
    assert told == set(Refusal)


@pytest.mark.parametrize(
    "facts",
    [
        {"lease_age_ms": 2_000.0, "ask": D(10_010), "last": D(10_020), "model_age_ms": 45.0 * DAY_MS},
        {"entries": entries(5, 9_000), "equity": D(2_000), "used_margin": D(1_800)},
    ],
)
def test_limits_themselves_are_within_limits(facts):
    assert refusals(**facts) == ()


def test_the_leverage_of_the_bracket_falls_with_the_size():
    large = Asked(quantity=D("1.001"), leverage=6)
    assert order_refusals(large, FACTS) == [Refusal.LEVERAGE_ABOVE_BRACKET]
    assert order_refusals(replace(large, leverage=5), FACTS) == []
    assert order_refusals(replace(large, quantity=D(1), leverage=20), FACTS) == []


def test_an_intent_lives_as_long_on_an_accelerated_market():
    old = Asked(decided_ts_ms=NOW - 50_000)
    assert refusals(old, speed=10.0) == ()
    assert refusals(replace(old, decided_ts_ms=NOW - 50_001), speed=10.0) == ("INTENT_STALE",)


def test_the_capital_limit_and_its_stage_cap_what_is_traded_on():
    limits = EntryLimits(capital_limit=D(4_000), stage=D("0.25"))
    assert sizing_equity(D(10_000), limits) == 1_000
    assert sizing_equity(D(600), limits) == 600
    assert refusals(limits=limits) == ("ORDER_NOTIONAL",)
    assert notional_share(Asked(), D(10_000), limits) == 1.0


def test_the_kill_switch_speaks_first_and_every_reason_is_given():
    kill = evaluate(KillState(), Facts(now_ms=NOW, live=True, journal_healthy=False, clock_skew_ms=0.0), Limits())
    assert refusals(Asked(quantity=D("0.1005")), kill=kill, paused=True) == ("NO_JOURNAL", "PAUSED", "OFF_GRID")


def test_the_entry_that_is_one_too_many_halts():
    asked = entries(6, 9_000)
    told = refusals(entries=asked)
    assert counts(told)
    assert not counts(refusals(paused=True))
    assert counts(())
    asked.append(EntryAsked(NOW, "BTCUSDT", 0.1))
    facts = Facts(now_ms=NOW, live=True, clock_skew_ms=0.0, entries=tuple(asked))
    assert evaluate(KillState(), facts, LIMITS.rates).code == "RUNAWAY"


def test_the_settings_name_the_limits():
    assert entry_limits(load_settings(None)) == EntryLimits()
    changed = load_settings(None, capital_limit_usdt=400.5, capital_stage_pct=0.05, entries_per_day=9)
    limits = entry_limits(changed)
    assert (limits.capital_limit, limits.stage, limits.rates.entries_day) == (D("400.5"), D("0.05"), 9)


def test_a_position_leaves_a_day_before_its_delivery():
    soon = msgspec.structs.replace(INFO, delivery_ts_ms=NOW + DAY_MS)
    assert must_leave(soon, NOW)
    assert not must_leave(soon, NOW - 1)
    assert not must_leave(INFO, NOW)


anything = st.decimals(allow_nan=True, allow_infinity=True)


@given(
    st.builds(
        Asked, direction=st.integers(-2, 2), quantity=anything, leverage=st.integers(-1, 200), stop_price=anything,
        target_price=anything, reference_price=anything,
    ),
    st.one_of(st.none(), anything),
    st.one_of(st.none(), anything),
)  # fmt: skip
def test_no_order_raises_and_what_passes_is_sane(order, mark, equity):
    if not refusals(order, mark=mark, equity=equity):
        assert order.quantity > 0
        assert (order.target_price - order.stop_price) * order.direction > 0
        assert mark is not None
        assert (mark - order.stop_price) * order.direction > 0
