"""Labels written a second time, bar by bar in plain Python, from decision D14 alone."""

import math


def label(i, ts, high, low, close, mark, atr, rate, next_funding, spec, direction, atr_slip):
    """The label of row ``i`` as a dict, or None where it has none. Lists in, Python floats throughout."""
    entry, a = mark[i], atr[i]
    if math.isnan(entry) or entry <= 0 or math.isnan(a) or a <= 0:
        return None
    if math.isnan(atr_slip[i]) or atr_slip[i] <= 0:
        return None
    window = range(i + 1, i + spec["h_bars"] + 1)
    if window[-1] >= len(ts):
        return None
    stop = min(spec["k_sl"], spec["risk_mae_atr"])
    long = direction == 1
    tp = entry + spec["k_tp"] * a if long else entry - spec["k_tp"] * a
    sl = entry - stop * a if long else entry + stop * a
    y, exit_bar, price = 0, window[-1], close[window[-1]]
    for j in window:
        hit_sl = low[j] <= sl if long else high[j] >= sl
        hit_tp = high[j] >= tp if long else low[j] <= tp
        if hit_sl:
            y, exit_bar = -1, j
            price = (
                sl - spec["stop_overshoot"] * (sl - low[j]) if long else sl + spec["stop_overshoot"] * (high[j] - sl)
            )
            break
        if hit_tp:
            y, exit_bar, price = 1, j, tp
            break
    seen = range(i + 1, exit_bar + 1)
    worst = min(low[j] for j in seen) if long else max(high[j] for j in seen)
    best = max(high[j] for j in seen) if long else min(low[j] for j in seen)
    paid = 0.0
    for j in range(len(ts)):
        if not ts[j] < next_funding[j] <= ts[j] + 60_000:
            continue
        instant = next_funding[j]
        before_end = instant <= ts[exit_bar] + 60_000 if y == 0 else instant < ts[exit_bar] + 60_000
        if ts[i] + 60_000 < instant and before_end:
            paid += rate[j]
    gross = direction * (price - entry) / entry
    fees = 2 * spec["fee_rate"]
    slippage = 2 * spec["slippage_k"] * atr_slip[i] / entry
    funding = direction * paid
    return {
        "y": float(y),
        "ret_net": gross - fees - slippage - funding,
        "mae": max(direction * (entry - worst) / entry, 0.0),
        "mfe": max(direction * (best - entry) / entry, 0.0),
        "time_to_event_min": float(exit_bar - i),
        "ret_gross": gross,
        "fees": fees,
        "slippage": slippage,
        "funding": funding,
    }
