"""The command line at the door of a real API: what `up` leaves for it, and what it may do with that."""

import asyncio

import aiohttp
import pytest

from apps.api import audit
from apps.api.auth import accounts
from apps.api.auth.policy import Role
from apps.api.tests import browser
from apps.api.tests.running import running, settings_for
from apps.cli import api, trading, user
from packages.common.errors import StoreUnavailableError

pytestmark = pytest.mark.integration


async def test_commands_work_and_links_sign_in(postgres_url, redis_url, tmp_path):
    async with running(settings_for(postgres_url, redis_url), role=None) as server:
        link = await asyncio.to_thread(user.prepare, postgres_url, tmp_path, server.base, demo=True)
        desk = api.Api(server.base, tmp_path)
        said = await asyncio.to_thread(trading.toggle, desk, "shadow", "r")
        assert said == "trading is shadow (version 1)"
        assert await asyncio.to_thread(trading.gate, desk)
        assert await asyncio.to_thread(trading.halt, desk, postgres_url, "r") == "HALTED (version 2)"
        assert await asyncio.to_thread(trading.resume, desk, "r") == "asked to run again (version 3)"
        async with browser.browser(server) as found:
            me = await found.post("/api/auth/link", token=link.partition("#link=")[2])
            assert me["user"]["name"] == "admin"
            rows = (await found.get("/api/audit"))["items"]
        assert [row["actor"] for row in rows if row["action"].startswith("trading")] == ["command line"] * 3


async def test_a_halt_goes_round_a_door_that_does_not_open(postgres_url, redis_url, tmp_path):
    """Without the token it writes the table; what lifts a latch does not."""
    async with running(settings_for(postgres_url, redis_url), role=None) as server:
        desk = api.Api(server.base, tmp_path)
        said = await asyncio.to_thread(trading.halt, desk, postgres_url, "r")
        assert said == "HALTED (version 1), written by hand: the api could not be asked"
        async with server.resources.pool.connection() as conn:
            assert await audit.first_broken(conn) is None
            [row] = await audit.newest(conn, None, 10)
        assert (row["actor"], row["before"]) == ("command line", {"kill_switch": "RUNNING", "version": 0})
        with pytest.raises(StoreUnavailableError, match="does not know this command line"):
            await asyncio.to_thread(trading.resume, desk, "r")


async def test_where_money_is_at_stake_an_admin_is_asked_for_his_code(postgres_url, redis_url, tmp_path, monkeypatch):
    settings = settings_for(postgres_url, redis_url, exchange="binance", mode="live", var_dir=tmp_path)
    async with running(settings, role=None) as server:
        await asyncio.to_thread(user.prepare, postgres_url, tmp_path, server.base, demo=False)
        async with server.resources.pool.connection() as conn:
            token = await accounts.new_link(conn, "admin", actor="test")
            assert [row["role"] for row in await accounts.users(conn)] == [Role.ADMIN]
        async with browser.browser(server) as found:
            await found.post("/api/auth/link", token=token, password=browser.PASSWORD)
            monkeypatch.setattr("apps.api.auth.sign_in.wall_ms", lambda: browser.NOW_MS)
            secret, _ = await browser.add_totp(found)
        desk = api.Api(server.base, tmp_path)
        assert await asyncio.to_thread(trading.halt, desk, postgres_url, "r") == "HALTED (version 1)"
        with pytest.raises(api.StepUpNeededError):  # no terminal
            await asyncio.to_thread(trading.resume, desk, "r")
        monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
        answers = iter(["admin", browser.code_of(secret)])
        monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
        assert await asyncio.to_thread(trading.resume, desk, "r") == "asked to run again (version 2)"
        async with aiohttp.ClientSession(server.base) as client, client.get("/api/trading/state") as answer:
            assert answer.status == 401
