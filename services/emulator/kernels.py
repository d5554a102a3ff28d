"""The compiled inner loops: a generated day, the derived prices, the path of a minute, and text out of integers.

All of them stand in this one file, because the compiler's cache looks at the file of the function it compiles. They
know nothing of time, files or sockets; every random number comes in as an argument.
"""

import math

import numpy as np
from numpy.typing import NDArray

from packages.common.jit import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# state of a factor: log-volatility fast and slow, latent drift
FACTOR_STATE = 3
# state of a symbol: log price, last close (units), fast, slow, drift, premium, momentum, premium sum, premium count,
# log open interest, last index close, last mark close, moving average of the basis
SYMBOL_STATE = 13

# Half-lives in minutes, and standard deviations of log-volatility.
_FAST = 0.5 ** (1 / 45.0)
_SLOW = 0.5 ** (1 / 2880.0)
_FAST_SD = 0.45
_SLOW_SD = 0.35
_TAIL = 0.35  # lognormal scale mixture: kurtosis 3·exp(4·_TAIL²) before volatility clustering
_DRIFT = 0.5 ** (1 / 120.0)  # memory of the planted drift
_PREMIUM = 0.5 ** (1 / 600.0)
_MOMENTUM = 0.5 ** (1 / 240.0)
_BASIS = 0.5 ** (1 / 2.5)
_ANCHOR = math.log(2.0) / (90.0 * 1440.0)
_INTEREST = 0.0001
_DAMPER = 0.0005


@kernel
def factor_day(
    z: Floats, u: Floats, season: Floats, minute_vol: float, jump_rate: float, alpha: float, state: Floats
) -> Floats:
    """One day of a common factor; returns (minutes, 2): log return and its standard deviation before the mixture.

    ``z`` (minutes, 5) normals, ``u`` (minutes,) uniforms, ``season`` factor of volatility by minute. ``alpha`` is the
    share of variance that the latent drift carries (autocorrelation ``alpha·2**(-lag/120)``). ``state`` is moved on.
    """
    n = z.shape[0]
    out = np.empty((n, 2))
    fast, slow, drift = state[0], state[1], state[2]
    fast_gain = _FAST_SD * math.sqrt(1.0 - _FAST * _FAST)
    slow_gain = _SLOW_SD * math.sqrt(1.0 - _SLOW * _SLOW)
    drift_gain = math.sqrt(1.0 - _DRIFT * _DRIFT)
    keep = math.sqrt(1.0 - alpha)
    lead = math.sqrt(alpha)
    for t in range(n):
        fast = _FAST * fast + fast_gain * z[t, 0]
        slow = _SLOW * slow + slow_gain * z[t, 1]
        drift = _DRIFT * drift + drift_gain * z[t, 2]
        sigma = minute_vol * season[t] * math.exp(fast + slow - _FAST_SD**2 - _SLOW_SD**2)
        fat = z[t, 3] * math.exp(_TAIL * z[t, 4] - _TAIL**2)
        ret = sigma * (keep * fat + lead * drift)
        if u[t] < jump_rate:
            ret += minute_vol * 12.0 * (1.0 + abs(z[t, 4])) * (1.0 if z[t, 3] > 0 else -1.0)
        out[t, 0] = ret
        out[t, 1] = sigma
    state[0], state[1], state[2] = fast, slow, drift
    return out


