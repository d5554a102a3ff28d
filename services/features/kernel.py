"""The one feature computation: a compiled step that folds a closed bar into a symbol's state (D12, features.md).

Offline folds it over arrays (``fold``), online calls it once a minute for all symbols (``step_many``). A symbol's
state is one flat float64 vector of ``STATE_SIZE``, the market's (BTCUSDT's shared features) one of ``MARKET_SIZE``; a
vector of zeros is the state before the first bar. Recursive averages follow TA-Lib's conventions.

Windows are rings written twice, ``size`` apart, so that their last values always lie in a row, oldest first. Their sums
are taken anew on every bar, in time order, from the values of the window and nothing else, so they carry no rounding
history and do not depend on where the fold began. All of them being multiples of ten bars long, they are taken in two
levels: every bar sums up the last ten values once (a *tile*), a window adds its tiles; 22 terms instead of 120.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
N_WILDER: Final = 14
N_EMA: Final = 60
N_FAST: Final = 12
N_SLOW: Final = 26
N_SIGNAL: Final = 9
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
RING_CLOSE: Final = 27
N_CLOSE: Final = 16  # ret_15 looks furthest back
WINDOW_BB: Final = RING_CLOSE + 2 * N_CLOSE
WINDOW_HIST: Final = WINDOW_BB + 2 * TILE + 4 * N_BB
WINDOW_VOL: Final = WINDOW_HIST + 2 * TILE + 4 * N_HIST
RING_FUNDING: Final = WINDOW_VOL + 2 * TILE + 4 * N_VOL
STATE_SIZE: Final = RING_FUNDING + 2 * N_FUNDING

# --- the market's state ----------------------------------------------------------------------------------------------

# LAST_TS, ORIGIN_TS and BARS stand in the same places.
LOG_VOL_MEAN: Final = 3
LOG_VOL_VAR: Final = 4
LOG_VOLS: Final = 5
REGIME: Final = 6  # last value; NaN is kept out of the state by LOG_VOLS
RING_BTC: Final = 7
WINDOW_LOG_RET: Final = RING_BTC + 2 * (N_BTC + 1)
MARKET_SIZE: Final = WINDOW_LOG_RET + 2 * TILE + 4 * N_BTC

BTC_SIZE: Final = 3  # btc_ret_60, btc_vol_60, btc_regime


@inlined
def _push(state: F64, ring: int, size: int, count: int, value: float) -> int:
    """Write the ``count``-th value (from 0) of a ring; returns its slot in the second copy: k before is k ago."""
    slot = ring + int(np.uintp(count) % np.uintp(size))
    state[slot] = value
    state[slot + size] = value
    return slot + size


def _window(tiles: int) -> Callable[[F64, int, int, float], tuple[float, float]]:
    """Make the compiled window of ``10 * tiles`` values (``tiles`` even), which takes ``20 + 40 * tiles`` slots.

    Layout: ten values twice; then per phase (count mod 10) the means of its ``tiles`` disjoint tiles twice, then the
    same of their sums of squared distances. Made per size so that the compiler knows it; indices are unsigned, which
    spares the test for negative ones; together they halve the time of a bar.
    """
    size, half = TILE * tiles, np.uintp(tiles // 2)
    row, means, squares = np.uintp(tiles), np.uintp(2 * TILE), np.uintp(2 * TILE * tiles)
    one, ten = np.uintp(1), np.uintp(TILE)
    per_value, per_tile, per_window = 1.0 / TILE, 1.0 / tiles, 1.0 / size  # a bar waits for each division in turn

    @inlined
    def window(state: F64, ring: int, count: int, value: float) -> tuple[float, float]:
        """Mean and population deviation of the last values, the ``count``-th (from 0) coming in; NaN until full.

        Distances are taken from the oldest value, so equal values give a deviation of exactly 0.
        """
        base, turn, phase = np.uintp(ring), np.uintp(count) // ten, np.uintp(count) % ten
        slot = base + phase
        state[slot] = value
        state[slot + ten] = value
        if count < TILE - 1:
            return math.nan, math.nan
        slot += one
        first = state[slot]
        x_1, x_2, x_3 = state[slot + one] - first, state[slot + np.uintp(2)] - first, state[slot + np.uintp(3)] - first
        x_4, x_5 = state[slot + np.uintp(4)] - first, state[slot + np.uintp(5)] - first
        x_6, x_7 = state[slot + np.uintp(6)] - first, state[slot + np.uintp(7)] - first
        x_8, x_9 = state[slot + np.uintp(8)] - first, value - first
        total = ((x_1 + x_2) + (x_3 + x_4)) + ((x_5 + x_6) + (x_7 + x_8)) + x_9
        square = ((x_1 * x_1 + x_2 * x_2) + (x_3 * x_3 + x_4 * x_4)) + (
            ((x_5 * x_5 + x_6 * x_6) + (x_7 * x_7 + x_8 * x_8)) + x_9 * x_9
        )
        mean = total * per_value
        square = max(square - total * mean, 0.0)
        mean += first
        slot = base + means + phase * (row + row) + turn % row
        state[slot] = mean
        state[slot + row] = mean
        state[slot + squares] = square
        state[slot + squares + row] = square
        if count < size - 1:
            return math.nan, math.nan
        slot += one
        first = state[slot]
        sum_0 = square_0 = within_0 = sum_1 = square_1 = within_1 = 0.0
        for i in range(half):
            x_0, x_1 = state[slot + i] - first, state[slot + half + i] - first
            sum_0 += x_0
            sum_1 += x_1
            square_0 += x_0 * x_0
            square_1 += x_1 * x_1
            within_0 += state[slot + squares + i]
            within_1 += state[slot + squares + half + i]
        total = sum_0 + sum_1
        mean = total * per_tile
        between = max((square_0 + square_1) - total * mean, 0.0)
        return first + mean, math.sqrt(between * per_tile + (within_0 + within_1) * per_window)

    return window


_window_bb = _window(N_BB // TILE)
_window_hist = _window(N_HIST // TILE)
_window_60 = _window(N_VOL // TILE)  # volume, and BTC's log returns


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
def _seeded(state: F64, slot: int, count: int, n: int, value: float) -> None:
    """Sum the first ``n`` values, then their mean; ``count`` values are already in (< n)."""
    state[slot] += value
    if count == n - 1:
        state[slot] /= n


@inlined
def _ema(state: F64, slot: int, count: int, n: int, value: float) -> None:
    """EMA with alpha 2 / (n + 1); it is one from ``count`` = n - 1 on."""
    if count < n:
        _seeded(state, slot, count, n, value)
    else:
        state[slot] += (value - state[slot]) * (2.0 / (n + 1))


@inlined
def _wilder(state: F64, slot: int, count: int, value: float) -> None:
    """Wilder average of 14; it is one from ``count`` = 13 on."""
    if count < N_WILDER:
        _seeded(state, slot, count, N_WILDER, value)
    else:
        mean = (state[slot] * (N_WILDER - 1) + value) / N_WILDER
        state[slot] = mean if mean > NOTHING else 0.0


@inlined
def _true_range(high: float, low: float, previous_close: float) -> float:
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


@inlined
def _mark_average_range(state: F64, bars: int, high: float, low: float, true_range: float) -> None:
    """ATR and ADX of the mark; ``bars`` >= 1 bars came before."""
    _wilder(state, TR_MEAN, bars - 1, true_range)
    up, down = high - state[MARK_HIGH], state[MARK_LOW] - low
    plus = up if up > 0.0 and up > down else 0.0
    minus = down if down > 0.0 and down > up else 0.0
    if bars < N_WILDER:  # 13 plain values
        state[DM_PLUS] += plus
        state[DM_MINUS] += minus
        state[TR_SUM] += true_range
        return
    state[DM_PLUS] = state[DM_PLUS] - state[DM_PLUS] / N_WILDER + plus
    state[DM_MINUS] = state[DM_MINUS] - state[DM_MINUS] / N_WILDER + minus
    state[TR_SUM] = state[TR_SUM] - state[TR_SUM] / N_WILDER + true_range
    directed = state[DM_PLUS] + state[DM_MINUS]
    dx = 0.0
    if directed > NOTHING and state[TR_SUM] > NOTHING:
        dx = 100.0 * (abs(state[DM_PLUS] - state[DM_MINUS]) / directed)
    _wilder(state, DX_MEAN, bars - N_WILDER, dx)


@inlined
def _hour(state: F64, ts: float, high: float, low: float, close: float) -> None:
    """Clock-aligned 60m bars of the mark. An hour with a missing minute is as if it had not been."""
    start = float(
        np.uint64(ts) // np.uint64(HOUR_MS) * np.uint64(HOUR_MS)
    )  # whole numbers divide in a fifth of the time
    if start != state[HOUR_START] or state[HOUR_BARS] == 0.0:
        state[HOUR_START] = start
        state[HOUR_BARS] = 0.0
        state[HOUR_HIGH] = high
        state[HOUR_LOW] = low
    state[HOUR_BARS] += 1.0
    state[HOUR_HIGH] = max(state[HOUR_HIGH], high)
    state[HOUR_LOW] = min(state[HOUR_LOW], low)
    if state[HOUR_BARS] == 60.0:
        hours = int(state[HOURS])
        if hours > 0:
            true_range = _true_range(state[HOUR_HIGH], state[HOUR_LOW], state[HOUR_CLOSE])
            _wilder(state, HOUR_TR_MEAN, hours - 1, true_range)
        state[HOURS] += 1.0
        state[HOUR_CLOSE] = close
        state[HOUR_BARS] = 0.0  # nothing of this hour can follow


@kernel
def _settle(state: F64, rate: float) -> None:
    count = int(state[SETTLEMENTS])
    now = _push(state, RING_FUNDING, N_FUNDING, count, rate)
    window = min(count + 1, N_FUNDING)
    mean, deviation = _spread(state, now - window + 1, window)
    state[FUNDING] = rate
    state[SETTLEMENTS] += 1.0
    state[FUNDING_DEV] = _z(rate, mean, deviation) if window >= FUNDING_MIN else math.nan


@inlined
def _begin(state: F64, ts: float) -> bool:
    """Note the bar's time, starting again after a long gap; False when the bar is not newer than the state."""
    if state[BARS] > 0.0:
        if ts <= state[LAST_TS]:
            return False
        if ts - state[LAST_TS] > (GAP_BARS_MAX + 1) * MINUTE:
            state[:] = 0.0
    if state[BARS] == 0.0:
        state[ORIGIN_TS] = ts
    state[LAST_TS] = ts
    return True


