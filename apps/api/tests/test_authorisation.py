"""Everybody at every door: role × operation × channel, made from the document and the table."""

import contextlib
import re
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio
from fastapi import APIRouter

from apps.api.auth import accounts, policy
from apps.api.auth.policy import CHANNELS, OPERATIONS, Role, Rule, Scope
from apps.api.channels import CHANNELS as SERVED
from apps.api.main import create_app
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for, signed_in
from packages.common.config import load_settings

NOBODY = "00000000-0000-0000-0000-000000000000"
PATH_VALUES = {"symbol": "NOBODYUSDT", "name": "nobody", "id": "4611686018427387904"}  # others: NOBODY
# What each may be, written down once more: (role, scopes; None: signed in as a person)
CALLERS = {
    "nobody": (None, None),
    "viewer": (Role.VIEWER, None),
    "operator": (Role.OPERATOR, None),
    "admin": (Role.ADMIN, None),
    "token: read": (Role.ADMIN, {Scope.READ}),
    "token: operate": (Role.ADMIN, {Scope.OPERATE}),
    "token: admin": (Role.ADMIN, {Scope.ADMIN}),
    "token: metrics": (Role.ADMIN, {Scope.METRICS}),
    "token: all, of a viewer": (Role.VIEWER, set(Scope)),
}


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str


