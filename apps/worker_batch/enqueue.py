"""Ask for a job. The row comes first: a job that was accepted is never lost, also when the broker is away."""

import logging
from collections.abc import Mapping
from typing import Any

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
    kind = kind.removeprefix("job:")
    if kind not in KINDS:
        raise InvalidInputError("kind", kind, "one of " + ", ".join(sorted(KINDS)))
    settings = settings or load_settings()
    with connect(database_url(settings), autocommit=True) as conn:
        job_id, _ = jobs.insert(conn, kind, dict(config or {}))
    try:
        send(make_app(settings), job_id, kind)
    except OperationalError as exc:  # the reaper sends it when the broker is back
        log.warning("job_not_sent job_id=%s error=%s", job_id, exc)
    return job_id


def cancel(job_id: str, *, settings: Settings | None = None) -> str:
    """Ask a job to stop; returns its status now."""
    settings = settings or load_settings()
    with connect(database_url(settings), autocommit=True) as conn:
        return jobs.request_cancel(conn, job_id)