@inlined
def btc_step(market: F64, ts: float, close: float, out: F64) -> int:
    """Fold BTCUSDT's closed bar into the market's state; ``out`` (3,) gets btc_ret_60, btc_vol_60, btc_regime.

    ``market`` (MARKET_SIZE,) is changed in place. A NaN close is a missing bar: the state stays and the row is NaN, so
    that every symbol's minute without BTC's bar is FEATURE_NAN. Returns a step code; NaN row unless ADVANCED.
    """
    out[0] = out[1] = out[2] = math.nan
    if math.isnan(close):
        return ABSENT
    if not (close > 0.0 and close < math.inf):
        return REFUSED
    if not _begin(market, ts):
        return NOT_NEWER
    bars = int(market[BARS])
    now = _push(market, RING_BTC, N_BTC + 1, bars, close)
    market[BARS] += 1.0
    if bars > 0:
        _mean, deviation = _window_60(market, WINDOW_LOG_RET, bars - 1, math.log(close / market[now - 1]))
        if bars >= N_BTC:
            out[0] = close / market[now - N_BTC] - 1.0
            out[1] = deviation
            _regime(market, deviation)
    if market[LOG_VOLS] >= N_REGIME:
        out[2] = market[REGIME]
    return ADVANCED


@inlined
def _regime(market: F64, volatility: float) -> None:
    """Fold a volatility into its exponentially weighted mean and variance; 0 changes nothing."""
    if volatility == 0.0:
        return
    v = math.log(volatility)
    if market[LOG_VOLS] == 0.0:
        market[LOG_VOL_MEAN] = v
        market[LOG_VOL_VAR] = 0.0
    else:
        delta = v - market[LOG_VOL_MEAN]
        market[LOG_VOL_MEAN] += REGIME_ALPHA * delta
        market[LOG_VOL_VAR] = (1.0 - REGIME_ALPHA) * (market[LOG_VOL_VAR] + REGIME_ALPHA * delta * delta)
    market[LOG_VOLS] += 1.0
    mean, deviation = market[LOG_VOL_MEAN], math.sqrt(market[LOG_VOL_VAR])
    away = v - mean if deviation > NO_DEVIATION * max(abs(v), abs(mean)) else 0.0
    market[REGIME] = 0.0 if away < CALM_BELOW * deviation else (2.0 if away > WILD_ABOVE * deviation else 1.0)


