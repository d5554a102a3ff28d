"""REST: the table of endpoints, and what surrounds every answer (weight, limits, headers, error bodies)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web

from services.emulator import params
from services.emulator.clock import MarketClock
from services.emulator.faults import Fault, Faults, Kind
from services.emulator.limits import Caller, Limits, depth_weight
from services.emulator.market import Market
from services.emulator.params import ApiError
from services.emulator.rest_info import Info
from services.emulator.rest_klines import Klines
from services.emulator.rest_quotes import Quotes
from services.emulator.trading import Asking, Trading
from services.emulator.venue.operations import OPERATIONS

Query = Mapping[str, str]
Answer = Callable[[Query, int], bytes]
_HOLD_STEP_MS = 500  # of the market


@dataclass(frozen=True)
class Endpoint:
    """``answer(query, now_ms)`` gives the body; ``weight(query)`` its cost; ``pool``: what else counts it.

    ``signed``: of the market, yet for holders of a key (unless a switch says otherwise).
    """

    answer: Answer
    weight: Callable[[Query], int]
    pool: str = "weight"  # weight | funding | data
    signed: bool = False


class Rest:
    """Every GET of the public market data, and what ``trading`` knows. Further endpoints join ``endpoints``."""

    def __init__(self, market: Market, clock: MarketClock, limits: Limits, faults: Faults, trading: Trading) -> None:
        self._clock, self._limits, self._faults, self._trading = clock, limits, faults, trading
        self.endpoints = _endpoints(market, limits)
        self._known = set(self.endpoints) | {path for _, path in OPERATIONS}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer any path of the API; the router sends everything that is not a stream here."""
        response, outcome = await self._answer(request)
        if request.path in self._known:
            self._trading.audit.answered(request.method, request.path, outcome)
        return response

    async def _answer(self, request: web.Request) -> tuple[web.Response, str]:
        """The answer, and how the audit counts it."""
        now_ms = self._clock.now_ms()
        headers = {"Content-Type": "application/json"}
        try:
            asked = await Asking.of(request)
            endpoint = self.endpoints.get(asked.path) if asked.method == "GET" else None
            operation = self._trading.operation(asked) if endpoint is None else None
            caller = self._limits.caller(asked.address)
            if self._faults.down(now_ms):
                raise ApiError(0, "Service Unavailable.", 503)
            fault = self._faults.request(asked.seen, now_ms)
            lag_ms = await self._befall(fault, caller) if fault is not None else 0
            if operation is not None:
                weight = operation.weight if "symbol" in asked.params else max(operation.weight, operation.weight_all)
                self._count(weight, "weight", caller, headers)
                body = await self._trading.answer(request, asked, operation, headers, lag_ms)
                if fault is not None and fault.kind is Kind.READ_OVERTAKEN:
                    await self._hold(fault)
                return web.Response(body=body, headers=headers), "200"
            if endpoint is None:
                raise ApiError(-5000, f"Path {asked.path}, Method {asked.method} is invalid", 404)
            self._count(endpoint.weight(request.query), endpoint.pool, caller, headers)
            if endpoint.signed:
                self._trading.signed(asked)
            now_ms = self._clock.now_ms()
            if asked.path.endswith("/time"):
                now_ms += self._faults.skew(now_ms)
            return web.Response(body=endpoint.answer(request.query, now_ms), headers=headers), "200"
        except ApiError as error:
            told = {"code": error.code, "msg": error.message} if error.code else {"msg": error.message}
            body = error.message.encode() if error.status == 403 else orjson.dumps(told)
            response = web.Response(body=body, status=error.status, headers=headers | error.headers)
            return response, str(error.code or error.status)

    async def _befall(self, fault: Fault, caller: Caller) -> int:
        """Let ``fault`` happen to a request: raise, wait, or return how old its answer is to be."""
        wait = {"Retry-After": str(max(1, fault.delay_ms // 1000))} if fault.delay_ms else {}
        match fault.kind:
            case Kind.REST_503:
                raise ApiError(0, "Service Unavailable.", 503)
            case Kind.REST_500:
                raise ApiError(-1001, "Internal error; unable to process your request. Please try again.", 500)
            case Kind.REST_429:
                raise ApiError(-1003, "Too many requests; please use the websocket for live updates.", 429, wait)
            case Kind.REST_418:
                caller.banned_until_ms = self._clock.limit_ms() + fault.delay_ms
                raise self._banned(caller, self._clock.limit_ms())
            case Kind.REST_403:
                page = "<html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>"
                raise ApiError(0, page, 403, {"Content-Type": "text/html"})
            case Kind.REST_SLOW:
                await self._clock.pause(fault.delay_ms)
            case Kind.STALE_READ:
                return fault.delay_ms
        return 0

    async def _hold(self, fault: Fault) -> None:
        """Keep an answer back as long as ``fault`` says, or until it is taken back: whoever wants an event to come
        first need not guess how long that takes."""
        due_ms = self._clock.limit_ms() + fault.delay_ms
        while fault in self._faults.plan and (left_ms := due_ms - self._clock.limit_ms()) > 0:
            await self._clock.pause(min(left_ms, _HOLD_STEP_MS))

    def _count(self, weight: int, pool: str, caller: Caller, headers: dict[str, str]) -> None:
        """Count the call and put the header; raises 429 or 418 when the address has asked too much."""
        now = self._clock.limit_ms()
        if now < caller.banned_until_ms:
            raise self._banned(caller, now)
        inside = caller.weight.take(weight, now)
        if pool == "funding":
            inside &= caller.funding.take(1, now)
        elif pool == "data":
            inside &= caller.data.take(1, now)
        headers["X-MBX-USED-WEIGHT-1M"] = str(caller.weight.used)
        if inside:
            return
        if caller.refuse(now):
            raise self._banned(caller, now)
        raise ApiError(
            -1003,
            f"Too many requests; current limit of IP is {self._limits.weight} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API.",
            429,
            {"Retry-After": str(max(1, round(caller.weight.left_ms(now) / 1000)))},
        )

    def _banned(self, caller: Caller, now: float) -> ApiError:
        until = self._clock.now_ms() + round(caller.banned_until_ms - now)
        return ApiError(
            -1003,
            f"Way too many requests; IP banned until {until}. Please use the websocket for live updates to avoid bans.",
            418,
            {"Retry-After": str(max(1, round((caller.banned_until_ms - now) / 1000)))},
        )


def _endpoints(market: Market, limits: Limits) -> dict[str, Endpoint]:
    klines, info, quotes = Klines(market), Info(market, limits), Quotes(market)

    def always(weight: int) -> Callable[[Query], int]:
        return lambda _: weight

    def per_symbol(one: int, all_: int) -> Callable[[Query], int]:
        return lambda query: one if query.get("symbol") else all_

    def depth(query: Query) -> int:
        return depth_weight(params.number(query, "limit") or 500)

    def ping(_: Query, now_ms: int) -> bytes:
        return b"{}"

    def time(_: Query, now_ms: int) -> bytes:
        return b'{"serverTime":%d}' % now_ms

    return {
        "/fapi/v1/ping": Endpoint(ping, always(1)),
        "/fapi/v1/time": Endpoint(time, always(1)),
        "/api/v3/ping": Endpoint(ping, always(1)),  # spot: one client asks it first
        "/api/v3/time": Endpoint(time, always(1)),
        "/fapi/v1/exchangeInfo": Endpoint(info.exchange_info, always(1)),
        "/fapi/v1/leverageBracket": Endpoint(info.leverage_bracket, always(1), signed=True),
        "/fapi/v1/fundingInfo": Endpoint(info.funding_info, always(0), "funding"),
        "/fapi/v1/fundingRate": Endpoint(info.funding_rate, always(0), "funding"),
        "/fapi/v1/premiumIndex": Endpoint(quotes.premium_index, per_symbol(1, 10)),
        "/fapi/v1/openInterest": Endpoint(quotes.open_interest, always(1)),
        "/futures/data/openInterestHist": Endpoint(quotes.open_interest_hist, always(0), "data"),
        "/fapi/v1/ticker/bookTicker": Endpoint(quotes.book, per_symbol(2, 5)),
        "/fapi/v1/ticker/24hr": Endpoint(quotes.day, per_symbol(1, 40)),
        "/fapi/v2/ticker/price": Endpoint(quotes.price, per_symbol(1, 2)),
        "/fapi/v1/ticker/price": Endpoint(quotes.price, per_symbol(1, 2)),
        "/fapi/v1/aggTrades": Endpoint(quotes.agg_trades, always(20)),
        "/fapi/v1/depth": Endpoint(quotes.depth, depth),
        **{path: Endpoint(answer, klines.weight) for path, answer in klines.by_path.items()},
    }
