"""Stress, attribution, baselines and sensitivity on generated markets, against what the kernel's ledger must show."""

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from services.backtest import attribution
from services.backtest.baselines import baseline_rows, buy_and_hold, random_entries
from services.backtest.portfolio import backtest
from services.backtest.sensitivity import base_value, changed_params, default_grid, kernel_runner, sensitivity
from services.backtest.stress import Stress, stress_table, stressed
from services.backtest.study import funding_notes
from services.backtest.tests import markets
from services.policy.kernel import BAD_FEATURES, DRIFT
from services.simulator.tables import TRADE

SYMBOLS = markets.SYMBOLS


@pytest.fixture(scope="module")
def made():
    return markets.make(11, days=4)


@pytest.fixture(scope="module")
def result(made):
    return backtest(*made, symbols=SYMBOLS)


def test_no_stress_changes_nothing(made):
    for before, after in zip(made, stressed(*made, Stress()), strict=True):
        assert before is after


def test_fee_and_slippage_scale_what_a_fill_costs(made):
    base = backtest(*made, symbols=SYMBOLS).trades
    dear = backtest(*stressed(*made, Stress(fee=3.0)), symbols=SYMBOLS).trades
    slid = backtest(*stressed(*made, Stress(slippage=4.0)), symbols=SYMBOLS).trades

    def per_notional(frame, column):
        return float(frame[column].sum() / (frame["qty"] * (frame["entry_fill"] + frame["exit_fill"])).sum())

    assert per_notional(dear, "fees") == pytest.approx(3 * per_notional(base, "fees"), rel=1e-9)
    # slip grows with sqrt(notional): the stressed orders are smaller, so a little under four times
    assert per_notional(slid, "slippage") == pytest.approx(4 * per_notional(base, "slippage"), rel=0.1)


def test_the_quantile_gate_sees_slippage_on_both_sides(made):
    market, params, constants = made
    slid, changed, _ = stressed(market, params, constants, Stress(slippage=3.0))
    more = 2 * params.barriers.slippage_k * 2.0 * market.atr1 / market.mark[:, 3]
    np.testing.assert_allclose(market.preds[:, 1] - slid.preds[:, 1], more, rtol=1e-9)
    np.testing.assert_array_equal(market.preds[:, 0], slid.preds[:, 0])
    assert changed.barriers.slippage_k == 3 * params.barriers.slippage_k


def test_late_means_predictions_and_their_flag_of_earlier_bars(made):
    market, params, constants = made
    market = market._replace(flags=market.flags.copy())
    market.flags[100, 2] |= BAD_FEATURES
    late = stressed(market, params, constants, Stress(latency_bars=3))[0]
    assert late.ts_ms[0] == market.ts_ms[3]
    np.testing.assert_array_equal(late.preds[50], market.preds[50])
    np.testing.assert_array_equal(late.last[50], market.last[53])
    assert np.argwhere(late.flags & BAD_FEATURES).tolist() == [[100, 2]]  # the minute at which that row is acted on
    assert np.shares_memory(late.preds, market.preds)
    on_time = backtest(market, params, constants, symbols=SYMBOLS).trades.iloc[0]
    trades = backtest(late, params, constants, symbols=SYMBOLS).trades
    assert trades.iloc[0]["entry_ts_ms"] == on_time["entry_ts_ms"] + 3 * 60_000


def test_missed_fills_nest_and_are_seeded(made):
    lost = [stressed(*made, Stress(missed_fills=p, seed=5))[0].flags & DRIFT for p in (0.1, 0.4)]
    assert (lost[0] != 0).mean() == pytest.approx(0.1, abs=0.01)
    assert ((lost[0] != 0) <= (lost[1] != 0)).all()
    other = stressed(*made, Stress(missed_fills=0.1, seed=6))[0].flags & DRIFT
    assert (other != lost[0]).any()
    few = backtest(*stressed(*made, Stress(missed_fills=0.97)), symbols=SYMBOLS)
    assert 0 < few.metrics["trades"] < 0.7 * backtest(*made, symbols=SYMBOLS).metrics["trades"]


