"""The watchdog's process outlives the supervisor that started it; the key reaches two processes and no other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from apps.cli import desk, down, health, keys, up, watchdog
from apps.cli.child import Child, Spec
from packages.common.config import load_settings
from packages.common.errors import InvalidInputError, SettingsError
from services.execution.journal import ExitWanted, Journal

ROOT = Path(__file__).resolve().parents[3]
KEY = {"EXCHANGE_API_KEY": "k" * 20, "EXCHANGE_API_SECRET": "s" * 20}
NOWHERE = {"EXCHANGE": "emulator", "EXCHANGE_REST_URL": "http://127.0.0.1:9", "EXCHANGE_WS_URL": "ws://127.0.0.1:9",
           "WATCHDOG_POLL_MS": "1000"}  # fmt: skip
# what the supervisor's process does, in short: start the watchdog, then live on
SUPERVISOR = """
import sys, time
from pathlib import Path
from apps.cli import watchdog
child = watchdog.start(Path(sys.argv[1]), {'VAR_DIR': sys.argv[1], 'PYTHONPATH': sys.argv[2]})
print(child.process.pid, flush=True)
time.sleep(60)
"""


def until(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def var(tmp_path):
    yield tmp_path / "var"
    watchdog.stop(tmp_path / "var")


@pytest.fixture
def settings(var, monkeypatch):
    for name in (*keys.TRADER, *keys.WATCHDOG, "EMULATOR_API_KEY", "EMULATOR_API_SECRET", "API_PORT"):
        monkeypatch.delenv(name, raising=False)
    return load_settings(None, var_dir=var, mode="live")


def started(var, monkeypatch):
    for name, value in {**NOWHERE, **KEY}.items():
        monkeypatch.setenv(name, value)
    return watchdog.start(var, {"VAR_DIR": str(var), "PYTHONPATH": str(ROOT), **KEY})


def test_it_survives_a_sigkill_of_the_supervisor_and_the_next_one_replaces_it(var, monkeypatch):
    environment = {**os.environ, **NOWHERE, **KEY, "PYTHONPATH": str(ROOT)}
    code = SUPERVISOR.replace("'PYTHONPATH'", f"**{KEY!r}, 'PYTHONPATH'")
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code, str(var), str(ROOT)], env=environment, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    pid = int(supervisor.stdout.readline())
    until(lambda: watchdog.report_of(var).get("alive_ts_ms"))
    os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait(60)
    supervisor.stdout.close()
    first = watchdog.report_of(var)["alive_ts_ms"]
    until(lambda: watchdog.report_of(var)["alive_ts_ms"] > first)
    assert watchdog.running(var).pid == pid
    next_one = started(var, monkeypatch)
    assert watchdog.running(var).pid == next_one.process.pid != pid
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_down_ends_it_only_when_nothing_is_open(var, monkeypatch, capsys):
    journal, _ = Journal.open(var / "execution" / "journal.ndjson", "desk")
    journal.note(ExitWanted("BTCUSDT", "operator", 1))
    journal.close()
    process = started(var, monkeypatch).process
    down.stop_desk(var, 60.0)
    assert process.poll() is None
    assert "open: BTCUSDT" in " ".join(capsys.readouterr().err.split())
    down.stop_desk(var, 60.0, leave_positions=True)
    assert not psutil.pid_exists(process.pid)
    assert "left with their stops: BTCUSDT" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(desk.NoDeskError):
        down.stop_desk(var, 60.0)


def test_down_keeps_it_when_the_journal_does_not_read_and_ends_it_when_flat(var, monkeypatch, capsys):
    path = var / "execution" / "journal.ndjson"
    journal, _ = Journal.open(path, "desk")
    journal.close()
    sound = path.read_bytes()
    path.write_bytes(b"damage\n" + sound)
    process = started(var, monkeypatch).process
    down.stop_desk(var, 60.0)
    assert process.poll() is None
    path.write_bytes(sound)
    down.stop_desk(var, 60.0)
    assert not psutil.pid_exists(process.pid)


def test_status_shows_watchdog_and_journal_also_when_the_desk_is_gone(var, settings, monkeypatch):
    started(var, monkeypatch)
    until(lambda: watchdog.report_of(var).get("alive_ts_ms"))
    found = health.collect(settings, None)
    assert found["watchdog"]["process"] == {"running": True}
    assert found["watchdog"]["ok"] is False  # no exchange there
    assert found["journal"]["latch"] == "none yet"


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_child_gets_no_key_that_it_was_not_given(tmp_path, monkeypatch):
    for name in (*keys.TRADER, *keys.WATCHDOG):
        monkeypatch.setenv(name, "distinctive-secret")
    seen = tmp_path / "seen"
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    for given in ({}, KEY):
        child = Child(Spec("child", lambda: [sys.executable, "-c", code, str(seen)], given), tmp_path)
        child.start()
        assert child.process.wait(60) == 0
        environment = json.loads(seen.read_text())
        assert "distinctive-secret" not in environment.values()
        assert {name: environment.get(name) for name in KEY} == (given or dict.fromkeys(KEY))


def test_only_the_worker_and_the_watchdog_are_given_the_key(settings, monkeypatch):
    run = up.Up(settings, headless=True)
    given = {}
    monkeypatch.setattr(run.supervisor, "start", lambda spec: given.setdefault(spec.name, spec.environment))
    watching = SimpleNamespace(process=None)
    monkeypatch.setattr(watchdog, "start", lambda _, learned: given.setdefault("watchdog", learned) and watching)
    run._start_exchange()
    run._start_api()
    run._start_batch()
    run._start_realtime()
    holders = {name for name, environment in given.items() if "EXCHANGE_API_SECRET" in environment}
    assert holders == {"worker_realtime", "watchdog"}
    assert set(given) == {"emulator", "api", "worker_batch", "scheduler", *holders}
    assert not {"DATABASE_URL", "REDIS_URL"} & given["watchdog"].keys()


def test_which_key_is_used(settings):
    elsewhere = settings.model_copy(update={"exchange_rest_url": "http://127.0.0.1:1"})
    real = settings.model_copy(update={"exchange": "binance"})
    shadow = settings.model_copy(update={"mode": "shadow"})

    def key(of, own_exchange, **environment):
        return keys.trader_key(of, own_exchange=own_exchange, environment=environment)

    test_key = key(settings, True)
    assert test_key["EXCHANGE_API_KEY"].startswith("perpilotEmulatorTestKey")
    assert key(settings, True, **KEY) == test_key  # a real key has no business at an emulator of ours
    own = {"EMULATOR_API_KEY": "a" * 20, "EMULATOR_API_SECRET": "b" * 20}
    assert key(settings, True, **own) == {"EXCHANGE_API_KEY": "a" * 20, "EXCHANGE_API_SECRET": "b" * 20}
    assert key(elsewhere, False) == test_key
    assert key(elsewhere, False, **KEY) == KEY
    assert key(shadow, False, **KEY) == {}
    with pytest.raises(SettingsError, match="MODE=live"):
        key(real, False)
    with pytest.raises(InvalidInputError) as refused:
        key(real, False, EXCHANGE_API_KEY="distinctive")
    assert "distinctive" not in str(refused.value)
    with pytest.raises(SettingsError, match="SPEED"):
        key(settings.model_copy(update={"speed": float("inf")}), True)
    assert keys.watchdog_key(KEY, own_exchange=False, environment={"WATCHDOG_API_KEY": "w"}) == {
        **KEY, "WATCHDOG_API_KEY": "w"
    }  # fmt: skip
    assert keys.watchdog_key(KEY, own_exchange=True, environment={"WATCHDOG_API_KEY": "w"}) == KEY
