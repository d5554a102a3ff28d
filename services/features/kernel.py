"""The one feature computation: a compiled step that folds a closed bar into a symbol's state (D12, features.md).

Offline folds it over arrays (``fold``), online calls it once a minute for all symbols (``step_many``). A symbol's
state is one flat float64 vector of ``STATE_SIZE``, the market's (BTCUSDT's shared features) one of ``MARKET_SIZE``; a
vector of zeros is the state before the first bar. Recursive averages follow TA-Lib's conventions.

A bar is folded as a run of one, history in runs of up to ``RUN`` bars. Within a run the stages follow one another, each
a loop over the run's bars: what waits for the bar before keeps its averages in registers, what does not (windows,
returns, distances) works on several bars at once. A run's length therefore decides speed and never a bit: each bar's
value comes from the same operations in the same order.

A window's sums are taken anew on every bar, in time order, from the values of the window and nothing else, so they
carry no rounding history and do not depend on where the fold began. All windows being multiples of ten bars long, they
are taken in two levels: every bar sums up the last ten values once (a *tile*), a window adds its tiles; 22 terms
instead of 120.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.jit import inlined, kernel
from services.features import schema

F64 = NDArray[np.float64]

# --- one closed bar, known at ts + 60 s ------------------------------------------------------------------------------

BAR_TS: Final = 0  # open time, epoch milliseconds (exact in float64)
BAR_OPEN: Final = 1  # last price, quote units
BAR_HIGH: Final = 2
BAR_LOW: Final = 3
BAR_CLOSE: Final = 4
BAR_QUOTE_VOLUME: Final = 5
BAR_MARK_OPEN: Final = 6  # mark price
BAR_MARK_HIGH: Final = 7
BAR_MARK_LOW: Final = 8
BAR_MARK_CLOSE: Final = 9
BAR_INDEX_CLOSE: Final = 10  # NaN when unknown
BAR_SETTLED_RATE: Final = 11  # last rate settled in (close of the previous bar, close of this bar]; NaN when none
BAR_SIZE: Final = 12
BAR_FIELDS: Final = (
    *("ts_ms", "open", "high", "low", "close", "quote_volume"),
    *("mark_open", "mark_high", "mark_low", "mark_close", "index_close", "settled_rate"),
)
_PRICE: Final = "a finite price > 0 with low <= close <= high"
BAR_EXPECTED: Final = (
    *("a minute in epoch milliseconds", _PRICE, _PRICE, _PRICE, _PRICE, "a finite volume >= 0"),
    *(_PRICE, _PRICE, _PRICE, _PRICE, "a finite price > 0, or NaN", "a finite rate, or NaN"),
)

# --- what a step answers ---------------------------------------------------------------------------------------------

ADVANCED: Final = 1
ABSENT: Final = 0
NOT_NEWER: Final = -1  # a bar already folded in, or older: state and row untouched
REFUSED: Final = -2  # a malformed bar, or one of another minute: state and row untouched

# --- parameters of schema v1 -----------------------------------------------------------------------------------------

MINUTE: Final = 60_000.0
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
TS_END: Final = 2.0**53  # times are whole numbers below it
GAP_BARS_MAX: Final = 60  # missing bars after which the state starts again
LONGEST_STEP: Final = (GAP_BARS_MAX + 1) * MINUTE
N_WILDER: Final = 14
N_EMA: Final = 60
N_FAST: Final = 12
N_SLOW: Final = 26
N_SIGNAL: Final = 9
FIRST_HIST: Final = N_SLOW + N_SIGNAL - 2  # bars before the first value of the histogram
TILE: Final = 10
N_BB: Final = 20
N_HIST: Final = 120
N_VOL: Final = 60
N_FUNDING: Final = 90
FUNDING_MIN: Final = 10
N_BTC: Final = 60
N_REGIME: Final = 1440
REGIME_ALPHA: Final = 1.0 - 0.5 ** (1.0 / N_REGIME)
CALM_BELOW: Final = -0.5
WILD_ABOVE: Final = 1.5
RUN: Final = 256  # bars folded at a time: their columns stay in the nearest caches
NO_DEVIATION: Final = 1e-12  # relative to the largest magnitude of the window
NOTHING: Final = 1e-290  # a Wilder average that has decayed below this never moved: stops short of denormal arithmetic

# --- a symbol's state ------------------------------------------------------------------------------------------------

LAST_TS: Final = 0  # of the last bar folded in
ORIGIN_TS: Final = 1  # of the first bar since the state began; 0 with BARS = 0
BARS: Final = 2  # folded in since the origin
MARK_HIGH: Final = 3  # of the last bar
MARK_LOW: Final = 4
MARK_CLOSE: Final = 5
TR_MEAN: Final = 6  # Wilder average; the sum until it is seeded (so for every average here)
DM_PLUS: Final = 7  # Wilder sums of TA-Lib's ADX
DM_MINUS: Final = 8
TR_SUM: Final = 9
DX_MEAN: Final = 10
GAIN: Final = 11
LOSS: Final = 12
EMA_MARK: Final = 13
EMA_FAST: Final = 14
EMA_SLOW: Final = 15
EMA_SIGNAL: Final = 16
HOUR_START: Final = 17
HOUR_BARS: Final = 18
HOUR_HIGH: Final = 19
HOUR_LOW: Final = 20
HOURS: Final = 21  # complete ones
HOUR_CLOSE: Final = 22  # of the last complete one
HOUR_TR_MEAN: Final = 23
FUNDING: Final = 24
FUNDING_DEV: Final = 25  # its z
SETTLEMENTS: Final = 26
CLOSES: Final = 27  # the last ones, oldest first (as every history here)
N_CLOSES: Final = 15  # ret_15 looks furthest back


def _history(size: int) -> int:
    """Slots of what a window of ``size`` values keeps: nine values, then means and squared distances of its tiles."""
    return TILE - 1 + 2 * (size - TILE)


HISTORY_BB: Final = CLOSES + N_CLOSES
HISTORY_HIST: Final = HISTORY_BB + _history(N_BB)
HISTORY_VOL: Final = HISTORY_HIST + _history(N_HIST)
RING_FUNDING: Final = HISTORY_VOL + _history(N_VOL)
STATE_SIZE: Final = RING_FUNDING + 2 * N_FUNDING

# --- the market's state ----------------------------------------------------------------------------------------------

# LAST_TS, ORIGIN_TS and BARS stand in the same places.
LOG_VOL_MEAN: Final = 3
LOG_VOL_VAR: Final = 4
LOG_VOLS: Final = 5
REGIME: Final = 6  # last value; NaN is kept out of the state by LOG_VOLS
BTC_CLOSES: Final = 7
HISTORY_LOG_RET: Final = BTC_CLOSES + N_BTC
MARKET_SIZE: Final = HISTORY_LOG_RET + _history(N_BTC)

BTC_SIZE: Final = 3  # btc_ret_60, btc_vol_60, btc_regime


# --- what a run works with: columns of the run's bars, and histories with the run behind them -------------------------

_HIST: Final = schema.N_FEATURES  # rows of ``work`` (WORK_ROWS, run) after the features' own
_LOG_VOLUME: Final = _HIST + 1
_MEAN: Final = _HIST + 2
_DEVIATION: Final = _HIST + 3
WORK_ROWS: Final = _HIST + 4
_VALUES: Final = 0  # rows of ``past`` (PAST_ROWS, N_HIST + run)
_MEANS: Final = 1
_SQUARES: Final = 2
_CLOSES: Final = 3
PAST_ROWS: Final = 4


def _window(size: int) -> Callable[[F64, int, F64, F64, F64, F64], None]:
    """Make the compiled window of ``size`` values, an even number of tiles; made per size so that the compiler knows
    it."""
    behind, half = size - TILE, size // TILE // 2
    means_at, squares_at = TILE - 1, TILE - 1 + behind
    per_value, per_tile, per_window = 1.0 / TILE, 1.0 / (2 * half), 1.0 / size  # a bar waits for each division in turn

    @inlined
    def window(history: F64, count: int, values: F64, past: F64, mean: F64, deviation: F64) -> None:
        """Mean and population deviation (n,) of the last values at each of ``values`` (n,); NaN until full.

        ``count`` values came in before; ``history`` is what the window keeps of them, and is left after the last of
        ``values``. Distances are taken from the oldest value, so equal values give a deviation of exactly 0.
        """
        n = values.shape[0]
        recent = past[_VALUES, : TILE - 1 + n]
        means, squares = past[_MEANS, : behind + n], past[_SQUARES, : behind + n]
        _copy(recent, 0, history, 0, means_at)
        _copy(recent, TILE - 1, values, 0, n)
        _copy(means, 0, history, means_at, behind)
        _copy(squares, 0, history, squares_at, behind)
        for i in range(n):
            first = recent[i]
            x_1, x_2, x_3 = recent[i + 1] - first, recent[i + 2] - first, recent[i + 3] - first
            x_4, x_5, x_6 = recent[i + 4] - first, recent[i + 5] - first, recent[i + 6] - first
            x_7, x_8, x_9 = recent[i + 7] - first, recent[i + 8] - first, recent[i + 9] - first
            total = ((x_1 + x_2) + (x_3 + x_4)) + ((x_5 + x_6) + (x_7 + x_8)) + x_9
            square = ((x_1 * x_1 + x_2 * x_2) + (x_3 * x_3 + x_4 * x_4)) + (
                ((x_5 * x_5 + x_6 * x_6) + (x_7 * x_7 + x_8 * x_8)) + x_9 * x_9
            )
            away = total * per_value
            means[behind + i] = away + first
            squares[behind + i] = max(square - total * away, 0.0)
        _copy(history, 0, recent, n, means_at)
        _copy(history, means_at, means, n, behind)
        _copy(history, squares_at, squares, n, behind)
        for i in range(n):
            first = means[i]
            sum_0 = square_0 = within_0 = sum_1 = square_1 = within_1 = 0.0
            for j in range(half):
                x_0, x_1 = means[i + TILE * j] - first, means[i + TILE * (half + j)] - first
                sum_0 += x_0
                sum_1 += x_1
                square_0 += x_0 * x_0
                square_1 += x_1 * x_1
                within_0 += squares[i + TILE * j]
                within_1 += squares[i + TILE * (half + j)]
            total = sum_0 + sum_1
            away = total * per_tile
            between = max((square_0 + square_1) - total * away, 0.0)
            mean[i] = first + away
            deviation[i] = math.sqrt(between * per_tile + (within_0 + within_1) * per_window)
        _blank(mean, size - 1 - count)
        _blank(deviation, size - 1 - count)

    return window


@inlined
def _copy(to: F64, at: int, values: F64, first: int, n: int) -> None:
    """``n`` values from ``first`` on; a plain loop, which compiles to better code than an assignment of slices."""
    target, source = to[at : at + n], values[first : first + n]
    for i in range(n):
        target[i] = source[i]


@inlined
def _blank(column: F64, n: int) -> None:
    """NaN in the first ``n`` rows, of which there may be fewer; nothing when ``n`` is negative."""
    for i in range(min(n, column.shape[0])):
        column[i] = math.nan


_window_bb = _window(N_BB)
_window_hist = _window(N_HIST)
_window_60 = _window(N_VOL)  # volume, and BTC's log returns


@kernel
def _spread(values: F64, start: int, n: int) -> tuple[float, float]:
    """Mean and population deviation of ``values[start:start + n]`` in two passes; for windows of any length."""
    first, total, squares = values[start], 0.0, 0.0
    for i in range(start, start + n):
        total += values[i] - first
    mean = total / n
    for i in range(start, start + n):
        squares += (values[i] - first - mean) ** 2
    return first + mean, math.sqrt(squares / n)


@inlined
def _z(value: float, mean: float, deviation: float) -> float:
    """Distance in deviations; 0 where the deviation is no more than rounding, NaN where it is NaN.

    The limit is 1e-12 of the window's largest magnitude; where it could bind, that equals the mean's to 1e-10.
    """
    return 0.0 if deviation <= NO_DEVIATION * abs(mean) else (value - mean) / deviation


@inlined
def _z_column(out: F64, values: F64, mean: F64, deviation: F64) -> None:
    for i in range(values.shape[0]):
        out[i] = _z(values[i], mean[i], deviation[i])


@inlined
def _seeded(mean: float, count: int, n: int, value: float) -> float:
    """Sum the first ``n`` values, then their mean; ``count`` values are already in (< n)."""
    return (mean + value) / n if count == n - 1 else mean + value


@inlined
def _ema(mean: float, count: int, n: int, value: float) -> float:
    """EMA with alpha 2 / (n + 1) after ``count`` values and this one; it is one from ``count`` = n - 1 on."""
    return mean + (value - mean) * (2.0 / (n + 1)) if count >= n else _seeded(mean, count, n, value)


@inlined
def _wilder(mean: float, count: int, value: float) -> float:
    """Wilder average of 14 after ``count`` values and this one; it is one from ``count`` = 13 on."""
    if count < N_WILDER:
        return _seeded(mean, count, N_WILDER, value)
    mean = (mean * (N_WILDER - 1) + value) / N_WILDER
    return mean if mean > NOTHING else 0.0


@inlined
def _true_range(high: float, low: float, previous_close: float) -> float:
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


# --- stages of a run -------------------------------------------------------------------------------------------------


@inlined
def _mark(state: F64, before: int, bars: F64, atr: F64, ema_dist: F64, adx: F64) -> None:
    """ATR, ADX and distance from the EMA of the mark; ``before`` bars came before the run."""
    last_high, last_low, last_close = state[MARK_HIGH], state[MARK_LOW], state[MARK_CLOSE]
    tr_mean, tr_sum, dm_plus, dm_minus = state[TR_MEAN], state[TR_SUM], state[DM_PLUS], state[DM_MINUS]
    dx_mean, ema = state[DX_MEAN], state[EMA_MARK]
    for i in range(bars.shape[0]):
        count = before + i
        high, low, close = bars[i, BAR_MARK_HIGH], bars[i, BAR_MARK_LOW], bars[i, BAR_MARK_CLOSE]
        if count > 0:
            true_range = _true_range(high, low, last_close)
            tr_mean = _wilder(tr_mean, count - 1, true_range)
            up, down = high - last_high, last_low - low
            plus = up if up > 0.0 and up > down else 0.0
            minus = down if down > 0.0 and down > up else 0.0
            if count < N_WILDER:  # 13 plain values
                dm_plus += plus
                dm_minus += minus
                tr_sum += true_range
            else:
                dm_plus = dm_plus - dm_plus / N_WILDER + plus
                dm_minus = dm_minus - dm_minus / N_WILDER + minus
                tr_sum = tr_sum - tr_sum / N_WILDER + true_range
                directed = dm_plus + dm_minus
                dx = 0.0
                if directed > NOTHING and tr_sum > NOTHING:
                    dx = 100.0 * (abs(dm_plus - dm_minus) / directed)
                dx_mean = _wilder(dx_mean, count - N_WILDER, dx)
        ema = _ema(ema, count, N_EMA, close)
        last_high, last_low, last_close = high, low, close
        atr[i] = tr_mean
        ema_dist[i] = (close - ema) / tr_mean if tr_mean > 0.0 else math.nan
        adx[i] = dx_mean
    _blank(atr, N_WILDER - before)
    _blank(ema_dist, N_EMA - 1 - before)
    _blank(adx, 2 * N_WILDER - 1 - before)
    state[MARK_HIGH], state[MARK_LOW], state[MARK_CLOSE] = last_high, last_low, last_close
    state[TR_MEAN], state[TR_SUM], state[DM_PLUS], state[DM_MINUS] = tr_mean, tr_sum, dm_plus, dm_minus
    state[DX_MEAN], state[EMA_MARK] = dx_mean, ema


@inlined
def _hours(state: F64, bars: F64, atr_60: F64) -> None:
    """ATR of clock-aligned 60m bars of the mark. An hour with a missing minute is as if it had not been."""
    start, minutes, high, low = state[HOUR_START], state[HOUR_BARS], state[HOUR_HIGH], state[HOUR_LOW]
    hours, last_close, tr_mean = state[HOURS], state[HOUR_CLOSE], state[HOUR_TR_MEAN]
    for i in range(bars.shape[0]):
        mark_high, mark_low = bars[i, BAR_MARK_HIGH], bars[i, BAR_MARK_LOW]
        ts = np.uint64(bars[i, BAR_TS])  # whole numbers divide in a fifth of the time
        hour = float(ts // np.uint64(HOUR_MS) * np.uint64(HOUR_MS))
        if hour != start or minutes == 0.0:
            start, minutes, high, low = hour, 0.0, mark_high, mark_low
        minutes += 1.0
        high, low = max(high, mark_high), min(low, mark_low)
        if minutes == 60.0:
            if hours > 0.0:
                tr_mean = _wilder(tr_mean, int(hours) - 1, _true_range(high, low, last_close))
            hours += 1.0
            last_close = bars[i, BAR_MARK_CLOSE]
            minutes = 0.0  # nothing of this hour can follow
        atr_60[i] = tr_mean if hours > N_WILDER else math.nan
    state[HOUR_START], state[HOUR_BARS], state[HOUR_HIGH], state[HOUR_LOW] = start, minutes, high, low
    state[HOURS], state[HOUR_CLOSE], state[HOUR_TR_MEAN] = hours, last_close, tr_mean


@inlined
def _last_price(state: F64, before: int, closes: F64, rsi: F64, hist: F64) -> None:
    """RSI and the MACD's histogram; ``closes`` (N_CLOSES + n,) ends with the run's."""
    gain, loss = state[GAIN], state[LOSS]
    fast, slow, signal = state[EMA_FAST], state[EMA_SLOW], state[EMA_SIGNAL]
    for i in range(rsi.shape[0]):
        count = before + i
        close = closes[N_CLOSES + i]
        if count > 0:
            change = close - closes[N_CLOSES - 1 + i]
            gain = _wilder(gain, count - 1, max(change, 0.0))
            loss = _wilder(loss, count - 1, max(-change, 0.0))
        moved = gain + loss
        rsi[i] = 100.0 * (gain / moved) if moved > 0.0 else 50.0
        fast = _ema(fast, count, N_FAST, close)
        slow = _ema(slow, count, N_SLOW, close)
        macd = fast - slow
        if count >= N_SLOW - 1:
            signal = _ema(signal, count - (N_SLOW - 1), N_SIGNAL, macd)
        hist[i] = macd - signal  # one from the FIRST_HIST-th bar on
    _blank(rsi, N_WILDER - before)
    state[GAIN], state[LOSS] = gain, loss
    state[EMA_FAST], state[EMA_SLOW], state[EMA_SIGNAL] = fast, slow, signal


@inlined
def _return(closes: F64, kept: int, ago: int, before: int, out: F64) -> None:
    """Simple return over ``ago`` bars; ``closes`` (kept + n,) ends with the run's."""
    now, then = closes[kept:], closes[kept - ago :]
    for i in range(out.shape[0]):
        out[i] = now[i] / then[i] - 1.0
    _blank(out, ago - before)


