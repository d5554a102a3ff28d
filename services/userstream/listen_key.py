"""The listenKey's life: made, kept alive, replaced when it is lost; never deleted, for that ends every reader's stream.

A key that expires leaves its stream open and silent (incident 5), so each change is told: the reader reconnects and
takes REST snapshots.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from packages.common.errors import VenueError, VenueRejectedError
from packages.common.time import MINUTE_MS, Clock
from services.userstream.ports import ListenKeyVenue

NO_SUCH_KEY = -1125
KEEP_EVERY_MS = 20 * MINUTE_MS
RETRY_MS = 10_000
LIFE_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Read ``key`` from now on; None: there is none, entries must wait."""

    key: str | None
    reason: Literal["created", "replaced", "expired", "unreachable"]


async def keep(venue: ListenKeyVenue, clock: Clock) -> AsyncIterator[KeyChange]:
    """Yield each change of the key, for ever. Fails only with ``VenueRejectedError`` that is not about the key."""
    key: str | None = None
    kept_ms = 0
    told_lost = False
    while True:
        try:
            now_key = await venue.create_listen_key() if key is None else await venue.keep_listen_key()
        except VenueRejectedError as exc:
            if exc.venue_code != NO_SUCH_KEY or key is None:
                raise
            key = None
            yield KeyChange(None, "expired")
            continue
        except VenueError:
            if not told_lost and (key is None or clock.now_ms() - kept_ms >= LIFE_MS):
                key, told_lost = None, True
                yield KeyChange(None, "unreachable")
            await clock.sleep(RETRY_MS)
            continue
        kept_ms, told_lost = clock.now_ms(), False
        if now_key != key:
            reason: Literal["created", "replaced"] = "created" if key is None else "replaced"
            key = now_key
            yield KeyChange(key, reason)
        await clock.sleep(KEEP_EVERY_MS)
