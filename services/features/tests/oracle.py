"""Schema v1 written a second time, slowly, from the formulas: numpy windows per bar, TA-Lib for the recursive averages.

It shares nothing with the product but the names of the keys. Rows are lists of dicts of one symbol without long gaps.
"""

import math
from dataclasses import dataclass

import numpy as np
import talib


@dataclass
class Market:
    """A symbol's bars as plain arrays, and BTC's closes by minute."""

    ts: np.ndarray
    last: np.ndarray  # (n, 4) open high low close
    quote_volume: np.ndarray
    mark: np.ndarray  # (n, 4)
    index: np.ndarray
    settled: np.ndarray
    btc: dict[int, float]


def z_of_last(window: np.ndarray) -> float:
    deviation = float(np.std(window))
    if deviation <= 1e-12 * float(np.max(np.abs(window))):
        return 0.0
    return float((window[-1] - np.mean(window)) / deviation)


def windowed_z(values: np.ndarray, n: int) -> np.ndarray:
    out = np.full(values.size, math.nan)
    for t in range(n - 1, values.size):
        out[t] = z_of_last(values[t - n + 1 : t + 1])
    return out


def shifted_return(values: np.ndarray, n: int) -> np.ndarray:
    out = np.full(values.size, math.nan)
    out[n:] = values[n:] / values[:-n] - 1.0
    return out


def talib_or_nan(function, *series, size: int, **kwargs) -> np.ndarray:
    """TA-Lib on the tail that holds values (NaN at the start kept)."""
    first = max(int(np.argmax(~np.isnan(s))) for s in series)
    out = np.full(size, math.nan)
    if size - first > 1:
        out[first:] = function(*(np.ascontiguousarray(s[first:], dtype=np.float64) for s in series), **kwargs)
    return out


def hourly_atr(ts: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """ATR 14 over complete clock hours, held from the minute that closes each until the next."""
    hours: dict[int, list[int]] = {}
    for i, t in enumerate(ts):
        hours.setdefault(int(t) // 3_600_000, []).append(i)
    closed = [rows for rows in hours.values() if len(rows) == 60]
    out = np.full(ts.size, math.nan)
    if len(closed) < 15:
        return out
    high = np.array([mark[rows, 1].max() for rows in closed])
    low = np.array([mark[rows, 2].min() for rows in closed])
    close = np.array([mark[rows[-1], 3] for rows in closed])
    atr = talib.ATR(high, low, close, 14)
    for rows, value in zip(closed, atr, strict=True):
        out[rows[-1] :] = value
    return out


def funding(settled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rates: list[float] = []
    rate, deviation = np.full(settled.size, math.nan), np.full(settled.size, math.nan)
    for t, value in enumerate(settled):
        if not math.isnan(value):
            rates.append(float(value))
        if rates:
            rate[t] = rates[-1]
        if len(rates) >= 10:
            deviation[t] = z_of_last(np.array(rates[-90:]))
    return rate, deviation


def btc_features(closes: np.ndarray) -> np.ndarray:
    """Rows (m, 3) for BTC's consecutive bars."""
    out = np.full((closes.size, 3), math.nan)
    log_returns = np.diff(np.log(closes))
    alpha = 1 - 0.5 ** (1 / 1440)
    m = s2 = math.nan
    seen, regime = 0, math.nan
    for t in range(closes.size):
        if t >= 60:
            out[t, 0] = closes[t] / closes[t - 60] - 1
            vol = float(np.std(log_returns[t - 60 : t]))
            out[t, 1] = vol
            if vol != 0:
                v = math.log(vol)
                if seen == 0:
                    m, s2 = v, 0.0
                else:
                    delta = v - m
                    m, s2 = m + alpha * delta, (1 - alpha) * (s2 + alpha * delta * delta)
                seen += 1
                z = (v - m) / math.sqrt(s2) if s2 > 0 else 0.0
                regime = 0.0 if z < -0.5 else 2.0 if z > 1.5 else 1.0
        if seen >= 1440:
            out[t, 2] = regime
    return out


def features(market: Market) -> dict[str, np.ndarray]:
    n = market.ts.size
    close = market.last[:, 3]
    high, low, mark = market.mark[:, 1], market.mark[:, 2], market.mark[:, 3]
    atr = talib.ATR(high, low, mark, 14)
    ema = talib.EMA(mark, 60)
    macd = talib.EMA(close, 12) - talib.EMA(close, 26)
    histogram = macd - talib_or_nan(talib.EMA, macd, size=n, timeperiod=9)
    histogram_z = np.full(n, math.nan)
    first = 25 + 8
    if n > first:
        histogram_z[first:] = windowed_z(histogram[first:], 120)
    rate, deviation = funding(market.settled)
    btc_rows = {}
    minutes = sorted(market.btc)
    for minute, row in zip(minutes, btc_features(np.array([market.btc[m] for m in minutes])), strict=True):
        btc_rows[minute] = row
    btc = np.array([btc_rows.get(int(t), np.full(3, math.nan)) for t in market.ts])
    return {
        "ret_1": shifted_return(close, 1),
        "ret_5": shifted_return(close, 5),
        "ret_15": shifted_return(close, 15),
        "atr": atr,
        "atr_60": hourly_atr(market.ts, market.mark),
        "ema_dist_atr": (mark - ema) / atr,
        "adx": talib.ADX(high, low, mark, 14),
        "rsi": talib.RSI(close, 14),
        "macd_z": histogram_z,
        "bb_z": windowed_z(close, 20),
        "vol_z": windowed_z(np.log(1 + market.quote_volume), 60),
        "funding_rate": rate,
        "funding_z": deviation,
        "basis": (close - market.index) / market.index,
        "btc_ret_60": btc[:, 0],
        "btc_vol_60": btc[:, 1],
        "btc_regime": btc[:, 2],
    }
