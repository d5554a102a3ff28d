"""What an operator asks of one symbol: a row that the worker answers, audited."""

from typing import Any, LiteralString

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto import CommandKind, DeskCommandDTO
from apps.api.params import decode_cursor, encode_cursor
from apps.api.queries.rows import iso_at, iso_of

_WAITING = "SELECT * FROM desk_commands WHERE answered_at IS NULL AND kind = %s AND symbol = %s LIMIT 1"
_INSERT = "INSERT INTO desk_commands (author, kind, symbol, reason) VALUES (%s, %s, %s, %s) RETURNING *"
_NEWEST: LiteralString = """
SELECT * FROM desk_commands WHERE %(before)s::bigint IS NULL OR command_id < %(before)s
ORDER BY command_id DESC LIMIT %(rows)s
"""
_KNOWN = "SELECT 1 FROM instruments WHERE symbol = %s"


async def known(conn: Connection, symbol: str) -> bool:
    """Whether the desk has heard of ``symbol``."""
    return await (await conn.execute(_KNOWN, (symbol,))).fetchone() is not None


async def ask(conn: Connection, kind: CommandKind, symbol: str, reason: str, *, actor: str) -> DeskCommandDTO:
    """Write the command and its audit row in one transaction. The same one while it waits for its answer is one."""
    async with conn.transaction():
        await conn.execute("LOCK TABLE desk_commands IN SHARE ROW EXCLUSIVE MODE")
        waiting = await (await conn.execute(_WAITING, (kind, symbol))).fetchone()
        if waiting is not None:
            return _command(waiting)
        row = await (await conn.execute(_INSERT, (actor, kind, symbol, reason))).fetchone()
        assert row is not None
        await audit.append(
            conn,
            actor=actor,
            action=f"desk.{kind}",
            target=symbol,
            before=None,
            after={"command_id": row["command_id"]},
            reason=reason,
        )
        return _command(row)


async def newest(conn: Connection, *, cursor: str | None, limit: int) -> tuple[list[DeskCommandDTO], str | None]:
    """Newest first, and the cursor of the next page."""
    before = decode_cursor(cursor, (int,))[0] if cursor else None
    rows = await (await conn.execute(_NEWEST, {"before": before, "rows": limit + 1})).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    return [_command(row) for row in rows], encode_cursor(rows[-1]["command_id"]) if more else None


def _command(row: dict[str, Any]) -> DeskCommandDTO:
    outcome = row["outcome"]
    state = "waiting" if row["answered_at"] is None else "done" if outcome == "done" else "refused"
    return DeskCommandDTO(
        command_id=row["command_id"],
        created_at=iso_of(row["created_at"]),
        author=row["author"],
        kind=row["kind"],
        symbol=row["symbol"],
        reason=row["reason"],
        state=state,
        answered_at=iso_at(row["answered_at"]),
        outcome=outcome,
    )
