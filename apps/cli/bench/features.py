"""Features against a compiled fold with running sums, and against the same seventeen columns composed of TA-Lib."""

import math
from collections.abc import Iterator

import numpy as np
import talib
from numpy.typing import NDArray

from apps.cli.bench import material
from apps.cli.bench.measure import Figure, Plan, Work, at_most, interleave
from apps.cli.bench.peers import in_turn, peer
from packages.common.jit import kernel
from services.features import kernel as k
from services.features import schema
from services.features.compute import compute_features

F64 = NDArray[np.float64]
ONLINE_SYMBOLS = 50
_WARM = 40_000  # rows in, every recursive average has forgotten how it began


def running_fold(bars: F64, btc_close: F64) -> F64:
    """The seventeen features (n, 17) with running sums: what speed costs nothing but exactness and restarts. Its memory
    is numpy's, as the product's is: compiled code's own allocator has no huge pages, which would double its time."""
    out = np.full((bars.shape[0], 17), math.nan)
    _running_fold(bars, btc_close, out, np.zeros((4, bars.shape[0])))
    return out


@kernel
def _running_fold(bars: F64, btc_close: F64, out: F64, scratch: F64) -> None:  # noqa: PLR0915 - one plain loop
    n, closes = bars.shape[0], bars[:, 4]
    hist, vol, rets, rates = scratch[0], scratch[1], scratch[2], scratch[3]
    tr = dmp = dmm = trs = dx = gain = loss = ema60 = fast = slow = signal = 0.0
    hour_high = hour_low = hour_close = hour_tr = 0.0
    hours = hour_bars = settled = 0
    s_bb = q_bb = s_h = q_h = s_v = q_v = s_f = q_f = s_b = q_b = 0.0
    funding = fz = vm = vv = math.nan
    regime, seen = 0.0, 0
    alpha = 1.0 - 0.5 ** (1.0 / 1440.0)
    for i in range(n):
        c, mh, ml, mc = closes[i], bars[i, 7], bars[i, 8], bars[i, 9]
        if i > 0:
            pc = bars[i - 1, 9]
            r = max(mh - ml, abs(mh - pc), abs(ml - pc))
            up, down = mh - bars[i - 1, 7], bars[i - 1, 8] - ml
            plus = up if up > 0.0 and up > down else 0.0
            minus = down if down > 0.0 and down > up else 0.0
            tr = tr + r / 14.0 if i <= 14 else tr + (r - tr) / 14.0
            dmp, dmm, trs = dmp - dmp / 14.0 + plus, dmm - dmm / 14.0 + minus, trs - trs / 14.0 + r
            d = 100.0 * abs(dmp - dmm) / (dmp + dmm) if dmp + dmm > 0.0 else 0.0
            dx += (d - dx) / 14.0
            change = c - closes[i - 1]
            gain += (max(change, 0.0) - gain) / 14.0
            loss += (max(-change, 0.0) - loss) / 14.0
            out[i, 0] = c / closes[i - 1] - 1.0
        if hour_bars == 0:
            hour_high, hour_low = mh, ml
        hour_high, hour_low, hour_bars = max(hour_high, mh), min(hour_low, ml), hour_bars + 1
        if hour_bars == 60:
            if hours > 0:
                hr = max(hour_high - hour_low, abs(hour_high - hour_close), abs(hour_low - hour_close))
                hour_tr = hour_tr + hr / 14.0 if hours <= 14 else hour_tr + (hr - hour_tr) / 14.0
            hours, hour_bars, hour_close = hours + 1, 0, mc
        ema60 = mc if i == 0 else ema60 + (mc - ema60) * (2.0 / 61.0)
        fast = c if i == 0 else fast + (c - fast) * (2.0 / 13.0)
        slow = c if i == 0 else slow + (c - slow) * (2.0 / 27.0)
        signal += (fast - slow - signal) * 0.2
        if i >= 5:
            out[i, 1] = c / closes[i - 5] - 1.0
        if i >= 15:
            out[i, 2] = c / closes[i - 15] - 1.0
        out[i, 3], out[i, 4] = tr, hour_tr
        out[i, 5] = (mc - ema60) / tr if tr > 0.0 else math.nan
        out[i, 6] = dx
        out[i, 7] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 50.0
        hist[i] = fast - slow - signal
        s_h, q_h = s_h + hist[i], q_h + hist[i] * hist[i]
        if i >= 120:
            s_h, q_h = s_h - hist[i - 120], q_h - hist[i - 120] * hist[i - 120]
            out[i, 8] = (hist[i] - s_h / 120.0) / math.sqrt(max(q_h / 120.0 - (s_h / 120.0) ** 2, 1e-300))
        s_bb, q_bb = s_bb + c, q_bb + c * c
        if i >= 20:
            s_bb, q_bb = s_bb - closes[i - 20], q_bb - closes[i - 20] * closes[i - 20]
            out[i, 9] = (c - s_bb / 20.0) / math.sqrt(max(q_bb / 20.0 - (s_bb / 20.0) ** 2, 1e-300))
        vol[i] = math.log(1.0 + bars[i, 5])
        s_v, q_v = s_v + vol[i], q_v + vol[i] * vol[i]
        if i >= 60:
            s_v, q_v = s_v - vol[i - 60], q_v - vol[i - 60] * vol[i - 60]
            out[i, 10] = (vol[i] - s_v / 60.0) / math.sqrt(max(q_v / 60.0 - (s_v / 60.0) ** 2, 1e-300))
        if not math.isnan(bars[i, 11]):
            funding = bars[i, 11]
            rates[settled] = funding
            s_f, q_f, settled = s_f + funding, q_f + funding * funding, settled + 1
            if settled > 90:
                old = rates[settled - 91]
                s_f, q_f = s_f - old, q_f - old * old
            m = min(settled, 90)
            fz = (funding - s_f / m) / math.sqrt(max(q_f / m - (s_f / m) ** 2, 1e-300)) if m >= 10 else math.nan
        out[i, 11], out[i, 12] = funding, fz
        out[i, 13] = (c - bars[i, 10]) / bars[i, 10]
        if i > 0:
            rets[i] = math.log(btc_close[i] / btc_close[i - 1])
            s_b, q_b = s_b + rets[i], q_b + rets[i] * rets[i]
        if i > 60:
            s_b, q_b = s_b - rets[i - 60], q_b - rets[i - 60] * rets[i - 60]
        if i >= 60:
            out[i, 14] = btc_close[i] / btc_close[i - 60] - 1.0
            dev = math.sqrt(max(q_b / 60.0 - (s_b / 60.0) ** 2, 1e-300))
            out[i, 15] = dev
            v = math.log(dev)
            if seen == 0:
                vm, vv = v, 0.0
            else:
                delta = v - vm
                vm += alpha * delta
                vv = (1.0 - alpha) * (vv + alpha * delta * delta)
            seen += 1
            z = (v - vm) / math.sqrt(vv) if vv > 0.0 else 0.0
            regime = 0.0 if z < -0.5 else (2.0 if z > 1.5 else 1.0)
            out[i, 16] = regime if seen >= 1440 else math.nan