@kernel
def symbol_day(
    z: Floats,
    u: Floats,
    season: Floats,
    volume_season: Floats,
    crypto: Floats,
    metal: Floats,
    halted: Bytes,
    first: int,
    last: int,
    params: Floats,
    units: Ints,
    minute_of_day: int,
    state: Floats,
) -> Ints:
    """One day of a symbol: rows of ``columns``, shape (minutes, 21); rows outside [first, last) are absent.

    ``z`` (minutes, 9) normals, ``u`` (minutes, 4) uniforms, ``crypto`` and ``metal`` factors of ``factor_day``,
    ``halted`` minutes in which nothing trades. ``params``: beta, beta_metal, idiosyncratic minute volatility, planted
    alpha, jump rate, quote volume a minute, premium sd, log anchor price, funding cap. ``units``: 10**price_decimals,
    tick, 10**qty_decimals, step, 10**(price + qty - quote decimals), funding minutes. ``state`` is moved on.
    """
    beta, beta_metal, idio, alpha, jump_rate = params[0], params[1], params[2], params[3], params[4]
    quote_rate, premium_sd, anchor, cap = params[5], params[6], params[7], params[8]
    price_unit, tick, qty_unit, step, quote_cut, funding_minutes = (
        units[0],
        units[1],
        units[2],
        units[3],
        units[4],
        units[5],
    )
    n = z.shape[0]
    out = np.zeros((n, 21), np.int64)
    logp, last_close = state[0], state[1]
    fast, slow, drift = state[2], state[3], state[4]
    premium_ar, momentum = state[5], state[6]
    premium_sum, premium_n = state[7], state[8]
    log_oi, last_index, last_mark, basis = state[9], state[10], state[11], state[12]
    fast_gain = _FAST_SD * math.sqrt(1.0 - _FAST * _FAST)
    slow_gain = _SLOW_SD * math.sqrt(1.0 - _SLOW * _SLOW)
    drift_gain = math.sqrt(1.0 - _DRIFT * _DRIFT)
    premium_gain = premium_sd * math.sqrt(1.0 - _PREMIUM * _PREMIUM)
    keep = math.sqrt(1.0 - alpha)
    lead = math.sqrt(alpha)
    for t in range(first, last):
        # returns
        fast = _FAST * fast + fast_gain * z[t, 0]
        slow = _SLOW * slow + slow_gain * z[t, 1]
        drift = _DRIFT * drift + drift_gain * z[t, 2]
        own = idio * season[t] * math.exp(fast + slow - _FAST_SD**2 - _SLOW_SD**2)
        fat = z[t, 3] * math.exp(_TAIL * z[t, 4] - _TAIL**2)
        ret = beta * crypto[t, 0] + beta_metal * metal[t, 0] + own * (keep * fat + lead * drift)
        if idio > 0.0 and u[t, 0] < jump_rate:
            ret += idio * 12.0 * (1.0 + abs(z[t, 4])) * (1.0 if z[t, 3] > 0 else -1.0)
        logp += ret - _ANCHOR * (logp - anchor)
        sigma = math.sqrt((beta * crypto[t, 1]) ** 2 + (beta_metal * metal[t, 1]) ** 2 + own * own) + 1e-9
        momentum = _MOMENTUM * momentum + (1.0 - _MOMENTUM) * ret
        # volume: more when the price moves, when volatility is high, and at the busy hours
        quote = quote_rate * volume_season[t] * math.exp(0.5 * z[t, 5] - 0.125 + 0.8 * fast)
        quote *= 0.35 + 0.65 * abs(ret) / (0.8 * sigma)
        close = max(tick, round(math.exp(logp) * price_unit / tick) * tick)
        lots = int(quote * price_unit * qty_unit / (close * step))
        volume = lots * step
        if halted[t] == 1 or volume == 0:  # nothing traded: the bar repeats the last close
            volume = 0
            open_ = high = low = close = int(last_close)
        else:
            open_ = int(last_close)
            if u[t, 1] < 0.15:
                open_ += tick
            elif u[t, 1] < 0.30 and open_ > tick:
                open_ -= tick
            r = math.log(close / open_)
            # maximum and minimum of a Brownian bridge
            up = 0.5 * (r + math.sqrt(r * r - 2.0 * sigma * sigma * math.log(1.0 - u[t, 2])))
            down = 0.5 * (r - math.sqrt(r * r - 2.0 * sigma * sigma * math.log(1.0 - u[t, 3])))
            high = max(open_, close, round(open_ * math.exp(up) / tick) * tick)
            low = max(tick, min(open_, close, round(open_ * math.exp(down) / tick) * tick))
        row = out[t]
        row[0], row[1], row[2], row[3], row[4] = open_, high, low, close, volume
        if volume > 0:
            typical = (open_ + high + low + 2 * close) // 5
            row[5] = volume * typical // quote_cut
            row[6] = max(1, int(quote / (30.0 + 0.00002 * quote_rate)))
            share = 0.5 + 0.18 * math.tanh(ret / sigma) + 0.06 * z[t, 6]
            share = min(max(share, 0.02), 0.98)
            row[7] = int(lots * share) * step
            row[8] = row[7] * typical // quote_cut
        # premium, index, mark
        premium_ar = _PREMIUM * premium_ar + premium_gain * z[t, 7]
        lean = min(max(momentum * 240.0, -0.05), 0.05)
        premium = premium_ar + 0.03 * lean + 0.15 * premium_sd * z[t, 8]
        index_close = round(close / (1.0 + premium) * (1e8 / price_unit))
        if last_index == 0.0:
            last_index = last_mark = float(index_close)
        gap = close * (1e8 / price_unit) / index_close - 1.0
        basis = _BASIS * basis + (1.0 - _BASIS) * gap
        mark_close = round(index_close * (1.0 + basis))
        up_wick = (high - max(open_, close)) / close
        down_wick = (min(open_, close) - low) / close
        for k in range(2):
            opened = int(last_mark) if k == 0 else int(last_index)
            closed = mark_close if k == 0 else index_close
            at = 9 + 4 * k
            row[at] = opened
            row[at + 1] = max(opened, closed) + round(closed * up_wick * (0.7 if k == 0 else 0.6))
            row[at + 2] = min(opened, closed) - round(closed * down_wick * (0.7 if k == 0 else 0.6))
            row[at + 3] = closed
        # funding: mean premium since the last settlement, damped towards the interest rate, scaled to the interval
        if (minute_of_day + t) % funding_minutes == 0:
            premium_sum = premium_n = 0.0
        premium_sum += gap
        premium_n += 1.0
        mean = premium_sum / premium_n
        rate = (mean + min(max(_INTEREST - mean, -_DAMPER), _DAMPER)) * (funding_minutes / 480.0)
        row[17] = round(gap * 1e8)
        row[18] = round(min(max(rate, -cap), cap) * 1e8)
        log_oi += -_ANCHOR * 10.0 * log_oi + 0.0006 * z[t, 6] + 0.2 * abs(ret) * z[t, 5]
        row[19] = int(quote_rate * 1440.0 * 0.3 * math.exp(log_oi) * price_unit * qty_unit / close) // step * step
        row[20] = 1
        last_close, last_index, last_mark = float(close), float(index_close), float(mark_close)
    state[0], state[1] = logp, last_close
    state[2], state[3], state[4] = fast, slow, drift
    state[5], state[6] = premium_ar, momentum
    state[7], state[8] = premium_sum, premium_n
    state[9], state[10], state[11], state[12] = log_oi, last_index, last_mark, basis
    return out


