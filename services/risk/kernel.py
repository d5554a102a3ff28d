"""Admission over symbols, compiled (kernel.md "Admission over symbols", D23).

A *book* is what the account holds: positions, pending entries and what was admitted before, summed up so that the room
of each limit is one subtraction. Exposure is at the mark, margin is notional / leverage, money in quote units.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common import reasons as rc
from packages.common.jit import kernel
from packages.common.math import slippage_atr

Array = NDArray[np.float64]

# Places of a book, float64 (BOOK_SIZE,).
TOTAL, LONG, SHORT, TIER_A, BETA, MARGIN, RISK, COUNT = 0, 1, 2, 3, 6, 7, 8, 9
BOOK_SIZE = 10

# The limits in their order; limit i has the code FIRST_LIMIT + i.
FIRST_LIMIT = rc.MAX_POSITIONS
N_LIMITS = 10

NO_TIER = 2  # a tier outside A, B, C is the most restricted one


class RiskParams(NamedTuple):
    """Settings of the guards (§21.3, kernel.md); `_pct` are multiples of the equity."""

    max_positions: int = 6
    max_total_notional_pct: float = 1.2
    max_directional_notional_pct: float = 0.8
    tier_caps: tuple[float, float, float] = (1.2, 0.6, 0.3)
    beta_cap: float = 0.8
    max_used_margin_pct: float = 0.35
    daily_loss_limit_pct: float = 0.02
    participation: float = 0.1  # of the median quote volume
    min_share: float = 0.25  # of the wish: less is not worth an entry
    min_notional_margin: float = 1.02


class Candidate(NamedTuple):
    """One entry that asks to be admitted."""

    side: int
    wish: float
    price: float
    leverage: int
    loss: float  # fraction of the notional lost at the SL
    tier: int
    beta: float
    qm: float
    max_qty: float


# Rows of a room table, float64 (3, N_LIMITS): what the limit would be at with the whole wish, the limit itself, and the
# notional it leaves.
VALUE, LIMIT, ROOM = 0, 1, 2


@kernel
def beta_or_one(beta: float) -> float:
    """An unknown beta counts as the market's."""
    return 1.0 if np.isnan(beta) else beta


@kernel
def tier_or_last(tier: int) -> int:
    """0, 1, 2 for A, B, C; anything else counts as C."""
    return tier if 0 <= tier <= 2 else NO_TIER


@kernel
def position_risk(
    side: int, qty: float, mark: float, sl: float, fee_now: float, qm: float, atr1: float, slippage_k: float
) -> float:
    """What closing an open position at its SL would still cost, seen from the mark."""
    notional = qty * mark
    exit_cost = notional * (fee_now + slippage_atr(notional, qm, slippage_k) * atr1 / mark)
    return max(0.0, side * qty * (mark - sl)) + exit_cost


@kernel
def book_add(book: Array, side: int, notional: float, leverage: int, tier: int, beta: float, risk: float) -> None:
    """Add one position, pending entry or admitted entry."""
    book[TOTAL] += notional
    book[LONG if side > 0 else SHORT] += notional
    book[TIER_A + tier_or_last(tier)] += notional
    book[BETA] += side * beta_or_one(beta) * notional
    book[MARGIN] += notional / leverage
    book[RISK] += risk
    book[COUNT] += 1.0


@kernel
def _set(room: Array, code: int, used: float, ask: float, limit: float, unit: float) -> None:
    i = code - FIRST_LIMIT
    room[VALUE, i] = used + ask
    room[LIMIT, i] = limit
    room[ROOM, i] = np.inf if unit == 0.0 else (limit - used) / unit


@kernel
def measure(
    room: Array, book: Array, c: Candidate, equity: float, day_room: float, stop_path_ok: bool, p: RiskParams
) -> None:
    """Fill ``room`` for a candidate. ``equity`` is what the kernel sizes on, ``day_room`` the day's loss still allowed
    (equity - day start * (1 - limit)), before what the book already risks."""
    beta = beta_or_one(c.beta)
    tier = tier_or_last(c.tier)
    sign = 1.0 if beta > 0.0 else (-1.0 if beta < 0.0 else 0.0)
    same_side = book[LONG] if c.side > 0 else book[SHORT]
    _set(room, rc.MAX_POSITIONS, book[COUNT], 1.0, p.max_positions, 0.0)
    if book[COUNT] >= p.max_positions:
        room[ROOM, 0] = -np.inf  # before every other limit, and not even for a wish of 0
    _set(room, rc.MAX_TOTAL_NOTIONAL, book[TOTAL], c.wish, p.max_total_notional_pct * equity, 1.0)
    _set(room, rc.MAX_DIRECTIONAL_NOTIONAL, same_side, c.wish, p.max_directional_notional_pct * equity, 1.0)
    _set(room, rc.TIER_CAP, book[TIER_A + tier], c.wish, p.tier_caps[tier] * equity, 1.0)
    _set(room, rc.BETA_CAP, c.side * sign * book[BETA], abs(beta) * c.wish, p.beta_cap * equity, abs(beta))
    _set(room, rc.MAX_USED_MARGIN, book[MARGIN], c.wish / c.leverage, p.max_used_margin_pct * equity, 1.0 / c.leverage)
    _set(room, rc.DAY_RISK_BUDGET, book[RISK], c.wish * c.loss, day_room, c.loss)
    _set(room, rc.MARKET_QTY, 0.0, c.wish / c.price, c.max_qty, 1.0 / c.price)
    _set(room, rc.PARTICIPATION, 0.0, c.wish, p.participation * c.qm, 1.0)
    _set(room, rc.STOP_PATH_UNPROVEN, 0.0, 1.0, 0.0, 0.0)
    if not stop_path_ok:
        room[ROOM, rc.STOP_PATH_UNPROVEN - FIRST_LIMIT] = 0.0


@kernel
def primary_limit(room: Array) -> int:
    """Index of the limit that binds: the smallest room, the first on a tie."""
    smallest = 0
    for i in range(1, N_LIMITS):
        if room[ROOM, i] < room[ROOM, smallest]:
            smallest = i
    return smallest


@kernel
def too_small(qty: float, price: float, min_notional: float, min_qty: float, p: RiskParams) -> bool:
    """Under the exchange's minimum, or under the minimum notional plus its margin."""
    return qty * price < min_notional * p.min_notional_margin or qty < min_qty or not qty > 0.0
