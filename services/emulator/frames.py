"""Stream payloads as frames: key order and number formats of the exchange (§4.2)."""

import numpy as np
from numpy.typing import NDArray

from services.emulator import columns
from services.emulator.columns import FINE, Rows
from services.emulator.market import Market, Minute
from services.emulator.render import Sheet, Template, frame, template
from services.emulator.rest_quotes import trade_id, update_id
from services.emulator.symbols import SymbolSpec

_KLINE = (
    '{"t":%,"T":%,{S}"i":"{i}","f":%,"L":%,"o":"%","c":"%","h":"%","l":"%","v":"%","n":%,"x":{x},"q":"%","V":"%",'
    '"Q":"%","B":"0"}'
)
_MARK = '{"e":"markPriceUpdate","E":%,"s":"{s}","p":"%","ap":"%","P":"%","i":"%","r":"%","T":%,"st":1}'
_BOOK = '{"e":"bookTicker","u":%,"E":%,"T":%,"s":"{s}","ps":"{s}","b":"%","B":"%","a":"%","A":"%","st":1}'


class Frames:
    """Prints pushes of many symbols in one call. Two templates a symbol where a candle may be open or closed."""

    def __init__(self, market: Market) -> None:
        self._specs = market.specs
        self._sheets: dict[tuple[str, str, bool], Sheet] = {}
        self._steps = np.array([s.step_units for s in market.specs], np.int64)
        self._ticks = np.array([s.tick_units for s in market.specs], np.int64)
        self._tradifi = np.array([s.tradifi for s in market.specs], np.bool_)

    def klines(
        self,
        kind: str,
        interval: str,
        combined: bool,
        symbols: NDArray[np.int64],
        candles: Rows,
        span: tuple[int, int],
        closed: bool,
        event_ms: int,
    ) -> bytes:
        """``candles`` (n, WIDTH) of ``symbols``; ``span``: their open and the open of the next ones."""
        values = np.empty((len(symbols), 14), np.int64)
        trades = candles[:, columns.TRADES]
        first = trade_id(span[0])
        values[:, 0] = event_ms
        values[:, 1] = span[0]
        values[:, 2] = span[1] - 1
        values[:, 3] = np.where(trades > 0, first, -1)
        values[:, 4] = np.where(trades > 0, first + trades - 1, -1)
        values[:, 5] = candles[:, columns.OPEN]
        values[:, 6] = candles[:, columns.CLOSE]
        values[:, 7] = candles[:, columns.HIGH]
        values[:, 8] = candles[:, columns.LOW]
        values[:, 9] = candles[:, columns.VOLUME]
        values[:, 10] = trades
        values[:, 11] = candles[:, columns.QUOTE_VOLUME]
        values[:, 12] = candles[:, columns.TAKER_VOLUME]
        values[:, 13] = candles[:, columns.TAKER_QUOTE]
        return self._sheet(kind, interval, combined).print(2 * symbols + closed, values, framed=True)

    def marks(
        self, speed: str, combined: bool, symbols: NDArray[np.int64], minute: Minute, k: int, event_ms: int
    ) -> bytes:
        """Sample ``k`` of the minute."""
        return self._sheet("mark", speed, combined).print(
            symbols, self._mark_values(symbols, minute, k, event_ms), framed=True
        )

    def all_marks(self, speed: str, combined: bool, minute: Minute, k: int, event_ms: int) -> list[bytes]:
        """Sample ``k`` of every symbol in one array; traditional assets come in a message of their own."""
        messages = []
        suffix = "@1s" if speed == "1s" else ""
        for chosen in (~self._tradifi, self._tradifi):
            symbols = np.flatnonzero(chosen & minute.present)
            if len(symbols):
                rows = self._sheet("marks", speed, combined).print(
                    symbols, self._mark_values(symbols, minute, k, event_ms)
                )
                text = b"[" + rows[:-1] + b"]"
                messages.append(
                    frame(b'{"stream":"!markPrice@arr%b","data":%b}' % (suffix.encode(), text) if combined else text)
                )
        return messages

    def books(
        self, kind: str, combined: bool, symbols: NDArray[np.int64], minute: Minute, second: int, event_ms: int
    ) -> bytes:
        """Best bid and ask around the last price of ``second``."""
        last, tick = minute.last[symbols, second], self._ticks[symbols]
        bid = np.where(last // tick % 2 == 1, last, np.maximum(last - tick, tick))
        step = self._steps[symbols]
        size = minute.lots[symbols] * step
        values = np.empty((len(symbols), 7), np.int64)
        values[:, 0] = update_id(event_ms)
        values[:, 1] = values[:, 2] = event_ms
        values[:, 3], values[:, 4], values[:, 5], values[:, 6] = bid, size, bid + tick, size
        return self._sheet(kind, "", combined).print(symbols, values, framed=True)

    @staticmethod
    def _mark_values(symbols: NDArray[np.int64], minute: Minute, k: int, event_ms: int) -> NDArray[np.int64]:
        mark, index = minute.mark[symbols, k], minute.spot[symbols, k]
        values = np.empty((len(symbols), 7), np.int64)
        values[:, 0] = event_ms
        values[:, 1] = mark
        values[:, 2] = minute.mark[symbols, max(0, k - 2) : k + 1].mean(axis=1)
        values[:, 3] = (mark + index) // 2
        values[:, 4] = index
        values[:, 5] = minute.rows[symbols, columns.FUNDING]
        values[:, 6] = minute.next_funding_ms[symbols]
        return values

    def _sheet(self, kind: str, detail: str, combined: bool) -> Sheet:
        key = (kind, detail, combined)
        if key not in self._sheets:
            make = {
                "kline": _klines,
                "continuous": _klines,
                "mark": _marks,
                "marks": _marks,
                "book": _books,
                "books": _books,
            }
            self._sheets[key] = Sheet([t for s in self._specs for t in make[kind](s, kind, detail, combined)])
        return self._sheets[key]


def _klines(spec: SymbolSpec, kind: str, interval: str, combined: bool) -> list[Template]:
    price, quantity, quote = spec.price_decimals, spec.qty_decimals, spec.quote_decimals
    decimals = (0, 0, 0, 0, 0, price, price, price, price, quantity, 0, quote, quantity, quote)
    name = spec.symbol.lower()
    templates = []
    for closed in ("false", "true"):
        candle = _KLINE.replace("{i}", interval).replace("{x}", closed)
        if kind == "kline":
            candle = candle.replace("{S}", f'"s":"{spec.symbol}",')
            body = f'{{"e":"kline","E":%,"s":"{spec.symbol}","k":{candle}}}'
            stream = f"{name}@kline_{interval}"
        else:
            contract = "TRADIFI_PERPETUAL" if spec.tradifi else "PERPETUAL"
            candle = candle.replace("{S}", "")
            body = f'{{"e":"continuous_kline","E":%,"ps":"{spec.symbol}","ct":"{contract}","k":{candle}}}'
            stream = f"{name}_{contract.lower()}@continuousKline_{interval}"
        templates.append(template(_wrap(stream, body, combined), decimals))
    return templates


def _marks(spec: SymbolSpec, kind: str, speed: str, combined: bool) -> list[Template]:
    body = _MARK.replace("{s}", spec.symbol)
    decimals = (0, FINE, FINE, FINE, FINE, FINE, 0)
    if kind == "marks":  # an element of the array
        return [template(body + ",", decimals)]
    stream = f"{spec.symbol.lower()}@markPrice" + ("@1s" if speed == "1s" else "")
    return [template(_wrap(stream, body, combined), decimals)]


def _books(spec: SymbolSpec, kind: str, _: str, combined: bool) -> list[Template]:
    price, quantity = spec.price_decimals, spec.qty_decimals
    stream = "!bookTicker" if kind == "books" else f"{spec.symbol.lower()}@bookTicker"
    body = _BOOK.replace("{s}", spec.symbol)
    return [template(_wrap(stream, body, combined), (0, 0, 0, price, quantity, price, quantity))]


def _wrap(stream: str, body: str, combined: bool) -> str:
    return f'{{"stream":"{stream}","data":{body}}}' if combined else body
