"""Arithmetic that labels, policy, risk and simulator must agree on to the last bit (kernel.md, D20-D22).

Compiled scalar functions in float64. Prices and money in quote units, quantities in base units, ``side`` is +1 (long)
or -1 (short). A tick or step of 0 means "no filter": nothing is rounded. Comparisons with NaN are false, so that a
missing level is never touched.
"""

import math

import numpy as np
from numpy.typing import NDArray

from packages.common.jit import kernel

Array = NDArray[np.float64]

GRID_TOLERANCE = 1e-9  # of a tick or step: what float noise may add to a price that stands on the grid
MAX_VOLUME_RATIO = 100.0  # notional / quote volume counts at most this much

# Columns of a bracket table (n_brackets, 4), ascending by cap; a row of NaN means that none are known.
CAP, MMR, CUM, BRACKET_LEVERAGE = 0, 1, 2, 3


@kernel
def round_down(value: float, grid: float) -> float:
    """Largest multiple of ``grid`` not above ``value``; a value within the tolerance below a multiple is that one."""
    if not grid > 0.0:
        return value
    return math.floor(value / grid + GRID_TOLERANCE) * grid


@kernel
def round_up(value: float, grid: float) -> float:
    """Smallest multiple of ``grid`` not below ``value``; a value within the tolerance above a multiple is that one."""
    if not grid > 0.0:
        return value
    return math.ceil(value / grid - GRID_TOLERANCE) * grid


@kernel
def round_nearest(value: float, grid: float) -> float:
    """Nearest multiple of ``grid``, ties up."""
    if not grid > 0.0:
        return value
    return math.floor(value / grid + 0.5 + GRID_TOLERANCE) * grid


@kernel
def slippage_atr(notional: float, volume: float, slippage_k: float) -> float:
    """Slippage of a market order in 1m ATRs (D21): ``slippage_k * (1 + sqrt(notional / volume))``.

    ``volume`` is the median quote volume of the last 60 closed bars. The ratio counts at most 100, and 100 where the
    volume is 0 (or unknown), also for a notional of 0.
    """
    ratio = MAX_VOLUME_RATIO
    if volume > 0.0:
        ratio = min(notional / volume, MAX_VOLUME_RATIO)
    return slippage_k * (1.0 + math.sqrt(ratio))


@kernel
def fill_price(reference: float, direction: int, slip: float, atr1: float, tick: float) -> float:
    """The reference moved against us by ``slip * atr1`` and rounded against us: buys (+1) up, sells (-1) down."""
    moved = reference + direction * slip * atr1
    if direction > 0:
        return round_up(moved, tick)
    return round_down(moved, tick)


@kernel
def stop_fraction(k_sl: float, risk_mae_atr: float, atr_fraction: float) -> float:
    """Distance of the SL as a fraction of the price; ``atr_fraction`` is ATR / price."""
    return min(k_sl, risk_mae_atr) * atr_fraction


@kernel
def stop_price(price: float, side: int, stop: float, tick: float) -> float:
    """SL at ``price * (1 - side * stop)``, rounded away from the entry."""
    level = price * (1.0 - side * stop)
    if side > 0:
        return round_down(level, tick)
    return round_up(level, tick)


@kernel
def target_price(price: float, side: int, target: float, tick: float) -> float:
    """TP at ``price * (1 + side * target)``, rounded to the nearest tick."""
    return round_nearest(price * (1.0 + side * target), tick)


@kernel
def overshoot(side: int, reference: float, low: float, high: float, share: float) -> float:
    """Where a stop at ``reference`` is left: ``share`` of the way on to the bar's worst price."""
    if side > 0:
        return reference - share * (reference - low)
    return reference + share * (high - reference)


@kernel
def trigger_reference(level: float, last_open: float, mark_open: float, low: float, high: float) -> float:
    """Last price at which a mark level is met: the level moved by the basis at the open, kept inside the bar."""
    return min(max(level + (last_open - mark_open), low), high)


@kernel
def round_trip_loss(stop: float, fee_rate: float, slip: float, atr1: float, price: float) -> float:
    """Loss at the SL as a fraction of the notional, fees and slippage of both fills included."""
    return stop + 2.0 * fee_rate + 2.0 * slip * atr1 / price


@kernel
def loss_label(stop: float, fee_spec: float, slippage_k: float, atr1: float, price: float) -> float:
    """The loss at the SL that the label planned: its own fee, and slippage without market impact."""
    return round_trip_loss(stop, fee_spec, slippage_k, atr1, price)


@kernel
def bracket_of(notional: float, brackets: Array) -> int:
    """Index of the first bracket whose cap is not below ``notional``; the last one beyond all caps."""
    last: int = brackets.shape[0] - 1
    for i in range(last):
        if notional <= brackets[i, CAP]:
            return i
    return last


@kernel
def liquidation_price(side: int, qty: float, entry_price: float, margin: float, brackets: Array) -> float:
    """Mark price at which an isolated one-way position is liquidated; NaN without quantity or brackets.

    ``(WB + cum - d*q*EP) / (q * (MMR - d))`` with ``margin`` = WB, the initial margin less the funding booked to it,
    and the bracket that holds ``q * LP``. Maintenance margin is convex and piecewise linear in the price, so the
    iteration over brackets is Newton's and ends after at most one visit to each. A long's may be ≤ 0: unreachable.
    """
    if brackets.shape[0] == 0 or not qty > 0.0:
        return math.nan
    at = bracket_of(qty * entry_price, brackets)
    price = math.nan
    for _ in range(brackets.shape[0] + 1):
        mmr, cum = brackets[at, MMR], brackets[at, CUM]
        price = (margin + cum - side * qty * entry_price) / (qty * (mmr - side))
        found = bracket_of(qty * price, brackets)
        if found == at:
            break
        at = found
    return price
