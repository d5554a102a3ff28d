"""The trading lease: an advisory lock on a connection of its own, checked every second (execution.md 18).

It is not a fence: who wants to enter asks ``fresh`` first. Exits and stops never need it.
"""

import asyncio

import psycopg
import structlog

from packages.common.time import monotonic_ms

log = structlog.get_logger(__name__)

LEASE_KEY = 0x50455250  # "PERP"
FRESH_MS = 2_000.0


class TradingLease:
    """Holds the lock while its connection lives; takes it again after the database was away."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.AsyncConnection | None = None
        self._checked_mono_ms = -1e18
        self._held_since_mono_ms: float | None = None

    @property
    def held_ms(self) -> float | None:
        """For how long the lock has been ours without a break, by the monotonic clock; None when it is not."""
        since = self._held_since_mono_ms
        return monotonic_ms() - since if since is not None and self.fresh else None

    @property
    def age_ms(self) -> float | None:
        """Since the lock was last seen held, by the monotonic clock; None when it is not ours."""
        age = monotonic_ms() - self._checked_mono_ms
        return age if age < 1e9 else None

    @property
    def fresh(self) -> bool:
        """True when the lock was seen held within the last two seconds of the monotonic clock."""
        return monotonic_ms() - self._checked_mono_ms <= FRESH_MS

    async def run(self, every_s: float = 1.0) -> None:
        """Take, hold and re-take the lease until cancelled."""
        refused = False
        try:
            while True:
                try:
                    held = await self._check()
                except (psycopg.Error, OSError, TimeoutError) as exc:
                    log.warning("lease_lost", error=type(exc).__name__)
                    await self._drop()
                    held = False
                if held:
                    self._checked_mono_ms = monotonic_ms()
                    if self._held_since_mono_ms is None:
                        self._held_since_mono_ms = self._checked_mono_ms
                    refused = False
                else:
                    self._held_since_mono_ms = None
                if not held and self._connection is not None and not refused:
                    refused = True
                    log.warning("lease_held_by_another", expected="one realtime worker on one database")
                await asyncio.sleep(every_s)
        finally:
            await self._drop()

    async def _check(self) -> bool:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5)
        async with asyncio.timeout(5):
            cursor = await self._connection.execute(
                "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 "
                "AND objid = %(key)s AND pid = pg_backend_pid() AND granted) THEN true "
                "ELSE pg_try_advisory_lock(%(key)s) END",
                {"key": LEASE_KEY},
            )
            row = await cursor.fetchone()
        return bool(row and row[0])

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._checked_mono_ms = -1e18
        self._held_since_mono_ms = None
        if connection is not None:
            try:
                await connection.close()
            except psycopg.Error as exc:
                log.debug("lease_close_failed", error=type(exc).__name__)
