"""Bad input, counted and kept: the first of a kind in a minute as itself, its repetitions as one figure."""

from typing import Any

from packages.common.time import MINUTE_MS
from packages.common.types import QualityEvent


class QualityLog:
    """Collects events; a flood (a foreign stream, a broken sender) becomes two rows a minute, not thousands."""

    def __init__(self) -> None:
        self._events: list[QualityEvent] = []
        self._seen: dict[tuple[str, str | None], tuple[int, int]] = {}  # minute, repetitions not yet told

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, ts_ms: int, symbol: str | None, code: str, message: str, /, **details: Any) -> None:
        """Keep an event, or count it when its kind was already kept in this minute."""
        key, minute = (code, symbol), ts_ms // MINUTE_MS
        last, repeated = self._seen.get(key, (-1, 0))
        if last == minute:
            self._seen[key] = (minute, repeated + 1)
            return
        if repeated:
            details["repeated_before"] = repeated
        self._seen[key] = (minute, 0)
        self._events.append(QualityEvent(ts_ms, symbol, code, message, details))

    def put(self, event: QualityEvent) -> None:
        """Keep an event made elsewhere."""
        self.add(event.ts_ms, event.symbol, event.code, event.message, **event.details)

    def take(self, now_ms: int) -> list[QualityEvent]:
        """What was kept since the last call; repetitions of past minutes are told too."""
        minute = now_ms // MINUTE_MS
        for key in [k for k, (m, _) in self._seen.items() if m < minute]:
            last, repeated = self._seen.pop(key)
            if repeated:
                code, symbol = key
                message = f"{repeated} more in the minute before"
                self._events.append(QualityEvent((last + 1) * MINUTE_MS, symbol, code, message, {"repeated": repeated}))
        events, self._events = self._events, []
        return events
