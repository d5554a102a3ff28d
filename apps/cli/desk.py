"""``VAR_DIR/run/desk.json``: what runs where, for the other commands; and the lock that makes one desk a folder."""

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from packages.common.errors import PlatformError


class DeskRunsError(PlatformError):
    """Another desk runs in this folder."""

    code = "DESK_RUNS"


class NoDeskError(PlatformError):
    """No desk runs in this folder."""

    code = "NO_DESK"


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """A child as last seen; ``create_time`` tells it from a later process with the same number."""

    name: str
    pid: int | None
    create_time: float
    restarts: int
    log: str
    stop_signal: int

    def process(self) -> psutil.Process | None:
        return find_process(self.pid, self.create_time)


@dataclass(frozen=True, slots=True)
class DeskInfo:
    """One running (or killed) desk. ``phase``: starting | ok | failed | stopping. Holds passwords: mode 0600."""

    pid: int
    create_time: float
    phase: str
    message: str
    exchange: str
    identity: str
    url: str
    database_url: str
    redis_url: str
    exchange_rest_url: str | None
    exchange_ws_url: str | None
    api_port: int
    ports: dict[str, int] = field(default_factory=dict)
    children: tuple[ChildInfo, ...] = ()
    mode: str = "shadow"

    @property
    def own_exchange(self) -> bool:
        """The exchange is an emulator of this desk, and ends with it."""
        return any(child.name == "emulator" for child in self.children)

    def alive(self) -> bool:
        return find_process(self.pid, self.create_time) is not None


def find_process(pid: int | None, create_time: float) -> psutil.Process | None:
    """The process with this number and start, None when it is gone or its number belongs to another now."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - create_time) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.Error:
        pass
    return None


def path_of(var_dir: Path) -> Path:
    return var_dir / "run" / "desk.json"


def read(var_dir: Path) -> DeskInfo | None:
    """The desk of this folder, running or not; None when there never was one or its file is unreadable."""
    try:
        raw: dict[str, Any] = json.loads(path_of(var_dir).read_text())
        children = tuple(ChildInfo(**child) for child in raw.pop("children"))
        return DeskInfo(**raw, children=children)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def require_running(var_dir: Path) -> DeskInfo:
    """The running desk. Raises NoDeskError."""
    desk = read(var_dir)
    if desk is None or not desk.alive():
        raise NoDeskError(f"no desk runs in {var_dir}: start one with `perpilot up`")
    return desk


def write(var_dir: Path, desk: DeskInfo) -> None:
    """Replace the file in one step."""
    target = path_of(var_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(desk), file, indent=1)
    temporary.replace(target)


def remove(var_dir: Path) -> None:
    path_of(var_dir).unlink(missing_ok=True)


def lock(var_dir: Path) -> IO[str]:
    """Hold the folder until the file is closed. Raises DeskRunsError when another desk holds it."""
    folder = var_dir / "run"
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.close()
        desk = read(var_dir)
        at = f" at {desk.url} (process {desk.pid})" if desk else ""
        raise DeskRunsError(
            f"a desk runs in {var_dir} already{at}: `perpilot down` stops it, another VAR_DIR starts a second one"
        ) from exc
    return file


def end_orphans(desk: DeskInfo, timeout_s: float = 10.0) -> list[str]:
    """End the children of a desk whose supervisor was killed, workers before stores; returns their names."""
    ended = []
    for child in reversed(desk.children):
        process = child.process()
        if process is None:
            continue
        ended.append(child.name)
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.Signals(child.stop_signal))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(timeout_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return ended
