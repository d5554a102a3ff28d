"""Where the money went: trade figures and the whole ledger by symbol, side, exit reason, regime and month."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.time import MINUTE_MS

LEDGER = ("gross", "fees", "slippage", "funding", "liquidation_fee", "absorbed", "net")
REGIMES = {0: "calm", 1: "normal", 2: "wild"}
Row = dict[str, str | float | int]


def group_rows(trades: pd.DataFrame, names: Any) -> list[Row]:
    """One row per value of ``names`` (one per trade), sorted by net, worst first, ties by name.

    Columns: name, trades, the ledger in quote units (``net = gross - fees - slippage - funding - liquidation_fee +
    absorbed``), expectancy, profit_factor (inf without losses, NaN without gains and losses), win_rate, tail_loss
    (mean net of the worst 1 %, at least one trade). No trades, no rows.
    """
    rows: list[Row] = []
    labels = np.asarray(names, dtype=object)
    for name in sorted(set(labels.tolist()), key=str):
        part = trades[labels == name]
        net = part["net"].to_numpy(np.float64)
        gains, losses = float(net[net > 0].sum()), float(-net[net < 0].sum())
        rows.append(
            {
                "name": str(name),
                "trades": len(part),
                **{column: float(part[column].sum()) for column in LEDGER},
                "expectancy": float(net.mean()),
                "profit_factor": gains / losses if losses > 0 else (np.inf if gains > 0 else np.nan),
                "win_rate": float((net > 0).mean()),
                "tail_loss": float(np.sort(net)[: max(1, net.size // 100)].mean()),
            }
        )
    return sorted(rows, key=lambda row: float(row["net"]))


def by_symbol(trades: pd.DataFrame) -> list[Row]:
    """``group_rows`` by symbol."""
    return group_rows(trades, trades["symbol"])


def by_side(trades: pd.DataFrame) -> list[Row]:
    """``group_rows`` by long and short."""
    return group_rows(trades, np.where(trades["side"] > 0, "long", "short"))


def by_reason(trades: pd.DataFrame) -> list[Row]:
    """``group_rows`` by exit reason."""
    return group_rows(trades, trades["reason"])


def by_regime(trades: pd.DataFrame, ts_ms: NDArray[np.int64], regime: NDArray[np.int64]) -> list[Row]:
    """``group_rows`` by the regime of the minute that decided the entry (the one before the fill); ``unknown`` for
    another number and for trades decided before ``ts_ms`` begins."""
    decided = (trades["entry_ts_ms"].to_numpy(np.int64) - MINUTE_MS - (int(ts_ms[0]) if ts_ms.size else 0)) // MINUTE_MS
    inside = (decided >= 0) & (decided < ts_ms.size)
    codes = np.full(len(trades), -1)
    codes[inside] = regime[decided[inside]]
    return group_rows(trades, [REGIMES.get(int(code), "unknown") for code in codes])


def by_month(trades: pd.DataFrame) -> list[Row]:
    """``group_rows`` by the UTC month of the exit, ``2025-06``."""
    return group_rows(trades, pd.to_datetime(trades["exit_ts_ms"], unit="ms").dt.strftime("%Y-%m"))
