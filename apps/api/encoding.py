"""Content codings of answers: zstd before gzip, as far as the caller takes them (RFC 9110 §12.5.3)."""

import gzip

import anyio.to_thread
import pyarrow as pa
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CODINGS = ("zstd", "gzip")  # at equal weight the first one is taken
SIZE_MIN = 2048  # bytes; below them nothing is won
_GZIP_LEVEL = 4
_THREAD_MIN = 128 * 1024
_ZSTD = pa.Codec("zstd", compression_level=3)


def accepted(header: str | None) -> tuple[str, ...]:
    """Those of ``CODINGS`` that ``Accept-Encoding`` takes, the most wanted first; none when it prefers to have none."""
    weights: dict[str, float] = {}
    for entry in (header or "").lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name:
            weights[name] = _weight(parameters)
    rest, plain = weights.get("*", 0.0), weights.get("identity", 0.0)
    wanted = {coding: weights.get(coding, rest) for coding in CODINGS}
    found = [coding for coding in CODINGS if wanted[coding] > 0 and wanted[coding] >= plain]
    return tuple(sorted(found, key=lambda coding: -wanted[coding]))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)  # NaN is above nothing: not accepted
            except ValueError:
                return 0.0
    return 1.0


def encode(data: bytes, coding: str) -> bytes:
    """``data`` in one of ``CODINGS``, one frame."""
    if coding == "gzip":
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)
    packed: bytes = _ZSTD.compress(data, asbytes=True)
    return packed


class Compression:
    """Middleware: encodes answers from 2 kB. What comes in pieces (a large file) is gzip: there is no zstd stream here.

    An answer that is encoded already is passed on. ETags are weak, so one stands for every coding of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = accepted(Headers(scope=scope).get("accept-encoding"))

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":  # also of 304 and of what is too short to be encoded
                headers = MutableHeaders(raw=message["headers"])
                if "accept-encoding" not in headers.get("vary", "").lower():
                    headers.add_vary_header("Accept-Encoding")
            await send(message)

        await _Responder(self._app, wanted)(scope, receive, sent)


class _Responder(GZipResponder):
    def __init__(self, app: ASGIApp, wanted: tuple[str, ...]) -> None:
        super().__init__(app, SIZE_MIN, _GZIP_LEVEL, thread_minimum_size=_THREAD_MIN)
        self._wanted, self._in_pieces = wanted, False

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        self._in_pieces = self._in_pieces or more_body
        coding = next((one for one in self._wanted if one == "gzip" or not self._in_pieces), None)
        if coding == "gzip":
            return await super().apply_compression(body, more_body=more_body)
        if coding is None:
            return body
        self.content_encoding = coding
        if len(body) < _THREAD_MIN:
            return encode(body, coding)
        return await anyio.to_thread.run_sync(encode, body, coding)
