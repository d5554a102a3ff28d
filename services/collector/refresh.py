"""Funding history and open interest, on their schedule (D42), and the settled rates a minute waits for."""

from collections.abc import Iterable, Mapping, Sequence

from packages.common.errors import VenueRejectedError
from packages.common.types import Settlement
from packages.exchange.port import MarketData, OpenInterest
from services.collector.rest_feed import MANY


async def fetch_due_settlements(
    venue: MarketData, missing: Mapping[int, Sequence[str]], wanted: Iterable[str]
) -> list[Settlement]:
    """Rates settled at the instants of ``missing``, of ``wanted`` symbols: one call for all of them.

    Where that answer is full, rows may have been cut off, and the symbols still missing are asked one by one.
    """
    first, last, names = min(missing), max(missing), set(wanted)
    rows = await venue.funding_rates(None, first, last + 1, MANY)
    found = [row for row in rows if row.symbol in names]
    if len(rows) >= MANY - 1:
        have = {(row.symbol, row.ts_ms) for row in found}
        for symbol in sorted({s for due, symbols in missing.items() for s in symbols if (s, due) not in have}):
            found += await venue.funding_rates(symbol, first, last + 1)
    return found


async def refresh_settlements(
    venue: MarketData, symbols: Sequence[str], start_ms: int, end_ms: int
) -> list[Settlement]:
    """Everything settled in [start_ms, end_ms), symbol by symbol; storing it twice changes nothing."""
    found: list[Settlement] = []
    for symbol in symbols:
        found += await venue.funding_rates(symbol, start_ms, end_ms)
    return found


async def refresh_open_interest(
    venue: MarketData, symbols: Sequence[str], start_ms: int, end_ms: int
) -> list[OpenInterest]:
    """Open interest every five minutes of [start_ms, end_ms); symbols the exchange has none of are left out."""
    found: list[OpenInterest] = []
    for symbol in symbols:
        try:
            found += await venue.open_interest_hist(symbol, start_ms, end_ms)
        except VenueRejectedError:
            continue
    return found
