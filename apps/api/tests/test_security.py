# ruff: noqa: E501 - tables of cases stay tables
"""The gate as a pure function."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.api.security import allowed_hosts, host_name, page_csp, refusal, same_origin


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"), ("LocalHost:8000", "localhost"), ("127.0.0.1:1", "127.0.0.1"), ("[::1]:8000", "::1"),
        ("", None), ("localhost:x", None), ("localhost/../evil", None), ("evil@localhost", None), ("[::1", None),
        ("localhost,evil.com", None), ("localhost#", None), ("localhost:99999", None),
    ],
)  # fmt: skip
def test_host_names_are_read_strictly(header, name):
    assert host_name(header) == name


def test_only_loopback_and_the_configured_address_are_ours():
    assert allowed_hosts("0.0.0.0") == allowed_hosts("127.0.0.1") == {"localhost", "127.0.0.1", "::1"}
    assert "desk.lan" in allowed_hosts("Desk.LAN")


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.com", "http://localhost:8001", "http://localhost:8000/", "http://localhost:8000.evil.com",
     "file://localhost:8000", "http://localhost:8000@evil.com", "http://[", "localhost:8000"],
)  # fmt: skip
def test_foreign_origins_are_foreign(origin):
    assert not same_origin(origin, "localhost:8000")


def test_our_origin_is_ours():
    assert same_origin("http://localhost:8000", "localhost:8000")
    assert same_origin("https://LOCALHOST:8000", "localhost:8000")


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["GET", "POST", "DELETE"]))
def test_no_header_gets_a_stranger_in_or_the_gate_down(host, origin, method):
    scope = {"type": "http", "method": method, "path": "/", "headers": [(b"host", host), (b"origin", origin)]}
    found = refusal(scope, allowed_hosts("127.0.0.1"))
    if host_name(host.decode("latin-1")) not in allowed_hosts("127.0.0.1"):
        assert found is not None
        assert found[0] == "MISDIRECTED"


def test_pages_run_only_what_was_exported():
    policy = page_csp(["sha256-abc="])
    assert "script-src 'self' 'sha256-abc=';" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy
