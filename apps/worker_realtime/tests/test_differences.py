"""Live and shadow trades of one decision, in a database, told apart."""

from decimal import Decimal

import psycopg
import pytest
from psycopg.types.json import Jsonb

from apps.worker_realtime.differences import attribute_new
from packages.common.time import MINUTE_MS

pytestmark = pytest.mark.integration
DECIDED = 1_770_000_000_000 // MINUTE_MS * MINUTE_MS
EPOCH = "'epoch'::timestamptz + %s * interval '1 millisecond'"


def put_trade(conn, mode, entry_ms, **changes):
    row = {"side": "LONG", "qty": 2.0, "entry_ref": 100.0, "exit_ref": 110.0, "slippage": 0.2, "fees": 0.1,
           "funding": 0.05, "liquidation_fee": 0.0, "absorbed": 0.0} | changes  # fmt: skip
    conn.execute(
        "INSERT INTO trades (mode, symbol, entry_ts, exit_ts, side, qty, entry_ref, entry_price, exit_ref, exit_price,"
        " exit_reason, gross, slippage, fees, liquidation_fee, funding, absorbed, net, mae, mfe, leverage, sl_price,"
        f" tp_price) VALUES (%s, 'BTCUSDT', {EPOCH}, now(), %s, %s, %s, 1, %s, 1, 'TP', 1, %s, %s, %s, %s, %s, 1, 0, 0,"
        " 1, 1, 1)",
        (mode, entry_ms, *(row[name] for name in (
            "side", "qty", "entry_ref", "exit_ref", "slippage", "fees", "liquidation_fee", "funding", "absorbed"))),
    )  # fmt: skip


def test_a_pair_is_attributed_once_and_a_lone_trade_waits(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("INSERT INTO instruments (symbol, status) VALUES ('BTCUSDT', 'active') ON CONFLICT DO NOTHING")
        filled = DECIDED + 1_234
        payload = {"entry_ts_ms": filled, "sent_price": "100.5"}
        conn.execute(
            "INSERT INTO order_intents (intent_id, mode, symbol, created_at, updated_at, kind, state, payload)"
            f" VALUES ('d:BTCUSDT', 'live', 'BTCUSDT', {EPOCH}, now(), 'entry', 'booked', %s)",
            (DECIDED, Jsonb(payload)),
        )
        put_trade(conn, "live", filled, fees=0.3, slippage=1.4)
        assert attribute_new(postgres_url) == 0
        put_trade(conn, "shadow", DECIDED)
        assert attribute_new(postgres_url) == 1
        assert attribute_new(postgres_url) == 0
        ((kept,),) = conn.execute("SELECT payload FROM order_intents").fetchall()
    assert kept["entry_ts_ms"] == filled
    parts = {name: Decimal(text) for name, text in kept["attribution"].items()}
    assert (parts["latency"], parts["slippage"], parts["fee"]) == (-1, Decimal("-0.2"), Decimal("-0.2"))
    assert parts.pop("difference") == sum(parts.values()) == Decimal("-1.4")
