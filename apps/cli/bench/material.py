"""Generated markets to measure on: seeded, of the size asked for, with the habits of real minutes."""

import numpy as np
from numpy.typing import NDArray

from services.features import kernel as k
from services.training.market import Minutes

F64 = NDArray[np.float64]

YEAR = 525_600
MONTH = 43_200
START_MS = 1_735_689_600_000  # 2025-01-01T00:00Z, on an hour
SETTLE_EVERY = 480  # bars: eight hours


def bars(n: int, seed: int, *, price: float = 100.0) -> F64:
    """Bars (n, 12) in the order of ``kernel.BAR_FIELDS``: calm and wild hours, a basis, funding every eight hours."""
    rng = np.random.default_rng(seed)
    hourly = np.exp(0.5 * rng.standard_normal(n // 60 + 1)).repeat(60)[:n]
    vol = 7e-4 * hourly
    close = price * np.exp(np.cumsum(vol * rng.standard_normal(n)))
    opens = np.concatenate(([price], close[:-1]))
    high = np.maximum(opens, close) * (1 + np.abs(rng.standard_normal(n)) * vol / 2)
    low = np.minimum(opens, close) * (1 - np.abs(rng.standard_normal(n)) * vol / 2)
    out = np.empty((n, k.BAR_SIZE))
    out[:, k.BAR_TS] = times(n)
    out[:, k.BAR_OPEN : k.BAR_CLOSE + 1] = np.column_stack([opens, high, low, close])
    out[:, k.BAR_QUOTE_VOLUME] = np.exp(11 + 0.8 * rng.standard_normal(n))
    out[:, k.BAR_MARK_OPEN : k.BAR_MARK_CLOSE + 1] = out[:, k.BAR_OPEN : k.BAR_CLOSE + 1] * 1.0002
    out[:, k.BAR_INDEX_CLOSE] = close * (1 + 1e-4 * rng.standard_normal(n))
    out[:, k.BAR_SETTLED_RATE] = np.nan
    settles = np.arange(n) % SETTLE_EVERY == SETTLE_EVERY - 1  # the bar that closes on the hour
    out[settles, k.BAR_SETTLED_RATE] = 1e-4 * rng.standard_normal(int(settles.sum()))
    return out


def times(n: int) -> NDArray[np.int64]:
    """Opens of ``n`` consecutive minutes."""
    return START_MS + 60_000 * np.arange(n, dtype=np.int64)


def minutes(symbol: str, rows: F64) -> Minutes:
    """The rows as a training job reads them out of the store."""
    ts = rows[:, k.BAR_TS].astype(np.int64)
    settled = ~np.isnan(rows[:, k.BAR_SETTLED_RATE])
    return Minutes(symbol, ts, rows, ts[settled] + 60_000, rows[settled, k.BAR_SETTLED_RATE])


def names(n: int) -> tuple[str, ...]:
    """Symbols, BTCUSDT first."""
    return ("BTCUSDT", *(f"S{i:03d}USDT" for i in range(1, n)))