@kernel
def _settle(state: F64, rate: float) -> None:
    count = int(state[SETTLEMENTS])
    now = RING_FUNDING + count % N_FUNDING  # a ring written twice: its last values always lie in a row
    state[now] = rate
    now += N_FUNDING
    state[now] = rate
    window = min(count + 1, N_FUNDING)
    mean, deviation = _spread(state, now - window + 1, window)
    state[FUNDING] = rate
    state[SETTLEMENTS] += 1.0
    state[FUNDING_DEV] = _z(rate, mean, deviation) if window >= FUNDING_MIN else math.nan


@inlined
def _funding(state: F64, bars: F64, rate: F64, z: F64) -> None:
    now = now_z = math.nan
    if state[SETTLEMENTS] > 0.0:
        now, now_z = state[FUNDING], state[FUNDING_DEV]
    for i in range(bars.shape[0]):
        if not math.isnan(bars[i, BAR_SETTLED_RATE]):
            _settle(state, bars[i, BAR_SETTLED_RATE])
            now, now_z = state[FUNDING], state[FUNDING_DEV]
        rate[i], z[i] = now, now_z


@inlined
def _run(state: F64, bars: F64, btc: F64, out: F64, work: F64, past: F64) -> None:
    """Fold well-formed closed bars (n, BAR_SIZE) into a symbol's state, in place, and write their feature rows.

    The bars follow what the state holds without a long gap. ``btc`` (n, 3) are the market's features of the same
    minutes, ``out`` (n, 17) in the order of ``schema.KEYS``, NaN where not yet valid or undefined (a mark that never
    moved has no ``ema_dist_atr``). ``work`` (WORK_ROWS, >= n) and ``past`` (PAST_ROWS, >= N_HIST + n) are scratch.
    """
    n = bars.shape[0]
    before = int(state[BARS])
    mean, deviation = work[_MEAN, :n], work[_DEVIATION, :n]
    closes, log_volume = past[_CLOSES, : N_CLOSES + n], work[_LOG_VOLUME, :n]
    _copy(closes, 0, state, CLOSES, N_CLOSES)
    basis = work[schema.BASIS]
    for i in range(n):
        close, index_close = bars[i, BAR_CLOSE], bars[i, BAR_INDEX_CLOSE]
        closes[N_CLOSES + i] = close
        basis[i] = (close - index_close) / index_close
        log_volume[i] = math.log(1.0 + bars[i, BAR_QUOTE_VOLUME])
    _copy(state, CLOSES, closes, n, N_CLOSES)
    _mark(state, before, bars, work[schema.ATR, :n], work[schema.EMA_DIST_ATR, :n], work[schema.ADX, :n])
    _hours(state, bars, work[schema.ATR_60, :n])
    _last_price(state, before, closes, work[schema.RSI, :n], work[_HIST, :n])
    _funding(state, bars, work[schema.FUNDING_RATE, :n], work[schema.FUNDING_Z, :n])
    _return(closes, N_CLOSES, 1, before, work[schema.RET_1, :n])
    _return(closes, N_CLOSES, 5, before, work[schema.RET_5, :n])
    _return(closes, N_CLOSES, 15, before, work[schema.RET_15, :n])
    _window_bb(state[HISTORY_BB:HISTORY_HIST], before, closes[N_CLOSES:], past, mean, deviation)
    _z_column(work[schema.BB_Z], closes[N_CLOSES:], mean, deviation)
    _window_60(state[HISTORY_VOL:RING_FUNDING], before, log_volume, past, mean, deviation)
    _z_column(work[schema.VOL_Z], log_volume, mean, deviation)
    _blank(work[schema.MACD_Z, :n], FIRST_HIST - before)
    begun = min(max(FIRST_HIST - before, 0), n)
    hist = work[_HIST, begun:n]
    _window_hist(state[HISTORY_HIST:HISTORY_VOL], before + begun - FIRST_HIST, hist, past, mean, deviation)
    _z_column(work[schema.MACD_Z, begun:n], hist, mean, deviation)
    for i in range(n):
        for j in range(schema.BTC_RET_60):
            out[i, j] = work[j, i]
        for j in range(BTC_SIZE):
            out[i, schema.BTC_RET_60 + j] = btc[i, j]
    state[BARS] += n
    state[LAST_TS] = bars[n - 1, BAR_TS]


