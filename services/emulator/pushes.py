"""What is pushed at which instant of a minute, and to whom; faults that concern pushes strike here."""

import heapq
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.time import MINUTE_MS
from services.emulator.candles import floor_open, group, next_open
from services.emulator.columns import Rows
from services.emulator.faults import Faults, Kind
from services.emulator.frames import Frames
from services.emulator.hub import Group, Hub
from services.emulator.market import Market, Minute
from services.emulator.render import frame


class Instant(NamedTuple):
    """Something to push ``at_ms`` after the minute's open. Order within an instant is that of ``rank``."""

    at_ms: int
    rank: int  # 0 candle, 1 mark price
    number: int  # which push of the minute


def schedule(mark_updates: int, kline_updates: int) -> list[Instant]:
    """Pushes of a minute in order: candle j of K at j·60 s/K (the last one closes it), mark k of N at k·60 s/N."""
    klines = [Instant(j * MINUTE_MS // kline_updates, 0, j) for j in range(1, kline_updates + 1)]
    marks = [Instant(k * MINUTE_MS // mark_updates, 1, k) for k in range(mark_updates)]
    return sorted(klines + marks)


class Pushes:
    """Prints the frames of an instant and queues them at their listeners; the pump flushes."""

    def __init__(self, market: Market, hub: Hub, faults: Faults, kline_updates: int) -> None:
        self._market, self._hub, self._faults = market, hub, faults
        self._frames = Frames(market)
        self._klines = kline_updates
        self._late: list[tuple[int, int, Callable[[], None]]] = []
        self._counter = 0
        self._before: dict[tuple[int, str], tuple[int, NDArray[np.int64], Rows]] = {}

    def push(self, number: int, instant: Instant) -> None:
        """Everything of one instant of minute ``number``: candles before mark prices, late pushes first."""
        event_ms = number * MINUTE_MS + instant.at_ms
        if self._faults.plan:
            self._disturb(event_ms)
        while self._late and self._late[0][0] <= event_ms:
            heapq.heappop(self._late)[2]()
        silent = self._faults.silent("market", event_ms)
        minute = self._market.minute(number)
        if instant.rank == 0:
            if not silent:
                self._candles(minute, instant.number, event_ms)
        else:
            if not silent:
                self._marks(minute, instant.number, event_ms)
            if not self._faults.silent("public", event_ms):
                self._books(minute, instant.number, event_ms)

    def _disturb(self, event_ms: int) -> None:
        """Faults of connections."""
        faults = self._faults
        for fault in faults.due((Kind.DROP_CONNECTION, Kind.CLOSE_CONNECTION, Kind.MAINTENANCE), event_ms):
            for connection in list(self._hub.connections):
                if fault.kind is Kind.MAINTENANCE:
                    connection.queue(frame(b'{"e":"serverShutdown","E":%d}' % event_ms))
                    connection.close()
                elif connection.category == fault.category:
                    (connection.cut if fault.kind is Kind.DROP_CONNECTION else connection.close)()
        for connection in list(self._hub.connections):
            if connection.alive and faults.truncated(connection.category, event_ms):
                connection.truncate()
            elif not connection.dead and faults.half_open(connection.category, event_ms):
                connection.flush()  # what was said before was said
                connection.dead = True

    def _marks(self, minute: Minute, k: int, event_ms: int) -> None:
        sparse = k % max(1, -(-3 * self._market.mark_updates // 60)) == 0  # what a three-second stream sees of it
        for speed in ("1s", "3s") if sparse else ("1s",):
            for listeners in self._hub.groups("mark", speed):
                symbols = listeners.symbols[minute.present[listeners.symbols]]
                frames = self._frames.marks(speed, listeners.combined, symbols, minute, k, event_ms)
                self._hub.send(listeners, frames, len(symbols))
            for listeners in self._hub.groups("marks", speed):
                messages = self._frames.all_marks(speed, listeners.combined, minute, k, event_ms)
                self._hub.send(listeners, b"".join(messages), len(messages))

    def _books(self, minute: Minute, k: int, event_ms: int) -> None:
        second = k * 60 // self._market.mark_updates
        for kind in ("book", "books"):
            for listeners in self._hub.groups(kind, ""):
                symbols = np.flatnonzero(minute.present)
                if kind == "book":
                    symbols = listeners.symbols[minute.present[listeners.symbols]]
                frames = self._frames.books(kind, listeners.combined, symbols, minute, second, event_ms)
                self._hub.send(listeners, frames, len(symbols))

    def _candles(self, minute: Minute, j: int, event_ms: int) -> None:
        final = j == self._klines
        for kind in ("kline", "continuous"):
            for interval in list(self._hub.details(kind)):
                for listeners in self._hub.groups(kind, interval):
                    symbols = listeners.symbols[minute.present[listeners.symbols]]
                    if len(symbols):
                        self._send_candles(kind, interval, listeners, symbols, minute, event_ms, final=final)

    def _send_candles(
        self,
        kind: str,
        interval: str,
        listeners: Group,
        symbols: NDArray[np.int64],
        minute: Minute,
        event_ms: int,
        *,
        final: bool,
    ) -> None:
        rows = minute.rows[symbols] if final else self._market.cut(minute, symbols, event_ms - minute.open_ms)
        open_ms = floor_open(minute.open_ms, interval)
        end_ms = next_open(open_ms, interval)
        if interval != "1m":
            parts = [
                self._folded(int(s), interval, open_ms, minute.number, r) for s, r in zip(symbols, rows, strict=True)
            ]
            rows = np.concatenate(parts)
        closing = final and event_ms == end_ms

        def send(chosen: NDArray[np.bool_], at_ms: int) -> None:
            frames = self._frames.klines(
                kind, interval, listeners.combined, symbols[chosen], rows[chosen], (open_ms, end_ms), closing, at_ms
            )
            self._hub.send(listeners, frames, int(chosen.sum()))

        if not (closing and self._faults.plan):
            send(np.ones(len(symbols), np.bool_), event_ms)
            return
        names = [self._market.specs[symbol].symbol for symbol in symbols]
        delays = [self._faults.close_delay(name, end_ms) for name in names]
        for delay in {d for d in delays if d is not None}:
            chosen = np.array([d == delay for d in delays])
            if delay == 0:
                send(chosen, event_ms)
            else:
                self._later(event_ms + delay, partial(send, chosen, event_ms + delay))

    def _later(self, due_ms: int, send: Callable[[], None]) -> None:
        self._counter += 1  # ties are served in the order they were made
        heapq.heappush(self._late, (due_ms, self._counter, send))

    def _folded(self, symbol: int, interval: str, open_ms: int, number: int, row: Rows) -> Rows:
        """The candle of ``interval`` so far: its finished minutes, kept between pushes, and ``row``."""
        known = self._before.get((symbol, interval))
        if known is None or known[0] != number:
            numbers, rows = self._market.rows(symbol, open_ms // MINUTE_MS, number)
            known = self._before[symbol, interval] = (number, numbers, rows)
        return group(np.append(known[1], number), np.concatenate([known[2], row[None]]), interval).rows
