"""Trading settings: what is in force, a new version, and the versions there were."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto import (
    RestartDTO,
    SettingChange,
    SettingsAcceptedDTO,
    SettingsDTO,
    SettingsVersionDTO,
    SettingsVersionsPage,
)
from apps.api.errors import Condition, ConflictError, RefusedError
from apps.api.params import decode_cursor, encode_cursor
from apps.api.queries import status
from apps.api.queries.rows import iso_at, iso_of
from packages.common import settings_versions
from packages.common.config import Settings
from packages.common.errors import SettingsError
from packages.common.settings_versions import EFFECTS, Effect, SettingsVersion, effect_of, overlay, values_of

# Shown beside what may change: these need another start.
_FIXED = ("mode", "trading_enabled", "flush_interval_ms", "shadow_equity_usdt")
_NEWEST = "SELECT version, created_at, value FROM settings ORDER BY version DESC LIMIT 1"
_LOCK = "LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE"
_INSERT = "INSERT INTO settings (author, reason, value, diff) VALUES (%s, %s, %s, %s) RETURNING version, created_at"
_WORKER: LiteralString = """
SELECT (status->>'settings_version')::bigint AS taken, (status->>'settings_at_start')::bigint AS at_start
FROM process_status WHERE name = 'worker_realtime'
"""
_CHANGED_SINCE = "SELECT diff FROM settings WHERE version > %s"
_HELD: LiteralString = """
SELECT DISTINCT p.symbol FROM positions p
JOIN LATERAL (SELECT ts FROM account_snapshots a WHERE a.mode = p.mode ORDER BY ts DESC LIMIT 1) a ON a.ts = p.ts
WHERE p.symbol = ANY(%s) ORDER BY 1
"""
_VERSIONS: LiteralString = """
SELECT s.*, u.taken_at FROM settings s
LEFT JOIN LATERAL (SELECT min(taken_at) AS taken_at FROM settings_used u WHERE u.version = s.version) u ON TRUE
WHERE %(before)s::bigint IS NULL OR s.version < %(before)s
ORDER BY s.version DESC LIMIT %(rows)s
"""
_RANK = list(Effect)
_RESTART = "NOTIFY restart_wanted"  # the worker listens
_SILENT = Condition(code="WORKER_SILENT", message="the realtime worker gives no sign of life: there is nobody to tell")


async def in_force(conn: Connection, base: Settings) -> SettingsVersion:
    """The newest version over what the environment says."""
    return (await _newest(conn, base))[0]


async def current(conn: Connection, base: Settings) -> SettingsDTO:
    """What is in force, and whether the worker has taken it over."""
    found, changed_at = await _newest(conn, base)
    taken, at_start = await _worker(conn)
    return SettingsDTO(
        version=found.version or None,
        changed_at=iso_at(changed_at),
        values=values_of(found.settings) | _fixed(found.settings),
        effects={name.upper(): effect_of(name, base.mode) for name in EFFECTS},
        acknowledged_version=taken,
        pending=taken is None or taken < found.version,
        restart_needed=await _waiting_for_restart(conn, base, at_start),
        hash=found.hash,
    )


async def change(
    conn: Connection, base: Settings, changes: Mapping[str, Any], reason: str, *, actor: str, expected: int | None
) -> SettingsAcceptedDTO:
    """Write a version and its audit row in one transaction. What is already so changes nothing, and makes none.

    Raises ``InvalidInputError`` for what the settings object refuses, ``ConflictError`` when ``expected`` (0: none yet)
    is not the newest version, ``RefusedError`` when a symbol with an open position would leave the universe.
    """
    async with conn.transaction():
        await conn.execute(_LOCK)
        row = await (await conn.execute(_NEWEST)).fetchone()
        version, held = (0, {}) if row is None else (int(row["version"]), dict(row["value"]))
        if expected is not None and expected != version:
            raise ConflictError(f"expected_version: got {expected}, the settings are at {version}")
        try:
            before = values_of(settings_versions.stored(base, version, held).settings)
        except SettingsError:  # of another release: what is asked for now begins anew
            before, held = values_of(base), {}
        after = values_of(overlay(base, held | dict(changes)))
        diff = [
            SettingChange(
                name=name, before=before[name], after=after[name], takes_effect=effect_of(name.lower(), base.mode)
            )
            for name in sorted(changes)
            if before[name] != after[name]
        ]
        if diff:
            await _refuse_to_leave(conn, set(before["UNIVERSE"]) - set(after["UNIVERSE"]))
            kept = held | {one.name: one.after for one in diff}
            rows = [one.model_dump(mode="json") for one in diff]
            made = await (await conn.execute(_INSERT, (actor, reason, Jsonb(kept), Jsonb(rows)))).fetchone()
            assert made is not None
            await audit.append(
                conn,
                actor=actor,
                action="settings.change",
                target="settings",
                before={"version": version} | {one.name: one.before for one in diff},
                after={"version": made["version"]} | {one.name: one.after for one in diff},
                reason=reason,
            )
            version = int(made["version"])
    taken, _ = await _worker(conn)
    effects = [Effect(one.takes_effect) for one in diff]
    return SettingsAcceptedDTO(
        version=version,
        changes=diff,
        acknowledged_version=taken,
        takes_effect=max(effects, key=_RANK.index, default=Effect.NEXT_MINUTE),
    )


async def restart(conn: Connection, base: Settings, reason: str, *, actor: str) -> RestartDTO:
    """Tell the worker to begin anew. Raises ``RefusedError`` while nobody listens."""
    processes = {process.name: process for process in await status.processes(conn)}
    worker = processes.get(status.WORKER)
    if worker is None or not worker.alive:
        raise RefusedError(f"restart is refused: {_SILENT.message}", [_SILENT])
    _, at_start = await _worker(conn)
    needed = await _waiting_for_restart(conn, base, at_start)
    async with conn.transaction():
        await audit.append(
            conn,
            actor=actor,
            action="worker.restart",
            target=status.WORKER,
            before={"settings_at_start": at_start},
            after={"restart_needed": needed},
            reason=reason,
        )
        await conn.execute(_RESTART)
    return RestartDTO(settings_at_start=at_start, restart_needed=needed)


async def versions(conn: Connection, cursor: str | None, limit: int) -> SettingsVersionsPage:
    """Newest first."""
    before = decode_cursor(cursor, (int,))[0] if cursor else None
    rows = await (await conn.execute(_VERSIONS, {"before": before, "rows": limit + 1})).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    items = [
        SettingsVersionDTO(
            version=row["version"],
            ts=iso_of(row["created_at"]),
            actor=row["author"],
            reason=row["reason"],
            changes=[SettingChange(**one) for one in row["diff"]],
            acknowledged_at=iso_at(row["taken_at"]),
        )
        for row in rows
    ]
    return SettingsVersionsPage(items=items, next_cursor=encode_cursor(rows[-1]["version"]) if more else None)


async def _newest(conn: Connection, base: Settings) -> tuple[SettingsVersion, datetime | None]:
    row = await (await conn.execute(_NEWEST)).fetchone()
    if row is None:
        return SettingsVersion(0, base), None
    return settings_versions.stored(base, row["version"], row["value"]), row["created_at"]


async def _worker(conn: Connection) -> tuple[int | None, int | None]:
    row = await (await conn.execute(_WORKER)).fetchone()
    return (None, None) if row is None else (row["taken"], row["at_start"])


async def _waiting_for_restart(conn: Connection, base: Settings, at_start: int | None) -> list[str]:
    if at_start is None:
        return []
    rows = await (await conn.execute(_CHANGED_SINCE, (at_start,))).fetchall()
    names = {one["name"] for row in rows for one in row["diff"]}
    return sorted(
        name for name in names if name.lower() in EFFECTS and effect_of(name.lower(), base.mode) is Effect.RESTART
    )


async def _refuse_to_leave(conn: Connection, leaving: set[str]) -> None:
    rows = await (await conn.execute(_HELD, (sorted(leaving),))).fetchall() if leaving else []
    if rows:
        names = [row["symbol"] for row in rows]
        unmet = [
            Condition(code="POSITION_OPEN", message=f"{name} has an open position: close it first") for name in names
        ]
        raise RefusedError(f"UNIVERSE is refused: {', '.join(names)} would leave it with a position open", unmet)


def _fixed(settings: Settings) -> dict[str, Any]:
    shown = settings.model_dump(mode="json", include=set(_FIXED))
    return {name.upper(): shown[name] for name in _FIXED}
