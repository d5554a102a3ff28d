"""The market as the venue trades it: the same prices that the streams push, second by second."""

from decimal import Decimal
from typing import NamedTuple

from packages.common.time import MINUTE_MS
from services.emulator import columns
from services.emulator.columns import FINE
from services.emulator.market import Market
from services.emulator.rest_info import ceiling
from services.emulator.venue.book import Quote, Span
from services.emulator.venue.contract import Contract, contract_of

REMEMBERED = 60  # minutes: how long the last bar stands in for missing ones


def contracts_of(market: Market) -> dict[str, Contract]:
    """Every contract of the market by name."""
    return {
        spec.symbol: contract_of(spec, Decimal(ceiling(spec)).scaleb(-spec.price_decimals)) for spec in market.specs
    }


class _Units(NamedTuple):
    """What a symbol's integers count, looked up once."""

    number: int
    tick: int
    step: int
    price: int  # powers of ten
    qty: int


class MarketFeed:
    """A ``venue.Feed`` over the market."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._units = {
            spec.symbol: _Units(number, spec.tick_units, spec.step_units, -spec.price_decimals, -spec.qty_decimals)
            for number, spec in enumerate(market.specs)
        }

    def quote(self, symbol: str, ts_ms: int) -> Quote | None:
        """Last, mark and best prices as they were pushed last at ``ts_ms``."""
        market, units = self._market, self._units[symbol]
        minute = market.minute(ts_ms // MINUTE_MS)
        if minute.present[units.number]:
            second = ts_ms % MINUTE_MS // 1000
            last = int(minute.last[units.number, second])
            mark = int(minute.mark[units.number, second * market.mark_updates // 60])
            traded = int(minute.rows[units.number, columns.VOLUME]) // units.step // 60
            return _quote(units, ts_ms, last, mark, int(minute.lots[units.number]), traded, live=True)
        number = ts_ms // MINUTE_MS
        _, rows = market.rows(units.number, number - REMEMBERED, number)
        if not len(rows):
            return None
        row = rows[-1]
        last, mark = int(row[columns.CLOSE]), int(row[columns.MARK + 3])
        return _quote(units, ts_ms, last, mark, int(minute.lots[units.number]), 0, live=False)

    def span(self, symbol: str, minute_ms: int) -> Span | None:
        """See ``venue.Feed``."""
        units, minute = self._units[symbol], self._market.minute(minute_ms // MINUTE_MS)
        if not minute.present[units.number]:
            return None
        last, mark = minute.last[units.number], minute.mark[units.number]
        return Span(
            Decimal(int(last.min())).scaleb(units.price),
            Decimal(int(last.max())).scaleb(units.price),
            Decimal(int(mark.min())).scaleb(-FINE),
            Decimal(int(mark.max())).scaleb(-FINE),
        )

    def settlements(self, symbol: str, from_ms: int, to_ms: int) -> list[tuple[int, Decimal, Decimal]]:
        """See ``venue.Feed``."""
        rows = self._market.source.funding(self._units[symbol].number, from_ms, to_ms)
        return [(ts, Decimal(rate).scaleb(-FINE), Decimal(mark).scaleb(-FINE)) for ts, rate, mark in rows]


def _quote(units: _Units, ts_ms: int, last: int, mark: int, lots: int, traded: int, *, live: bool) -> Quote:
    """``lots``, ``traded``: steps at the best level, and traded in this second."""
    bid = last if last // units.tick % 2 else max(last - units.tick, units.tick)
    return Quote(
        ts_ms=ts_ms,
        last=Decimal(last).scaleb(units.price),
        mark=Decimal(mark).scaleb(-FINE),
        bid=Decimal(bid).scaleb(units.price),
        ask=Decimal(bid + units.tick).scaleb(units.price),
        lot=Decimal(lots * units.step).scaleb(units.qty),
        traded=Decimal(traded * units.step).scaleb(units.qty),
        live=live,
    )
