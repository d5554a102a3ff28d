"""Nautilus: one perpetual, signals of the predictions, bracket orders of the ATR, time exit, its own fees and books."""

import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy
from rounds import arrays, serve

data = arrays()
COST, K_TP, K_SL, H_BARS = (float(data[name]) for name in ("cost", "k_tp", "k_sl", "h_bars"))
PERP, VENUE = TestInstrumentProvider.ethusdt_perp_binance(), Venue("BINANCE")
MINUTES = BarType.from_str(f"{PERP.id}-1-MINUTE-LAST-EXTERNAL")
prices = pd.DataFrame(
    {name: data[name][:, 0] for name in ("open", "high", "low", "close")},
    index=pd.to_datetime(data["ts_ms"], unit="ms", utc=True),
)
prices["high"], prices["low"] = prices.max(axis=1), prices.min(axis=1)
bars = BarDataWrangler(MINUTES, PERP).process(prices.assign(volume=1e6))
er_long, er_short = data["er_long"][:, 0], data["er_short"][:, 0]
wanted = np.where((er_long > COST) & (er_long >= er_short), 1, np.where(er_short > COST, -1, 0)).tolist()
atrs = data["atr"][:, 0].tolist()


class Barriers(Strategy):
    """One position at a time, with stop, target and time exit."""

    def on_start(self) -> None:
        """Bars only."""
        self.n, self.entered, self.entries = -1, 0, 0
        self.subscribe_bars(MINUTES)

    def on_bar(self, bar: Bar) -> None:
        """Leave what is too old, enter what is wanted."""
        self.n += 1
        if not self.portfolio.is_flat(PERP.id):
            if self.n - self.entered >= H_BARS:
                self.cancel_all_orders(PERP.id)
                self.close_all_positions(PERP.id)
            return
        side, atr = wanted[self.n], atrs[self.n]
        if side == 0 or atr != atr:
            return
        close = float(bar.close)
        order = self.order_factory.bracket(
            instrument_id=PERP.id,
            order_side=OrderSide.BUY if side > 0 else OrderSide.SELL,
            quantity=PERP.make_qty(2_000.0 / close),
            sl_trigger_price=PERP.make_price(close - side * K_SL * atr),
            tp_price=PERP.make_price(close + side * K_TP * atr),
        )
        self.entered, self.entries = self.n, self.entries + 1
        self.submit_order_list(order)


def work() -> dict[str, float]:
    """Entries and last balance."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    engine.add_venue(VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(10_000, USDT)], base_currency=USDT)
    engine.add_instrument(PERP)
    engine.add_data(bars)
    strategy = Barriers()
    engine.add_strategy(strategy)
    engine.run()
    balance = engine.portfolio.account(VENUE).balance_total(USDT)
    answer = {"entries": float(strategy.entries), "equity": float(balance)}
    engine.dispose()
    return answer


serve("nautilus_trader", work)
