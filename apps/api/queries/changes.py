"""A change through a blocking connection, for what the other processes own: jobs, model pointers, schedules.

Their functions take such a connection; it lives in a thread for the length of one transaction, which the audit row
shares.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from apps.api import audit
from apps.api.errors import StoreUnavailableError
from packages.common.config import Settings
from packages.common.db import connect

T = TypeVar("T")
Work = Callable[[psycopg.Connection[Any]], tuple[T, audit.Entry | None]]
_TIMEOUT = "SET LOCAL statement_timeout = '10s'"


async def changed(settings: Settings, work: Work[T]) -> T:
    """Run ``work`` in one transaction with the audit row it returns (None: nothing was changed)."""
    return await asyncio.to_thread(_changed, settings, work)


def _changed(settings: Settings, work: Work[T]) -> T:
    if settings.database_url is None:
        raise StoreUnavailableError("the database has no address")
    with connect(settings.database_url, timeout_s=3) as conn, conn.transaction():
        conn.execute(_TIMEOUT)
        result, entry = work(conn)
        if entry is not None:
            audit.append_blocking(conn, entry)
        return result
