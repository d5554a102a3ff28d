"""Keeps the proofs that stops work (execution.md 21): asks for tier A, collects tier B from live stops."""

from typing import Literal

import structlog

from packages.common.time import Clock
from services.execution.canary import ProofRules, Proofs, Tier, ask_tier_a
from services.execution.core.state import Phase
from services.execution.desk import Desk
from services.execution.journal import ProofSeen

log = structlog.get_logger(__name__)


class StopPath:
    """``proofs`` begins with what the journal held."""

    def __init__(self, desk: Desk, proofs: Proofs) -> None:
        self._desk, self.proofs = desk, proofs

    @property
    def proven(self) -> bool:
        """Entries may be made."""
        return self.proofs.proven(self._clock.now_ms(), self._rules)

    @property
    def pilot_due(self) -> bool:
        """The next entry is to be of minimum size."""
        return self.proofs.pilot_due(self._clock.now_ms(), self._rules)

    def see(self, tier: Tier) -> None:
        """A whole proof."""
        now = self._clock.now_ms()
        self.proofs = self.proofs.see(tier, now)
        self._desk.journal.note(ProofSeen(tier, now))

    def see_part(self, symbol: str, attempt: int, what: Literal["accepted", "listed", "told"]) -> None:
        """One sign of a live stop."""
        self.proofs, whole = self.proofs.part(symbol, attempt, what)
        if whole:
            self.see("B")

    def void(self) -> None:
        """An unexpected code: the path is not what it was."""
        self.proofs = self.proofs.void()

    async def ask(self) -> None:
        """Tier A on a symbol that is flat and free, whenever it is due. Raises ``VenueError``."""
        desk, now = self._desk, self._clock.now_ms()
        if not desk.ready or not self.proofs.ask_due(now, self._rules):
            return
        for symbol in desk.universe:
            runner = desk.runners.get(symbol)
            if runner is None or runner.phase is not Phase.FLAT or runner.mark is None or symbol in desk.entering:
                continue
            answer = await ask_tier_a(
                desk.trading, desk.instruments[symbol], runner.mark, desk.translator.instance, now
            )
            if answer.working:
                self.see("A")
            elif not answer.unknown:
                self.void()
                desk.journal.note(ProofSeen("A", 0))
                desk.risk("STOP_PATH_BROKEN", symbol, f"The exchange answered the stop canary: {answer.said}", 2)
            return

    @property
    def _clock(self) -> Clock:
        return self._desk.clock

    @property
    def _rules(self) -> ProofRules:
        return self._desk.config.proofs
