"""Channels of §19.2: how each is conflated, and where its snapshot comes from."""

from collections.abc import Sequence
from enum import StrEnum

import orjson
from pydantic import BaseModel

from apps.api.db import Connection, Pool
from apps.api.params import LATEST_MS, Span
from apps.api.queries import account, orders, positions, risk, rl, signals, status, training
from packages.common.config import Settings


class Kind(StrEnum):
    STATE = "state"  # each message is complete: the newest replaces what was not yet sent
    KEYED = "keyed"  # as state, but a message may hold only some symbols: they are merged before they go out
    EVENTS = "events"  # messages add up: what was not yet sent is joined into one list


CHANNELS: dict[str, Kind] = {
    "status_updates": Kind.STATE,
    "account_updates": Kind.STATE,
    "position_updates": Kind.STATE,
    "order_updates": Kind.EVENTS,
    "signal_updates": Kind.KEYED,
    "risk_events": Kind.EVENTS,
    "training_updates": Kind.EVENTS,
    "rl_decisions": Kind.EVENTS,
}
# The worker's last word may be old news: its health is always asked of the tables.
ALWAYS_READ = frozenset({"status_updates"})
_EVENTS_SHOWN = 100
_ALL_TIME = Span(0, LATEST_MS)


class Snapshots:
    """The current state of a channel from Postgres, as JSON."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings

    async def read(self, channel: str) -> bytes:
        """JSON of ``channel`` as its next update would carry it; a list without entries while there is no account."""
        async with self._pool.connection() as conn:
            match channel:
                case "status_updates":
                    return _json(await status.status(conn, self._settings))
                case "account_updates":
                    read = [await account.latest(conn, mode) for mode in await _accounts(conn)]
                    return _json([one for one in read if one is not None])
                case "position_updates":
                    return _json([one for mode in await _accounts(conn) for one in await positions.latest(conn, mode)])
                case "signal_updates":
                    found = await signals.latest(conn, "shadow", sort="universe", limit=1000, blocked=None)
                    return _json(found.items)
                case "order_updates":
                    page = await orders.orders(
                        conn, _ALL_TIME, mode=None, symbol=None, cursor=None, limit=_EVENTS_SHOWN
                    )
                    return _json(page.items)
                case "risk_events":
                    return _json(await risk.events(conn, _EVENTS_SHOWN))
                case "training_updates":
                    return _json(
                        (await training.jobs(conn, kind=None, status=None, cursor=None, limit=_EVENTS_SHOWN))[0]
                    )
                case "rl_decisions":
                    return _json((await rl.decisions(conn, symbol=None, cursor=None, limit=_EVENTS_SHOWN))[0])
        raise ValueError(f"channel: got {channel!r}, expected one of {', '.join(CHANNELS)}")


async def _accounts(conn: Connection) -> tuple[str, ...]:
    """Modes of the accounts that are kept now; what a live account held when it was last traded is history."""
    return ("shadow",) if await status.live(conn) is None else ("shadow", "live")


def _json(value: BaseModel | Sequence[BaseModel]) -> bytes:
    if isinstance(value, BaseModel):
        return orjson.dumps(value.model_dump())
    return orjson.dumps([item.model_dump() for item in value])
