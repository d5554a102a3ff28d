"""The books balance at every minute, to 1e-9 of what is in them, counted here from prices and events alone."""

import numpy as np
import pytest

from packages.common.reasons import AGENT, HALT, LIQUIDATION, OPERATOR, SL_GAP, TIME, TP_GAP
from services.backtest.portfolio import backtest
from services.policy.kernel import Barriers, PolicyParams
from services.risk.kernel import RiskParams
from services.simulator import step as st
from services.simulator.tables import TRADE, new_out, new_state
from services.simulator.tests import markets

WALLET = 1e4
LEVERED = {
    "policy": PolicyParams(
        q05_min=-9.0, mae_max=9.0, risk_per_trade=0.02, max_symbol_notional_pct=3.0, liquidation_stops=1.02,
        leverage_table=(25,) * 9, min_stop_ticks=0.0,
    ),
    "risk": RiskParams(
        daily_loss_limit_pct=0.8, max_total_notional_pct=9.0, max_directional_notional_pct=9.0,
        tier_caps=(9.0, 9.0, 9.0), beta_cap=9.0, max_used_margin_pct=1.0,
    ),
    "barriers": Barriers(40.0, 12.0, 200, 30.0, 0.0004, 0.15, 0.25), "hope": 0.05, "funding": 0.2,
}  # fmt: skip
CASES = {
    "ordinary": (101, {"hope": 0.03, "funding": 0.1}),
    "wild": (102, {"hope": 0.03, "wild": 4.0, "policy": PolicyParams(risk_per_trade=0.02, q05_min=-9.0)}),
    "eroded": (35, {**LEVERED, "wild": 3.0}),
    "liquidated": (36, {**LEVERED, "wild": 6.0}),
}


def books_of(market, params, constants):
    """Per minute the kernel's wallet and equity beside cash, profit and costs counted from events; closed trades."""
    t, n = market.flags.shape
    state, out = new_state(n, WALLET), new_out(n)
    cash, closed_net, paid, entry_fees = WALLET, 0.0, np.zeros(n), np.zeros(n)
    marks = np.full(n, np.nan)
    minutes, closed = [], []
    for i in range(t):
        st.step(state, markets.minute_inputs(market, i), params, constants, out)
        events = out.events
        n_trades, n_entries, _, n_payments = (int(x) for x in events.n)
        for entry in events.entries[:n_entries]:
            entry_fees[entry["symbol"]], paid[entry["symbol"]] = entry["fee"], 0.0
            cash -= entry["fee"]
            assert entry["fee"] == pytest.approx(constants.fee_now * entry["qty"] * entry["fill"], rel=1e-12)
        for trade in events.trades[:n_trades]:
            s = trade["symbol"]
            received = trade["side"] * trade["qty"] * (trade["exit_fill"] - trade["entry_fill"])
            exit_fee = constants.fee_now * trade["qty"] * trade["exit_fill"]
            cash += received - exit_fee - trade["liquidation_fee"] + trade["absorbed"]
            closed_net += trade["net"]
            closed.append((trade.copy(), entry_fees[s], exit_fee, paid[s]))
        for payment in events.payments[:n_payments]:
            cash -= payment["amount"]
            paid[payment["symbol"]] += payment["amount"]
        present = market.flags[i] & 1 == 1
        marks[present] = market.mark[i, 3, present]
        held = np.flatnonzero(state.positions["side"])
        unrealized = costs = margin = 0.0
        for s in held:
            p = state.positions[s]
            unrealized += p["side"] * p["qty"] * (marks[s] - p["entry_fill"])
            costs += entry_fees[s] + paid[s]
            margin += p["qty"] * marks[s] / p["leverage"]
        minutes.append((state.account[0]["wallet"], state.account[0]["equity"], cash, unrealized, closed_net, costs))
        assert st.equity(state, np.ascontiguousarray(state.memory["mark"])) == state.account[0]["equity"]
        assert st.used_margin(state) == pytest.approx(margin, rel=1e-9)
    return np.array(minutes), closed