@inlined
def _begin(state: F64, ts: float) -> bool:
    """Make a state ready for a bar, starting again after a long gap; False when the bar is not newer than the state."""
    if state[BARS] > 0.0:
        if ts <= state[LAST_TS]:
            return False
        if ts - state[LAST_TS] > LONGEST_STEP:
            state[:] = 0.0
    if state[BARS] == 0.0:
        state[ORIGIN_TS] = ts
    return True


@inlined
def _follows(ts: float, previous_ts: float) -> bool:
    """Whether a bar belongs to the run of the bar before."""
    return 0.0 < ts - previous_ts <= LONGEST_STEP


@inlined
def _btc_run(market: F64, ts: float, close: F64, out: F64, work: F64, past: F64) -> None:
    """Fold BTCUSDT's closes (n,), the last of them at ``ts``, into the market's state; ``out`` (n, 3)."""
    n = close.shape[0]
    before = int(market[BARS])
    closes, log_ret, mean, deviation = past[_CLOSES, : N_BTC + n], work[0, :n], work[1, :n], work[2, :n]
    _copy(closes, 0, market, BTC_CLOSES, N_BTC)
    _copy(closes, N_BTC, close, 0, n)
    _copy(market, BTC_CLOSES, closes, n, N_BTC)
    _return(closes, N_BTC, N_BTC, before, work[3, :n])
    begun = 1 if before == 0 else 0  # the first bar has no return
    for i in range(begun, n):
        log_ret[i] = math.log(closes[N_BTC + i] / closes[N_BTC - 1 + i])
    _window_60(
        market[HISTORY_LOG_RET:MARKET_SIZE], before + begun - 1, log_ret[begun:], past, mean[begun:], deviation[begun:]
    )
    _blank(deviation, N_BTC - before)
    for i in range(n):
        out[i, 0] = work[3, i]
        out[i, 1] = deviation[i]
    _regime(market, deviation, mean, out)
    market[BARS] += n
    market[LAST_TS] = ts


