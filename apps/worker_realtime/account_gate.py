"""What the gate of live trading asks of the account (D35), gathered where the key is.

The API has no key: it reads the conditions that this writes into ``process_status`` and asks for them anew with a
``NOTIFY``. The same answers keep this process from entering on an account that no longer meets them, whoever turned
live trading on, and with whatever key, before it was started.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from packages.common.config import Settings
from packages.common.time import monotonic_ms, wall_ms
from packages.exchange.trading import Trading
from services.execution import gate
from services.execution.kill_switch import Trigger
from services.execution.ports import AccountView

log = structlog.get_logger(__name__)

_EVERY_S, _LIVE_S = 30.0, 300.0  # a whole reading costs about 130 of the weight
_APART_S = 10.0  # whoever keeps asking must not use up the weight that entries need


class Around(Protocol):
    """What the worker knows of clock and lease: ``apps.worker_realtime.live.Surroundings`` is one."""

    def clock_skew_ms(self) -> float | None: ...
    def sync_age_ms(self) -> float | None: ...
    def lease_age_ms(self) -> float | None: ...


class Desk(Protocol):
    """The trader and the stop path."""

    def view(self) -> AccountView: ...
    def stop_path_proven(self) -> bool: ...


class AccountGate:
    """Asks the account every 30 s, every 5 min while trading live on what was found in order, and when wanted."""

    def __init__(
        self,
        settings: Settings,
        speed: float,
        trading: Trading,
        market: gate.BracketSource,
        symbols: tuple[str, ...],
        around: Around,
        desk: Desk,
    ) -> None:
        self._settings, self._speed, self._symbols = settings, speed, symbols
        self._trading, self._market, self._around, self._desk = trading, market, around, desk
        self._limits = gate.gate_limits(settings)
        self._found: gate.AccountFacts | None = None
        self._found_ms = 0
        self._answered: tuple[gate.Condition, ...] | None = None  # of the last reading that lacked nothing

    async def run(self, wanted: asyncio.Event, live: Callable[[], bool]) -> None:
        """Until cancelled. ``wanted`` is set by whoever wants to know now, ``live``: whether the toggle is there."""
        while True:
            wanted.clear()
            await self.ask()
            started = monotonic_ms()
            pause_s = _LIVE_S if live() and self.permits() else _EVERY_S
            try:
                async with asyncio.timeout(pause_s):
                    await wanted.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(max(0.0, _APART_S - (monotonic_ms() - started) / 1e3))

    async def ask(self) -> None:
        """One reading; never raises: what cannot be read is a condition that is not met."""
        try:
            found = await gate.gather_account_facts(self._trading, self._market)
        except Exception as exc:  # an answer of another shape: the account is then not known to be in order
            log.exception("account_unreadable", error=type(exc).__name__)
            found = gate.AccountFacts(errors={"account": type(exc).__name__})
        self._found, self._found_ms = found, wall_ms()
        if found.errors:
            log.info("account_unreadable", reads=sorted(found.errors))
            return
        before = self.faults()
        self._answered = tuple(gate.account_conditions(self._facts(found), self._limits))
        if self.faults() != before:
            log.warning("account_conditions", unmet=self.faults())

    def faults(self) -> tuple[str, ...]:
        """Codes of what was wrong with the account when it was last read in full."""
        return tuple(row.code for row in self._answered or () if not row.met)

    def permits(self) -> bool:
        """The account was read in full since this process began, and nothing is wrong with it."""
        return self._answered is not None and not self.faults()

    def status(self) -> dict[str, Any]:
        """Every condition as it is now, with the wall time at which the account was asked; None: it was not yet."""
        rows = gate.worker_conditions(self._facts(self._found), self._limits)
        return {
            "asked_at_ms": None if self._found is None else self._found_ms,
            "conditions": [asdict(row) for row in rows],
        }

    def _facts(self, account: gate.AccountFacts | None) -> gate.WorkerFacts:
        view, around = self._desk.view(), self._around
        blocks = tuple(view.killed.blocks)
        codes = sorted({block.code for block in blocks if block.symbol is None})
        return gate.WorkerFacts(
            exchange=self._settings.exchange,
            speed=self._speed,
            has_keys=True,
            symbols=self._symbols,
            account=account,
            clock_skew_ms=around.clock_skew_ms(),
            sync_age_ms=around.sync_age_ms(),
            stop_path_proven=self._desk.stop_path_proven(),
            stream_up=view.stream_up,
            journal_healthy=view.ready and Trigger.NO_JOURNAL.value not in codes,
            lease_age_ms=around.lease_age_ms(),
            stale=sorted({b.symbol for b in blocks if b.symbol is not None and b.code == Trigger.DATA_STALE.value}),
            latch=view.killed.word if view.ready else "RECOVERING",
            latch_code=view.killed.code,
            blocks=codes,
        )