@pytest.fixture(scope="module", params=CASES)
def books(request):
    seed, arguments = CASES[request.param]
    market, params, constants = markets.make(seed, t=400, **arguments)
    return request.param, *books_of(market, params, constants), market, params, constants


def test_equity_is_cash_and_unrealized_every_minute(books):
    _, minutes, *_ = books
    wallet, equity, cash, unrealized, _, _ = minutes.T
    np.testing.assert_allclose(wallet, cash, rtol=1e-9)
    np.testing.assert_allclose(equity, cash + unrealized, rtol=1e-9)


def test_profits_of_closed_and_open_trades_are_the_change_of_equity_every_minute(books):
    _, minutes, *_ = books
    _, equity, _, unrealized, closed_net, open_costs = minutes.T
    np.testing.assert_allclose(WALLET + closed_net + unrealized - open_costs, equity, rtol=1e-9)


def test_every_ledger_is_the_sum_of_its_parts(books):
    name, _, closed, market, _, constants = books
    assert len(closed) > 15
    first = int(market.ts_ms[0]) // 60_000
    for trade, entry_fee, exit_fee, funding in closed:
        x = {field: trade[field].item() for field in TRADE.names}
        parts = x["gross"] - x["slippage"] - x["fees"] - x["liquidation_fee"] - x["funding"] + x["absorbed"]
        assert x["net"] == parts
        scale = x["qty"] * x["entry_fill"]
        signed = x["side"] * x["qty"]

        def same(a, b, scale=scale):
            return abs(a - b) <= 1e-9 * scale

        assert same(x["gross"], signed * (x["exit_ref"] - x["entry_ref"]))
        assert same(x["gross"] - x["slippage"], signed * (x["exit_fill"] - x["entry_fill"]))
        assert same(x["fees"], entry_fee + exit_fee)
        assert same(x["funding"], funding)
        assert same(x["margin"], scale / x["leverage"])
        assert x["slippage"] >= 0
        assert min(x["mae"], x["mfe"]) >= 0
        if x["reason"] == LIQUIDATION:
            rate = constants.rules["liquidation_fee"][x["symbol"]]
            assert same(x["liquidation_fee"], rate * x["qty"] * x["exit_fill"])
            lost = -signed * (x["exit_fill"] - x["entry_fill"]) + exit_fee + x["liquidation_fee"] + funding
            assert same(x["absorbed"], max(0.0, lost - x["margin"]))
            # Whatever happens, an isolated position costs its margin and its entry fee at most.
            assert -x["net"] <= x["margin"] + entry_fee + 1e-9 * scale
        else:
            assert (x["liquidation_fee"], x["absorbed"]) == (0.0, 0.0)
        bar = market.last[x["exit_bar"] - first, :, x["symbol"]]
        assert x["entry_ref"] == market.last[x["entry_bar"] - first, 0, x["symbol"]]
        if x["reason"] in (TIME, HALT, AGENT, OPERATOR, SL_GAP, TP_GAP):
            assert x["exit_ref"] == bar[0]
        assert bar[2] <= x["exit_ref"] <= bar[1]
    if name == "liquidated":
        assert any(trade["absorbed"] > 0 for trade, *_ in closed)


def test_the_backtest_reports_the_same_books(books):
    _, minutes, closed, market, params, constants = books
    symbols = [f"S{i}USDT" for i in range(market.flags.shape[1])]
    result = backtest(market, params, constants, symbols=symbols, wallet=WALLET)
    np.testing.assert_array_equal(result.equity, minutes[:, 1])
    np.testing.assert_array_equal(result.trades["net"], [trade["net"] for trade, *_ in closed])
    m = result.metrics
    parts = m["gross"] - m["fees"] - m["slippage"] - m["funding"] - m["liquidation_fees"] + m["absorbed"]
    assert m["net"] == pytest.approx(parts, rel=1e-9)
    assert m["net"] == pytest.approx(minutes[-1, 4], rel=1e-9)
