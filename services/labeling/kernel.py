"""The compiled triple-barrier scan (D14): both directions in one early-exit pass that skips quiet blocks.

Until a barrier of an open direction is touched, only the running high and low are kept. Near the entry bars are looked
at one by one, further out in blocks of ``BLOCK`` bars by their extremes, so that a window without a touch costs H / 16
steps and not H. Which way a bar was passed changes no bit of the result: extremes and comparisons are exact.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packages.common.jit import kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]

MINUTE: Final = 60_000
BLOCK: Final = 16

TP: Final = 1
SL: Final = -1
TIME: Final = 0

# Rows of the float columns of one direction, (N_COLUMNS, n).
RET_NET: Final = 0
MAE: Final = 1
MFE: Final = 2
RET_GROSS: Final = 3
FUNDING: Final = 4
N_COLUMNS: Final = 5

# What ``check`` can find.
FINE: Final = 0
TS_NOT_GROWING: Final = 1
BAD_HIGH: Final = 2
BAD_LOW: Final = 3
BAD_CLOSE: Final = 4
NO_RATE: Final = 5


@kernel
def check(ts: I64, high: F64, low: F64, close: F64, rate: F64, next_funding_ts: I64) -> tuple[int, int, int]:
    """(fault, row, settlements): times strictly grow, prices are finite and positive with low <= close <= high, and
    every settlement inside a bar has a finite rate."""
    settlements = 0
    for i in range(ts.size):
        if i > 0 and ts[i] <= ts[i - 1]:
            return TS_NOT_GROWING, i, 0
        if not (high[i] < math.inf and high[i] >= close[i]):
            return BAD_HIGH, i, 0
        if not (low[i] > 0.0 and low[i] <= close[i]):
            return BAD_LOW, i, 0
        if not (close[i] > 0.0 and close[i] < math.inf):
            return BAD_CLOSE, i, 0
        if ts[i] < next_funding_ts[i] <= ts[i] + MINUTE:
            if not math.isfinite(rate[i]):
                return NO_RATE, i, 0
            settlements += 1
    return FINE, -1, settlements


@kernel
def settlements_of(ts: I64, rate: F64, next_funding_ts: I64, count: int) -> tuple[I64, F64]:
    """Instants and rates of the ``count`` settlements inside the bars, in time order."""
    instants, rates = np.empty(count, dtype=np.int64), np.empty(count)
    found = 0
    for i in range(ts.size):
        if ts[i] < next_funding_ts[i] <= ts[i] + MINUTE:
            instants[found] = next_funding_ts[i]
            rates[found] = rate[i]
            found += 1
    return instants, rates


@kernel
def _extremes(high: F64, low: F64) -> tuple[F64, F64]:
    """Highest high and lowest low of every whole block."""
    blocks = high.size // BLOCK
    highs, lows = np.empty(blocks), np.empty(blocks)
    for b in range(blocks):
        top, bottom = high[b * BLOCK], low[b * BLOCK]
        for i in range(b * BLOCK + 1, (b + 1) * BLOCK):
            top = max(top, high[i])
            bottom = min(bottom, low[i])
        highs[b], lows[b] = top, bottom
    return highs, lows


@kernel
def _resolve(
    out: F64,
    y: I8,
    bars: I32,
    t: int,
    exit_bar: int,
    outcome: int,
    direction: float,
    entry: float,
    exit_price: float,
    adverse: float,
    favourable: float,
    costs: tuple[float, float],
    funding: float,
) -> None:
    gross = direction * (exit_price - entry) / entry
    out[RET_GROSS, t] = gross
    out[FUNDING, t] = funding
    out[RET_NET, t] = ((gross - costs[0]) - costs[1]) - funding
    out[MAE, t] = max(direction * (entry - adverse) / entry, 0.0)
    out[MFE, t] = max(direction * (favourable - entry) / entry, 0.0)
    y[t] = outcome
    bars[t] = exit_bar - t


@kernel
def scan(
    ts: I64,
    high: F64,
    low: F64,
    close: F64,
    mark: F64,
    atr: F64,
    atr_slip: F64,
    instants: I64,
    rates: F64,
    levels: tuple[float, float, float],
    costs: tuple[float, float],
    h_bars: int,
    wanted: tuple[bool, bool],
    labelled: NDArray[np.bool_],
    slippage: F64,
    out: F64,
    y: I8,
    bars: I32,
) -> None:
    """Label every bar (n,) long (index 0 of ``out``, ``y`` and ``bars``) and short (1), as ``wanted``.

    ``levels`` are k_tp, the effective k_sl and stop_overshoot; ``costs`` are 2 · fee_rate and 2 · slippage_k. Written
    per row: ``labelled``, ``slippage``, and per wanted direction the float columns ``out`` (2, N_COLUMNS, n), ``y``
    (2, n), and ``bars`` (2, n) to the exit. Rows without a label get False, NaN and 0.
    """
    long_out, long_y, long_bars = out[0], y[0], bars[0]
    short_out, short_y, short_bars = out[1], y[1], bars[1]
    n = ts.size
    k_tp, k_sl, overshoot = levels
    fees, slippage_twice = costs
    highs, lows = _extremes(high, low)
    first_rate = 0
    one, two, size = np.uintp(1), np.uintp(2), np.uintp(BLOCK)
    for t in range(n):
        entry, spread = mark[t], atr[t]
        usable = entry > 0.0 and entry < math.inf and spread > 0.0 and spread < math.inf and atr_slip[t] > 0.0
        if not usable or atr_slip[t] == math.inf or t + h_bars >= n:
            labelled[t] = False
            slippage[t] = math.nan
            for column in range(N_COLUMNS):
                if wanted[0]:
                    long_out[column, t] = math.nan
                if wanted[1]:
                    short_out[column, t] = math.nan
            long_y[t] = short_y[t] = 0
            long_bars[t] = short_bars[t] = 0
            continue
        labelled[t] = True
        cost = slippage_twice * atr_slip[t] / entry
        slippage[t] = cost
        while first_rate < instants.size and instants[first_rate] <= ts[t] + MINUTE:
            first_rate += 1

        long_tp, long_sl = entry + k_tp * spread, entry - k_sl * spread
        short_tp, short_sl = entry - k_tp * spread, entry + k_sl * spread
        long_open, short_open = wanted
        upper, lower = math.inf, -math.inf
        if long_open:
            upper, lower = long_tp, long_sl
        if short_open:
            upper, lower = min(upper, short_sl), max(lower, short_tp)
        last = np.uintp(t + h_bars)  # unsigned indices spare the test for negative ones on every access
        j = np.uintp(t + 1)
        top, bottom = -math.inf, math.inf
        while long_open or short_open:
            # The next bar at or after j that touches an open barrier; last + 1 when there is none.
            edge = min((j // size + two) * size, last + one)
            touched = False
            while True:
                while j < edge:
                    top = max(top, high[j])
                    bottom = min(bottom, low[j])
                    if high[j] >= upper or low[j] <= lower:
                        touched = True
                        break
                    j += one
                if touched or j > last:
                    break
                block = j // size  # j stands on a block's first bar
                while j + size <= last + one and highs[block] < upper and lows[block] > lower:
                    top = max(top, highs[block])
                    bottom = min(bottom, lows[block])
                    block += one
                    j += size
                edge = min(j + size, last + one)
            exit_bar = int(min(j, last))
            if long_open:
                outcome, price = TIME, close[last]
                if touched and low[j] <= long_sl:
                    outcome, price = SL, long_sl - overshoot * (long_sl - low[j])
                elif touched and high[j] >= long_tp:
                    outcome, price = TP, long_tp
                if outcome != TIME or not touched:
                    paid = _funding(instants, rates, first_rate, ts[exit_bar] + MINUTE, outcome == TIME)
                    _resolve(
                        long_out,
                        long_y,
                        long_bars,
                        t,
                        exit_bar,
                        outcome,
                        1.0,
                        entry,
                        price,
                        bottom,
                        top,
                        (fees, cost),
                        paid,
                    )
                    long_open = False
            if short_open:
                outcome, price = TIME, close[last]
                if touched and high[j] >= short_sl:
                    outcome, price = SL, short_sl + overshoot * (high[j] - short_sl)
                elif touched and low[j] <= short_tp:
                    outcome, price = TP, short_tp
                if outcome != TIME or not touched:
                    paid = 0.0 - _funding(instants, rates, first_rate, ts[exit_bar] + MINUTE, outcome == TIME)
                    _resolve(
                        short_out,
                        short_y,
                        short_bars,
                        t,
                        exit_bar,
                        outcome,
                        -1.0,
                        entry,
                        price,
                        top,
                        bottom,
                        (fees, cost),
                        paid,
                    )
                    short_open = False
            upper = long_tp if long_open else short_sl
            lower = long_sl if long_open else short_tp
            j += one


@kernel
def _funding(instants: I64, rates: F64, first: int, close_ts: int, held_to_close: bool) -> float:
    """Sum of the rates from ``first`` on, settled before the exit bar's close, or at it when held to the close."""
    total = 0.0
    i = first
    while i < instants.size and (instants[i] < close_ts or (held_to_close and instants[i] == close_ts)):
        total += rates[i]
        i += 1
    return total


def warm() -> None:
    """Compile everything (or load it from the cache)."""
    ts = MINUTE * np.arange(1, 4, dtype=np.int64)
    one = np.ones(3)
    check(ts, one, one, one, one, ts + MINUTE)
    instants, rates = settlements_of(ts, one, ts + MINUTE, 3)
    labelled, slippage = np.empty(3, dtype=np.bool_), np.empty(3)
    out, y, bars = np.empty((2, N_COLUMNS, 3)), np.empty((2, 3), dtype=np.int8), np.empty((2, 3), dtype=np.int32)
    scan(
        *(ts, one, one, one, one, one, one, instants, rates, (1.0, 1.0, 0.0), (0.0, 0.0), 1, (True, True)),
        *(labelled, slippage, out, y, bars),
    )