@inlined
def step(state: F64, bar: F64, btc: F64, out: F64) -> int:
    """Fold one closed bar into a symbol's state, in place, and write its feature row.

    ``state`` (STATE_SIZE,), ``bar`` (BAR_SIZE,) well formed (``bar_fault``), ``btc`` (3,) the market's features of the
    same minute, ``out`` (17,) in the order of ``schema.KEYS``, NaN where not yet valid or undefined (a mark that never
    moved has no ``ema_dist_atr``). A gap of up to 60 missing bars since the last bar keeps the state, a longer one
    starts it again. Returns ADVANCED, or NOT_NEWER with state and ``out`` untouched.
    """
    ts = bar[BAR_TS]
    if not _begin(state, ts):
        return NOT_NEWER
    bars = int(state[BARS])
    close = bar[BAR_CLOSE]
    mark_high, mark_low, mark_close = bar[BAR_MARK_HIGH], bar[BAR_MARK_LOW], bar[BAR_MARK_CLOSE]
    out[:] = math.nan

    # Mark: ranges, direction, hours, distance from the EMA.
    if bars > 0:
        true_range = _true_range(mark_high, mark_low, state[MARK_CLOSE])
        _mark_average_range(state, bars, mark_high, mark_low, true_range)
    _hour(state, ts, mark_high, mark_low, mark_close)
    _ema(state, EMA_MARK, bars, N_EMA, mark_close)
    state[MARK_HIGH] = mark_high
    state[MARK_LOW] = mark_low
    state[MARK_CLOSE] = mark_close
    if bars >= N_WILDER:
        out[schema.ATR] = state[TR_MEAN]
        if bars >= N_EMA - 1 and state[TR_MEAN] > 0.0:
            out[schema.EMA_DIST_ATR] = (mark_close - state[EMA_MARK]) / state[TR_MEAN]
    if bars >= 2 * N_WILDER - 1:
        out[schema.ADX] = state[DX_MEAN]
    if state[HOURS] > N_WILDER:
        out[schema.ATR_60] = state[HOUR_TR_MEAN]

    # Last price: returns, RSI, bands, MACD.
    now = _push(state, RING_CLOSE, N_CLOSE, bars, close)
    if bars >= 1:
        change = close - state[now - 1]
        _wilder(state, GAIN, bars - 1, max(change, 0.0))
        _wilder(state, LOSS, bars - 1, max(-change, 0.0))
        out[schema.RET_1] = close / state[now - 1] - 1.0
    if bars >= 5:
        out[schema.RET_5] = close / state[now - 5] - 1.0
    if bars >= 15:
        out[schema.RET_15] = close / state[now - 15] - 1.0
    if bars >= N_WILDER:
        moved = state[GAIN] + state[LOSS]
        out[schema.RSI] = 100.0 * (state[GAIN] / moved) if moved > 0.0 else 50.0
    mean, deviation = _window_bb(state, WINDOW_BB, bars, close)
    out[schema.BB_Z] = _z(close, mean, deviation)
    _ema(state, EMA_FAST, bars, N_FAST, close)
    _ema(state, EMA_SLOW, bars, N_SLOW, close)
    if bars >= N_SLOW - 1:
        macd = state[EMA_FAST] - state[EMA_SLOW]
        macds = bars - (N_SLOW - 1)
        _ema(state, EMA_SIGNAL, macds, N_SIGNAL, macd)
        if macds >= N_SIGNAL - 1:
            hists = macds - (N_SIGNAL - 1)
            hist = macd - state[EMA_SIGNAL]
            mean, deviation = _window_hist(state, WINDOW_HIST, hists, hist)
            out[schema.MACD_Z] = _z(hist, mean, deviation)

    # Volume, funding, basis, the market.
    log_volume = math.log(1.0 + bar[BAR_QUOTE_VOLUME])
    mean, deviation = _window_60(state, WINDOW_VOL, bars, log_volume)
    out[schema.VOL_Z] = _z(log_volume, mean, deviation)
    if not math.isnan(bar[BAR_SETTLED_RATE]):
        _settle(state, bar[BAR_SETTLED_RATE])
    if state[SETTLEMENTS] > 0.0:
        out[schema.FUNDING_RATE] = state[FUNDING]
        out[schema.FUNDING_Z] = state[FUNDING_DEV]
    index_close = bar[BAR_INDEX_CLOSE]
    out[schema.BASIS] = (close - index_close) / index_close
    out[schema.BTC_RET_60] = btc[0]
    out[schema.BTC_VOL_60] = btc[1]
    out[schema.BTC_REGIME] = btc[2]
    state[BARS] += 1.0
    return ADVANCED


