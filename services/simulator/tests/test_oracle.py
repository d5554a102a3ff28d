"""The compiled kernel against the slow one: trade for trade, row for row, reason for reason."""

import math
from collections import Counter

import numpy as np
import pytest

from packages.common.reasons import REASONS, ExitReason, Reason, exit_reason_of, reason_of
from services.policy.kernel import Barriers, PolicyParams
from services.risk.kernel import RiskParams
from services.simulator import step as st
from services.simulator.tables import TRADE, new_state
from services.simulator.tests import markets
from services.simulator.tests.oracle import Oracle

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


def close(a, b):
    """Equal to 1e-9, relative; NaN equals NaN."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))


def both(name):
    seed, wallet, arguments = CASES[name]
    market, params, constants = markets.make(seed, **arguments)
    if name == "operator clears":
        params = params._replace(halt_clears_daily=False)
    n = market.flags.shape[1]
    oracle = Oracle(wallet, markets.oracle_params(params, constants), markets.oracle_constants(constants), n)
    for minute in markets.minutes(market):
        oracle.step(minute)
    state = new_state(n, wallet)
    kept = st.run(state, market, params, constants, keep=st.KEEP_ROWS)
    return oracle, state, kept, market


@pytest.fixture(scope="module")
def runs():
    return {name: both(name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_trade_equals_the_oracle(runs, name):
    oracle, _, kept, _ = runs[name]
    assert len(kept.trades) == len(oracle.trades)
    for got, expected in zip(kept.trades, oracle.trades, strict=True):
        assert exit_reason_of(int(got["reason"])) == expected["reason"]
        for field in TRADE.names:
            if field != "reason":
                assert close(float(got[field]), float(expected[field])), (field, got, expected)


@pytest.mark.parametrize("name", CASES)
def test_every_minute_has_the_oracles_equity(runs, name):
    oracle, state, kept, _ = runs[name]
    np.testing.assert_allclose(kept.equity, oracle.equities, rtol=1e-9)
    assert close(float(state.account[0]["wallet"]), oracle.wallet)
    assert state.account[0]["halts"] == oracle.halts
    assert (kept.n == [len(oracle.trades), len(oracle.entries), len(oracle.lapses), len(oracle.payments)]).all()


@pytest.mark.parametrize("name", CASES)
def test_every_row_equals_the_oracle_with_every_reason_value_and_limit(runs, name):
    oracle, _, kept, _ = runs[name]
    for t, expected_rows in enumerate(oracle.rows):
        for s, expected in enumerate(expected_rows):
            row, notes = kept.rows.table[t, s], kept.rows.notes[t, s]
            used = int(row["n_notes"])
            got = [(reason_of(int(x["code"])).value, x["value"], x["limit"], x["distance"]) for x in notes[:used]]
            assert [x[0] for x in got] == [x[0] for x in expected["codes"]], (t, s)
            for mine, theirs in zip(got, expected["codes"], strict=True):
                assert all(close(float(a), float(b)) for a, b in zip(mine[1:], theirs[1:], strict=True)), (
                    t,
                    s,
                    mine,
                    theirs,
                )
            assert not notes["code"][used:].any()
            assert row["side"] == expected["side"]
            assert (row["side"] != 0) == (used == 0)
            assert row["best_side"] == expected["best"]
            for field in ("ev_long", "ev_short", "wish", "loss", "sl", "tp"):
                assert close(float(row[field]), expected.get(field, math.nan)), (t, s, field)
            assert close(float(row["size_notional"]), expected.get("size", 0.0))
            assert close(float(row["qty"]), expected.get("qty", 0.0))
            assert row["leverage"] == expected.get("leverage", 0)


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
        lapses.update(code for *_, code in oracle.lapses)
    assert set(blocks) == {reason.value for reason in Reason}, set(Reason) - set(blocks)
    assert set(primaries) == set(blocks), set(blocks) - set(primaries)
    assert set(exits) == {reason.value for reason in ExitReason}, set(ExitReason) - set(exits)
    assert set(lapses) == {"DATA_STALE", "SYMBOL_NOT_TRADABLE"}
    assert len(REASONS) == 27


def test_the_markets_are_worth_the_test(runs):
    assert sum(len(oracle.trades) for oracle, *_ in runs.values()) > 700
    assert any(trade["absorbed"] > 0 for oracle, *_ in runs.values() for trade in oracle.trades)
    assert sum(oracle.halts for oracle, *_ in runs.values()) >= 3
