# ruff: noqa: E501 - rows stay on one line
"""What single pages of the desk read."""

import psycopg
import pytest
from psycopg.types.json import Jsonb

from apps.api.dto_pages import AttributionParts
from apps.api.queries.quality_map import BUCKETS_MAX, bucket_of
from apps.api.tests.seed import BARS, NEWEST_MS, START_MS, attributed, lapsed, minute
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


async def get(server, path, status=200):
    async with server.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def test_a_span_never_has_too_many_buckets():
    for span_ms in (MINUTE_MS, HOUR_MS, DAY_MS, 3 * DAY_MS, 14 * DAY_MS):
        assert -(-span_ms // bucket_of(span_ms)) + 1 <= BUCKETS_MAX


async def test_the_map_shows_where_bars_are_missing_and_late(desk):
    found = await get(desk, f"/api/data-quality/map?from={START_MS}&to={NEWEST_MS + MINUTE_MS}")
    rows = {row["symbol"]: row for row in found["rows"]}
    size = found["bucket_ms"] // MINUTE_MS
    assert list(rows) == ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNXUSDT"]
    assert sum(rows["BTCUSDT"]["expected"]) == BARS
    assert {s: sum(row["missing"]) for s, row in rows.items()} == {
        "BTCUSDT": 0,
        "ETHUSDT": 5,
        "SOLUSDT": 10,
        "BNXUSDT": 0,
    }
    assert rows["ETHUSDT"]["missing"][100 // size] == 5  # bars 100 to 104
    assert sum(rows["BTCUSDT"]["late"]) == 60
    assert sum(rows["BNXUSDT"]["expected"]) == 0  # delisted: nothing is expected
    inside = await get(desk, f"/api/data-quality/map?from={START_MS + 101 * MINUTE_MS}&to={START_MS + 103 * MINUTE_MS}")
    assert sum({row["symbol"]: row for row in inside["rows"]}["ETHUSDT"]["missing"]) == 2
    default = await get(desk, "/api/data-quality/map")
    assert len(default["ts"]) <= BUCKETS_MAX
    assert sum(sum(row["missing"]) for row in default["rows"]) == 15
    long = await get(desk, "/api/data-quality/map?from=2026-02-01T00:00:00Z&to=2026-03-01T00:00:00Z", 422)
    assert long["errors"][0]["field"] == "from"


async def test_fills_come_newest_first_in_pages(desk):
    first = await get(desk, "/api/fills?limit=1")
    second = await get(desk, f"/api/fills?limit=1&cursor={first['next_cursor']}")
    assert [first["items"][0]["price"], second["items"][0]["price"]] == [103.0, 100.0]
    assert (first["items"][0]["side"], first["items"][0]["leg"], second["next_cursor"]) == ("BUY", "entry", None)
    assert (await get(desk, "/api/fills?mode=live"))["items"] == []


async def test_intents_say_why_an_entry_was_not_sent(desk, postgres_url):
    assert (await get(desk, "/api/intents"))["items"] == []
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        attributed(conn, "BTCUSDT", 0, None)
        lapsed(conn, "ETHUSDT", minute(3), ("NO_ROOM",))
        lapsed(conn, "ETHUSDT", minute(4), ("SPREAD_TOO_WIDE", "PAUSED"), "by hand")
    never = (await get(desk, "/api/intents?lapsed=true"))["items"]
    assert [row["reasons"] for row in never] == [["SPREAD_TOO_WIDE", "PAUSED"], ["NO_ROOM"]]
    row = never[0]
    assert (row["side"], row["qty"], row["sl_price"], row["detail"], row["state"]) == (
        "LONG",
        0.5,
        98.0,
        "by hand",
        "lapsed",
    )
    every = await get(desk, "/api/intents?limit=2")
    rest = await get(desk, f"/api/intents?limit=2&cursor={every['next_cursor']}")
    assert sorted(row["state"] for row in every["items"] + rest["items"]) == ["booked", "lapsed", "lapsed"]
    assert rest["next_cursor"] is None
    assert [row["symbol"] for row in (await get(desk, "/api/intents?symbol=BTCUSDT"))["items"]] == ["BTCUSDT"]


async def test_execution_tells_failures_from_work_done_and_slippage_from_its_expectation(desk, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for i, (leg, status) in enumerate(
            (("entry", "FILLED"), ("entry", "REJECTED"), ("tp", "EXPIRED"), ("entry", "EXPIRED"))
        ):
            conn.execute(
                "INSERT INTO orders (mode, order_id, symbol, side, type, status, reduce_only, qty, created_at, updated_at, "
                "leg) VALUES ('live', %s, 'BTCUSDT', 'BUY', 'MARKET', %s, FALSE, 1, %s, %s, %s)",
                (100 + i, status, minute(151), minute(151), leg),
            )
        conn.execute(
            "INSERT INTO orders (mode, order_id, symbol, side, type, status, reduce_only, qty, stop_price, created_at, "
            "updated_at, leg) VALUES ('live', 200, 'BTCUSDT', 'SELL', 'STOP_MARKET', 'NEW', TRUE, 1, 98, %s, %s, 'sl')",
            (minute(151), minute(151)),
        )
        for symbol in (
            "BTCUSDT",
            "ETHUSDT",
        ):  # 20 s after the decision that the shadow account took too; twice its slippage
            conn.execute(
                "INSERT INTO trades SELECT 'live', symbol, entry_ts + interval '20 s' + %s * interval '1 hour', exit_ts, side, "
                "qty, entry_ref, entry_price, exit_ref, exit_price, exit_reason, gross, 1.0, fees, liquidation_fee, funding, "
                "absorbed, net, mae, mfe, leverage, sl_price, tp_price, model_id FROM trades WHERE mode = 'shadow' AND symbol = %s",
                (0 if symbol == "BTCUSDT" else 2, symbol),
            )
    live = await get(desk, "/api/execution?mode=live")
    assert (live["orders"], live["failed"], live["failure_rate"]) == (5, 2, pytest.approx(0.4))
    assert {(row["leg"], row["status"]) for row in live["counts"] if row["failed"]} == {
        ("entry", "REJECTED"),
        ("entry", "EXPIRED"),
    }
    assert (live["trades"], live["matched"]) == (2, 1)  # the other one has no twin
    assert live["expected_frac"] == pytest.approx(0.5 / (2 * 203))
    assert live["matched_frac"] == pytest.approx(1.0 / (2 * 203))
    assert sum(live["bucket_orders"]) == 5
    shadow = await get(desk, "/api/execution")
    assert (shadow["failed"], shadow["matched"], shadow["expected_frac"]) == (0, 0, None)
    assert shadow["slippage_frac"] == pytest.approx(0.5 / (2 * 203))
    open_orders = await get(desk, "/api/orders/open?mode=live")
    assert [(order["order_id"], order["stop_price"]) for order in open_orders] == [(200, 98.0)]


async def test_live_against_shadow_sums_and_shows_its_trades(desk, postgres_url):
    empty = await get(desk, "/api/execution/attribution")
    assert (empty["days"], empty["waiting"], empty["total"]["trades"]) == ([], 0, 0)
    parts = dict.fromkeys(AttributionParts.model_fields, "0") | {"latency": "-0.5", "fee": "2.5", "difference": "2.0"}
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        attributed(conn, "BTCUSDT", 0, parts)
        attributed(conn, "ETHUSDT", 24, parts | {"size": "0.00000001", "difference": "2.00000001"})
        attributed(conn, "SOLUSDT", 1, {"refused": "direction"})
    found = await get(desk, "/api/execution/attribution")
    assert [(row["day"], row["symbol"], row["trades"]) for row in found["days"]] == [
        ("2026-03-02", "ETHUSDT", 1),
        ("2026-03-01", "BTCUSDT", 1),
    ]
    assert (found["waiting"], found["refused"]) == (0, 1)
    total = found["total"]
    assert (total["trades"], total["live_net"], total["latency"], total["fee"]) == (2, 14.0, -1.0, 5.0)
    assert total["difference"] == pytest.approx(total["live_net"] - total["shadow_net"]) == pytest.approx(4.00000001)
    page = await get(desk, "/api/execution/attribution/trades?limit=1")
    assert [row["symbol"] for row in page["items"]] == ["ETHUSDT"]
    rest = await get(desk, f"/api/execution/attribution/trades?limit=1&cursor={page['next_cursor']}")
    ((row,), cursor) = rest["items"], rest["next_cursor"]
    assert (row["symbol"], row["live_net"], row["shadow_net"], row["latency"], cursor) == (
        "BTCUSDT",
        7.0,
        5.0,
        -0.5,
        None,
    )
    assert (await get(desk, "/api/execution/attribution/trades?symbol=SOLUSDT"))["items"] == []
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("UPDATE order_intents SET payload = payload - 'attribution' WHERE symbol = 'BTCUSDT'")
    assert (await get(desk, "/api/execution/attribution"))["waiting"] == 1
    async with desk.client.get(
        "/api/execution/attribution?from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"
    ) as answer:
        assert (answer.status, (await answer.json())["errors"][0]["field"]) == (422, "from")


async def test_the_agent_is_empty_until_it_exists(desk, postgres_url):
    assert await get(desk, "/api/rl/models") == []
    assert await get(desk, "/api/rl/decisions") == []
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO rl_models (model_id, symbol, train_start, train_end, metrics) VALUES ('m', 'BTCUSDT', %s, %s, %s)",
            (minute(0), minute(1), Jsonb({"pf": 1.2})),
        )
        conn.execute(
            "INSERT INTO rl_decisions (ts, symbol, model_id, mode, action, action_name, confidence, action_probs) "
            "VALUES (%s, 'BTCUSDT', 'm', 'shadow', 1, 'LONG', 0.7, %s)",
            (minute(2), Jsonb({"HOLD": 0.2, "LONG": 0.7})),
        )
    assert (await get(desk, "/api/rl/models"))[0]["metrics"] == {"pf": 1.2}
    assert (await get(desk, "/api/rl/decisions?symbol=BTCUSDT"))[0]["action_probs"] == {"HOLD": 0.2, "LONG": 0.7}
    assert await get(desk, "/api/rl/decisions?symbol=ETHUSDT") == []


async def test_an_empty_database_is_an_empty_answer(api):
    assert (await get(api, "/api/data-quality/map"))["rows"] == []
    assert (await get(api, "/api/execution"))["failure_rate"] is None
    assert await get(api, "/api/orders/open") == []
