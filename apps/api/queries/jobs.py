"""Jobs as actions: asked for, stopped, asked for again; and the schedules that ask by themselves."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto_actions import ScheduleDTO, ScheduleIn
from apps.api.errors import Condition, InvalidInputError, NotFoundError, RefusedError
from apps.api.queries import training
from apps.api.queries.changes import changed
from apps.api.queries.rows import iso_at
from packages.common.config import Settings
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS, iso
from packages.common.types import JobDTO

# Kinds of their own actions: who may start a job may not thereby move a model pointer.
_ELSEWHERE = {"promote_model": "POST /api/models/{model_version}/promote"}
_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_PUT = """
INSERT INTO schedules (name, enabled, every_ms, offset_ms, changed_by) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET enabled = EXCLUDED.enabled, every_ms = EXCLUDED.every_ms,
  offset_ms = EXCLUDED.offset_ms, changed_at = now(), changed_by = EXCLUDED.changed_by
"""


async def start(conn: Connection, settings: Settings, kind: str, params: Mapping[str, Any], actor: str) -> JobDTO:
    """Queue a job. An equal one that waits or runs is the answer instead, and nothing is changed."""
    if kind in _ELSEWHERE:
        raise InvalidInputError("kind", kind, f"another: models are put in use by {_ELSEWHERE[kind]}")
    if "promote" in params:
        raise InvalidInputError("params.promote", params["promote"], f"nothing: use {_ELSEWHERE['promote_model']}")
    return await _queue(conn, settings, kind, params, actor, "job.start", None)


async def cancel(conn: Connection, settings: Settings, job_id: UUID, reason: str, actor: str) -> JobDTO:
    """Ask a job to stop: at once while it waits, at its next step while it runs. Asked again changes nothing."""
    from apps.worker_batch import enqueue

    def work(blocking: psycopg.Connection[Any]) -> tuple[None, audit.Entry | None]:
        row = _row(blocking, job_id)
        if row["status"] not in ("queued", "running"):
            ended = Condition(code="JOB_ENDED", message=f"the job has ended: {row['status']}")
            raise RefusedError(f"cancel is refused: {ended.message}", [ended])
        if row["cancel_requested"]:
            return None, None
        status = enqueue.request_cancel(blocking, str(job_id))
        before, after = {"status": row["status"]}, {"status": status, "cancel_requested": True}
        return None, audit.Entry(actor, "job.cancel", str(job_id), before, after, reason)

    await changed(settings, work)
    return await training.job(conn, job_id)


async def retry(conn: Connection, settings: Settings, job_id: UUID, actor: str) -> JobDTO:
    """The same request once more, as a job of its own. ``RefusedError`` while the first waits or runs."""
    old = await training.job(conn, job_id)
    if old.status in ("queued", "running"):
        busy = Condition(code="JOB_NOT_ENDED", message=f"the job has not ended: {old.status}")
        raise RefusedError(f"retry is refused: {busy.message}", [busy])
    if old.kind in _ELSEWHERE:
        raise InvalidInputError("job_id", old.kind, f"another kind of job: use {_ELSEWHERE[old.kind]}")
    return await _queue(conn, settings, old.kind, old.config, actor, "job.retry", str(job_id))


async def repair(
    conn: Connection, settings: Settings, symbol: str | None, from_ms: int, to_ms: int, actor: str
) -> JobDTO:
    """Fill the holes of a span from the exchange."""
    params: dict[str, Any] = {"from": iso(from_ms), "to": iso(to_ms)}
    if symbol is not None:
        params["symbols"] = [symbol]
    return await _queue(conn, settings, "repair_data", params, actor, "data.repair", symbol)


async def _queue(
    conn: Connection,
    settings: Settings,
    kind: str,
    params: Mapping[str, Any],
    actor: str,
    action: str,
    target: str | None,
) -> JobDTO:
    from apps.worker_batch import enqueue  # Celery is loaded when a job is asked for

    def work(blocking: psycopg.Connection[Any]) -> tuple[tuple[str, str, bool], audit.Entry | None]:
        job_id, name, new = enqueue.insert(blocking, kind, params)
        after = {"job_id": job_id, "kind": name, "params": dict(params)}
        return (job_id, name, new), audit.Entry(actor, action, target or job_id, None, after, None) if new else None

    job_id, name, new = await changed(settings, work)
    if new:
        await asyncio.to_thread(enqueue.tell, settings, job_id, name)
    return await training.job(conn, UUID(job_id))


def _row(conn: psycopg.Connection[Any], job_id: UUID) -> dict[str, Any]:
    with conn.cursor(row_factory=dict_row) as cursor:
        query = "SELECT status, cancel_requested FROM jobs WHERE job_id = %s FOR UPDATE"
        row = cursor.execute(query, (job_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"job: got {str(job_id)!r}, expected one of /api/training/jobs")
    return row


# --- schedules ------------------------------------------------------------------------------------------------------


async def schedules(conn: Connection) -> list[ScheduleDTO]:
    """What asks by itself, as it is in force, with its newest job."""
    from apps.worker_batch.schedules import SCHEDULES, changed_by, next_ms

    rows = await (await conn.execute("SELECT * FROM schedules")).fetchall()
    there = {row["name"]: row for row in rows}
    now_ms = await training.market_ms(conn)
    newest = await training.newest_jobs(conn, [schedule.kind for schedule in SCHEDULES])
    out = []
    for default in SCHEDULES:
        row: Mapping[str, Any] = there.get(default.kind, {})
        found = changed_by(default, row.get("enabled"), row.get("every_ms"), row.get("offset_ms"))
        changed_at: datetime | None = row.get("changed_at")
        out.append(
            ScheduleDTO(
                name=default.kind,
                enabled=found.enabled,
                every=_words(found.every_ms),
                at=_words(found.offset_ms),
                default_every=_words(default.every_ms),
                default_at=_words(default.offset_ms),
                next_ts=iso(next_ms(found, now_ms)) if now_ms is not None and found.enabled else None,
                last_job=newest.get(default.kind),
                changed_at=iso_at(changed_at),
                changed_by=row.get("changed_by"),
            )
        )
    return out


async def change_schedule(
    conn: Connection, settings: Settings, name: str, asked: ScheduleIn, actor: str
) -> ScheduleDTO:
    """Switch a schedule, or move it; what is left out stays."""
    from apps.worker_batch.schedules import in_force

    def work(blocking: psycopg.Connection[Any]) -> tuple[None, audit.Entry | None]:
        blocking.execute("LOCK TABLE schedules IN SHARE ROW EXCLUSIVE MODE")
        now = {schedule.kind: schedule for schedule in in_force(blocking)}
        if name not in now:
            raise NotFoundError(f"schedule: got {name!r}, expected one of {', '.join(sorted(now))}")
        old = now[name]
        enabled = old.enabled if asked.enabled is None else asked.enabled
        every = old.every_ms if asked.every is None else _millis(asked.every)
        at = old.offset_ms if asked.at is None else _millis(asked.at)
        if not 0 <= at < every:
            raise InvalidInputError("at", asked.at or _words(at), f"a time below every ({_words(every)})")
        before = {"enabled": old.enabled, "every": _words(old.every_ms), "at": _words(old.offset_ms)}
        after = {"enabled": enabled, "every": _words(every), "at": _words(at)}
        if before == after:
            return None, None
        blocking.execute(_PUT, (name, enabled, every, at, actor))
        return None, audit.Entry(actor, "schedule.change", name, before, after, asked.reason)

    await changed(settings, work)
    return next(row for row in await schedules(conn) if row.name == name)


async def run_schedule(conn: Connection, settings: Settings, name: str, actor: str) -> JobDTO:
    """The job of a schedule now, also of one that is switched off. One that waits or runs is the answer instead."""
    from apps.worker_batch.schedules import SCHEDULES

    names = [schedule.kind for schedule in SCHEDULES]
    if name not in names:
        raise NotFoundError(f"schedule: got {name!r}, expected one of {', '.join(sorted(names))}")
    live = (await training.newest_jobs(conn, [name])).get(name)
    if live is not None and live.status in ("queued", "running"):
        return live
    now_ms = await training.market_ms(conn)
    params = {} if now_ms is None else {"as_of": iso(now_ms)}
    return await _queue(conn, settings, name, params, actor, "schedule.run", name)


def _millis(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def _words(ms: int) -> str:
    """The shortest spelling of a length of time, such as ``90m``, ``2h`` or ``7d``."""
    unit = next(name for name in ("d", "h", "m") if ms % _UNITS[name] == 0 and (ms or name == "m"))
    return f"{ms // _UNITS[unit]}{unit}"
