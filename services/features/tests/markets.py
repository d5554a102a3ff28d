"""Random markets for the tests; every number comes from the generator handed in."""

import numpy as np

from services.features import kernel as k

START_MS = 1_750_000_020_000 // 60_000 * 60_000  # not on an hour


def random_walk(n: int, rng: np.random.Generator, *, price: float = 100.0, minute_vol: float = 8e-4) -> np.ndarray:
    """OHLC (n, 4) on a tick of 1e-4 of the price, with ties and still bars."""
    tick = price * 1e-4
    moves = rng.standard_normal(n) * minute_vol * np.exp(0.3 * rng.standard_normal(n))
    moves[rng.random(n) < 0.05] = 0.0
    close = price * np.exp(np.cumsum(moves))
    open_ = np.concatenate(([price], close[:-1]))
    high = np.maximum(open_, close) * (1 + np.abs(rng.standard_normal(n)) * minute_vol / 2)
    low = np.minimum(open_, close) * (1 - np.abs(rng.standard_normal(n)) * minute_vol / 2)
    ohlc = np.round(np.stack([open_, high, low, close], axis=1) / tick) * tick
    ohlc[:, 1] = ohlc.max(axis=1)
    ohlc[:, 2] = ohlc.min(axis=1)
    return ohlc


def random_bars(n: int, rng: np.random.Generator, *, settle_every: int = 60, price: float = 100.0) -> np.ndarray:
    """Bars (n, BAR_SIZE): mark near last, index with holes, settlements on a rhythm with some left out."""
    bars = np.empty((n, k.BAR_SIZE))
    bars[:, k.BAR_TS] = START_MS + 60_000 * np.arange(n)
    bars[:, k.BAR_OPEN : k.BAR_CLOSE + 1] = random_walk(n, rng, price=price)
    bars[:, k.BAR_QUOTE_VOLUME] = np.where(rng.random(n) < 0.02, 0.0, np.exp(10 + rng.standard_normal(n)))
    bars[:, k.BAR_MARK_OPEN : k.BAR_MARK_CLOSE + 1] = bars[:, k.BAR_OPEN : k.BAR_CLOSE + 1] * 1.0003
    bars[:, k.BAR_INDEX_CLOSE] = bars[:, k.BAR_CLOSE] * (1 + 1e-4 * rng.standard_normal(n))
    bars[rng.random(n) < 0.03, k.BAR_INDEX_CLOSE] = np.nan
    settled = np.full(n, np.nan)
    settled[7::settle_every] = 1e-4 * rng.standard_normal(settled[7::settle_every].size)
    settled[rng.random(n) < 0.0005] = np.nan
    bars[:, k.BAR_SETTLED_RATE] = settled
    return bars


def btc_bars(n: int, rng: np.random.Generator) -> np.ndarray:
    """BTC's bars with quiet and wild hours, so that every regime occurs."""
    bars = random_bars(n, rng, price=60_000.0)
    hours = np.exp(0.8 * rng.standard_normal(n // 120 + 1)).repeat(120)[:n]
    bars[:, k.BAR_CLOSE] = 60_000.0 * np.exp(np.cumsum(rng.standard_normal(n) * 4e-4 * hours))
    bars[:, k.BAR_HIGH] = np.maximum(bars[:, k.BAR_HIGH], bars[:, k.BAR_CLOSE])
    bars[:, k.BAR_LOW] = np.minimum(bars[:, k.BAR_LOW], bars[:, k.BAR_CLOSE])
    return bars
