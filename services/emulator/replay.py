"""Recorded markets: bars exactly as they were, and by one documented rule what was not recorded (D41).

- Bars: the recorded numbers, printed with as many decimals as they have; a minute that is missing stays missing.
- Quote volume, trades and taker volumes where not recorded: volume·(open + high + low + 2·close)/5; one trade per 500
  quote units; a taker share of 0.5 + 0.25·(close − open)/(high − low).
- Mark, index, premium, open interest: ``kernels.derive_prices``.
- Funding: the recorded settlements where a ``funding`` folder lies beside the bars; where it has none for a time, every
  eight hours by the rule of ``derive_prices``. The running estimate goes in a straight line from the last settled rate
  to the next one, so that it says no more of the future than the exchange's own average does.
- A symbol whose bars begin inside the market is listed at that time; one whose bars end before the market does is
  delisted at its last bar. A market that ends stands still.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from packages.common.time import HOUR_MS, MINUTE_MS
from services.emulator import columns, kernels
from services.emulator.columns import MINUTES, Rows
from services.emulator.contracts import KNOWN, default_spec
from services.emulator.recordings import Recording, choose_window, read_folder, read_funding
from services.emulator.symbols import NEVER_MS, SymbolSpec, decimals_of, units

_ROUND = 8 * HOUR_MS


class ReplayMarket:
    """A ``MarketSource`` over a folder; all bars of the chosen stretch are held in memory."""

    def __init__(self, folder: Path, start_ms: int | None = None, symbols: Sequence[str] | None = None) -> None:
        recordings = read_folder(folder, symbols)
        first, last = choose_window(recordings, start_ms)
        self.name = f"replay of {folder}"
        self.start_ms: int = first * MINUTE_MS
        self.end_ms: int | None = last * MINUTE_MS
        funding = read_funding(folder)
        specs, rows, minutes, settled = [], [], [], []
        for symbol, whole in recordings.items():
            part = whole.between(first, last)
            if len(part.minutes) < MINUTES:  # less than a day of it
                continue
            spec = _spec(symbol, part, first, last)
            table = _table(spec, part)
            marks = _settlements(funding.get(symbol), part, spec)
            kernels.derive_prices(table, part.minutes, _marks(part.minutes, marks), 10**spec.price_decimals)
            specs.append(spec)
            rows.append(table)
            minutes.append(part.minutes)
            settled.append(_rates(marks, part.minutes, table))
            _estimate(table, part.minutes, settled[-1])
        self.specs: tuple[SymbolSpec, ...] = tuple(specs)
        self._rows, self._minutes, self._settled = rows, minutes, settled

    def day(self, symbol: int, day: int) -> Rows:
        begin, end = np.searchsorted(self._minutes[symbol], (day * MINUTES, (day + 1) * MINUTES))
        out = np.zeros((MINUTES, columns.WIDTH), np.int64)
        out[self._minutes[symbol][begin:end] - day * MINUTES] = self._rows[symbol][begin:end]
        return out

    def funding(self, symbol: int, from_ms: int, to_ms: int) -> list[tuple[int, int, int]]:
        table = self._settled[symbol]
        begin, end = np.searchsorted(table[:, 0], (max(from_ms, self.start_ms), to_ms))
        return [(int(ts), int(rate), int(mark)) for ts, rate, mark in table[begin:end]]

    def next_funding_ms(self, symbol: int, ts_ms: int) -> int:
        times = self._settled[symbol][:, 0]
        at = int(np.searchsorted(times, ts_ms, side="right"))
        return int(times[at]) if at < len(times) else ts_ms // _ROUND * _ROUND + _ROUND

    def funding_hours(self, symbol: int, ts_ms: int) -> int:
        times = self._settled[symbol][:, 0]
        at = int(np.searchsorted(times, ts_ms, side="right"))
        if 0 < at < len(times):
            return max(1, round((int(times[at]) - int(times[at - 1])) / HOUR_MS))
        return 8


def _spec(symbol: str, part: Recording, first: int, last: int) -> SymbolSpec:
    """The contract: the table's where its tick and step fit the recorded numbers, else one made from them."""
    prices = np.concatenate([part.columns[name] for name in ("open", "high", "low", "close")])
    spec = KNOWN.get(symbol) or default_spec(symbol, float(np.median(prices)), 0)
    tick, step = spec.tick, spec.step
    if not _multiples(prices, spec.tick):
        tick = _one(decimals_in(prices))
    if not _multiples(part.columns["volume"], spec.step):
        step = _one(decimals_in(part.columns["volume"]))
    opened, closed = int(part.minutes[0]), int(part.minutes[-1]) + 1
    # the first minutes of a stretch are ragged: a few minutes are no listing
    onboard = opened * MINUTE_MS if opened - first > 60 else min(spec.onboard_ms, first * MINUTE_MS)
    delivery = closed * MINUTE_MS if last - closed > 60 else NEVER_MS
    return replace(
        spec, tick=tick, step=step, onboard_ms=onboard, delivery_ms=delivery, price=float(prices[0]), funding_hours=8
    )


