"""The exchange's market data over REST: typed answers, one weight budget for all callers."""

from collections.abc import Callable
from typing import TypeVar

import aiohttp
import numpy as np

from packages.common.errors import VenueRejectedError
from packages.common.symbol_map import to_rest
from packages.common.time import MINUTE_MS, Clock
from packages.common.types import Bar, OhlcBar, Settlement
from packages.exchange.binance import codec
from packages.exchange.binance.budget import kline_weight
from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.transport import Params, Request, RestConfig, Transport
from packages.exchange.port import (
    BookTop,
    Brackets,
    Columns,
    ExchangeInfo,
    FundingInfo,
    OpenInterest,
    PremiumIndex,
    Series,
)

T = TypeVar("T")
R = TypeVar("R", codec.KlineRow, codec.PriceRow)

_KLINE_PATHS = {
    Series.LAST: ("/fapi/v1/klines", "symbol"),
    Series.MARK: ("/fapi/v1/markPriceKlines", "symbol"),
    Series.INDEX: ("/fapi/v1/indexPriceKlines", "pair"),
}
_FUNDING_JITTER_MS = 30_000


class BinanceRest:
    """``MarketData`` over HTTP. One per address and process; who trades shares its ``transport``."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoints: Endpoints,
        clock: Clock,
        rng: np.random.Generator,
        *,
        credentials: Credentials | None = None,
        config: RestConfig | None = None,
    ) -> None:
        self.transport = Transport(session, endpoints, clock, rng, credentials=credentials, config=config)

    # --- MarketData ---------------------------------------------------------------------------------------------

    async def server_time_ms(self) -> int:
        """The exchange's clock; also the proof that bars which ended before it are closed."""
        now = await self._get("/fapi/v1/time", {}, codec.decode_time)
        self.transport.known_now_ms = max(self.transport.known_now_ms, now)
        return now

    async def exchange_info(self) -> ExchangeInfo:
        """Every listed contract; the weight limit it states becomes the budget's."""
        # Documented weight is 1; others were charged more (reference §3.1), so more is budgeted.
        info = await self._get("/fapi/v1/exchangeInfo", {}, codec.decode_exchange_info, weight=40)
        if info.weight_limit_1m:
            self.transport.weight.limit = info.weight_limit_1m
        return info

    async def kline_columns(
        self, series: Series, symbol: str, start_ms: int, end_ms: int, limit: int = 1500
    ) -> Columns:
        """See ``MarketData.kline_columns``."""
        if series is Series.LAST:
            return codec.bar_columns(await self._bars(series, symbol, (start_ms, end_ms), limit, codec.decode_klines))
        return codec.price_columns(await self._bars(series, symbol, (start_ms, end_ms), limit, codec.decode_prices))

    async def klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[Bar]:
        """Closed bars of the last price."""
        rows = await self._bars(Series.LAST, symbol, (start_ms, end_ms), limit, codec.decode_klines)
        return [codec.to_bar(symbol, row) for row in rows]

    async def mark_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        """Closed bars of the mark price."""
        rows = await self._bars(Series.MARK, symbol, (start_ms, end_ms), limit, codec.decode_prices)
        return [codec.to_ohlc(symbol, row) for row in rows]

    async def index_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        """Closed bars of the index price (by pair, which is the symbol for perpetuals)."""
        rows = await self._bars(Series.INDEX, symbol, (start_ms, end_ms), limit, codec.decode_prices)
        return [codec.to_ohlc(symbol, row) for row in rows]

    async def funding_rates(
        self, symbol: str | None, start_ms: int, end_ms: int, limit: int = 1000
    ) -> list[Settlement]:
        """Settled rates, ascending. Without a symbol: of all symbols, up to ``limit`` rows from ``start_ms`` on."""
        params: dict[str, str | int] = {"symbol": to_rest(symbol)} if symbol is not None else {}
        # Real settlement times carry some jitter: ask wider, then cut.
        params |= {"startTime": start_ms - _FUNDING_JITTER_MS, "endTime": end_ms + _FUNDING_JITTER_MS, "limit": limit}
        rows = await self._get("/fapi/v1/fundingRate", params, codec.decode_settlements, weight=0, pool="funding")
        return sorted((s for s in rows if start_ms <= s.ts_ms < end_ms), key=lambda s: (s.ts_ms, s.symbol))

    async def funding_info(self) -> list[FundingInfo]:
        """Symbols with adjusted limits or interval."""
        return await self._get("/fapi/v1/fundingInfo", {}, codec.decode_funding_info, weight=0, pool="funding")

    async def premium_index(self, symbol: str | None = None) -> list[PremiumIndex]:
        """Mark, index and predicted funding now."""
        params = {"symbol": to_rest(symbol)} if symbol else {}
        return await self._get("/fapi/v1/premiumIndex", params, codec.decode_premium, weight=1 if symbol else 10)

    async def book_top(self, symbol: str) -> BookTop:
        """Best bid and ask now."""
        path, params = "/fapi/v1/ticker/bookTicker", {"symbol": to_rest(symbol)}
        return await self._get(path, params, codec.decode_book_top, weight=2)

    async def open_interest(self, symbol: str) -> OpenInterest:
        """Open interest now."""
        return await self._get("/fapi/v1/openInterest", {"symbol": to_rest(symbol)}, codec.decode_open_interest)

    async def open_interest_hist(
        self, symbol: str, start_ms: int, end_ms: int, period: str = "5m", limit: int = 500
    ) -> list[OpenInterest]:
        """Open interest on a grid, ascending, of the last month."""
        params: Params = {
            "symbol": to_rest(symbol),
            "period": period,
            "startTime": start_ms,
            "endTime": end_ms - 1,
            "limit": limit,
        }
        path = "/futures/data/openInterestHist"
        rows = await self._get(path, params, codec.decode_open_interest_hist, weight=0, pool="data")
        return sorted((row for row in rows if start_ms <= row.ts_ms < end_ms), key=lambda row: row.ts_ms)

    async def leverage_brackets(self, symbol: str | None = None) -> list[Brackets]:
        """Leverage tiers; signed when there is a key, for the exchange gives them to account holders only."""
        params = {"symbol": to_rest(symbol)} if symbol else {}
        return await self._get("/fapi/v1/leverageBracket", params, codec.decode_brackets, signed=True)

    # --- how ----------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> int:
        """Requests sent."""
        return self.transport.requests

    @property
    def failures(self) -> int:
        """Requests that did not succeed."""
        return self.transport.failures

    @property
    def used_weight(self) -> int:
        """Weight we sent within the last minute."""
        return self.transport.weight.used

    async def _bars(
        self,
        series: Series,
        symbol: str,
        span: tuple[int, int],
        limit: int,
        decode: Callable[[bytes], list[R]],
    ) -> list[R]:
        start_ms, end_ms = span
        if end_ms > self.transport.known_now_ms:
            await self.server_time_ms()
        path, key = _KLINE_PATHS[series]
        params: Params = {
            key: to_rest(symbol),
            "interval": "1m",
            "startTime": start_ms,
            "endTime": end_ms - 1,
            "limit": limit,
        }
        known = self.transport.known_now_ms  # before the request: the last row may be an unfinished candle
        rows = await self._get(path, params, decode, weight=kline_weight(limit))
        return [r for r in rows if start_ms <= r.ts < end_ms and r.ts + MINUTE_MS <= known]

    async def _get(
        self,
        path: str,
        params: Params,
        decode: Callable[[bytes], T],
        *,
        weight: int = 1,
        pool: str | None = None,
        signed: bool = False,
    ) -> T:
        return await self.transport.get(Request("GET", path, params, weight, pool, signed=signed), decode)


def need_key(error: VenueRejectedError) -> bool:
    """True when the exchange refused for want of an account's key."""
    return error.http_status == 401 or error.venue_code in (-1102, -2014, -2015, -1022)
