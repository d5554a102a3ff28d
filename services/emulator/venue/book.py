"""A synthetic book around the replayed price: what an order finds on the other side."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from services.emulator.venue.contract import Contract

# The first levels trade one by one; further ones in groups that double, each at its worst price, so that any order
# has few fills and none pays less than level by level.
SINGLE = 4
GROUPS = 40


@dataclass(frozen=True, slots=True)
class Quote:
    """A symbol at one second. ``lot``: quantity at the best level (level k has k + 1 of it); ``traded``: quantity
    traded in that second."""

    ts_ms: int
    last: Decimal
    mark: Decimal
    bid: Decimal
    ask: Decimal
    lot: Decimal
    traded: Decimal
    live: bool = True  # False: no bar in this minute, the prices are the last ones and nothing trades


class Span(NamedTuple):
    """Least and greatest prices of a symbol in one minute."""

    last_low: Decimal
    last_high: Decimal
    mark_low: Decimal
    mark_high: Decimal


def levels(contract: Contract, quote: Quote, side: str) -> Iterator[tuple[Decimal, Decimal]]:
    """``(price, quantity)`` that a BUY finds going up from the ask, a SELL going down from the bid."""
    start, step = (quote.ask, contract.tick) if side == "BUY" else (quote.bid, -contract.tick)
    first = 0
    for number in range(SINGLE + GROUPS):
        count = 1 if number < SINGLE else first
        last = first + count - 1
        price = start + last * step
        if price <= 0:
            return
        yield price, quote.lot * ((first + 1 + last + 1) * count // 2)
        first += count


def sweep(
    contract: Contract, quote: Quote, side: str, qty: Decimal, limit: Decimal | None = None
) -> list[tuple[Decimal, Decimal]]:
    """Fills of a taker, best price first, within ``limit``; together at most ``qty``, less when the book ends.

    Nothing in a minute without a bar: the exchange stood still then, and its last price is none to trade at.
    """
    fills: list[tuple[Decimal, Decimal]] = []
    left = qty if quote.live else Decimal(0)
    for price, size in levels(contract, quote, side):
        if left <= 0 or (limit is not None and (price > limit if side == "BUY" else price < limit)):
            break
        taken = min(left, size)
        fills.append((price, taken))
        left -= taken
    return fills