@kernel
def derive_prices(rows: Ints, minutes: Ints, marks: Ints, price_unit: int) -> None:
    """Mark, index, premium, estimated funding and open interest of recorded bars, written in place (D41).

    ``rows`` (n, 21) with the last price's columns filled, ascending ``minutes`` (n,) since the epoch, ``marks`` (n, 2):
    minutes from the start of the funding interval, its length. The rule, per minute t, with ``slow`` the exponential
    mean of the close (half-life 240 minutes) and ``fast`` that of half-life 3:

    - premium = clamp(0.02·(fast/slow − 1), ±0.002); index close = close / (1 + premium);
      mark close = index close·(1 + mean premium of half-life 3);
    - index and mark open at their last close (after a gap at their own close); their wicks are 0.6 and 0.7 of the
      last price's;
    - rate = (P + clamp(0.0001 − P, ±0.0005))·interval/8 h, P the mean premium since the last settlement;
    - open interest: half of the volume of the last 1440 minutes, exponentially weighted.
    """
    fast_keep, slow_keep, day_keep = 0.5 ** (1 / 3.0), 0.5 ** (1 / 240.0), 1.0 - 1.0 / 1440.0
    fast = slow = float(rows[0, 3])
    volume = float(rows[0, 4])
    smooth = 0.0
    last_index = last_mark = np.int64(0)
    total = 0.0
    count = 0.0
    for t in range(rows.shape[0]):
        row = rows[t]
        close = row[3]
        fast = fast_keep * fast + (1.0 - fast_keep) * close
        slow = slow_keep * slow + (1.0 - slow_keep) * close
        volume = day_keep * volume + (1.0 - day_keep) * row[4]
        premium = min(max(0.02 * (fast / slow - 1.0), -0.002), 0.002)
        smooth = fast_keep * smooth + (1.0 - fast_keep) * premium
        index_close = np.int64(round(close / (1.0 + premium) * (1e8 / price_unit)))
        mark_close = np.int64(round(index_close * (1.0 + smooth)))
        if t == 0 or minutes[t] != minutes[t - 1] + 1:
            last_index, last_mark = index_close, mark_close
        up_wick = (row[1] - max(row[0], close)) / close
        down_wick = (min(row[0], close) - row[2]) / close
        for k in range(2):
            opened = last_mark if k == 0 else last_index
            closed = mark_close if k == 0 else index_close
            at = 9 + 4 * k
            row[at] = opened
            row[at + 1] = max(opened, closed) + np.int64(round(closed * up_wick * (0.7 if k == 0 else 0.6)))
            row[at + 2] = min(opened, closed) - np.int64(round(closed * down_wick * (0.7 if k == 0 else 0.6)))
            row[at + 3] = closed
        if marks[t, 0] == 0:
            total = count = 0.0
        total += premium
        count += 1.0
        mean = total / count
        rate = (mean + min(max(_INTEREST - mean, -_DAMPER), _DAMPER)) * (marks[t, 1] / 480.0)
        row[17] = np.int64(round(premium * 1e8))
        row[18] = np.int64(round(rate * 1e8))
        row[19] = np.int64(volume * 720.0)
        row[20] = 1
        last_index, last_mark = index_close, mark_close


