"""Candles of any interval from minutes, and which of them a request means."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.time import DAY_MS, MINUTE_MS
from services.emulator import columns
from services.emulator.columns import Rows
from services.emulator.market import Market
from services.emulator.params import INTERVALS

_MONDAY = 4 * DAY_MS  # the epoch was a Thursday


class Candles(NamedTuple):
    """``opens`` and ``closes`` (n,) in ms (close = last ms); ``rows`` (n, WIDTH); ``minutes`` (n,) bars in each."""

    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    rows: Rows
    minutes: NDArray[np.int64]


def floor_open(ts_ms: int, interval: str) -> int:
    """Open of the candle that holds ``ts_ms``."""
    if interval == "1M":
        day = datetime.fromtimestamp(ts_ms / 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
    length = INTERVALS[interval]
    shift = _MONDAY if interval == "1w" else 0
    return (ts_ms - shift) // length * length + shift


def next_open(open_ms: int, interval: str) -> int:
    """Open of the candle after the one that opens at ``open_ms``."""
    if interval == "1M":
        return floor_open(open_ms + 32 * DAY_MS, interval)
    return open_ms + INTERVALS[interval]


def candles(
    market: Market, symbol: int, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
) -> Candles:
    """At most ``limit`` candles with ``start_ms <= open <= end_ms``, the running one included: from the start upward
    when ``start_ms`` is given, else the last ones."""
    spec = market.specs[symbol]
    last_open = floor_open(min(now_ms, end_ms if end_ms is not None else now_ms), interval)
    first_ms = max(market.source.start_ms, spec.onboard_ms)
    if start_ms is None:
        # candles exist only while the symbol trades: count back from the last of them
        last_open = min(last_open, floor_open(max(spec.delivery_ms - 1, first_ms), interval))
        first_open = last_open
        if interval == "1M":
            for _ in range(limit - 1):
                first_open = floor_open(first_open - 1, interval)
        else:
            first_open -= (limit - 1) * INTERVALS[interval]
        first_open = max(first_open, floor_open(first_ms, interval))
    else:
        first_open = floor_open(max(start_ms, first_ms), interval)
        if first_open < start_ms:
            first_open = next_open(first_open, interval)
        if interval != "1M":
            last_open = min(last_open, first_open + (limit - 1) * INTERVALS[interval])
    if last_open < first_open:
        nothing = np.empty(0, np.int64)
        return Candles(nothing, nothing, np.empty((0, columns.WIDTH), np.int64), nothing)
    numbers, rows = market.rows(
        symbol,
        first_open // MINUTE_MS,
        min(next_open(last_open, interval), now_ms // MINUTE_MS * MINUTE_MS) // MINUTE_MS,
    )
    if floor_open(now_ms, interval) == last_open:
        running = market.unfinished(symbol, now_ms)
        if running is not None:
            numbers = np.append(numbers, now_ms // MINUTE_MS)
            rows = np.concatenate([rows, running[None]])
    return _cut(group(numbers, rows, interval), limit, from_start=start_ms is not None)


def group(numbers: NDArray[np.int64], rows: Rows, interval: str) -> Candles:
    """Minutes (ascending) folded into candles; a candle without any minute does not exist."""
    opens = numbers * MINUTE_MS
    if interval == "1m":
        return Candles(opens, opens + (MINUTE_MS - 1), rows, np.ones(len(rows), np.int64))
    if len(rows) == 0:
        return Candles(opens, opens, rows, opens)
    if interval == "1M":
        buckets = np.array([floor_open(int(ts), interval) for ts in opens], np.int64)
    else:
        shift = _MONDAY if interval == "1w" else 0
        buckets = (opens - shift) // INTERVALS[interval] * INTERVALS[interval] + shift
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(buckets) > 0]))
    lasts = np.append(firsts[1:], len(rows)) - 1
    out = rows[lasts].copy()  # closes, premium, funding and open interest are those of the last minute
    for at in (columns.OPEN, columns.MARK, columns.INDEX):
        out[:, at] = rows[firsts, at]
        out[:, at + 1] = np.maximum.reduceat(rows[:, at + 1], firsts)
        out[:, at + 2] = np.minimum.reduceat(rows[:, at + 2], firsts)
    for at in (columns.VOLUME, columns.QUOTE_VOLUME, columns.TRADES, columns.TAKER_VOLUME, columns.TAKER_QUOTE):
        out[:, at] = np.add.reduceat(rows[:, at], firsts)
    starts = buckets[firsts]
    closes = np.array([next_open(int(ts), interval) - 1 for ts in starts], np.int64)
    return Candles(starts, closes, out, lasts - firsts + 1)


def _cut(found: Candles, limit: int, *, from_start: bool) -> Candles:
    keep = slice(None, limit) if from_start else slice(-limit, None)
    return Candles(found.opens[keep], found.closes[keep], found.rows[keep], found.minutes[keep])
