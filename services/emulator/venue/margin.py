"""Margin arithmetic in ``Decimal`` (§8.1, §8.2). Notional = abs(quantity) x mark, in quote units."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from services.emulator.venue.contract import Tier

ZERO = Decimal(0)
_CENT = Decimal("0.00000001")  # the smallest amount of a wallet


def amount(value: Decimal) -> Decimal:
    """``value`` as a wallet holds it: eight decimals, halves away from zero."""
    return value.quantize(_CENT, ROUND_HALF_UP)


def tier_of(tiers: Sequence[Tier], notional: Decimal) -> Tier:
    """The bracket with floor < notional <= cap; the last one above all caps."""
    return next((tier for tier in tiers if notional <= tier.cap), tiers[-1])


def maintenance(tiers: Sequence[Tier], notional: Decimal) -> Decimal:
    """notional x MMR - cum of its bracket."""
    tier = tier_of(tiers, notional)
    return notional * tier.ratio - tier.cum


def initial(notional: Decimal, leverage: int) -> Decimal:
    return notional / leverage


def max_notional(tiers: Sequence[Tier], leverage: int) -> Decimal:
    """Largest position that ``leverage`` allows: the highest cap among brackets that grant it; 0 when none does."""
    return max((tier.cap for tier in tiers if tier.leverage >= leverage), default=ZERO)


def unrealized(amt: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    """Of a signed position."""
    return amt * (mark - entry)


def funding(amt: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """What the holder of the signed position receives: a positive rate is paid by longs."""
    return -amt * mark * rate


def liquidation_price(
    tiers: Sequence[Tier], amt: Decimal, entry: Decimal, wallet: Decimal, others: Decimal = ZERO
) -> Decimal:
    """Mark at which wallet + unrealized - ``others`` equals maintenance; 0 when no price above 0 does.

    LP = (WB - others + cum - d·q·EP) / (q·(MMR - d)), in the bracket that holds q·LP. ``others`` is, for a cross
    position, maintenance less unrealized of the remaining cross positions.
    """
    if amt == 0:
        return ZERO
    side, qty = (1 if amt > 0 else -1), abs(amt)
    found = ZERO
    for tier in tiers:
        found = (wallet - others + tier.cum - side * qty * entry) / (qty * (tier.ratio - side))
        if found <= 0:
            return ZERO
        if qty * found <= tier.cap and (qty * found > tier.floor or tier.floor == 0):
            return found
    return found
