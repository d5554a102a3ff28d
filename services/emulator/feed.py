"""The market as the venue trades it: the same prices that the streams push, second by second."""

from decimal import Decimal

from packages.common.time import MINUTE_MS
from services.emulator import columns
from services.emulator.columns import FINE
from services.emulator.market import Market
from services.emulator.rest_info import ceiling
from services.emulator.venue.book import Quote
from services.emulator.venue.contract import Contract, contract_of

LEVELS_A_MINUTE = 200  # the best level holds this part of the minute's volume, as the book streams show it


def contracts_of(market: Market) -> dict[str, Contract]:
    """Every contract of the market by name."""
    return {
        spec.symbol: contract_of(spec, Decimal(ceiling(spec)).scaleb(-spec.price_decimals)) for spec in market.specs
    }


class MarketFeed:
    """A ``venue.Feed`` over the market."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def quote(self, symbol: str, ts_ms: int) -> Quote | None:
        """Last, mark and best prices as they were pushed last at ``ts_ms``; None when the minute has no bar."""
        market, number = self._market, self._market.by_name[symbol]
        minute = market.minute(ts_ms // MINUTE_MS)
        if not minute.present[number]:
            return None
        spec, second = market.specs[number], ts_ms % MINUTE_MS // 1000
        last = int(minute.last[number, second])
        tick, step = spec.tick_units, spec.step_units
        bid = last if last // tick % 2 else max(last - tick, tick)
        volume = int(minute.rows[number, columns.VOLUME])

        def price(units: int) -> Decimal:
            return Decimal(units).scaleb(-spec.price_decimals)

        return Quote(
            ts_ms=ts_ms,
            last=price(last),
            mark=Decimal(int(minute.mark[number, second * market.mark_updates // 60])).scaleb(-FINE),
            bid=price(bid),
            ask=price(bid + tick),
            lot=Decimal(max(volume // step // LEVELS_A_MINUTE, 1) * step).scaleb(-spec.qty_decimals),
            traded=Decimal(volume // step // 60 * step).scaleb(-spec.qty_decimals),
        )

    def settlements(self, symbol: str, from_ms: int, to_ms: int) -> list[tuple[int, Decimal, Decimal]]:
        rows = self._market.source.funding(self._market.by_name[symbol], from_ms, to_ms)
        return [(ts, Decimal(rate).scaleb(-FINE), Decimal(mark).scaleb(-FINE)) for ts, rate, mark in rows]
