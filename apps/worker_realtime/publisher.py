"""State for screens: the newest message of each channel, at most ten times a second."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

APPENDING = frozenset({"risk_events", "order_updates"})  # every message counts, not only the newest


class Share(NamedTuple):
    """What one account (``mode``) has to say on a channel that all accounts share: its whole state as rows."""

    mode: str
    rows: Sequence[Any]


class StatePublisher:
    """Keeps the newest message per channel and sends what changed, so that a fast replay cannot flood the bus."""

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send
        self._waiting: dict[str, Any] = {}
        self._shares: dict[str, dict[str, Sequence[Any]]] = {}

    def publish(self, channel: str, message: Any) -> None:
        """Replace what waits on ``channel``; lists of appending channels grow (the newest 500 are kept); a ``Share``
        goes out with the newest of the other accounts, so that every message is complete."""
        if isinstance(message, Share):
            shares = self._shares.setdefault(channel, {})
            shares[message.mode] = message.rows
            message = [row for mode in sorted(shares, reverse=True) for row in shares[mode]]  # shadow, live
        elif channel in APPENDING and channel in self._waiting:
            message = [*self._waiting[channel], *message][-500:]
        self._waiting[channel] = message

    async def run(self, every_s: float = 0.1) -> None:
        """Send until cancelled."""
        while True:
            waiting, self._waiting = self._waiting, {}
            for channel, message in waiting.items():
                self._send(channel, message)
            await asyncio.sleep(every_s)
