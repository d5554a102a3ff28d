"""Foreign pages, rebound names and smuggled bodies, over the wire."""

import asyncio
import socket

import aiohttp
import pytest

from apps.api.security import BODY_MAX

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
BODY = {"mode": "off", "reason": "r"}


@pytest.mark.parametrize("host", ["evil.com", "localhost.evil.com", "127.0.0.1.nip.io:80", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/", "/api/status", "/healthz", "/metrics"])
async def test_a_rebound_name_sees_nothing(shared_desk, host, path):
    async with shared_desk.client.get(path, headers={"Host": host}) as answer:
        assert answer.status == 421
        assert (await answer.json(content_type=None))["code"] == "MISDIRECTED"


async def test_two_hosts_are_none(shared_desk):
    _, _, address = shared_desk.base.partition("//")
    name, _, port = address.partition(":")
    with socket.create_connection((name, int(port))) as raw:
        raw.settimeout(60)
        raw.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reply = await asyncio.to_thread(raw.recv, 4096)
    assert reply.split()[1] in (b"421", b"400")


@pytest.mark.parametrize("origin", ["http://evil.com", "null", "http://localhost:1", "https://evil.com:8000"])
async def test_foreign_pages_change_nothing(shared_desk, origin):
    async with shared_desk.client.post("/api/trading/toggle", json=BODY, headers={"Origin": origin}) as answer:
        assert answer.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await shared_desk.client.ws_connect("/ws", headers={"Origin": origin})
    assert caught.value.status == 403


async def test_a_browser_that_says_cross_site_changes_nothing(shared_desk):
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with shared_desk.client.post("/api/trading/toggle", json=BODY, headers=headers) as answer:
        assert answer.status == 403


async def test_our_own_page_may(shared_desk):
    headers = {"Origin": shared_desk.base, "Sec-Fetch-Site": "same-origin"}
    async with shared_desk.client.post("/api/trading/toggle", json=BODY, headers=headers) as answer:
        assert answer.status == 202
    async with shared_desk.client.ws_connect("/ws", headers={"Origin": shared_desk.base}) as socket_:
        await socket_.send_json({"op": "ping"})
        assert (await socket_.receive_json(timeout=5)) == {"type": "pong"}


async def test_a_rebound_name_opens_no_socket(shared_desk):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await shared_desk.client.ws_connect("/ws", headers={"Host": "evil.com"})
    assert caught.value.status == 421


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_forms_are_no_commands(shared_desk, kind):
    headers = {"Content-Type": kind}
    async with shared_desk.client.post("/api/trading/toggle", data=b'{"mode":"off"}', headers=headers) as answer:
        assert answer.status == 415


async def test_bodies_are_bounded_also_without_a_length(shared_desk):
    headers = {"Content-Type": "application/json"}
    big = b'{"mode":"off","reason":"' + b"x" * BODY_MAX + b'"}'
    async with shared_desk.client.post("/api/trading/toggle", data=big, headers=headers) as answer:
        assert answer.status == 413

    async def chunks():
        for start in range(0, len(big), 8192):
            yield big[start : start + 8192]

    async with shared_desk.client.post("/api/trading/toggle", data=chunks(), headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type=None))["code"] == "TOO_LARGE"


@pytest.mark.parametrize("path", ["/api/status", "/healthz", "/api/nothing", "/", "/api/orders?limit=x"])
async def test_every_answer_carries_the_headers(shared_desk, path):
    async with shared_desk.client.get(path) as answer:
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in headers
    if path.startswith("/api"):
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "shadow"}, "reason"),
        ({"mode": "shadow", "reason": ""}, "reason"),
        ({"mode": "shadow", "reason": "  "}, "reason"),
        ({"mode": "shadow", "reason": "x" * 501}, "reason"),
        ({"mode": "shadow", "reason": "a\0b"}, "reason"),
        ({"mode": "paper", "reason": "r"}, "mode"),
        ({"mode": "off", "reason": "r", "force": True}, "force"),
        ({"mode": "off", "reason": "r", "expected_version": 2**70}, "expected_version"),
        ([], "body"),
    ],
)
async def test_bad_bodies_name_their_field(shared_desk, body, field):
    async with shared_desk.client.post("/api/trading/toggle", json=body) as answer:
        found = await answer.json(content_type=None)
    assert answer.status == 422, found
    assert [error["field"] for error in found["errors"]] == [field]


async def test_a_body_that_is_no_json_is_refused(shared_desk):
    for data in (b"{", b"\xff", b"", b"[" * 50_000):
        headers = {"Content-Type": "application/json"}
        async with shared_desk.client.post("/api/trading/toggle", data=data, headers=headers) as answer:
            assert answer.status in (400, 422), data[:10]
            assert (await answer.json(content_type=None))["code"] == "INVALID_INPUT"
