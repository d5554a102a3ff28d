"""Requests to the exchange: signed, counted, sent once. One per address and process: the weight is the address's.

A key goes into a header and nowhere else; neither it, nor a signature, nor a request's address appears in an error.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
import numpy as np
from yarl import URL

from packages.common.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    VenueBannedError,
    VenueError,
    VenueUnavailableError,
)
from packages.common.time import MINUTE_MS, Clock
from packages.exchange.backoff import backoff_s
from packages.exchange.binance import codec
from packages.exchange.binance.budget import OrderBudget, Purpose, RollingBudget
from packages.exchange.binance.endpoints import Endpoints
from packages.exchange.binance.errors import TOO_MANY_ORDERS, Reaction, error_from, reaction_to
from packages.exchange.binance.signing import Credentials
from packages.exchange.clock_sync import sample_clock

T = TypeVar("T")
Params = Mapping[str, str | int]

RECV_WINDOW_MAX_MS = 60_000
_LONGEST_WAIT_MS = 5 * MINUTE_MS
WAF_FIRST_MS = 1_000  # and twice that after each further refusal
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class RestConfig:
    """``attempts`` of one GET in all; waits in wall seconds double from ``backoff_s`` up to ``backoff_max_s``.

    ``reserve`` and ``order_reserve`` are the shares of weight and of orders that only exits may use.
    """

    attempts: int = 5
    backoff_s: float = 0.2
    backoff_max_s: float = 5.0
    timeout_s: float = 10.0
    concurrency: int = 8
    recv_window_ms: int = 5_000
    reserve: float = 0.30
    order_reserve: float = 0.50


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``weight`` is the address's, ``order`` counts as one of the account's orders.

    ``recv_window_ms`` and ``timeout_s`` replace the configured ones; a request that would have to wait longer than
    ``wait_max_ms`` of market time for its turn is not sent at all. ``base`` replaces the host.
    """

    method: str
    path: str
    params: Params
    weight: int = 1
    pool: str | None = None
    purpose: Purpose = Purpose.DATA
    signed: bool = False
    order: bool = False
    recv_window_ms: int | None = None
    timeout_s: float | None = None
    wait_max_ms: float = math.inf
    base: str | None = None


