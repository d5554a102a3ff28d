"""backtesting.py: one symbol, signals of the predictions, stop and target of the ATR, time exit, fees."""

import warnings

import pandas as pd
from backtesting import Backtest, Strategy
from rounds import arrays, serve

warnings.simplefilter("ignore")
data = arrays()
COST, K_TP, K_SL, H_BARS = (float(data[name]) for name in ("cost", "k_tp", "k_sl", "h_bars"))
frame = pd.DataFrame(
    {"Open": data["open"][:, 0], "High": data["high"][:, 0], "Low": data["low"][:, 0], "Close": data["close"][:, 0],
     "Volume": 1.0, "atr": data["atr"][:, 0], "er_long": data["er_long"][:, 0], "er_short": data["er_short"][:, 0]},
    index=pd.to_datetime(data["ts_ms"], unit="ms"),
)  # fmt: skip


class Barriers(Strategy):
    """One position at a time, with stop, target and time exit."""

    def init(self) -> None:
        """Everything is in the data already."""

    def next(self) -> None:
        """Leave what is too old, enter what is wanted."""
        for trade in self.trades:
            if len(self.data) - trade.entry_bar > H_BARS:
                trade.close()
        if self.position:
            return
        now, close, atr = self.data, self.data.Close[-1], self.data.atr[-1]
        if now.er_long[-1] > COST and now.er_long[-1] >= now.er_short[-1]:
            self.buy(size=0.2, sl=close - K_SL * atr, tp=close + K_TP * atr)
        elif now.er_short[-1] > COST:
            self.sell(size=0.2, sl=close + K_SL * atr, tp=close - K_TP * atr)


def work() -> dict[str, float]:
    """Trades and last equity."""
    stats = Backtest(frame, Barriers, cash=1e4, commission=float(data["fee"])).run()
    return {"trades": float(stats["# Trades"]), "equity": float(stats["Equity Final [$]"])}


serve("backtesting", work)
