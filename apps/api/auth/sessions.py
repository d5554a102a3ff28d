"""Sessions and tokens: made from 256 random bits, kept as their hash, looked up at every request.

A lookup is kept for a second, and who asks while it is under way waits for the same: a screen's many requests, and its
many sockets after a restart, are one query. Whoever changes a session here forgets what was kept; a change made
elsewhere (the command line) counts a second later.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from apps.api.auth.identity import Identity, Kind
from apps.api.auth.policy import Role, Scope
from apps.api.db import Connection, Pool
from apps.api.flights import Flights
from packages.common.time import MINUTE_MS, monotonic_ms

COOKIE = "pp_session"
TOKEN_PREFIX = "pp_"  # noqa: S105 - no secret: how one is recognised
LOCAL_NAME = "command line"
LIFE_S, STEP_UP_MS = 7 * 86_400, 5 * MINUTE_MS
_KEPT_MS, _KEPT_MAX = 1_000.0, 2_048
_Read = Callable[[Connection, str], Awaitable[Identity | None]]
_USER_AGENT_MAX = 200

_VALID = "s.expires_at > now() AND s.last_seen_at > now() - interval '12 hours' AND u.disabled_at IS NULL"
_SESSION = f"""
SELECT s.number, s.session_id = %(hash)s AS current, u.user_id, u.name, u.role,
       u.totp_secret IS NOT NULL AS totp, u.password_hash IS NOT NULL AS password,
       (extract(epoch FROM s.stepped_up_at) * 1000)::bigint AS proven_ms,
       s.last_seen_at < now() - interval '1 minute' AS unseen
FROM sessions s JOIN users u USING (user_id)
WHERE (s.session_id = %(hash)s OR s.previous_id = %(hash)s AND s.changed_at > now() - interval '10 seconds')
AND {_VALID}
"""  # noqa: S608 - our own words
_SEEN = "UPDATE sessions SET last_seen_at = now() WHERE number = %s"
_TOKENS = """
SELECT t.token_id AS number, t.user_id, coalesce(u.name, t.name) AS name, t.role, u.role AS owner_role, t.scopes,
       u.totp_secret IS NOT NULL AS totp, p.name AS proven_by,
       (extract(epoch FROM t.stepped_up_at) * 1000)::bigint AS proven_ms,
       coalesce(t.last_used_at < now() - interval '1 minute', true) AS unseen
FROM api_tokens t LEFT JOIN users u USING (user_id)
LEFT JOIN users p ON p.user_id = t.stepped_up_by AND p.disabled_at IS NULL AND p.role = 'admin'
WHERE t.token_hash = %s AND t.expires_at > now() AND t.ended_at IS NULL AND u.disabled_at IS NULL
"""
_USED = "UPDATE api_tokens SET last_used_at = now() WHERE token_id = %s"
_OPEN = f"""
SELECT 'session' AS kind, s.number FROM sessions s JOIN users u USING (user_id)
WHERE s.number = ANY(%(sessions)s) AND {_VALID}
UNION ALL
SELECT 'token', t.token_id FROM api_tokens t LEFT JOIN users u USING (user_id)
WHERE t.token_id = ANY(%(tokens)s) AND t.expires_at > now() AND t.ended_at IS NULL AND u.disabled_at IS NULL
"""  # noqa: S608 - our own words
_START = """
INSERT INTO sessions (session_id, user_id, expires_at, user_agent, stepped_up_at)
VALUES (%s, %s, now() + make_interval(secs => %s), %s, CASE WHEN %s THEN now() END) RETURNING number
"""
_SWEEP = "DELETE FROM sessions WHERE expires_at < now() OR last_seen_at < now() - interval '12 hours'"
_ROTATE = """
UPDATE sessions SET session_id = %s, previous_id = session_id, changed_at = now(),
       stepped_up_at = CASE WHEN %s THEN now() ELSE stepped_up_at END WHERE number = %s
"""


def new_secret() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a secret of 256 random bits: its sha256. (A password, which is guessable, gets argon2id.)"""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def csrf_of(session: str) -> str:
    """The token that our page, which alone can read it, sends with every change."""
    return hmac.new(session.encode("utf-8", "surrogateescape"), b"csrf", hashlib.sha256).hexdigest()


