"""Users as an admin or the command line manages them. Each change and its audit row are one transaction."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from apps.api import audit
from apps.api.auth.policy import DEFAULT_SCOPES, Role, Scope
from apps.api.auth.sessions import LOCAL_NAME, TOKEN_PREFIX, digest, new_secret
from apps.api.db import Connection
from apps.api.errors import Condition, ConflictError, NotFoundError, RefusedError
from packages.common.errors import InvalidInputError

FIRST_ADMIN = "admin"
TOKEN_DAYS_MAX, TOKENS_MAX = 3_650, 50
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_LABEL = r"[^\x00-\x1f\x7f]{1,60}"
_ACTORS = frozenset({"system", "desk", "scheduler", "trader", "watchdog", "demo"})  # who else writes audit rows
_LINK_LIFE = "interval '24 hours'"
_USERS = """
SELECT u.user_id, u.name, u.role, u.password_hash IS NOT NULL AS password, u.totp_secret IS NOT NULL AS totp,
       u.created_at, u.disabled_at, count(s.number) AS sessions, max(s.last_seen_at) AS last_seen_at
FROM users u LEFT JOIN sessions s ON s.user_id = u.user_id AND s.expires_at > now()
     AND s.last_seen_at > now() - interval '12 hours'
WHERE %(name)s::text IS NULL OR u.name = %(name)s
GROUP BY u.user_id ORDER BY u.created_at, u.name
"""
_SESSIONS = """
SELECT number, created_at, last_seen_at, least(expires_at, last_seen_at + interval '12 hours') AS expires_at, user_agent
FROM sessions WHERE user_id = %s AND expires_at > now() AND last_seen_at > now() - interval '12 hours' ORDER BY number
"""
_TOKENS = """
SELECT token_id, name, role, scopes, created_at, expires_at, last_used_at FROM api_tokens
WHERE user_id = %s AND ended_at IS NULL AND expires_at > now() ORDER BY token_id
"""
_INSERT = """
INSERT INTO api_tokens (token_hash, user_id, name, role, scopes, expires_at)
VALUES (%s, %s, %s, %s, %s, now() + make_interval(days => %s)) RETURNING token_id
"""


# --- users ------------------------------------------------------------------------------------------------------------


async def users(conn: Connection, name: str | None = None) -> list[dict[str, Any]]:
    """All users, or the one called ``name``, oldest first; nothing secret."""
    return await (await conn.execute(_USERS, {"name": name})).fetchall()


async def user(conn: Connection, name: str) -> dict[str, Any]:
    """One of them. Raises ``NotFoundError``."""
    found = await users(conn, name)
    if not found:
        raise NotFoundError(f"name: got {name!r}, expected a user")
    return found[0]


async def add_user(conn: Connection, name: str, role: Role, *, actor: str) -> str:
    """A user who can do nothing but use the one-time link that is returned. Raises ``ConflictError``."""
    if not _NAME.fullmatch(name) or name in _ACTORS:
        expected = "at most 40 of a-z, 0-9, dot, dash and underscore, the first a letter or digit"
        raise InvalidInputError("name", name, expected)
    try:
        async with conn.transaction():
            await conn.execute(
                "INSERT INTO users (user_id, name, role) VALUES (gen_random_uuid(), %s, %s)", (name, role)
            )
            after = {"role": role.value, "disabled": False}
            await audit.append(conn, actor=actor, action="user.add", target=name, before=None, after=after, reason=None)
            return await new_link(conn, name, actor=actor)
    except UniqueViolation as exc:
        raise ConflictError(f"name: got {name!r}, expected one that is not taken") from exc


async def change_user(
    conn: Connection, name: str, *, role: Role | None = None, disabled: bool | None = None, actor: str
) -> None:
    """Another role, or disabled or not; what he is signed in with ends. The last enabled admin stays one."""
    async with conn.transaction():
        # the same rows for all who do this, so that two admins cannot demote each other at once
        rows = await (await conn.execute("SELECT * FROM users ORDER BY user_id FOR UPDATE")).fetchall()
        row = next((row for row in rows if row["name"] == name), None)
        if row is None:
            raise NotFoundError(f"name: got {name!r}, expected a user")
        before = {"role": row["role"], "disabled": row["disabled_at"] is not None}
        after = {
            "role": before["role"] if role is None else role.value,
            "disabled": before["disabled"] if disabled is None else disabled,
        }
        if after == before:
            return
        stays = after["role"] == Role.ADMIN and not after["disabled"]
        if not stays and not any(r["role"] == Role.ADMIN and r["disabled_at"] is None for r in rows if r is not row):
            raise RefusedError(f"{name} is the last enabled admin", [_LAST_ADMIN])
        await conn.execute(
            "UPDATE users SET role = %s, disabled_at = CASE WHEN %s THEN coalesce(disabled_at, now()) END "
            "WHERE user_id = %s",
            (after["role"], after["disabled"], row["user_id"]),
        )
        await _sign_out(conn, row["user_id"])
        await audit.append(
            conn, actor=actor, action="user.change", target=name, before=before, after=after, reason=None
        )


async def new_link(conn: Connection, name: str, *, actor: str) -> str:
    """A one-time link's token for 24 hours, in place of an earlier one."""
    secret = new_secret()
    async with conn.transaction():
        row = await user(conn, name)
        if row["disabled_at"] is not None:
            raise RefusedError(f"{name} is disabled", [_DISABLED])
        await conn.execute(
            "INSERT INTO login_links (token_hash, user_id, expires_at) "  # noqa: S608 - our own words
            f"VALUES (%s, %s, now() + {_LINK_LIFE}) ON CONFLICT (user_id) "
            "DO UPDATE SET token_hash = EXCLUDED.token_hash, expires_at = EXCLUDED.expires_at",
            (digest(secret), row["user_id"]),
        )
        await audit.append(conn, actor=actor, action="user.link", target=name, before=None, after=None, reason=None)
    return secret


