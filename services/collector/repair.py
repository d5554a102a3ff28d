"""Which wants are asked when, and what an answer that helps or does not help means. No I/O; time comes in."""

from collections.abc import Iterable
from dataclasses import dataclass

from packages.common.time import MINUTE_MS
from services.collector.batch import GapReport
from services.collector.core.gate import MinuteGate
from services.collector.rest_feed import Answer
from services.normalizer.assembler import Assembler, Want


@dataclass(frozen=True, slots=True)
class RepairConfig:
    """``unavailable_ms`` market time after its end a minute without any later one makes its symbol absent. Pauses
    between attempts are wall milliseconds and double; ``absent_pause_ms`` is for symbols nobody waits for."""

    unavailable_ms: int = 120_000
    pause_ms: float = 100.0
    pause_max_ms: float = 5_000.0
    absent_pause_ms: float = 15_000.0
    attempts: int = 2  # answers without a bar, but with later ones, that prove the bar does not exist
    mark_attempts: int = 5


@dataclass(slots=True)
class _Case:
    from_ms: int
    found_at_ms: int
    attempts: int = 0
    next_mono_ms: float = 0.0
    asked: bool = False


class RepairDesk:
    """Open cases by symbol. Turns answers into ``GapReport``s and gives up what cannot be had (D9)."""

    def __init__(self, assembler: Assembler, gate: MinuteGate, config: RepairConfig) -> None:
        self._assembler, self._gate, self._config = assembler, gate, config
        self._cases: dict[str, _Case] = {}

    @property
    def open_cases(self) -> int:
        """Symbols that wait for REST."""
        return len(self._cases)

    @property
    def asking(self) -> int:
        """Symbols whose answer is under way."""
        return sum(case.asked for case in self._cases.values())

    def attempts(self, symbol: str) -> int:
        """Answers so far that did not help this symbol's open case."""
        case = self._cases.get(symbol)
        return case.attempts if case else 0

    def due(self, wants: Iterable[Want], now_ms: int, mono_ms: float) -> list[Want]:
        """Wants to ask now; each is asked once until its answer came and its pause is over."""
        asked = []
        wants = list(wants)
        needed = {want.symbol for want in wants}
        for symbol in [s for s, case in self._cases.items() if s not in needed and not case.asked]:
            del self._cases[symbol]  # the stream brought it after all
        for want in wants:
            case = self._cases.get(want.symbol)
            if case is None or case.from_ms != want.from_ms:
                asked_already = case is not None and case.asked
                case = _Case(want.from_ms, now_ms, asked=asked_already)
                self._cases[want.symbol] = case
            if not case.asked and mono_ms >= case.next_mono_ms:
                case.asked = True
                asked.append(want)
        return asked

    def failed(self, symbol: str, mono_ms: float, now_ms: int) -> list[GapReport]:
        """The request itself failed: again after a pause; in the end the symbol is not waited for."""
        case = self._cases.get(symbol)
        if case is None:
            return []
        self._pause(symbol, case, mono_ms)
        return self._absent_if_overdue(symbol, case, now_ms)

    def answered(self, answer: Answer, missing_bars: list[int], now_ms: int, mono_ms: float) -> list[GapReport]:
        """Judge an answer after it was handed to the assembler and what became ready was taken.

        ``missing_bars``: minutes of the want that had no candle when it was asked.
        """
        want = answer.want
        symbol, case = want.symbol, self._cases.get(want.symbol)
        if case is None:
            return []
        came = {bar.ts_ms for bar in answer.bars}
        found_at = case.found_at_ms
        reports = [
            GapReport(symbol, "candles_1m", first, last, n, found_at, now_ms, n, "rest", "repaired")
            for first, last, n in _runs(ts for ts in missing_bars if ts in came)
        ]
        marks = {mark.ts_ms for mark in answer.marks} - set(missing_bars)
        reports += [
            GapReport(symbol, "mark_candles_1m", first, last, n, found_at, now_ms, n, "rest", "repaired")
            for first, last, n in _runs(marks)
        ]
        if self._assembler.last_ts(symbol) >= want.from_ms:
            del self._cases[symbol]
            return reports
        self._pause(symbol, case, mono_ms)
        return reports + self._give_up(symbol, case, now_ms)

    def forget(self, symbol: str) -> None:
        """A retired symbol has no case."""
        self._cases.pop(symbol, None)

    def _give_up(self, symbol: str, case: _Case, now_ms: int) -> list[GapReport]:
        ts_ms = case.from_ms
        has_bar, has_mark = self._assembler.has(symbol, ts_ms)
        if not has_bar:
            later = self._assembler.first_bar_after(symbol, ts_ms)
            if later is None:
                return self._absent_if_overdue(symbol, case, now_ms)
            if case.attempts >= self._config.attempts:
                return self._skip(symbol, case, later - MINUTE_MS, ("candles_1m",))
            return []
        overdue = now_ms >= ts_ms + MINUTE_MS + self._config.unavailable_ms
        if not has_mark and overdue and case.attempts >= self._config.mark_attempts:
            # A record needs its mark bar; the candle alone would train on prices nothing was triggered by.
            return self._skip(symbol, case, ts_ms, ("candles_1m", "mark_candles_1m"))
        return self._absent_if_overdue(symbol, case, now_ms)

    def _skip(self, symbol: str, case: _Case, through_ms: int, datasets: tuple[str, ...]) -> list[GapReport]:
        first, found_at = case.from_ms, case.found_at_ms
        self._assembler.skip(symbol, through_ms)
        self._gate.skipped(symbol, through_ms)
        self._cases.pop(symbol, None)
        bars = (through_ms - first) // MINUTE_MS + 1
        return [
            GapReport(symbol, dataset, first, through_ms, bars, found_at, source="rest", status="unavailable")
            for dataset in datasets
        ]

    def _absent_if_overdue(self, symbol: str, case: _Case, now_ms: int) -> list[GapReport]:
        if symbol in self._gate.absent or now_ms < case.from_ms + MINUTE_MS + self._config.unavailable_ms:
            return []
        self._gate.set_absent(symbol, True)
        return [GapReport(symbol, "candles_1m", case.from_ms, case.from_ms, 1, case.found_at_ms)]

    def _pause(self, symbol: str, case: _Case, mono_ms: float) -> None:
        pause = min(self._config.pause_ms * 2**case.attempts, self._config.pause_max_ms)
        case.attempts += 1
        case.asked = False
        case.next_mono_ms = mono_ms + (self._config.absent_pause_ms if symbol in self._gate.absent else pause)


def _runs(minutes: Iterable[int]) -> list[tuple[int, int, int]]:
    """Contiguous runs as (first, last, count)."""
    runs: list[tuple[int, int, int]] = []
    for ts_ms in sorted(minutes):
        if runs and ts_ms == runs[-1][1] + MINUTE_MS:
            first, _, count = runs[-1]
            runs[-1] = (first, ts_ms, count + 1)
        else:
            runs.append((ts_ms, ts_ms, 1))
    return runs
