"""Open positions: those of the account's newest minute, so that none means flat and not "nothing new"."""

from typing import Any

from apps.api.db import Connection
from apps.api.queries import status
from apps.api.queries.rows import iso_at, iso_of, number, whole
from packages.common.types import PositionDTO

_SQL = """
SELECT p.* FROM positions p
WHERE p.mode = %(mode)s
  AND p.ts = (SELECT ts FROM account_snapshots WHERE mode = %(mode)s ORDER BY ts DESC LIMIT 1)
ORDER BY p.opened_ts DESC NULLS LAST, p.symbol
"""


async def latest(conn: Connection, mode: str) -> list[PositionDTO]:
    """Open positions at the newest minute of the account, newest first."""
    rows = await (await conn.execute(_SQL, {"mode": mode})).fetchall()
    found = [dto(row) for row in rows]
    watched = await status.live(conn) if mode == "live" and found else None
    if watched is None:
        return found
    # The worker knows whether the exchange has confirmed a stop; a row only knows that one was planned.
    return [
        one.model_copy(
            update={
                "protected": one.symbol not in watched.unprotected,
                "unprotected_since": watched.unprotected_since.get(one.symbol),
            }
        )
        for one in found
    ]


def dto(row: dict[str, Any]) -> PositionDTO:
    """A row as the screens want it; R and the risk at the stop are derived."""
    amt, entry, mark = number(row["amt"]), number(row["entry_price"]), number(row["mark_price"])
    stop = number(row["sl_price"])
    costs = (number(row["fees"]) or 0.0) + (number(row["funding"]) or 0.0)
    return PositionDTO(
        symbol=row["symbol"],
        ts=iso_of(row["ts"]),
        side=row["side"],
        mode=row["mode"],
        amt=row["amt"],
        entry_price=entry,
        mark_price=mark,
        leverage=whole(row["leverage"]),
        margin_type=row["margin_type"],
        liquidation_price=number(row["liquidation_price"]),
        notional=number(row["notional"]),
        unrealized_pnl=number(row["unrealized_pnl"]),
        sl_price=stop,
        tp_price=number(row["tp_price"]),
        opened_ts=iso_at(row["opened_ts"]),
        isolated_margin=number(row["isolated_margin"]),
        fees=number(row["fees"]),
        funding=number(row["funding"]),
        slippage=number(row["slippage"]),
        margin_ratio=number(row["margin_ratio"]),
        r_multiple=r_multiple(amt, entry, stop, number(row["unrealized_pnl"]), costs),
        risk_at_stop=risk_at_stop(amt, mark, stop),
        protected=stop is not None,
    )


def r_multiple(
    amt: float | None, entry: float | None, stop: float | None, pnl: float | None, costs: float
) -> float | None:
    """PnL net of fees and funding over R = |entry − stop| · qty; None without a stop."""
    if amt is None or entry is None or stop is None or pnl is None:
        return None
    risk = abs(entry - stop) * abs(amt)
    return (pnl - costs) / risk if risk > 0 else None


def risk_at_stop(amt: float | None, mark: float | None, stop: float | None) -> float | None:
    """What is lost from the mark to the stop, quote units, ≥ 0; None without a stop."""
    if amt is None or mark is None or stop is None:
        return None
    return max(0.0, amt * (mark - stop))
