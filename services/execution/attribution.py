"""Why the live account earned something else than the shadow account on the same decision (D33), in parts. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from packages.common.errors import InvalidInputError

ZERO = Decimal(0)
_UNIT = Decimal("1e-8")  # of the quote asset; what the exchange books in


@dataclass(frozen=True, slots=True)
class Booked:
    """A closed trade as the row of ``trades`` has it; quote units, ``direction`` +1 or -1, ``quantity`` > 0."""

    direction: int
    quantity: Decimal
    entry_ref: Decimal
    exit_ref: Decimal
    slippage: Decimal
    fees: Decimal
    funding: Decimal
    liquidation_fee: Decimal = ZERO
    absorbed: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        gross = self.direction * self.quantity * (self.exit_ref - self.entry_ref)
        return gross - self.slippage - self.fees - self.funding - self.liquidation_fee + self.absorbed


@dataclass(frozen=True, slots=True)
class Attribution:
    """Parts of live net - shadow net, quote units; + is in favour of the live account. They sum to ``difference``.

    ``size``: another quantity, at what the shadow account earned per unit. All others are at the live quantity:
    ``entry`` and ``exit``: another reference price. ``latency``: what the market moved between the decision and the
    order. ``slippage``: fills against the price at that moment, beyond what the shadow account was charged. ``fee``,
    ``funding``; ``liquidation``: its fee, less what a loss beyond the margin did not cost.
    """

    size: Decimal
    entry: Decimal
    exit: Decimal
    latency: Decimal
    slippage: Decimal
    fee: Decimal
    funding: Decimal
    liquidation: Decimal

    @property
    def difference(self) -> Decimal:
        return sum((getattr(self, part.name) for part in fields(self)), ZERO)

    def as_json(self) -> dict[str, str]:
        """The parts and their sum as exact texts."""
        return {name: f"{value:f}" for name, value in asdict(self).items()} | {"difference": f"{self.difference:f}"}


def booked_of(row: Mapping[str, Any]) -> Booked:
    """A row of ``trades``. Its floats are read as their shortest texts."""
    names = ("entry_ref", "exit_ref", "slippage", "fees", "funding", "liquidation_fee", "absorbed")
    values = {name: Decimal(repr(float(row[name]))) for name in names}
    return Booked(1 if row["side"] == "LONG" else -1, Decimal(repr(float(row["qty"]))), **values)


def attribute(live: Booked, shadow: Booked, sent_price: Decimal | None = None) -> Attribution:
    """Take the difference apart. ``sent_price``: middle of the book when the live entry was sent; None: not known, then
    latency is within slippage.

    Every part is rounded to 1e-8, ``size`` takes what that leaves. Raises ``InvalidInputError`` when the two are not of
    one decision's side, or hold a number that is none.
    """
    if live.direction != shadow.direction:
        raise InvalidInputError("direction", shadow.direction, f"{live.direction}, as the live trade has it")
    for name, quantity in (("live.quantity", live.quantity), ("shadow.quantity", shadow.quantity)):
        if not (quantity.is_finite() and quantity > 0):
            raise InvalidInputError(name, quantity, "a quantity > 0")
    if not (live.net.is_finite() and shadow.net.is_finite()):
        raise InvalidInputError("net", (live.net, shadow.net), "finite numbers")
    held, ratio = live.direction * live.quantity, live.quantity / shadow.quantity
    delay_cost = ZERO if sent_price is None else held * (sent_price - live.entry_ref)
    parts = {
        "entry": held * (shadow.entry_ref - live.entry_ref),
        "exit": held * (live.exit_ref - shadow.exit_ref),
        "latency": -delay_cost,
        "slippage": ratio * shadow.slippage - (live.slippage - delay_cost),
        "fee": ratio * shadow.fees - live.fees,
        "funding": ratio * shadow.funding - live.funding,
        "liquidation": ratio * (shadow.liquidation_fee - shadow.absorbed) - (live.liquidation_fee - live.absorbed),
    }
    parts = {name: value.quantize(_UNIT, ROUND_HALF_EVEN) for name, value in parts.items()}
    return Attribution(size=live.net - shadow.net - sum(parts.values(), ZERO), **parts)
