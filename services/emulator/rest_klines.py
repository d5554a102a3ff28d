"""The candle endpoints: klines, continuousKlines, markPriceKlines, indexPriceKlines, premiumIndexKlines."""

from collections.abc import Callable, Mapping

import numpy as np

from services.emulator import columns, params
from services.emulator.candles import Candles, candles
from services.emulator.columns import FINE
from services.emulator.limits import kline_weight
from services.emulator.market import Market
from services.emulator.params import ApiError
from services.emulator.render import Sheet, template

DEFAULT_ROWS = 500
MOST_ROWS = 1500
_CONTRACTS = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")


class Klines:
    """Answers as JSON bytes; parameters as received, times in market milliseconds."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._last = [
            Sheet(
                [
                    template(
                        '[%,"%","%","%","%","%",%,"%",%,"%","%","0"],',
                        (0, p, p, p, p, s.qty_decimals, 0, s.quote_decimals, 0, s.qty_decimals, s.quote_decimals),
                    )
                ]
            )
            for s in market.specs
            for p in (s.price_decimals,)
        ]
        self._fine = Sheet(
            [template('[%,"%","%","%","%","0",%,"0",%,"0","0","0"],', (0, FINE, FINE, FINE, FINE, 0, 0))]
        )

    def klines(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol = self._symbol(query, "symbol")
        return self._print_last(symbol, self._find(symbol, query, now_ms))

    def continuous(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol = self._symbol(query, "pair")
        contract = params.text(query, "contractType")
        if contract not in _CONTRACTS:
            raise ApiError(-1130, "Data sent for parameter 'contractType' is not valid.")
        params.interval(query)
        spec = self._market.specs[symbol]
        if contract != ("TRADIFI_PERPETUAL" if spec.tradifi else "PERPETUAL"):
            return b"[]"
        return self._print_last(symbol, self._find(symbol, query, now_ms))

    def mark(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol = self._symbol(query, "symbol")
        found = self._find(symbol, query, now_ms)
        return self._print_fine(found, found.rows[:, columns.MARK : columns.MARK + 4])

    def index(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol = self._symbol(query, "pair")
        found = self._find(symbol, query, now_ms)
        return self._print_fine(found, found.rows[:, columns.INDEX : columns.INDEX + 4])

    def premium(self, query: Mapping[str, str], now_ms: int) -> bytes:
        """Premium of the last price over the index, at open, high, low and close of both."""
        symbol = self._symbol(query, "symbol")
        found = self._find(symbol, query, now_ms)
        unit = 10**FINE / 10 ** self._market.specs[symbol].price_decimals
        last = found.rows[:, columns.OPEN : columns.OPEN + 4] * unit
        index = found.rows[:, columns.INDEX : columns.INDEX + 4]
        four = np.round((last / np.maximum(index, 1) - 1.0) * 10**FINE).astype(np.int64)
        four[:, 1], four[:, 2] = four.max(axis=1, initial=-(10**9)), four.min(axis=1, initial=10**9)
        return self._print_fine(found, four)

    @staticmethod
    def weight(query: Mapping[str, str]) -> int:
        asked = query.get("limit", "")
        return kline_weight(min(int(asked), MOST_ROWS) if asked.isdigit() and len(asked) < 10 else DEFAULT_ROWS)

    @property
    def by_path(self) -> dict[str, Callable[[Mapping[str, str], int], bytes]]:
        return {
            "/fapi/v1/klines": self.klines,
            "/fapi/v1/continuousKlines": self.continuous,
            "/fapi/v1/markPriceKlines": self.mark,
            "/fapi/v1/indexPriceKlines": self.index,
            "/fapi/v1/premiumIndexKlines": self.premium,
        }

    def _symbol(self, query: Mapping[str, str], name: str) -> int:
        symbol = self._market.by_name.get(params.symbol_text(query, name))
        if symbol is None:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _find(self, symbol: int, query: Mapping[str, str], now_ms: int) -> Candles:
        length = params.interval(query)
        start, end = params.times(query)
        return candles(self._market, symbol, length, start, end, params.limit(query, DEFAULT_ROWS, MOST_ROWS), now_ms)

    def _print_last(self, symbol: int, found: Candles) -> bytes:
        rows = found.rows
        values = np.empty((len(rows), 11), np.int64)
        values[:, 0] = found.opens
        values[:, 1:6] = rows[:, columns.OPEN : columns.VOLUME + 1]
        values[:, 6] = found.closes
        values[:, 7:11] = rows[:, columns.QUOTE_VOLUME : columns.TAKER_QUOTE + 1]
        return b"[" + self._last[symbol].same(values)[:-1] + b"]"

    def _print_fine(self, found: Candles, four: columns.Rows) -> bytes:
        values = np.empty((len(four), 7), np.int64)
        values[:, 0] = found.opens
        values[:, 1:5] = four
        values[:, 5] = found.closes
        values[:, 6] = found.minutes * self._market.mark_updates
        return b"[" + self._fine.same(values)[:-1] + b"]"
