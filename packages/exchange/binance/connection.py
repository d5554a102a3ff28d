"""One WebSocket of one stream category: subscribe, decode, hand on. Knows nothing of reconnecting."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import aiohttp
import msgspec

from packages.common.symbol_map import to_ws
from packages.common.types import KlineUpdate, MarkTick, QualityEvent
from packages.exchange.binance.codec import ControlFrame, decode_frame, decode_other
from packages.exchange.port import StreamItem

T = TypeVar("T")

_PARAMS_PER_MESSAGE = 200
_MESSAGE_PAUSE_S = 0.25  # ten client messages a second are allowed, pongs included (reference §4.1)
_SHOWN = 200


def stream_names(symbols: Iterable[str]) -> list[str]:
    """The market streams of each symbol (D41): its 1m candle and its mark price at full cadence."""
    return [f"{to_ws(symbol)}@{name}" for symbol in symbols for name in ("kline_1m", "markPrice@1s")]


def requests(method: str, names: list[str], first_id: int) -> Iterator[str]:
    """SUBSCRIBE or UNSUBSCRIBE messages of bounded size."""
    for n, at in enumerate(range(0, len(names), _PARAMS_PER_MESSAGE)):
        message = {"method": method, "params": names[at : at + _PARAMS_PER_MESSAGE], "id": first_id + n}
        yield msgspec.json.encode(message).decode()


class Outbox(Generic[T]):
    """A bounded list between reader and consumer: the reader waits when it is full, and with it the socket (TCP)."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: list[T] = []
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Append; True when the writer should ``await space()`` before the next one."""
        items = self._items
        items.append(item)
        if len(items) == 1:
            self._filled.set()
        return len(items) >= self._bound

    async def space(self) -> None:
        """Return when there is room."""
        while len(self._items) >= self._bound and not self.closed:
            self._emptied.clear()
            await self._emptied.wait()

    async def take(self) -> list[T]:
        """Everything that waits, at least one item; empty only when closed."""
        while not self._items and not self.closed:
            self._filled.clear()
            await self._filled.wait()
        return self.drain()

    def drain(self) -> list[T]:
        """Everything that waits, perhaps nothing."""
        items, self._items = self._items, []
        self._emptied.set()
        return items

    def close(self) -> None:
        self.closed = True
        self._filled.set()
        self._emptied.set()


class Connection:
    """One open socket. ``read`` runs until the socket ends; what it decodes goes to ``out``."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, out: Outbox[StreamItem], now_ms: Callable[[], int]) -> None:
        self.ws, self.out, self._now_ms = ws, out, now_ms
        self.frames = 0
        self.bad_frames = 0
        self.blocked = False
        self.newest_event_ms = 0
        self._next_id = 1

    async def request(self, method: str, names: list[str]) -> None:
        """Ask for streams, or for no more of them."""
        for n, message in enumerate(requests(method, names, self._next_id)):
            if n:
                await asyncio.sleep(_MESSAGE_PAUSE_S)
            await self.ws.send_str(message)
            self._next_id += 1

    async def read(self) -> str:
        """Decode until the socket ends; returns why. Nothing that comes over the wire raises."""
        receive, text = self.ws.receive, aiohttp.WSMsgType.TEXT
        while True:
            message = await receive()
            if message.type is not text:
                if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    continue
                return f"closed by the exchange ({self.ws.close_code})"
            self.frames += 1
            item: StreamItem | None
            try:
                item = decode_frame(message.data)
                self.newest_event_ms = item.event_ts_ms
            except (msgspec.DecodeError, ValueError) as exc:
                item = self._other(message.data, exc)
                if item is None:
                    continue
                if item.code == "SERVER_SHUTDOWN":
                    return "the exchange announced its shutdown"
            if self.out.put(item):
                self.blocked = True
                await self.out.space()
                self.blocked = False

    def _other(self, frame: str, why: Exception) -> QualityEvent | None:
        other = decode_other(frame)
        if isinstance(other, ControlFrame):
            if other.error is None:
                return None
            return self._event("SUBSCRIBE_REFUSED", f"the exchange answered {other.error}", frame)
        if other == "serverShutdown":
            return self._event("SERVER_SHUTDOWN", "the exchange announced its shutdown", frame)
        if other is not None:
            return None  # an event nobody asked about
        self.bad_frames += 1
        return self._event("BAD_FRAME", f"frame does not decode: {why}", frame)

    def _event(self, code: str, message: str, frame: str) -> QualityEvent:
        return QualityEvent(self._now_ms(), None, code, message, {"frame": frame[:_SHOWN]})


def event_ms(item: StreamItem) -> int | None:
    """Exchange time of an item, None for those that have none."""
    return item.event_ts_ms if isinstance(item, KlineUpdate | MarkTick) else None
