"""One supervised process: how it is started, judged and ended. When to restart is decided by pure functions."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from apps.cli.keys import withheld
from packages.common.time import monotonic_ms

QUICK_MS = 10_000.0  # a process that ends sooner has failed to start
SETTLED_MS = 60_000.0  # one that ran longer has earned a fresh count
LOG_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run. ``prepare`` is called before each start; ``ready`` says when others may rely on it. It inherits our
    environment but for the account's key, which only ``environment`` can give.

    ``after``: children whose readiness a restart waits for, since without them it could only die again.
    """

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 15.0
    port: int | None = None
    uid: int | None = None
    gid: int | None = None
    after: tuple[str, ...] = ()


def backoff_ms(deaths: int) -> float:
    """Pause before the next start after ``deaths`` in a row: at once, then 0.5 s, doubling up to 15 s: a trader
    that is killed again and again is back within half a minute."""
    return 0.0 if deaths <= 1 else min(15_000.0, 500.0 * 2 ** (deaths - 2))


def deaths_after(deaths: int, uptime_ms: float) -> int:
    """The count of deaths in a row when a process ends after ``uptime_ms``."""
    return 1 if uptime_ms >= SETTLED_MS else deaths + 1


def worth_a_warning(deaths: int, uptime_ms: float) -> bool:
    """True at the third quick death in a row, and at every tenth after."""
    return uptime_ms < QUICK_MS and (deaths == 3 or (deaths > 3 and deaths % 10 == 0))


class Child:
    """A process by its spec; it restarts alone, on the same command and port."""

    def __init__(self, spec: Spec, logs: Path) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.create_time = 0.0
        self.restarts = 0
        self.deaths = 0
        self.started_ms = self.next_start_ms = 0.0
        self.last_code: int | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def ready(self) -> bool:
        return self.running and (self.spec.ready is None or self.spec.ready())

    def start(self) -> None:
        """Start it. Raises what ``prepare`` raises, and OSError when the command cannot be run."""
        self.started_ms = monotonic_ms()
        self.spec.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.shorten_log()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.spec.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**withheld(os.environ), **self.spec.environment},
                start_new_session=True,  # Ctrl-C of the terminal reaches it only through us, in order
                user=self.spec.uid, group=self.spec.gid,
            )  # fmt: skip
        with contextlib.suppress(psutil.Error):
            self.create_time = psutil.Process(self.process.pid).create_time()

    def note_death(self) -> float:
        """Count the end of the process and clear what it left; returns its uptime in ms."""
        assert self.process is not None
        uptime = monotonic_ms() - self.started_ms
        self.last_code = self.process.returncode
        kill_group(self.process.pid, signal.SIGKILL)  # pool children of a killed parent
        self.process = None
        self.deaths = deaths_after(self.deaths, uptime)
        self.next_start_ms = monotonic_ms() + backoff_ms(self.deaths)
        return uptime

    def ask_to_stop(self) -> None:
        if self.running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.spec.stop_signal)

    def end(self, timeout_s: float) -> bool:
        """Wait for the end, then insist; returns whether it ended by itself."""
        if self.process is None:
            return True
        gently = True
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            gently = False
            self.process.kill()
            self.process.wait(10)
        kill_group(self.process.pid, signal.SIGKILL)
        self.process = None
        return gently

    def last_words(self) -> str:
        """The last line of its log that says something."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def shorten_log(self) -> None:
        """Keep one older part beside a log that grew long; it is open for appending, so cutting it is safe."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)


def kill_group(leader: int, sig: signal.Signals) -> None:
    """Signal what is left of the session of ``leader``."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, sig)
