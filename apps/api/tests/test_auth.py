"""Signing in, over the wire and as an attacker would."""

import asyncio
import json
import logging

import aiohttp
import psycopg
import pytest
import pytest_asyncio
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from apps.api import audit
from apps.api.auth import accounts, passwords, sign_in
from apps.api.auth.policy import Role
from apps.api.tests.browser import NOW_MS, PASSWORD, add_totp, browser, code_of, person, user
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes():
    """argon2id still, with less work: what it costs in operation is looked at in test_auth_parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=256, parallelism=1),)))
        passwords._nobody.cache_clear()
        yield
    passwords._nobody.cache_clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(postgres_server, redis_server, tmp_path_factory):
    """A demo. Every test has users of its own."""
    url = fresh_database(postgres_server)
    settings = settings_for(url, redis_server.url, var_dir=tmp_path_factory.mktemp("var"))
    async with running(settings) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(postgres_server, redis_server, tmp_path_factory):
    """Where money is at stake."""
    url = fresh_database(postgres_server)
    var = tmp_path_factory.mktemp("real")
    settings = settings_for(url, redis_server.url, var_dir=var, exchange="binance", mode="live")
    async with running(settings) as server:
        yield server


@pytest.fixture(autouse=True)
def still(request, monkeypatch):
    """The clock of codes and of waiting stands; failures are not held against the next test."""
    monkeypatch.setattr(sign_in, "wall_ms", lambda: NOW_MS)
    yield
    for name in ("desk", "real"):
        if name in request.fixturenames:
            with psycopg.connect(
                request.getfixturevalue(name).resources.settings.database_url, autocommit=True
            ) as conn:
                conn.execute("DELETE FROM sign_in_attempts")


async def audit_rows(server, actor):
    async with server.resources.pool.connection() as conn:
        query = "SELECT action, before, after FROM audit_log WHERE actor = %s ORDER BY seq"
        return await (await conn.execute(query, (actor,))).fetchall()


# --- links ------------------------------------------------------------------------------------------------------------


async def test_a_link_signs_in_once(desk):
    token = await user(desk, "linus", Role.OPERATOR)
    async with browser(desk) as first, browser(desk) as second:
        assert not (await first.get("/api/auth/me"))["signed_in"]
        await first.get("/api/status", 401)
        me = await first.post("/api/auth/link", token=token)
        assert me["user"] == {"name": "linus", "role": "operator", "totp": False, "password": False}
        assert (me["demo"], me["step_up_until"]) == (True, None)
        await first.get("/api/status")
        refused = await second.post("/api/auth/link", 401, token=token)
        assert refused["code"] == "LINK_REFUSED"
        assert not (await second.get("/api/auth/me"))["signed_in"]


async def test_two_at_once_use_a_link_once(desk):
    token = await user(desk, "twin")

    async def use():
        async with browser(desk) as one, one.client.post("/api/auth/link", json={"token": token}) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(use() for _ in range(4)))) == [200, 401, 401, 401]


async def test_an_old_link_and_one_that_was_replaced_are_refused(desk):
    old = await user(desk, "late")
    async with desk.resources.pool.connection() as conn:
        newer = await accounts.new_link(conn, "late", actor="test")
        async with browser(desk) as found:
            await found.post("/api/auth/link", 401, token=old)
            await conn.execute(
                "UPDATE login_links l SET expires_at = now() FROM users u WHERE u.user_id = l.user_id AND name = 'late'"
            )
            await found.post("/api/auth/link", 401, token=newer)


async def test_where_money_is_at_stake_a_link_needs_a_password_and_is_kept_until_then(real):
    token = await user(real, "rich", Role.ADMIN)
    async with browser(real) as found:
        for body in ({}, {"password": "short"}, {"password": "aaaaaaaaaaaaaaaa"}, {"password": "my name is rich"}):
            refused = await found.post("/api/auth/link", 422, token=token, **body)
            assert [error["field"] for error in refused["errors"]] == ["password"]
            assert not body or body["password"] not in json.dumps(refused)
        assert (await found.get("/api/auth/me"))["demo"] is False
        await found.post("/api/auth/link", token=token, password=PASSWORD)
        await found.post("/api/auth/logout", 204)
        await found.post("/api/auth/login", name="rich", password=PASSWORD)


async def test_a_link_does_not_go_round_the_second_factor(desk):
    async with person(desk, "twofold") as found:
        secret, _ = await add_totp(found)
    async with desk.resources.pool.connection() as conn:
        token = await accounts.new_link(conn, "twofold", actor="test")
    async with browser(desk) as other:
        assert (await other.post("/api/auth/link", 401, token=token))["code"] == "CODE_NEEDED"
        assert (await other.post("/api/auth/link", 401, token=token, code="000000"))["code"] == "SIGN_IN_REFUSED"
        me = await other.post("/api/auth/link", token=token, code=code_of(secret))
        assert me["step_up_until"] is not None


# --- passwords --------------------------------------------------------------------------------------------------------


async def test_wrong_names_passwords_and_people_get_the_same_answer(desk):
    async with person(desk, "known"), person(desk, "gone"), person(desk, "bare", password=None):
        async with desk.resources.pool.connection() as conn:
            await accounts.change_user(conn, "gone", disabled=True, actor="test")
        answers = set()
        async with browser(desk) as found:
            for name, password in (
                ("known", "wrong horse battery"), ("nobody", PASSWORD), ("gone", PASSWORD), ("bare", PASSWORD),
                ("bare", ""), ("known", ""), ("KNOWN", PASSWORD), ("", PASSWORD),
            ):  # fmt: skip
                await found.post("/api/auth/login", 401, name=name, password=password)
                answers.add(found.said[-1])
        assert len(answers) == 1


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(desk, monkeypatch):
    """Not measured against a clock but counted: both cost one check of argon2id, on a hash of the same parameters."""
    checked = []
    real_verify = passwords._hasher.verify

    class Spy:
        def verify(self, password, stored):
            checked.append(stored.rsplit("$", 2)[0])
            return real_verify(password, stored)

    async with person(desk, "timed"), browser(desk) as found:
        monkeypatch.setattr(passwords, "_hasher", Spy())
        await found.post("/api/auth/login", 401, name="timed", password="wrong horse battery")
        await found.post("/api/auth/login", 401, name="untimed", password="wrong horse battery")
    assert len(checked) == 2
    assert checked[0] == checked[1]
    assert checked[0].startswith("$argon2id$")


async def test_who_guesses_waits_longer_and_longer_and_others_do_not(desk):
    async with person(desk, "target"), person(desk, "bystander"), browser(desk) as guesser:
        for _ in range(5):
            await guesser.post("/api/auth/login", 401, name="target", password="wrong horse battery")
        async with guesser.client.post("/api/auth/login", json={"name": "target", "password": PASSWORD}) as answer:
            assert answer.status == 429  # though it is right
            assert answer.headers["Retry-After"] == "1"
            assert (await answer.json(content_type=None))["code"] == "TOO_MANY_ATTEMPTS"
        await guesser.post("/api/auth/login", name="bystander", password=PASSWORD)
        for _ in range(5):  # of nobody just the same
            await guesser.post("/api/auth/login", 401, name="nobody-at-all", password=PASSWORD)
        await guesser.post("/api/auth/login", 429, name="nobody-at-all", password=PASSWORD)


async def test_a_new_start_forgives_nothing(desk):
    async with person(desk, "patient"), browser(desk) as guesser:
        for _ in range(5):
            await guesser.post("/api/auth/login", 401, name="patient", password="wrong horse battery")
        async with running(desk.resources.settings, role=None) as anew, browser(anew) as later:
            await later.post("/api/auth/login", 429, name="patient", password=PASSWORD)


async def test_many_guesses_at_once_are_not_one(desk):
    async with person(desk, "stormed"), browser(desk) as guesser:

        async def guess(i):
            body = {"name": "stormed", "password": f"wrong horse battery {i}"}
            async with guesser.client.post("/api/auth/login", json=body) as answer:
                return answer.status

        found = await asyncio.gather(*(guess(i) for i in range(12)))
        assert (found.count(401), found.count(429)) == (5, 7)


async def test_a_peer_who_tries_many_names_waits_too(desk):
    async with browser(desk) as guesser:
        statuses = []
        for i in range(22):
            body = {"name": f"name{i}", "password": PASSWORD}
            async with guesser.client.post("/api/auth/login", json=body) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 20 + [429] * 2


async def test_a_new_password_ends_the_other_sessions(desk):
    async with person(desk, "changer") as here, browser(desk) as there:
        await there.post("/api/auth/login", name="changer", password=PASSWORD)
        await here.post("/api/auth/password", 422, password="another long word")
        await here.post("/api/auth/password", 401, current="wrong horse battery", password="another long word")
        before = here.cookie
        await here.post("/api/auth/password", current=PASSWORD, password="another long word")
        assert here.cookie != before
        await here.get("/api/status")
        await there.get("/api/status", 401)
        await there.post("/api/auth/login", 401, name="changer", password=PASSWORD)
        await there.post("/api/auth/login", name="changer", password="another long word")


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_planted_session_is_not_taken_over(desk):
    async with person(desk, "fixed"), browser(desk) as victim:
        planted = "planted" * 6
        victim.client.cookie_jar.update_cookies({"pp_session": planted}, aiohttp.client.URL(desk.base))
        await victim.post("/api/auth/login", name="fixed", password=PASSWORD)
        assert victim.cookie != planted
        async with browser(desk) as attacker:
            await attacker.ask("GET", "/api/status", 401, headers={"Cookie": f"pp_session={planted}"})


async def test_signing_in_again_ends_the_session_that_came_along(desk):
    async with person(desk, "again") as found, browser(desk) as thief:
        stolen = {"Cookie": f"pp_session={found.cookie}"}
        await thief.ask("GET", "/api/status", 200, headers=stolen)
        await found.post("/api/auth/login", name="again", password=PASSWORD)
        await thief.ask("GET", "/api/status", 401, headers=stolen)


async def test_the_cookie_is_what_it_must_be(desk):
    token = await user(desk, "cookie")
    async with aiohttp.ClientSession(desk.base) as client:
        async with client.post("/api/auth/link", json={"token": token}) as answer:
            [cookie] = answer.headers.getall("Set-Cookie")
            assert answer.headers["Cache-Control"] == "no-store"
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert "Domain" not in cookie
    async with desk.resources.pool.connection() as conn:
        token = await accounts.new_link(conn, "cookie", actor="test")
    async with (
        aiohttp.ClientSession(desk.base, headers={"X-Forwarded-Proto": "https"}) as client,
        client.post("/api/auth/link", json={"token": token}) as answer,
    ):
        assert "Secure" in answer.headers["Set-Cookie"]


async def test_a_change_needs_the_pages_token(desk):
    body = {"mode": "off", "reason": "r"}
    async with person(desk, "clicker", Role.OPERATOR) as found, person(desk, "other") as other:
        for wrong in ({}, {"X-CSRF": ""}, {"X-CSRF": "é"}, {"X-CSRF": other.me["csrf"]}):
            async with found.client.post("/api/trading/toggle", json=body, headers=wrong) as answer:
                assert answer.status == 403, wrong
                assert (await answer.json(content_type=None))["code"] == "CSRF"
        await found.post("/api/trading/toggle", 202, **body)
        async with found.client.post("/api/auth/logout", json={}) as answer:
            assert answer.status == 403


async def test_sessions_grow_old(desk):
    async with person(desk, "sleepy") as found:
        for change in ("last_seen_at = now() - interval '12 hours 1 second'", "expires_at = now()"):
            async with desk.resources.pool.connection() as conn:
                await conn.execute(
                    f"UPDATE sessions SET {change} WHERE session_id <> ''"
                )  # of all: the next test signs in
            desk.resources.sessions.forget()
            await found.get("/api/status", 401)
            await found.post("/api/auth/login", name="sleepy", password=PASSWORD)
        [row] = await found.get("/api/auth/sessions")
        assert row["current"]


async def test_who_is_signed_in_where_is_listed_and_can_be_ended(desk):
    async with person(desk, "mobile") as here, browser(desk) as there, person(desk, "stranger") as stranger:
        await there.post("/api/auth/login", name="mobile", password=PASSWORD)
        rows = await here.get("/api/auth/sessions")
        assert [row["current"] for row in rows] == [True, False]
        other = rows[1]["id"]
        await stranger.post(f"/api/auth/sessions/{other}/end", 404)
        await here.post(f"/api/auth/sessions/{other}/end", 204)
        await there.get("/api/status", 401)
        await here.post(f"/api/auth/sessions/{other}/end", 404)


async def test_a_socket_ends_with_its_session(desk):
    async with person(desk, "watcher") as here, browser(desk) as there, person(desk, "stays") as stays:
        await there.post("/api/auth/login", name="watcher", password=PASSWORD)
        mine, his = await here.client.ws_connect("/ws"), await there.client.ws_connect("/ws")
        kept = await stays.client.ws_connect("/ws")
        other = next(row["id"] for row in await here.get("/api/auth/sessions") if not row["current"])
        await here.post(f"/api/auth/sessions/{other}/end", 204)
        message = await his.receive(timeout=5)
        assert (message.type, his.close_code) == (aiohttp.WSMsgType.CLOSE, 4401)
        # the database alone says so: the command line did it
        async with desk.resources.pool.connection() as conn:
            await accounts.sign_out(conn, "watcher", actor="test")
        await mine.receive(timeout=5)
        assert mine.close_code == 4401
        await kept.send_json({"op": "ping"})
        assert (await kept.receive_json(timeout=5)) == {"type": "pong"}
        await kept.close()


async def test_nobody_gets_no_socket(desk):
    async with browser(desk) as found:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await found.client.ws_connect("/ws")
        assert caught.value.status == 401


# --- a second factor --------------------------------------------------------------------------------------------------


async def test_a_second_factor_is_asked_for_and_a_code_counts_once(desk):
    async with person(desk, "careful") as found, browser(desk) as other:
        await other.post("/api/auth/login", name="careful", password=PASSWORD)
        started = await found.post("/api/auth/totp")
        assert started["uri"].startswith("otpauth://totp/Perpilot:careful?secret=" + started["secret"])
        assert started["qr_svg"].startswith("<?xml")
        assert not (await found.get("/api/auth/me"))["user"]["totp"]  # not yet
        await found.post("/api/auth/totp/confirm", 401, code="000000")
        before, code = found.cookie, code_of(started["secret"], -1)
        confirmed = await found.post("/api/auth/totp/confirm", code=code)
        assert len(set(confirmed["recovery_codes"])) == 10
        assert found.cookie != before
        await other.get("/api/status", 401)  # it never proved it
        await found.post("/api/auth/step-up", 401, code=code)  # used
        code = code_of(started["secret"])
        assert (await found.post("/api/auth/step-up", code=code))["step_up_until"] is not None
        await found.post("/api/auth/step-up", 401, code=code)
        await found.post("/api/auth/totp", 409)
        signing = {"name": "careful", "password": PASSWORD}
        assert (await other.post("/api/auth/login", 401, **signing))["code"] == "CODE_NEEDED"
        await other.post("/api/auth/login", 401, **signing, code=code)  # used
        me = await other.post("/api/auth/login", **signing, code=code_of(started["secret"], 1))
        assert me["step_up_until"] is not None


async def test_a_code_given_twice_at_once_counts_once(desk):
    async with person(desk, "hasty") as found:
        secret, _ = await add_totp(found)
        body, headers = {"code": code_of(secret)}, {"X-CSRF": found.me["csrf"], "Cookie": f"pp_session={found.cookie}"}

        async def prove():
            async with (
                aiohttp.ClientSession(desk.base) as client,
                client.post("/api/auth/step-up", json=body, headers=headers) as answer,
            ):
                return answer.status

        assert sorted(await asyncio.gather(prove(), prove(), prove()))[:2] == [200, 401]


async def test_recovery_codes_sign_in_once_each_and_are_no_step_up(desk):
    async with person(desk, "clumsy") as found:
        _, codes = await add_totp(found)
        await found.post("/api/auth/step-up", 401, code=codes[0])
    signing = {"name": "clumsy", "password": PASSWORD}
    async with browser(desk) as found:
        me = await found.post("/api/auth/login", **signing, code=codes[0].replace("-", "").upper())
        assert me["step_up_until"] is None
        await found.post("/api/auth/login", 401, **signing, code=codes[0])
        await found.post("/api/auth/login", **signing, code=codes[1])
        await found.post("/api/auth/totp/remove", code=codes[2])
        await found.post("/api/auth/login", **signing)


async def test_an_old_sign_in_gains_no_second_factor_without_the_password(desk):
    async with person(desk, "absent") as found:
        async with desk.resources.pool.connection() as conn:
            await conn.execute("UPDATE sessions SET created_at = created_at - interval '11 minutes'")
        refused = await found.post("/api/auth/totp", 422)
        assert [error["field"] for error in refused["errors"]] == ["password"]
        await found.post("/api/auth/totp", 401, password="wrong horse battery")
        await found.post("/api/auth/totp", password=PASSWORD)


async def test_the_old_value_of_a_session_reads_for_a_moment_and_changes_nothing(desk):
    async with person(desk, "switcher", Role.ADMIN) as found:
        old, csrf = found.cookie, found.me["csrf"]
        await add_totp(found)
        headers = {"Cookie": f"pp_session={old}", "X-CSRF": csrf}
        async with aiohttp.ClientSession(desk.base, headers=headers) as client:
            async with client.get("/api/status") as answer:
                assert answer.status == 200
            async with client.post("/api/trading/toggle", json={"mode": "off", "reason": "r"}) as answer:
                assert answer.status == 401
            async with desk.resources.pool.connection() as conn:
                await conn.execute("UPDATE sessions SET changed_at = now() - interval '11 seconds'")
            desk.resources.sessions.forget()
            async with client.get("/api/status") as answer:
                assert answer.status == 401


LIVE = {"mode": "live", "reason": "r", "confirm": "LIVE"}


async def test_live_actions_need_a_fresh_second_factor_and_stopping_never_does(real):
    async with person(real, "dealer", Role.ADMIN) as found:
        gate = {row["code"]: row for row in (await found.get("/api/trading/gate"))["conditions"]}
        assert (gate["NOT_ADMIN"]["met"], gate["NO_SECOND_FACTOR"]["met"]) == (True, False)
        await found.post("/api/auth/step-up", 409, code="000000")  # has none
        for path, body in (
            ("/api/trading/toggle", LIVE),
            ("/api/trading/kill-switch", {"action": "resume", "reason": "r"}),
            ("/api/users", {"name": "accomplice", "role": "admin"}),
            ("/api/auth/tokens", {"name": "accomplice", "role": "admin"}),
        ):
            assert (await found.post(path, 403, **body))["code"] == "STEP_UP_NEEDED"
        await found.post("/api/trading/toggle", 202, mode="shadow", reason="r")
        await found.post("/api/trading/kill-switch", 202, action="halt")
        await found.post("/api/trading/kill-switch", 202, action="flatten")
        await found.post("/api/trading/toggle", 202, mode="off", reason="r")
        await add_totp(found)
        gate = {row["code"]: row for row in (await found.get("/api/trading/gate"))["conditions"]}
        assert gate["NO_SECOND_FACTOR"]["met"]
        await found.post("/api/trading/kill-switch", 202, action="resume", reason="r")
        refused = await found.post("/api/trading/toggle", 409, **LIVE)
        codes = {row["code"] for row in refused["conditions"]}
        assert "NO_PRODUCTION_MODEL" in codes
        assert not codes & {"NOT_ADMIN", "NO_SECOND_FACTOR"}
        async with real.resources.pool.connection() as conn:
            await conn.execute("UPDATE sessions SET stepped_up_at = now() - interval '5 minutes 1 second'")
        real.resources.sessions.forget()
        await found.post("/api/trading/toggle", 403, **LIVE)


async def test_on_a_demo_only_those_with_a_second_factor_are_asked_for_it(desk):
    async with person(desk, "player", Role.ADMIN) as found:
        await found.post("/api/trading/toggle", 409, **LIVE)  # for other reasons
        await add_totp(found)
        async with desk.resources.pool.connection() as conn:
            await conn.execute("UPDATE sessions SET stepped_up_at = NULL")
        desk.resources.sessions.forget()
        assert (await found.post("/api/trading/toggle", 403, **LIVE))["code"] == "STEP_UP_NEEDED"


# --- tokens -----------------------------------------------------------------------------------------------------------


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_tokens_do_what_they_were_made_for(desk):
    stop = {"mode": "off", "reason": "r"}
    async with person(desk, "scripter", Role.OPERATOR) as found, browser(desk) as script:
        assert (await found.post("/api/auth/tokens", 403, name="x", role="admin"))["code"] == "ROLE_NEEDED"
        reader = await found.post("/api/auth/tokens", name="reader")
        worker = await found.post("/api/auth/tokens", name="worker", role="operator")
        meter = await found.post("/api/auth/tokens", name="meter", scopes=["metrics"])
        blunt = await found.post("/api/auth/tokens", name="blunt", role="viewer", scopes=["read", "operate", "admin"])
        assert reader["token"].startswith("pp_")
        await script.ask("GET", "/api/status", 200, headers=bearer(reader["token"]))
        refused = await script.ask("POST", "/api/trading/toggle", 403, headers=bearer(reader["token"]), **stop)
        assert refused["code"] == "SCOPE_NEEDED"
        await script.ask("POST", "/api/trading/toggle", 202, headers=bearer(worker["token"]), **stop)
        assert (await script.ask("GET", "/api/status", 403, headers=bearer(meter["token"])))["code"] == "SCOPE_NEEDED"
        refused = await script.ask("POST", "/api/trading/toggle", 403, headers=bearer(blunt["token"]), **stop)
        assert refused["code"] == "ROLE_NEEDED"
        # never what concerns the sign-in itself
        for method, path in (("GET", "/api/auth/tokens"), ("POST", "/api/auth/tokens"), ("POST", "/api/auth/totp")):
            refused = await script.ask(method, path, 403, headers=bearer(worker["token"]), name="more")
            assert refused["code"] == "SCOPE_NEEDED"
        await script.ask("POST", "/api/auth/step-up", 403, headers=bearer(worker["token"]), code="000000")
        await script.ask("GET", "/api/status", 401, headers=bearer("pp_" + "x" * 43))
        socket = await script.client.ws_connect("/ws", headers=bearer(reader["token"]))
        listed = await found.get("/api/auth/tokens")
        assert [row["name"] for row in listed] == ["reader", "worker", "meter", "blunt"]
        assert reader["token"] not in json.dumps(listed)
        await found.post(f"/api/auth/tokens/{reader['id']}/end", 204)
        await script.ask("GET", "/api/status", 401, headers=bearer(reader["token"]))
        await socket.receive(timeout=5)
        assert socket.close_code == 4401
        async with desk.resources.pool.connection() as conn:  # a token falls with its owner
            await accounts.change_user(conn, "scripter", role=Role.VIEWER, actor="test")
        desk.resources.sessions.forget()
        refused = await script.ask("POST", "/api/trading/toggle", 403, headers=bearer(worker["token"]), **stop)
        assert refused["code"] == "ROLE_NEEDED"


async def test_figures_are_for_this_machine_or_a_token(desk):
    async with person(desk, "grafana") as found, browser(desk) as script:
        meter = await found.post("/api/auth/tokens", name="meter", scopes=["metrics"])
        reader = await found.post("/api/auth/tokens", name="reader")
        async with script.client.get("/metrics") as answer:
            assert answer.status == 200
        far = {"X-Forwarded-For": "198.51.100.7"}
        for extra, status in (({}, 401), (bearer(meter["token"]), 200), (bearer(reader["token"]), 403)):
            async with script.client.get("/metrics", headers={**far, **extra}) as answer:
                assert answer.status == status


async def test_the_command_lines_token_counts_on_this_machine_only(desk):
    async with desk.resources.pool.connection() as conn:
        first, token = await accounts.local_token(conn), await accounts.local_token(conn)
    async with browser(desk) as script:
        await script.ask("GET", "/api/status", 401, headers=bearer(first))  # of the start before
        await script.ask("POST", "/api/trading/toggle", 202, headers=bearer(token), mode="off", reason="r")
        far = {"X-Forwarded-For": "198.51.100.7"}
        refused = await script.ask("GET", "/api/status", 403, headers={**bearer(token), **far})
        assert refused["code"] == "SCOPE_NEEDED"
        await script.ask("POST", "/api/auth/tokens", 403, headers=bearer(token), name="x")


async def test_at_the_command_line_an_admin_gives_his_code(real):
    async with person(real, "keyboard", Role.ADMIN) as found, person(real, "helper", Role.OPERATOR) as helper:
        secret, _ = await add_totp(found)
        his, _ = await add_totp(helper)
        async with real.resources.pool.connection() as conn:
            token = bearer(await accounts.local_token(conn))
        resume = {"action": "resume", "reason": "r"}
        async with browser(real) as line:
            refused = await line.ask("POST", "/api/trading/kill-switch", 403, headers=token, **resume)
            assert refused["code"] == "STEP_UP_NEEDED"
            await line.ask("POST", "/api/trading/kill-switch", 202, headers=token, action="halt")
            step_up = "/api/auth/step-up"
            await line.ask("POST", step_up, 422, headers=token, code=code_of(secret))
            await line.ask("POST", step_up, 401, headers=token, name="helper", code=code_of(his))  # no admin
            await line.ask("POST", step_up, 401, headers=token, name="nobody", code=code_of(secret))
            await line.ask("POST", step_up, 200, headers=token, name="keyboard", code=code_of(secret))
            await line.ask("POST", "/api/trading/kill-switch", 202, headers=token, **resume)
        actions = [row["action"] for row in await audit_rows(real, "command line (keyboard)")]
        assert actions == ["trading.kill_switch"]


# --- users ------------------------------------------------------------------------------------------------------------


async def test_admins_manage_users(desk):
    async with person(desk, "boss", Role.ADMIN) as boss, browser(desk) as found:
        made = await boss.post("/api/users", 201, name="worker-bee", role="viewer")
        assert made["link"].startswith(desk.base + "/login#link=")
        await found.post("/api/auth/link", token=made["link"].partition("#link=")[2])
        await boss.post("/api/users", 409, name="worker-bee", role="viewer")
        for name in ("", "Bee", "a b", "-x", "x" * 41, "system", "command line"):
            await boss.post("/api/users", 422, name=name, role="viewer")
        changed = await boss.post("/api/users/worker-bee", role="operator")
        assert (changed["role"], changed["sessions"]) == ("operator", 0)
        await found.get("/api/status", 401)  # signs in anew with what he is now
        link = (await boss.post("/api/users/worker-bee/link"))["link"]
        await found.post("/api/auth/link", token=link.partition("#link=")[2])
        assert found.me["user"]["role"] == "operator"
        assert (await boss.post("/api/users/worker-bee/end-sessions")) == {"ended": 1}
        await found.get("/api/status", 401)
        await boss.post("/api/users/worker-bee", disabled=True)
        assert (await boss.post("/api/users/worker-bee/link", 409))["conditions"][0]["code"] == "USER_DISABLED"
        await boss.post("/api/users/nobody", 404, disabled=True)
        rows = {row["name"]: row for row in await boss.get("/api/users")}
        assert (rows["worker-bee"]["disabled"], rows["boss"]["password"]) == (True, True)
        taken = [row["action"] for row in await audit_rows(desk, "boss")]
        for action in ("user.add", "user.link", "user.change", "user.sign_out"):
            assert action in taken


async def test_a_lost_second_factor_is_taken_away_by_an_admin(desk):
    async with person(desk, "chief", Role.ADMIN) as chief, person(desk, "loser") as loser:
        await add_totp(loser)
        assert not (await chief.post("/api/users/loser/reset-totp"))["totp"]
        await loser.get("/api/status", 401)
        await loser.post("/api/auth/login", name="loser", password=PASSWORD)


async def test_the_last_admin_stays(postgres_url, redis_url):
    async with (
        running(settings_for(postgres_url, redis_url), role=None) as server,
        person(server, "one", Role.ADMIN) as one,
        person(server, "two", Role.ADMIN) as two,
    ):
        # each demotes the other at the same moment: one of them must stay
        await asyncio.gather(
            *(
                a.client.post(f"/api/users/{b}", json={"role": "viewer"}, headers={"X-CSRF": a.me["csrf"]})
                for a, b in ((one, "two"), (two, "one"))
            )
        )
        async with server.resources.pool.connection() as conn:
            admins = [row["name"] for row in await accounts.users(conn) if row["role"] == "admin"]
            assert len(admins) >= 1
            left, *more = admins
            for name in more:
                await accounts.change_user(conn, name, role=Role.VIEWER, actor="test")
            token = await accounts.new_link(conn, left, actor="test")
        async with browser(server) as last:
            await last.post("/api/auth/link", token=token)
            for body in ({"role": "operator"}, {"disabled": True}):
                refused = await last.post(f"/api/users/{left}", 409, **body)
                assert refused["conditions"][0]["code"] == "LAST_ADMIN"


# --- the audit log, and what must be nowhere --------------------------------------------------------------------------


async def test_the_audit_log_is_paged_and_says_whether_it_is_whole(desk):
    async with person(desk, "auditor", Role.ADMIN) as found:
        page = await found.get("/api/audit?limit=2")
        assert page["chain"] == {"ok": True, "first_broken": None}
        assert [row["action"] for row in page["items"][:2]] == ["password.change", "session.start"]
        seqs = [row["seq"] for row in page["items"]]
        following = await found.get(f"/api/audit?limit=2&cursor={page['next_cursor']}")
        seqs += [row["seq"] for row in following["items"]]
        assert seqs == sorted(seqs, reverse=True)
        assert len(set(seqs)) == 4  # what it takes to make the two who sign in here; a database may hold more
        await found.get("/api/audit?cursor=nonsense", 422)


async def test_secrets_are_nowhere(postgres_url, redis_url, tmp_path, caplog, capfd):
    """In no table, no answer but the one that hands them out, and no line of a log."""
    caplog.set_level(logging.DEBUG)
    settings = settings_for(postgres_url, redis_url, var_dir=tmp_path)
    async with running(settings, role=None) as server:
        link = await user(server, "spy", Role.ADMIN)
        async with browser(server) as found:
            await found.post("/api/auth/link", token=link, password=PASSWORD)
            secret, codes = await add_totp(found)
            token = (await found.post("/api/auth/tokens", name="t"))["token"]
            await found.post("/api/auth/login", 401, name="spy", password="wrong horse battery")
            await found.post("/api/auth/login", 422, name="spy", password="x" * 2000)
            await found.post("/api/auth/login", 422, name="spy", password=PASSWORD, more="x")
            cookie, csrf = found.cookie, found.me["csrf"]
            handed_out = len(found.said)
            for path in ("/api/auth/me", "/api/auth/tokens", "/api/auth/sessions", "/api/users", "/api/audit"):
                await found.get(path)
        hidden = [link, PASSWORD, "wrong horse battery", secret, token, cookie, *codes]
        with psycopg.connect(postgres_url) as conn:
            tables = [
                row[0] for row in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            ]
            everything = "\n".join(
                str(row) for table in tables for row in conn.execute(f'SELECT t::text FROM "{table}" t').fetchall()
            )
        assert "spy" in everything
        key = (tmp_path / "keys" / "desk.key").read_text()
        assert (tmp_path / "keys" / "desk.key").stat().st_mode & 0o777 == 0o600
        out, err = capfd.readouterr()
        for value in [*hidden, csrf, key]:
            assert value not in everything
            assert value not in out + err + caplog.text
        for value in hidden:
            assert not any(value in text for text in found.said[handed_out:]), value
        assert not any(PASSWORD in text or "wrong horse" in text or "xxxx" in text for text in found.said)
        async with server.resources.pool.connection() as conn:
            assert await audit.first_broken(conn) is None
