"""The scheduler: asks for the jobs of D42 when market time says so, and brings back jobs of dead workers.

Market time is the close of the newest stored candle, so an accelerated desk keeps its days; a wall-clock floor keeps a
fast one from doing nothing else. Each schedule asks for one job a slot of market time, and a slot is part of the
request, so that two schedulers, or a restart, ask for the same job.
"""

import logging
import signal
import threading
from typing import Any

import psycopg
from celery import Celery
from kombu.exceptions import OperationalError

from apps.worker_batch import jobs
from apps.worker_batch.celery_app import make_app, send
from apps.worker_batch.context import database_url
from apps.worker_batch.market_store import newest_minute_ms
from apps.worker_batch.schedules import SCHEDULES, Schedule, in_force, needed, slot_of
from apps.worker_batch.worker import write_process_status
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import iso, monotonic_ms

log = logging.getLogger(__name__)
_TICK_S = 5.0


class Scheduler:
    """What was asked for last, by kind; ``tick`` does one round."""

    def __init__(self, schedules: tuple[Schedule, ...] = SCHEDULES) -> None:
        self._schedules = self._defaults = schedules
        self._asked: dict[str, tuple[int, float]] = {}

    def due(self, now_ms: int, mono_ms: float) -> list[tuple[str, dict[str, Any]]]:
        """Requests whose slot is new and whose floor has passed. The slot in which the scheduler starts counts as done:
        a fresh desk has just bootstrapped."""
        out = []
        for schedule in self._schedules:
            slot = slot_of(schedule, now_ms)
            last_slot, last_mono = self._asked.setdefault(schedule.kind, (slot, mono_ms))
            if not schedule.enabled:
                self._asked[schedule.kind] = (slot, last_mono)  # what passes meanwhile is not made up for
                continue
            if slot > last_slot and mono_ms - last_mono >= schedule.wall_s * 1e3:
                self._asked[schedule.kind] = (slot, mono_ms)
                out.append((schedule.kind, {"as_of": iso(slot)}))
        return out

    def tick(self, conn: psycopg.Connection[Any], app: Celery, mono_ms: float) -> None:
        """Reap, ask for what is due, leave a heartbeat."""
        to_send = jobs.reap(conn)
        self._schedules = in_force(conn, self._defaults)
        now_ms = newest_minute_ms(conn)
        for kind, config in self.due(now_ms, mono_ms) if now_ms is not None else ():
            if self._live(conn, kind) or not needed(conn, kind):
                continue  # the one before has not ended: what it does not see, the next slot will
            job_id, new = jobs.insert(conn, kind, config)
            if new:
                to_send.append((job_id, kind))
        for job_id, kind in to_send:
            try:
                send(app, job_id, kind)
            except OperationalError as exc:
                log.warning("job_not_sent job_id=%s error=%s", job_id, exc)
        write_process_status(conn, "scheduler", {"market_ts": iso(now_ms) if now_ms else None})

    @staticmethod
    def _live(conn: psycopg.Connection[Any], kind: str) -> bool:
        query = "SELECT 1 FROM jobs WHERE kind = %s AND status IN ('queued', 'running')"
        return conn.execute(query, (kind,)).fetchone() is not None


def run(settings: Settings) -> int:
    """Until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scheduler, app = Scheduler(), make_app(settings)
    while not stop.is_set():
        try:
            with connect(database_url(settings), autocommit=True) as conn:
                while not stop.is_set():
                    scheduler.tick(conn, app, monotonic_ms())
                    stop.wait(_TICK_S)
        except (psycopg.Error, PlatformError) as exc:
            log.warning("scheduler_waits_for_the_database: %s", exc)
            stop.wait(_TICK_S)
    return 0
