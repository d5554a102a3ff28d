"""Which settings decide: the environment's with the newest version of the desk over them, read beside the loop."""

import asyncio
from collections.abc import Callable

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
        """Take a newer version over; returns the current one. Blocking."""
        with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as conn:
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

    async def follow(self, take: Callable[[SettingsVersion], None], every_s: float = 1.0) -> None:
        """Hand every new version to ``take`` until cancelled."""
        while True:
            try:
                take(await asyncio.to_thread(self.look))
            except psycopg.Error as exc:
                log.debug("settings_unavailable", error=type(exc).__name__)
            await asyncio.sleep(every_s)
