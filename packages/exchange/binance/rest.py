"""The exchange over REST: typed answers, one weight budget for all callers, retries only of what changes nothing.

A key, where there is one, goes into a header and nowhere else; neither it nor a signature is ever logged.
"""

import asyncio
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
import numpy as np
from yarl import URL

from packages.common.errors import VenueBannedError, VenueError, VenueRejectedError, VenueUnavailableError
from packages.common.symbol_map import to_rest
from packages.common.time import MINUTE_MS, Clock
from packages.common.types import Bar, OhlcBar, Settlement
from packages.exchange.binance import codec
from packages.exchange.binance.budget import Purpose, RollingBudget, kline_weight
from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.binance.errors import Reaction, error_from, reaction_to
from packages.exchange.port import (
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
Params = Mapping[str, str | int]

_KLINE_PATHS = {
    Series.LAST: ("/fapi/v1/klines", "symbol"),
    Series.MARK: ("/fapi/v1/markPriceKlines", "symbol"),
    Series.INDEX: ("/fapi/v1/indexPriceKlines", "pair"),
}
_FUNDING_JITTER_MS = 30_000
_LONGEST_WAIT_MS = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's key; ``repr`` shows neither part."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RestConfig:
    """``attempts`` of one GET in all; waits in wall seconds double from ``backoff_s`` up to ``backoff_max_s``."""

    attempts: int = 5
    backoff_s: float = 0.2
    backoff_max_s: float = 5.0
    timeout_s: float = 10.0
    concurrency: int = 8
    recv_window_ms: int = 5_000
    reserve: float = 0.30


class BinanceRest:
    """``MarketData`` over HTTP. One per address and process, because the weight is the address's."""

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
        self._session, self._endpoints, self._clock, self._rng = session, endpoints, clock, rng
        self._credentials = credentials
        self._config = config or RestConfig()
        self._timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
        self._slots = asyncio.Semaphore(self._config.concurrency)
        self._weight = RollingBudget(endpoints.weight_limit_1m, reserve=self._config.reserve)
        # Pools whose use no header tells (reference §7.2).
        self._pools = {
            "funding": RollingBudget(500, window_ms=5 * MINUTE_MS, reserve=0.1),
            "data": RollingBudget(1000, window_ms=5 * MINUTE_MS, reserve=0.1),
        }
        self._host = 0
        self._known_now_ms = 0
        self._paused_until_ms = 0
        self._banned: VenueBannedError | None = None
        self.requests = 0
        self.failures = 0

    # --- MarketData ---------------------------------------------------------------------------------------------

    async def server_time_ms(self) -> int:
        """The exchange's clock; also the proof that bars which ended before it are closed."""
        now = await self._get("/fapi/v1/time", {}, codec.decode_time)
        self._known_now_ms = max(self._known_now_ms, now)
        return now

    async def exchange_info(self) -> ExchangeInfo:
        """Every listed contract; the weight limit it states becomes the budget's."""
        # Documented weight is 1; others were charged more (reference §3.1), so more is budgeted.
        info = await self._get("/fapi/v1/exchangeInfo", {}, codec.decode_exchange_info, weight=40)
        if info.weight_limit_1m:
            self._weight.limit = info.weight_limit_1m
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

    # --- listenKey (reference §5.1) -----------------------------------------------------------------------------

    async def create_listen_key(self) -> str:
        """The key of the user stream; an active one is returned again and extended by 60 minutes."""
        return await self._listen_key("POST")

    async def keep_listen_key(self) -> str:
        """Extend it; ``VenueRejectedError`` with code -1125 when there is none any more."""
        return await self._listen_key("PUT")

    async def _listen_key(self, method: str) -> str:
        body = await self._send(method, "/fapi/v1/listenKey", {}, weight=1, pool=None, purpose=Purpose.EXIT)
        return str(msgspec.json.decode(body).get("listenKey", ""))

    # --- how ----------------------------------------------------------------------------------------------------

    @property
    def used_weight(self) -> int:
        """Weight we sent within the last minute."""
        return self._weight.used

    async def _bars(
        self,
        series: Series,
        symbol: str,
        span: tuple[int, int],
        limit: int,
        decode: Callable[[bytes], list[R]],
    ) -> list[R]:
        start_ms, end_ms = span
        if end_ms > self._known_now_ms:
            await self.server_time_ms()
        path, key = _KLINE_PATHS[series]
        params: Params = {
            key: to_rest(symbol),
            "interval": "1m",
            "startTime": start_ms,
            "endTime": end_ms - 1,
            "limit": limit,
        }
        known = self._known_now_ms  # before the request: the last row may be an unfinished candle
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
        """GET and decode, with retries; a body that does not decode is retried like a broken connection."""
        attempt = 0
        while True:
            attempt += 1
            try:
                body = await self._send(
                    "GET", path, params, weight=weight, pool=pool, purpose=Purpose.DATA, signed=signed
                )
                try:
                    return decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError) as exc:
                    raise VenueUnavailableError(f"GET {path}: body does not decode: {exc}") from exc
            except VenueBannedError:
                raise
            except VenueUnavailableError as exc:
                too_long = exc.retry_after_ms is not None and exc.retry_after_ms > _LONGEST_WAIT_MS
                if attempt >= self._config.attempts or exc.http_status == 403 or too_long:
                    raise
                if reaction_to(exc) is Reaction.RESYNC:
                    self._known_now_ms = max(self._known_now_ms, await self._resync())
                await self._back_off(attempt)

    async def _send(
        self,
        method: str,
        path: str,
        params: Params,
        *,
        weight: int,
        pool: str | None,
        purpose: Purpose,
        signed: bool = False,
    ) -> bytes:
        """One request. Raises the typed error of what came back."""
        async with self._slots:
            await self._admit(weight, pool, purpose)
            sent_ms = self._clock.now_ms()
            self.requests += 1
            try:
                url, headers = self._address(path, params, signed)
                async with self._session.request(method, url, headers=headers, timeout=self._timeout) as response:
                    header = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
                    if header.isdigit():
                        self._weight.observe(sent_ms, int(header))
                    body = await response.read()
                    if response.status == 200:
                        return body
                    error = error_from(
                        response.status,
                        body,
                        retry_after=response.headers.get("Retry-After"),
                        now_ms=self._clock.now_ms(),
                        idempotent=method in ("GET", "PUT"),
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                self._host += 1
                error = VenueUnavailableError(f"{method} {path}: {type(exc).__name__}: {exc}")
                error.__cause__ = exc
        self.failures += 1
        self._note(error)
        raise error

    async def _admit(self, weight: int, pool: str | None, purpose: Purpose) -> None:
        """Return when the request may leave, and count it."""
        while True:
            now = self._clock.now_ms()
            if self._banned is not None and now < self._paused_until_ms:
                raise self._banned
            self._banned = None
            delay = max(self._paused_until_ms - now, self._weight.delay_ms(now, weight, purpose), 0)
            if pool is not None:
                delay = max(delay, self._pools[pool].delay_ms(now, 1))
            if delay == 0 or math.isinf(self._clock.speed):
                # As fast as the consumer follows, market time may stand still while we ask: windows would never turn.
                break
            await self._clock.sleep(delay + 1)
        self._weight.spend(now, weight)
        if pool is not None:
            self._pools[pool].spend(now, 1)

    def _note(self, error: VenueError) -> None:
        if not isinstance(error, VenueUnavailableError) or error.retry_after_ms is None:
            return
        self._paused_until_ms = max(self._paused_until_ms, self._clock.now_ms() + error.retry_after_ms)
        if isinstance(error, VenueBannedError):
            self._banned = error

    async def _back_off(self, attempt: int) -> None:
        ceiling = min(self._config.backoff_max_s, self._config.backoff_s * 2 ** (attempt - 1))
        await asyncio.sleep(ceiling * (0.5 + 0.5 * float(self._rng.random())))

    async def _resync(self) -> int:
        body = await self._send("GET", "/fapi/v1/time", {}, weight=1, pool=None, purpose=Purpose.EXIT)
        return codec.decode_time(body)

    def _address(self, path: str, params: Params, signed: bool) -> tuple[URL, dict[str, str]]:
        query = urlencode(params)
        headers: dict[str, str] = {}
        if self._credentials is not None:
            headers["X-MBX-APIKEY"] = self._credentials.key
            if signed:
                stamp = urlencode({"recvWindow": self._config.recv_window_ms, "timestamp": self._clock.now_ms()})
                query = f"{query}&{stamp}" if query else stamp
                digest = hmac.new(self._credentials.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
                query = f"{query}&signature={digest}"
        base = self._endpoints.rest[self._host % len(self._endpoints.rest)]
        # Encoded here, once: the signature is over the very bytes that leave (reference §7.1).
        return URL(f"{base}{path}" + (f"?{query}" if query else ""), encoded=True), headers


def need_key(error: VenueRejectedError) -> bool:
    """True when the exchange refused for want of an account's key."""
    return error.http_status == 401 or error.venue_code in (-1102, -2014, -2015, -1022)
