"""vectorbt: signals of the predictions, stop and target of the ATR, fees, one account for all symbols, its equity."""

import numpy as np
import pandas as pd
import vectorbt as vbt
from rounds import arrays, serve

data = arrays()
index = pd.to_datetime(data["ts_ms"], unit="ms")
open_, high, low, close, atr, long_, short = (
    pd.DataFrame(data[name], index=index) for name in ("open", "high", "low", "close", "atr", "er_long", "er_short")
)
cost = float(data["cost"])
wants_long = (long_ > cost) & (long_ >= short)
wants_short = (short > cost) & ~wants_long


def work() -> dict[str, float]:
    """Trades and last equity."""
    portfolio = vbt.Portfolio.from_signals(
        close, wants_long, np.zeros_like(wants_long), wants_short, np.zeros_like(wants_short), open=open_, high=high,
        low=low, sl_stop=float(data["k_sl"]) * atr / close, tp_stop=float(data["k_tp"]) * atr / close, size=2_000.0,
        size_type="value", fees=float(data["fee"]), init_cash=1e4, cash_sharing=True, freq="1min",
    )  # fmt: skip
    return {"trades": float(portfolio.trades.count().sum()), "equity": float(portfolio.value().iloc[-1])}


serve("vectorbt", work)