@inlined
def _regime(market: F64, volatility: F64, logs: F64, out: F64) -> None:
    """Fold volatilities (n,) into their logarithm's exponentially weighted mean and variance; 0 changes nothing, nor
    does NaN. ``logs`` (n,) is scratch."""
    mean, variance, count, regime = market[LOG_VOL_MEAN], market[LOG_VOL_VAR], market[LOG_VOLS], market[REGIME]
    for i in range(volatility.shape[0]):
        logs[i] = math.log(volatility[i])
    for i in range(volatility.shape[0]):
        if volatility[i] > 0.0:
            v = logs[i]
            if count == 0.0:
                mean, variance = v, 0.0
            else:
                delta = v - mean
                mean += REGIME_ALPHA * delta
                variance = (1.0 - REGIME_ALPHA) * (variance + REGIME_ALPHA * delta * delta)
            count += 1.0
            deviation = math.sqrt(variance)
            away = v - mean if deviation > NO_DEVIATION * max(abs(v), abs(mean)) else 0.0
            regime = 0.0 if away < CALM_BELOW * deviation else (2.0 if away > WILD_ABOVE * deviation else 1.0)
        out[i, 2] = regime if count >= N_REGIME else math.nan
    market[LOG_VOL_MEAN], market[LOG_VOL_VAR], market[LOG_VOLS], market[REGIME] = mean, variance, count, regime


