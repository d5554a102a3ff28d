"""Small markets in a research store of their own: random walks of a minute, with or without a planted drift.

The planted drift follows the last settled funding rate, which every model sees as ``funding_rate``: minutes after a
positive settlement rise by ``drift`` standard deviations on average, minutes after a negative one fall. The rate itself
is too small to matter as a payment.
"""

import numpy as np

from packages.common.compute import LocalCompute
from packages.common.store import ResearchStore
from packages.common.time import HOUR_MS, MINUTE_MS
from services.labeling.triple_barrier import LabelSpec
from services.policy.kernel import PolicyParams
from services.simulator.build import SymbolRules, make_constants, make_params
from services.training import market
from services.training.replay import Desk
from services.training.research import label_symbols
from services.training.store_env import StoreEnv

START_MS = 1_750_032_000_000  # 2025-06-16T00:00:00Z
SIGMA = 0.0012  # of a minute's log return
RATE = 1e-6
SPEC = LabelSpec(k_tp=3.0, k_sl=2.0, h_bars=60, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.1)
FREE = LabelSpec(k_tp=3.0, k_sl=2.0, h_bars=60, risk_mae_atr=3.0, fee_rate=0.0, slippage_k=0.0)


def states(rng, n, hold=480):
    """+1 or -1 for each of ``n`` minutes, drawn anew every ``hold`` of them."""
    return np.repeat(rng.choice([-1.0, 1.0], n // hold + 1), hold)[:n]


def write_market(store, symbols, *, days, drift=0.0, seed=1):
    """Store ``days`` of each symbol; returns symbol → planted state (n,) of each minute."""
    n = days * 1440
    planted = {}
    for number, symbol in enumerate(symbols):
        rng = np.random.default_rng([seed, number])
        state = planted[symbol] = states(rng, n)
        steps = rng.standard_normal((n, 4)) * SIGMA / 2  # four ticks a minute
        steps += (drift * SIGMA * state[:, None]) / 4 - (SIGMA / 2) ** 2 / 2
        path = 100.0 * np.exp(np.cumsum(steps.ravel())).reshape(n, 4)
        first = np.concatenate([[100.0], path[:-1, 3]])
        ticks = np.column_stack([first, path])
        ts = START_MS + MINUTE_MS * np.arange(n, dtype=np.int64)
        bars = {"open": first, "high": ticks.max(1), "low": ticks.min(1), "close": path[:, 3]}
        volume = 1e5 * np.exp(0.3 * rng.standard_normal(n))
        extra = {"volume": volume, "quote_volume": volume * path[:, 3], "trades": np.full(n, 100.0)}
        extra |= {"taker_buy_volume": volume / 2, "taker_buy_quote_volume": volume * path[:, 3] / 2}
        store.write(market.CANDLES, market.VERSION, symbol, {"ts": ts, **bars, **extra})
        store.write(market.MARK, market.VERSION, symbol, {"ts": ts, **bars})
        store.write(market.INDEX, market.VERSION, symbol, {"ts": ts, **bars})
        settled = np.flatnonzero(ts % (8 * HOUR_MS) == 0)
        rates = {"ts": ts[settled], "funding_rate": RATE * state[settled], "mark_price": first[settled]}
        store.write(market.FUNDING, market.VERSION, symbol, rates)
    return planted


def desk_of(fee):
    """A desk that knows tiers and betas: everything tradable, no filters."""

    def desk(spec, symbols, span):
        n = len(symbols)
        constants = make_constants([SymbolRules()] * n, fee)
        return Desk(
            symbols, np.ones(n, np.bool_), constants, make_params(spec, PolicyParams(mae_max=100.0)), 10_000.0,
            np.array([START_MS]), np.zeros((1, n), np.int64), np.ones((1, n)),
        )  # fmt: skip

    return desk


def market_env(folder, symbols, *, days, spec=SPEC, drift=0.0, seed=1):
    """A labelled store and its environment; packages beside it."""
    store = ResearchStore(f"file://{folder}/store")
    write_market(store, symbols, days=days, drift=drift, seed=seed)
    env = StoreEnv(store, f"file://{folder}/models", desk_of(spec.fee_rate))
    label_symbols(env, symbols, spec, lambda _fraction, _stage: None, LocalCompute(1))
    return env
