"""Run one job from claim to end: the order of effects, no job's own arithmetic."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import redis

from apps.worker_batch import jobs
from apps.worker_batch.context import Heartbeat, JobContext, JobInterruptedError, database_url, redis_url
from apps.worker_batch.kinds import ALONE, KINDS
from packages.common import settings_versions
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError, StoreUnavailableError, VenueUnavailableError

log = logging.getLogger(__name__)

STREAM = "training_updates"
_STREAM_LENGTH = 1_000
Outcome = str  # not claimed | busy | succeeded | failed | cancelled | queued | lost


def worker_name() -> str:
    """Host and process: what the reaper and the parent of a dead pool child look for."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run_job(
    job_id: str,
    settings: Settings,
    *,
    stopping: Callable[[], bool] = lambda: False,
    handlers: Mapping[str, Callable[[JobContext], Mapping[str, Any]]] = KINDS,
) -> Outcome:
    """Claim and run; returns how it ended. Never raises for what the job did: that is a row now.

    ``busy``: another job of the heavy kinds runs, try later. ``queued``: it went back, to be sent again.
    """
    url = database_url(settings)
    with connect(url, autocommit=True) as conn, redis.Redis.from_url(redis_url(settings)) as bus:

        def publish(which: str) -> None:
            row = jobs.dto(conn, which)
            if row is not None:
                try:
                    bus.xadd(STREAM, {"data": row.model_dump_json()}, maxlen=_STREAM_LENGTH, approximate=True)
                except redis.RedisError as exc:  # screens may miss a step; the table has it
                    log.warning("training_update_not_published: %s", exc)

        _release_if_dead(conn, job_id)
        run = jobs.claim(conn, job_id, worker_name(), alone=ALONE)
        if run is None:
            row = jobs.dto(conn, job_id)
            return "busy" if row is not None and row.status == "queued" else "not claimed"
        try:
            in_force = settings_versions.newest(conn, settings).settings
        except PlatformError as exc:
            jobs.fail(conn, run, f"{exc.code}: {exc}")
            publish(job_id)
            return "failed"
        context = JobContext(in_force, run, conn, publish, stopping)
        publish(job_id)
        log.info("job_started kind=%s job_id=%s attempt=%d", run.kind, job_id, run.attempt)
        try:
            with Heartbeat(url, context):
                outcome = _work(context, handlers)
        except jobs.JobLostError as exc:
            log.warning("job_lost %s", exc)
            return "lost"
        publish(job_id)
        log.info("job_ended kind=%s job_id=%s outcome=%s", run.kind, job_id, outcome)
        return outcome


def _release_if_dead(conn: psycopg.Connection[Any], job_id: str) -> None:
    """A killed pool child's message comes back at once: no need to wait until its heartbeat is old."""
    row = conn.execute("SELECT worker FROM jobs WHERE job_id = %s AND status = 'running'", (job_id,)).fetchone()
    if row is None or row[0] is None:
        return
    host, _, pid = row[0].rpartition(":")
    if host == socket.gethostname() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
        jobs.release_worker(conn, row[0])


def _work(context: JobContext, handlers: Mapping[str, Callable[[JobContext], Mapping[str, Any]]]) -> Outcome:
    conn, run = context.conn, context.run
    try:
        handler = handlers.get(run.kind)
        if handler is None:
            jobs.fail(conn, run, f"kind: got {run.kind!r}, expected one of {', '.join(sorted(handlers))}")
            return "failed"
        result = dict(handler(context))
        context.check()
        jobs.succeed(conn, run, result, result.get("report_uri"))
    except jobs.JobCancelledError:
        jobs.cancelled(conn, run)
        return "cancelled"
    except JobInterruptedError as exc:
        return "queued" if jobs.requeue(conn, run, str(exc), counts=False) else "failed"
    except jobs.JobLostError:
        raise
    except (VenueUnavailableError, StoreUnavailableError) as exc:
        log.warning("job_will_retry kind=%s error=%s", run.kind, exc)
        return "queued" if jobs.requeue(conn, run, f"{exc.code}: {exc}") else "failed"
    except PlatformError as exc:
        log.warning("job_failed kind=%s error=%s", run.kind, exc)
        jobs.fail(conn, run, f"{exc.code}: {exc}")
        return "failed"
    except Exception as exc:
        log.exception("job_failed kind=%s", run.kind)
        jobs.fail(conn, run, f"{type(exc).__name__}: {exc}")
        return "failed"
    return "succeeded"