def talib_columns(bars: F64, btc_close: F64) -> F64:
    """The same columns as one would put them together from TA-Lib and numpy."""
    close, high, low, mark = (np.ascontiguousarray(bars[:, i]) for i in (4, 7, 8, 9))
    atr = talib.ATR(high, low, mark, 14)
    macd, signal, _ = talib.MACD(close, 12, 26, 9)
    hours = close.size // 60
    highs, lows = high[: hours * 60].reshape(-1, 60).max(1), low[: hours * 60].reshape(-1, 60).min(1)
    by_hour = talib.ATR(highs, lows, np.ascontiguousarray(mark[59 : hours * 60 : 60]), 14)
    atr_60 = np.concatenate([np.full(59, np.nan), by_hour.repeat(60)])[: close.size]
    settled = np.flatnonzero(~np.isnan(bars[:, 11]))
    rates = np.ascontiguousarray(bars[settled, 11])
    place = np.searchsorted(settled, np.arange(close.size), side="right") - 1
    funding, funding_z = np.where(place >= 0, rates[place], np.nan), np.where(place >= 0, _z(rates, 90)[place], np.nan)
    log_ret = np.diff(np.log(btc_close), prepend=np.nan)
    log_ret[0] = 0.0
    btc_vol = talib.STDDEV(log_ret, 60)
    v = np.log(np.maximum(np.nan_to_num(btc_vol), 1e-12))
    mean = talib.EMA(v, 2880)
    z = (v - mean) / np.sqrt(np.maximum(talib.EMA((v - np.nan_to_num(mean)) ** 2, 2880), 1e-12))
    regime = np.where(z < -0.5, 0.0, np.where(z > 1.5, 2.0, 1.0))
    return np.column_stack([
        talib.ROCP(close, 1), talib.ROCP(close, 5), talib.ROCP(close, 15), atr, atr_60,
        (mark - talib.EMA(mark, 60)) / atr, talib.ADX(high, low, mark, 14), talib.RSI(close, 14),
        _z(np.nan_to_num(macd - signal), 120), _z(close, 20), _z(np.log1p(bars[:, 5]), 60),
        funding, funding_z, (close - bars[:, 10]) / bars[:, 10], talib.ROCP(btc_close, 60), btc_vol, regime,
    ])  # fmt: skip


