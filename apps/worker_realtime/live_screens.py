"""The live account for tables and screens: what was reconciled, as rows and as messages.

Screens get it about once a second while it changes, at the newest marks of the market's stream. All of it is read from
what the trader has at hand, and is kept from ever failing it.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import psycopg
import structlog

from apps.worker_realtime import rows
from apps.worker_realtime.publisher import Share
from apps.worker_realtime.totals import Totals, load_totals
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import Clock, iso
from services.execution.books import MODE, SIDE_WORD
from services.execution.ports import AccountView

log = structlog.get_logger(__name__)

Publish = Callable[[str, Any], None]


class LiveScreens:
    """Says on ``account_updates`` and ``position_updates`` what the live account is."""

    def __init__(self, view: Callable[[], AccountView], publish: Publish, clock: Clock) -> None:
        self._view, self._publish, self._clock = view, publish, clock
        self._marks: dict[str, Decimal] = {}
        self._totals: Totals | None = None
        self._said: dict[str, Any] = {}

    def see_mark(self, symbol: str, mark: Decimal) -> None:
        """A new mark price."""
        self._marks[symbol] = mark

    def tell(self, bare_since: Mapping[str, int]) -> None:
        """Publish what has changed since it was last told. ``bare_since``: wall time since which a position is seen
        without a confirmed stop."""
        view, now = self._view(), self._clock.now_ms()
        held = position_rows(view, now, self._marks)
        positions = [
            row
            | {
                "protected": view.positions[row["symbol"]].protected,
                "unprotected_since": iso(bare_since[row["symbol"]]) if row["symbol"] in bare_since else None,
            }
            for row in rows.position_messages(held)
        ]
        self._say("position_updates", positions)
        account = account_row(view, now)
        if account is not None:
            history = {} if self._totals is None else self._totals.message(account, held)
            self._say("account_updates", [account | {"ts": iso(now)} | history])

    def _say(self, channel: str, messages: list[dict[str, Any]]) -> None:
        timeless = [{name: value for name, value in row.items() if name != "ts"} for row in messages]
        if self._said.get(channel) != timeless:
            self._said[channel] = timeless
            self._publish(channel, Share(MODE, messages))

    async def follow(self, bare_since: Callable[[], Mapping[str, int]], every_s: float = 1.0) -> None:
        """``tell`` once a second for ever. What goes wrong here must not end the trader, so it is only logged."""
        while True:
            try:
                self.tell(bare_since())
            except Exception as exc:
                log.exception("live_account_not_told", error=type(exc).__name__)
            await asyncio.sleep(every_s)

    async def follow_totals(self, database_url: str, every_s: float = 15.0) -> None:
        """Keep reading what the account's history adds to its state; a database that is away is asked again."""
        while True:
            try:
                self._totals = await asyncio.to_thread(_totals, database_url)
            except (PlatformError, psycopg.Error) as exc:
                log.info("live_totals_not_read", error=type(exc).__name__)
            await asyncio.sleep(every_s)


def _totals(database_url: str) -> Totals | None:
    with connect(database_url, autocommit=True, timeout_s=5) as conn:
        return load_totals(conn, MODE)


def account_row(view: AccountView, ts_ms: int) -> rows.Row | None:
    """A row of account_snapshots, None before the account was read."""
    account = view.account
    if account is None:
        return None
    equity = float(account.margin_balance)
    return {
        "ts": ts_ms,
        "mode": MODE,
        "equity": equity,
        "wallet_balance": float(account.wallet_balance),
        "unrealized_pnl": float(account.unrealized_pnl),
        "available_margin": float(account.available_balance),
        "used_margin": float(account.initial_margin),
        "margin_ratio": float(account.maint_margin) / equity if equity > 0 else 1.0,
        "day_start_equity": None if view.marks is None else float(view.marks.day_start),
    }


def position_rows(view: AccountView, ts_ms: int, marks: Mapping[str, Decimal] | None = None) -> list[rows.Row]:
    """Rows of positions, the newest first: what is open as last reconciled, at newer ``marks`` where there are some."""
    out = []
    for held in sorted(view.positions.values(), key=lambda one: (-one.opened_ts_ms, one.symbol)):
        side = 1 if held.amount > 0 else -1
        mark = (marks or {}).get(held.symbol, held.mark_price)
        moved = held.amount * (mark - held.mark_price)
        reference = held.plan.reference_price if held.plan is not None else held.entry_price
        out.append(
            {
                "symbol": held.symbol,
                "ts": ts_ms,
                "side": SIDE_WORD[side],
                "mode": MODE,
                "amt": float(held.amount),
                "entry_price": float(held.entry_price),
                "mark_price": float(mark),
                "leverage": held.leverage,
                "margin_type": "isolated",
                "liquidation_price": None if held.liquidation_price is None else float(held.liquidation_price),
                "notional": float(abs(held.amount) * mark),
                "unrealized_pnl": float(held.unrealized_pnl + moved),
                "sl_price": None if held.stop_price is None else float(held.stop_price),
                "tp_price": None if held.target_price is None else float(held.target_price),
                "opened_ts": held.opened_ts_ms,
                "isolated_margin": float(held.isolated_margin - held.unrealized_pnl),
                "slippage": float(held.amount * (held.entry_price - reference)),
                "margin_ratio": rows.margin_ratio(float(held.maint_margin), float(held.isolated_margin + moved)),
            }
        )
    return out
