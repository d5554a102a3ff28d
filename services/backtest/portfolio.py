"""The face of §11: a portfolio backtest is the kernel folded over history, and what a reader wants to know of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.reasons import EXIT_REASONS, REASONS
from packages.common.time import DAY_MS, MINUTE_MS, iso
from services.policy.kernel import PRESENT, Rows
from services.simulator.build import check_bars
from services.simulator.step import KEEP_COUNTS, KEEP_ROWS, KEEP_TRADES, run, used_margin
from services.simulator.tables import Constants, Market, Params, State, new_state

DAYS_A_YEAR = 365


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
    """``trades`` has one row per closed trade with its whole ledger, ``kept_trades`` are the same as the kernel writes
    them (dtype TRADE); ``equity`` (T,) is marked every minute;
    ``block_counts`` (when asked for) are symbol-minutes by primary reason, ``TRADED`` among them."""

    metrics: dict[str, float]
    trades: pd.DataFrame
    kept_trades: NDArray[Any]
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
    _check(market, params)
    at = new_state(n, wallet) if state is None else state
    start, halts = float(at.account[0]["equity"]), int(at.account[0]["halts"])
    kept = run(at, market, params, constants, keep=keep)
    counts = kept.counts if keep >= KEEP_COUNTS else None
    return BacktestResult(
        metrics=metrics_of(kept.trades, kept.equity, start, market.ts_ms)
        | activity_of(kept.trades, at.positions, kept.equity, market.ts_ms)
        | {"halts": float(at.account[0]["halts"] - halts)},
        trades=trade_frame(kept.trades, symbols),
        kept_trades=kept.trades,
        equity=kept.equity,
        ts_ms=market.ts_ms,
        final=portfolio_state(at, symbols),
        state=at,
        block_counts={} if counts is None else _named(counts.sum(1)),
        block_counts_by_symbol={} if counts is None else {name: _named(counts[:, s]) for s, name in enumerate(symbols)},
        rows=kept.rows if keep == KEEP_ROWS else None,
    )


def _check(market: Market, params: Params) -> None:
    """What ``make_market`` and ``LabelSpec`` hold, for those made without them."""
    steps = np.diff(market.ts_ms)
    if (wrong := np.flatnonzero(steps != MINUTE_MS)).size:
        at = int(market.ts_ms[wrong[0]])
        raise InvalidInputError("ts_ms", iso(int(market.ts_ms[wrong[0] + 1])), f"the minute after {iso(at)}")
    for name in ("k_tp", "k_sl", "h_bars"):
        value = float(getattr(params.barriers, name))
        if not value > 0:
            raise InvalidInputError(name, value, "more than 0")


def run_walkforward_backtest(
    market: Market, params: Params, constants: Constants, *, symbols: Sequence[str], wallet: float = 10_000.0
) -> dict[str, float]:
    """Return PF, MDD, expectancy, turnover and the split of costs (``metrics_of``) of one backtest. Raises
    ``InvalidInputError`` as ``backtest`` does, and for a symbol twice, a broken bar or a cost that is none."""
    if len(set(symbols)) != len(symbols):
        raise InvalidInputError("symbols", list(symbols), "each symbol once")
    for name, value, floor in (
        ("fee_now", constants.fee_now, 0.0), ("slippage_k", params.barriers.slippage_k, 0.0),
        ("ev_min", params.policy.ev_min, -math.inf),
    ):  # fmt: skip
        if not floor <= value < math.inf:
            raise InvalidInputError(name, value, "a finite number" + (", at least 0" if floor == 0.0 else ""))
    present = (market.flags & PRESENT) != 0
    check_bars("last", market.last, present)
    check_bars("mark", market.mark, present)
    return backtest(market, params, constants, symbols=symbols, wallet=wallet).metrics


def metrics_of(trades: Any, equity: NDArray[np.float64], start: float, ts_ms: NDArray[np.int64]) -> dict[str, float]:
    """Figures of closed ``trades`` (dtype TRADE) and the equity after each minute of ``ts_ms``, begun at ``start``.

    Money in quote units. ``profit_factor``: sum of gains / sum of losses, inf without losses, NaN without trades;
    ``max_drawdown``: largest fall from a peak as a fraction of it, minute by minute; ``expectancy``: mean net of a
    trade, ``expectancy_bps`` that of net / entry notional in 1e-4; ``tail_loss``: mean net of the worst 1 % of trades
    (at least one); ``turnover``: traded notional of both fills / starting equity; ``sharpe``, ``volatility``: of daily
    returns, times sqrt(365), NaN with fewer than two days or no variation.
    """
    net = trades["net"]
    gains, losses = float(net[net > 0].sum()), float(-net[net < 0].sum())
    entered = trades["qty"] * trades["entry_fill"]
    traded = float((entered + trades["qty"] * trades["exit_fill"]).sum())
    end = float(equity[-1]) if equity.size else start
    count = len(trades)
    daily = daily_returns(equity, ts_ms, start)[1]
    return {
        "trades": float(count),
        "profit_factor": (gains / losses if losses > 0 else np.inf) if gains > 0 or losses > 0 else np.nan,
        "max_drawdown": float(drawdown(equity, start).max(initial=0.0)),
        "expectancy": float(net.mean()) if count else np.nan,
        "expectancy_bps": float((net / entered).mean() * 1e4) if count else np.nan,
        "win_rate": float((net > 0).mean()) if count else np.nan,
        "tail_loss": float(np.sort(net)[: max(1, count // 100)].mean()) if count else np.nan,
        "turnover": traded / start,
        "sharpe": sharpe(daily),
        "volatility": float(daily.std(ddof=1) * np.sqrt(DAYS_A_YEAR)) if daily.size > 1 else np.nan,
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


def activity_of(trades: Any, positions: Any, equity: NDArray[np.float64], ts_ms: NDArray[np.int64]) -> dict[str, float]:
    """How busy the account was at the close of every minute, positions still open at the end included.

    ``time_in_market``: share of minutes with a position; ``exposure``: mean of Σ entry notional / equity and
    ``exposure_max`` its largest; ``positions``: mean number open; ``hold_min``: mean minutes a closed trade was held.
    Without minutes NaN.
    """
    held = float((trades["exit_bar"] - trades["entry_bar"]).mean()) if len(trades) else np.nan
    if not ts_ms.size:
        return dict.fromkeys(("time_in_market", "exposure", "exposure_max", "positions"), np.nan) | {"hold_min": held}
    open_ones = positions[positions["side"] != 0]
    first, n = int(ts_ms[0]) // MINUTE_MS, ts_ms.size
    enter = np.concatenate([trades["entry_bar"], open_ones["entry_bar"]]) - first
    leave = np.concatenate([trades["exit_bar"] - first, np.full(len(open_ones), n)])
    notional = np.concatenate([x["qty"] * x["entry_fill"] for x in (trades, open_ones)])
    count, amount = np.zeros(n + 1), np.zeros(n + 1)
    for at, sign in ((np.clip(enter, 0, n), 1.0), (np.clip(leave, 0, n), -1.0)):
        np.add.at(count, at, sign)
        np.add.at(amount, at, sign * notional)
    count = np.cumsum(count)[:-1]
    amount = np.where(count > 0.5, np.cumsum(amount)[:-1], 0.0)  # float noise of closed positions is no exposure
    share = np.divide(amount, equity, out=np.zeros(n), where=equity > 0)
    return {
        "time_in_market": float((count > 0.5).mean()),
        "exposure": float(share.mean()),
        "exposure_max": float(share.max()),
        "positions": float(count.mean()),
        "hold_min": held,
    }


def drawdown(equity: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Fall from the peak so far, the start included, as a fraction of it, per minute."""
    peaks = np.maximum(np.maximum.accumulate(equity), start) if equity.size else equity
    return np.asarray(1.0 - equity / peaks)


def daily_returns(
    equity: NDArray[np.float64], ts_ms: NDArray[np.int64], start: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """UTC day numbers and the return of each day, from the equity at its last minute; the first and the last day may be
    parts of days. After the equity has reached 0 every return is 0."""
    day = ts_ms // DAY_MS
    last = np.flatnonzero(np.concatenate([day[1:] != day[:-1], [True]])) if day.size else np.zeros(0, np.int64)
    ends = equity[last]
    begins = np.concatenate([[start], ends])[: ends.size]
    returns = np.divide(ends, begins, out=np.ones(ends.size), where=begins > 0) - 1.0
    return day[last], returns


def sharpe(daily: NDArray[np.float64]) -> float:
    """Mean / standard deviation (n - 1) of daily returns, times sqrt(365) (trading never closes). NaN if undefined."""
    deviation = float(daily.std(ddof=1)) if daily.size > 1 else 0.0
    return float(daily.mean()) / deviation * DAYS_A_YEAR**0.5 if deviation > 0 else np.nan


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
