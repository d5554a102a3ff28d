"""Asking for jobs and looking at them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import InvalidInputError


def enqueue(kind: str, config: Mapping[str, Any], *, settings: Settings) -> str:
    """Queue a job through the batch app's front door; returns its id."""
    from apps.worker_batch.enqueue import enqueue as put

    return put(kind, config, settings=settings)


def parameters(text: str) -> dict[str, Any]:
    """A job's parameters from JSON. Raises InvalidInputError when it is no object."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInputError("--config", text, 'a JSON object, as {"hours": 6}')
    return found


def check_id(job_id: str) -> str:
    """Raises InvalidInputError when this is no job id."""
    try:
        return str(UUID(job_id))
    except ValueError:
        raise InvalidInputError("job_id", job_id, "an id as `perpilot jobs list` shows it") from None


def rows(database_url: str, *, limit: int = 20, job_id: str | None = None) -> list[dict[str, Any]]:
    """Newest jobs, or the one with ``job_id``, as plain dicts with ISO times."""
    with connect(database_url, autocommit=True) as conn:
        cursor = conn.execute(
            "SELECT job_id, kind, status, progress, stage, created_at, started_at, ended_at, attempt, error, config, "
            "result FROM jobs WHERE %(id)s::uuid IS NULL OR job_id = %(id)s ORDER BY created_at DESC LIMIT %(n)s",
            {"id": job_id, "n": limit},
        )
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in found:
        row["job_id"] = str(row["job_id"])
        for name in ("created_at", "started_at", "ended_at"):
            row[name] = row[name].isoformat() if row[name] else None
    return found


def request_cancel(database_url: str, job_id: str) -> None:
    """Ask a job to stop; it does at its next step. Raises InvalidInputError when it has ended or is unknown."""
    with connect(database_url, autocommit=True) as conn:
        changed = conn.execute(
            "UPDATE jobs SET cancel_requested = TRUE, "
            "status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END, "
            "ended_at = CASE status WHEN 'queued' THEN now() ELSE ended_at END "
            "WHERE job_id = %s AND status IN ('queued', 'running')",
            (job_id,),
        )
    if changed.rowcount == 0:
        raise InvalidInputError("job_id", job_id, "a job that waits or runs")
