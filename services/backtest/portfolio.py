"""The face of §11: a portfolio backtest is the kernel folded over history, and what a reader wants to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.reasons import EXIT_REASONS, REASONS
from packages.common.time import MINUTE_MS, iso
from services.policy.kernel import Rows
from services.simulator.step import KEEP_COUNTS, KEEP_ROWS, KEEP_TRADES, run, used_margin
from services.simulator.tables import Constants, Market, Params, State, new_state


@dataclass(frozen=True)
class PositionState:
    """One open position, money in quote units; ``notional`` at the last mark."""

    symbol: str
    side: int
    notional: float
    entry_price: float
    sl_price: float
    tp_price: float
    open_ts: str


@dataclass(frozen=True)
class PortfolioState:
    """The account after the last minute."""

    equity: float
    used_margin: float
    positions: dict[str, PositionState]
    daily_pnl: float
    consecutive_losses: int


@dataclass(frozen=True)
class BacktestResult:
    """``trades`` has one row per closed trade with its whole ledger; ``equity`` (T,) is marked every minute;
    ``block_counts`` (when asked for) are symbol-minutes by primary reason, ``TRADED`` among them."""

    metrics: dict[str, float]
    trades: pd.DataFrame
    equity: NDArray[np.float64]
    ts_ms: NDArray[np.int64]
    final: PortfolioState
    state: State
    block_counts: dict[str, int] = field(default_factory=dict)
    block_counts_by_symbol: dict[str, dict[str, int]] = field(default_factory=dict)
    rows: Rows | None = None


def portfolio_state(state: State, symbols: Sequence[str]) -> PortfolioState:
    """What the kernel's state says, by name."""
    account = state.account[0]
    positions = {}
    for s, symbol in enumerate(symbols):
        pos = state.positions[s]
        if pos["side"] != 0:
            positions[symbol] = PositionState(
                symbol=symbol,
                side=int(pos["side"]),
                notional=float(pos["qty"] * state.memory[s]["mark"]),
                entry_price=float(pos["entry_fill"]),
                sl_price=float(pos["sl"]),
                tp_price=float(pos["tp"]),
                open_ts=iso(int(pos["entry_bar"]) * MINUTE_MS),
            )
    return PortfolioState(
        equity=float(account["equity"]),
        used_margin=float(used_margin(state)),
        positions=positions,
        daily_pnl=float(account["equity"] - account["day_start"]),
        consecutive_losses=int(account["losses"]),
    )


def backtest(
    market: Market,
    params: Params,
    constants: Constants,
    *,
    symbols: Sequence[str],
    wallet: float = 10_000.0,
    keep: int = KEEP_TRADES,
    state: State | None = None,
) -> BacktestResult:
    """Fold the market, whose predictions must be out of sample, from ``wallet`` or from a given ``state``.

    ``keep``: KEEP_TRADES, KEEP_COUNTS (block reasons counted too) or KEEP_ROWS (every row kept: 600 bytes per symbol
    and minute). A long history is folded in chunks by handing ``result.state`` on. Raises ``InvalidInputError``.
    """
    n = market.flags.shape[1]
    if len(symbols) != n or constants.rules.size != n:
        raise InvalidInputError("symbols", len(symbols), f"{n}, as in market and constants ({constants.rules.size})")
    if keep not in (KEEP_TRADES, KEEP_COUNTS, KEEP_ROWS):
        raise InvalidInputError("keep", keep, "KEEP_TRADES, KEEP_COUNTS or KEEP_ROWS")
    if not wallet > 0:
        raise InvalidInputError("wallet", wallet, "quote units > 0")
    at = new_state(n, wallet) if state is None else state
    start, halts = float(at.account[0]["equity"]), int(at.account[0]["halts"])
    kept = run(at, market, params, constants, keep=keep)
    counts = kept.counts if keep >= KEEP_COUNTS else None
    return BacktestResult(
        metrics=metrics_of(kept.trades, kept.equity, start) | {"halts": float(at.account[0]["halts"] - halts)},
        trades=trade_frame(kept.trades, symbols),
        equity=kept.equity,
        ts_ms=market.ts_ms,
        final=portfolio_state(at, symbols),
        state=at,
        block_counts={} if counts is None else _named(counts.sum(1)),
        block_counts_by_symbol={} if counts is None else {name: _named(counts[:, s]) for s, name in enumerate(symbols)},
        rows=kept.rows if keep == KEEP_ROWS else None,
    )


def run_walkforward_backtest(
    market: Market, params: Params, constants: Constants, *, symbols: Sequence[str], wallet: float = 10_000.0
) -> dict[str, float]:
    """Return PF, MDD, expectancy, turnover and the split of costs (``metrics_of``) of one backtest."""
    return backtest(market, params, constants, symbols=symbols, wallet=wallet).metrics


def metrics_of(trades: Any, equity: NDArray[np.float64], start: float) -> dict[str, float]:
    """Figures of closed ``trades`` (dtype TRADE) and the equity after each minute, begun at ``start``.

    Money in quote units. ``profit_factor``: sum of gains / sum of losses, inf without losses, NaN without trades;
    ``max_drawdown``: largest fall from a peak as a fraction of it, minute by minute; ``expectancy``: mean net of a
    trade; ``turnover``: traded notional of both fills / starting equity.
    """
    net = trades["net"]
    gains, losses = float(net[net > 0].sum()), float(-net[net < 0].sum())
    peaks = np.maximum.accumulate(np.concatenate([[start], equity]))
    traded = float((trades["qty"] * (trades["entry_fill"] + trades["exit_fill"])).sum())
    end = float(equity[-1]) if equity.size else start
    count = len(trades)
    return {
        "trades": float(count),
        "profit_factor": (gains / losses if losses > 0 else np.inf) if gains > 0 or losses > 0 else np.nan,
        "max_drawdown": float((1.0 - np.concatenate([[start], equity]) / peaks).max()),
        "expectancy": float(net.mean()) if count else np.nan,
        "win_rate": float((net > 0).mean()) if count else np.nan,
        "turnover": traded / start,
        "net": float(net.sum()),
        "gross": float(trades["gross"].sum()),
        "fees": float(trades["fees"].sum()),
        "slippage": float(trades["slippage"].sum()),
        "funding": float(trades["funding"].sum()),
        "liquidation_fees": float(trades["liquidation_fee"].sum()),
        "absorbed": float(trades["absorbed"].sum()),
        "start_equity": start,
        "end_equity": end,
        "total_return": end / start - 1.0,
    }


def trade_frame(trades: Any, symbols: Sequence[str]) -> pd.DataFrame:
    """Closed trades, symbol and exit reason by name, ``entry_ts_ms`` and ``exit_ts_ms`` in epoch milliseconds."""
    frame = pd.DataFrame({name: trades[name] for name in trades.dtype.names})
    frame["symbol"] = [symbols[int(s)] for s in trades["symbol"]]
    frame["reason"] = [EXIT_REASONS[int(code) - 1].value for code in trades["reason"]]
    for name in ("entry", "exit"):
        frame[f"{name}_ts_ms"] = trades[f"{name}_bar"] * MINUTE_MS
    return frame.drop(columns=["entry_bar", "exit_bar"])


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    names = ("TRADED", *(reason.value for reason in REASONS))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
