"""The life of a job, on the table ``jobs``: the broker only carries ids, this table is the truth.

    queued ──claim──▶ running ──▶ succeeded | failed | cancelled
       ▲                 │
       └── interrupted, worker died (no heartbeat), worth a retry

Every claim counts an ``attempt``, and all later writes of that run name it: a run that was given up for dead and
comes back writes nothing. Functions take an autocommit connection. ``now()`` of the database is the only clock.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from packages.common.errors import InvalidInputError, PlatformError
from packages.common.time import from_datetime, iso
from packages.common.types import JobDTO

HEARTBEAT_S = 3.0
STALE_S = 20.0  # no heartbeat for so long: the worker is dead
ATTEMPTS_MAX = 4
_NAMESPACE = uuid.UUID("0e1a2f54-2f0c-5f5b-8f57-6a6f62733a31")  # ids are deterministic (D2): uuid5 in this namespace
_LIVE = ("queued", "running")


class JobCancelledError(PlatformError):
    """The job was asked to stop."""

    code = "JOB_CANCELLED"


class JobLostError(PlatformError):
    """Another run has taken the job over: this one must stop and write nothing."""

    code = "JOB_LOST"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a job; ``attempt`` fences it."""

    job_id: str
    kind: str
    config: dict[str, Any]
    attempt: int


