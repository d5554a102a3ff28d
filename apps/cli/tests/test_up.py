"""Bringing up and taking down with the real servers; the workers are left out."""

import os
import shutil
import signal
import socket
import time
from collections import namedtuple

import psycopg
import pytest

from apps.cli import postgres, privilege, surroundings, up
from apps.cli.keys import withheld
from apps.cli.ports import accepts, free_port
from apps.cli.postgres import Postgres
from apps.cli.privilege import PrivilegeError
from packages.common.config import load_settings
from packages.common.errors import SchemaMismatchError, SettingsError
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.signing import load_credentials

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.delenv("API_PORT", raising=False)
    return load_settings(None, var_dir=tmp_path / "var")


def until(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_busy_default_port_moves_and_a_busy_chosen_one_stops_the_start(tmp_path, monkeypatch, capsys):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        chosen = load_settings(None, var_dir=tmp_path, api_port=port)
        with pytest.raises(SettingsError, match=f"API_PORT: {port} is taken"):
            up.Up(chosen, headless=True)
        default = chosen.model_copy()
        default.model_fields_set.discard("api_port")
        moved = up.Up(default, headless=True)
        assert moved.ports["api"] != port
        assert f"Port {port} is taken; the desk moves to {moved.ports['api']}" in " ".join(
            capsys.readouterr().err.split()
        )


def test_a_full_disk_stops_the_start(settings, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 50 << 20))
    with pytest.raises(surroundings.DiskFullError, match="50 MB left"):
        surroundings.check_disk(settings.var_dir)


def test_children_learn_addresses_from_the_environment(settings):
    run = up.Up(settings, headless=True)
    run.database_url, run.rest_url, run.ws_url = "postgresql://x", "http://127.0.0.1:1", "ws://127.0.0.1:1"
    environment = run.environment()
    assert environment["DATABASE_URL"] == "postgresql://x"
    assert environment["EXCHANGE_WS_URL"] == "ws://127.0.0.1:1"
    assert environment["API_PORT"] == str(run.ports["api"])
    assert environment["VAR_DIR"] == str(settings.var_dir.resolve())
    assert run.as_seen_by_children().exchange_rest_url == "http://127.0.0.1:1"


def test_an_exchange_of_ours_is_traded_with_its_own_key_and_no_other(settings, monkeypatch):
    run = up.Up(settings.model_copy(update={"mode": "live"}), headless=True)
    monkeypatch.setattr(run, "_start_worker", lambda *_, **__: None)
    run._start_exchange()
    monkeypatch.setenv("EXCHANGE_KEY_FILE", "/somewhere/real.toml")
    assert not {"EXCHANGE_API_KEY", "EXCHANGE_API_SECRET"} & run.environment().keys()
    assert run.trader_key()["EXCHANGE_API_KEY"].startswith("perpilotEmulatorTestKey")
    assert load_credentials({**withheld(os.environ), **run.trader_key()}) is not None
    assert endpoints_for("emulator", run.rest_url, run.ws_url).wallet == run.rest_url


@pytest.mark.integration
def test_stores_come_up_survive_kills_and_go_down(settings, capsys):
    run = up.Up(settings, headless=True)
    try:
        run._start_stores()
        run._migrate()
        with psycopg.connect(run.database_url) as conn:
            conn.execute("INSERT INTO instruments (symbol) VALUES ('BTCUSDT')")
        for name, port in (("postgres", run.ports["postgres"]), ("redis", run.ports["redis"])):
            child = run.supervisor.child(name)
            pid = child.process.pid
            os.kill(pid, signal.SIGKILL)
            # its restart is counted a moment after it runs
            until(lambda c=child, pid=pid: c.process is not None and c.process.pid != pid and c.ready and c.restarts)
            assert accepts(port)
            assert child.restarts == 1
        with psycopg.connect(run.database_url) as conn:
            assert conn.execute("SELECT symbol FROM instruments").fetchall() == [("BTCUSDT",)]
        other = run.settings.model_copy(update={"seed": 8})
        run.settings = other
        with pytest.raises(SchemaMismatchError, match="VAR_DIR"):
            run._migrate()
    finally:
        run.supervisor.stop(up.STOP_ORDER)
    assert not accepts(run.ports["postgres"])
    assert not accepts(run.ports["redis"])
    assert run.postgres.processes() == []
    said = " ".join(capsys.readouterr().err.split())
    assert "postgres was killed by signal 9" in said
    assert any(way in said for way in ("user namespace", "as the current user", "as the user nobody"))


def test_data_of_another_postgres_version_are_named(tmp_path):
    server = Postgres(tmp_path, free_port())
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(SchemaMismatchError, match=r"PostgreSQL 9, the installed server is \d+"):
        server.prepare()


@pytest.mark.parametrize(
    ("uid", "namespaces", "nobody", "way"),
    [
        (1000, False, False, "as the current user"),
        (0, True, True, "as root, inside a user namespace"),
        (0, False, True, "as the user nobody"),
        (0, False, False, None),
    ],
)
def test_how_a_server_that_refuses_root_is_run(uid, namespaces, nobody, way, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(privilege, "_runs", lambda command, *, uid=None, gid=None: nobody if uid else namespaces)
    choose = privilege.unprivileged.__wrapped__
    if way is None:
        with pytest.raises(PrivilegeError, match="DATABASE_URL"):
            choose(postgres.find_binaries() / "postgres")
    else:
        assert choose(postgres.find_binaries() / "postgres").way == way
