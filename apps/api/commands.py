"""Commands to the worker: the table is the truth, the bus is the nudge.

A toggle is committed first and published after. Should the bus be away at that instant, or the worker lose the
message, the version in the table stays ahead of the one the worker acknowledges, and the command is published again.
The worker drops versions it already has, so repeating one acts once.
"""

import asyncio

import orjson
import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolClosed, PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.api.db import Connection, Pool
from apps.api.metrics import Metrics
from packages.common.time import monotonic_ms

log = structlog.get_logger(__name__)

STREAM = "commands"
_KEEP = 1000  # commands kept in the stream
_EVERY_S = 2.0
_AGAIN_AFTER_MS = 10_000
_STATE = """
SELECT t.version, t.toggle, t.reason, t.changed_by, (p.status->>'trading_version')::bigint AS acknowledged
FROM trading_state t LEFT JOIN process_status p ON p.name = 'worker_realtime' WHERE t.id = 1
"""


def toggle_command(version: int, toggle: str, reason: str | None, by: str) -> dict[str, object]:
    """The message of a toggle; its id is a function of the version."""
    return {
        "command": "trading.toggle",
        "command_id": command_id(version),
        "version": version,
        "toggle": toggle,
        "reason": reason,
        "by": by,
    }


def command_id(version: int) -> str:
    """Id of the command that carries ``version`` of the trading state."""
    return f"trading-{version}"


class CommandOutbox:
    """Publishes the newest toggle until the worker has acknowledged it."""

    def __init__(self, pool: Pool, redis: Redis, metrics: Metrics) -> None:
        self._pool, self._redis, self._metrics = pool, redis, metrics
        self._published: tuple[int, float] = (0, -_AGAIN_AFTER_MS)  # version, when

    async def publish(self, conn: Connection) -> bool:
        """Publish the newest toggle if the worker does not have it; whether it went out.

        ``conn`` is the caller's: a request that asked the pool for a second connection could wait for itself. Raises
        nothing: what did not go out is tried again by ``run``.
        """
        try:
            return await self._publish(conn)
        except (RedisError, OSError, DatabaseError) as exc:
            log.warning("command_not_published", error=str(exc))
            return False

    async def _publish(self, conn: Connection) -> bool:
        row = await (await conn.execute(_STATE)).fetchone()
        if row is None or (row["acknowledged"] or 0) >= row["version"]:
            return False
        version, at_ms = self._published
        if version == row["version"] and monotonic_ms() - at_ms < _AGAIN_AFTER_MS:
            return False
        message = toggle_command(row["version"], row["toggle"], row["reason"], row["changed_by"])
        await self._redis.xadd(STREAM, {"data": orjson.dumps(message)}, maxlen=_KEEP, approximate=True)
        self._published = (row["version"], monotonic_ms())
        self._metrics.commands.labels("trading.toggle").inc()
        return True

    async def run(self) -> None:
        """Look every two seconds until cancelled."""
        while True:
            try:
                async with self._pool.connection() as conn:
                    await self.publish(conn)
            except (DatabaseError, PoolTimeout, PoolClosed) as exc:
                log.warning("outbox_blind", error=str(exc))
            await asyncio.sleep(_EVERY_S)