# --- folds -----------------------------------------------------------------------------------------------------------


def fold(bars: F64, btc_features: F64, state: F64) -> F64:
    """Fold bars ``(n, BAR_SIZE)`` in time order; ``btc_features`` (n, 3) of the same minutes.

    Returns features ``(n, 17)``, NaN where not yet valid or undefined (a mark that never moved has no
    ``ema_dist_atr``), and leaves ``state`` (STATE_SIZE,) after the last bar. A gap of up to 60 missing bars keeps the
    state, a longer one starts it again. A bar that is not newer gives a NaN row. Raises InvalidInputError naming row
    and field of the first malformed bar (``bar_fault``); ``state`` is worth nothing then.
    """
    # numpy asks for huge pages, the kernels' own allocator does not: that is a quarter of a year's fold in page faults
    out = np.empty((bars.shape[0], schema.N_FEATURES))
    row = _fold(bars, btc_features, state, out)
    if row >= 0:
        field = bar_fault(bars[row])
        raise InvalidInputError(f"bars[{row}].{BAR_FIELDS[field]}", float(bars[row, field]), BAR_EXPECTED[field])
    return out


@kernel
def _fold(bars: F64, btc_features: F64, state: F64, out: F64) -> int:
    n, work, past = bars.shape[0], np.empty((WORK_ROWS, RUN)), np.empty((PAST_ROWS, N_HIST + RUN))
    start = 0
    while start < n:
        if bar_fault(bars[start]) >= 0:
            return start
        stop = start + 1
        if not _begin(state, bars[start, BAR_TS]):
            out[start] = math.nan
        else:
            last = min(n, start + RUN)
            while stop < last and _follows(bars[stop, BAR_TS], bars[stop - 1, BAR_TS]) and bar_fault(bars[stop]) < 0:
                stop += 1
            _run(state, bars[start:stop], btc_features[start:stop], out[start:stop], work, past)
        start = stop
    return -1


