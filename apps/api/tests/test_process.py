"""`python -m apps.api` as the supervisor runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psycopg
import pytest

from packages.common.config import load_settings

pytestmark = pytest.mark.integration


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start(tmp_path, **settings):
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    env |= {"PYTHONPATH": os.getcwd(), **settings}
    return subprocess.Popen(
        [sys.executable, "-m", "apps.api"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_serves_and_ends_cleanly_on_sigterm(postgres_url, redis_url, tmp_path):
    port = free_port()
    process = start(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_url, API_PORT=str(port))
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=20) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end, "not ready within a minute"
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")


def ends_with(tmp_path, **settings):
    process = start(tmp_path, **settings)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, errors


def test_a_database_of_another_exchange_is_refused(postgres_url, redis_url, tmp_path):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("INSERT INTO store_identity (exchange) VALUES ('binance:public')")
    code, errors = ends_with(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_url, API_PORT="0")
    assert code == 1
    assert errors.strip() == (
        "api: the database belongs to the exchange 'binance:public', this start is for "
        f"{load_settings(env_file=None).identity!r}: set another VAR_DIR"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "DATABASE_URL, REDIS_URL: got nothing"), ({"API_PORT": "ninety"}, "API_PORT: got 'ninety'")],
)
def test_bad_settings_stop_the_start_by_name(tmp_path, settings, words):
    code, errors = ends_with(tmp_path, **settings)
    assert code == 1
    assert errors.startswith(f"api: {words}")
    assert len(errors.strip().splitlines()) == 1


def test_a_port_in_use_is_said_to_be(postgres_url, redis_url, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, errors = ends_with(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_url, API_PORT=port)
    assert code == 1
    assert f"port {port} is taken" in errors
    assert len(errors.strip().splitlines()) == 1
