"""Asks REST for what the streams did not bring: one answer a want."""

import asyncio
from dataclasses import dataclass
from typing import Any

from packages.common.errors import VenueRejectedError
from packages.common.time import HOUR_MS, MINUTE_MS
from packages.common.types import Bar, OhlcBar, Settlement
from packages.exchange.port import MarketData
from services.normalizer.assembler import Want

LONGEST = 1500
MANY = 1000  # settlements an answer holds at most


@dataclass(frozen=True, slots=True)
class Answer:
    """What REST gave for ``want``. ``funded_through_ms``: settlements up to here are complete; None: nothing known."""

    want: Want
    bars: tuple[Bar, ...]
    marks: tuple[OhlcBar, ...]
    indexes: tuple[OhlcBar, ...]
    settlements: tuple[Settlement, ...]
    funded_through_ms: int | None


async def fetch(venue: MarketData, want: Want, *, settled_after_ms: int, posted_ms: int) -> Answer:
    """Up to 1500 minutes from ``want.from_ms`` on. Raises ``VenueError``.

    Settlements are complete up to ``posted_ms`` before the exchange's own time, asked before them: our clock may be
    ahead of an exchange that was away.
    An exchange that refuses index prices of a symbol has none of it: that is an answer, not a failure.
    """
    end_ms = min(want.to_ms + MINUTE_MS, want.from_ms + LONGEST * MINUTE_MS)
    span = (want.symbol, want.from_ms, end_ms)
    limit = (end_ms - want.from_ms) // MINUTE_MS
    full_hour = end_ms // HOUR_MS * HOUR_MS > settled_after_ms  # only then may it hold a settlement
    asked_ms = await venue.server_time_ms() if full_hour else 0
    results = await asyncio.gather(
        venue.klines(*span, limit) if want.needs_bar else _nothing(),
        venue.mark_klines(*span, limit) if want.needs_mark else _nothing(),
        _indexes(venue, span, limit) if want.needs_index else _nothing(),
        venue.funding_rates(want.symbol, settled_after_ms + 1, end_ms + 1, MANY) if full_hour else _nothing(),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    bars, marks, indexes, history = (tuple(result) for result in results if not isinstance(result, BaseException))
    whole_to = history[-1].ts_ms if len(history) >= MANY - 1 else end_ms  # a full answer may have been cut off
    funded_through = min(whole_to, asked_ms - posted_ms) if full_hour else None
    return Answer(want, bars, marks, indexes, history, funded_through)


async def _nothing() -> list[Any]:
    return []


async def _indexes(venue: MarketData, span: tuple[str, int, int], limit: int) -> list[OhlcBar]:
    try:
        return await venue.index_klines(*span, limit)
    except VenueRejectedError:
        return []
