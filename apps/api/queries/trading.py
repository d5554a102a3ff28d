"""The trading toggle: what was asked for, and what stands against asking for live."""

from typing import Any

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto import TradingStateDTO
from apps.api.errors import ConflictError
from apps.api.live_gate import EVIDENCE_KINDS, LiveFacts
from apps.api.queries.rows import iso_of
from packages.common.config import Settings
from packages.common.types import Mode

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
_PRODUCTION = "SELECT model_id FROM model_pointers WHERE kind = 'production'"
_EVIDENCE = """
SELECT kind FROM (SELECT DISTINCT ON (kind) kind, passed, valid_until FROM model_evidence WHERE model_id = %s
                  ORDER BY kind, created_at DESC) newest
WHERE passed AND (valid_until IS NULL OR valid_until > now())
"""
_ADMIN = "SELECT 1 FROM users WHERE role = 'admin' AND totp_secret IS NOT NULL AND disabled_at IS NULL LIMIT 1"


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


async def live_facts(conn: Connection, settings: Settings, *, worker_alive: bool, confirmed: bool) -> LiveFacts:
    """What the gate of live trading looks at."""
    pointer = await (await conn.execute(_PRODUCTION)).fetchone()
    held: frozenset[str] = frozenset()
    if pointer is not None:
        rows = await (await conn.execute(_EVIDENCE, (pointer["model_id"],))).fetchall()
        held = frozenset(row["kind"] for row in rows)
    admin = await (await conn.execute(_ADMIN)).fetchone()
    row = await _row(conn, _STATE)
    return LiveFacts(
        permitted=settings.mode,
        trading_enabled=settings.trading_enabled,
        kill_switch=row["kill_switch"],
        production_model=pointer is not None,
        missing_evidence=tuple(kind for kind in EVIDENCE_KINDS if kind not in held),
        worker_alive=worker_alive,
        second_factor_admin=admin is not None,
        signed_in_role=None,
        exchange_keys=False,
        confirmed=confirmed,
    )


async def _row(conn: Connection, query: Any, params: tuple[Any, ...] = ()) -> dict[str, Any]:
    row = await (await conn.execute(query, params)).fetchone()
    if row is None:
        raise RuntimeError("trading_state: got no row, expected the one the migration writes")
    return row
