"""The mark and index samples of one minute, folded into two bars (D41). Order of arrival does not matter."""

from bisect import bisect_left

from packages.common.types import MarkTick, OhlcBar


class Ohlc:
    """Open, high, low and close by event time, of samples that may come in any order."""

    __slots__ = ("close", "count", "first_ms", "high", "last_ms", "low", "open")

    def __init__(self) -> None:
        self.count = 0
        self.first_ms = self.last_ms = 0
        self.open = self.high = self.low = self.close = 0.0

    def add(self, event_ts_ms: int, price: float) -> None:
        """Fold one sample in; two samples of one instant must have been told apart before."""
        if not self.count:
            self.open = self.high = self.low = self.close = price
            self.first_ms = self.last_ms = event_ts_ms
        else:
            if price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
            if event_ts_ms > self.last_ms:
                self.close, self.last_ms = price, event_ts_ms
            elif event_ts_ms < self.first_ms:
                self.open, self.first_ms = price, event_ts_ms
        self.count += 1

    def bar(self, symbol: str, ts_ms: int) -> OhlcBar:
        return OhlcBar(symbol, ts_ms, self.open, self.high, self.low, self.close, self.count)


class MinuteSamples:
    """All samples of one symbol's minute. ``funding_rate`` and ``next_funding_ts_ms`` are those of the latest."""

    __slots__ = ("_events", "funding_rate", "index", "mark", "next_funding_ts_ms")

    def __init__(self) -> None:
        self._events: list[int] = []
        self.mark, self.index = Ohlc(), Ohlc()
        self.funding_rate = float("nan")
        self.next_funding_ts_ms = 0

    def add(self, tick: MarkTick) -> bool:
        """Fold a sample in; False when this instant's sample is here already. The mark must be valid."""
        at, events = tick.event_ts_ms, self._events
        if not events or at > events[-1]:
            events.append(at)
            self.funding_rate, self.next_funding_ts_ms = tick.funding_rate, tick.next_funding_ts_ms
        else:
            place = bisect_left(events, at)
            if events[place] == at:
                return False
            events.insert(place, at)
        self.mark.add(at, tick.mark)
        if 0 < tick.index < float("inf"):
            self.index.add(at, tick.index)
        return True
