# ruff: noqa: E501 - tables of cases stay tables
"""The pages: exact files, symbol pages, policies, and no way out of the folder."""

import asyncio
import base64
import hashlib
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.api.static import Served, resolve, script_hashes, walk
from apps.api.tests.running import running, settings_for

NAMES = frozenset(
    [
        "index.html",
        "404.html",
        "dashboard/index.html",
        "dashboard/index.txt",
        "symbol/_/index.html",
        "symbol/_/index.txt",
        "symbol/_/__next._tree.txt",
        "symbol/index.html",
        "_next/static/chunks/a.js",
        "favicon.ico",
    ]
)
SECRET = "the folder beside"


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/", Served("index.html")),
        ("/dashboard/", Served("dashboard/index.html")),
        ("/dashboard", Served(redirect="/dashboard/")),
        ("/dashboard/index.txt", Served("dashboard/index.txt")),
        ("/symbol/BTCUSDT/", Served("symbol/_/index.html")),
        ("/symbol/BTCUSDT", Served(redirect="/symbol/BTCUSDT/")),
        ("/symbol/1000PEPEUSDT/index.txt", Served("symbol/_/index.txt")),
        ("/symbol/BTCUSDT/__next._tree.txt", Served("symbol/_/__next._tree.txt")),
        ("/symbol/币安人生USDT/", Served("symbol/_/index.html")),
        ("/symbol/btcusdt/", Served()),
        ("/symbol/../", Served()),
        ("/symbol/BTC%2F/", Served()),
        ("/symbol/BTCUSDT/../../etc/passwd", Served()),
        ("/symbol/BTCUSDT/nothing", Served()),
        ("//evil.com", Served()),
        ("//dashboard", Served(redirect="/dashboard/")),
        ("/../secret.txt", Served()),
        ("/dashboard/../index.html", Served()),
        ("/dashboard\\..\\..\\x", Served()),
        ("/index.html\0.txt", Served()),
    ],
)
def test_paths_resolve_to_exported_files_only(path, served):
    assert resolve(path, NAMES) == served


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["..", ".", "", "symbol", "_", "BTCUSDT", "dashboard", "index.html", "/", "\\", "%2e"]))
)
def test_no_path_leads_anywhere_else(parts):
    found = resolve("/" + "/".join(parts), NAMES)
    assert found.name is None or found.name in NAMES
    assert found.redirect is None or (found.redirect[0] == "/" and found.redirect[1] not in "/\\")


def test_hashes_are_of_inline_scripts_alone():
    html = b'<script src="/a.js"></script><script>one()</script><SCRIPT id="x">two()</SCRIPT><script>one()</script>'
    expected = [base64.b64encode(hashlib.sha256(code).digest()).decode() for code in (b"one()", b"two()")]
    assert script_hashes(html) == tuple(f"sha256-{digest}" for digest in expected)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "secret.txt").write_text(SECRET)
    root = tmp_path / "out"
    for name in NAMES:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<html><script>page({name!r})</script></html>" if name.endswith("html") else name)
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    return root


def test_links_out_of_the_folder_are_not_part_of_it(site):
    assert walk(site, 1).names == NAMES


@pytest.mark.integration
async def test_pages_over_the_wire(postgres_url, redis_url, site):
    async with running(settings_for(postgres_url, redis_url), site) as server:
        for path, name in (("/dashboard/", "dashboard/index.html"), ("/symbol/ETHUSDT/", "symbol/_/index.html")):
            async with server.client.get(path) as answer:
                html = await answer.read()
                assert (answer.status, answer.content_type) == (200, "text/html")
                assert answer.headers["Cache-Control"] == "no-cache"
                digest = base64.b64encode(hashlib.sha256(f"page({name!r})".encode()).digest()).decode()
                assert html == f"<html><script>page({name!r})</script></html>".encode()
                assert re.search(
                    f"script-src 'self' 'sha256-{re.escape(digest)}';", answer.headers["Content-Security-Policy"]
                )
                etag = answer.headers["ETag"]
            async with server.client.get(path, headers={"If-None-Match": etag}) as answer:
                assert answer.status == 304
        async with server.client.get("/_next/static/chunks/a.js") as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.content_type in ("text/javascript", "application/javascript")
        async with server.client.get("/dashboard?range=1d", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, "/dashboard/?range=1d")
        async with server.client.get("/nothing/") as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
        async with server.client.post("/dashboard/", json={}) as answer:
            assert answer.status == 405
        async with server.client.head("/") as answer:
            assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.integration
async def test_traversal_over_the_raw_wire(postgres_url, redis_url, site):
    paths = [
        "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/symbol/BTCUSDT/../../../secret.txt",
        "/symbol/%2e%2e/%2e%2e/secret.txt", "/symbol/..%2f..%2f/secret.txt", "/_next/static/../../../secret.txt", "/link.txt",
        "/..\\secret.txt", "/%00", "/%ff%fe", "/%c0%ae%c0%ae/secret.txt", "//secret.txt", "/" + "a/" * 2000,
    ]  # fmt: skip
    async with running(settings_for(postgres_url, redis_url), site) as server:
        host, port = server.base.removeprefix("http://").split(":")
        for path in paths:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            assert answer.split()[1] in (b"404", b"400"), (path, answer[:80])
            assert SECRET.encode() not in answer


@pytest.mark.integration
async def test_a_site_that_is_not_built_says_what_to_do_until_it_is(postgres_url, redis_url, tmp_path):
    root = tmp_path / "out"
    async with running(settings_for(postgres_url, redis_url), root) as server:
        async with server.client.get("/dashboard/") as answer:
            assert answer.status == 503
            assert "make setup" in await answer.text()
        root.mkdir()
        (root / "index.html").write_text("built")
        async with server.client.get("/") as answer:
            assert await answer.text() == "built"
        (root / "index.html").write_text("<script>again()</script>")
        os.utime(root / "index.html", ns=(1, 1))
        async with server.client.get("/") as answer:
            assert "sha256-" in answer.headers["Content-Security-Policy"]
