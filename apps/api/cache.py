"""Bodies kept for a moment: many screens ask for the same history at once, and it is read once for all of them."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from apps.api.encoding import SIZE_MIN, accepted, encode
from apps.api.flights import Flights
from apps.api.responses import cached, etag_of
from packages.common.time import monotonic_ms


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes and their ETag, and their codings as far as they were asked for."""

    data: bytes
    etag: str
    _coded: dict[str, bytes] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        """200 in the coding that the caller likes best, or 304 when he holds it."""
        coding = next(iter(accepted(request.headers.get("accept-encoding"))), None)
        if coding is None or len(self.data) < SIZE_MIN:
            return cached(request, self.data, self.etag)
        if coding not in self._coded:
            self._coded[coding] = encode(self.data, coding)
        answer = cached(request, self._coded[coding], self.etag)
        if answer.status_code == HTTPStatus.OK:
            answer.headers["Content-Encoding"] = coding
        return answer


class BodyCache:
    """Up to ``bytes_max`` of bodies, each served for ``ttl_ms`` after it was read. One reader a key (single flight).

    The lifetime is far below a bar, so no screen is behind the table by more than ``ttl_ms``.
    """

    def __init__(self, *, ttl_ms: float = 400.0, bytes_max: int = 32 * 2**20) -> None:
        self._ttl_ms, self._bytes_max = ttl_ms, bytes_max
        self._bodies: OrderedDict[Hashable, tuple[float, Body]] = OrderedDict()
        self._bytes = 0
        self._flights = Flights[Body]()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[bytes]]) -> Body:
        """The body of ``key``, by ``read`` when it is not fresh. A failed read fails all who wait and is not kept."""
        held = self._bodies.get(key)
        age = float("inf") if held is None else monotonic_ms() - held[0]
        if held is None or age >= self._ttl_ms:
            return await self._flights.join(key, lambda: self._read(key, read))
        if age >= self._ttl_ms / 2:
            self._flights.start(key, lambda: self._read(key, read))  # ahead of time: who keeps asking does not wait
        return held[1]

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[bytes]]) -> Body:
        started = monotonic_ms()  # what is committed after this may be missing
        data = await read()
        body = Body(data, etag_of(data))
        self._keep(key, started, body)
        return body

    def _keep(self, key: Hashable, at_ms: float, body: Body) -> None:
        old = self._bodies.pop(key, None)
        self._bytes += len(body.data) - (len(old[1].data) if old else 0)
        self._bodies[key] = (at_ms, body)
        while self._bytes > self._bytes_max:
            _, (_, dropped) = self._bodies.popitem(last=False)
            self._bytes -= len(dropped.data)
