"""A market that is a function of symbol and time, and the exchange's two faces over it, in memory."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import numpy as np

from packages.common.errors import VenueRejectedError, VenueUnavailableError
from packages.common.time import HOUR_MS, MINUTE_MS
from packages.common.types import Bar, KlineUpdate, MarkTick, OhlcBar, Settlement
from packages.exchange.port import (
    Bracket,
    Brackets,
    Connected,
    Disconnected,
    ExchangeInfo,
    InstrumentInfo,
    OpenInterest,
    PremiumIndex,
    Series,
    StreamStats,
)

T0 = 1_700_000_000_000 // HOUR_MS * HOUR_MS + 10 * MINUTE_MS
OFFSETS = tuple(range(0, MINUTE_MS, 10_000))
FUNDING_EVERY = 4 * HOUR_MS
HOURLY = "PUMPUSDT"  # settles every hour


def price(symbol: str, at: int) -> float:
    return 100.0 + (ord(symbol[0]) + at // 1000 * 7919) % 97 / 10


def prices(symbol: str, ts: int, shift: float = 0.0) -> tuple[float, float, float, float]:
    path = [price(symbol, ts + o) + shift for o in OFFSETS]
    return path[0], max(path), min(path), path[-1]


def bar(symbol: str, ts: int) -> Bar:
    return Bar(symbol, ts, *prices(symbol, ts), 5.0, 500.0, 7, 2.0, 200.0)


def funding_every(symbol: str) -> int:
    return HOUR_MS if symbol == HOURLY else FUNDING_EVERY


def next_funding(at: int, symbol: str = "") -> int:
    every = funding_every(symbol)
    return at // every * every + every


def instrument(symbol: str, **change) -> InstrumentInfo:
    fields = {
        "symbol": symbol, "contract_type": "PERPETUAL", "status": "TRADING", "base_asset": symbol[:-4],
        "quote_asset": "USDT", "margin_asset": "USDT", "onboard_ts_ms": 0, "delivery_ts_ms": 4_133_404_800_000,
        "tick_size": Decimal("0.10"), "step_size": Decimal("0.001"), "min_qty": Decimal("0.001"),
        "max_qty": Decimal(1000), "market_step_size": Decimal("0.001"), "market_min_qty": Decimal("0.001"),
        "market_max_qty": Decimal(120), "min_notional": Decimal(5), "liquidation_fee": Decimal("0.0125"),
        "raw": {"symbol": symbol},
    }  # fmt: skip
    return InstrumentInfo(**(fields | change))


class FakeVenue:
    """``MarketData``. ``absent`` bars do not exist; ``failures`` requests fail first; ``asked`` is what came.

    ``behind_ms``: the exchange was away and stands this much before what its stream had told. Answers about one
    symbol's funding wait while ``slow_funding`` is set, until one about all symbols was given.
    """

    def __init__(self, symbols: Sequence[str], now_ms: int) -> None:
        self.now_ms, self.listed = now_ms, {s: instrument(s) for s in symbols}
        self.absent: set[tuple[str, int]] = set()
        self.no_index: set[str] = set()
        self.failures = 0
        self.posted_after_ms = self.behind_ms = 0
        self.unposted: set[tuple[str, int]] = set()
        self.slow_funding = False
        self._funding_given = asyncio.Event()
        self.asked: list[tuple] = []
        self.down = False

    def _ask(self, *what) -> None:
        self.asked.append(what)
        if self.down or self.failures:
            self.failures = max(0, self.failures - 1)
            raise VenueUnavailableError("scripted")

    async def server_time_ms(self) -> int:
        return self.now_ms - self.behind_ms

    async def exchange_info(self) -> ExchangeInfo:
        return ExchangeInfo(self.listed, 2400)

    def _open(self, symbol: str, start_ms: int, end_ms: int, limit: int) -> list[int]:
        first = max(start_ms, self.listed[symbol].onboard_ts_ms)
        opens = range(
            -(-first // MINUTE_MS) * MINUTE_MS, min(end_ms, self.now_ms - self.behind_ms - MINUTE_MS + 1), MINUTE_MS
        )
        return [ts for ts in opens if (symbol, ts) not in self.absent][:limit]

    async def klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[Bar]:
        self._ask("klines", symbol, start_ms, end_ms)
        return [bar(symbol, ts) for ts in self._open(symbol, start_ms, end_ms, limit)]

    async def mark_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        self._ask("mark", symbol, start_ms, end_ms)
        return [OhlcBar(symbol, ts, *prices(symbol, ts)) for ts in self._open(symbol, start_ms, end_ms, limit)]

    async def index_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        self._ask("index", symbol, start_ms, end_ms)
        if symbol in self.no_index:
            raise VenueRejectedError("no index", venue_code=-1121)
        return [OhlcBar(symbol, ts, *prices(symbol, ts, 1.0)) for ts in self._open(symbol, start_ms, end_ms, limit)]

    async def kline_columns(self, series: Series, symbol: str, start_ms: int, end_ms: int, limit: int = 1500):
        fetch = {Series.LAST: self.klines, Series.MARK: self.mark_klines, Series.INDEX: self.index_klines}[series]
        rows = await fetch(symbol, start_ms, end_ms, limit)
        names = [
            n for n in (Bar if series is Series.LAST else OhlcBar).__struct_fields__ if n not in ("symbol", "samples")
        ]
        return {
            n.removesuffix("_ms"): np.array(
                [getattr(r, n) for r in rows], np.int64 if n in ("ts_ms", "trades") else np.float64
            )
            for n in names
        }

    async def funding_rates(self, symbol: str | None, start_ms: int, end_ms: int, limit: int = 1000):
        self._ask("funding", symbol, start_ms, end_ms)
        posted_ms = self.now_ms - self.behind_ms - self.posted_after_ms
        rows = [
            Settlement(s, t, 1e-4)
            for s in ([symbol] if symbol else self.listed)
            for t in range(next_funding(start_ms - 1, s), min(end_ms, posted_ms + 1), funding_every(s))
            if (s, t) not in self.unposted
        ]
        if symbol is None:
            self.slow_funding = False
            self._funding_given.set()
        elif self.slow_funding:
            await self._funding_given.wait()
        return sorted(rows, key=lambda row: row.ts_ms)[:limit]

    async def funding_info(self):
        return []

    async def premium_index(self, symbol: str | None = None) -> list[PremiumIndex]:
        names = [symbol] if symbol else list(self.listed)
        now = self.now_ms
        return [PremiumIndex(s, now, price(s, now), math.nan, math.nan, next_funding(now, s)) for s in names]

    async def open_interest(self, symbol: str) -> OpenInterest:
        return OpenInterest(symbol, self.now_ms, 1.0, None)

    async def open_interest_hist(self, symbol: str, start_ms: int, end_ms: int, period: str = "5m", limit: int = 500):
        step = 5 * MINUTE_MS
        return [OpenInterest(symbol, t, 1.0, 2.0) for t in range(-(-start_ms // step) * step, end_ms, step)][:limit]

    async def leverage_brackets(self, symbol: str | None = None) -> list[Brackets]:
        return [Brackets(s, (Bracket(1, 75, 0.0, 5e4, 0.004, 0.0),)) for s in self.listed]


class FakeStream:
    """``MarketStream`` that hands over what a test puts in."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self.queue: asyncio.Queue[list] = asyncio.Queue()
        self.closed = False

    def put(self, *items) -> None:
        self.queue.put_nowait(list(items))

    async def batches(self) -> AsyncIterator[list]:
        while True:
            yield await self.queue.get()

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)

    @property
    def backlog(self) -> bool:
        return not self.queue.empty()

    def stats(self) -> StreamStats:
        return StreamStats(True, True, 0.0, 0, 0.0, 0, 0, 0, 0, 0)