class Transport:
    """Sends requests within the limits and raises the typed error of what came back (``packages.common.errors``)."""

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
        self._session, self.endpoints, self.clock, self._rng = session, endpoints, clock, rng
        self._credentials = credentials
        self.config = config or RestConfig()
        self._slots = asyncio.Semaphore(self.config.concurrency)
        self.weight = RollingBudget(endpoints.weight_limit_1m, reserve=self.config.reserve)
        self.orders = OrderBudget(reserve=self.config.order_reserve)
        # Pools whose use no header tells (reference §7.2).
        self._pools = {
            "funding": RollingBudget(500, window_ms=5 * MINUTE_MS, reserve=0.1),
            "data": RollingBudget(1000, window_ms=5 * MINUTE_MS, reserve=0.1),
        }
        self._host = 0
        self._paused_until_ms = 0
        self._banned: VenueBannedError | None = None
        self._walled = 0  # answers of the firewall in a row
        self.known_now_ms = 0  # the latest time the exchange itself has told
        self.requests = 0
        self.failures = 0

    async def server_time_ms(self) -> int:
        """The exchange's clock, asked once and ahead of everything else."""
        now = codec.decode_time(await self.send(Request("GET", "/fapi/v1/time", {}, purpose=Purpose.EXIT)))
        self.known_now_ms = max(self.known_now_ms, now)
        return now

    async def resync(self) -> None:
        """Set our clock on the exchange's, after it has called a timestamp wrong (-1021)."""
        await sample_clock(self, self.clock)

    def recv_window_ms(self, window_ms: int | None = None) -> int:
        """The window in the exchange's milliseconds, which run faster than ours on an accelerated market."""
        window = window_ms or self.config.recv_window_ms
        return int(min(RECV_WINDOW_MAX_MS, window * max(1.0, self.clock.speed)))

    async def get(self, request: Request, decode: Callable[[bytes], T]) -> T:
        """A GET, decoded, with retries; a body that does not decode is retried like a broken connection."""
        attempt = 0
        while True:
            attempt += 1
            try:
                body = await self.send(request)
                try:
                    return decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, InvalidInputError) as exc:
                    raise VenueUnavailableError(f"GET {request.path}: body does not decode: {exc}") from exc
            except VenueBannedError:
                raise
            except VenueUnavailableError as exc:
                wait_max = min(_LONGEST_WAIT_MS, request.wait_max_ms)
                too_long = exc.retry_after_ms is not None and exc.retry_after_ms > wait_max
                if attempt >= self.config.attempts or exc.http_status == 403 or too_long:
                    raise
                if reaction_to(exc) is Reaction.RESYNC:
                    await self.resync()
                await asyncio.sleep(backoff_s(attempt, self.config.backoff_s, self.config.backoff_max_s, self._rng))

    async def send(self, request: Request) -> bytes:
        """One request, sent at most once. What is asked for a position's sake does not queue behind data."""
        if request.purpose is not Purpose.DATA:
            return await self._send(request)
        async with self._slots:
            return await self._send(request)

    async def _send(self, request: Request) -> bytes:
        await self._admit(request)
        sent_ms = self.clock.now_ms()
        self.requests += 1
        url, headers, form = self._address(request)
        timeout = aiohttp.ClientTimeout(total=request.timeout_s or self.config.timeout_s)
        changes = request.method not in ("GET", "PUT")
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=form, timeout=timeout, allow_redirects=False
            ) as response:
                self._observe(sent_ms, response.headers, request)
                body = await response.read()
                if response.status == 200:
                    self._walled = 0
                    return body
                error = error_from(
                    response.status,
                    self._credentials.redact(body) if self._credentials else body,
                    retry_after=response.headers.get("Retry-After"),
                    now_ms=self.clock.now_ms(),
                    idempotent=not changes,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            self._host += request.base is None
            # Only a connection that never stood is known to have carried nothing. aiohttp itself repeats a DELETE on a
            # connection that broke, so that there even this is not known.
            unsent = isinstance(exc, aiohttp.ClientConnectorError) and request.method == "POST"
            kind = OutcomeUnknownError if changes and not unsent else VenueUnavailableError
            error = kind(f"{request.method} {request.path}: {plain(exc)}")
        self.failures += 1
        if request.base is None:
            self._note(error)
        raise error

    def _observe(self, sent_ms: int, headers: Mapping[str, str], request: Request) -> None:
        weight = _count(headers.get("X-MBX-USED-WEIGHT-1M"))
        if weight is not None and request.base is None:
            self.weight.observe(sent_ms, weight)
        if request.order:
            counts = (_count(headers.get(f"X-MBX-ORDER-COUNT-{window}")) for window in ("10S", "1M"))
            self.orders.observe(sent_ms, *counts)

    async def _admit(self, request: Request) -> None:
        """Return when the request may leave, and count it."""
        while True:
            now = self.clock.now_ms()
            if self._banned is not None and now < self._paused_until_ms:
                raise self._banned
            self._banned = None
            delay = max(self._paused_until_ms - now, self.weight.delay_ms(now, request.weight, request.purpose), 0)
            if request.pool is not None:
                delay = max(delay, self._pools[request.pool].delay_ms(now, 1))
            if request.order:
                delay = max(delay, self.orders.delay_ms(now, request.purpose))
            if delay > request.wait_max_ms:
                message = f"{request.method} {request.path}: not sent, the limits have no room for {delay} ms"
                raise VenueUnavailableError(message, retry_after_ms=delay)
            if delay == 0 or math.isinf(self.clock.speed):
                # As fast as the consumer follows, market time may stand still while we ask: windows would never turn.
                break
            await self.clock.sleep(delay + 1)
        self.weight.spend(now, request.weight)
        if request.pool is not None:
            self._pools[request.pool].spend(now, 1)
        if request.order:
            self.orders.spend(now)

    def _note(self, error: VenueError) -> None:
        if not isinstance(error, VenueUnavailableError) or error.retry_after_ms is None:
            return
        if error.venue_code == TOO_MANY_ORDERS:
            self.orders.refused(self.clock.now_ms(), error.retry_after_ms)
            return
        pause_ms = error.retry_after_ms
        if error.http_status == 403:
            # one may be about a single request: only a firewall that goes on refusing holds everybody back for long
            pause_ms = min(pause_ms, WAF_FIRST_MS << min(self._walled, 16))
            self._walled += 1
        self._paused_until_ms = max(self._paused_until_ms, self.clock.now_ms() + pause_ms)
        if isinstance(error, VenueBannedError):
            self._banned = error

    def _address(self, request: Request) -> tuple[URL, dict[str, str], bytes | None]:
        """Where to, with which headers and form. Encoded here, once: the signature is over these very bytes."""
        text = urlencode(request.params)
        headers: dict[str, str] = {}
        if self._credentials is not None:
            headers["X-MBX-APIKEY"] = self._credentials.key
            if request.signed:
                window = self.recv_window_ms(request.recv_window_ms)
                stamp = urlencode({"recvWindow": window, "timestamp": self.clock.now_ms()})
                text = f"{text}&{stamp}" if text else stamp
                text = f"{text}&signature={self._credentials.sign(text)}"
        base = request.base or self.endpoints.rest[self._host % len(self.endpoints.rest)]
        if request.method == "POST" and text:
            headers["Content-Type"] = _FORM
            return URL(f"{base}{request.path}", encoded=True), headers, text.encode()
        return URL(f"{base}{request.path}" + (f"?{text}" if text else ""), encoded=True), headers, None


def plain(error: BaseException) -> str:
    """What went wrong on the wire, without the address: that may hold a signature or a listenKey."""
    reason = getattr(error, "strerror", None)
    return type(error).__name__ + (f": {reason}" if isinstance(reason, str) else "")


def _count(header: str | None) -> int | None:
    return int(header) if header is not None and header.isdigit() else None
