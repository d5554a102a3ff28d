"""Explanations of stored rows: read, or computed in a process of their own and kept."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from apps.api.db import Connection, Pool
from apps.api.dto_actions import ExplainDTO
from apps.api.errors import NotFoundError, StoreUnavailableError
from apps.api.queries.rows import iso_of
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import to_datetime

_KEPT: LiteralString = """
SELECT symbol, ts, mode, model_id::text, decision, explain FROM signals s
WHERE symbol = %(symbol)s AND ts = %(ts)s AND mode = %(mode)s
ORDER BY model_id IS NOT DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger'), model_id
LIMIT 1
"""
# LightGBM takes seconds to load and holds the interpreter meanwhile: it lives in a child, from the first question on.
_CHILD: list[ProcessPoolExecutor] = []


async def kept(conn: Connection, symbol: str, ts_ms: int, mode: str) -> ExplainDTO:
    """What is kept of a row, without computing anything."""
    params = {"symbol": symbol, "ts": to_datetime(ts_ms), "mode": mode}
    row = await (await conn.execute(_KEPT, params)).fetchone()
    if row is None:
        raise _no_row(symbol, params["ts"])
    return _dto(row)


async def explain(pool: Pool, settings: Settings, symbol: str, ts_ms: int, mode: str) -> ExplainDTO:
    """The explanation of a row, computed from its stored inputs unless it is kept already."""
    async with pool.connection() as conn:  # not held while the child computes
        found = await kept(conn, symbol, ts_ms, mode)
    if found.targets is not None or found.unavailable is not None:
        return found
    row = (symbol, to_datetime(ts_ms), mode)
    try:
        failed = await asyncio.get_running_loop().run_in_executor(_child(), _explain, settings.database_url or "", *row)
    except BrokenProcessPool as exc:
        _CHILD.clear()
        raise StoreUnavailableError("the process that explains was ended; ask again") from exc
    if failed is not None:
        raise StoreUnavailableError(failed)
    async with pool.connection() as conn:
        return await kept(conn, symbol, ts_ms, mode)


def _child() -> ProcessPoolExecutor:
    """One row at a time, below everything else: the trader needs the machine."""
    if not _CHILD:
        _CHILD.append(ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.nice, (10,)))
    return _CHILD[0]


def _explain(url: str, symbol: str, ts: datetime, mode: str) -> str | None:
    """In the child: keep the explanation of a row; says why it could not."""
    from services.inference.explain import explain_stored

    try:
        with connect(url, autocommit=True, timeout_s=3) as conn:
            explain_stored(conn, symbol, ts, mode)
    except (PlatformError, psycopg.Error, OSError) as exc:
        return f"not explained: {exc}"
    return None


def _no_row(symbol: str, ts: object) -> NotFoundError:
    return NotFoundError(f"signal: got {symbol} at {ts}, expected a decided minute")


def _dto(row: dict[str, Any]) -> ExplainDTO:
    told = row["explain"] or {}
    return ExplainDTO(
        symbol=row["symbol"],
        ts=iso_of(row["ts"]),
        mode=row["mode"],
        model_id=row["model_id"],
        decision=row["decision"],
        inputs=told.get("inputs"),
        targets=told.get("targets"),
        unavailable=told.get("unavailable"),
    )