async def start(conn: Connection, user_id: UUID, *, user_agent: str, second_factor: bool) -> tuple[str, int]:
    """A new session: (cookie's value, number). Old ones are swept."""
    await conn.execute(_SWEEP)
    secret = new_secret()
    row = await (
        await conn.execute(_START, (digest(secret), user_id, LIFE_S, user_agent[:_USER_AGENT_MAX], second_factor))
    ).fetchone()
    assert row is not None
    return secret, int(row["number"])


async def rotate(conn: Connection, number: int, *, second_factor: bool = False) -> str:
    """The same session under a new value, because its rights changed. The old one reads for ten seconds more: requests
    under way carry it."""
    secret = new_secret()
    await conn.execute(_ROTATE, (digest(secret), second_factor, number))
    return secret


class Sessions:
    """Lookups of one process."""

    def __init__(self, pool: Pool, *, real_money: bool) -> None:
        self._pool, self._real_money = pool, real_money
        self._kept: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._flights = Flights[Identity | None]()

    def forget(self) -> None:
        """Look everything up anew."""
        self._kept = OrderedDict()  # a new one: what a lookup under way finds is kept in the old one, for nobody
        self._flights.forget()

    async def of_cookie(self, secret: str) -> Identity | None:
        """Whose session this is; None when it is none, or has ended."""
        return await self._find(digest(secret), self._session)

    async def of_token(self, secret: str) -> Identity | None:
        """Whose token this is; None when it is none, or has ended."""
        return await self._find(digest(secret), self._token)

    async def ended(self, callers: Iterable[Identity]) -> set[tuple[bool, int]]:
        """Those of ``callers`` who are no longer signed in, as (is a session, number)."""
        held = {(caller.kind is Kind.SESSION, caller.number) for caller in callers}
        if not held:
            return set()
        asked = {
            "sessions": [number for session, number in held if session],
            "tokens": [number for session, number in held if not session],
        }
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(_OPEN, asked)).fetchall()
        return held - {(row["kind"] == "session", row["number"]) for row in rows}

    async def _find(self, key: str, read: _Read) -> Identity | None:
        kept = self._kept.get(key)
        if kept is not None and monotonic_ms() - kept[0] < _KEPT_MS:
            return kept[1]
        return await self._flights.join(key, lambda: self._look_up(key, read))

    async def _look_up(
        self, key: str, read: Callable[[Connection, str], Awaitable[Identity | None]]
    ) -> Identity | None:
        kept, at = self._kept, monotonic_ms()
        async with self._pool.connection() as conn:
            found = await read(conn, key)
        kept.pop(key, None)
        if found is not None:
            kept[key] = (at, found)
            if len(kept) > _KEPT_MAX:
                kept.popitem(last=False)
        return found

    async def _session(self, conn: Connection, key: str) -> Identity | None:
        row = await (await conn.execute(_SESSION, {"hash": key})).fetchone()
        if row is None:
            return None
        if row["unseen"]:
            await conn.execute(_SEEN, (row["number"],))
        return Identity(
            name=row["name"],
            role=Role(row["role"]),
            kind=Kind.SESSION,
            number=row["number"],
            real_money=self._real_money,
            user_id=row["user_id"],
            totp=row["totp"],
            password=row["password"],
            proven_until_ms=_until(row["proven_ms"]) if row["current"] else 0,
            passing=not row["current"],
        )

    async def _token(self, conn: Connection, key: str) -> Identity | None:
        row = await (await conn.execute(_TOKENS, (key,))).fetchone()
        if row is None:
            return None
        if row["unseen"]:
            await conn.execute(_USED, (row["number"],))
        local = row["user_id"] is None
        role = Role(row["role"])
        if not local:
            role = min(role, Role(row["owner_role"]), key=lambda one: one.rank)
        proven = row["proven_by"] if local else None
        return Identity(
            name=f"{row['name']} ({proven})" if proven else row["name"],
            role=role,
            kind=Kind.LOCAL if local else Kind.TOKEN,
            number=row["number"],
            real_money=self._real_money,
            user_id=row["user_id"],
            scopes=frozenset(Scope) if local else frozenset(row["scopes"]),
            totp=bool(row["totp"]),
            proven_until_ms=0 if proven is None else _until(row["proven_ms"]),
            proven_by=proven,
        )


def _until(proven_ms: int | None) -> int:
    return 0 if proven_ms is None else proven_ms + STEP_UP_MS
