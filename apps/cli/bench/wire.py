"""What the benches of live trading hear and forget: requests as they leave, rows as they are written."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import aiohttp

from packages.common.time import monotonic_ms
from services.execution.core import events as ev
from services.execution.core.state import Bracket
from services.execution.trader import Trader

ENTRY, STOP = "/fapi/v1/order", "/fapi/v1/algoOrder"


class Wire:
    """When requests left and were answered, by symbol; what they ask for stands in their bodies."""

    def __init__(self) -> None:
        self.entries: dict[str, float] = {}
        self.answers: dict[str, float] = {}
        self.stops: dict[str, float] = {}

    def tracing(self) -> aiohttp.TraceConfig:
        config = aiohttp.TraceConfig()
        config.on_request_chunk_sent.append(self._sent)
        config.on_request_end.append(self._answered)
        return config

    async def _sent(self, _: Any, context: SimpleNamespace, params: aiohttp.TraceRequestChunkSentParams) -> None:
        asked = dict(parse_qsl(params.chunk.decode()))
        if params.url.path == ENTRY and asked.get("reduceOnly") != "true" and "symbol" in asked:
            context.entry = asked["symbol"]
            self.entries.setdefault(asked["symbol"], monotonic_ms())
        elif params.url.path == STOP and asked.get("type") == "STOP_MARKET":
            self.stops.setdefault(asked["symbol"], monotonic_ms())

    async def _answered(self, _: Any, context: SimpleNamespace, __: aiohttp.TraceRequestEndParams) -> None:
        if hasattr(context, "entry"):
            self.answers.setdefault(context.entry, monotonic_ms())


class Signs:
    """When the first sign of each symbol's position came: the frame or the answer that told of it."""

    def __init__(self, trader: Trader, wire: Wire) -> None:
        self.at: dict[str, float] = {}
        self._trader, self._wire, self._stepped = trader, wire, trader.stepped
        setattr(trader, "stepped", self._hear)  # noqa: B010 - an ear for the measurement

    def _hear(self, symbol: str, before: Bracket, after: Bracket, event: ev.Event) -> None:
        if after.exposed and not before.exposed:
            answered = isinstance(event, ev.SubmitAnswered)
            told = self._wire.answers.get(symbol, 0.0) if answered else monotonic_ms() - self._trader.frame_age_ms
            self.at.setdefault(symbol, told)
        self._stepped(symbol, before, after, event)


class Rows:
    """Rows are counted and forgotten: what they cost is measured elsewhere."""

    def __init__(self) -> None:
        self.count = 0

    def put(self, _: str, rows: Any) -> None:
        self.count += len(rows)

    def publish(self, _: str, __: Any) -> None:
        pass
