"""Signing in and out, and what somebody changes about his own sign-in.

Passwords are checked without holding a connection: who guesses must not use up what a halt needs. What was true then is
looked at once more in the transaction that acts on it. Its audit row comes last: all wait for each other there and
must hold nothing that one of them still wants.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from apps.api import audit
from apps.api.auth import accounts, sessions, totp
from apps.api.auth.errors import (
    CodeNeededError,
    LinkRefusedError,
    ScopeNeededError,
    SignInRefusedError,
    TooManyAttemptsError,
)
from apps.api.auth.identity import Identity, Kind
from apps.api.auth.passwords import Passwords, accepted
from apps.api.auth.policy import Role
from apps.api.auth.sessions import Sessions
from apps.api.auth.throttle import Throttle, network
from apps.api.auth.vault import Vault
from apps.api.db import Connection, Pool
from apps.api.errors import Condition, ConflictError, RefusedError
from packages.common.errors import InvalidInputError
from packages.common.time import wall_ms

log = structlog.get_logger(__name__)

NAME_FREE, PEER_FREE = 5, 20  # failures before waiting begins; behind one address may be several people
_FRESH = "interval '10 minutes'"  # a sign-in as young as this needs no password to add a second factor
_USER = """
SELECT user_id, name, role, password_hash, totp_secret, totp_pending, totp_step, disabled_at IS NOT NULL AS disabled
FROM users WHERE {} = %s
"""
_BY_NAME, _BY_ID = _USER.format("name"), _USER.format("user_id")
_LINK = "SELECT user_id FROM login_links WHERE token_hash = %s AND expires_at > now()"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from. ``cookie``: the session it carries, which a new one replaces."""

    host: str
    user_agent: str
    cookie: str = ""


