"""Connections of the API: few, autocommitted, with short deadlines, so that a slow query cannot pile up requests."""

from typing import cast

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

# Short statements over few rows: the JIT costs more than it saves. UTC: what is shown is UTC.
_OPTIONS = "-c timezone=UTC -c statement_timeout=10000 -c jit=off"


def make_pool(url: str, *, size: int = 8) -> Pool:
    """A closed pool over ``url``; open it with ``await pool.open()``. Rows are dicts."""
    return cast(
        Pool,
        AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=3,
            max_waiting=256,
            reconnect_timeout=0,  # give up quickly and start over at the next request: the server may be restarting
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="api",
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "options": _OPTIONS,
                "application_name": "perpilot-api",
                "connect_timeout": 5,
            },
        ),
    )
