"""Intervals and Monte Carlo against plain loops, closed forms and scipy."""

import numpy as np
import pytest
from scipy import stats

from packages.common.errors import InvalidInputError
from services.backtest import evidence
from services.backtest.portfolio import daily_returns, drawdown, sharpe
from services.simulator.tables import TRADE

DAY = 1_440


def trades_of(net, exit_bar=None):
    trades = np.zeros(len(net), TRADE)
    trades["net"] = net
    trades["exit_bar"] = np.arange(len(net)) * 60 if exit_bar is None else exit_bar
    return trades


def slow_drawdown(returns):
    equity = peak = 1.0
    worst = 0.0
    for r in returns:
        equity *= max(1.0 + r, 0.0)
        peak = max(peak, equity)
        worst = max(worst, 1.0 - equity / peak)
    return worst


def test_drawdown_of_paths_equals_a_loop():
    rng = np.random.default_rng(1)
    paths = rng.normal(0, 0.05, (20, 40))
    paths[3, 10] = -1.5  # ruin
    paths[4] = np.abs(paths[4])
    np.testing.assert_allclose(evidence.path_drawdown(paths), [slow_drawdown(p) for p in paths], rtol=1e-12)
    assert evidence.path_drawdown(paths)[4] == 0.0
    assert evidence.path_drawdown(np.zeros((2, 0))).tolist() == [0.0, 0.0]


def test_daily_returns_compound_to_the_whole_and_ruin_stays():
    ts = np.arange(3 * DAY) * 60_000
    equity = np.linspace(100, 130, 3 * DAY)
    days, returns = daily_returns(equity, ts, 90.0)
    assert days.tolist() == [0, 1, 2]
    assert np.prod(1 + returns) == pytest.approx(130 / 90)
    assert returns[1] == pytest.approx(equity[2 * DAY - 1] / equity[DAY - 1] - 1)
    equity[DAY:] = 0.0
    assert daily_returns(equity, ts, 90.0)[1].tolist()[1:] == [-1.0, 0.0]
    assert drawdown(np.array([90.0, 99.0]), 100.0).tolist() == pytest.approx([0.1, 0.01])
    assert np.isnan(sharpe(np.array([0.01])))
    assert sharpe(np.array([0.01, 0.03])) == pytest.approx(0.02 / np.std([0.01, 0.03], ddof=1) * 365**0.5)


def test_indices_are_blocks_of_the_asked_length():
    rng = np.random.default_rng(2)
    rows = evidence.stationary_indices(50, 4_000, 5.0, rng)
    assert rows.shape == (4_000, 50)
    assert rows.min() >= 0
    assert rows.max() < 50
    follows = (rows[:, 1:] - rows[:, :-1]) % 50 == 1
    # a block goes on with probability 1 - 1/5, and a fresh one hits the next position by chance once in 50
    assert follows.mean() == pytest.approx(0.8 + 0.2 / 50, abs=0.004)
    assert np.bincount(rows.ravel(), minlength=50) == pytest.approx(np.full(50, 4_000), rel=0.08)
    with pytest.raises(InvalidInputError):
        evidence.stationary_indices(0, 1, 2.0, rng)


def test_block_length_grows_with_dependence_and_follows_the_paper():
    rng = np.random.default_rng(3)

    def ar(phi, n=20_000):
        x, e = np.zeros(n), rng.normal(size=n)
        for i in range(1, n):
            x[i] = phi * x[i - 1] + e[i]
        return x

    # the optimum of an AR(1) in closed form: G / g(0) = 2 phi / (1 - phi^2)
    for phi in (0.3, 0.6):
        optimum = (2 * phi / (1 - phi**2)) ** (2 / 3) * 20_000 ** (1 / 3)
        assert evidence.block_length(ar(phi)) == pytest.approx(optimum, rel=0.35)
    assert evidence.block_length(rng.normal(size=500)) < 6
    assert evidence.block_length(np.ones(100)) == 1.0
    assert evidence.block_length(np.zeros(0)) == 1.0


def test_the_mean_interval_agrees_with_theory_where_theory_holds():
    rng = np.random.default_rng(4)
    returns = rng.normal(0.002, 0.01, 400)
    net = returns * 1_000
    days = evidence.Days(returns, net, np.maximum(net, 0), np.maximum(-net, 0), np.ones(400))
    got = evidence.bootstrap_intervals(days, np.random.default_rng(5), draws=4_000)
    t = stats.t.interval(0.95, 399, returns.mean(), stats.sem(returns))
    assert got["daily_return"].estimate == pytest.approx(returns.mean())
    assert (got["daily_return"].low, got["daily_return"].high) == pytest.approx(t, rel=0.2)
    assert got["expectancy"].low == pytest.approx(1_000 * got["daily_return"].low)
    assert got["profit_factor"].estimate == pytest.approx(net[net > 0].sum() / -net[net < 0].sum())
    assert got["profit_factor"].low < got["profit_factor"].estimate < got["profit_factor"].high
    assert got["max_drawdown_daily"].estimate == pytest.approx(slow_drawdown(returns))
    assert got == evidence.bootstrap_intervals(days, np.random.default_rng(5), draws=4_000)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        returns = rng.normal(0.001, 0.01, 80)
        days = evidence.Days(returns, returns, returns, np.abs(returns), np.ones(80))
        x = evidence.bootstrap_intervals(days, rng, draws=400)["daily_return"]
        hits += x.low <= 0.001 <= x.high
    assert 0.86 <= hits / 150 <= 0.99


