"""The chain of audit rows: each hash covers the row and the hash before it, so that no row can be changed or cut out.

``hash = sha256(prev_hash || canonical row)``, the canonical row being JSON with sorted keys and no blanks of ts, actor,
action, target, before, after and reason, as the database gives them back. The first row follows ``GENESIS``.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from apps.api.db import Connection
from packages.common.time import monotonic_ms

GENESIS = "0" * 64
_PART = 1000  # rows that are hashed before others get their turn
_KEPT_MS = 30_000.0
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('audit_log'))"
_LAST = "SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1"
# Through JSONB before it is hashed: the database normalises numbers and keys, and a verifier reads only that.
_NORMAL = "SELECT clock_timestamp() AS ts, %s::jsonb AS before, %s::jsonb AS after"
_INSERT = """
INSERT INTO audit_log (ts, actor, action, target, before, after, reason, prev_hash, hash)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_COLUMNS = "seq, ts, actor, action, target, before, after, reason, prev_hash, hash"
_NEXT = f"SELECT {_COLUMNS} FROM audit_log WHERE seq > %s ORDER BY seq LIMIT {_PART}"  # noqa: S608 - our own words
_NEWEST = f"""
SELECT {_COLUMNS} FROM audit_log WHERE %(before)s::bigint IS NULL OR seq < %(before)s ORDER BY seq DESC LIMIT %(limit)s
"""  # noqa: S608 - our own words


def row_hash(
    prev_hash: str,
    *,
    ts: datetime,
    actor: str,
    action: str,
    target: str | None,
    before: Any,
    after: Any,
    reason: str | None,
) -> str:
    """Hash of a row that follows ``prev_hash``."""
    row = {
        "ts": ts.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": actor,
        "action": action,
        "target": target,
        "before": before,
        "after": after,
        "reason": reason,
    }
    return hashlib.sha256(prev_hash.encode() + orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody changed, with what it was before."""

    actor: str
    action: str
    target: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None


async def append(
    conn: Connection,
    *,
    actor: str,
    action: str,
    target: str | None,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str | None,
) -> None:
    """Add a row inside the caller's transaction, which must be the one of the change it tells of."""
    entry = Entry(actor, action, target, before, after, reason)
    await conn.execute(_LOCK)  # held to the end of the transaction: the chain has one end
    last = await (await conn.execute(_LAST)).fetchone()
    normal = await (await conn.execute(_NORMAL, (_json(before), _json(after)))).fetchone()
    await conn.execute(_INSERT, _sealed(entry, last, normal))


def append_blocking(conn: psycopg.Connection[Any], entry: Entry) -> None:
    """As ``append``, where the change is made through a blocking connection."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_LOCK)
        last = cursor.execute(_LAST).fetchone()
        normal = cursor.execute(_NORMAL, (_json(entry.before), _json(entry.after))).fetchone()
        cursor.execute(_INSERT, _sealed(entry, last, normal))


def _sealed(entry: Entry, last: dict[str, Any] | None, normal: dict[str, Any] | None) -> tuple[Any, ...]:
    assert normal is not None
    prev, ts = GENESIS if last is None else last["hash"], normal["ts"]
    digest = row_hash(
        prev,
        ts=ts,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        before=normal["before"],
        after=normal["after"],
        reason=entry.reason,
    )
    written = (entry.actor, entry.action, entry.target, _json(entry.before), _json(entry.after), entry.reason)
    return (ts, *written, prev, digest)


async def first_broken(conn: Connection) -> int | None:
    """``seq`` of the first row that does not follow from the one before it; None when the chain is whole."""
    prev, seq = GENESIS, 0
    while rows := await (await conn.execute(_NEXT, (seq,))).fetchall():
        for row in rows:
            fields = {name: row[name] for name in ("ts", "actor", "action", "target", "before", "after", "reason")}
            if row["prev_hash"] != prev or row["hash"] != row_hash(prev, **fields):
                return int(row["seq"])
            prev, seq = row["hash"], row["seq"]
    return None


async def newest(conn: Connection, before: int | str | None, limit: int) -> list[dict[str, Any]]:
    """Rows older than ``before`` (a ``seq``; None: all), newest first."""
    return await (await conn.execute(_NEWEST, {"before": before, "limit": limit})).fetchall()


class Chain:
    """``first_broken`` of all rows, looked at anew when the last look is half a minute old: it reads everything."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._at_ms: float | None = None
        self._found: int | None = None

    async def first_broken(self, conn: Connection) -> int | None:
        """As the function of that name."""
        async with self._turn:
            if self._at_ms is None or monotonic_ms() - self._at_ms > _KEPT_MS:
                self._found, self._at_ms = await first_broken(conn), monotonic_ms()
            return self._found


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)
