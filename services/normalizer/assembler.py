"""From stream messages and REST answers to ``MinuteRecord``s: one state machine a symbol. Pure: no I/O, no clock.

A minute of a symbol is complete when its closed candle came, its mark samples are over (one at or after its end came,
or the clock says so) and enough, and of every instant in it that may be a settlement it is known whether it was one
(``_unsettled``). What does not complete is asked of REST (``wants``). Any interleaving or repetition of the same
messages gives the same records.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from packages.common.time import HOUR_MS, MINUTE_MS, floor_minute, round_minute
from packages.common.types import Bar, KlineUpdate, MarkTick, MinuteRecord, OhlcBar, Settlement
from services.normalizer.quality import QualityLog
from services.normalizer.samples import MinuteSamples
from services.normalizer.validate import refuse_bar, refuse_prices, refuse_time

_NAN = float("nan")
_NEVER = 1 << 62
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class AssemblerConfig:
    """Market milliseconds. ``deadline_ms`` after a minute's end, what is missing is asked of REST; ``grace_ms`` after
    it, samples are over even if no later one came; ``posted_ms`` after a settlement, history holds it for certain."""

    min_samples: int
    deadline_ms: int = 5_000
    grace_ms: int = 5_000
    posted_ms: int = 120_000
    future_ms: int = 600_000


class Want(NamedTuple):
    """Minutes ``from_ms <= ts <= to_ms`` of a symbol that REST is asked for, and which of the three are missing."""

    symbol: str
    from_ms: int
    to_ms: int
    needs_bar: bool
    needs_mark: bool
    needs_index: bool


@dataclass(slots=True)
class _Symbol:
    name: str
    last_ts: int  # last minute handed over or given up
    last_close: int  # end of the last record handed over: settlements after it belong to the next one
    whole_from: int = _NEVER  # from this minute on, no sample was missed by us
    whole: set[int] = field(default_factory=set)  # minutes seen whole before the connection changed
    newest_mark: int = -1
    bars: dict[int, tuple[Bar, str]] = field(default_factory=dict)
    samples: dict[int, MinuteSamples] = field(default_factory=dict)
    rest_marks: dict[int, OhlcBar] = field(default_factory=dict)
    rest_indexes: dict[int, OhlcBar | None] = field(default_factory=dict)
    settled: dict[int, float] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)  # settlement instants the exchange named beforehand
    rateless: set[int] = field(default_factory=set)  # instants of which the exchange has no rate and will have none
    funded_through: int = -1  # every settlement up to here that was not announced is in ``settled``


class Assembler:
    """All symbols' minutes. ``start`` maps each symbol to its last stored minute; the next one is wanted first."""

    def __init__(self, config: AssemblerConfig, start: Mapping[str, int], quality: QualityLog) -> None:
        self.config, self._quality = config, quality
        self._symbols = {name: _Symbol(name, ts, ts + MINUTE_MS) for name, ts in start.items()}
        self._touched: set[str] = set(start)
        self.newest_event_ms = 0
        self.duplicates = 0

    def admit(self, symbol: str, last_ts: int) -> None:
        """Take a symbol in, from the minute after ``last_ts``; nothing happens when it is here."""
        self._symbols.setdefault(symbol, _Symbol(symbol, last_ts, last_ts + MINUTE_MS))
        self._touched.add(symbol)

    def retire(self, symbol: str) -> None:
        """Forget a symbol; what still comes of it counts as unknown."""
        self._symbols.pop(symbol, None)
        self._touched.discard(symbol)

    def last_ts(self, symbol: str) -> int:
        """Last minute handed over or given up."""
        return self._symbols[symbol].last_ts

    def last_close(self, symbol: str) -> int:
        """End of the last record handed over: settlements after it are still wanted."""
        return self._symbols[symbol].last_close

    @property
    def symbols(self) -> Iterable[str]:
        return self._symbols.keys()

    # --- what comes in --------------------------------------------------------------------------------------------

    def on_connected(self) -> None:
        """A socket took over: the minute under way is not whole; which one that is, the next sample tells."""
        for state in self._symbols.values():
            state.whole |= {
                ts for ts in state.samples if state.whole_from <= ts and ts + MINUTE_MS <= state.newest_mark
            }
            state.whole_from = _NEVER

    def on_kline(self, update: KlineUpdate, now_ms: int) -> None:
        """A push of a candle; only the closed one carries data."""
        if not self._in_time(update.event_ts_ms, update.bar.symbol, now_ms) or not update.closed:
            return
        state = self._symbols.get(update.bar.symbol)
        if state is None:
            self._unknown(update.bar.symbol, now_ms)
            return
        self._take_bar(state, update.bar, "ws", max(update.event_ts_ms, now_ms))

    def on_mark(self, tick: MarkTick, now_ms: int) -> None:
        """A sample of mark, index and predicted funding."""
        at = tick.event_ts_ms
        if not self._in_time(at, tick.symbol, now_ms):
            return
        state = self._symbols.get(tick.symbol)
        if state is None:
            self._unknown(tick.symbol, now_ms)
            return
        if not 0 < tick.mark < _INF:
            code = "NAN_PRICE" if tick.mark != tick.mark else "BAD_PRICE"
            self._quality.add(now_ms, tick.symbol, code, f"mark: got {tick.mark!r}, expected a finite price > 0")
            return
        minute = at - at % MINUTE_MS
        if state.whole_from == _NEVER:
            # Its first sample since the connection: earlier ones of this minute may have been missed.
            state.whole_from = minute + MINUTE_MS
        if at > state.newest_mark:
            if minute > state.newest_mark:
                self._touched.add(tick.symbol)
            state.newest_mark = at
        due = round_minute(tick.next_funding_ts_ms)
        if due > state.last_close and due not in state.announced:
            state.announced.add(due)
        if minute <= state.last_ts:
            self.duplicates += 1
            return
        samples = state.samples.get(minute)
        if samples is None:
            samples = state.samples[minute] = MinuteSamples()
        if not samples.add(tick):
            self.duplicates += 1

    def on_next_funding(self, symbol: str, next_funding_ts_ms: int) -> None:
        """The exchange named its next settlement instant."""
        state = self._symbols.get(symbol)
        if state is not None and next_funding_ts_ms > state.last_close:
            state.announced.add(round_minute(next_funding_ts_ms))

    def on_settlement(self, settlement: Settlement) -> None:
        """A settled rate; the first one known of an instant stands."""
        state = self._symbols.get(settlement.symbol)
        if state is not None and settlement.ts_ms > state.last_close:
            state.settled.setdefault(settlement.ts_ms, settlement.rate)
            self._touched.add(settlement.symbol)

    def on_funding_history(self, symbol: str, through_ms: int) -> None:
        """Every settlement in (last close, ``through_ms``] that history holds has been handed in.

        Proof that an hour nobody announced settles nothing; an announced one still waits for its rate.
        """
        state = self._symbols.get(symbol)
        if state is not None:
            state.funded_through = max(state.funded_through, through_ms)
            self._touched.add(symbol)

    def on_no_settlement(self, symbol: str, due_ms: int) -> None:
        """The exchange has no rate of this instant and will have none, even if it was announced."""
        state = self._symbols.get(symbol)
        if state is not None and due_ms > state.last_close:
            state.rateless.add(due_ms)
            self._touched.add(symbol)

    def on_rest(
        self,
        symbol: str,
        bars: Iterable[Bar],
        marks: Iterable[OhlcBar],
        indexes: Iterable[OhlcBar],
        now_ms: int,
        *,
        no_index: Iterable[int] = (),
    ) -> None:
        """Closed bars of REST. ``no_index``: minutes of which the exchange has no index bar and will have none."""
        state = self._symbols.get(symbol)
        if state is None:
            return
        self._touched.add(symbol)
        for bar in bars:
            self._take_bar(state, bar, "rest", now_ms)
        for mark in marks:
            if mark.ts_ms > state.last_ts and self._accept(mark, now_ms):
                state.rest_marks[mark.ts_ms] = mark
        for index in indexes:
            if index.ts_ms > state.last_ts and self._accept(index, now_ms):
                state.rest_indexes[index.ts_ms] = index
        for ts_ms in no_index:
            if ts_ms > state.last_ts:
                state.rest_indexes.setdefault(ts_ms, None)

    def skip(self, symbol: str, through_ms: int) -> None:
        """Give up minutes up to ``through_ms``: they cannot be had."""
        state = self._symbols[symbol]
        if through_ms > state.last_ts:
            state.last_ts = through_ms
            self._forget(state)
            self._touched.add(symbol)

    # --- what goes out --------------------------------------------------------------------------------------------

    def take_ready(self, now_ms: int, recv_ms: int, *, everyone: bool = False) -> list[MinuteRecord]:
        """Records that became complete, per symbol in order. ``everyone`` looks at symbols nothing came for too.

        ``now_ms``: exchange time up to which everything that came was handed in; ``recv_ms``: market time to note.
        """
        names = list(self._symbols) if everyone else sorted(self._touched & self._symbols.keys())
        self._touched.clear()
        records: list[MinuteRecord] = []
        for name in names:
            state = self._symbols[name]
            while (record := self._complete(state, now_ms, recv_ms)) is not None:
                records.append(record)
                state.last_ts, state.last_close = record.bar.ts_ms, record.bar.ts_ms + MINUTE_MS
                self._forget(state)
        return records

    def wants(self, now_ms: int) -> list[Want]:
        """What must come from REST, as of exchange time ``now_ms``: call after ``take_ready``."""
        closed = floor_minute(now_ms) - MINUTE_MS
        wants = []
        for state in self._symbols.values():
            ts_ms = state.last_ts + MINUTE_MS
            if ts_ms > closed:
                continue
            overdue = now_ms >= ts_ms + MINUTE_MS + self.config.deadline_ms
            bar = ts_ms not in state.bars and (overdue or any(later > ts_ms for later in state.bars))
            mark = ts_ms not in state.rest_marks and self._lacks_samples(state, ts_ms, overdue)
            index = ts_ms not in state.rest_indexes and (mark or self._lacks_index(state, ts_ms, overdue))
            if bar or mark or index:
                wants.append(Want(state.name, ts_ms, closed, bar, mark, index))
        return wants

    def missing_settlements(self, now_ms: int) -> dict[int, list[str]]:
        """Past instants whose rate is not known: announced ones, and full hours that the next minute cannot do without
        knowing; symbols by instant."""
        missing: dict[int, list[str]] = {}
        for state in self._symbols.values():
            due = {at for at in state.announced if at <= now_ms and not self._told(state, at)}
            ts_ms = state.last_ts + MINUTE_MS
            if ts_ms in state.bars and ts_ms + MINUTE_MS <= now_ms:
                due.update(self._unsettled(state, ts_ms))
            for at in due:
                missing.setdefault(at, []).append(state.name)
        return missing

    def announced(self, symbol: str, due_ms: int) -> bool:
        """Whether the exchange itself named this settlement instant."""
        state = self._symbols.get(symbol)
        return state is not None and due_ms in state.announced

    def knows_next_funding(self, symbol: str, ts_ms: int) -> bool:
        """Whether a minute without samples would still know the settlement that follows it."""
        state = self._symbols[symbol]
        return any(at > ts_ms for at in (*state.announced, *state.settled))

    def first_bar_after(self, symbol: str, ts_ms: int) -> int | None:
        """The earliest candle at hand that is later than ``ts_ms``."""
        return min((ts for ts in self._symbols[symbol].bars if ts > ts_ms), default=None)

    def has(self, symbol: str, ts_ms: int) -> tuple[bool, bool]:
        """Whether the candle and the mark bar of a minute are at hand."""
        state = self._symbols[symbol]
        return ts_ms in state.bars, ts_ms in state.rest_marks or not self._lacks_samples(state, ts_ms, True)

    # --- how ------------------------------------------------------------------------------------------------------

    def _complete(self, state: _Symbol, now_ms: int, recv_ms: int) -> MinuteRecord | None:
        ts_ms = state.last_ts + MINUTE_MS
        close_ms = ts_ms + MINUTE_MS
        if ts_ms not in state.bars:
            return None
        bar, bar_source = state.bars[ts_ms]
        samples = state.samples.get(ts_ms)
        mark = state.rest_marks.get(ts_ms)
        source = "rest" if mark is not None or bar_source == "rest" else "ws"
        if mark is None:
            over = state.newest_mark >= close_ms or now_ms >= close_ms + self.config.grace_ms
            if samples is None or not over or self._lacks_samples(state, ts_ms, True):
                return None
            mark = samples.mark.bar(state.name, ts_ms)
        index = state.rest_indexes.get(ts_ms)
        if index is None and ts_ms not in state.rest_indexes:
            if samples is None or self._lacks_samples(state, ts_ms, True) or self._lacks_index(state, ts_ms, True):
                return None
            index = samples.index.bar(state.name, ts_ms)
        if self._unsettled(state, ts_ms):
            return None
        rates = [due for due in state.settled if state.last_close < due <= close_ms]
        return MinuteRecord(
            bar=bar,
            mark=mark,
            index=index,
            settled_rate=state.settled[max(rates)] if rates else _NAN,
            funding_rate=samples.funding_rate if samples else _NAN,
            next_funding_ts_ms=self._next_funding(state, ts_ms, samples),
            recv_ts_ms=max(recv_ms, close_ms),
            source=source,
        )

    def _unsettled(self, state: _Symbol, ts_ms: int) -> list[int]:
        """Instants in (last close, this close] of which it is not known whether they settle, or at which rate.

        Any full hour may settle, whatever interval a symbol had before: either the exchange named it beforehand, and
        then its rate must come; or a sample of the minute named a later one; or history must say.
        """
        close_ms = ts_ms + MINUTE_MS
        first_hour = state.last_close // HOUR_MS * HOUR_MS + HOUR_MS
        possible = {at for at in state.announced if state.last_close < at <= close_ms}
        possible.update(range(first_hour, close_ms + 1, HOUR_MS))
        samples = state.samples.get(ts_ms)
        ruled_out = close_ms if samples and round_minute(samples.next_funding_ts_ms) > close_ms else -1
        return [at for at in possible if not self._told(state, at) and (at in state.announced or at != ruled_out)]

    @staticmethod
    def _told(state: _Symbol, at: int) -> bool:
        """True when the rate of an instant is here, or the exchange said that it has none."""
        return at in state.settled or at in state.rateless or (at <= state.funded_through and at not in state.announced)

    def _next_funding(self, state: _Symbol, ts_ms: int, samples: MinuteSamples | None) -> int:
        if samples is not None and samples.next_funding_ts_ms > ts_ms:
            return round_minute(samples.next_funding_ts_ms)
        return min((at for at in (*state.announced, *state.settled) if at > ts_ms), default=0)

    def _lacks_samples(self, state: _Symbol, ts_ms: int, overdue: bool) -> bool:
        """True when the stream did not and will not carry enough mark samples of a minute."""
        if ts_ms < state.whole_from and ts_ms not in state.whole and (state.whole_from < _NEVER or overdue):
            return True
        samples = state.samples.get(ts_ms)
        few = samples is None or samples.mark.count < self.config.min_samples
        return few and (overdue or state.newest_mark >= ts_ms + MINUTE_MS)

    def _lacks_index(self, state: _Symbol, ts_ms: int, overdue: bool) -> bool:
        samples = state.samples.get(ts_ms)
        few = samples is None or samples.index.count < self.config.min_samples
        return few and (overdue or state.newest_mark >= ts_ms + MINUTE_MS)

    def _take_bar(self, state: _Symbol, bar: Bar, source: str, now_ms: int) -> None:
        refusal = refuse_bar(bar, now_ms)
        if refusal is not None:
            self._quality.add(now_ms, bar.symbol, *refusal, bar_ts_ms=bar.ts_ms, source=source)
            return
        if bar.ts_ms <= state.last_ts or bar.ts_ms in state.bars:
            self.duplicates += 1
            known = state.bars.get(bar.ts_ms)
            if known is not None and known[0] != bar:
                message = f"ts_ms {bar.ts_ms}: another candle came first and stands"
                self._quality.add(now_ms, bar.symbol, "CONFLICTING_BAR", message, source=source)
            return
        state.bars[bar.ts_ms] = (bar, source)
        self._touched.add(bar.symbol)

    def _accept(self, bar: OhlcBar, now_ms: int) -> bool:
        refusal = refuse_time(bar.ts_ms, now_ms) or refuse_prices(bar)
        if refusal is not None:
            self._quality.add(now_ms, bar.symbol, *refusal, bar_ts_ms=bar.ts_ms, source="rest")
        return refusal is None

    def _in_time(self, event_ts_ms: int, symbol: str, now_ms: int) -> bool:
        if event_ts_ms > max(now_ms, self.newest_event_ms) + self.config.future_ms:
            message = f"event_ts_ms: got {event_ts_ms}, expected no later than {now_ms} and a little"
            self._quality.add(now_ms, symbol, "FUTURE_EVENT", message)
            return False
        self.newest_event_ms = max(self.newest_event_ms, event_ts_ms)
        return True

    def _unknown(self, symbol: str, now_ms: int) -> None:
        self._quality.add(now_ms, symbol[:40], "UNKNOWN_SYMBOL", f"symbol: got {symbol[:40]!r}, not subscribed")

    def _forget(self, state: _Symbol) -> None:
        tables: tuple[dict[int, Any], ...] = (state.bars, state.samples, state.rest_marks, state.rest_indexes)
        for table in tables:
            for ts_ms in [ts for ts in table if ts <= state.last_ts]:
                del table[ts_ms]
        state.whole = {ts for ts in state.whole if ts > state.last_ts}
        for at in [at for at in state.settled if at <= state.last_close]:
            del state.settled[at]
        for instants in (state.announced, state.rateless):
            instants -= {at for at in instants if at <= state.last_close}
