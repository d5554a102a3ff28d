"""Ask for a job. The row comes first: a job that was accepted is never lost, also when the broker is away."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import psycopg
from kombu.exceptions import OperationalError

from apps.worker_batch import jobs
from apps.worker_batch.celery_app import make_app, send
from apps.worker_batch.context import database_url
from apps.worker_batch.kinds import KINDS
from packages.common.config import Settings, load_settings
from packages.common.db import connect
from packages.common.errors import InvalidInputError

log = logging.getLogger(__name__)


def enqueue(kind: str, config: Mapping[str, Any] | None = None, *, settings: Settings | None = None) -> str:
    """Queue a job and return its id. While an equal request is waiting or running, that one's id is returned.

    ``kind`` with or without the specification's prefix ``job:``. Raises ``InvalidInputError`` for an unknown kind or a
    configuration that is not JSON, ``StoreUnavailableError`` when the database is away.
    """
    settings = settings or load_settings()
    with connect(database_url(settings), autocommit=True) as conn:
        job_id, kind, _ = insert(conn, kind, config)
    tell(settings, job_id, kind)
    return job_id


def insert(conn: psycopg.Connection[Any], kind: str, config: Mapping[str, Any] | None = None) -> tuple[str, str, bool]:
    """The row of ``enqueue`` in the caller's transaction: id, kind, whether it is new. ``tell`` after the commit."""
    kind = kind.removeprefix("job:")
    if kind not in KINDS:
        raise InvalidInputError("kind", kind, "one of " + ", ".join(sorted(KINDS)))
    job_id, new = jobs.insert(conn, kind, dict(config or {}))
    return job_id, kind, new


def tell(settings: Settings, job_id: str, kind: str) -> None:
    """Send a queued job to the workers; when the broker is away the reaper does it once it is back."""
    try:
        send(_app(settings), job_id, kind)
    except OperationalError as exc:
        log.warning("job_not_sent job_id=%s error=%s", job_id, exc)


_app = lru_cache(maxsize=4)(make_app)  # its connections to the broker are kept


def cancel(job_id: str, *, settings: Settings | None = None) -> str:
    """Ask a job to stop; returns its status now."""
    settings = settings or load_settings()
    with connect(database_url(settings), autocommit=True) as conn:
        return jobs.request_cancel(conn, job_id)


request_cancel = jobs.request_cancel  # in the caller's transaction
