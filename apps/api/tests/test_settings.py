"""Settings as commands: validated, versioned, audited, followed until the worker has them."""

import asyncio

import psycopg
import pytest
import pytest_asyncio

from apps.api import audit
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import call, running, settings_for
from apps.api.tests.seed import heartbeat

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres_server, redis_server):
    async with running(settings_for(fresh_database(postgres_server, seeded=True), redis_server.url)) as found:
        yield found


async def test_a_change_is_a_version_with_its_diff_and_is_pending_until_the_worker_has_it(server):
    before = await call(server, "GET", "/api/settings", 200)
    assert (before["version"], before["effects"]["EV_MIN"], before["effects"]["UNIVERSE"]) == (
        None, "next_minute", "restart",
    )  # fmt: skip
    body = {"changes": {"EV_MIN": 0.002, "MAX_POSITIONS": 6, "TAKER_FEE_RATE": 0.0004}, "reason": "wide spreads"}
    done = await call(server, "POST", "/api/settings", 202, body | {"expected_version": 0})
    assert done["changes"] == [
        {"name": "EV_MIN", "before": 0.0, "after": 0.002, "takes_effect": "next_minute"},
        {"name": "TAKER_FEE_RATE", "before": 0.0005, "after": 0.0004, "takes_effect": "restart"},
    ]
    assert (done["takes_effect"], done["acknowledged_version"]) == ("restart", None)
    now = await call(server, "GET", "/api/settings", 200)
    assert (now["version"], now["pending"], now["values"]["EV_MIN"]) == (done["version"], True, 0.002)
    assert now["hash"] != before["hash"]
    url = server.resources.settings.database_url
    heartbeat(url, {"settings_version": done["version"], "settings_at_start": 0})
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO settings_used (version, hash, values) VALUES (%s, 'h', '{}')", (done["version"],))
    taken = await call(server, "GET", "/api/settings", 200)
    assert (taken["pending"], taken["restart_needed"]) == (False, ["TAKER_FEE_RATE"])
    guards = {g["code"]: g["limit"] for g in (await call(server, "GET", "/api/risk/state", 200))["guards"]}
    assert guards["MAX_POSITIONS"] == 6
    same = await call(server, "POST", "/api/settings", 202, {"changes": {"EV_MIN": 0.002}, "reason": "again"})
    assert (same["version"], same["changes"]) == (done["version"], [])
    back = {"changes": {"MAX_POSITIONS": 2, "EV_MIN": 0.0}, "reason": "back"}
    await call(server, "POST", "/api/settings", 409, back | {"expected_version": 0})
    second = await call(server, "POST", "/api/settings", 202, back | {"expected_version": done["version"]})
    first_page = await call(server, "GET", "/api/settings/versions?limit=1", 200)
    assert [row["version"] for row in first_page["items"]] == [second["version"]]
    assert first_page["items"][0]["acknowledged_at"] is None
    rest = await call(server, "GET", f"/api/settings/versions?cursor={first_page['next_cursor']}", 200)
    (oldest,) = rest["items"]
    assert (oldest["version"], oldest["actor"], oldest["reason"]) == (done["version"], "admin", "wide spreads")
    assert oldest["acknowledged_at"] is not None
    async with server.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None
        rows = await (
            await conn.execute("SELECT before, after FROM audit_log WHERE action = 'settings.change' ORDER BY seq")
        ).fetchall()
    assert [row["after"].get("EV_MIN") for row in rows] == [0.002, 0.0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"EV_MIN": "much"}, "changes.EV_MIN"),
        ({"MAX_USED_MARGIN_PCT": 2}, "changes.MAX_USED_MARGIN_PCT"),
        ({"API_PORT": 1}, "changes.API_PORT"),
        ({"UNIVERSE": ["ETHUSDT"]}, "changes.UNIVERSE"),
        ({"EV_MIN": {"a": 1}}, "changes.EV_MIN"),
        ({}, "changes"),
    ],
)
async def test_what_the_settings_object_refuses_is_named(server, changes, field):
    problem = await call(server, "POST", "/api/settings", 422, {"changes": changes, "reason": "r"})
    assert problem["errors"][0]["field"].startswith(field)
    assert problem["errors"][0]["expected"]


async def test_a_symbol_with_an_open_position_does_not_leave(server):
    body = {"changes": {"UNIVERSE": ["BTCUSDT"]}, "reason": "fewer"}
    problem = await call(server, "POST", "/api/settings", 409, body)
    assert [row["code"] for row in problem["conditions"]] == ["POSITION_OPEN"]


async def test_what_another_release_stored_says_so_and_is_replaced(server):
    url = server.resources.settings.database_url
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO settings (author, reason, value, diff) VALUES ('a', 'r', '{\"OLD\": 1}', '[]')")
    assert (await call(server, "GET", "/api/settings", 503))["code"] == "SETTINGS"
    done = await call(server, "POST", "/api/settings", 202, {"changes": {"EV_MIN": 0.003}, "reason": "anew"})
    assert [change["name"] for change in done["changes"]] == ["EV_MIN"]
    assert (await call(server, "GET", "/api/settings", 200))["values"]["EV_MIN"] == 0.003


async def test_a_restart_is_told_to_a_worker_that_lives_and_audited(server):
    path, body = "/api/settings/restart", {"reason": "two symbols came"}
    url = server.resources.settings.database_url
    heartbeat(url, {"settings_version": 1, "settings_at_start": 0}, age_s=60)
    refused = await call(server, "POST", path, 409, body)
    assert [row["code"] for row in refused["conditions"]] == ["WORKER_SILENT"]
    await call(server, "POST", path, 422, {"reason": ""})
    heartbeat(url, {"settings_version": 1, "settings_at_start": 0})
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN restart_wanted")
        done = await call(server, "POST", path, 202, body)
        told = await asyncio.to_thread(lambda: list(listener.notifies(timeout=20, stop_after=1)))
    assert [one.channel for one in told] == ["restart_wanted"]
    assert done["settings_at_start"] == 0
    (row,) = (await call(server, "GET", "/api/audit?limit=1", 200))["items"]
    assert (row["action"], row["reason"]) == ("worker.restart", "two symbols came")
    assert row["after"] == {"restart_needed": done["restart_needed"]}
