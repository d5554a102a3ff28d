"""A job row, followed until it ends, as a progress bar."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

from apps.cli.console import StoppedError, bar
from packages.common.db import connect
from packages.common.errors import InvalidInputError, PlatformError, StoreUnavailableError

_ENDED = ("succeeded", "failed", "cancelled")


class JobFailedError(PlatformError):
    """A job ended otherwise than well."""

    code = "JOB_FAILED"


def follow(
    database_url: str, job_id: str, title: str, *, stopped: Callable[[], bool] = lambda: False, every_s: float = 0.25
) -> dict[str, Any]:
    """Show a job until it has succeeded; returns its result. A lost database is waited for: it is being restarted.

    Raises JobFailedError with the job's own error, StoppedError when ``stopped``, InvalidInputError for an unknown id.
    """
    conn: psycopg.Connection[Any] | None = None
    with bar(title) as shown:
        try:
            while True:
                if stopped():
                    raise StoppedError(f"{title}: left before its end")
                try:
                    conn = conn or connect(database_url, autocommit=True, timeout_s=3)
                    row = conn.execute(
                        "SELECT status, progress, stage, error, result FROM jobs WHERE job_id = %s", (job_id,)
                    ).fetchone()
                except (psycopg.OperationalError, StoreUnavailableError):
                    conn = None
                    shown.show(None, "waiting for the database")
                    time.sleep(1.0)
                    continue
                if row is None:
                    raise InvalidInputError("job_id", job_id, "the id of a job")
                status, progress, stage, error, result = row
                if status in _ENDED:
                    if status != "succeeded":
                        raise JobFailedError(f"{title} {status}: {error or 'no reason given'} (job {job_id})")
                    return result or {}
                shown.show(progress if status == "running" else None, stage or status)
                time.sleep(every_s)
        finally:
            if conn is not None:
                conn.close()