@dataclass(slots=True)
class SignIn:
    """All of it, over one pool."""

    pool: Pool
    lookups: Sessions
    vault: Vault
    real_money: bool
    passwords: Passwords = field(default_factory=Passwords)
    throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.pool, self.vault.digest)

    # --- in and out -------------------------------------------------------------------------------------------------

    async def by_password(self, name: str, password: str, code: str | None, peer: Peer) -> str:
        """The value of a new session's cookie. Raises ``SignInRefusedError`` and ``CodeNeededError``."""
        async with self._attempt(f"name:{name}", peer):
            async with self.pool.connection() as conn:
                known = await _row(conn, _BY_NAME, name)
            right = await self.passwords.matches(password, None if known is None else known["password_hash"])
            if known is None or not right or known["disabled"]:
                # an unknown name stays out of the log: it may be a password in the wrong field
                log.warning("sign_in_refused", name=None if known is None else name, peer=peer.host)
                raise SignInRefusedError
            if known["totp_secret"] is not None and not code:
                raise CodeNeededError
            async with self.pool.connection() as conn, conn.transaction():
                user = await _locked(conn, known["user_id"])
                if user["disabled"] or user["password_hash"] != known["password_hash"]:
                    raise SignInRefusedError
                secret = await self._start(conn, user, code, peer, how="password")
        self.lookups.forget()
        return secret

    async def by_link(self, token: str, password: str | None, code: str | None, peer: Peer) -> str:
        """As ``by_password``, with a one-time link, which is used up. Where money is at stake it sets a password."""
        key = sessions.digest(token)
        async with self._attempt(f"link:{key}", peer):
            async with self.pool.connection() as conn:
                link = await _row(conn, _LINK, key)
                known = None if link is None else await _row(conn, _BY_ID, link["user_id"])
            if known is None or known["disabled"]:
                log.warning("link_refused", peer=peer.host)
                raise LinkRefusedError
            if password is None and self.real_money:
                raise InvalidInputError(
                    "password", None, "a new password of 12 or more characters: the link is good once"
                )
            if known["totp_secret"] is not None and not code:
                raise CodeNeededError
            hashed = None if password is None else await self.passwords.hash(accepted(password, known["name"]))
            async with self.pool.connection() as conn, conn.transaction():
                user = await _locked(conn, known["user_id"])
                used = await conn.execute(
                    "DELETE FROM login_links WHERE token_hash = %s AND expires_at > now()", (key,)
                )
                if used.rowcount == 0 or user["disabled"]:
                    raise LinkRefusedError
                if hashed is not None:
                    await conn.execute(
                        "UPDATE users SET password_hash = %s WHERE user_id = %s", (hashed, user["user_id"])
                    )
                    await conn.execute("DELETE FROM sessions WHERE user_id = %s", (user["user_id"],))
                secret = await self._start(conn, user, code, peer, how="link")
                if hashed is not None:
                    await _note(conn, user["name"], "password.change", after={"by": "link"})
        self.lookups.forget()
        return secret

    async def out(self, caller: Identity) -> None:
        """End the caller's session."""
        async with self.pool.connection() as conn, conn.transaction():
            await conn.execute("DELETE FROM sessions WHERE number = %s", (caller.number,))
            await _note(conn, caller.name, "session.end", str(caller.number))
        self.lookups.forget()

    # --- a second factor --------------------------------------------------------------------------------------------

    async def step_up(self, caller: Identity, code: str, name: str | None, peer: Peer) -> str | None:
        """Prove the second factor for the next five minutes; the cookie's new value, None for the command line.

        There ``name`` says which admin's code it is. A token of a script never proves anything.
        """
        if caller.kind is Kind.TOKEN:
            raise ScopeNeededError("expected somebody who is signed in: a token has no second factor")
        local = caller.kind is Kind.LOCAL
        if local and not name:
            raise InvalidInputError("name", name, "the admin whose code it is")
        key = f"code:{name if local else caller.user_id}"
        async with self._attempt(key, peer), self.pool.connection() as conn, conn.transaction():
            user = await _locked(conn, None if local else caller.user_id, name if local else None)
            if user["disabled"] or (local and user["role"] != Role.ADMIN):
                raise SignInRefusedError
            if user["totp_secret"] is None:
                raise RefusedError(f"{user['name']} has no second factor", [_NO_TOTP])
            if not await self._spend_totp(conn, user, code):
                raise SignInRefusedError
            secret = None
            if local:
                await conn.execute(
                    "UPDATE api_tokens SET stepped_up_at = now(), stepped_up_by = %s WHERE token_id = %s",
                    (user["user_id"], caller.number),
                )
            else:
                secret = await sessions.rotate(conn, caller.number, second_factor=True)
            await _note(conn, user["name"], "session.step_up", sessions.LOCAL_NAME if local else str(caller.number))
        self.lookups.forget()
        return secret

    async def start_totp(self, caller: Identity, password: str | None, peer: Peer) -> str:
        """A new secret, which counts once it is confirmed. Who signed in long ago gives the password again: a browser
        left open must not gain a second factor, and with it what needs one.
        """
        async with self.pool.connection() as conn:
            known = await _row(conn, _BY_ID, caller.user_id)
            fresh = await _row(
                conn,
                f"SELECT created_at > now() - {_FRESH} AS fresh FROM sessions WHERE number = %s",  # noqa: S608
                caller.number,
            )
        if known is None or fresh is None:
            raise SignInRefusedError
        if known["totp_secret"] is not None:
            raise RefusedError("there is a second factor already", [_HAS_TOTP])
        if known["password_hash"] is not None and not fresh["fresh"]:
            if password is None:
                raise InvalidInputError("password", None, "your password: you signed in more than ten minutes ago")
            await self._check_password(caller, known, password, peer)
        secret = totp.new_secret()
        async with self.pool.connection() as conn:
            await conn.execute(
                "UPDATE users SET totp_pending = %s WHERE user_id = %s AND totp_secret IS NULL",
                (self.vault.seal(secret), caller.user_id),
            )
        return secret

    async def confirm_totp(self, caller: Identity, code: str, peer: Peer) -> tuple[str, list[str]]:
        """(the cookie's new value, recovery codes). The user's other sessions, which never proved it, end."""
        key = f"code:{caller.user_id}"
        async with self._attempt(key, peer), self.pool.connection() as conn, conn.transaction():
            user = await _locked(conn, caller.user_id)
            if user["totp_pending"] is None or user["totp_secret"] is not None:
                raise ConflictError("there is no second factor to confirm: start one first")
            step = totp.matching_step(self.vault.open(user["totp_pending"]), code, wall_ms(), None)
            if step is None:
                raise SignInRefusedError
            await conn.execute(
                "UPDATE users SET totp_secret = totp_pending, totp_pending = NULL, totp_step = %s WHERE user_id = %s",
                (step, caller.user_id),
            )
            codes = totp.new_recovery_codes()
            for one in codes:
                await conn.execute("INSERT INTO recovery_codes VALUES (%s, %s)", (caller.user_id, sessions.digest(one)))
            await _end_others(conn, caller)
            secret = await sessions.rotate(conn, caller.number, second_factor=True)
            await _note(conn, caller.name, "totp.add", before={"totp": False}, after={"totp": True})
        self.lookups.forget()
        return secret, codes

    async def remove_totp(self, caller: Identity, code: str, peer: Peer) -> str:
        """Against a code, or a recovery code; the cookie's new value."""
        key = f"code:{caller.user_id}"
        async with self._attempt(key, peer), self.pool.connection() as conn, conn.transaction():
            user = await _locked(conn, caller.user_id)
            if user["totp_secret"] is None:
                raise RefusedError("there is no second factor", [_NO_TOTP])
            by = "code" if await self._spend_totp(conn, user, code) else "recovery code"
            if by != "code" and not await _spend_recovery(conn, user, code):
                raise SignInRefusedError
            await accounts.drop_totp(conn, user["user_id"])
            secret = await sessions.rotate(conn, caller.number)
            await _note(conn, caller.name, "totp.remove", before={"totp": True}, after={"totp": False, "by": by})
        self.lookups.forget()
        return secret

    # --- the password -----------------------------------------------------------------------------------------------

    async def change_password(self, caller: Identity, current: str | None, password: str, peer: Peer) -> str:
        """The cookie's new value; the user's other sessions end. ``current`` is needed where there is one."""
        text = accepted(password, caller.name)
        async with self.pool.connection() as conn:
            known = await _row(conn, _BY_ID, caller.user_id)
        if known is None:
            raise SignInRefusedError
        if known["password_hash"] is not None:
            if current is None:
                raise InvalidInputError("current", None, "the password until now")
            await self._check_password(caller, known, current, peer)
        hashed = await self.passwords.hash(text)
        async with self.pool.connection() as conn, conn.transaction():
            user = await _locked(conn, caller.user_id)
            if user["password_hash"] != known["password_hash"]:
                raise ConflictError("the password was changed in between")
            await conn.execute("UPDATE users SET password_hash = %s WHERE user_id = %s", (hashed, caller.user_id))
            await _end_others(conn, caller)
            secret = await sessions.rotate(conn, caller.number)
            await _note(conn, caller.name, "password.change")
        self.lookups.forget()
        return secret

    # --- parts --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _attempt(self, key: str, peer: Peer) -> AsyncIterator[None]:
        """Holds it against ``key`` and the peer if what is done within refuses a guess; any other refusal is none. An
        own account forgives no guesses at others."""
        name, now = f"peer:{network(peer.host)}", wall_ms()
        await self.throttle.begin(name, PEER_FREE, now)
        try:
            await self.throttle.begin(key, NAME_FREE, now)
        except TooManyAttemptsError:
            await self._right(name)  # it did not even try
            raise
        try:
            yield
        except (CodeNeededError, InvalidInputError, ConflictError, RefusedError):
            await self._right(key)
            await self._right(name)
            raise
        await self._right(key, forgive=True)
        await self._right(name)

    async def _right(self, key: str, *, forgive: bool = False) -> None:
        """Does not fail what was right: without a database it only counts as a failure."""
        try:
            await self.throttle.succeeded(key, forgive=forgive)
        except (DatabaseError, PoolTimeout) as exc:
            log.warning("attempt_not_forgiven", error=type(exc).__name__)

    async def _check_password(self, caller: Identity, known: dict[str, Any], password: str, peer: Peer) -> None:
        key = f"password:{caller.user_id}"
        async with self._attempt(key, peer):
            if not await self.passwords.matches(password, known["password_hash"]):
                raise SignInRefusedError

    async def _start(self, conn: Connection, user: dict[str, Any], code: str | None, peer: Peer, *, how: str) -> str:
        """A session for a user whose row is locked, after his second factor, in place of the one that came along."""
        proven, recovered = False, False
        if user["totp_secret"] is not None:
            proven = await self._spend_totp(conn, user, code or "")
            recovered = not proven and await _spend_recovery(conn, user, code or "")
            if not (proven or recovered):
                raise SignInRefusedError
        if peer.cookie:
            await conn.execute("DELETE FROM sessions WHERE session_id = %s", (sessions.digest(peer.cookie),))
        secret, number = await sessions.start(conn, user["user_id"], user_agent=peer.user_agent, second_factor=proven)
        await _note(
            conn,
            user["name"],
            "session.start",
            str(number),
            after={"by": how, "second_factor": proven, "recovery_code": recovered},
        )
        return secret

    async def _spend_totp(self, conn: Connection, user: dict[str, Any], code: str) -> bool:
        """Whether the code is right and was never given before; from now on it was."""
        step = totp.matching_step(self.vault.open(user["totp_secret"]), code, wall_ms(), user["totp_step"])
        if step is None:
            return False
        await conn.execute("UPDATE users SET totp_step = %s WHERE user_id = %s", (step, user["user_id"]))
        return True


