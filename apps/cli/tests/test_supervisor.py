"""The supervisor with small children: restart alone, backoff, ordered stop, port busy, orphans."""

import json
import os
import signal
import socket
import sys
import threading
import time

import psutil
import pytest

from apps.cli import desk
from apps.cli.child import Spec, backoff_ms, deaths_after, worth_a_warning
from apps.cli.ports import free_port, is_free
from apps.cli.supervisor import Supervisor

LIVES = "import signal,sys,time\nsignal.signal(15, lambda *_: sys.exit(0))\nprint('up', flush=True)\ntime.sleep(60)"
NOTES = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
time.sleep(60)
"""


def spec(name, code=LIVES, *args, **more):
    return Spec(name, lambda: [sys.executable, "-S", "-c", code, *map(str, args)], **more)


def until(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def is_up(child):
    return child.running and child.last_words() == "up"


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    supervised = Supervisor(tmp_path / "logs", said.append)
    yield supervised
    supervised.hurry()
    supervised.stop(())


def test_a_killed_child_comes_back_alone(supervisor, said):
    first, second = supervisor.start(spec("first")), supervisor.start(spec("second"))
    until(lambda: is_up(first) and is_up(second))
    pid, other = first.process.pid, second.process.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: first.restarts == 1 and first.running and first.process.pid != pid)
    assert second.process.pid == other
    assert (first.restarts, second.restarts) == (1, 0)
    assert any("first was killed by signal 9" in line for line in said)


def test_a_child_that_cannot_stay_is_tried_with_growing_pauses_and_named_once(supervisor, said):
    child = supervisor.start(spec("broken", "import sys; print('no such table'); sys.exit(3)"))
    until(lambda: child.deaths == 3)
    until(lambda: any("3 times" in line for line in said))
    assert child.next_start_ms - child.started_ms >= 900
    (line,) = [line for line in said if "3 times in a row" in line]
    assert "broken ended with code 3" in line
    assert "no such table" in line
    assert str(child.log) in line


def test_a_restart_waits_for_what_the_child_stands_on(supervisor):
    there = threading.Event()
    supervisor.start(spec("store", ready=there.is_set))
    there.set()
    worker = supervisor.start(spec("worker", after=("store",)))
    until(lambda: is_up(worker))
    there.clear()
    pid = worker.process.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: worker.process is None)
    time.sleep(0.5)
    assert worker.process is None
    there.set()
    until(lambda: worker.running and worker.restarts)  # counted a moment after it runs
    assert (worker.deaths, worker.restarts) == (1, 1)


def test_the_rules_of_restarting():
    assert [backoff_ms(n) for n in (1, 2, 3, 4)] == [0, 500, 1000, 2000]
    assert backoff_ms(50) == 15_000
    assert deaths_after(4, 100) == 5
    assert deaths_after(4, 61_000) == 1
    assert worth_a_warning(3, 10)
    assert not worth_a_warning(2, 10)
    assert not worth_a_warning(3, 20_000)


def test_a_taken_port_is_named(supervisor, said):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not is_free(port)
        assert free_port(port) != port
        child = supervisor.start(spec("server", "import sys; sys.exit(1)", port=port))
        until(lambda: child.deaths >= 3)
        until(lambda: any(f"port {port} is taken" in line for line in said))


def test_children_stop_in_order_of_their_groups(supervisor, tmp_path):
    notes = tmp_path / "notes"
    for name in ("store", "exchange", "worker", "guest"):
        supervisor.start(spec(name, NOTES, notes, name))
    until(lambda: all(is_up(child) for child in supervisor.children))
    supervisor.stop((("worker",), ("exchange",), ("store",)))
    assert notes.read_text().split() == ["guest", "worker", "exchange", "store"]
    assert not any(child.running for child in supervisor.children)


def test_one_that_will_not_end_is_killed_and_said(supervisor, said):
    deaf = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    child = supervisor.start(spec("deaf", deaf, stop_s=0.3))
    until(lambda: is_up(child))
    supervisor.stop(())
    assert not child.running
    assert any("deaf did not end within" in line for line in said)


def test_hurry_ends_the_waiting(supervisor):
    deaf = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    child = supervisor.start(spec("deaf", deaf, stop_s=60))
    until(lambda: is_up(child))
    threading.Timer(0.2, supervisor.hurry).start()
    started = time.monotonic()
    supervisor.stop(())
    assert time.monotonic() - started < 30  # of the sixty that it has


def test_grandchildren_of_a_killed_child_do_not_live_on(supervisor):
    code = "import subprocess,sys,time\np=subprocess.Popen(['sleep','60'])\nprint(p.pid, flush=True)\ntime.sleep(60)"
    child = supervisor.start(spec("pool", code))
    until(lambda: child.last_words().isdigit())
    grandchild = int(child.last_words())
    pid = child.process.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: child.running and child.process.pid != pid)

    def gone():
        try:
            return psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    until(gone)


def info(children=(), pid=None, create_time=0.0):
    return desk.DeskInfo(
        pid=pid or os.getpid(), create_time=create_time, phase="ok", message="", exchange="emulator", identity="x",
        url="http://127.0.0.1:8000", database_url="", redis_url="", exchange_rest_url=None, exchange_ws_url=None,
        api_port=8000, children=tuple(children),
    )  # fmt: skip


def test_the_desk_file_reads_back_and_is_private(tmp_path):
    child = desk.ChildInfo("api", 1, 2.0, 3, "log", 15)
    desk.write(tmp_path, info([child]))
    assert desk.read(tmp_path) == info([child])
    assert desk.path_of(tmp_path).stat().st_mode & 0o077 == 0
    desk.path_of(tmp_path).write_text(json.dumps({"half": 1}))
    assert desk.read(tmp_path) is None
    with pytest.raises(desk.NoDeskError, match="perpilot up"):
        desk.require_running(tmp_path)


def test_a_second_desk_in_the_folder_is_refused(tmp_path):
    held = desk.lock(tmp_path)
    with pytest.raises(desk.DeskRunsError, match="VAR_DIR"):
        desk.lock(tmp_path)
    held.close()
    desk.lock(tmp_path).close()


def test_orphans_of_a_killed_desk_are_ended_and_strangers_are_not(supervisor):
    child = supervisor.start(spec("worker"))
    until(lambda: is_up(child))
    pid = child.process.pid
    stranger = desk.ChildInfo("api", os.getpid(), 1.0, 0, "", signal.SIGTERM)  # our number, another start
    mine = desk.ChildInfo("worker", pid, child.create_time, 0, "", signal.SIGTERM)
    assert desk.end_orphans(info([mine, stranger])) == ["worker"]
    until(lambda: child.process is None or child.process.pid != pid)
