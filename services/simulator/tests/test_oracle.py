"""The compiled kernel against the slow one: trade for trade, row for row, reason for reason, state for state."""

import math
from collections import Counter

import numpy as np
import pytest

from packages.common.reasons import REASONS, ExitReason, Reason, exit_reason_of, reason_of
from services.policy.kernel import Barriers, PolicyParams
from services.risk.kernel import RiskParams
from services.simulator import build
from services.simulator import step as st
from services.simulator.tables import TRADE, new_out, new_state
from services.simulator.tests import markets

pytestmark = pytest.mark.xdist_group("oracle")  # the slow simulator runs once
TIGHT = Barriers(0.5, 0.4, 12, 3.0, 0.0004, 0.05, 0.0)

NO_LIMITS = {
    "max_total_notional_pct": 9.0, "max_directional_notional_pct": 9.0, "tier_caps": (9.0, 9.0, 9.0), "beta_cap": 9.0,
    "max_used_margin_pct": 1.0,
}  # fmt: skip
HALTING = {
    "policy": PolicyParams(q05_min=-90.0, mae_max=90.0, risk_per_trade=0.006, min_stop_ticks=0.0,
                           max_symbol_notional_pct=3.0, loss_pause_bars=0),
    "risk": RiskParams(daily_loss_limit_pct=0.02, **NO_LIMITS),
    "barriers": Barriers(30.0, 3.0, 400, 30.0, 0.0004, 0.15, 1.0), "hope": 0.05,
}  # fmt: skip
ERODING = {
    "policy": PolicyParams(q05_min=-9.0, mae_max=9.0, risk_per_trade=0.02, max_symbol_notional_pct=3.0,
                           liquidation_stops=1.02, leverage_table=(25,) * 9, min_stop_ticks=0.0),
    "risk": RiskParams(daily_loss_limit_pct=0.8, **NO_LIMITS),
    "barriers": Barriers(40.0, 12.0, 200, 30.0, 0.0004, 0.15, 0.25), "hope": 0.05,
}  # fmt: skip

# (seed, wallet, arguments of markets.make): together every reason and every exit occurs.
CASES = {
    "ordinary": (1, 1e4, {}),
    "calm": (2, 1e4, {"wild": 0.4}),
    "crash": (3, 1e4, {"wild": 4.0}),
    "small account": (4, 150.0, {"wild": 0.6}),
    "big account": (5, 3e5, {"hope": 0.03}),
    "quick": (6, 1e4, {"barriers": TIGHT, "hope": 0.03}),
    "loss pauses": (
        7, 1e4,
        {"policy": PolicyParams(max_losses=2, loss_pause_bars=15, cooldown_bars=4), "barriers": TIGHT, "hope": 0.03,
         "risk": RiskParams(daily_loss_limit_pct=0.5)},
    ),
    "no tail gate": (
        8, 1e4,
        {"policy": PolicyParams(q05_min=-9.0, mae_max=9.0, risk_per_trade=0.02, max_symbol_notional_pct=3.0),
         "risk": RiskParams(max_total_notional_pct=6.0, max_directional_notional_pct=5.0, tier_caps=(5.0, 4.0, 3.0),
                            beta_cap=5.0, max_used_margin_pct=1.0, daily_loss_limit_pct=0.6, max_positions=4),
         "hope": 0.03, "wild": 2.0},
    ),
    "literal": (9, 1e4, {"policy": PolicyParams(q05_literal=True, regime_block=True), "hope": 0.03}),
    "eroded margin": (35, 1e4, {**ERODING, "wild": 3.0}),
    "liquidations": (36, 1e4, {**ERODING, "wild": 6.0}),
    "leverage too high": (
        11, 1e4,
        {"barriers": Barriers(900.0, 400.0, 60, 900.0, 0.0004, 0.15, 0.25), "hope": 0.4, "wild": 1.0,
         "policy": PolicyParams(q05_min=-900.0)},
    ),
    "participation": (12, 1e6, {"hope": 0.03, "risk": RiskParams(max_positions=3)}),
    "capital limit": (13, 1e5, {"policy": PolicyParams(capital_limit=5e3), "hope": 0.02}),
    "few positions": (15, 3e3, {"risk": RiskParams(max_positions=1), "hope": 0.03, "wild": 0.5}),
    "little in total": (16, 3e3, {"risk": RiskParams(max_total_notional_pct=0.3), "hope": 0.03, "wild": 0.5}),
    "one direction": (17, 3e3, {"risk": RiskParams(max_directional_notional_pct=0.3), "hope": 0.03, "wild": 0.5}),
    "beta": (18, 3e3, {"risk": RiskParams(beta_cap=0.25), "hope": 0.03, "wild": 0.5}),
    "margin": (19, 3e3, {"risk": RiskParams(max_used_margin_pct=0.1), "hope": 0.03, "wild": 0.5}),
    "halts with positions": (29, 1e4, HALTING),
    "halts in a crash": (24, 1e4, {**HALTING, "wild": 3.0}),
    "operator clears": (14, 1e4, {"wild": 3.0, "hope": 0.03}),
}  # fmt: skip