def link(base: str, token: str) -> str:
    """What to open. The token is in the fragment, which browsers send to nobody."""
    return f"{base}/login#link={token}"


async def reset_totp(conn: Connection, name: str, *, actor: str) -> None:
    """Take the second factor away from somebody who lost it; what he is signed in with ends."""
    async with conn.transaction():
        row = await user(conn, name)
        await drop_totp(conn, row["user_id"])
        await _sign_out(conn, row["user_id"])
        before, after = {"totp": row["totp"]}, {"totp": False}
        await audit.append(
            conn, actor=actor, action="user.reset_totp", target=name, before=before, after=after, reason=None
        )


async def drop_totp(conn: Connection, user_id: UUID) -> None:
    """Inside the caller's transaction."""
    await conn.execute(
        "UPDATE users SET totp_secret = NULL, totp_pending = NULL, totp_step = NULL WHERE user_id = %s", (user_id,)
    )
    await conn.execute("DELETE FROM recovery_codes WHERE user_id = %s", (user_id,))
    await conn.execute("UPDATE sessions SET stepped_up_at = NULL WHERE user_id = %s", (user_id,))


async def sign_out(conn: Connection, name: str, *, actor: str) -> int:
    """End all sessions of a user; how many there were. An unused one-time link ends too."""
    async with conn.transaction():
        row = await user(conn, name)
        ended = await _sign_out(conn, row["user_id"])
        await audit.append(
            conn, actor=actor, action="user.sign_out", target=name, before={"sessions": ended}, after={"sessions": 0},
            reason=None,
        )  # fmt: skip
    return ended


async def _sign_out(conn: Connection, user_id: UUID) -> int:
    await conn.execute("DELETE FROM login_links WHERE user_id = %s", (user_id,))
    return (await conn.execute("DELETE FROM sessions WHERE user_id = %s", (user_id,))).rowcount


async def first_admin(conn: Connection) -> str | None:
    """Make the first admin where there is nobody; the name of the oldest enabled admin, None when there is none."""
    async with conn.transaction():
        await conn.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
        found = await users(conn)
        if not found:
            await add_user(conn, FIRST_ADMIN, Role.ADMIN, actor="system")
            return FIRST_ADMIN
    return next((row["name"] for row in found if row["role"] == Role.ADMIN and row["disabled_at"] is None), None)


