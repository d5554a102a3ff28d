"""river: one bar of every symbol into rolling and weighted moments, of which the schema's z-scores and averages are."""

import math

from river import stats, utils
from rounds import arrays, serve

data = arrays()
bars, symbols = data["bars"], int(data["symbols"])
WINDOWS = (20, 60, 120)
moments = [[utils.Rolling(stats.Var, window_size=n) for n in WINDOWS] for _ in range(symbols)]
averages = [[stats.EWMean(2 / (n + 1)) for n in (12, 26, 60)] + [stats.EWMean(1 / 14) for _ in range(5)]
            for _ in range(symbols)]  # fmt: skip
at = iter(range(1, len(bars)))


def minute() -> None:
    i = next(at)
    _, _, high, low, close, volume = bars[i][:6].tolist()
    before = float(bars[i - 1][4])
    change, spread = close - before, max(high - low, abs(high - before), abs(low - before))
    inputs = (close, close, close, spread, max(change, 0.0), max(-change, 0.0), high - before, before - low)
    for windows, smoothed in zip(moments, averages, strict=True):
        for window, value in zip(windows, (close, math.log1p(volume), change), strict=True):
            window.update(value)
        for average, value in zip(smoothed, inputs, strict=True):
            average.update(value)


def work() -> None:
    """As many minutes as a round has."""
    for _ in range(int(data["minutes"])):
        minute()


for _ in range(200):
    minute()
serve("river", work)