def random_case(seed):
    """Parameters from everywhere they may be, the odd corners included: (wallet, arguments of ``markets.make``).

    ``min_share`` is crooked because round shares of round limits tie exactly, and then rounding decides.
    """
    rng = np.random.default_rng([seed, 1])

    def pick(*values):
        return values[int(rng.integers(len(values)))]

    policy = PolicyParams(
        ev_min=pick(0.0, 0.002, -0.01), q05_min=pick(-0.8, -3.0, -9.0), q05_literal=pick(False, False, True),
        mae_max=pick(1.2, 9.0), risk_per_trade=pick(0.002, 0.005, 0.03), max_symbol_notional_pct=pick(0.2, 0.4, 2.0),
        participation=pick(0.02, 0.1, 1.0), regime_scale=pick((1.0, 1.0, 0.5), (1.0, 0.0, 0.5), (0.3, 1.5, 0.0)),
        regime_block=pick(False, False, True), q05_penalty=pick(0.0, 0.1, 1.0), mae_penalty=pick(0.0, 0.1, 1.0),
        min_stop_ticks=pick(0.0, 2.0, 5.0), liquidation_stops=pick(1.05, 2.0, 4.0),
        leverage_table=tuple(int(x) for x in rng.integers(1, 40, 9)), cooldown_bars=pick(0, 1, 1, 7),
        loss_pause_bars=pick(0, 5, 60), max_losses=pick(1, 2, 8), capital_limit=pick(np.inf, np.inf, 2e3),
    )  # fmt: skip
    risk = RiskParams(
        max_positions=pick(1, 3, 6), max_total_notional_pct=pick(0.5, 1.2, 6.0),
        max_directional_notional_pct=pick(0.4, 0.8, 5.0), tier_caps=pick((1.2, 0.6, 0.3), (5.0, 4.0, 3.0)),
        beta_cap=pick(0.3, 0.8, 5.0), max_used_margin_pct=pick(0.1, 0.35, 1.0),
        daily_loss_limit_pct=pick(0.01, 0.02, 0.3, 1.0), participation=pick(0.05, 0.1, 1.0),
        min_share=pick(0.053, 0.251, 0.907), min_notional_margin=pick(1.0, 1.02),
    )  # fmt: skip
    barriers = Barriers(
        pick(0.5, 1.5, 20.0), pick(0.4, 1.0, 15.0), int(pick(1, 2, 30, 500)), pick(0.7, 3.0, 30.0), pick(0.0, 0.0004),
        pick(0.0, 0.05, 0.15), pick(0.0, 0.25, 1.0),
    )  # fmt: skip
    free = [build.SymbolRules(brackets=pick((), markets.BRACKETS)) for _ in range(5)]
    return pick(150.0, 1e4, 2e5), {
        "n": 5, "t": 240, "policy": policy, "risk": risk, "barriers": barriers, "wild": pick(0.5, 1.0, 4.0),
        "hope": pick(0.01, 0.03, 0.2), "twins": pick(False, True), "funding": pick(0.02, 0.3),
        "rules": pick(None, None, free), "fee_now": pick(0.0, 0.0005),
    }  # fmt: skip