def decimals_in(values: NDArray[np.float64]) -> int:
    """Fewest decimals (at most 8) that write every value exactly."""
    for decimals in range(8):
        scaled = values * 10.0**decimals
        if np.all(np.round(scaled) / 10.0**decimals == values):
            return decimals
    return 8


def _one(decimals: int) -> str:
    return f"{10.0**-decimals:.{decimals}f}"


def _multiples(values: NDArray[np.float64], unit: str) -> bool:
    decimals = decimals_of(unit)
    counted = np.round(values * 10.0**decimals)
    return bool(np.all(counted / 10.0**decimals == values) and np.all(counted % units(unit, decimals) == 0))


def _table(spec: SymbolSpec, part: Recording) -> Rows:
    n, price_unit, qty_unit = len(part.minutes), 10**spec.price_decimals, 10**spec.qty_decimals
    out = np.zeros((n, columns.WIDTH), np.int64)
    for at, name in ((0, "open"), (1, "high"), (2, "low"), (3, "close")):
        out[:, at] = np.round(part.columns[name] * price_unit)
    out[:, columns.VOLUME] = np.round(part.columns["volume"] * qty_unit)
    open_, high, low, close = (part.columns[name] for name in ("open", "high", "low", "close"))
    volume = part.columns["volume"]
    typical = (open_ + high + low + 2 * close) / 5
    reach = np.where(high > low, high - low, 1.0)
    share = 0.5 + 0.25 * (close - open_) / reach
    step = 10.0**-spec.qty_decimals
    taker = _recorded(part, "taker_buy_volume", np.floor(volume * share / step) * step)
    quote = _recorded(part, "quote_volume", volume * typical)
    scale = 10**spec.quote_decimals
    out[:, columns.QUOTE_VOLUME] = np.round(quote * scale)
    out[:, columns.TRADES] = _recorded(part, "trades", np.where(volume > 0, np.ceil(quote / 500.0), 0.0))
    out[:, columns.TAKER_VOLUME] = np.round(taker * qty_unit)
    out[:, columns.TAKER_QUOTE] = np.round(_recorded(part, "taker_buy_quote_volume", taker * typical) * scale)
    return out


def _recorded(part: Recording, name: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    column = part.columns.get(name)
    return otherwise if column is None else np.where(np.isnan(column), otherwise, column)


def _settlements(
    recorded: tuple[NDArray[np.int64], NDArray[np.float64]] | None, part: Recording, spec: SymbolSpec
) -> NDArray[np.float64]:
    """(ts_ms, rate) of every settlement from just before the first bar to just after the last; NaN: by the rule."""
    first, last = int(part.minutes[0]) * MINUTE_MS, (int(part.minutes[-1]) + 1) * MINUTE_MS
    grid = np.arange(first // _ROUND * _ROUND, last + _ROUND + 1, _ROUND, dtype=np.int64)
    if recorded is None:
        return np.column_stack([grid, np.full(len(grid), np.nan)])
    inside = (recorded[0] >= grid[0]) & (recorded[0] <= grid[-1])
    times, rates = recorded[0][inside], recorded[1][inside]
    # the eight-hour grid closes holes of the recording
    far = np.array([t for t in grid if len(times) == 0 or np.abs(times - t).min() >= _ROUND], np.int64)
    times = np.concatenate([times, far])
    order = np.argsort(times)
    rates = np.concatenate([rates, np.full(len(far), np.nan)])
    return np.column_stack([times[order], rates[order]])


def _marks(minutes: NDArray[np.int64], settlements: NDArray[np.float64]) -> NDArray[np.int64]:
    """For every bar: minutes since the last settlement, minutes between it and the next."""
    times = (settlements[:, 0] // MINUTE_MS).astype(np.int64)
    at = np.clip(np.searchsorted(times, minutes, side="right"), 1, len(times) - 1)
    return np.column_stack([minutes - times[at - 1], times[at] - times[at - 1]])


def _rates(settlements: NDArray[np.float64], minutes: NDArray[np.int64], table: Rows) -> NDArray[np.int64]:
    """(ts_ms, rate, mark) in 1e-8; a rate that was not recorded is the running estimate of the rule at that time."""
    times = settlements[:, 0].astype(np.int64)
    before = np.clip(np.searchsorted(minutes, times // MINUTE_MS) - 1, 0, len(minutes) - 1)
    ruled = table[before, columns.FUNDING]
    given = np.array([0 if math.isnan(rate) else round(rate * 1e8) for rate in settlements[:, 1]], np.int64)
    rates = np.where(np.isnan(settlements[:, 1]), ruled, given)
    return np.column_stack([times, rates, table[before, columns.MARK + 3]])


def _estimate(table: Rows, minutes: NDArray[np.int64], settled: NDArray[np.int64]) -> None:
    """Running estimate at each close: a straight line between settled rates; in place."""
    closes = (minutes + 1) * MINUTE_MS
    table[:, columns.FUNDING] = np.round(np.interp(closes, settled[:, 0], settled[:, 1])).astype(np.int64)
