"""The worker's own line to the desk's tables: what it is told (trading_state) and what it tells (process_status)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
import structlog

from packages.common.db import connect_async
from packages.common.errors import StoreUnavailableError
from packages.common.time import monotonic_ms, to_datetime, wall_ms

log = structlog.get_logger(__name__)

NAME = "worker_realtime"
GATE_CHANNEL, RESTART_CHANNEL = "gate_wanted", "restart_wanted"
_PAUSED = """
SELECT symbol FROM (SELECT DISTINCT ON (symbol) symbol, kind FROM desk_commands WHERE kind IN ('pause', 'unpause')
                    ORDER BY symbol, command_id DESC) newest
WHERE kind = 'pause'
"""
_LOST = (psycopg.Error, OSError, TimeoutError, StoreUnavailableError)


@dataclass(frozen=True, slots=True)
class TradingState:
    """The one row of trading_state."""

    toggle: str = "off"
    kill_switch: str = "RUNNING"
    version: int = 0
    changed_by: str = "system"
    reason: str = ""


class SwitchRow:
    """What the desk's row last said of the kill-switch, read or written by us, to tell an operator's move from ours."""

    def __init__(self, state: TradingState) -> None:
        self._read = state
        self.word, self._version = state.kill_switch, state.version

    def wrote(self, word: str, version: int) -> None:
        """Our own last word counts as read: what an operator makes of it is a move from there."""
        self.word, self._version = word, version

    def moved_from(self, state: TradingState, *, ours: str) -> str | None:
        """The word that an operator moved the switch from, None when nobody moved it since the last look.

        A row that went back (a backup, a read that our own word overtook) may halt, but clears nothing.
        """
        if state is self._read:
            return None  # not read again: it may be older than what we wrote
        self._read = state
        newer = state.version > self._version
        seen, self.word, self._version = self.word, state.kill_switch, state.version
        moved = state.kill_switch != seen and state.changed_by != ours
        return seen if moved and (newer or state.kill_switch != "RUNNING") else None


@dataclass(frozen=True, slots=True)
class DeskCommand:
    """A row of desk_commands that nobody has answered: ``close``, ``pause`` or ``unpause`` one symbol."""

    command_id: int
    kind: str
    symbol: str
    author: str
    age_s: float  # of wall time, by the database's clock


class DeskLink:
    """Polls and beats on one connection, for ever. While the database is away the last state known stands."""

    def __init__(self, database_url: str, status: Callable[[], dict[str, Any]]) -> None:
        self._url, self._status = database_url, status
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._seen_mono_ms = -1e18
        self._commands: list[DeskCommand] = []
        self._taken: set[int] = set()
        self.state = TradingState()
        self.paused: frozenset[str] = frozenset()  # symbols without new entries: a restart must not forget them
        self.gate_wanted = asyncio.Event()  # somebody asks for the account's conditions as they are now
        self.restart_wanted = asyncio.Event()  # an admin wants this process to begin anew

    @property
    def fresh(self) -> bool:
        """True when the database answered within the last three seconds."""
        return monotonic_ms() - self._seen_mono_ms <= 3_000

    async def run(self, every_s: float = 0.5) -> None:
        """Beat until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(5):
                        await self._beat()
                    self._seen_mono_ms = monotonic_ms()
                except _LOST as exc:
                    log.debug("desk_link_lost", error=type(exc).__name__)
                    await self._drop()
                await asyncio.sleep(every_s)
        finally:
            await self._drop()

    async def arm_shadow(self) -> None:
        """Turn shadow on when nobody has touched the toggle yet: data is whole (D35)."""
        if self._connection is None or self.state.toggle != "off" or self.state.version != 0:
            return
        try:
            await self._connection.execute(
                "UPDATE trading_state SET toggle = 'shadow', changed_by = 'system', reason = 'data is whole', "
                "changed_at = now(), version = 1 WHERE toggle = 'off' AND version = 0"
            )
        except _LOST as exc:
            log.debug("desk_link_lost", error=type(exc).__name__)

    def take_commands(self) -> list[DeskCommand]:
        """Commands not taken yet, each given once; ``answer`` each of them."""
        commands, self._commands = self._commands, []
        self._taken |= {command.command_id for command in commands}
        return commands

    async def answer(self, command: DeskCommand, outcome: str) -> None:
        """Say what came of a command. Lost with the database: it is then given again by the next process."""
        await self._tell(
            "UPDATE desk_commands SET answered_at = now(), outcome = %s WHERE command_id = %s",
            (outcome, command.command_id),
        )

    async def report_latch(self, word: str, code: str, author: str) -> int | None:
        """Write the kill-switch's present word into the desk's row; its version then, None when it was not written:
        the database is away, or somebody wrote the row since it was read."""
        cursor = await self._tell(
            "UPDATE trading_state SET kill_switch = %s, reason = %s, changed_by = %s, changed_at = now(), "
            "version = version + 1 WHERE kill_switch <> %s AND version = %s RETURNING version",
            (word, code or "cleared", author, word, self.state.version),
        )
        row = None if cursor is None else await cursor.fetchone()
        return None if row is None else int(row[0])

    async def _tell(self, query: str, values: tuple[Any, ...]) -> psycopg.AsyncCursor[Any] | None:
        if self._connection is None:
            return None
        try:
            async with asyncio.timeout(5):
                return await self._connection.execute(query, values)
        except _LOST as exc:
            log.debug("desk_link_lost", error=type(exc).__name__)
            return None

    async def _beat(self) -> None:
        if self._connection is None:
            self._connection = await connect_async(self._url, autocommit=True, timeout_s=5)
            wanted = {GATE_CHANNEL: self.gate_wanted, RESTART_CHANNEL: self.restart_wanted}
            self._connection.add_notify_handler(lambda told: wanted[told.channel].set())
            for channel in wanted:
                await self._connection.execute(f"LISTEN {channel}")
        cursor = await self._connection.execute(
            "SELECT toggle, kill_switch, version, changed_by, coalesce(reason, '') FROM trading_state"
        )
        row = await cursor.fetchone()
        if row is not None:
            state = TradingState(*row)
            if state != self.state:
                log.info("trading_state", toggle=state.toggle, kill_switch=state.kill_switch, version=state.version)
            self.state = state
        cursor = await self._connection.execute(
            "SELECT command_id, kind, symbol, author, extract(epoch FROM now() - created_at)::float8 "
            "FROM desk_commands WHERE answered_at IS NULL ORDER BY command_id"
        )
        waiting = [DeskCommand(*row) for row in await cursor.fetchall()]
        self._commands = [command for command in waiting if command.command_id not in self._taken]
        self._taken &= {command.command_id for command in waiting}
        cursor = await self._connection.execute(_PAUSED)
        self.paused = frozenset(symbol for (symbol,) in await cursor.fetchall())
        await self._connection.execute(
            "INSERT INTO process_status (name, updated_at, status) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at, status = EXCLUDED.status",
            (NAME, to_datetime(wall_ms()), orjson.dumps(self._status()).decode()),
        )

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except psycopg.Error as exc:
                log.debug("desk_link_close_failed", error=type(exc).__name__)
