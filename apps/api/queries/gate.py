"""The gate of live trading as it is now: ours, and what the worker is asked to look up."""

import asyncio

from apps.api.auth import Identity
from apps.api.db import Connection
from apps.api.dto import GateDTO, ProcessDTO
from apps.api.live_gate import asked_at_ms, gate_conditions, live_state
from apps.api.queries import status, trading
from packages.common.config import Settings
from packages.common.time import iso, monotonic_ms, wall_ms
from services.execution.gate import gate_limits

_NOTIFY = "NOTIFY gate_wanted"  # the worker listens
_WAIT_MS, _EVERY_S = 12_000, 0.2  # it does so at most every 10 s


async def gate(
    conn: Connection, settings: Settings, caller: Identity, *, confirmation: str = "", anew: bool = False
) -> GateDTO:
    """Every condition as it stands for ``caller``; ``anew`` has the worker ask the account first (up to 12 s)."""
    worker = await _asked_anew(conn) if anew else await _worker(conn)
    facts = await trading.desk_facts(conn, settings, caller, confirmation)
    rows = gate_conditions(facts, gate_limits(settings), worker, wall_ms())
    asked = asked_at_ms(live_state(worker))
    return GateDTO(
        exchange=settings.exchange,
        money=settings.exchange != "emulator",
        open=all(row.met for row in rows if row.code != "NOT_CONFIRMED"),
        account_asked_at=None if asked is None else iso(asked),
        conditions=rows,
    )


async def _worker(conn: Connection) -> ProcessDTO | None:
    return next((row for row in await status.processes(conn) if row.name == status.WORKER), None)


async def _asked_anew(conn: Connection) -> ProcessDTO | None:
    worker = await _worker(conn)
    if live_state(worker) is None:
        return worker
    now, until = wall_ms(), monotonic_ms() + _WAIT_MS
    await conn.execute(_NOTIFY)
    while (asked_at_ms(live_state(worker)) or 0) < now and monotonic_ms() < until:
        await asyncio.sleep(_EVERY_S)
        worker = await _worker(conn)
    return worker
