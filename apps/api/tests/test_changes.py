# ruff: noqa: E501 - tables of cases stay tables
"""What changes under the eyes of the API."""

import math

import psycopg
import pytest

from apps.api.tests.seed import heartbeat
from packages.common.types import PositionDTO, StatusDTO

pytestmark = pytest.mark.integration
NEWEST = "2026-03-01T01:59:00.000Z"


async def get(server, path, status=200):
    async with server.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def test_positions_are_those_of_the_newest_minute(desk, postgres_url):
    found = [PositionDTO.model_validate(row) for row in await get(desk, "/api/positions/latest")]
    assert [position.symbol for position in found] == ["BTCUSDT", "ETHUSDT"]
    held, bare = found
    assert held.r_multiple == pytest.approx((20 - 1.5) / (2 * 10))
    assert held.risk_at_stop == pytest.approx(40)
    assert held.protected
    assert (bare.protected, bare.entry_price, bare.r_multiple) == (False, None, None)
    with psycopg.connect(postgres_url, autocommit=True) as conn:  # the next minute is flat
        conn.execute(
            "INSERT INTO account_snapshots SELECT ts + interval '1 min', mode, equity, wallet_balance, 0, "
            "available_margin, 0, 0, day_start_equity FROM account_snapshots ORDER BY ts DESC LIMIT 1"
        )
    assert await get(desk, "/api/positions/latest") == []


async def test_status_is_the_workers_word_while_it_lives(desk, postgres_url):
    said = StatusDTO(
        collector_ok=True, userstream_ok=True, latest_candle_ts=NEWEST, latest_feature_ts=None, latest_signal_ts=None,
        queue_lag={"db": 3.0}, latency_ms={}, ws_connected={"market": True}, mode="shadow", symbols_fresh=28,
    )  # fmt: skip
    heartbeat(postgres_url, said.model_dump())
    assert StatusDTO.model_validate(await get(desk, "/api/status")) == said
    assert [(p["name"], p["alive"]) for p in await get(desk, "/api/status/processes")] == [("worker_realtime", True)]


async def test_a_silent_worker_is_not_believed(desk, postgres_url):
    heartbeat(postgres_url, StatusDTO(
        collector_ok=True, userstream_ok=True, latest_candle_ts=None, latest_feature_ts=None, latest_signal_ts=None,
        queue_lag={}, latency_ms={}, ws_connected={"market": True}, trading_version=4).model_dump(), age_s=11)  # fmt: skip
    status = await get(desk, "/api/status")
    assert (status["userstream_ok"], status["symbols_fresh"], status["latest_signal_ts"]) == (False, 0, NEWEST)
    assert (status["collector_ok"], status["ws_connected"], status["trading_version"]) == (False, {"market": False}, 4)
    assert status["latency_ms"]["worker_heartbeat"] >= 11_000


async def test_a_word_that_is_no_status_is_not_believed_either(desk, postgres_url):
    heartbeat(postgres_url, {"collector_ok": "perhaps"})
    assert (await get(desk, "/api/status"))["collector_ok"] is False


async def test_a_nan_in_a_required_number_does_not_fail_the_answer(desk, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("UPDATE account_snapshots SET equity = 'NaN' WHERE ts = (SELECT max(ts) FROM account_snapshots)")
    account = await get(desk, "/api/account/latest")
    assert account["equity"] is None
    assert account["total_pnl"] is None
    assert all(g["value"] is None or math.isfinite(g["value"]) for g in (await get(desk, "/api/risk/state"))["guards"])
