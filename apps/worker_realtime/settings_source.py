"""Which settings decide: the environment's with the newest version of the desk over them, read beside the loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from packages.common import settings_versions
from packages.common.config import Settings
from packages.common.errors import PlatformError
from packages.common.settings_versions import SettingsVersion

log = structlog.get_logger(__name__)


class SettingsSource:
    """Follows the table ``settings``. A version is written into ``settings_used`` before it is handed on; one that this
    release does not accept leaves the present one in force."""

    def __init__(self, database_url: str, base: Settings) -> None:
        self._url, self._base = database_url, base
        self._refused: int | None = None
        self._connection: psycopg.Connection[Any] | None = None  # looks' own, kept: one comes every second
        self._busy = threading.Lock()
        self.at_start = 0
        self.current = SettingsVersion(0, base)

    def start(self) -> Settings:
        """Settings to build the worker with. Raises ``SettingsError`` when what is stored does not do. Blocking."""
        with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as conn:
            found = settings_versions.newest(conn, self._base)
            settings_versions.note_taken(conn, found)
        self.current, self.at_start = found, found.version
        return found.settings

    def look(self) -> SettingsVersion:
        """Take a newer version over; returns the current one. Blocking. After ``psycopg.Error`` the next look connects
        anew."""
        with self._busy:
            try:
                return self._look(self._connected())
            except psycopg.Error:
                self._drop()
                raise

    def close(self) -> None:
        """Give the connection up, unless a look is under way in another thread."""
        if self._busy.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._busy.release()

    def _look(self, conn: psycopg.Connection[Any]) -> SettingsVersion:
        row = conn.execute("SELECT version, value FROM settings ORDER BY version DESC LIMIT 1").fetchone()
        if row is None or row[0] in (self.current.version, self._refused):
            return self.current
        try:
            found = settings_versions.stored(self._base, *row)
        except PlatformError as exc:
            self._refused = row[0]
            log.error("settings_refused", version=row[0], error=str(exc))
            return self.current
        settings_versions.note_taken(conn, found)
        self.current = found
        log.info("settings_taken", version=found.version)
        return found

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=5, options="-c statement_timeout=5000"
            )
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def follow(self, take: Callable[[SettingsVersion], None], every_s: float = 1.0) -> None:
        """Hand every new version to ``take`` until cancelled."""
        try:
            while True:
                try:
                    take(await asyncio.to_thread(self.look))
                except psycopg.Error as exc:
                    log.debug("settings_unavailable", error=type(exc).__name__)
                await asyncio.sleep(every_s)
        finally:
            self.close()