def fold(bars: F64, btc_features: F64, state: F64) -> F64:
    """``step`` over well-formed bars ``(n, BAR_SIZE)`` in time order; ``btc_features`` (n, 3) of the same minutes.

    Returns features ``(n, 17)`` and leaves ``state`` after the last bar. A bar that is not newer gives a NaN row.
    """
    # numpy asks for huge pages, the kernels' own allocator does not: that is a quarter of a year's fold in page faults
    out = np.empty((bars.shape[0], schema.N_FEATURES))
    _fold(bars, btc_features, state, out)
    return out


@kernel
def _fold(bars: F64, btc_features: F64, state: F64, out: F64) -> None:
    for i in range(bars.shape[0]):
        if step(state, bars[i], btc_features[i], out[i]) != ADVANCED:
            out[i] = math.nan


def btc_fold(ts: F64, close: F64, market: F64) -> F64:
    """``btc_step`` over BTCUSDT's bars in time order: features ``(n, 3)``; ``market`` is left after the last bar."""
    out = np.empty((ts.shape[0], BTC_SIZE))
    _btc_fold(ts, close, market, out)
    return out


@kernel
def _btc_fold(ts: F64, close: F64, market: F64, out: F64) -> None:
    for i in range(ts.shape[0]):
        btc_step(market, ts[i], close[i], out[i])


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
def first_fault(bars: F64) -> tuple[int, int]:
    """Row and field of the first malformed bar, or (-1, -1)."""
    for i in range(bars.shape[0]):
        field = bar_fault(bars[i])
        if field >= 0:
            return i, field
    return -1, -1