def close(a, b):
    """Equal to 1e-9, relative; NaN equals NaN."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))


def assert_same(got, expected, names, where):
    """Named fields of a structured row against an object or a dictionary."""
    values = expected if isinstance(expected, dict) else vars(expected)
    for name in names:
        assert close(float(got[name]), float(values[name])), (*where, name, got, expected)


def assert_same_trades(got, expected, where):
    assert [exit_reason_of(int(x["reason"])) for x in got] == [x["reason"] for x in expected], where
    for one, other in zip(got, expected, strict=True):
        assert_same(one, other, [name for name in TRADE.names if name != "reason"], where)


def assert_same_rows(table, notes, expected, where):
    for s, wanted in enumerate(expected):
        row, used = table[s], int(table[s]["n_notes"])
        got = [(reason_of(int(x["code"])).value, x["value"], x["limit"], x["distance"]) for x in notes[s][:used]]
        assert [x[0] for x in got] == [x[0] for x in wanted["codes"]], (*where, s)
        for mine, theirs in zip(got, wanted["codes"], strict=True):
            assert all(map(close, mine[1:], theirs[1:])), (*where, s, mine, theirs)
        assert not notes[s]["code"][used:].any()
        assert row["side"] == wanted["side"]
        assert (row["side"] != 0) == (used == 0)
        nothing = dict.fromkeys(("ev_long", "ev_short", "wish", "loss", "sl", "tp"), math.nan)
        nothing |= {"size_notional": 0.0, "qty": 0.0, "leverage": 0}
        values = nothing | {name: wanted[name] for name in nothing if name in wanted}
        assert_same(row, values | {"best_side": wanted["best_side"]}, [*nothing, "best_side"], (*where, s))


def assert_same_state(state, oracle, where):
    account = {name: getattr(oracle, name) for name in ("wallet", "equity", "day", "day_start", "halted", "halts")}
    account["losses"] = oracle.losses
    assert_same(state.account[0], account, account, where)
    for held, expected in ((state.positions, oracle.positions), (state.pending, oracle.pending)):
        assert np.flatnonzero(held["side"]).tolist() == sorted(expected), where
        for s, one in expected.items():
            names = [name for name in held.dtype.names if name != "exit_order"]
            assert_same(held[s], one, names, (*where, s))
            if "exit_order" in held.dtype.names:
                code = int(held[s]["exit_order"])
                assert (exit_reason_of(code) if code else None) == one.exit_order, (*where, s)
    for s, known in oracle.known.items():
        assert_same(state.memory[s], known, state.memory.dtype.names, (*where, s))


def both(name):
    seed, wallet, arguments = CASES[name]
    market, params, constants = markets.make(seed, **arguments)
    if name == "operator clears":
        params = params._replace(halt_clears_daily=False)
    oracle = markets.oracle_for(wallet, params, constants)
    for minute in markets.minutes(market):
        oracle.step(minute)
    state = new_state(market.flags.shape[1], wallet)
    kept = st.run(state, market, params, constants, keep=st.KEEP_ROWS)
    return oracle, state, kept, market


@pytest.fixture(scope="module")
def runs():
    return {name: both(name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_trade_equals_the_oracle(runs, name):
    oracle, state, kept, _ = runs[name]
    assert_same_trades(kept.trades, oracle.trades, (name,))
    assert_same_state(state, oracle, (name,))


@pytest.mark.parametrize("name", CASES)
def test_every_minute_has_the_oracles_equity(runs, name):
    oracle, _, kept, _ = runs[name]
    np.testing.assert_allclose(kept.equity, oracle.equities, rtol=1e-9)
    assert (kept.n == [len(oracle.trades), len(oracle.entries), len(oracle.lapses), len(oracle.payments)]).all()


@pytest.mark.parametrize("name", CASES)
def test_every_row_equals_the_oracle_with_every_reason_value_and_limit(runs, name):
    oracle, _, kept, _ = runs[name]
    for t, expected in enumerate(oracle.rows):
        assert_same_rows(kept.rows.table[t], kept.rows.notes[t], expected, (name, t))


@pytest.mark.parametrize("seed", range(32))
def test_any_parameters_give_the_oracles_state_events_and_rows_every_minute(seed):
    wallet, arguments = random_case(seed)
    market, params, constants = markets.make([seed, 2], **arguments)
    oracle = markets.oracle_for(wallet, params, constants)
    n = market.flags.shape[1]
    state, out = new_state(n, wallet), new_out(n)
    trades = []
    for t, minute in enumerate(markets.minutes(market)):
        happened = (oracle.trades, oracle.entries, oracle.lapses, oracle.payments)
        before = [len(events) for events in happened]
        oracle.step(minute)
        st.step(state, markets.minute_inputs(market, t), params, constants, out)
        closed, *others = (events[start:] for events, start in zip(happened, before, strict=True))
        used = out.events.n
        trades.append(out.events.trades[: used[0]].copy())
        assert_same_trades(trades[-1], closed, (seed, t))
        tables = (out.events.entries, out.events.lapses, out.events.payments)
        for table, count, expected in zip(tables, used[1:], others, strict=True):
            assert count == len(expected), (seed, t)
            for got, wanted in zip(table[:count], expected, strict=True):
                codes = {"code": REASONS.index(wanted["code"]) + 1} if "code" in wanted else {}
                assert_same(got, wanted | codes, table.dtype.names, (seed, t))
        assert_same_state(state, oracle, (seed, t))
        assert_same_rows(out.rows.table, out.rows.notes, oracle.rows[-1], (seed, t))
    fast = st.run(new_state(n, wallet), market, params, constants)
    assert fast.trades.tobytes() == np.concatenate(trades).tobytes()


@pytest.mark.parametrize("name", CASES)
def test_short_cuts_without_rows_change_no_trade(runs, name):
    _, full_state, full, market = runs[name]
    seed, wallet, arguments = CASES[name]
    _, params, constants = markets.make(seed, **arguments)
    state = new_state(market.flags.shape[1], wallet)
    fast = st.run(state, market, params._replace(halt_clears_daily=name != "operator clears"), constants)
    assert fast.trades.tobytes() == full.trades.tobytes()
    assert fast.equity.tobytes() == full.equity.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(state, full_state, strict=True))


def test_together_the_markets_show_every_block_reason_and_every_exit(runs):
    blocks, primaries, exits, lapses = Counter(), Counter(), Counter(), Counter()
    for oracle, *_ in runs.values():
        for rows in oracle.rows:
            for row in rows:
                blocks.update(code for code, *_ in row["codes"])
                primaries.update([row["codes"][0][0]] if row["codes"] else [])
        exits.update(trade["reason"] for trade in oracle.trades)
        lapses.update(lapse["code"] for lapse in oracle.lapses)
    assert set(blocks) == {reason.value for reason in Reason}, set(Reason) - set(blocks)
    assert set(primaries) == set(blocks), set(blocks) - set(primaries)
    assert set(exits) == {reason.value for reason in ExitReason}, set(ExitReason) - set(exits)
    assert set(lapses) == {"DATA_STALE", "SYMBOL_NOT_TRADABLE"}
    assert len(REASONS) == 27


def test_the_markets_are_worth_the_test(runs):
    assert sum(len(oracle.trades) for oracle, *_ in runs.values()) > 700
    assert any(trade["absorbed"] > 0 for oracle, *_ in runs.values() for trade in oracle.trades)
    assert sum(oracle.halts for oracle, *_ in runs.values()) >= 3
