"""A market with the faults of a plan laid over it: gaps, halts, an early end, another rhythm of funding.

Everything that is served or traded is read through this, so that candles, marks, the account and its funding agree.
A fault begins with the first minute that opens at or after its ``from_ms``: what was shown is not taken back.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np

from packages.common.time import HOUR_MS, MINUTE_MS
from services.emulator import columns
from services.emulator.columns import MINUTES, MarketSource, Rows
from services.emulator.faults import KINDS, Fault, Faults, Kind
from services.emulator.symbols import SymbolSpec

_KEPT = 256  # altered days in memory
_PRICES = slice(columns.OPEN, columns.CLOSE + 1)
_FAIR = slice(columns.MARK, columns.INDEX + 4)
_MARKS = slice(columns.MARK, columns.MARK + 4)


class Shaken:
    """A ``MarketSource`` over another one; without such faults it is that one."""

    def __init__(self, source: MarketSource, faults: Faults) -> None:
        self._source, self._faults = source, faults
        self._specs = source.specs
        self._days: OrderedDict[tuple[int, int], Rows] = OrderedDict()
        faults.watch(self._renew)
        self._renew()

    def _renew(self) -> None:
        self._days.clear()
        self._plan = [fault for fault in self._faults.plan if KINDS[fault.kind].layer == "market"]
        self._specs = tuple(_altered(spec, self._plan) for spec in self._source.specs)

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def specs(self) -> tuple[SymbolSpec, ...]:
        return self._specs

    @property
    def start_ms(self) -> int:
        return self._source.start_ms

    @property
    def end_ms(self) -> int | None:
        return self._source.end_ms

    def day(self, symbol: int, day: int) -> Rows:
        spec, begin_ms = self._specs[symbol], day * MINUTES * MINUTE_MS
        plan = [f for f in self._of(spec) if f.from_ms < begin_ms + MINUTES * MINUTE_MS and f.to_ms > begin_ms]
        if not plan:
            return self._source.day(symbol, day)
        known = self._days.get((symbol, day))
        if known is None:
            known = self._source.day(symbol, day).copy()
            for fault in plan:
                first, last = (max(-(-(ms - begin_ms) // MINUTE_MS), 0) for ms in (fault.from_ms, fault.to_ms))
                _alter(known[first:last], fault, spec)
            self._days[symbol, day] = known
            if len(self._days) > _KEPT:
                self._days.popitem(last=False)
        return known

    def funding(self, symbol: int, from_ms: int, to_ms: int) -> list[tuple[int, int, int]]:
        plan = [fault for fault in self._of(self._specs[symbol]) if fault.kind is Kind.FUNDING_HOURS]
        rows = self._source.funding(symbol, from_ms, to_ms)
        if not plan:
            return rows
        rows = [row for row in rows if not any(fault.active(row[0]) for fault in plan)]
        for fault in plan:
            rows += self._settlements(symbol, fault, max(from_ms, fault.from_ms), min(to_ms, fault.to_ms))
        return sorted(rows)

    def _settlements(self, symbol: int, fault: Fault, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
        """At the running estimate and the mark of the minute before; none after a minute without a bar."""
        step = int(fault.size) * HOUR_MS
        for ts in range(-(-from_ms // step) * step, to_ms, step):
            row = self.day(symbol, (ts // MINUTE_MS - 1) // MINUTES)[(ts // MINUTE_MS - 1) % MINUTES]
            if row[columns.PRESENT]:
                yield ts, int(row[columns.FUNDING]), int(row[columns.MARK + 3])

    def next_funding_ms(self, symbol: int, ts_ms: int) -> int:
        steps = [int(f.size) for f in self._of(self._specs[symbol]) if f.kind is Kind.FUNDING_HOURS and f.active(ts_ms)]
        if not steps:
            return self._source.next_funding_ms(symbol, ts_ms)
        return ts_ms // (steps[-1] * HOUR_MS) * steps[-1] * HOUR_MS + steps[-1] * HOUR_MS

    def funding_hours(self, symbol: int, ts_ms: int) -> int:
        steps = [int(f.size) for f in self._of(self._specs[symbol]) if f.kind is Kind.FUNDING_HOURS and f.active(ts_ms)]
        return steps[-1] if steps else self._source.funding_hours(symbol, ts_ms)

    def _of(self, spec: SymbolSpec) -> list[Fault]:
        return [fault for fault in self._plan if fault.of(spec.symbol)]


def _altered(spec: SymbolSpec, plan: list[Fault]) -> SymbolSpec:
    """The contract with what halts and ends it."""
    mine = [fault for fault in plan if fault.of(spec.symbol)]
    halts = tuple((f.from_ms, f.to_ms) for f in mine if f.kind is Kind.HALT)
    ends = [_minute(f.from_ms) for f in mine if f.kind is Kind.DELIST]
    spec = replace(spec, halts=halts, delivery_ms=min([spec.delivery_ms, *ends])) if halts or ends else spec
    for size in (int(f.size) for f in mine if f.kind is Kind.COARSE_RULES):
        spec = replace(
            spec,
            tick=_times(spec.tick, size),
            step=_times(spec.step, size),
            min_notional=_times(spec.min_notional, size),
        )
    return spec


def _times(text: str, size: int) -> str:
    """With as many decimals as before, which prices are kept in."""
    return str(Decimal(text) * size)


def _minute(ts_ms: int) -> int:
    return -(-ts_ms // MINUTE_MS) * MINUTE_MS


def _alter(rows: Rows, fault: Fault, spec: SymbolSpec) -> None:
    """Change the minutes of one day that a fault is about, in place."""
    factor = 1.0 + fault.size
    match fault.kind:
        case Kind.HALT | Kind.DELIST:
            rows[:, columns.PRESENT] = 0
        case Kind.PRICE_GAP:
            tick = spec.tick_units
            rows[:, _PRICES] = np.maximum(np.rint(rows[:, _PRICES] * factor / tick), 1) * tick
            for part in (_FAIR, columns.QUOTE_VOLUME, columns.TAKER_QUOTE):
                rows[:, part] = np.rint(rows[:, part] * factor)
        case Kind.MARK_GAP:
            rows[:, _MARKS] = np.rint(rows[:, _MARKS] * factor)
