"""When a minute is over for everyone: pure bookkeeping of who has come. Minutes close in order, one by one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packages.common.time import MINUTE_MS
from packages.common.types import MinuteRecord


@dataclass(frozen=True, slots=True)
class Closing:
    """Minute ``ts_ms`` is closed: ``records`` came on time, ``late`` symbols did not."""

    ts_ms: int
    records: tuple[MinuteRecord, ...]
    late: tuple[str, ...]


class MinuteGate:
    """Holds records back until their minute closes. ``last`` maps each symbol to its last minute already decided."""

    def __init__(self, last: Mapping[str, int]) -> None:
        self._done = dict(last)
        self._absent: set[str] = set()
        self._held: dict[int, list[MinuteRecord]] = {}
        self._open = min(last.values(), default=0) + MINUTE_MS

    @property
    def open_ts_ms(self) -> int:
        """The minute that closes next."""
        return self._open

    @property
    def absent(self) -> frozenset[str]:
        """Symbols not waited for, because their bars cannot be had."""
        return frozenset(self._absent)

    def admit(self, symbol: str, last_ts: int) -> None:
        """Wait for a symbol from the minute after ``last_ts`` on."""
        self._done.setdefault(symbol, last_ts)

    def retire(self, symbol: str) -> None:
        """Wait for it no longer."""
        self._done.pop(symbol, None)
        self._absent.discard(symbol)

    def set_absent(self, symbol: str, absent: bool) -> None:
        """Stop or start waiting for a symbol; its records pass whenever they come."""
        if symbol in self._done:
            (self._absent.add if absent else self._absent.discard)(symbol)

    def skipped(self, symbol: str, through_ms: int) -> None:
        """Minutes up to ``through_ms`` will not come."""
        self._done[symbol] = max(self._done.get(symbol, through_ms), through_ms)

    def add(self, records: Iterable[MinuteRecord]) -> list[MinuteRecord]:
        """Take records in; returns those of minutes that are closed already: late ones, to be decided alone."""
        late = []
        for record in records:
            symbol, ts_ms = record.bar.symbol, record.bar.ts_ms
            self._done[symbol] = max(self._done.get(symbol, ts_ms), ts_ms)
            self._absent.discard(symbol)
            if ts_ms < self._open:
                late.append(record)
            else:
                self._held.setdefault(ts_ms, []).append(record)
        return late

    def close(self, due_ms: int) -> list[Closing]:
        """Close what is complete, and by force every minute that ended by ``due_ms`` (its deadline is over)."""
        closings = []
        while self._done:
            ts_ms = self._open
            waiting = [s for s, done in self._done.items() if done < ts_ms and s not in self._absent]
            forced = ts_ms + MINUTE_MS <= due_ms
            # A minute nobody has anything of closes by its deadline only, or time would run ahead of the market.
            if not forced and (waiting or ts_ms not in self._held):
                break
            closings.append(Closing(ts_ms, tuple(self._held.pop(ts_ms, ())), tuple(sorted(waiting))))
            self._open += MINUTE_MS
        return closings
