"""The account: its newest snapshot, what was booked so far, and its curve."""

from typing import Any, LiteralString

import numpy as np

from apps.api.db import Connection
from apps.api.downsample import min_max
from apps.api.params import Span
from apps.api.queries.columns import Columns, fetch_columns, millis_sql
from apps.api.queries.rows import iso_of, ms_of, number
from packages.common.time import to_datetime
from packages.common.types import AccountDTO

_LATEST = """
WITH now AS (SELECT * FROM account_snapshots WHERE mode = %(mode)s ORDER BY ts DESC LIMIT 1),
     first AS (SELECT equity FROM account_snapshots WHERE mode = %(mode)s ORDER BY ts LIMIT 1),
     closed AS (SELECT coalesce(sum(net), 0) AS net, coalesce(sum(fees + liquidation_fee), 0) AS fees,
                       coalesce(sum(slippage), 0) AS slippage, coalesce(sum(funding), 0) AS funding
                FROM trades WHERE mode = %(mode)s),
     open AS (SELECT coalesce(sum(p.fees), 0) AS fees, coalesce(sum(p.slippage), 0) AS slippage,
                     coalesce(sum(p.funding), 0) AS funding
              FROM positions p JOIN now ON p.ts = now.ts WHERE p.mode = %(mode)s)
SELECT now.*, first.equity AS start_equity, closed.net AS realized_pnl, closed.fees + open.fees AS fees,
       closed.slippage + open.slippage AS slippage, closed.funding + open.funding AS funding
FROM now, first, closed, open
"""
_CURVE: LiteralString = f"""
SELECT {millis_sql("ts")}, equity, wallet_balance, unrealized_pnl, used_margin FROM account_snapshots
WHERE mode = %(mode)s AND ts >= %(from)s AND ts < %(to)s ORDER BY ts
"""  # noqa: S608 - only literals are put together
_NEWEST = "SELECT ts FROM account_snapshots WHERE mode = %s ORDER BY ts DESC LIMIT 1"


async def latest(conn: Connection, mode: str) -> AccountDTO | None:
    """The newest snapshot with totals over closed trades and open positions; None before the first."""
    row = await (await conn.execute(_LATEST, {"mode": mode})).fetchone()
    return None if row is None else _dto(row)


async def newest_ms(conn: Connection, mode: str) -> int | None:
    """``ts`` of the newest snapshot."""
    row = await (await conn.execute(_NEWEST, (mode,))).fetchone()
    return None if row is None else ms_of(row["ts"])


async def curve(conn: Connection, mode: str, span: Span) -> Columns:
    """Equity in the span, thinned by its extremes; the drawdown is of the full series."""
    columns = await fetch_columns(
        conn,
        _CURVE,
        {"mode": mode, "from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms)},
        [("ts", "i8"), ("equity", "f8"), ("wallet_balance", "f8"), ("unrealized_pnl", "f8"), ("used_margin", "f8")],
    )
    equity = columns["equity"]
    peak = np.fmax.accumulate(equity) if equity.size else equity
    columns["drawdown"] = np.where(peak > 0, 1.0 - equity / np.where(peak > 0, peak, 1.0), np.nan)
    keep = min_max(equity)
    return {name: column[keep] for name, column in columns.items()}


def _dto(row: dict[str, Any]) -> AccountDTO:
    start, day_start = number(row["start_equity"]), number(row["day_start_equity"])
    equity = number(row["equity"])
    return AccountDTO(
        ts=iso_of(row["ts"]),
        mode=row["mode"],
        equity=row["equity"],
        wallet_balance=row["wallet_balance"],
        unrealized_pnl=row["unrealized_pnl"],
        available_margin=row["available_margin"],
        used_margin=row["used_margin"],
        margin_ratio=row["margin_ratio"],
        day_start_equity=day_start,
        day_pnl=None if equity is None or day_start is None else equity - day_start,
        total_pnl=None if equity is None or start is None else equity - start,
        realized_pnl=number(row["realized_pnl"]),
        start_equity=start,
        fees=number(row["fees"]),
        slippage=number(row["slippage"]),
        funding=number(row["funding"]),
    )