def btc_fold(ts: F64, close: F64, market: F64) -> F64:
    """``btc_step`` over BTCUSDT's bars in time order: features ``(n, 3)``; ``market`` is left after the last bar."""
    out = np.empty((ts.shape[0], BTC_SIZE))
    _btc_fold(ts, close, market, out)
    return out


@kernel
def _btc_fold(ts: F64, close: F64, market: F64, out: F64) -> None:
    n, work, past = ts.shape[0], np.empty((WORK_ROWS, RUN)), np.empty((PAST_ROWS, N_HIST + RUN))
    start = 0
    while start < n:
        stop = start + 1
        if not _is_price(close[start]) or not _begin(market, ts[start]):
            out[start] = math.nan
        else:
            last = min(n, start + RUN)
            while stop < last and _follows(ts[stop], ts[stop - 1]) and _is_price(close[stop]):
                stop += 1
            _btc_run(market, ts[stop - 1], close[start:stop], out[start:stop], work, past)
        start = stop


@inlined
def _is_price(value: float) -> bool:
    return (value > 0.0) & (value < math.inf)


@kernel
def btc_step(market: F64, ts: float, close: float, out: F64) -> int:
    """Fold BTCUSDT's closed bar into the market's state; ``out`` (3,) gets btc_ret_60, btc_vol_60, btc_regime.

    ``market`` (MARKET_SIZE,) is changed in place. A NaN close is a missing bar: the state stays and the row is NaN, so
    that every symbol's minute without BTC's bar is FEATURE_NAN. Returns a step code; NaN row unless ADVANCED.
    """
    out[:] = math.nan
    if math.isnan(close):
        return ABSENT
    if not _is_price(close):
        return REFUSED
    if not _begin(market, ts):
        return NOT_NEWER
    work, past = np.empty((WORK_ROWS, 1)), np.empty((PAST_ROWS, N_HIST + 1))
    _btc_run(market, ts, np.full(1, close), out.reshape(1, BTC_SIZE), work, past)
    return ADVANCED