def operations():
    document = create_app(load_settings(env_file=None)).openapi()
    return [
        Operation(operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


ALL = operations()


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_what_was_agreed():
    """Not made from the table: who reads it sees here what must not change by accident."""
    public = {name for name, rule in OPERATIONS.items() if rule.role is None}
    assert public == {"getHealth", "getReadiness", "openapi", "getMe", "login", "useLink"}
    for operation in ALL:
        rule = OPERATIONS[operation.id]
        if operation.method != "GET" and operation.id not in public and operation.id != "stepUp":
            assert rule.own or rule.role in (Role.OPERATOR, Role.ADMIN), operation
    admin = {name for name, rule in OPERATIONS.items() if rule.role is Role.ADMIN}
    assert admin >= {
        "toggleTrading.live", "changeSettings", "promoteModel", "rollbackModel", "listUsers", "createUser",
        "changeUser", "linkUser", "resetTotp", "endUserSessions", "listAudit",
    }  # fmt: skip
    live = {name for name, rule in OPERATIONS.items() if rule.live_action}
    assert live >= {
        "toggleTrading.live",
        "moveKillSwitch.resume",
        "promoteModel",
        "createUser",
        "changeUser",
        "linkUser",
    }
    for name in ("toggleTrading", "moveKillSwitch", "closePosition", "pauseSymbol"):  # stopping is never hindered
        assert OPERATIONS[name] == Rule(Role.OPERATOR)


def test_every_entry_is_served():
    served = {operation.id for operation in ALL} | {"openapi", "gateway", "getMetrics"}
    assert {name for name in OPERATIONS if "." not in name} == served
    assert set(CHANNELS) == set(SERVED)


def test_what_is_not_in_the_table_keeps_the_server_from_starting():
    router = APIRouter()

    @router.get("/x", operation_id="leak")
    def leak() -> None: ...

    with pytest.raises(RuntimeError, match="leak: a route that is not in"):
        policy.check(router.routes, ())
    nameless = APIRouter()
    nameless.mount("/files", leak)
    with pytest.raises(RuntimeError, match="a route that is not in"):
        policy.check(nameless.routes, ())
    with pytest.raises(RuntimeError, match="secrets: a channel that is not in"):
        policy.check((), ["secrets"])


# --- over the wire ----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres_server, redis_server, tmp_path_factory):
    url = fresh_database(postgres_server)
    settings = settings_for(url, redis_server.url, var_dir=tmp_path_factory.mktemp("var"))
    async with running(settings, role=None) as found:
        yield found


async def headers_of(server, caller):
    role, scopes = CALLERS[caller]
    if role is None:
        return {}
    name = re.sub("[^a-z]+", "-", caller)
    signed = await signed_in(server.resources, role if scopes is None else Role.ADMIN, name)
    if scopes is None:
        return signed
    async with server.resources.pool.connection() as conn:
        _, token = await accounts.add_token(conn, name, caller, Role.ADMIN, scopes, 1, actor="test")
        await conn.execute("UPDATE users SET role = %s WHERE name = %s", (role, name))  # the token may no more than he
    return {"Authorization": f"Bearer {token}"}


def expected(rule, caller):
    """401, 403, or 0: let in."""
    role, scopes = CALLERS[caller]
    if rule.role is None:
        return 0
    if role is None:
        return 401
    needed = {Role.VIEWER: Scope.READ, Role.OPERATOR: Scope.OPERATE, Role.ADMIN: Scope.ADMIN}[rule.role]
    if scopes is not None and (rule.own or needed not in scopes):
        return 403
    return 0 if list(Role).index(role) >= list(Role).index(rule.role) else 403


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("caller", CALLERS)
async def test_everybody_at_every_operation(server, caller):
    """Bodies are empty and names are nobody's, so that who is let in changes nothing."""
    headers = await headers_of(server, caller)
    wrong = []
    for operation in sorted(ALL, key=lambda one: one.id == "logout"):  # last: it works
        path = re.sub(r"{(\w+)}", lambda name: PATH_VALUES.get(name[1], NOBODY), operation.path)
        body = {} if operation.method == "POST" else None
        async with server.client.request(operation.method, path, json=body, headers=headers) as answer:
            status, text = answer.status, await answer.text()
        want = expected(OPERATIONS[operation.id], caller)
        got = status if status in (401, 403) else 0
        if operation.id in ("login", "useLink") and status == 422:
            got = 0
        if got != want or status >= 500:
            wrong.append((operation.id, status, want, text[:200]))
        if got:
            code = "SIGN_IN_NEEDED" if got == 401 else ("ROLE_NEEDED", "SCOPE_NEEDED")
            assert any(one in text for one in ([code] if isinstance(code, str) else code)), (operation, text)
    assert wrong == []


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("caller", CALLERS)
async def test_everybody_at_every_channel(server, caller, monkeypatch):
    monkeypatch.setitem(CHANNELS, "risk_events", Rule(Role.ADMIN))  # none is above viewers today
    headers = await headers_of(server, caller)
    want = expected(OPERATIONS["gateway"], caller)
    if want:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await server.client.ws_connect("/ws", headers=headers)
        assert caught.value.status == want
        return
    async with server.client.ws_connect("/ws", headers=headers) as socket:
        for channel, rule in CHANNELS.items():
            await socket.send_json({"op": "subscribe", "channels": [channel]})
            message = await socket.receive_json(timeout=5)
            while message["type"] in ("update", "heartbeat"):  # of a channel before it
                message = await socket.receive_json(timeout=5)
            if expected(rule, caller):
                assert message["type"] == "error"
                assert message["code"] in ("ROLE_NEEDED", "SCOPE_NEEDED")
            else:
                assert (message["channel"], message["type"]) == (channel, "snapshot")


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_asked_for_decides(server):
    viewer, operator, admin = [await headers_of(server, name) for name in ("viewer", "operator", "admin")]
    live = {"mode": "live", "reason": "r", "confirm": "LIVE"}
    for headers, path, body, status in (
        (viewer, "/api/trading/toggle", live, 403),
        (operator, "/api/trading/toggle", live, 403),
        (admin, "/api/trading/toggle", live, 409),
        (operator, "/api/trading/toggle", live | {"mode": "shadow"}, 202),
        (viewer, "/api/trading/kill-switch", {"action": "halt"}, 403),
        (operator, "/api/trading/kill-switch", {"action": "halt"}, 202),
        (operator, "/api/trading/kill-switch", {"action": "resume", "reason": "r"}, 202),
    ):
        async with server.client.post(path, json=body, headers=headers) as answer:
            assert answer.status == status, (path, body, await answer.text())


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_malformed_credentials_are_nobodys(server):
    for headers in (
        {"Cookie": "pp_session="}, {"Cookie": "pp_session=é"}, {"Cookie": "pp_session=" + "x" * 4000},
        {"Cookie": "pp_session=a; pp_session=b"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer pp_"},
        {"Authorization": "Bearer pp_é"}, {"Authorization": "Basic cHBfOng="}, {"Authorization": "pp_x"},
    ):  # fmt: skip
        raw = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        with contextlib.suppress(aiohttp.ClientOSError):
            async with server.client.get("/api/status", headers=raw) as answer:
                assert answer.status == 401, headers
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