async def password_held(conn: Connection) -> bool:
    """Whether anybody could sign in with a password."""
    query = "SELECT 1 FROM users WHERE password_hash IS NOT NULL AND disabled_at IS NULL LIMIT 1"
    return await (await conn.execute(query)).fetchone() is not None


# --- sessions and tokens ----------------------------------------------------------------------------------------------


async def sessions(conn: Connection, user_id: UUID) -> list[dict[str, Any]]:
    """Where somebody is signed in, oldest first."""
    return await (await conn.execute(_SESSIONS, (user_id,))).fetchall()


async def end_session(conn: Connection, user_id: UUID, number: int, *, actor: str) -> None:
    """Sign out one browser of the user. Raises ``NotFoundError``."""
    async with conn.transaction():
        ended = await conn.execute("DELETE FROM sessions WHERE user_id = %s AND number = %s", (user_id, number))
        if ended.rowcount == 0:
            raise NotFoundError(f"id: got {number}, expected one of the user's sessions")
        await audit.append(
            conn, actor=actor, action="session.end", target=str(number), before=None, after=None, reason=None
        )


async def tokens(conn: Connection, user_id: UUID) -> list[dict[str, Any]]:
    """Somebody's tokens that still count, oldest first."""
    return await (await conn.execute(_TOKENS, (user_id,))).fetchall()


async def add_token(
    conn: Connection, owner: str, name: str, role: Role, scopes: Iterable[Scope] | None, days: int, *, actor: str
) -> tuple[int, str]:
    """(id, the token, which is not kept). At most of its owner's role, which caps it at each use too; ``scopes`` None:
    those of the role. Raises ``NotFoundError``, ``InvalidInputError`` and ``RefusedError``."""
    secret = TOKEN_PREFIX + new_secret()
    if not re.fullmatch(_LABEL, name):
        raise InvalidInputError("name", name, "1 to 60 printable characters")
    scopes = sorted(set(scopes or DEFAULT_SCOPES[role]), key=list(Scope).index)
    async with conn.transaction():
        row = await user(conn, owner)
        user_id = row["user_id"]
        if row["disabled_at"] is not None:
            raise RefusedError(f"{owner} is disabled", [_DISABLED])
        if role.rank > Role(row["role"]).rank:
            raise InvalidInputError("role", role.value, f"at most that of {owner}, who is {row['role']}")
        if len(await tokens(conn, user_id)) >= TOKENS_MAX:
            raise RefusedError(f"there are {TOKENS_MAX} tokens: end one first", [_TOO_MANY_TOKENS])
        fields = (digest(secret), user_id, name, role, [scope.value for scope in scopes], days)
        made = await (await conn.execute(_INSERT, fields)).fetchone()
        assert made is not None
        after = {"name": name, "role": role.value, "scopes": [scope.value for scope in scopes], "days": days}
        await audit.append(
            conn, actor=actor, action="token.add", target=str(made["token_id"]), before=None, after=after, reason=None
        )
    return int(made["token_id"]), secret


async def end_token(conn: Connection, user_id: UUID, token_id: int, *, actor: str) -> None:
    """It counts no more. Raises ``NotFoundError``."""
    async with conn.transaction():
        ended = await conn.execute(
            "UPDATE api_tokens SET ended_at = now() WHERE user_id = %s AND token_id = %s AND ended_at IS NULL",
            (user_id, token_id),
        )
        if ended.rowcount == 0:
            raise NotFoundError(f"id: got {token_id}, expected one of the user's tokens")
        await audit.append(
            conn, actor=actor, action="token.end", target=str(token_id), before=None, after=None, reason=None
        )


async def local_token(conn: Connection) -> str:
    """A token for the command line of this machine, in place of the one of the last start."""
    secret = TOKEN_PREFIX + new_secret()
    async with conn.transaction():
        await conn.execute("DELETE FROM api_tokens WHERE user_id IS NULL")
        await conn.execute(_INSERT, (digest(secret), None, LOCAL_NAME, Role.ADMIN, list(Scope), TOKEN_DAYS_MAX))
    return secret


_LAST_ADMIN = Condition(code="LAST_ADMIN", message="make somebody else an admin first")
_DISABLED = Condition(code="USER_DISABLED", message="enable the user first")
_TOO_MANY_TOKENS = Condition(code="TOO_MANY_TOKENS", message="end one first")
