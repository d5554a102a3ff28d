"""The endpoints of the moment: premiumIndex, tickers, book, open interest."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator import columns, params
from services.emulator.candles import floor_open
from services.emulator.columns import FINE, Rows
from services.emulator.market import Market
from services.emulator.params import INTERVALS, ApiError
from services.emulator.rest_info import fixed

_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
TRADES_A_MINUTE = 200_000  # room in the numbering of trades
_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


class Quotes:
    """Answers as JSON bytes. A symbol that does not trade at ``now_ms`` is left out of lists."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def premium_index(self, query: Mapping[str, str], now_ms: int) -> bytes:
        return self._each(query, now_ms, self._premium)

    def price(self, query: Mapping[str, str], now_ms: int) -> bytes:
        def one(symbol: int, row: Rows, now: int) -> dict[str, Any]:
            spec = self._market.specs[symbol]
            return {"symbol": spec.symbol, "price": fixed(int(row[columns.CLOSE]), spec.price_decimals), "time": now}

        return self._each(query, now_ms, one)

    def book(self, query: Mapping[str, str], now_ms: int) -> bytes:
        def one(symbol: int, row: Rows, now: int) -> dict[str, Any]:
            bids, asks = self._levels(symbol, row, 1, now)
            return {
                "symbol": self._market.specs[symbol].symbol,
                "bidPrice": bids[0][0],
                "bidQty": bids[0][1],
                "askPrice": asks[0][0],
                "askQty": asks[0][1],
                "time": now,
                "lastUpdateId": update_id(now),
            }

        return self._each(query, now_ms, one)

    def depth(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol, row = self._row(query, now_ms)
        levels = params.limit(query, 500, 1000)
        if levels not in _DEPTHS:
            raise ApiError(-4021, f"{levels} is not valid depth limit.")
        bids, asks = self._levels(symbol, row, levels, now_ms)
        return orjson.dumps({"lastUpdateId": update_id(now_ms), "E": now_ms, "T": now_ms, "bids": bids, "asks": asks})

    def day(self, query: Mapping[str, str], now_ms: int) -> bytes:
        return self._each(query, now_ms, self._statistics)

    def agg_trades(self, query: Mapping[str, str], now_ms: int) -> bytes:
        """One aggregate a second, numbered by its second; a minute's volume is spread over its seconds."""
        symbol = self._symbol(query, now_ms)
        most = params.limit(query, 500, 1000)
        start, end = params.times(query)
        first = params.number(query, "fromId")
        if start is not None and end is not None and end - start > HOUR_MS:
            raise ApiError(-1127, "More than 1 hours between startTime and endTime.")
        last = min(now_ms, now_ms if end is None else end) // 1000
        if first is None:
            first = last - most + 1 if start is None else -(-start // 1000)
        first = max(first, (now_ms - 2 * DAY_MS) // 1000)  # no more is kept (§3.1)
        spec, found = self._market.specs[symbol], []
        numbers, rows = self._market.rows(symbol, first // 60, min(last // 60, first // 60 + 60) + 1)
        for number, row in zip(numbers.tolist(), rows, strict=True):
            prices = self._market.path(symbol, number, row)
            lots, trades = int(row[columns.VOLUME]) // spec.step_units, max(int(row[columns.TRADES]), 1)
            for second in range(60):
                size = lots * (second + 1) // 60 - lots * second // 60
                if size and first <= number * 60 + second <= last:
                    least = trade_id(number * MINUTE_MS) + trades * second // 60
                    size_text = fixed(size * spec.step_units, spec.qty_decimals)
                    found.append(
                        {
                            "a": number * 60 + second,
                            "p": fixed(int(prices[second]), spec.price_decimals),
                            "q": size_text,
                            "nq": size_text,
                            "f": least,
                            "l": max(least, trade_id(number * MINUTE_MS) + trades * (second + 1) // 60 - 1),
                            "T": (number * 60 + second) * 1000,
                            "m": bool(second and prices[second] < prices[second - 1]),
                        }
                    )
        return orjson.dumps(found[:most])

    def open_interest(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol, row = self._row(query, now_ms)
        spec = self._market.specs[symbol]
        interest = fixed(int(row[columns.OPEN_INTEREST]), spec.qty_decimals)
        return orjson.dumps({"symbol": spec.symbol, "openInterest": interest, "time": now_ms})

    def open_interest_hist(self, query: Mapping[str, str], now_ms: int) -> bytes:
        symbol = self._symbol(query, now_ms)
        period = params.text(query, "period")
        if period not in _PERIODS:
            raise ApiError(-1130, "Data sent for parameter 'period' is not valid.")
        most = params.limit(query, 30, 500)
        start, end = params.times(query)
        if start is not None and start < now_ms - 31 * DAY_MS:
            raise ApiError(-1130, "parameter 'startTime' is invalid.")
        step = INTERVALS[period]
        last = floor_open(min(now_ms, now_ms if end is None else end), period)
        first = max(last - (most - 1) * step, self._market.source.start_ms + step)
        if start is not None:
            first = max(first, -(-start // step) * step)
        spec = self._market.specs[symbol]
        numbers, rows = self._market.rows(symbol, first // MINUTE_MS - 1, last // MINUTE_MS)
        at = {int(number) + 1: k for k, number in enumerate(numbers)}  # what stands at a close is known then
        found = []
        for ts in range(-(-first // step) * step, last + 1, step):
            k = at.get(ts // MINUTE_MS)
            if k is not None:
                interest = int(rows[k, columns.OPEN_INTEREST])
                value = interest * int(rows[k, columns.MARK + 3]) // 10**spec.qty_decimals
                found.append(
                    {
                        "symbol": spec.symbol,
                        "sumOpenInterest": fixed(interest, spec.qty_decimals),
                        "sumOpenInterestValue": fixed(value, FINE),
                        "CMCCirculatingSupply": "0.00000000",
                        "timestamp": ts,
                    }
                )
        return orjson.dumps(found)

    # --- one symbol ---

    def _premium(self, symbol: int, row: Rows, now_ms: int) -> dict[str, Any]:
        mark, index = int(row[columns.MARK + 3]), int(row[columns.INDEX + 3])
        return {
            "symbol": self._market.specs[symbol].symbol,
            "markPrice": fixed(mark, FINE),
            "indexPrice": fixed(index, FINE),
            "estimatedSettlePrice": fixed((mark + index) // 2, FINE),
            "lastFundingRate": fixed(int(row[columns.FUNDING]), FINE),
            "interestRate": "0.00010000",
            "nextFundingTime": self._market.source.next_funding_ms(symbol, now_ms),
            "time": now_ms,
        }

    def _statistics(self, symbol: int, _: Rows, now_ms: int) -> dict[str, Any]:
        spec = self._market.specs[symbol]
        rows = self._market.day_rows(symbol, now_ms)
        price, quantity, quote = spec.price_decimals, spec.qty_decimals, spec.quote_decimals
        first, last = int(rows[0, columns.OPEN]), int(rows[-1, columns.CLOSE])
        volume, turnover = int(rows[:, columns.VOLUME].sum()), int(rows[:, columns.QUOTE_VOLUME].sum())
        trades = int(rows[:, columns.TRADES].sum())
        mean = turnover * 10 ** (price + quantity) // (10**quote * volume) if volume else last
        newest = trade_id(now_ms // MINUTE_MS * MINUTE_MS) + int(rows[-1, columns.TRADES]) - 1
        lots = int(rows[-1, columns.VOLUME]) // max(int(rows[-1, columns.TRADES]), 1)
        return {
            "symbol": spec.symbol,
            "priceChange": fixed(last - first, price),
            "priceChangePercent": f"{(last - first) / first * 100:.3f}",
            "weightedAvgPrice": fixed(mean, price),
            "lastPrice": fixed(last, price),
            "lastQty": fixed(max(lots // spec.step_units, 1) * spec.step_units, quantity),
            "openPrice": fixed(first, price),
            "highPrice": fixed(int(rows[:, columns.HIGH].max()), price),
            "lowPrice": fixed(int(rows[:, columns.LOW].min()), price),
            "volume": fixed(volume, quantity),
            "quoteVolume": fixed(turnover, quote),
            "openTime": (now_ms // MINUTE_MS - len(rows) + 1) * MINUTE_MS,
            "closeTime": now_ms,
            "firstId": newest - trades + 1,
            "lastId": newest,
            "count": trades,
        }

    def _levels(self, symbol: int, row: Rows, levels: int, now_ms: int) -> tuple[list[list[str]], list[list[str]]]:
        """A plausible book: the last price between bid and ask, sizes growing away from it."""
        spec = self._market.specs[symbol]
        tick, step = spec.tick_units, spec.step_units
        last = int(row[columns.CLOSE])
        bid = last if (last // tick) % 2 else max(last - tick, tick)
        base = int(self._market.minute(now_ms // MINUTE_MS).lots[symbol])
        bids, asks = [], []
        for k in range(levels):
            size = fixed(base * (k + 1) * step, spec.qty_decimals)
            if bid - k * tick > 0:
                bids.append([fixed(bid - k * tick, spec.price_decimals), size])
            asks.append([fixed(bid + (k + 1) * tick, spec.price_decimals), size])
        return bids, asks

    # --- which symbols ---

    def _each(self, query: Mapping[str, str], now_ms: int, one: Callable[[int, Rows, int], dict[str, Any]]) -> bytes:
        if query.get("symbol"):
            symbol, row = self._row(query, now_ms)
            return orjson.dumps(one(symbol, row, now_ms))
        return orjson.dumps([one(s, row, now_ms) for s, row in self._trading(now_ms)])

    def _trading(self, now_ms: int) -> Iterable[tuple[int, Rows]]:
        for symbol, spec in enumerate(self._market.specs):
            if spec.status(now_ms) == "TRADING":
                row = self._market.now_row(symbol, now_ms)
                if row is not None:
                    yield symbol, row

    def _symbol(self, query: Mapping[str, str], now_ms: int) -> int:
        symbol = self._market.by_name.get(params.symbol_text(query))
        if symbol is None or not self._market.specs[symbol].listed(now_ms):
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _row(self, query: Mapping[str, str], now_ms: int) -> tuple[int, Rows]:
        symbol = self._symbol(query, now_ms)
        row = self._market.now_row(symbol, now_ms)
        if row is None:
            raise ApiError(-4108, "This contract is being settled and cannot be traded.")
        return symbol, row


def update_id(now_ms: int) -> int:
    """Order-book update id: grows with time."""
    return now_ms * 8


def trade_id(open_ms: int) -> int:
    """First trade id of the minute that opens at ``open_ms``."""
    return open_ms // MINUTE_MS * TRADES_A_MINUTE
