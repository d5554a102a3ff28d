"""Proof that the stop path works (execution.md 21): without a fresh one there are no entries.

Tier A costs nothing: on a flat symbol a closePosition stop must be answered exactly -4509, so path, key, type and
schema still hold. Tier B is a real stop that was accepted, listed and told of by ALGO_UPDATE. Neither proves that it
triggers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from packages.common import ids
from packages.exchange import filters
from packages.exchange import trading as wire
from packages.exchange.port import InstrumentInfo

Tier = Literal["A", "B", "trigger"]
HOUR_MS = 3_600_000
_FAR = Decimal("0.5")  # of the mark: a stop of a long position that is nowhere near


@dataclass(frozen=True, slots=True)
class ProofRules:
    """Market milliseconds. Tier A is asked for every ``ask_every_ms`` and believed for twice that."""

    ask_every_ms: int = 15 * 60_000
    pilot_after_ms: int = 6 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Proofs:
    """When each tier last held; 0 or absent: never, or voided by an unexpected code. ``parts`` of tier B are collected
    per stop: it counts when it was accepted, listed and told of."""

    seen: Mapping[Tier, int] = field(default_factory=dict)
    parts: Mapping[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def proven(self, now_ms: int, rules: ProofRules) -> bool:
        """Entries may be made: the path was shown to work lately."""
        newest = max(self.seen.get("A", 0), self.seen.get("B", 0))
        return newest > 0 and now_ms - newest <= 2 * rules.ask_every_ms

    def ask_due(self, now_ms: int, rules: ProofRules) -> bool:
        """Tier A should be asked for now; a live stop that was just proven serves as well."""
        newest = max(self.seen.get("A", 0), self.seen.get("B", 0))
        return newest == 0 or now_ms - newest >= rules.ask_every_ms

    def pilot_due(self, now_ms: int, rules: ProofRules) -> bool:
        """The next entry is to be of minimum size."""
        newest = self.seen.get("B", 0)
        return newest == 0 or now_ms - newest >= rules.pilot_after_ms

    def see(self, tier: Tier, now_ms: int) -> "Proofs":
        return replace(self, seen={**self.seen, tier: now_ms})

    def void(self) -> "Proofs":
        """An unexpected code: nothing of the path is believed any more."""
        return Proofs({tier: at for tier, at in self.seen.items() if tier == "trigger"})

    def part(self, symbol: str, attempt: int, what: Literal["accepted", "listed", "told"]) -> tuple["Proofs", bool]:
        """One more sign of a live stop; True when it was the last one needed."""
        key = (symbol, attempt)
        have = self.parts.get(key, frozenset()) | {what}
        if have >= {"accepted", "listed", "told"}:
            return replace(self, parts={k: v for k, v in self.parts.items() if k != key}), True
        others = dict(list(self.parts.items())[-50:])  # stops that ended before they were listed are forgotten
        return replace(self, parts=others | {key: have}), False


@dataclass(frozen=True, slots=True)
class TierA:
    """What asking for tier A showed. ``working``: exactly the expected refusal. ``unknown``: it says nothing."""

    working: bool
    unknown: bool
    said: str


async def ask_tier_a(trading: wire.Trading, info: InstrumentInfo, mark: Decimal, instance: str, now_ms: int) -> TierA:
    """Place a stop that a flat symbol must refuse. The caller knows the symbol to be flat and keeps it so meanwhile.

    A stop that is accepted all the same is cancelled at once, and is no proof.
    """
    trigger = filters.round_price(info, mark * _FAR, up=False)
    name = ids.client_order_id(instance, f"canary:{now_ms}", ids.Leg.CANARY, 1)
    outcome = await trading.place_stop(info.symbol, wire.Side.SELL, trigger, name)
    match outcome:
        case wire.Rejected(reason=wire.RejectReason.NO_POSITION):
            return TierA(True, False, "refused as it must be")
        case wire.Rejected(reason=reason, code=code):
            lasting = reason not in (
                wire.RejectReason.NO_ROOM,
                wire.RejectReason.NOT_SENT,
                wire.RejectReason.RATE_LIMITED,
                wire.RejectReason.CLOCK,
            )
            return TierA(False, not lasting, f"{reason.value} ({code})")
        case wire.Accepted():
            await trading.cancel_algo(name)
            return TierA(False, False, "a flat account's stop was accepted")
        case wire.Unknown(why=why):
            await trading.cancel_algo(name)
            return TierA(False, True, why)
