"""The table of the kill-switch, row by row, and what must hold of every history (D24, execution.md)."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS
from services.execution.core.events import Latch
from services.execution.equity import EquityMarks, first_marks
from services.execution.journal import LatchMoved
from services.execution.kill_switch import (
    Block,
    Clears,
    DataAge,
    EntryAsked,
    Facts,
    Flatten,
    Halt,
    KillState,
    Limits,
    Resume,
    StreamFacts,
    Trip,
    changes,
    clears,
    evaluate,
    restored,
)

D = Decimal
NOW = 20_000 * DAY_MS + 10 * 3_600_000  # ten in the morning
LIMITS = Limits()
FRESH = DataAge(30_000, 1_000)
RESUME = Resume("looked at it", "ann")


def facts(**given):
    """A healthy live account with a position."""
    healthy = {
        **{"now_ms": NOW, "live": True, "clock_skew_ms": 3.0, "stream": StreamFacts(True)},
        **{"data": dict.fromkeys(("BTCUSDT", "ETHUSDT", "XRPUSDT"), FRESH), "exposed": frozenset({"BTCUSDT"})},
        "marks": first_marks(D(1000), NOW),
    }
    return Facts(**{**healthy, **given})


def after(*history, state=None, limits=LIMITS):
    state = state or KillState()
    for row in history:
        state = evaluate(state, row, limits)
    return state


def codes(state):
    return {(block.code, block.symbol) for block in state.blocks}


def stale(symbols, bar=30_000, mark=1_000):
    return {s: DataAge(bar, mark) if s in symbols else FRESH for s in ("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT")}


def marks(equity, day=1000, week=1000, peak=1000):
    return EquityMarks(D(equity), D(day), D(week), D(peak), NOW)


def entries(count, within_ms, share=0.1):
    return tuple(EntryAsked(NOW - n * within_ms // count, "BTCUSDT", share) for n in range(count))


def lasting(ms, **given):
    """The same condition at two moments, ``ms`` apart."""
    return [facts(**given), facts(**given, now_ms=NOW + ms)]


def test_a_healthy_account_runs_without_blocks():
    state = after(facts())
    assert (state.word, state.code, state.blocks, state.reasons("BTCUSDT")) == ("RUNNING", "", {}, ())


# --- the rows of the table: what blocks ---

BLOCKS = {
    "bar stale for a symbol": ({"data": stale({"ETHUSDT"}, bar=90_001)}, ("DATA_STALE", "ETHUSDT")),
    "mark stale for a symbol": ({"data": stale({"ETHUSDT"}, mark=15_001)}, ("DATA_STALE", "ETHUSDT")),
    "data never seen": ({"data": {"BTCUSDT": DataAge(None, None)}}, ("DATA_STALE", "BTCUSDT")),
    "data age not a number": ({"data": stale({"ETHUSDT"}, mark=float("nan"))}, ("DATA_STALE", "ETHUSDT")),
    "user stream not connected": ({"stream": StreamFacts(False)}, ("USER_STREAM_DEAD", None)),
    "ping overdue": ({"stream": StreamFacts(True, ping_age_ms=20_001)}, ("USER_STREAM_DEAD", None)),
    "own order not echoed": ({"stream": StreamFacts(True, unechoed_ms=2_001)}, ("USER_STREAM_DEAD", None)),
    "keep-alive returns another key": ({"stream": StreamFacts(True, key_valid=False)}, ("USER_STREAM_DEAD", None)),
    "clock skew": ({"clock_skew_ms": -501.0}, ("CLOCK_SKEW", None)),
    "clock skew unknown": ({"clock_skew_ms": None}, ("CLOCK_SKEW", None)),
    "database lost": ({"stores_lost": ("database",)}, ("STORES_LOST", None)),
    "no journal": ({"journal_healthy": False}, ("NO_JOURNAL", None)),
}


@pytest.mark.parametrize("row", BLOCKS)
def test_row_blocks_and_clears_by_itself(row):
    given, block = BLOCKS[row]
    state = after(facts(**given))
    assert codes(state) == {block}
    assert state.latch is Latch.RUNNING
    assert block[0] in state.reasons(block[1] or "BTCUSDT")
    assert after(facts(), state=state).blocks == {}


@pytest.mark.parametrize(
    "given",
    [
        {"data": stale({"ETHUSDT"}, bar=90_000, mark=15_000)},
        {"stream": StreamFacts(True, ping_age_ms=20_000, unechoed_ms=2_000)},
        {"clock_skew_ms": 500.0},
    ],
)
def test_the_limit_itself_is_within_limits(given):
    assert after(facts(**given)).blocks == {}


def test_a_block_of_a_symbol_leaves_the_others_alone():
    state = after(facts(data=stale({"ETHUSDT"}, mark=15_001)))
    assert state.reasons("ETHUSDT") == ("DATA_STALE",)
    assert state.reasons("BTCUSDT") == ()


# --- the rows of the table: what moves the latch ---

HALTS = {
    "data stale for more than a third": ([facts(data=stale({"ETHUSDT", "BTCUSDT"}, bar=90_001))], "DATA_STALE_WIDELY"),
    "user stream dead for 30 s": (lasting(30_001, stream=StreamFacts(False)), "USER_STREAM_DEAD"),
    "own order not echoed for 30 s": (lasting(30_001, stream=StreamFacts(True, unechoed_ms=9e9)), "USER_STREAM_DEAD"),
    "order failures": ([facts(order_failures=tuple(NOW - 70_000 * n for n in range(5)))], "ORDER_FAILURES"),
    "clock skew": ([facts(clock_skew_ms=2_001.0)], "CLOCK_SKEW"),
    "bus lost with positions open": (lasting(60_001, stores_lost=("bus",)), "STORES_LOST"),
    "database lost with an entry unknown": (
        lasting(60_001, stores_lost=("database",), exposed=frozenset(), entries_unknown=1),
        "STORES_LOST",
    ),
    "reconciliation mismatch": ([facts(trips=(Trip(Latch.HALTED, "UNPLANNED_POSITION", "BTCUSDT"),))],
                                "UNPLANNED_POSITION"),
    "foreign order": ([facts(trips=(Trip(Latch.HALTED, "FOREIGN_ORDER", "BTCUSDT"),))], "FOREIGN_ORDER"),
    "manual change": ([facts(trips=(Trip(Latch.HALTED, "MANUAL", "BTCUSDT"),))], "MANUAL"),
    "entries faster than a minute allows": ([facts(entries=entries(7, 59_000))], "RUNAWAY"),
    "entries faster than an hour allows": ([facts(entries=entries(31, 3_500_000))], "RUNAWAY"),
    "entries faster than a day allows": ([facts(entries=entries(201, 86_000_000))], "RUNAWAY"),
    "an entry larger than any should be": ([facts(entries=entries(1, 1, share=0.51))], "RUNAWAY"),
    "an entry of no known size": ([facts(entries=entries(1, 1, share=float("nan")))], "RUNAWAY"),
    "operator halts": ([facts(commands=(Halt("news", "ann"),))], "OPERATOR"),
}  # fmt: skip
FLATTENS = {
    "daily loss": ([facts(marks=marks(980))], "DAILY_LOSS"),
    "weekly loss in live": ([facts(marks=marks(950, day=960))], "WEEKLY_LOSS"),
    "drawdown from the peak in live": ([facts(marks=marks(900, day=910, week=910))], "DRAWDOWN"),
    "position that cannot be protected": ([facts(trips=(Trip(Latch.FLATTENING, "naked", "BTCUSDT"),))], "naked"),
    "liquidation": ([facts(trips=(Trip(Latch.FLATTENING, "LIQUIDATION", "BTCUSDT"),))], "LIQUIDATION"),
    "ADL": ([facts(trips=(Trip(Latch.FLATTENING, "ADL", "BTCUSDT"),))], "ADL"),
    "operator flattens": ([facts(commands=(Flatten("out", "ann"),))], "OPERATOR"),
}


@pytest.mark.parametrize("row", HALTS)
def test_row_halts_until_an_operator_resumes(row):
    check_latch(HALTS[row], Latch.HALTED)


@pytest.mark.parametrize("row", FLATTENS)
def test_row_flattens_until_an_operator_resumes(row):
    check_latch(FLATTENS[row], Latch.FLATTENING)


def check_latch(row, latch):
    history, code = row
    state = after(*history)
    assert (state.latch, state.code) == (latch, code)
    assert "KILL_SWITCH" in state.reasons("SOLUSDT")
    later = replace(facts(), now_ms=history[-1].now_ms + 2 * DAY_MS)
    state = after(later, state=state)  # all is well again, and it is another day
    assert state.latch is latch
    state = after(replace(later, commands=(RESUME,)), state=state)
    assert (state.word, state.reasons("SOLUSDT")) == ("RUNNING", ())


NOT_YET = {
    "data stale for a third": [facts(data={**stale({"ETHUSDT"}, bar=90_001), "A": FRESH, "B": FRESH})],
    "marks stale, not yet for 90 s": [facts(data=stale({"ETHUSDT", "BTCUSDT"}, mark=89_000))],
    "data never seen at start": [facts(data=dict.fromkeys("ABC", DataAge(None, None)))],
    "user stream dead for 30 s": lasting(30_000, stream=StreamFacts(False)),
    "four order failures": [facts(order_failures=(NOW,) * 4)],
    "old order failures": [facts(order_failures=(NOW,) * 4 + (NOW - 300_000,))],
    "clock skew": [facts(clock_skew_ms=2_000.0)],
    "database lost while flat": lasting(60_001, stores_lost=("database",), exposed=frozenset()),
    "database lost for a minute": lasting(60_000, stores_lost=("database",)),
    "loss below the limits": [facts(marks=marks("980.01", week="1031.5", peak="1088.8"))],
    "entries within the guard": [facts(entries=entries(6, 59_000, share=0.5))],
    "no account": [facts(stream=None, marks=None, live=False)],
    "an empty account": [facts(marks=marks(0, day=0, week=0, peak=0))],
}


@pytest.mark.parametrize("row", NOT_YET)
def test_the_latch_stays(row):
    assert after(*NOT_YET[row]).trips == {}


def test_a_stream_that_comes_back_starts_its_time_anew():
    dead = {"stream": StreamFacts(False)}
    state = after(facts(**dead), facts(now_ms=NOW + 20_000), facts(**dead, now_ms=NOW + 25_000))
    assert after(facts(**dead, now_ms=NOW + 50_000), state=state).latch is Latch.RUNNING


def test_the_first_cause_stays_and_the_stricter_wins():
    state = after(facts(commands=(Halt("first", "ann"),)), facts(commands=(Halt("second", "bob"),)))
    assert state.trips["OPERATOR"].detail == "first"
    state = after(facts(commands=(Flatten("now", "bob"),)), state=state)
    assert (state.latch, state.trips["OPERATOR"].by) == (Latch.FLATTENING, "bob")
    assert after(facts(commands=(Halt("less", "ann"),)), state=state).latch is Latch.FLATTENING


# --- clearing ---


def test_a_condition_that_lasts_trips_again_at_once():
    state = after(facts(clock_skew_ms=5_000.0), facts(clock_skew_ms=5_000.0, commands=(RESUME,)))
    assert (state.latch, state.resumed_by) == (Latch.HALTED, "ann")


def test_failures_and_entries_before_a_resume_are_forgiven():
    given = {"order_failures": (NOW - 5,) * 9, "entries": entries(40, 1_000)}
    state = after(facts(**given), facts(**given, commands=(RESUME,)), facts(**given, now_ms=NOW + 1))
    assert state.latch is Latch.RUNNING
    more = {**given, "order_failures": (NOW - 5,) * 9 + (NOW + 1,) * 5}
    assert after(facts(**more, now_ms=NOW + 2), state=state).code == "ORDER_FAILURES"


def test_a_resume_accepts_the_loss_and_a_further_one_trips_again():
    state = after(facts(marks=marks(980)), facts(marks=marks(980), commands=(RESUME,)))
    assert state.latch is Latch.RUNNING
    anew = first_marks(D(980), NOW)
    assert after(facts(marks=anew), state=state).latch is Latch.RUNNING
    assert after(facts(marks=anew.see(D(960), NOW + 1)), state=state).code == "DAILY_LOSS"
    assert after(facts(marks=marks(980)), state=state).code == "DAILY_LOSS"  # the marks were not begun anew


@pytest.mark.parametrize("bad", [{"reason": " ", "author": "ann"}, {"reason": "x", "author": ""}])
def test_a_resume_names_its_reason_and_author(bad):
    with pytest.raises(InvalidInputError):
        Resume(**bad)


def test_shadow_clears_stale_data_by_itself_and_the_daily_loss_with_the_day():
    wide = {"data": stale({"ETHUSDT", "BTCUSDT"}, bar=90_001), "live": False, "marks": marks(970)}
    state = after(facts(**wide))
    assert (state.latch, set(state.trips)) == (Latch.FLATTENING, {"DATA_STALE_WIDELY", "DAILY_LOSS"})
    state = after(facts(live=False, marks=marks(1000)), state=state)
    assert set(state.trips) == {"DAILY_LOSS"}
    midnight = NOW - NOW % DAY_MS + DAY_MS
    assert after(facts(live=False, now_ms=midnight - 1), state=state).latch is Latch.FLATTENING
    cleared = after(facts(live=False, now_ms=midnight), state=state)
    assert cleared.latch is Latch.RUNNING
    assert changes(state, cleared).latch == LatchMoved(
        Latch.RUNNING, "CLEARED", "kill_switch", "its condition is over", midnight
    )
    assert clears("DAILY_LOSS", live=True) is Clears.OPERATOR
    assert clears("DAILY_LOSS", live=False) is Clears.NEXT_DAY
    assert clears("OPERATOR", live=False) is Clears.OPERATOR


def test_week_and_peak_are_live_limits():
    assert after(facts(live=False, marks=marks(850, day=860))).trips == {}


# --- time ---


@pytest.mark.parametrize(
    "given",
    [
        {"stream": StreamFacts(True, ping_age_ms=20_001 * 10, unechoed_ms=2_001 * 10)},
        {"clock_skew_ms": 5_001.0},
    ],
)
def test_limits_of_wall_time_scale_with_the_market(given):
    assert after(facts(**given, speed=10.0)).blocks
    nearly = {"stream": StreamFacts(True, ping_age_ms=199_000, unechoed_ms=19_900), "clock_skew_ms": 4_999.0}
    assert after(facts(**nearly, speed=10.0)).blocks == {}


def test_durations_scale_and_a_market_without_a_speed_has_none():
    dead = {"stream": StreamFacts(False), "stores_lost": ("bus",)}
    assert after(*lasting(299_999, **dead, speed=10.0)).trips == {}
    assert set(after(*lasting(600_001, **dead, speed=10.0)).trips) == {"USER_STREAM_DEAD", "STORES_LOST"}
    assert after(*lasting(10**9, **dead, speed=float("inf"))).trips == {}


def test_the_age_of_data_is_market_time_at_any_speed():
    assert codes(after(facts(data=stale({"ETHUSDT"}, bar=90_001), speed=60.0))) == {("DATA_STALE", "ETHUSDT")}


# --- flattening ---


def test_flat_needs_every_symbol_flat_and_no_entry_unknown():
    state = after(facts(commands=(Flatten("out", "ann"),)))
    assert state.word == "FLATTENING"
    assert after(facts(exposed=frozenset(), entries_unknown=1), state=state).word == "FLATTENING"
    state = after(facts(exposed=frozenset()), state=state)
    assert state.word == "FLAT"
    assert state.reasons("BTCUSDT") == ("KILL_SWITCH",)
    assert after(facts(exposed=frozenset({"ETHUSDT"})), state=state).word == "FLATTENING"  # a late fill


# --- the journal ---


def test_changes_say_what_to_journal_and_to_tell():
    before = after(facts(stream=StreamFacts(False)))
    now = after(facts(trips=(Trip(Latch.HALTED, "MANUAL", "BTCUSDT", "stop gone"),)), state=before)
    told = changes(before, now)
    assert told.latch == LatchMoved(Latch.HALTED, "MANUAL", "BTCUSDT", "stop gone", NOW)
    assert (told.tripped, told.word) == (("MANUAL",), "HALTED")
    assert (told.raised, told.cleared) == ((), (Block("USER_STREAM_DEAD"),))
    same = after(facts(trips=(Trip(Latch.HALTED, "MANUAL", "BTCUSDT"),)), state=now)
    assert changes(now, same) == replace(told, latch=None, tripped=(), word=None, cleared=())
    resumed = after(facts(commands=(RESUME,)), state=now)
    assert changes(now, resumed).latch == LatchMoved(Latch.RUNNING, "RESUMED", "ann", "looked at it", NOW)


def test_the_state_at_start_is_the_strictest_of_what_is_remembered():
    running = LatchMoved(Latch.RUNNING, "RESUMED", "ann", "", NOW)
    halted = LatchMoved(Latch.HALTED, "MANUAL", "BTCUSDT", "", NOW)
    flattening = LatchMoved(Latch.FLATTENING, "ADL", "BTCUSDT", "", NOW)
    assert restored([]).latch is Latch.RUNNING
    assert (restored([running]).latch, restored([running]).resumed_ms) == (Latch.RUNNING, NOW)
    assert restored([halted, running]).latch is Latch.HALTED
    assert restored([halted, flattening]).code == "ADL"


def test_an_equity_that_is_no_number_is_refused():
    with pytest.raises(InvalidInputError):
        after(facts(marks=marks("NaN")))


# --- every history ---

ages = st.one_of(st.none(), st.sampled_from([0.0, 20_000.0, 100_000.0]))
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "XRPUSDT"])
moments = st.fixed_dictionaries(
    {
        "step_ms": st.sampled_from([0, 1_000, 40_000, 70_000, DAY_MS]),
        "live": st.booleans(),
        "data": st.dictionaries(symbols, st.builds(DataAge, ages, ages)),
        "stream": st.builds(StreamFacts, st.booleans(), ages.map(lambda ms: ms or 0.0), ages, st.booleans()),
        "order_failures": st.integers(0, 6),
        "clock_skew_ms": st.none() | st.sampled_from([0.0, 900.0, -9_000.0]),
        "stores_lost": st.sampled_from([(), ("database",)]),
        "exposed": st.frozensets(symbols),
        "entries_unknown": st.integers(0, 1),
        "trips": st.lists(st.builds(Trip, st.sampled_from(Latch), st.sampled_from(["MANUAL", "ADL"]), symbols)),
        "equity": st.sampled_from([1000, 985, 970, 800]),
        "commands": st.lists(st.sampled_from([Halt("r", "a"), Flatten("r", "a")]), max_size=1),
        "resume": st.integers(0, 5).map(lambda n: n == 0),
    }
)  # fmt: skip


@given(st.lists(moments, max_size=12), st.booleans())
def test_a_latch_never_loosens_without_an_operator_and_flat_is_never_said_of_a_position(history, always_live):
    order = [Latch.RUNNING, Latch.HALTED, Latch.FLATTENING]
    state, now = KillState(), NOW
    for row in history:
        now += row["step_ms"]
        keys = ("data", "stream", "clock_skew_ms", "stores_lost", "exposed", "entries_unknown")
        given = {key: row[key] for key in keys}
        seen = facts(
            **given,
            now_ms=now,
            live=always_live or row["live"],
            order_failures=(now,) * row["order_failures"],
            trips=tuple(row["trips"]),
            marks=marks(row["equity"]),
            commands=(*row["commands"], *([RESUME] if row["resume"] else [])),
        )
        new = evaluate(state, seen, LIMITS)
        assert evaluate(new, replace(seen, commands=(), trips=()), LIMITS).trips == new.trips or row["resume"]
        if not row["resume"]:
            gone = set(state.trips) - set(new.trips)
            assert gone <= (set() if seen.live else {"DATA_STALE_WIDELY", "DAILY_LOSS"})
            if seen.live:
                assert order.index(new.latch) >= order.index(state.latch)
        if new.word == "FLAT":
            assert not seen.exposed
            assert not seen.entries_unknown
        if new.latch is not Latch.RUNNING or new.blocks:
            assert any(new.reasons(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT"))
        moved = changes(state, new).latch
        assert restored([moved] if moved else []).latch is (new.latch if moved else Latch.RUNNING)
        state = new
