"""What the stream tells, as rows that the database takes."""

from decimal import Decimal

import psycopg
import pytest

from packages.common.writer import BatchWriter
from packages.exchange.trading import AlgoStatus, AlgoUpdate, Execution, OrderStatus, OrderUpdate, Side
from services.userstream.recorder import Recorder

pytestmark = pytest.mark.integration
T0 = 1_767_225_600_000
D = Decimal
NAME = "pp-desk-0123456789abcdef-s1"


@pytest.mark.parametrize("child_first", [False, True])
async def test_a_triggered_stop_and_its_child_share_a_name_and_both_are_kept(postgres_url, tmp_path, child_first):
    """A conditional order hands its client id to the market order it becomes."""
    stop = AlgoUpdate(
        T0, T0, "BTCUSDT", 4, NAME, Side.SELL, "STOP_MARKET", AlgoStatus.TRIGGERED, D(99), "MARK_PRICE", True, True,
        D(0), 5, D(0), D(0), T0, "",
    )  # fmt: skip
    child = OrderUpdate(
        T0, T0, "BTCUSDT", 5, NAME, Side.SELL, "MARKET", Execution.TRADE, OrderStatus.FILLED, D(1), D(0), D(99), D(1),
        D(1), D(99), 77, D("0.05"), "USDT", D(-1), False, True, True, 0, "BOTH",
    )  # fmt: skip
    async with BatchWriter(postgres_url, tmp_path) as writer:
        writer.put("instruments", [{"symbol": "BTCUSDT"}])
        recorder = Recorder(None, writer, lambda *_: None, lambda _: "sl", lambda _: "i1")
        for item in (child, stop) if child_first else (stop, child):
            recorder.event(item)
            await writer.flush(5)
        assert writer.metrics.refused_rows == 0
    with psycopg.connect(postgres_url) as conn:
        orders = conn.execute("SELECT order_id, client_order_id, client_algo_id FROM orders ORDER BY 1").fetchall()
        fills = conn.execute("SELECT trade_id, order_id FROM fills").fetchall()
    assert orders == [(-4, None, NAME), (5, NAME, None)]
    assert fills == [(77, 5)]
