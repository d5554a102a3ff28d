"""The portfolio fold against a plain dense one that looks at every symbol in every minute: brackets, entries, equity.

A year is folded in months, each handing its state to the next, so that the market of one month is what memory holds.
"""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from apps.cli.bench import material
from apps.cli.bench.measure import Figure, Plan, at_least, interleave
from apps.cli.bench.peers import in_turn, peer
from packages.common.jit import kernel
from services.backtest.portfolio import backtest
from services.labeling.triple_barrier import PRESETS
from services.policy.kernel import PRESENT, TRADABLE
from services.simulator.build import SymbolRules, make_constants, make_market, make_params
from services.simulator.tables import Constants, Market, Params

F64 = NDArray[np.float64]
FEE = 0.0005
RULES = SymbolRules(
    tick=0.001, step=0.001, min_qty=0.001, max_qty=1e6, min_notional=5.0, liquidation_fee=0.0125, max_leverage=75,
    brackets=((50_000.0, 0.005, 0.0, 75.0), (250_000.0, 0.01, 250.0, 50.0), (1e6, 0.025, 4_000.0, 20.0)),
)  # fmt: skip


def market(n_symbols: int, n_minutes: int, seed: int = 1) -> Market:
    """Minutes of ``n_symbols`` with predictions as a model gives them: nearly always below the costs.

    One prediction in a hundred stands above what entering costs, so with fifty symbols two minutes in three hold a
    candidate; half a percent of the bars is missing.
    """
    rng = np.random.default_rng(seed)
    shape = (n_minutes, n_symbols)
    vol = 7e-4 * np.exp(0.5 * rng.standard_normal((n_minutes // 60 + 1, n_symbols))).repeat(60, 0)[:n_minutes]
    close = 100.0 * np.exp(np.cumsum(vol * rng.standard_normal(shape), 0))
    opens = np.vstack([close[:1], close[:-1]])
    last = np.empty((n_minutes, 4, n_symbols))
    last[:, 0], last[:, 3] = opens, close
    last[:, 1] = np.maximum(opens, close) * (1 + np.abs(rng.standard_normal(shape)) * vol / 2)
    last[:, 2] = np.minimum(opens, close) * (1 - np.abs(rng.standard_normal(shape)) * vol / 2)
    atr = 1.4e-3 * close
    preds = np.empty((n_minutes, 10, n_symbols))
    for first in (0, 5):
        preds[:, first] = -7e-4 + 4e-4 * rng.standard_normal(shape)
        preds[:, first + 1] = -2.2e-3
        preds[:, first + 2] = 1e-3
        preds[:, first + 3] = 20.0
        preds[:, first + 4] = 0.4
    rate = np.full(shape, np.nan)
    rate[material.SETTLE_EVERY - 1 :: material.SETTLE_EVERY] = 1e-4
    return make_market(
        material.times(n_minutes), flags=np.where(rng.random(shape) < 0.005, 0, PRESENT | TRADABLE).astype(np.uint8),
        last=last, mark=last * 1.0001, qm=np.exp(12 + 0.5 * rng.standard_normal(shape)), atr=atr, atr1=atr,
        preds=preds, rate=rate, regime=rng.choice([0, 1, 2], n_minutes, p=[0.3, 0.5, 0.2]),
    )  # fmt: skip


def terms(n_symbols: int) -> tuple[Params, Constants]:
    """Preset ``spec``, default policy and guards, real-looking filters and brackets."""
    return make_params(PRESETS["spec"]), make_constants([RULES] * n_symbols, FEE)


def fold(chunk: Market, params: Params, constants: Constants, chunks: int) -> int:
    """``chunks`` times the market, one after the other, through the product; the number of trades."""
    symbols = material.names(chunk.flags.shape[1])
    step = chunk.ts_ms.size * 60_000
    state, trades = None, 0
    for i in range(chunks):
        part = chunk._replace(ts_ms=chunk.ts_ms + i * step)
        result = backtest(part, params, constants, symbols=symbols, state=state)
        state, trades = result.state, trades + len(result.trades)
    return trades


@kernel
def plain_fold(
    open_: F64, high: F64, low: F64, close: F64, er_long: F64, er_short: F64, atr: F64, rate: F64, equity: F64,
    cost: float, fee: float, h_bars: int,
) -> int:  # fmt: skip
    """Trades of a dense fold over (T, S): positions filled at the next open, left at stop, target or time, funding,
    equity marked to market every minute; at most six at a time, no other rule."""
    n_minutes, n = close.shape
    side, entry, qty = np.zeros(n), np.zeros(n), np.zeros(n)
    stop, target, since = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    wanted = np.zeros(n)
    wallet, held, trades = 1e4, 0, 0
    for t in range(n_minutes):
        open_pnl = 0.0
        for s in range(n):
            if wanted[s] != 0.0:
                side[s], entry[s], since[s] = wanted[s], open_[t, s], t
                qty[s] = 2_000.0 / entry[s]
                stop[s], target[s] = entry[s] - side[s] * atr[t, s], entry[s] + 1.5 * side[s] * atr[t, s]
                wallet -= fee * 2_000.0
                wanted[s] = 0.0
            if side[s] != 0.0:
                price = 0.0
                if side[s] > 0.0:
                    if low[t, s] <= stop[s]:
                        price = stop[s]
                    elif high[t, s] >= target[s]:
                        price = target[s]
                elif high[t, s] >= stop[s]:
                    price = stop[s]
                elif low[t, s] <= target[s]:
                    price = target[s]
                if price == 0.0 and t - since[s] >= h_bars:
                    price = close[t, s]
                if not math.isnan(rate[t, s]):
                    wallet -= side[s] * qty[s] * close[t, s] * rate[t, s]
                if price != 0.0:
                    wallet += side[s] * qty[s] * (price - entry[s]) - fee * qty[s] * price
                    side[s] = 0.0
                    held -= 1
                    trades += 1
                else:
                    open_pnl += side[s] * qty[s] * (close[t, s] - entry[s])
            elif held < 6:
                if er_long[t, s] > cost and er_long[t, s] >= er_short[t, s]:
                    wanted[s] = 1.0
                    held += 1
                elif er_short[t, s] > cost:
                    wanted[s] = -1.0
                    held += 1
        equity[t] = wallet + open_pnl
    return trades


def columns(chunk: Market) -> list[F64]:
    """What the plain fold reads, each an array of its own."""
    marks, preds = chunk.mark, chunk.preds
    views = (chunk.last[:, 0], marks[:, 1], marks[:, 2], marks[:, 3], preds[:, 0], preds[:, 5], chunk.atr, chunk.rate)
    return [np.ascontiguousarray(view) for view in views]


def dense(arrays: list[F64], chunks: int) -> int:
    """The plain fold over as much data."""
    equity = np.empty(arrays[0].shape[0])
    open_, high, low, close, er_long, er_short, atr, rate = arrays
    return sum(
        plain_fold(open_, high, low, close, er_long, er_short, atr, rate, equity, 2e-4, FEE, 360) for _ in range(chunks)
    )


def measure(plan: Plan) -> Iterator[Figure]:
    """Fifty symbols; trades and equity kept."""
    n_symbols = 50
    chunk = market(n_symbols, plan.size(material.MONTH, 10_000))
    chunks = plan.size(12, 1)
    params, constants = terms(n_symbols)
    work = n_symbols * chunk.ts_ms.size * chunks
    trades, arrays = fold(chunk, params, constants, chunks), columns(chunk)
    took = interleave(
        plan.rounds,
        {"product": lambda: fold(chunk, params, constants, chunks), "plain": lambda: dense(arrays, chunks)},
    )
    what = f"{n_symbols} symbols x {work // n_symbols:,} minutes, {trades:,} trades"
    rate, plain = work / took["product"] / 1e6, work / took["plain"] / 1e6
    reference = f"plain dense compiled fold, {plain:.0f} M symbol-bars/s"
    yield at_least("backtest", what, rate, "M symbol-bars/s", limit=42.0)
    yield Figure(
        *("backtest", what, took["product"], "s", reference, took["product"] / took["plain"], "<= 5 x"),
        took["product"] <= 5 * took["plain"],
    )


def peers(plan: Plan) -> Iterator[Figure]:
    """The same candidates, stops and targets by vectorbt, and one symbol of them by those that go bar by bar.

    None has policy, guards or a margin that symbols share as the exchange does; funding has freqtrade alone, and none
    is charged here.
    """
    params, constants = terms(50)
    spec, cost = PRESETS["spec"], 2e-4
    names = ("open", "high", "low", "close", "er_long", "er_short", "atr")
    for driver, n_symbols, n_minutes, limit in (
        ("vectorbt_backtest", 50, plan.size(material.MONTH, 10_000), 5.0),
        ("backtesting_backtest", 1, plan.size(10_000, 5_000), None),
        ("nautilus_backtest", 1, plan.size(10_000, 5_000), 1_000.0),
        ("freqtrade_backtest", 1, plan.size(10_000, 5_000), 1_000.0),
    ):
        chunk = market(50, n_minutes)
        arrays = {name: values[:, :n_symbols] for name, values in zip(names, columns(chunk), strict=False)}
        with peer(
            driver, ts_ms=chunk.ts_ms, **arrays, cost=cost, fee=FEE, k_tp=spec.k_tp, k_sl=spec.stop_atr,
            h_bars=spec.h_bars,
        ) as other:  # fmt: skip
            ours, theirs = in_turn(min(plan.rounds, 5), partial(fold, chunk, params, constants, 1), other)
        speed, reached = (symbols * n_minutes / took / 1e6 for symbols, took in ((50, ours), (n_symbols, theirs)))
        what = f"50 symbols x {n_minutes:,} minutes, against a peer"
        reference = f"{other.name}, {n_symbols} symbols, {reached:.2g} M symbol-bars/s"
        if limit is None:
            yield Figure("backtest", what, speed, "M symbol-bars/s", reference, speed / reached)
        else:
            yield at_least(
                "backtest", what, speed, "M symbol-bars/s", limit=limit, reference=reference, ratio=speed / reached
            )
