"""Keeps the account's events as rows: orders and fills, from the stream as they come and from REST where it had a gap.

Conditional orders and their children have separate numbers at the exchange; in ``orders``, whose key is one number, a
conditional order stands under the negative of its own. A fill needs its order's row first.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from packages.common.time import iso
from packages.exchange import trading as wire

Row = dict[str, Any]
MODE = "live"
_KEPT = 10_000


class Writer(Protocol):
    """Where rows go: ``packages.common.writer.BatchWriter`` is one; it batches (D7)."""

    def put(self, table: str, rows: Sequence[Any]) -> None: ...


class Orders(Protocol):
    """Part of ``packages.exchange.trading.Trading``."""

    async def query_order(self, symbol: str, ref: wire.OrderRef) -> wire.Order | None: ...


class Recorder:
    """``leg_of`` names the leg of an order of ours by its client id, None for everybody else's; ``intent_of`` the
    intent under way on a symbol."""

    def __init__(
        self,
        orders: Orders,
        writer: Writer,
        publish: Callable[[str, Any], None],
        leg_of: Callable[[str], str | None],
        intent_of: Callable[[str], str | None],
    ) -> None:
        self._orders, self._writer, self._publish = orders, writer, publish
        self._leg_of, self._intent_of = leg_of, intent_of
        self._kept: dict[int, None] = {}  # orders whose rows this process has written, oldest first

    def event(self, item: wire.UserEvent) -> None:
        """Keep what an event of the stream says; events without an order leave nothing."""
        if isinstance(item, wire.OrderUpdate):
            row = order_row(item, item.ts_ms) | self._known(item.client_id, item.symbol)
            self._keep(row)
            fill = fill_row(item)
            if fill is not None:
                self._writer.put("fills", [fill])
            self._publish("order_updates", [row | {"created_at": iso(item.ts_ms), "updated_at": iso(item.ts_ms)}])
        elif isinstance(item, wire.AlgoUpdate):
            self._writer.put("orders", [algo_row(item) | self._known(item.client_id, item.symbol)])

    async def fills(self, symbol: str, trades: Sequence[wire.Trade]) -> None:
        """Keep fills by their ids, with the orders they are of. A fill whose order the exchange no longer knows cannot
        be kept. Raises ``VenueError``."""
        lost = set()
        for order_id in {trade.order_id for trade in trades} - self._kept.keys():
            order = await self._orders.query_order(symbol, order_id)
            if order is None:
                lost.add(order_id)
            else:
                self._keep(order_row(order, order.update_ts_ms) | self._known(order.client_id, symbol))
        self._writer.put("fills", [trade_fill_row(trade) for trade in trades if trade.order_id not in lost])

    def _known(self, client_id: str, symbol: str) -> Row:
        return {"leg": self._leg_of(client_id), "intent_id": self._intent_of(symbol)}

    def _keep(self, row: Row) -> None:
        self._writer.put("orders", [row])
        self._kept[row["order_id"]] = None
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept)))


def order_row(item: wire.OrderUpdate | wire.Order, at_ms: int) -> Row:
    """A row of orders, from ORDER_TRADE_UPDATE or from REST."""
    return {
        "mode": MODE,
        "order_id": item.order_id,
        "client_order_id": item.client_id,
        "symbol": item.symbol,
        "side": item.side.value,
        "type": item.type,
        "status": item.status.value,
        "reduce_only": item.reduce_only or item.close_position,
        "price": float(item.price) or None,
        "qty": float(item.quantity),
        "created_at": at_ms,
        "updated_at": at_ms,
    }


def algo_row(item: wire.AlgoUpdate) -> Row:
    """A row of orders from ALGO_UPDATE. Its name is ``client_algo_id`` alone: once it triggers, its child has that name
    as its own, and no two orders may share one."""
    return {
        "mode": MODE,
        "order_id": -item.algo_id,
        "client_order_id": None,
        "symbol": item.symbol,
        "side": item.side.value,
        "type": item.type,
        "status": item.status.value,
        "reduce_only": True,
        "stop_price": float(item.trigger_price),
        "qty": float(item.quantity or 0),
        "created_at": item.ts_ms,
        "updated_at": item.ts_ms,
        "algo_id": item.algo_id,
        "client_algo_id": item.client_id,
    }


def fill_row(item: wire.OrderUpdate) -> Row | None:
    """A row of fills, None when the update is not a fill."""
    if item.trade_id is None or item.last_quantity <= 0:
        return None
    return {
        "mode": MODE,
        "symbol": item.symbol,
        "trade_id": item.trade_id,
        "order_id": item.order_id,
        "price": float(item.last_price),
        "qty": float(item.last_quantity),
        "fee": float(item.commission),
        "fee_asset": item.commission_asset,
        "realized_pnl": float(item.realized_pnl),
        "ts": item.ts_ms,
    }


def trade_fill_row(trade: wire.Trade) -> Row:
    """The same from REST, for what the stream did not bring."""
    return {
        "mode": MODE,
        "symbol": trade.symbol,
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "price": float(trade.price),
        "qty": float(trade.quantity),
        "fee": float(trade.commission),
        "fee_asset": trade.commission_asset,
        "realized_pnl": float(trade.realized_pnl),
        "ts": trade.ts_ms,
    }
