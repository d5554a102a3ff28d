"""Who guesses has to wait: after some failures longer each time, never for ever. Kept in the database, so that a new
start of the API forgives nothing; times are this machine's wall clock."""

import ipaddress
from collections.abc import Callable
from typing import LiteralString

from apps.api.auth.errors import TooManyAttemptsError
from apps.api.db import Pool
from packages.common.time import to_datetime

# Beyond five minutes in the future nobody has tried: the clock was set back.
_FORGOTTEN: LiteralString = "a.last_at NOT BETWEEN %(now)s - interval '15 min' AND %(now)s + interval '5 min'"
_UNTIL: LiteralString = "a.last_at + least(power(2, least(a.failures - %(free)s, 20)), 300) * interval '1 s'"
# One statement: of many attempts at once each sees those before it.
_BEGIN: LiteralString = f"""
INSERT INTO sign_in_attempts AS a (key_digest, failures, last_at) VALUES (%(key)s, 1, %(now)s)
ON CONFLICT (key_digest) DO UPDATE
SET failures = CASE WHEN {_FORGOTTEN} THEN 1 ELSE a.failures + 1 END, last_at = %(now)s
WHERE a.failures < %(free)s OR {_FORGOTTEN} OR %(now)s >= {_UNTIL}
RETURNING failures
"""  # noqa: S608 - only literals are put together
_WAIT: LiteralString = f"""
SELECT greatest(1, ceil(extract(epoch FROM {_UNTIL} - %(now)s)))::int AS seconds FROM sign_in_attempts a
WHERE key_digest = %(key)s
"""  # noqa: S608 - only literals are put together
_FORGIVE: LiteralString = "DELETE FROM sign_in_attempts WHERE key_digest = %s"
_TAKE_BACK: LiteralString = "UPDATE sign_in_attempts SET failures = greatest(0, failures - 1) WHERE key_digest = %s"
_SWEEP: LiteralString = """
DELETE FROM sign_in_attempts WHERE key_digest IN (
  SELECT key_digest FROM sign_in_attempts WHERE last_at < %s - interval '15 min' LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""


class Throttle:
    """Failures by key. The first ``free`` cost nothing, the next a second, then twice as long each up to five minutes;
    fifteen quiet minutes are forgotten. An attempt counts when it begins, so that many at once are not one.

    ``digest`` hides what a key says, which may be a password in the wrong field.
    """

    def __init__(self, pool: Pool, digest: Callable[[str], bytes]) -> None:
        self._pool, self._digest = pool, digest

    async def begin(self, key: str, free: int, now_ms: int) -> None:
        """An attempt, taken for a failure until ``succeeded``. Raises ``TooManyAttemptsError``."""
        now = to_datetime(now_ms)
        params = {"key": self._digest(key), "free": free, "now": now}
        async with self._pool.connection() as conn:
            if await (await conn.execute(_BEGIN, params)).fetchone() is None:
                row = await (await conn.execute(_WAIT, params)).fetchone()
                raise TooManyAttemptsError(1 if row is None else row["seconds"])
            await conn.execute(_SWEEP, (now,))

    async def succeeded(self, key: str, *, forgive: bool) -> None:
        """The attempt was right: it does not count; ``forgive``: nor do those before it."""
        async with self._pool.connection() as conn:
            await conn.execute(_FORGIVE if forgive else _TAKE_BACK, (self._digest(key),))


def network(host: str) -> str:
    """Whom an address belongs to: itself, of IPv6 its /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
