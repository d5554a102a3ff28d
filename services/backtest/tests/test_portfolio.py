"""Figures of a backtest against their definitions, and the fold in one piece against the fold in chunks."""

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from services.backtest.portfolio import backtest, metrics_of, run_walkforward_backtest
from services.simulator.step import KEEP_COUNTS, KEEP_ROWS
from services.simulator.tables import TRADE
from services.simulator.tests import markets

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT", "ADAUSDT", "LTCUSDT")


@pytest.fixture(scope="module")
def made():
    return markets.make(21, t=500, hope=0.03)


def cut(market, start, stop):
    return market._replace(
        **{name: getattr(market, name)[start:stop] for name in market._fields if name not in ("beta", "tier")}
    )


def test_figures_follow_their_definitions():
    trades = np.zeros(4, TRADE)
    trades["net"] = [30.0, -10.0, 0.0, -5.0]
    trades["fees"], trades["qty"], trades["entry_fill"], trades["exit_fill"] = 1.0, 2.0, 100.0, 101.0
    equity = np.array([1010.0, 1030.0, 927.0, 1015.0])
    minutes = np.arange(4) * 60_000
    got = metrics_of(trades, equity, 1000.0, minutes)
    assert got["profit_factor"] == pytest.approx(2.0)
    assert got["expectancy"] == pytest.approx(3.75)
    assert got["max_drawdown"] == pytest.approx(0.1)
    assert got["turnover"] == pytest.approx(4 * 2 * 201 / 1000)
    assert got["win_rate"] == 0.25
    assert got["fees"] == 4.0
    assert got["total_return"] == pytest.approx(0.015)
    none = metrics_of(trades[:0], equity[:0], 1000.0, minutes[:0])
    assert np.isnan(none["profit_factor"])
    assert none["max_drawdown"] == 0.0


def test_the_net_of_the_trades_explains_the_equity(made):
    market, params, constants = made
    result = backtest(market, params, constants, symbols=SYMBOLS)
    m = result.metrics
    assert m["trades"] == len(result.trades) > 20
    parts = m["gross"] - m["fees"] - m["slippage"] - m["funding"] - m["liquidation_fees"] + m["absorbed"]
    assert m["net"] == pytest.approx(parts)
    open_cost = sum(result.state.positions["fees"]) + sum(result.state.positions["funding"])
    assert result.state.account[0]["wallet"] == pytest.approx(m["start_equity"] + m["net"] - open_cost)
    assert run_walkforward_backtest(market, params, constants, symbols=SYMBOLS) == m
    assert set(result.trades["reason"]) >= {"SL", "TP"}
    assert (result.trades["exit_ts_ms"] >= result.trades["entry_ts_ms"]).all()


def test_chunks_equal_the_whole(made):
    market, params, constants = made
    whole = backtest(market, params, constants, symbols=SYMBOLS)
    first = backtest(cut(market, 0, 233), params, constants, symbols=SYMBOLS)
    second = backtest(cut(market, 233, 500), params, constants, symbols=SYMBOLS, state=first.state)
    np.testing.assert_array_equal(np.concatenate([first.equity, second.equity]), whole.equity)
    assert len(first.trades) + len(second.trades) == len(whole.trades)
    assert second.final == whole.final


def test_every_symbol_minute_is_counted_once(made):
    market, params, constants = made
    result = backtest(market, params, constants, symbols=SYMBOLS, keep=KEEP_COUNTS)
    assert sum(result.block_counts.values()) == market.flags.size
    for by_reason in result.block_counts_by_symbol.values():
        assert sum(by_reason.values()) == market.flags.shape[0]
    rows = backtest(market, params, constants, symbols=SYMBOLS, keep=KEEP_ROWS).rows
    assert result.block_counts["TRADED"] == (rows.table["side"] != 0).sum() > 0


def test_the_final_portfolio_names_its_positions(made):
    market, params, constants = made
    for stop in range(60, 400, 20):
        final = backtest(cut(market, 0, stop), params, constants, symbols=SYMBOLS).final
        if final.positions:
            break
    symbol, position = next(iter(final.positions.items()))
    assert position.symbol == symbol in SYMBOLS
    assert position.side in (1, -1)
    assert position.notional > 0
    assert 0 < final.used_margin <= 0.36 * final.equity


def test_nonsense_is_named(made):
    market, params, constants = made
    for change in ({"symbols": SYMBOLS[:2]}, {"keep": 9}, {"wallet": 0.0}):
        with pytest.raises(InvalidInputError):
            backtest(market, params, constants, **{"symbols": SYMBOLS, **change})
    swapped = market.ts_ms.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    with pytest.raises(InvalidInputError, match="the minute after"):
        run_walkforward_backtest(market._replace(ts_ms=swapped), params, constants, symbols=SYMBOLS)
    nan = market.last.copy()
    nan[3, 2, 0] = np.nan
    with pytest.raises(InvalidInputError, match="last"):
        run_walkforward_backtest(market._replace(last=nan), params, constants, symbols=SYMBOLS)
    with pytest.raises(InvalidInputError, match="once"):
        run_walkforward_backtest(market, params, constants, symbols=SYMBOLS[:1] * 6)
    with pytest.raises(InvalidInputError, match="fee_now"):
        run_walkforward_backtest(market, params, constants._replace(fee_now=np.nan), symbols=SYMBOLS)
    broken = params._replace(barriers=params.barriers._replace(k_sl=0.0))
    with pytest.raises(InvalidInputError, match="k_sl"):
        run_walkforward_backtest(market, broken, constants, symbols=SYMBOLS)