def canonical(kind: str, config: Mapping[str, Any]) -> str:
    """Kind and configuration as one string: equal requests are equal text."""
    try:
        return json.dumps([kind, dict(config)], sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise InvalidInputError("config", config, "plain JSON") from exc


def digest(*parts: str) -> str:
    """SHA-256 of the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def insert(conn: psycopg.Connection[Any], kind: str, config: Mapping[str, Any]) -> tuple[str, bool]:
    """Put a job in the queue; returns its id and whether it is new. While an equal request is queued or running that
    one is returned. The id is a function of the request and of how many equal ones came before."""
    text = canonical(kind, config)
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (text,))
        rows = conn.execute(
            "SELECT job_id::text, status FROM jobs WHERE kind = %s AND config = %s::jsonb",
            (kind, json.dumps(dict(config))),
        ).fetchall()
        for job_id, status in rows:
            if status in _LIVE:
                return job_id, False
        job_id = str(uuid.uuid5(_NAMESPACE, f"{text}#{len(rows)}"))
        conn.execute(
            "INSERT INTO jobs (job_id, kind, status, config, stage) VALUES (%s, %s, 'queued', %s, 'waiting')",
            (job_id, kind, json.dumps(dict(config))),
        )
    return job_id, True


def claim(
    conn: psycopg.Connection[Any], job_id: str, worker: str, *, alone: frozenset[str] = frozenset()
) -> Claim | None:
    """Start a queued job; None when it is not queued (a message delivered twice), or when it is one of the kinds
    ``alone`` and another of them runs."""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('jobs.claim', 0))")
        row = conn.execute(
            """UPDATE jobs SET status = 'running', attempt = attempt + 1, worker = %(worker)s, heartbeat_at = now(),
                      started_at = COALESCE(started_at, now()), stage = 'starting', progress = 0, error = NULL
               WHERE job_id = %(id)s AND status = 'queued' AND NOT (kind = ANY(%(alone)s) AND EXISTS (
                 SELECT FROM jobs o WHERE o.status = 'running' AND o.kind = ANY(%(alone)s) AND o.job_id <> %(id)s))
               RETURNING kind, config, attempt""",
            {"id": job_id, "worker": worker, "alone": sorted(alone)},
        ).fetchone()
    return Claim(job_id, *row) if row else None


def beat(conn: psycopg.Connection[Any], run: Claim, progress: float | None = None, stage: str | None = None) -> None:
    """Say that the run lives, and how far it is. Raises ``JobCancelledError`` when it shall stop and ``JobLostError``
    when the job is no longer this run's."""
    row = conn.execute(
        """UPDATE jobs SET heartbeat_at = now(), progress = COALESCE(%s, progress), stage = COALESCE(%s, stage)
           WHERE job_id = %s AND attempt = %s AND status = 'running' RETURNING cancel_requested""",
        (progress, stage, run.job_id, run.attempt),
    ).fetchone()
    if row is None:
        raise JobLostError(f"job {run.job_id}: attempt {run.attempt} no longer holds it")
    if row[0]:
        raise JobCancelledError(f"job {run.job_id}: cancelled on request")


def set_input_hash(conn: psycopg.Connection[Any], run: Claim, input_hash: str) -> dict[str, Any] | None:
    """Record what the job depends on; returns the result of an earlier success on equal inputs, if there is one."""
    conn.execute(
        "UPDATE jobs SET input_hash = %s WHERE job_id = %s AND attempt = %s", (input_hash, run.job_id, run.attempt)
    )
    row = conn.execute(
        """SELECT result FROM jobs WHERE kind = %s AND input_hash = %s AND status = 'succeeded' AND result IS NOT NULL
           ORDER BY ended_at DESC LIMIT 1""",
        (run.kind, input_hash),
    ).fetchone()
    return row[0] if row else None


def succeed(
    conn: psycopg.Connection[Any], run: Claim, result: Mapping[str, Any], report_uri: str | None = None
) -> None:
    """The end one hopes for. Raises ``JobLostError``."""
    _end(conn, run, "succeeded", "done", result=json.dumps(dict(result)), report_uri=report_uri, progress=1.0)


def fail(conn: psycopg.Connection[Any], run: Claim, error: str) -> None:
    """Ended by an error that another attempt would meet again."""
    _end(conn, run, "failed", "failed", error=error)


def cancelled(conn: psycopg.Connection[Any], run: Claim) -> None:
    """Ended because it was asked to."""
    _end(conn, run, "cancelled", "cancelled")


def requeue(conn: psycopg.Connection[Any], run: Claim, why: str, *, counts: bool = True) -> bool:
    """Back into the queue, or failed when the attempts are used up; returns whether it is queued. An interruption by an
    orderly stop does not count as an attempt, but keeps its number, so that the fence stays."""
    row = conn.execute(
        """UPDATE jobs SET status = CASE WHEN %(counts)s AND attempt >= %(max)s THEN 'failed' ELSE 'queued' END,
                  ended_at = CASE WHEN %(counts)s AND attempt >= %(max)s THEN now() END, error = %(why)s, stage =
                  %(why)s, heartbeat_at = now()
           WHERE job_id = %(id)s AND attempt = %(attempt)s AND status = 'running' RETURNING status""",
        {"counts": counts, "max": ATTEMPTS_MAX, "why": why, "id": run.job_id, "attempt": run.attempt},
    ).fetchone()
    return row is not None and row[0] == "queued"


def request_cancel(conn: psycopg.Connection[Any], job_id: str) -> str:
    """Ask a job to stop: at once when queued, at its next step when running. Returns the status it has now."""
    row = conn.execute(
        """UPDATE jobs SET cancel_requested = TRUE, status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status
        END,
                  stage = CASE WHEN status = 'queued' THEN 'cancelled' ELSE stage END,
                  ended_at = CASE WHEN status = 'queued' THEN now() ELSE ended_at END
           WHERE job_id = %s AND status IN ('queued', 'running') RETURNING status""",
        (job_id,),
    ).fetchone()
    if row is None:
        found = conn.execute("SELECT status FROM jobs WHERE job_id = %s", (job_id,)).fetchone()
        raise InvalidInputError(
            "job_id", job_id, f"a job that is queued or running, not {found[0] if found else 'absent'}"
        )
    return str(row[0])


def reap(conn: psycopg.Connection[Any], *, stale_s: float = STALE_S, resend_s: float = 60.0) -> list[tuple[str, str]]:
    """Put jobs of dead workers back into the queue (failed when their attempts are used up).

    Returns (id, kind) of what must be sent to the broker: those, and queued jobs whose message may have been lost
    (nothing heard for ``resend_s``).
    """
    conn.execute(
        """UPDATE jobs SET status = 'failed', ended_at = now(), stage = 'failed',
                  error = format('the worker died %%s times, last: %%s', attempt, worker)
           WHERE status = 'running' AND heartbeat_at < now() - make_interval(secs => %s) AND attempt >= %s""",
        (stale_s, ATTEMPTS_MAX),
    )
    conn.execute(
        """UPDATE jobs SET status = 'cancelled', ended_at = now(), stage = 'cancelled'
           WHERE status = 'running' AND heartbeat_at < now() - make_interval(secs => %s) AND cancel_requested""",
        (stale_s,),
    )
    rows = conn.execute(
        """UPDATE jobs SET status = 'queued', heartbeat_at = now(),
                  stage = CASE WHEN status = 'running' THEN 'the worker died; waiting to resume' ELSE stage END
           WHERE (status = 'running' AND heartbeat_at < now() - make_interval(secs => %s))
              OR (status = 'queued' AND COALESCE(heartbeat_at, created_at) < now() - make_interval(secs => %s))
           RETURNING job_id::text, kind""",
        (stale_s, resend_s),
    ).fetchall()
    return [(job_id, kind) for job_id, kind in rows]


def release_worker(conn: psycopg.Connection[Any], worker: str) -> list[tuple[str, str]]:
    """Put back what a worker that is known to be dead was running, without waiting for its heartbeat to grow old.

    A job that used up its attempts is left to ``reap``, which fails it: one that kills each worker (it may need more
    memory than there is) would run for ever otherwise.
    """
    rows = conn.execute(
        """UPDATE jobs SET status = 'queued', heartbeat_at = now(), stage = 'the worker died; waiting to resume'
           WHERE status = 'running' AND worker = %s AND attempt < %s RETURNING job_id::text, kind""",
        (worker, ATTEMPTS_MAX),
    ).fetchall()
    return [(job_id, kind) for job_id, kind in rows]


def dto(conn: psycopg.Connection[Any], job_id: str) -> JobDTO | None:
    """The job as API and screens see it, with the remaining time while it runs."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            """SELECT job_id::text, kind, created_at, started_at, ended_at, status, progress, stage, config, report_uri,
                      error, CASE WHEN status = 'running' AND progress > 0.02
                        THEN EXTRACT(EPOCH FROM now() - started_at)::float8 * (1 - progress) / progress END AS eta_s
               FROM jobs WHERE job_id = %s""",
            (job_id,),
        ).fetchone()
    if row is None:
        return None
    times = {name: row[name] and iso(from_datetime(row[name])) for name in ("created_at", "started_at", "ended_at")}
    return JobDTO(**(row | times))


def _end(
    conn: psycopg.Connection[Any],
    run: Claim,
    status: str,
    stage: str,
    *,
    result: str | None = None,
    report_uri: str | None = None,
    error: str | None = None,
    progress: float | None = None,
) -> None:
    done = conn.execute(
        """UPDATE jobs SET status = %s, stage = %s, ended_at = now(), heartbeat_at = now(), result = %s, report_uri =
        %s,
                  error = %s, progress = COALESCE(%s, progress)
           WHERE job_id = %s AND attempt = %s AND status = 'running'""",
        (status, stage, result, report_uri, error, progress, run.job_id, run.attempt),
    )
    if done.rowcount == 0:
        raise JobLostError(f"job {run.job_id}: attempt {run.attempt} no longer holds it")