class FakeMarket:
    """Venue and stream of one market whose time moves by the minute."""

    def __init__(self, symbols: Sequence[str], now_ms: int = T0) -> None:
        self.symbols = list(symbols)
        self.venue = FakeVenue(symbols, now_ms)
        self.stream: FakeStream | None = None
        self.opened = asyncio.Event()

    @asynccontextmanager
    async def open_stream(self, symbols: Sequence[str]):
        self.stream = FakeStream(symbols)
        self.stream.put(Connected("start"))
        self.opened.set()
        try:
            yield self.stream
        finally:
            self.stream.closed = True

    def reconnect(self) -> None:
        self.stream.put(Disconnected("test"), Connected("test"))

    def minute(self, *, lose: set[str] = frozenset(), lose_marks: set[str] = frozenset()) -> int:
        """Push the minute that is under way to its end, and ten seconds of the next; returns its open.

        So the first ten seconds of each minute but the first are pushed twice.
        """
        ts = self.under_way
        end = ts + MINUTE_MS
        on = [s for s in self.symbols if (s, ts) not in self.venue.absent]
        items: list = [self.mark(s, ts + o) for o in OFFSETS for s in on if s not in lose_marks]
        items += [KlineUpdate(end, True, bar(s, ts)) for s in on if s not in lose]
        items += [self.mark(s, end + o) for o in OFFSETS[:2] for s in self.symbols if (s, end) not in self.venue.absent]
        self.venue.now_ms = end + OFFSETS[1]
        self.stream.put(*items)
        return ts

    @property
    def under_way(self) -> int:
        """Open of the minute that is under way."""
        return self.venue.now_ms // MINUTE_MS * MINUTE_MS

    @staticmethod
    def mark(symbol: str, at: int) -> MarkTick:
        return MarkTick(symbol, at, price(symbol, at), price(symbol, at) + 1.0, 2e-5, next_funding(at, symbol))
