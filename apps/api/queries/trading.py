"""The trading toggle and the kill-switch: what was asked for, and what the tables know of the gate of live trading."""

from typing import Any

from apps.api import audit
from apps.api.auth import Identity
from apps.api.db import Connection
from apps.api.dto import TradingStateDTO
from apps.api.errors import ConflictError
from apps.api.queries.rows import iso_of
from packages.common.config import Settings
from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import Mode
from services.execution.gate import EVIDENCE, DeskFacts

_STATE = """
SELECT t.*, (p.status->>'trading_version')::bigint AS acknowledged
FROM trading_state t LEFT JOIN process_status p ON p.name = 'worker_realtime'
WHERE t.id = 1
"""
_CHANGE = """
UPDATE trading_state
SET toggle = %s, reason = %s, changed_by = %s, changed_at = clock_timestamp(), version = version + 1
WHERE id = 1 RETURNING *
"""
_SWITCH = """
UPDATE trading_state
SET kill_switch = %s, reason = %s, changed_by = %s, changed_at = clock_timestamp(), version = version + 1
WHERE id = 1 RETURNING *
"""
# Minutes decided as they happened, up to as many as are asked for (D40): catching up is no shadow trading.
_SHADOW = """
SELECT count(*) AS minutes FROM (
  SELECT 1 FROM decisions WHERE mode = 'shadow' AND decided_at < ts + interval '3 minutes' LIMIT %s) decided
"""
_EVIDENCE = """
SELECT kind FROM (SELECT DISTINCT ON (kind) kind, passed, valid_until FROM model_evidence WHERE model_id = %s
                  ORDER BY kind, created_at DESC) newest
WHERE passed AND (valid_until IS NULL OR valid_until > now())
"""


async def state(conn: Connection, settings: Settings) -> TradingStateDTO:
    """The toggle, its version and whether the worker has taken it over."""
    row = await _row(conn, _STATE)
    acknowledged = row["acknowledged"]
    return TradingStateDTO(
        toggle=row["toggle"],
        permitted=settings.mode,
        trading_enabled=settings.trading_enabled,
        kill_switch=row["kill_switch"],
        reason=row["reason"],
        changed_by=row["changed_by"],
        changed_at=iso_of(row["changed_at"]),
        version=row["version"],
        acknowledged_version=acknowledged,
        pending=acknowledged is None or acknowledged < row["version"],
    )


async def change(
    conn: Connection, mode: Mode, reason: str, *, actor: str, expected_version: int | None
) -> tuple[int, bool]:
    """Write the toggle and its audit row in one transaction; (version, whether anything changed).

    Asking for what already stands changes nothing. Raises ``ConflictError`` when ``expected_version`` is not current.
    """
    async with conn.transaction():
        before = await _row(conn, "SELECT * FROM trading_state WHERE id = 1 FOR UPDATE")
        if expected_version is not None and before["version"] != expected_version:
            raise ConflictError(f"expected_version: got {expected_version}, the toggle is at {before['version']}")
        if before["toggle"] == mode.value:
            return int(before["version"]), False
        after = await _row(conn, _CHANGE, (mode.value, reason, actor))
        await audit.append(
            conn,
            actor=actor,
            action="trading.toggle",
            target="trading_state",
            before={"toggle": before["toggle"], "version": before["version"]},
            after={"toggle": after["toggle"], "version": after["version"]},
            reason=reason,
        )
        return int(after["version"]), True


SWITCHED = {  # what an action makes of the kill-switch's word; absent: the same or a stricter one stands
    "halt": {"RUNNING": "HALTED"},
    "flatten": {"RUNNING": "FLATTENING", "HALTED": "FLATTENING"},
    "resume": {"HALTED": "RUNNING", "FLATTENING": "RUNNING", "FLAT": "RUNNING"},
}


async def switch(
    conn: Connection, action: str, reason: str, *, actor: str, expected_version: int | None
) -> tuple[int, str, bool]:
    """Move the kill-switch and write its audit row in one transaction; (version, word, whether anything changed)."""
    async with conn.transaction():
        before = await _row(conn, "SELECT * FROM trading_state WHERE id = 1 FOR UPDATE")
        if expected_version is not None and before["version"] != expected_version:
            raise ConflictError(f"expected_version: got {expected_version}, the desk is at {before['version']}")
        word = SWITCHED[action].get(before["kill_switch"])
        if word is None:
            return int(before["version"]), str(before["kill_switch"]), False
        after = await _row(conn, _SWITCH, (word, reason, actor))
        await audit.append(
            conn,
            actor=actor,
            action="trading.kill_switch",
            target="trading_state",
            before={"kill_switch": before["kill_switch"], "version": before["version"]},
            after={"kill_switch": after["kill_switch"], "version": after["version"]},
            reason=reason,
        )
        return int(after["version"]), word, True


async def desk_facts(conn: Connection, settings: Settings, caller: Identity, confirmation: str) -> DeskFacts:
    """What settings, tables and whoever asks contribute to the gate of live trading."""
    rows = await (await conn.execute("SELECT kind, model_id FROM model_pointers")).fetchall()
    models = {row["kind"]: row["model_id"] for row in rows}
    held: frozenset[str] = frozenset()
    if "production" in models:
        rows = await (await conn.execute(_EVIDENCE, (models["production"],))).fetchall()
        held = frozenset(row["kind"] for row in rows)
    minutes = int(settings.live_shadow_days * DAY_MS / MINUTE_MS) + 1
    shadow = await (await conn.execute(_SHADOW, (minutes,))).fetchone()
    return DeskFacts(
        exchange=settings.exchange,
        permitted=settings.mode,
        trading_enabled=settings.trading_enabled,
        model="production" if "production" in models else "demo" if "demo" in models else None,
        missing_evidence=tuple(kind for kind in EVIDENCE if kind not in held),
        shadow_ms=0.0 if shadow is None else float(shadow["minutes"] * MINUTE_MS),
        confirmation=confirmation,
        admin=caller.signed_in_admin,
        second_factor=caller.second_factor,
    )


async def _row(conn: Connection, query: Any, params: tuple[Any, ...] = ()) -> dict[str, Any]:
    row = await (await conn.execute(query, params)).fetchone()
    if row is None:
        raise RuntimeError("trading_state: got no row, expected the one the migration writes")
    return row