@kernel
def _mix(x: np.uint64) -> np.uint64:
    """splitmix64: a well-mixed 64-bit number of a 64-bit number."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def paths(rows: Ints, column: int, keys: Ints, minute: int, n: int, grain: Ints) -> Ints:
    """Prices of one minute at n >= 4 equidistant instants, shape (symbols, n).

    ``rows`` (symbols, 21) is the minute, ``column`` the OPEN of the price (0, 9 or 13), ``keys`` (symbols,) their
    numbers, ``grain`` (symbols,) the unit prices are rounded to. The first instant is the open, the last the close,
    one of those between the high, another the low; the rest lies between. The shape depends on key and minute alone,
    so last, mark and index move together and a repeated minute repeats itself.
    """
    symbols = rows.shape[0]
    out = np.empty((symbols, n), np.int64)
    for s in range(symbols):
        open_, high, low, close = rows[s, column], rows[s, column + 1], rows[s, column + 2], rows[s, column + 3]
        h = _mix(np.uint64(keys[s]) ^ (np.uint64(minute) * np.uint64(0x9E3779B1)))
        a = (h & np.uint64(0xFFFF)) / 65536.0
        b = ((h >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536.0
        first = 1 + int(a * (n - 2))
        second = 1 + int(b * (n - 3))
        if second >= first:
            second += 1
        if first > second:
            first, second = second, first
        # a rising minute mostly visits its low first; decided on the last price, so that all prices agree
        rising = rows[s, 3] >= rows[s, 0]
        usual = ((h >> np.uint64(32)) & np.uint64(0xFF)) < np.uint64(180)
        low_first = rising == usual
        early, late = (low, high) if low_first else (high, low)
        for k in range(n):
            if k < first:
                x0, y0, x1, y1 = 0, open_, first, early
            elif k < second:
                x0, y0, x1, y1 = first, early, second, late
            else:
                x0, y0, x1, y1 = second, late, n - 1, close
            if k in (x0, x1):
                out[s, k] = y0 if k == x0 else y1
                continue
            h = _mix(h + np.uint64(k))
            wobble = ((h & np.uint64(0xFFFF)) / 65536.0 - 0.5) * 0.3 * (high - low)
            value = y0 + (y1 - y0) * ((k - x0) / (x1 - x0)) + wobble
            rounded = np.int64(round(value / grain[s])) * grain[s]
            out[s, k] = min(max(rounded, low), high)
        out[s, n - 1] = close
    return out


@kernel
def _put(out: Bytes, at: int, value: int, decimals: int) -> int:
    """Write ``value·10**-decimals`` with exactly ``decimals`` decimals at ``at``; returns the place after it."""
    if value < 0:
        out[at] = 45
        at += 1
        value = -value
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    digits = max(digits, decimals + 1)
    end = at + digits + (1 if decimals > 0 else 0)
    place = end - 1
    for k in range(digits):
        if k == decimals and decimals > 0:
            out[place] = 46
            place -= 1
        out[place] = 48 + value % 10
        value //= 10
        place -= 1
    return end


@kernel
def render(literals: Bytes, cuts: Ints, which: Ints, values: Ints, decimals: Ints, framed: bool) -> tuple[Bytes, Ints]:
    """Text of many rows at once: returns the bytes and where each row starts, shape (rows + 1,).

    Row r is ``literal[0] value[0] literal[1] … literal[n]`` of template ``which[r]``; template k's literals are
    ``literals[cuts[k, i]:cuts[k, i + 1]]``, its decimals ``decimals[k]``; ``values`` (rows, n). ``framed`` puts
    the header of an unmasked, final WebSocket text frame before each row (RFC 6455 5.2); a row must stay under 64 KiB.
    """
    rows, n = values.shape
    longest = np.int64(0)
    for k in range(cuts.shape[0]):
        longest = max(longest, cuts[k, n + 1] - cuts[k, 0])
    out = np.empty(rows * (longest + 22 * n + 4) + 8, np.uint8)
    starts = np.empty(rows + 1, np.int64)
    at = np.int64(0)
    for r in range(rows):
        starts[r] = at
        template = which[r]
        body = at + 4 if framed else at
        place = body
        for i in range(n + 1):
            for j in range(cuts[template, i], cuts[template, i + 1]):
                out[place] = literals[j]
                place += 1
            if i < n:
                place = np.int64(_put(out, int(place), int(values[r, i]), int(decimals[template, i])))
        if framed:
            size = place - body
            out[at] = 0x81
            if size > 125:
                out[at + 1] = 126
                out[at + 2] = (size >> 8) & 0xFF
                out[at + 3] = size & 0xFF
            else:
                out[at + 1] = size
                for j in range(size):
                    out[at + 2 + j] = out[body + j]
                place -= 2
        at = place
    starts[rows] = at
    return out[:at].copy(), starts
