"""What the exchange knows of its market: rows by time, minutes across symbols, the unfinished candle, settlements."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.time import HOUR_MS, MINUTE_MS
from services.emulator import columns, kernels
from services.emulator.columns import MINUTES, MarketSource, Rows
from services.emulator.symbols import SymbolSpec

SECONDS = 60  # the last price's path has one price a second, whatever is pushed of it
LEVELS_A_MINUTE = 200  # the best level of the book holds this part of what the minute before traded


class Minute(NamedTuple):
    """One market minute: ``mark`` and ``spot`` (the index) are (symbols, mark updates), ``last`` (symbols, 60).

    ``lots``: quantity at the best level of the book, in steps. It comes from the last bar before this minute: what
    this one will trade is not known in it.
    """

    number: int  # minutes since the epoch
    rows: Rows
    present: NDArray[np.bool_]
    mark: NDArray[np.int64]
    spot: NDArray[np.int64]
    last: NDArray[np.int64]
    next_funding_ms: NDArray[np.int64]
    lots: NDArray[np.int64]

    @property
    def open_ms(self) -> int:
        return self.number * MINUTE_MS


class Market:
    """Read side of a source. ``mark_updates``: how many mark prices a minute has."""

    def __init__(self, source: MarketSource, mark_updates: int) -> None:
        if not 4 <= mark_updates <= 60:
            raise ValueError(f"mark_updates: got {mark_updates}, expected 4 to 60")
        self.source = source
        self.by_name = {spec.symbol: number for number, spec in enumerate(self.specs)}
        self.mark_updates = mark_updates
        self._keys = np.array([spec.key for spec in self.specs], np.int64)
        self._ticks = np.array([spec.tick_units for spec in self.specs], np.int64)
        self._steps = np.array([spec.step_units for spec in self.specs], np.int64)
        self._ones = np.ones(len(self.specs), np.int64)
        self._block: tuple[int, NDArray[np.int64]] | None = None
        self._lots = np.empty((0, 0), np.int64)
        self._minute: Minute | None = None
        self._next_funding: tuple[int, NDArray[np.int64]] | None = None

    @property
    def specs(self) -> tuple[SymbolSpec, ...]:
        """Contracts by number."""
        return self.source.specs

    def forget(self) -> None:
        """The source is another one from now on (a fault)."""
        self._block = self._minute = self._next_funding = None

    def minute(self, number: int) -> Minute:
        """Minute ``number`` since the epoch; the last one asked for is kept."""
        if self._minute is not None and self._minute.number == number:
            return self._minute
        day, at = divmod(number, MINUTES)
        if self._block is None or self._block[0] != day:
            self._block = day, np.stack([self.source.day(s, day) for s in range(len(self.specs))])
            self._lots = self._sizes(*self._block)
        rows = np.ascontiguousarray(self._block[1][:, at])
        self._minute = Minute(
            number,
            rows,
            rows[:, columns.PRESENT] == 1,
            kernels.paths(rows, columns.MARK, self._keys, number, self.mark_updates, self._ones),
            kernels.paths(rows, columns.INDEX, self._keys, number, self.mark_updates, self._ones),
            kernels.paths(rows, columns.OPEN, self._keys, number, SECONDS, self._ticks),
            self._next_fundings(number * MINUTE_MS),
            self._lots[:, at],
        )
        return self._minute

    def _sizes(self, day: int, block: NDArray[np.int64]) -> NDArray[np.int64]:
        """``Minute.lots`` of a whole day, (symbols, 1440): from the last bar before each minute, one step without any.

        A bar of the day before still counts, an older one does not.
        """
        found = np.ones(block.shape[:2], np.int64)
        places = np.arange(2 * MINUTES)
        for symbol in range(len(self.specs)):
            rows = np.concatenate([self.source.day(symbol, day - 1), block[symbol]])
            latest = np.maximum.accumulate(np.where(rows[:, columns.PRESENT] == 1, places, -1))[MINUTES - 1 : -1]
            volume = np.where(latest >= 0, rows[latest, columns.VOLUME], 0)
            found[symbol] = np.maximum(volume // self._steps[symbol] // LEVELS_A_MINUTE, 1)
        return found

    def _next_fundings(self, ts_ms: int) -> NDArray[np.int64]:
        """Next settlement of each symbol; settlements stand on full hours, so they are looked up once an hour."""
        hour = ts_ms // HOUR_MS
        if self._next_funding is None or self._next_funding[0] != hour:
            found = [self.source.next_funding_ms(s, hour * HOUR_MS) for s in range(len(self.specs))]
            self._next_funding = hour, np.array(found, np.int64)
        return self._next_funding[1]

    def path(self, symbol: int, number: int, row: Rows) -> NDArray[np.int64]:
        """Last price of ``symbol`` at every second of minute ``number``, whose bar is ``row``; shape (60,)."""
        keys, ticks = self._keys[symbol : symbol + 1], self._ticks[symbol : symbol + 1]
        found: NDArray[np.int64] = kernels.paths(row[None].copy(), columns.OPEN, keys, number, SECONDS, ticks)[0]
        return found

    def rows(self, symbol: int, first: int, last: int) -> tuple[NDArray[np.int64], Rows]:
        """Present minutes in [first, last): their numbers (n,) and rows (n, WIDTH)."""
        first = max(first, self.source.start_ms // MINUTE_MS)
        numbers, parts = [], []
        day = first // MINUTES
        while day * MINUTES < last:
            begin, end = max(first - day * MINUTES, 0), min(last - day * MINUTES, MINUTES)
            part = self.source.day(symbol, day)[begin:end]
            here = np.flatnonzero(part[:, columns.PRESENT])
            if len(here):
                numbers.append(here + day * MINUTES + begin)
                parts.append(part if len(here) == len(part) else part[here])
            day += 1
        if not parts:
            return np.empty(0, np.int64), np.empty((0, columns.WIDTH), np.int64)
        return np.concatenate(numbers), np.concatenate(parts)

    def unfinished(self, symbol: int, now_ms: int) -> Rows | None:
        """The row of the running minute as far as it is known at ``now_ms``; None when there is none."""
        number, elapsed = divmod(now_ms, MINUTE_MS)
        minute = self.minute(number)
        if not minute.present[symbol]:
            return None
        row: Rows = self.cut(minute, np.array([symbol]), elapsed)[0]
        seen = 1 + elapsed * self.mark_updates // MINUTE_MS
        for at, path in ((columns.MARK, minute.mark[symbol]), (columns.INDEX, minute.spot[symbol])):
            row[at + 1], row[at + 2], row[at + 3] = path[:seen].max(), path[:seen].min(), path[seen - 1]
        return row

    def cut(self, minute: Minute, symbols: NDArray[np.int64], elapsed_ms: int) -> Rows:
        """Last price and volumes of ``symbols`` as known after ``elapsed_ms`` of the minute, (n, WIDTH).

        Volumes grow in proportion to time, in whole lots; the quote volume keeps the minute's mean price.
        """
        rows: Rows = minute.rows[symbols]
        seen = min(1 + elapsed_ms * SECONDS // MINUTE_MS, SECONDS)
        path = minute.last[symbols, :seen]
        rows[:, columns.HIGH], rows[:, columns.LOW], rows[:, columns.CLOSE] = path.max(1), path.min(1), path[:, -1]
        elapsed_ms = min(max(elapsed_ms, 1000), MINUTE_MS)
        steps, volume, taker = self._steps[symbols], rows[:, columns.VOLUME], rows[:, columns.TAKER_VOLUME]
        part = np.minimum(volume, np.maximum(steps, volume // steps * elapsed_ms // MINUTE_MS * steps))
        taker_part = np.minimum(part, taker // steps * elapsed_ms // MINUTE_MS * steps)
        quote, taker_quote = rows[:, columns.QUOTE_VOLUME], rows[:, columns.TAKER_QUOTE]
        rows[:, columns.QUOTE_VOLUME] = np.round(quote * (part / np.maximum(volume, 1)))
        rows[:, columns.TAKER_QUOTE] = np.round(taker_quote * (taker_part / np.maximum(taker, 1)))
        rows[:, columns.VOLUME], rows[:, columns.TAKER_VOLUME] = part, taker_part
        trades = rows[:, columns.TRADES]
        rows[:, columns.TRADES] = np.minimum(trades, np.maximum(1, trades * elapsed_ms // MINUTE_MS))
        return rows

    def now_row(self, symbol: int, now_ms: int) -> Rows | None:
        """Like ``unfinished``, or the last finished row of the hour before when this minute has none yet."""
        row = self.unfinished(symbol, now_ms)
        if row is None:
            number = now_ms // MINUTE_MS
            _, rows = self.rows(symbol, number - 60, number)
            return rows[-1].copy() if len(rows) else None
        return row

    def day_rows(self, symbol: int, now_ms: int) -> Rows:
        """Rows of the last 24 hours with the unfinished one last; for the rolling statistics."""
        number = now_ms // MINUTE_MS
        _, rows = self.rows(symbol, number - MINUTES + 1, number)
        running = self.unfinished(symbol, now_ms)
        return rows if running is None else np.concatenate([rows, running[None]])
