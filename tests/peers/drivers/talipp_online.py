"""talipp: one bar of every symbol into the indicators it has of the schema."""

from rounds import arrays, serve
from talipp.indicators import ADX, ATR, BB, EMA, MACD, ROC, RSI
from talipp.ohlcv import OHLCV

data = arrays()
bars, symbols = data["bars"], int(data["symbols"])
closes = [[ROC(1), ROC(5), ROC(15), EMA(60), RSI(14), MACD(12, 26, 9), BB(20, 2.0)] for _ in range(symbols)]
ohlcs = [[ATR(14), ADX(14, 14)] for _ in range(symbols)]
at = iter(range(len(bars)))


def minute() -> None:
    _, open_, high, low, close, volume = bars[next(at)][:6].tolist()
    for of_close, of_bar in zip(closes, ohlcs, strict=True):
        for indicator in of_close:
            indicator.add(close)
        bar = OHLCV(open_, high, low, close, volume)
        for indicator in of_bar:
            indicator.add(bar)


def work() -> None:
    """As many minutes as a round has."""
    for _ in range(int(data["minutes"])):
        minute()


for _ in range(200):
    minute()
serve("talipp", work)