def test_the_table_has_a_row_per_stress_and_its_own_parameters(made, result):
    rows = stress_table(*made, symbols=SYMBOLS, stresses={"base": Stress(), "dear": Stress(fee=2.0)})
    assert [row["stress"] for row in rows] == ["base", "dear"]
    assert [row["fee_factor"] for row in rows] == [1.0, 2.0]
    assert [row["slippage_factor"] for row in rows] == [1.0, 1.0]
    assert rows[0]["net"] == result.metrics["net"]
    assert rows[1]["fees"] / rows[1]["turnover"] == pytest.approx(2 * rows[0]["fees"] / rows[0]["turnover"])


@pytest.mark.parametrize(
    "kwargs", [{"fee": -1.0}, {"slippage": float("nan")}, {"latency_bars": -1}, {"missed_fills": 1.0}]
)
def test_impossible_stresses_are_named(kwargs):
    with pytest.raises(InvalidInputError, match=next(iter(kwargs))):
        Stress(**kwargs)


def test_a_delay_longer_than_the_market_is_named(made):
    with pytest.raises(InvalidInputError, match="latency_bars"):
        stressed(*made, Stress(latency_bars=10**6))


def test_every_grouping_adds_up_to_the_ledger(made, result):
    market = made[0]
    groupings = (
        attribution.by_symbol(result.trades),
        attribution.by_side(result.trades),
        attribution.by_reason(result.trades),
        attribution.by_month(result.trades),
        attribution.by_regime(result.trades, market.ts_ms, market.regime),
    )
    for rows in groupings:
        assert sum(row["trades"] for row in rows) == len(result.trades)
        for column in attribution.LEDGER:
            assert sum(row[column] for row in rows) == pytest.approx(result.trades[column].sum())
        for row in rows:
            costs = row["fees"] + row["slippage"] + row["funding"] + row["liquidation_fee"] - row["absorbed"]
            assert row["net"] == pytest.approx(row["gross"] - costs)
    first = result.trades.iloc[0]
    decided = int((first["entry_ts_ms"] - market.ts_ms[0]) // 60_000) - 1
    names = {row["name"] for row in groupings[4]}
    assert {0: "calm", 1: "normal", 2: "wild"}[int(market.regime[decided])] in names
    assert attribution.by_symbol(result.trades.iloc[:0]) == []


def test_activity_counts_minutes_as_a_loop_does(made, result):
    market = made[0]
    ends = result.trades["exit_ts_ms"].to_numpy()
    held = np.zeros(market.ts_ms.size)
    amount = np.zeros(market.ts_ms.size)
    for i, trade in result.trades.iterrows():
        inside = (market.ts_ms >= trade["entry_ts_ms"]) & (market.ts_ms < ends[i])
        held += inside
        amount += inside * trade["qty"] * trade["entry_fill"]
    for pos in result.state.positions[result.state.positions["side"] != 0]:
        inside = market.ts_ms >= pos["entry_bar"] * 60_000
        held += inside
        amount += inside * pos["qty"] * pos["entry_fill"]
    assert result.metrics["time_in_market"] == pytest.approx((held > 0).mean())
    assert result.metrics["positions"] == pytest.approx(held.mean())
    assert result.metrics["exposure"] == pytest.approx((amount / result.equity).mean())


def test_buy_and_hold_books_every_cost_once(made):
    market, params, constants = made
    equity = buy_and_hold(market, params, constants, 0, wallet=1_000.0)
    free = params._replace(barriers=params.barriers._replace(slippage_k=0.0))
    plain = buy_and_hold(
        market._replace(rate=market.rate * np.nan), free, constants._replace(fee_now=0.0), 0, wallet=1e3
    )
    opened, closed = market.last[1, 0, 0], market.last[-1, 3, 0]
    assert plain[-1] == pytest.approx(1_000.0 * closed / opened)
    assert equity[0] == 1_000.0
    fee = constants.fee_now
    only_fee = buy_and_hold(market._replace(rate=market.rate * np.nan), free, constants, 0, wallet=1_000.0)
    assert only_fee[-1] == pytest.approx(1_000.0 / (opened * (1 + fee)) * closed * (1 - fee))
    paid = buy_and_hold(market, free, constants._replace(fee_now=0.0), 0, wallet=1_000.0)
    qty = 1_000.0 / opened
    assert plain[-1] - paid[-1] == pytest.approx(np.nansum(qty * market.mark[1:, 3, 0] * market.rate[1:, 0]))
    assert equity[-1] < min(only_fee[-1], plain[-1])
    with pytest.raises(InvalidInputError):
        buy_and_hold(market._replace(flags=market.flags * 0), params, constants, 0)


def test_random_entries_have_the_count_and_exits_and_no_memory(made, result):
    drawn = random_entries(*made, result, np.random.default_rng(3), symbols=SYMBOLS, draws=25)
    counts = np.array([m["trades"] for m in drawn.draws])
    assert counts.mean() == pytest.approx(len(result.trades), rel=0.2)
    again = random_entries(*made, result, np.random.default_rng(3), symbols=SYMBOLS, draws=25)
    assert [m["net"] for m in again.draws] == [m["net"] for m in drawn.draws]
    returns = np.array([m["total_return"] for m in drawn.draws])
    assert len(set(returns)) == 25
    mine = result.metrics["total_return"]
    assert drawn.percentile == (returns < mine).mean() + 0.5 * (returns == mine).mean()
    assert drawn.p_value == (1 + (returns >= mine).sum()) / 26
    assert drawn.at(0.0)["total_return"] == returns.min()
    none = backtest(made[0]._replace(preds=made[0].preds * np.nan), *made[1:], symbols=SYMBOLS)
    assert random_entries(*made, none, np.random.default_rng(3), symbols=SYMBOLS) is None


def test_a_planted_edge_beats_chance_and_none_does_not():
    planted = markets.make(5, days=6, edge=0.3)
    strong = backtest(*planted, symbols=SYMBOLS)
    assert random_entries(*planted, strong, np.random.default_rng(1), symbols=SYMBOLS, draws=30).p_value < 0.05
    ranks = []
    for seed in range(6):
        luck = markets.make(40 + seed, days=3, edge=0.0)
        played = backtest(*luck, symbols=SYMBOLS)
        ranks.append(random_entries(*luck, played, np.random.default_rng(1), symbols=SYMBOLS, draws=20).percentile)
    assert 0.1 < np.mean(ranks) < 0.9


def test_baselines_stand_in_one_table(made, result):
    rows, _ = baseline_rows(*made, result, np.random.default_rng(1), symbols=SYMBOLS, draws=3)
    assert [row["baseline"] for row in rows][:3] == ["strategy", "flat", "buy and hold BTCUSDT"]
    assert all(row.keys() == rows[0].keys() for row in rows)
    without, _ = baseline_rows(*made, result, np.random.default_rng(1), symbols=SYMBOLS, draws=0, hold="DOGEUSDT")
    assert [row["baseline"] for row in without] == ["strategy", "flat"]


def test_sensitivity_moves_one_number(made, result):
    market, params, constants = made
    run = kernel_runner(market, params, constants, symbols=SYMBOLS)
    grid = {"ev_min": (0.0, 1.0), "k_tp": (1.5, 3.0)}
    rows = sensitivity(run, grid, {name: base_value(params, name) for name in grid})
    assert [(r["parameter"], r["value"], r["base"]) for r in rows] == [
        ("ev_min", 0.0, True), ("ev_min", 1.0, False), ("k_tp", 1.5, True), ("k_tp", 3.0, False),
    ]  # fmt: skip
    assert rows[0]["net"] == rows[2]["net"] == result.metrics["net"]
    assert rows[1]["trades"] == 0
    assert changed_params(params, "h_bars", 12.0).barriers.h_bars == 12
    assert set(default_grid(params)) == {"k_tp", "k_sl", "h_bars", "ev_min"}
    for name in ("fee_spec", "leverage_table", "nonsense"):
        with pytest.raises(InvalidInputError):
            changed_params(params, name, 1.0)
    labels = sensitivity(lambda name, value: {"net": value}, {"k_tp": (1.0,)}, {}, level="label")
    assert labels == [{"level": "label", "parameter": "k_tp", "value": 1.0, "base": False, "net": 1.0}]


def test_trade_dtype_is_what_attribution_reads():
    assert set(attribution.LEDGER) <= set(TRADE.names)


def test_costs_that_lack_funding_are_told():
    market, *_ = markets.make(3, days=4)
    assert funding_notes(market, markets.SYMBOLS) == []
    rate = market.rate.copy()
    rate[1_000:4_000, 1] = np.nan
    [note] = funding_notes(market._replace(rate=rate), markets.SYMBOLS)
    assert "ETHUSDT 2." in note
    assert "BTCUSDT" not in note
