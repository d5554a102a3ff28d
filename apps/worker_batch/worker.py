"""The batch worker: a Celery pool on both queues, and its heartbeat for status and doctor."""

import json
import logging
import os
import threading
from typing import Any

import psycopg

from apps.worker_batch import jobs
from apps.worker_batch.celery_app import QUEUE_COMPUTE, QUEUE_DATA, make_app, send
from apps.worker_batch.context import database_url
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError

log = logging.getLogger(__name__)
_BEAT_S = 5.0


def run_worker(settings: Settings, pool_size: int) -> int:
    """Work until SIGTERM. At the start every queued job is sent again: the broker may have lost what it knew."""
    app = make_app(settings)
    with connect(database_url(settings), autocommit=True) as conn:
        for job_id, kind in jobs.reap(conn, resend_s=0.0):
            send(app, job_id, kind)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(settings, done), name="process-heartbeat", daemon=True)
    beat.start()
    try:
        worker: Any = app.Worker(
            concurrency=pool_size,
            pool="prefork",
            queues=[QUEUE_DATA, QUEUE_COMPUTE],
            loglevel=settings.log_level.upper(),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            optimization="fair",
            hostname=f"perpilot-batch-{os.getpid()}@%h",
        )
        worker.start()
        return int(worker.exitcode or 0)
    finally:
        done.set()
        beat.join(5)


def write_process_status(conn: psycopg.Connection[Any], name: str, status: dict[str, Any]) -> None:
    """One row a process: it lives, and with which process id."""
    conn.execute(
        """INSERT INTO process_status (name, updated_at, status) VALUES (%s, now(), %s)
           ON CONFLICT (name) DO UPDATE SET updated_at = now(), status = EXCLUDED.status""",
        (name, json.dumps({"pid": os.getpid()} | status)),
    )


def _beat(settings: Settings, done: threading.Event) -> None:
    while True:
        try:
            with connect(database_url(settings), autocommit=True) as conn:
                running = conn.execute(
                    "SELECT kind, count(*) FROM jobs WHERE status = 'running' GROUP BY kind"
                ).fetchall()
                write_process_status(conn, "worker_batch", {"running": dict(running)})
        except (psycopg.Error, PlatformError) as exc:
            log.warning("heartbeat_not_written: %s", exc)
        if done.wait(_BEAT_S):
            return