@kernel
def step_many(
    states: F64, bars: F64, present: NDArray[np.bool_], ts: float, btc: F64, out: F64, codes: NDArray[np.int64]
) -> None:
    """One minute of all symbols: ``step`` where ``present``.

    ``states`` (S, STATE_SIZE) is changed in place; ``bars`` (S, BAR_SIZE); ``btc`` (3,) the market's row of minute
    ``ts``; ``out`` (S, 17) gets the rows, NaN where the symbol did not advance; ``codes`` (S,) says ADVANCED, ABSENT,
    NOT_NEWER or REFUSED (malformed, or a bar of another minute), so that one bad bar never touches a state.
    """
    for s in range(states.shape[0]):
        out[s, :] = math.nan
        if not present[s]:
            codes[s] = ABSENT
        elif bars[s, BAR_TS] != ts or bar_fault(bars[s]) >= 0:
            codes[s] = REFUSED
        else:
            codes[s] = step(states[s], bars[s], btc, out[s])


def warm() -> None:
    """Compile everything (or load it from the cache), so that no minute waits for the compiler."""
    bars = np.ones((2, BAR_SIZE))
    bars[:, BAR_TS] = (MINUTE, 2 * MINUTE)
    out = np.empty((2, schema.N_FEATURES))
    codes = np.empty(2, dtype=np.int64)
    states, market = np.zeros((2, STATE_SIZE)), np.zeros(MARKET_SIZE)
    btc = np.empty(BTC_SIZE)
    btc_step(market, MINUTE, 1.0, btc)
    step(states[0], bars[0], btc, out[0])
    step_many(states, bars, np.ones(2, dtype=np.bool_), MINUTE, btc, out, codes)
    fold(bars, btc_fold(bars[:, BAR_TS].copy(), bars[:, BAR_CLOSE].copy(), np.zeros(MARKET_SIZE)), states[0])
    bar_fault(bars[0])
    first_fault(bars)