@inlined
def bar_fault(bar: F64) -> int:
    """Field index of what is malformed in a bar ``(BAR_SIZE,)``, or -1.

    Prices must be finite and positive with low <= close <= high, the volume finite and not negative, the time a minute;
    the index close may be NaN, the settled rate NaN or finite.
    """
    ts, index_close = bar[BAR_TS], bar[BAR_INDEX_CLOSE]
    fine = (ts > 0.0) & (ts < TS_END) & (bar[BAR_QUOTE_VOLUME] >= 0.0) & (bar[BAR_QUOTE_VOLUME] < math.inf)
    fine &= (not index_close <= 0.0) & (index_close != math.inf) & (abs(bar[BAR_SETTLED_RATE]) != math.inf)
    for first in (BAR_OPEN, BAR_MARK_OPEN):
        price, high, low, close = bar[first], bar[first + 1], bar[first + 2], bar[first + 3]
        fine &= (price > 0.0) & (price < math.inf) & (low > 0.0) & (low <= close) & (close <= high) & (high < math.inf)
    if fine and np.uint64(ts) % np.uint64(MINUTE_MS) == 0 and float(np.uint64(ts)) == ts:
        return -1  # told without a branch; what is wrong is looked for only when something is
    return _fault_of(bar)


@kernel
def _fault_of(bar: F64) -> int:
    ts = bar[BAR_TS]
    if not (ts > 0.0 and ts < TS_END) or np.uint64(ts) % np.uint64(MINUTE_MS) != 0 or float(np.uint64(ts)) != ts:
        return BAR_TS
    for first in (BAR_OPEN, BAR_MARK_OPEN):
        for field in range(first, first + 4):
            if not (bar[field] > 0.0 and bar[field] < math.inf):
                return field
        if bar[first + 1] < bar[first + 3]:
            return first + 1
        if bar[first + 2] > bar[first + 3]:
            return first + 2
    if not (bar[BAR_QUOTE_VOLUME] >= 0.0 and bar[BAR_QUOTE_VOLUME] < math.inf):
        return BAR_QUOTE_VOLUME
    if bar[BAR_INDEX_CLOSE] <= 0.0 or bar[BAR_INDEX_CLOSE] == math.inf:
        return BAR_INDEX_CLOSE
    if math.isinf(bar[BAR_SETTLED_RATE]):
        return BAR_SETTLED_RATE
    return -1


