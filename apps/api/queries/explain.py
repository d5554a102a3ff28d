"""Explanations of stored rows: read, or computed in a thread and kept."""

import asyncio
from datetime import datetime
from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto_actions import ExplainDTO
from apps.api.errors import NotFoundError, StoreUnavailableError
from apps.api.queries.rows import iso_of
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.time import to_datetime

_KEPT: LiteralString = """
SELECT symbol, ts, mode, model_id::text, decision, explain FROM signals s
WHERE symbol = %(symbol)s AND ts = %(ts)s AND mode = %(mode)s
ORDER BY model_id IS NOT DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger'), model_id
LIMIT 1
"""
_one = asyncio.Semaphore(1)  # trees are computed one row at a time: the trader needs the machine


async def kept(conn: Connection, symbol: str, ts_ms: int, mode: str) -> ExplainDTO:
    """What is kept of a row, without computing anything."""
    params = {"symbol": symbol, "ts": to_datetime(ts_ms), "mode": mode}
    row = await (await conn.execute(_KEPT, params)).fetchone()
    if row is None:
        raise _no_row(symbol, params["ts"])
    return _dto(row)


async def explain(settings: Settings, symbol: str, ts_ms: int, mode: str) -> ExplainDTO:
    """The explanation of a row, computed from its stored inputs unless it is kept already."""
    async with _one:
        row = await asyncio.to_thread(_explain, settings, symbol, to_datetime(ts_ms), mode)
    if row is None:
        raise _no_row(symbol, to_datetime(ts_ms))
    return _dto(row)


def _explain(settings: Settings, symbol: str, ts: datetime, mode: str) -> dict[str, Any] | None:
    from services.inference.explain import explain_stored  # LightGBM is loaded when somebody asks

    if settings.database_url is None:
        raise StoreUnavailableError("the database has no address")
    with connect(settings.database_url, autocommit=True, timeout_s=3) as conn:
        return explain_stored(conn, symbol, ts, mode)


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