def test_intervals_of_few_days_do_not_promise_more_than_they_hold():
    """Days without an edge: the lower end is above zero about once in forty samples, also of ten days."""
    for n in (10, 25):
        hits = above = 0
        for seed in range(400):
            returns = np.random.default_rng([seed, n]).normal(0.0, 0.01, n)
            days = evidence.Days(returns, returns, returns, np.abs(returns), np.ones(n))
            x = evidence.bootstrap_intervals(days, np.random.default_rng(seed), draws=400)["daily_return"]
            hits, above = hits + (x.low <= 0.0 <= x.high), above + (x.low > 0.0)
        assert hits / 400 >= 0.92
        assert above / 400 <= 0.045
    assert evidence.tail_of(0.95, 1e6) == pytest.approx(0.025, rel=1e-3)
    assert evidence.tail_of(0.95, 10.0) == pytest.approx(0.0086, abs=1e-4)


def test_statistics_follow_from_the_drawn_days():
    rng = np.random.default_rng(6)
    ts = np.arange(12 * DAY) * 60_000
    net = rng.normal(0, 5, 60)
    trades = trades_of(net, np.sort(rng.integers(0, 12 * DAY, 60)))
    equity = 1_000 + np.cumsum(np.bincount(trades["exit_bar"], net, 12 * DAY))
    days = evidence.days_of(trades, equity, ts, 1_000.0)
    assert days.net.sum() == pytest.approx(net.sum())
    assert days.trades.sum() == 60
    rows = rng.integers(0, 12, (3, 12))
    got = evidence.statistics_of(days, rows)
    of_day = trades["exit_bar"] // DAY
    for i in range(3):
        drawn = np.concatenate([net[of_day == d] for d in rows[i]])
        assert got["expectancy"][i] == pytest.approx(drawn.mean())
        assert got["profit_factor"][i] == pytest.approx(drawn[drawn > 0].sum() / -drawn[drawn < 0].sum())
        assert got["sharpe"][i] == pytest.approx(sharpe(days.returns[rows[i]]))


def test_monte_carlo_rows_mean_what_they_say():
    rng = np.random.default_rng(7)
    net = rng.normal(2.0, 20.0, 300)
    trades = trades_of(net)
    per_trade = evidence.trade_returns(trades, 1_000.0)
    assert 1_000.0 * np.prod(1 + per_trade) == pytest.approx(1_000.0 + net.sum())
    days = evidence.Days(per_trade[:200], *(np.zeros(200),) * 4)
    rows = {r["method"]: r for r in evidence.monte_carlo(trades, days, 1_000.0, np.random.default_rng(8), draws=600)}
    assert list(rows) == ["shuffle", "resample", "blocks"]
    end = 1 + net.sum() / 1_000
    assert rows["shuffle"]["end_equity_q05"] == pytest.approx(end) == rows["shuffle"]["end_equity_q95"]
    assert rows["resample"]["end_equity_q05"] < end < rows["resample"]["end_equity_q95"]
    assert rows["resample"]["end_equity_q50"] == pytest.approx(end, rel=0.1)
    slow = np.random.default_rng(9)
    loop = [slow_drawdown(slow.permutation(per_trade)) for _ in range(600)]
    for level in (5, 50, 95):
        assert rows["shuffle"][f"max_drawdown_q{level:02d}"] == pytest.approx(np.quantile(loop, level / 100), rel=0.1)


def test_no_trades_one_trade_all_wins():
    ts = np.arange(3 * DAY) * 60_000
    flat = np.full(3 * DAY, 1_000.0)
    none = evidence.days_of(trades_of([]), flat, ts, 1_000.0)
    got = evidence.bootstrap_intervals(none, np.random.default_rng(1), draws=50)
    assert got["expectancy"].estimate is None
    assert got["profit_factor"].low is None
    assert got["daily_return"].high == 0.0
    assert [r["method"] for r in evidence.monte_carlo(trades_of([]), none, 1e3, np.random.default_rng(1), draws=9)] == [
        "blocks"
    ]
    one = trades_of([5.0])
    rows = evidence.monte_carlo(one, evidence.days_of(one, flat, ts, 1e3), 1e3, np.random.default_rng(1), draws=9)
    assert rows[0]["max_drawdown_q95"] == 0.0
    wins = trades_of([5.0, 1.0, 2.0], [10, DAY + 10, 2 * DAY + 10])
    got = evidence.bootstrap_intervals(evidence.days_of(wins, flat, ts, 1e3), np.random.default_rng(1), draws=50)
    assert got["profit_factor"].estimate is None  # inf: no losses
    assert got["expectancy"].low >= 1.0
    assert evidence.bootstrap_intervals(evidence.Days(*(np.zeros(1),) * 5), np.random.default_rng(1)) == {}


def test_ten_thousand_trades_take_seconds():
    rng = np.random.default_rng(10)
    trades = trades_of(rng.normal(0, 1, 10_000), np.sort(rng.integers(0, 365 * DAY, 10_000)))
    returns = rng.normal(0, 0.01, 365)
    days = evidence.Days(returns, *(np.abs(rng.normal(size=365)),) * 4)
    import time

    begin = time.process_time()
    evidence.bootstrap_intervals(days, rng, draws=2_000)
    evidence.monte_carlo(trades, days, 10_000.0, rng, draws=1_000)
    assert time.process_time() - begin < 10.0
