"""The account against what is believed of it (D28). A difference is read anew by its symbol, which acts on that."""

from collections.abc import Callable
from decimal import Decimal

import structlog

from packages.common.errors import VenueError
from packages.common.time import DAY_MS, MINUTE_MS
from services.execution import guards
from services.execution.core import events as ev
from services.execution.core.state import Phase
from services.execution.desk import Desk
from services.execution.equity import first_marks
from services.execution.ports import Recorder
from services.execution.reader import AccountReading
from services.execution.runner import SymbolRunner
from services.execution.stop_path import StopPath
from services.execution.symbol_setup import SymbolSetup

log = structlog.get_logger(__name__)

ZERO = Decimal(0)


class Reconciliation:
    """Reads REST at its own pace; every method that reads raises ``VenueError``. ``runner_of`` makes the runner of a
    symbol that was not watched."""

    def __init__(
        self,
        desk: Desk,
        setup: SymbolSetup,
        stop_path: StopPath,
        recorder: Recorder,
        runner_of: Callable[[str], SymbolRunner | None],
    ) -> None:
        self._desk, self._setup, self._stop_path = desk, setup, stop_path
        self._recorder, self._runner_of = recorder, runner_of

    async def compare(self) -> None:
        """The whole account."""
        desk = self._desk
        await self._setup.compare()
        account = await desk.reader.read_account()
        for symbol, reading in account.symbols.items():
            self.take_position(symbol, account)
            for algo in reading.algos:
                named = desk.translator.named(algo.client_id)
                if named is not None and named.leg is ev.Leg.STOP:
                    self._stop_path.see_part(symbol, named.attempt, "listed")
            self._runner_of(symbol)
        for symbol, runner in list(desk.runners.items()):
            if runner.state.exposed and guards.must_leave(runner.info, desk.clock.now_ms()):
                runner.feed(ev.CloseRequested("delivery"))
            reading = account.of(symbol)
            open_here = bool(reading.orders or reading.algos)
            flat = runner.phase is Phase.FLAT
            if reading.amount != runner.state.position or (flat and (open_here or reading.amount != 0)):
                runner.feed(ev.ReadDue())
            elif runner.phase is Phase.PROTECTED:
                stops = [a for a in reading.algos if a.close_position and a.type == "STOP_MARKET"]
                if not stops:
                    runner.feed(ev.ReadDue())

    def take_position(self, symbol: str, account: AccountReading) -> None:
        """Keep a position that was read."""
        held = account.of(symbol).position
        if held is not None and held.amount != 0:
            self._desk.held[symbol] = held

    def read_all(self, why: str) -> None:
        """After a gap: every symbol where something is under way, and a comparison of the rest (rules 15, 16)."""
        for runner in self._desk.runners.values():
            if runner.phase is not Phase.FLAT:
                runner.feed(ev.ReadDue())
        self._desk.start(self.compare(), f"reconcile:{why}")

    async def poll(self) -> None:
        """Positions every few seconds while there are any (the stream may be dead and not know it)."""
        desk = self._desk
        if not any(runner.state.exposed for runner in desk.runners.values()):
            return
        rows = {row.symbol: row for row in await desk.trading.positions() if row.side == "BOTH"}
        for symbol, runner in desk.runners.items():
            row = rows.get(symbol)
            amount = row.amount if row is not None else ZERO
            if amount != 0 and row is not None:
                desk.held[symbol] = row
            else:
                desk.held.pop(symbol, None)
            if amount != runner.state.position and runner.phase in (Phase.PROTECTED, Phase.FLAT):
                runner.feed(ev.ReadDue())

    async def read_totals(self) -> None:
        """The account's totals; what they are measured against moves with the day, the week and the peak."""
        desk = self._desk
        desk.account = await desk.trading.account()
        equity, now = desk.account.margin_balance, desk.clock.now_ms()
        desk.take_marks(desk.marks.see(equity, now) if desk.marks is not None else first_marks(equity, now))

    async def catch_up_fills(self) -> None:
        """Fills that a gap may have swallowed, into the books by their ids."""
        desk = self._desk
        now = desk.clock.now_ms()
        for symbol, runner in list(desk.runners.items()):
            if runner.phase is Phase.FLAT:
                continue
            try:
                trades = await desk.trading.user_trades(symbol, start_ms=now - DAY_MS, end_ms=now + MINUTE_MS)
            except VenueError as exc:
                log.info("catch_up_failed", symbol=symbol, error=str(exc))
                continue
            await self._recorder.fills(symbol, trades)
