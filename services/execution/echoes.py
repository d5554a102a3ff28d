"""Own orders must come back on the user stream: one that does not shows a dead stream (incident 5)."""

from collections import OrderedDict

import structlog

from packages.common.time import monotonic_ms
from services.execution.core import events as ev
from services.execution.desk import Desk, TripOf
from services.execution.kill_switch import Trip

log = structlog.get_logger(__name__)

_KEPT = 1_000
_DEAF_MAX = 3


class Echoes:
    """Times are wall time."""

    def __init__(self, desk: Desk, trip: TripOf) -> None:
        self._desk, self._trip = desk, trip
        self._due: dict[str, float] = {}
        self._told: OrderedDict[str, None] = OrderedDict()  # orders the stream told of, often before the answer
        self._deaf = 0  # reconnects for want of an echo, with no echo since

    @property
    def oldest_age_ms(self) -> float | None:
        """Since the longest awaited order was taken; None: nothing is awaited."""
        oldest = min(self._due.values(), default=None)
        return None if oldest is None else monotonic_ms() - oldest + self._desk.config.echo_s * 1e3

    def expect(self, client_id: str) -> None:
        """The exchange took an order."""
        if client_id not in self._told:
            self._due[client_id] = monotonic_ms() + self._desk.config.echo_s * 1e3

    def hear(self, client_id: str) -> None:
        """The stream told of an order."""
        self._due.pop(client_id, None)
        self._deaf = 0
        self._told[client_id] = None
        if len(self._told) > _KEPT:
            self._told.popitem(last=False)

    def forget(self) -> None:
        """The stream is gone: what it would have told is read."""
        self._due.clear()

    async def check(self) -> None:
        """An own order that the stream does not tell of: the stream is dead, whatever the socket says. REST tells of it
        after the reconnect; a stream that then tells of nothing again is not trusted any more."""
        now, stream = monotonic_ms(), self._desk.stream
        overdue = [name for name, due in self._due.items() if now > due]
        if overdue and stream.stats().connected:
            log.warning("order_not_echoed", orders=len(overdue))
            self._due.clear()
            self._deaf += 1
            if self._deaf >= _DEAF_MAX:
                self._trip(Trip(ev.Latch.HALTED, "USER_STREAM_DEAD", "user_stream", "orders are not echoed"))
            await stream.reconnect("own order was not echoed")
