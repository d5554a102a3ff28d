"""What an account has booked since it began; the shadow account's is read once, then kept up trade by trade."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

Row = Mapping[str, Any]


@dataclass(slots=True)
class Totals:
    """Quote units over closed trades; costs are positive. ``start_equity``: the account's first snapshot."""

    start_equity: float
    realized: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0

    def book(self, trades: Iterable[Row]) -> None:
        """Add trades that were just closed."""
        for trade in trades:
            self.realized += trade["net"]
            self.fees += trade["fees"] + trade["liquidation_fee"]
            self.slippage += trade["slippage"]
            self.funding += trade["funding"]

    def message(self, account: Row, positions: Iterable[Row]) -> dict[str, float | None]:
        """The fields of ``AccountDTO`` that history adds to a snapshot; open positions' costs included."""
        held = list(positions)
        return {
            "start_equity": self.start_equity,
            "total_pnl": account["equity"] - self.start_equity,
            "day_pnl": None if (day_start := account["day_start_equity"]) is None else account["equity"] - day_start,
            "realized_pnl": self.realized,
            "fees": self.fees + sum(p.get("fees", 0.0) for p in held),
            "slippage": self.slippage + sum(p.get("slippage", 0.0) for p in held),
            "funding": self.funding + sum(p.get("funding", 0.0) for p in held),
        }


def load_totals(conn: psycopg.Connection[Any], mode: str) -> Totals | None:
    """Totals of the account of ``mode``; None before its first snapshot, which is its start."""
    row = conn.execute(
        "SELECT (SELECT equity FROM account_snapshots WHERE mode = %(mode)s ORDER BY ts LIMIT 1), "
        "coalesce(sum(net), 0), coalesce(sum(fees + liquidation_fee), 0), "
        "coalesce(sum(slippage), 0), coalesce(sum(funding), 0) "
        "FROM trades WHERE mode = %(mode)s",
        {"mode": mode},
    ).fetchone()
    assert row is not None
    start, *sums = row
    return None if start is None else Totals(float(start), *(float(value) for value in sums))
