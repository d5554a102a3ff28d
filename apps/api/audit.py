"""The chain of audit rows: each hash covers the row and the hash before it, so that no row can be changed or cut out.

``hash = sha256(prev_hash || canonical row)``, the canonical row being JSON with sorted keys and no blanks of ts, actor,
action, target, before, after and reason, as the database gives them back. The first row follows ``GENESIS``.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from apps.api.db import Connection

GENESIS = "0" * 64
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('audit_log'))"
_LAST = "SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1"
# Through JSONB before it is hashed: the database normalises numbers and keys, and a verifier reads only that.
_NORMAL = "SELECT clock_timestamp() AS ts, %s::jsonb AS before, %s::jsonb AS after"
_INSERT = """
INSERT INTO audit_log (ts, actor, action, target, before, after, reason, prev_hash, hash)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ALL = "SELECT seq, ts, actor, action, target, before, after, reason, prev_hash, hash FROM audit_log ORDER BY seq"


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
    await conn.execute(_LOCK)  # held to the end of the transaction: the chain has one end
    last = await (await conn.execute(_LAST)).fetchone()
    prev = GENESIS if last is None else last["hash"]
    normal = await (await conn.execute(_NORMAL, (_json(before), _json(after)))).fetchone()
    assert normal is not None
    ts = normal["ts"]
    digest = row_hash(
        prev,
        ts=ts,
        actor=actor,
        action=action,
        target=target,
        before=normal["before"],
        after=normal["after"],
        reason=reason,
    )
    await conn.execute(_INSERT, (ts, actor, action, target, _json(before), _json(after), reason, prev, digest))


async def first_broken(conn: Connection) -> int | None:
    """``seq`` of the first row that does not follow from the one before it; None when the chain is whole."""
    prev = GENESIS
    async with conn.cursor() as cursor:
        await cursor.execute(_ALL)
        async for row in cursor:
            fields = {name: row[name] for name in ("ts", "actor", "action", "target", "before", "after", "reason")}
            if row["prev_hash"] != prev or row["hash"] != row_hash(prev, **fields):
                return int(row["seq"])
            prev = row["hash"]
    return None


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)