async def _spend_recovery(conn: Connection, user: dict[str, Any], code: str) -> bool:
    fields = (user["user_id"], sessions.digest(totp.plain_code(code)))
    spent = await conn.execute("DELETE FROM recovery_codes WHERE user_id = %s AND code_hash = %s", fields)
    return spent.rowcount == 1


async def _end_others(conn: Connection, caller: Identity) -> None:
    await conn.execute("DELETE FROM sessions WHERE user_id = %s AND number <> %s", (caller.user_id, caller.number))


async def _row(conn: Connection, query: str, value: object) -> dict[str, Any] | None:
    return await (await conn.execute(query.encode(), (value,))).fetchone()


async def _locked(conn: Connection, user_id: UUID | None, name: str | None = None) -> dict[str, Any]:
    """The user's row until the transaction ends: one code cannot be spent twice at once."""
    query, value = (_BY_ID, user_id) if name is None else (_BY_NAME, name)
    found = await _row(conn, query + " FOR UPDATE", value)
    if found is None:
        raise SignInRefusedError
    return found


async def _note(
    conn: Connection, actor: str, action: str, target: str | None = None, *,
    before: dict[str, Any] | None = None, after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    await audit.append(conn, actor=actor, action=action, target=target, before=before, after=after, reason=None)


_NO_TOTP = Condition(code="NO_SECOND_FACTOR", message="add a second factor first")
_HAS_TOTP = Condition(code="HAS_SECOND_FACTOR", message="remove the one there is first")
