"""Calm generated markets for the tests of evidence and reports: fat-tailed walks, funding, an edge of known size."""

import numpy as np

from services.policy.kernel import PRESENT, TRADABLE, Barriers, PolicyParams
from services.risk.kernel import RiskParams
from services.simulator.build import SymbolRules, make_constants, make_market, make_params

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
START = 1_748_736_000_000  # 2025-06-01T00:00Z
BRACKETS = ((50_000.0, 0.005, 0.0, 100.0), (1e6, 0.01, 250.0, 50.0))


def make(seed, *, days=20, symbols=SYMBOLS, edge=0.0, every=30, h_bars=240):
    """(market, params, constants). A symbol has a signal every ``every`` minutes or so; its ``er`` promises more than
    the costs, and its side is that of the next ``h_bars`` minutes' return with probability 1/2 + ``edge``."""
    rng = np.random.default_rng(seed)
    n, t = len(symbols), days * 1_440
    vol = 0.0006 * np.exp(0.4 * np.sin(np.arange(t) / 700.0))[:, None] * np.linspace(0.8, 1.6, n)
    steps = rng.standard_t(4, (t, n)) / np.sqrt(2.0) * vol
    close = np.geomspace(60_000.0, 2.0, n) * np.exp(np.cumsum(steps, 0))
    opens = np.vstack([close[:1], close[:-1]])
    wick = np.abs(rng.normal(0, 0.4, (2, t, n))) * vol
    high, low = np.maximum(opens, close) * (1 + wick[0]), np.minimum(opens, close) * (1 - wick[1])
    last = np.stack([opens, high, low, close], 1)
    mark = last * (1 + rng.normal(0, 2e-5, (t, 1, n)))
    atr1, atr = 1.6 * vol * close, 12.0 * vol * close
    a = atr / close
    ahead = np.zeros((t, n))
    ahead[:-h_bars] = np.log(close[h_bars:] / close[:-h_bars])
    right = rng.random((t, n)) < 0.5 + edge
    side = np.where(right, 1.0, -1.0) * np.where(ahead >= 0, 1.0, -1.0)
    signal = rng.random((t, n)) < 1.0 / every
    preds = np.empty((t, 10, n))
    for base, direction in ((0, 1.0), (5, -1.0)):
        preds[:, base] = np.where(signal & (side == direction), 0.004, -0.002)
        preds[:, base + 1] = -1.3 * a
        preds[:, base + 2] = 0.6 * a
        preds[:, base + 3] = 120.0
        preds[:, base + 4] = 0.45
    rate = np.full((t, n), np.nan)
    rate[479::480] = rng.normal(1e-4, 5e-5, rate[479::480].shape)
    regime = np.digitize(vol[:, 0] / 0.0006, [0.75, 1.25])
    market = make_market(
        START + np.arange(t) * 60_000, flags=np.full((t, n), PRESENT | TRADABLE, np.uint8), last=last, mark=mark,
        qm=np.full((t, n), 5e6), atr=atr, atr1=atr1, preds=preds, rate=rate, regime=regime,
    )  # fmt: skip
    params = make_params(Barriers(1.5, 1.0, h_bars, 3.0, 0.0004, 0.15, 0.25), PolicyParams(), RiskParams())
    rules = [
        SymbolRules(tick=float(10.0 ** np.floor(np.log10(p) - 4)), step=0.001, min_qty=0.001, min_notional=5.0,
                    liquidation_fee=0.0125, max_leverage=50, brackets=BRACKETS)
        for p in close[0]
    ]  # fmt: skip
    return market, params, make_constants(rules, 0.0005)