@kernel
def step_many(
    states: F64, bars: F64, present: NDArray[np.bool_], ts: float, btc: F64, out: F64, codes: NDArray[np.int64]
) -> None:
    """Fold one minute of all symbols: a run of one bar for each that is ``present``.

    ``states`` (S, STATE_SIZE) is changed in place; ``bars`` (S, BAR_SIZE); ``btc`` (3,) the market's row of minute
    ``ts``; ``out`` (S, 17) gets the rows, NaN where the symbol did not advance; ``codes`` (S,) says ADVANCED, ABSENT,
    NOT_NEWER or REFUSED (malformed, or a bar of another minute), so that one bad bar never touches a state.
    """
    work, past, shared = np.empty((WORK_ROWS, 1)), np.empty((PAST_ROWS, N_HIST + 1)), btc.reshape(1, BTC_SIZE)
    for s in range(states.shape[0]):
        if not present[s]:
            codes[s] = ABSENT
        elif bars[s, BAR_TS] != ts or bar_fault(bars[s]) >= 0:
            codes[s] = REFUSED
        elif not _begin(states[s], ts):
            codes[s] = NOT_NEWER
        else:
            _run(states[s], bars[s : s + 1], shared, out[s : s + 1], work, past)
            codes[s] = ADVANCED
        if codes[s] != ADVANCED:
            out[s, :] = math.nan


def warm() -> None:
    """Compile everything (or load it from the cache), so that no minute waits for the compiler."""
    bars = np.ones((2, BAR_SIZE))
    bars[:, BAR_TS] = (MINUTE, 2 * MINUTE)
    out = np.empty((2, schema.N_FEATURES))
    codes = np.empty(2, dtype=np.int64)
    states, market = np.zeros((2, STATE_SIZE)), np.zeros(MARKET_SIZE)
    btc = np.empty(BTC_SIZE)
    btc_step(market, MINUTE, 1.0, btc)
    step_many(states, bars, np.ones(2, dtype=np.bool_), MINUTE, btc, out, codes)
    fold(bars, btc_fold(bars[:, BAR_TS].copy(), bars[:, BAR_CLOSE].copy(), np.zeros(MARKET_SIZE)), states[0])
    bar_fault(bars[0])
