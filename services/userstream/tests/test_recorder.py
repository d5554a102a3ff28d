from decimal import Decimal

from packages.exchange.trading import (
    AlgoStatus,
    AlgoUpdate,
    Execution,
    FillNotice,
    Order,
    OrderStatus,
    OrderUpdate,
    Side,
    Trade,
)
from services.userstream.recorder import Recorder

D = Decimal
AT = 1_770_000_000_000


def update(order_id=7, trade_id=None, status=OrderStatus.NEW, qty="0"):
    return OrderUpdate(
        AT, AT, "BTCUSDT", order_id, f"pp-desk-x-e{order_id}", Side.BUY, "MARKET",
        Execution.TRADE if trade_id else Execution.NEW, status, D("0.5"), D(0), D(0), D(qty), D(qty), D("70000.1"),
        trade_id, D("0.0175"), "USDT", D("1.5"), False, False, False, 0, "BOTH",
    )  # fmt: skip


def order(order_id):
    return Order(
        "BTCUSDT", order_id, f"other-{order_id}", Side.SELL, "MARKET", OrderStatus.FILLED, D("0.5"), D("0.5"), D(0),
        None, True, False, "GTC", AT + 5,
    )  # fmt: skip


def trade(trade_id, order_id):
    return Trade(
        "BTCUSDT", trade_id, order_id, Side.SELL, D(70_100), D("0.5"), D(35_050), D(50), D("0.01"), "USDT", False, AT
    )  # fmt: skip


class World:
    """An exchange that knows some orders, and a writer that keeps rows in the order of writing."""

    def __init__(self, *orders):
        self.orders, self.written, self.told, self.asked = {row.order_id: row for row in orders}, [], [], []

    async def query_order(self, symbol, ref):
        self.asked.append(ref)
        return self.orders.get(ref)

    def put(self, table, rows):
        self.written += [(table, row) for row in rows]

    def recorder(self):
        return Recorder(
            self, self, lambda channel, message: self.told.append((channel, message)),
            lambda name: "entry" if name.startswith("pp-desk") else None, lambda _: "d1:BTCUSDT",
        )  # fmt: skip


def test_a_fill_is_written_after_its_order_with_its_leg_and_intent():
    world = World()
    world.recorder().event(update(trade_id=9, status=OrderStatus.FILLED, qty="0.5"))
    assert [table for table, _ in world.written] == ["orders", "fills"]
    row, fill = (row for _, row in world.written)
    assert (row["order_id"], row["leg"], row["intent_id"], row["status"], row["price"]) == (
        7, "entry", "d1:BTCUSDT", "FILLED", None
    )  # fmt: skip
    assert (fill["trade_id"], fill["price"], fill["qty"], fill["fee"], fill["realized_pnl"]) == (
        9, 70000.1, 0.5, 0.0175, 1.5
    )  # fmt: skip
    assert world.told[0][0] == "order_updates"


def test_events_without_an_order_leave_nothing():
    world = World()
    world.recorder().event(FillNotice(AT, AT, "BTCUSDT", 7, "pp", Side.BUY, D(1), D(1), 9, False))
    assert world.written == world.told == []


def test_a_conditional_order_stands_under_the_negative_of_its_number():
    world = World()
    item = AlgoUpdate(
        AT, AT, "BTCUSDT", 33, "pp-desk-x-s1", Side.SELL, "STOP_MARKET", AlgoStatus.NEW, D(69_000), "MARK_PRICE", True,
        False, None, None, D(0), D(0), None, "",
    )  # fmt: skip
    world.recorder().event(item)
    ((table, row),) = world.written
    assert (table, row["order_id"], row["algo_id"], row["stop_price"], row["qty"]) == ("orders", -33, 33, 69_000.0, 0.0)


async def test_fills_of_a_gap_bring_their_orders_once():
    world = World(order(1))
    recorder = world.recorder()
    recorder.event(update(order_id=7))
    await recorder.fills("BTCUSDT", [trade(10, 1), trade(11, 1), trade(12, 7), trade(13, 99)])
    await recorder.fills("BTCUSDT", [trade(10, 1)])
    assert set(world.asked) == {1, 99}
    assert world.asked.count(1) == 1
    fills = [row["trade_id"] for table, row in world.written if table == "fills"]
    assert fills == [10, 11, 12, 10]  # that of an order nobody knows any more cannot be kept
    orders = [row["order_id"] for table, row in world.written if table == "orders"]
    assert orders == [7, 1]
