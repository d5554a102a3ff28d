"""What the shadow account has booked since it began: read once at the start, then kept up trade by trade."""

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

    def message(self, account: Row, positions: Iterable[Row]) -> dict[str, float]:
        """The fields of ``AccountDTO`` that history adds to a snapshot; open positions' costs included."""
        held = list(positions)
        return {
            "start_equity": self.start_equity,
            "total_pnl": account["equity"] - self.start_equity,
            "day_pnl": account["equity"] - account["day_start_equity"],
            "realized_pnl": self.realized,
            "fees": self.fees + sum(p["fees"] for p in held),
            "slippage": self.slippage + sum(p["slippage"] for p in held),
            "funding": self.funding + sum(p["funding"] for p in held),
        }


def load_totals(conn: psycopg.Connection[Any], wallet: float) -> Totals:
    """Totals of the shadow account; ``wallet`` is its start when it has no snapshot yet."""
    row = conn.execute(
        "SELECT (SELECT equity FROM account_snapshots WHERE mode = 'shadow' ORDER BY ts LIMIT 1), "
        "coalesce(sum(net), 0), coalesce(sum(fees + liquidation_fee), 0), "
        "coalesce(sum(slippage), 0), coalesce(sum(funding), 0) "
        "FROM trades WHERE mode = 'shadow'"
    ).fetchone()
    assert row is not None
    start, *sums = row
    return Totals(wallet if start is None else float(start), *(float(value) for value in sums))
