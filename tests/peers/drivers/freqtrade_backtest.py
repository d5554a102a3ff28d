"""freqtrade: one perpetual, entries of the predictions, stop and target of the ATR and time exit by callbacks, fees.

Its own ``Backtesting`` on its own exchange class, which is given the market's description instead of asking for it.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from freqtrade.enums import CandleType, RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.resolvers import ExchangeResolver
from rounds import arrays, serve

logging.disable(logging.CRITICAL)
data = arrays()
COST, K_TP, K_SL, H_BARS = (float(data[name]) for name in ("cost", "k_tp", "k_sl", "h_bars"))
PAIR, FEE = "ETH/USDT:USDT", float(data["fee"])
STRATEGY = """
from datetime import timedelta
from freqtrade.strategy import IStrategy

class Barriers(IStrategy):
    INTERFACE_VERSION, timeframe, can_short, startup_candle_count = 3, "1m", True, 0
    minimal_roi, stoploss, use_custom_stoploss = {"0": 10.0}, -0.99, True
    atr = {}

    def populate_indicators(self, frame, meta): return frame
    def populate_entry_trend(self, frame, meta): return frame
    def populate_exit_trend(self, frame, meta): return frame

    def part(self, trade):
        return self.atr[trade.open_date_utc.timestamp()] / trade.open_rate

    def custom_stoploss(self, pair, trade, current_time, current_rate, current_profit, after_fill, **_):
        return -K_SL * self.part(trade) if after_fill else None

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **_):
        if current_profit >= K_TP * self.part(trade):
            return "target"
        return "time" if current_time - trade.open_date_utc >= timedelta(minutes=H_BARS) else None
"""

home = Path(tempfile.mkdtemp())
(home / "barriers.py").write_text(f"K_TP, K_SL, H_BARS = {K_TP}, {K_SL}, {H_BARS}\n{STRATEGY}")
price = {"price_side": "other", "use_order_book": False, "order_book_top": 1}
config = {
    "stake_currency": "USDT", "stake_amount": 2_000.0, "dry_run": True, "dry_run_wallet": 10_000.0,
    "tradable_balance_ratio": 0.99, "max_open_trades": 6, "timeframe": "1m", "fee": FEE, "trading_mode": "futures",
    "margin_mode": "isolated", "strategy": "Barriers", "strategy_path": str(home), "user_data_dir": home,
    "datadir": home / "data", "exportfilename": home, "export": "none", "runmode": RunMode.BACKTEST,
    "candle_type_def": CandleType.FUTURES, "exchange": {"name": "binance", "pair_whitelist": [PAIR]},
    "pairlists": [{"method": "StaticPairList"}], "entry_pricing": price, "exit_pricing": price,
    "dataformat_ohlcv": "feather", "dataformat_trades": "feather", "original_config": {}, "internals": {},
    "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False},
    "order_time_in_force": {"entry": "GTC", "exit": "GTC"},
}  # fmt: skip
exchange = ExchangeResolver.load_exchange(config, validate=False, load_leverage_tiers=False)
limits = {"min": 0.001, "max": 1e6}
exchange._markets = {
    PAIR: {
        "id": "ETHUSDT", "symbol": PAIR, "base": "ETH", "quote": "USDT", "settle": "USDT", "type": "swap", "swap": True,
        "spot": False, "margin": False, "future": False, "option": False, "active": True, "contract": True,
        "linear": True, "inverse": False, "taker": FEE, "maker": FEE, "contractSize": 1.0,
        "precision": {"amount": 0.001, "price": 0.01}, "info": {},
        "limits": {"amount": limits, "price": limits, "market": limits, "cost": {"min": 5, "max": None},
                   "leverage": {"min": 1, "max": 75}},
    }
}  # fmt: skip
exchange._last_markets_refresh = 1 << 62  # far ahead: it is not asked for again
exchange._leverage_tiers = {
    PAIR: [{"minNotional": 0, "maxNotional": 1e9, "maintenanceMarginRate": 0.005, "maxLeverage": 75, "maintAmt": 0.0}]
}

er_long, er_short = data["er_long"][:, 0], data["er_short"][:, 0]
wants_long = (er_long > COST) & (er_long >= er_short)
frame = pd.DataFrame({name: data[name][:, 0] for name in ("open", "high", "low", "close")})
frame["high"], frame["low"] = frame.max(axis=1), frame.min(axis=1)
frame = frame.assign(
    date=pd.to_datetime(data["ts_ms"], unit="ms", utc=True), volume=1e6, enter_long=wants_long.astype(int),
    enter_short=((er_short > COST) & ~wants_long).astype(int), exit_long=0, exit_short=0, enter_tag=None, exit_tag=None,
)  # fmt: skip
tester = Backtesting(config, exchange=exchange)
tester._set_strategy(tester.strategylist[0])
known = np.nan_to_num(data["atr"][:, 0], nan=1.0).tolist()
tester.strategy.atr = dict(zip((data["ts_ms"] / 1e3).tolist(), known, strict=True))
tester.futures_data = {PAIR: pd.DataFrame({"date": pd.to_datetime([], utc=True), "open_fund": [], "open_mark": []})}
tester.funding_fee_timeframe_secs = 8 * 3600


def work() -> dict[str, float]:
    """Trades and last balance."""
    first, last = (frame["date"].iloc[n].to_pydatetime() for n in (0, -1))
    found = tester.backtest(processed={PAIR: frame.copy()}, start_date=first, end_date=last)
    return {"trades": float(len(found["results"])), "equity": float(found["final_balance"])}


serve("freqtrade", work)