def _z(x: F64, n: int) -> F64:
    result: F64 = (x - talib.SMA(x, n)) / talib.STDDEV(x, n)
    return result


def measure(plan: Plan) -> Iterator[Figure]:
    """A year of one symbol, BTCUSDT's shared features included, and one minute of fifty."""
    n = plan.size(material.YEAR, 100_000)
    bars, btc = material.bars(n, 1), material.bars(n, 2, price=60_000.0)
    btc_close = np.ascontiguousarray(btc[:, k.BAR_CLOSE])
    _require_equal(bars, btc, btc_close)
    work = f"1 symbol x {n:,} bars, schema v1, market features included"
    references = (
        ("compiled fold with running sums", 2.2, lambda: running_fold(bars, btc_close)),
        ("TA-Lib composition", 1.0, lambda: talib_columns(bars, btc_close)),
    )
    for name, limit, reference in references:  # one by one: what TA-Lib frees decides who faults pages in again
        took = interleave(plan.rounds, {"product": lambda: compute_features(bars, btc), "reference": reference})
        yield at_most(
            *("features", work, took["product"] * 1e3, "ms"),
            limit=None if plan.quick else limit,  # ratios this close are ranked by a year's bars
            reference=f"{name}, {took['reference'] * 1e3:.1f} ms",
            ratio=took["product"] / took["reference"],
        )  # fmt: skip
    yield _online(plan)


def peers(plan: Plan) -> Iterator[Figure]:
    """A minute of fifty symbols by packages that are fed bar by bar: what they have, which is less than the schema."""
    for driver, what in (("talipp_online", "9 indicators"), ("river_online", "11 moments and averages")):
        minutes = plan.size(10, 4)
        with peer(driver, bars=_past(), symbols=ONLINE_SYMBOLS, minutes=minutes) as other:
            step, block = _steps(plan.rounds)
            ours, theirs = in_turn(plan.rounds, step, other)
        took, taken = ours / block, theirs / minutes
        yield Figure(
            *("features", f"one bar of {ONLINE_SYMBOLS} symbols online, against a peer", took * 1e6, "us"),
            *(f"{other.name}, {what} of a symbol, {taken * 1e6:.0f} us", taken / took),
        )


def _past() -> F64:
    return material.bars(3_000, 3)


def _online(plan: Plan) -> Figure:
    """The kernel's part of a minute; ``minute`` measures the whole way from the socket."""
    some, block = _steps(plan.rounds)
    took = interleave(plan.rounds, {"minutes": some})["minutes"] / block
    return at_most(
        *("features", f"one bar of {ONLINE_SYMBOLS} symbols online, from the bars' array", took * 1e6, "us"),
        limit=40.0,
    )


def _steps(rounds: int) -> tuple[Work, int]:
    """Work that steps on by a block of minutes, for so many rounds and a warm-up, and the minutes of a block."""
    past = _past()
    states, market = np.zeros((ONLINE_SYMBOLS, k.STATE_SIZE)), np.zeros(k.MARKET_SIZE)
    present, out = np.ones(ONLINE_SYMBOLS, np.bool_), np.empty((ONLINE_SYMBOLS, schema.N_FEATURES))
    codes, btc = np.empty(ONLINE_SYMBOLS, np.int64), np.empty(k.BTC_SIZE)
    minutes = [np.ascontiguousarray(np.broadcast_to(row, (ONLINE_SYMBOLS, k.BAR_SIZE))) for row in past]
    at = iter(range(len(minutes)))

    def minute() -> None:
        bars = minutes[next(at)]
        ts = float(bars[0, k.BAR_TS])
        k.btc_step(market, ts, float(bars[0, k.BAR_CLOSE]), btc)
        k.step_many(states, bars, present, ts, btc, out, codes)

    for _ in range(1_500):
        minute()
    block = (len(minutes) - 1_600) // (rounds + 1)

    def some() -> None:
        for _ in range(block):
            minute()

    return some, block


def _require_equal(bars: F64, btc: F64, btc_close: F64) -> None:
    """The references compute the product's features, up to how their averages begin."""
    product, fold = compute_features(bars, btc).values, running_fold(bars, btc_close)
    composed = talib_columns(bars, btc_close)
    rows = slice(min(_WARM, bars.shape[0] // 2), None)
    for name, other, keys in (("fold", fold, schema.KEYS), ("TA-Lib", composed, schema.KEYS[:-1])):
        for key in keys:
            i = schema.INDEX[key]
            known = ~np.isnan(other[rows, i])
            close = np.isclose(product[rows, i][known], other[rows, i][known], rtol=1e-3, atol=1e-5)
            assert close.mean() > 0.999, f"{name} {key}: {close.mean():.4f} of the rows agree"
