"""What a job handler is given: settings, a database connection, and one way to report."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from apps.worker_batch import jobs
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError, SettingsError
from packages.common.time import monotonic_ms


class JobInterruptedError(PlatformError):
    """The worker is stopping in good order: the job goes back into the queue."""

    code = "JOB_INTERRUPTED"


@dataclass(slots=True)
class JobContext:
    """One run of one job. ``progress`` may be called as often as the work likes: it raises when the job shall stop, and
    writes at most twice a second."""

    settings: Settings
    run: jobs.Claim
    conn: psycopg.Connection[Any]
    publish: Callable[[str], None]
    stopping: Callable[[], bool]
    _last_write: float = -1e9
    _stop_reason: list[PlatformError] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        return self.run.config

    def progress(self, fraction: float, stage: str) -> None:
        """Report ``fraction`` in 0..1 and a short phrase; raises when the job was cancelled, lost or interrupted."""
        self.check()
        now = monotonic_ms()
        if now - self._last_write < 500 and fraction < 1.0:
            return
        self._last_write = now
        jobs.beat(self.conn, self.run, min(1.0, max(0.0, fraction)), stage)
        self.publish(self.run.job_id)

    def check(self) -> None:
        """Raise when the job shall stop."""
        if self._stop_reason:
            raise self._stop_reason[0]
        if self.stopping():
            raise JobInterruptedError("the worker is stopping")

    def scaled(self, begin: float, end: float) -> Callable[[float, str], None]:
        """``progress`` for a part of the work."""
        return lambda fraction, stage: self.progress(begin + (end - begin) * fraction, stage)


class Heartbeat:
    """Beats from a thread of its own while the work computes; what it learns is raised at the next ``progress``."""

    def __init__(self, url: str, context: JobContext) -> None:
        self._url, self._context = url, context
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="job-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(10)

    def _loop(self) -> None:
        conn: psycopg.Connection[Any] | None = None
        while not self._done.wait(jobs.HEARTBEAT_S if conn else 0.2):
            try:
                conn = conn or connect(self._url, autocommit=True)
                jobs.beat(conn, self._context.run)
            except (jobs.JobCancelledError, jobs.JobLostError) as exc:
                self._context._stop_reason.append(exc)
                break
            except (psycopg.Error, PlatformError):
                conn = None  # the database is away: the next round tries again, the reaper is patient
        if conn is not None:
            conn.close()


def database_url(settings: Settings) -> str:
    """``DATABASE_URL``, which the batch processes cannot do without."""
    if not settings.database_url:
        raise SettingsError("DATABASE_URL: not set; the desk sets it for its processes")
    return settings.database_url


def redis_url(settings: Settings) -> str:
    """``REDIS_URL``, which the batch processes cannot do without."""
    if not settings.redis_url:
        raise SettingsError("REDIS_URL: not set; the desk sets it for its processes")
    return settings.redis_url
