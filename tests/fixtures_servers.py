"""Fixtures with real servers, for every test in the repository (loaded by the root conftest).

``postgres_url``: a fresh migrated database for each test, cloned from a template. ``redis_url``: an empty Redis for
each test. ``postgres_server`` and ``redis_server`` are the session's servers themselves. ``killable_postgres`` and
``killable_redis`` are servers of one test's own, with ``kill()`` and ``start()``. ``s3_url``: an empty bucket behind a
real S3 HTTP endpoint, reached as a production start would reach it, through ``AWS_*`` in the environment.
"""

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from apps.cli.ports import free_port
from apps.cli.postgres import Postgres
from apps.cli.redis_server import RedisServer
from packages.common.migrate import upgrade


class ServerUnderTest:
    """A server process that a test may kill and start again on the same port."""

    def __init__(self, server: Postgres | RedisServer, stop_signal: signal.Signals, log: Path) -> None:
        self.server, self._stop, self._log = server, stop_signal, log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.prepare()
        with self._log.open("ab") as log:
            self.process = self.server.popen(log)
        try:
            self.server.wait_ready(self.process)
        except BaseException:
            self.process.kill()
            raise

    def kill(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self._stop)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    home = tmp_path_factory.mktemp("postgres")
    server = Postgres(home, free_port(), durable=False)
    running = ServerUnderTest(server, signal.SIGINT, home / "log")
    running.start()
    try:
        server.create_database()
        upgrade(server.url)
        yield server
    finally:
        running.stop()


_serial = itertools.count()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """A migrated database nobody else uses."""
    name = f"test_{next(_serial)}"
    with psycopg.connect(postgres_server.url_of("postgres"), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE perpilot STRATEGY file_copy')
        yield postgres_server.url_of(name)
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    home = tmp_path_factory.mktemp("redis")
    server = RedisServer(home, free_port())
    running = ServerUnderTest(server, signal.SIGTERM, home / "log")
    running.start()
    try:
        yield server
    finally:
        running.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """A Redis without a key."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def killable_postgres(tmp_path: Path) -> Iterator[ServerUnderTest]:
    """A migrated, durable cluster; ``kill()`` and ``start()`` at will."""
    server = Postgres(tmp_path / "postgres", free_port())
    running = ServerUnderTest(server, signal.SIGINT, tmp_path / "postgres.log")
    running.start()
    try:
        server.create_database()
        upgrade(server.url)
        yield running
    finally:
        running.stop()


@pytest.fixture
def killable_redis(tmp_path: Path) -> Iterator[ServerUnderTest]:
    """A Redis of one test's own; ``kill()`` and ``start()`` at will."""
    running = ServerUnderTest(RedisServer(tmp_path / "redis", free_port()), signal.SIGTERM, tmp_path / "redis.log")
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket nobody else uses."""
    import boto3
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", s3_server),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    bucket = f"perpilot-{next(_serial)}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    s3fs.S3FileSystem.clear_instance_cache()
    return f"s3://{bucket}"


class DaskCluster:
    """A scheduler and two single-threaded workers, processes of their own behind loopback TCP."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "scheduler.json"
        self._scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self._workers = [self._start("worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]
        deadline = time.monotonic() + 120
        while (self._folder / "log").read_text().count("Registered to:") < 2:
            if time.monotonic() > deadline or any(child.poll() is not None for child in self._workers):
                self.stop()
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(0.1)
        self.setting = json.loads(self._file.read_text())["address"].replace("tcp://", "dask://")

    def kill_worker(self, number: int = 0) -> None:
        """SIGKILL one of the two."""
        self._workers[number].kill()
        self._workers[number].wait(10)

    def kill_process(self, pid: int) -> None:
        """SIGKILL the worker with this process id."""
        self.kill_worker([worker.pid for worker in self._workers].index(pid))

    def stop(self) -> None:
        for child in (*self._workers, self._scheduler):
            child.kill()  # nothing of theirs is kept
            child.wait(10)

    def _start(self, role: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--scheduler-file", str(self._file)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([*command, "--no-dashboard", *options], stdout=log, stderr=log)


@pytest.fixture
def dask_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A cluster of one test's own, since tests kill its workers."""
    folder = tmp_path / "dask"
    folder.mkdir()
    cluster = DaskCluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()
