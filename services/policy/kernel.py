"""Gates to bracket of one symbol, compiled (kernel.md "Decision for one symbol", D15, D22, D39).

Everything is a fraction of the price ``p`` unless its name says otherwise; money is in quote units. Block reasons are
written into ``Rows``: all failing ones, the first is the primary one. A note's distance is ``abs(value - limit)``.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common import reasons as rc
from packages.common.jit import kernel
from packages.common.math import (
    BRACKET_LEVERAGE,
    MMR,
    bracket_of,
    liquidation_price,
    loss_label,
    round_trip_loss,
    slippage_atr,
    stop_fraction,
)

Array = NDArray[np.float64]
Table = NDArray[Any]  # structured; the dtype is named beside it

MAX_NOTES = 12  # more codes than any one row can hold: 11 gates, or 5 of the policy, or 10 limits

# Bits of `flags`, one byte per symbol and minute.
PRESENT, TRADABLE, STALE, DRIFT, BAD_FEATURES = 1, 2, 4, 8, 16
# Bits of `account_flags`, one byte per minute.
TRADING_ON, KILL_SWITCH_ON, STOP_PATH_OK, FLATTEN = 1, 2, 4, 8

# Rows of a prediction array (10, n_symbols): the order of packages.common.types.TARGETS.
ER_LONG, Q05_LONG, E_MAE_LONG, E_HOLD_LONG, P_TP_LONG = 0, 1, 2, 3, 4
ER_SHORT, Q05_SHORT, E_MAE_SHORT, E_HOLD_SHORT, P_TP_SHORT = 5, 6, 7, 8, 9
N_TARGETS = 10

TINY = 1e-12  # the ε of kernel.md: only keeps a division finite, since min(1, …) hides its value


class Barriers(NamedTuple):
    """The label specification of the model in use: what was learned is what is traded."""

    k_tp: float
    k_sl: float
    h_bars: int
    risk_mae_atr: float
    fee_spec: float
    slippage_k: float
    stop_overshoot: float


class PolicyParams(NamedTuple):
    """Settings of the policy (§21.2, kernel.md)."""

    ev_min: float = 0.0
    q05_min: float = -0.8  # in ATRs, beyond the planned loss (D39)
    q05_literal: bool = False  # preset `literal`: q05_min alone
    mae_max: float = 1.2  # in ATRs
    risk_per_trade: float = 0.005
    max_symbol_notional_pct: float = 0.4
    participation: float = 0.1  # of the median quote volume
    regime_scale: tuple[float, float, float] = (1.0, 1.0, 0.5)
    regime_block: bool = False  # no entries in regime 2
    q05_penalty: float = 0.1
    mae_penalty: float = 0.1
    min_stop_ticks: float = 5.0
    liquidation_stops: float = 2.0  # the liquidation price is at least this many stops away
    leverage_table: tuple[int, ...] = (5, 3, 3, 4, 3, 3, 3, 3, 3)  # regime × tier
    cooldown_bars: int = 1
    loss_pause_bars: int = 60
    max_losses: int = 8
    capital_limit: float = np.inf  # D44: equity the kernel sizes on


# One block reason; `n_notes` of the row says how many of its MAX_NOTES places are used, the others are 0.
NOTE = np.dtype([("code", "i8"), ("value", "f8"), ("limit", "f8"), ("distance", "f8")])

# The row of one symbol and minute. NaN and 0 where a gate left nothing to compute.
ROW = np.dtype(
    [
        ("side", "i8"),  # decision: +1, -1, or 0 for not traded
        ("best_side", "i8"),  # side with the larger EV, 0 when a gate failed
        ("ev_long", "f8"),
        ("ev_short", "f8"),
        ("wish", "f8"),  # notional the policy wanted
        ("loss", "f8"),  # fraction of the notional lost at the SL, both fills included
        ("size_notional", "f8"),  # qty · p of the admitted entry, 0 when not traded
        ("qty", "f8"),
        ("leverage", "i8"),
        ("sl", "f8"),  # price
        ("tp", "f8"),  # price
        ("n_notes", "i8"),
    ]
)


class Rows(NamedTuple):
    """Rows and their reasons: of a minute ``(S,)``, ``(S, MAX_NOTES)``; of a span with a leading T."""

    table: Table  # ROW
    notes: Table  # NOTE


class Sizing(NamedTuple):
    """What a trade of the symbol would risk and cost, the same for both directions."""

    atr: float
    stop: float
    loss: float  # at the SL, both fills included, at want₀
    planned: float  # what the label planned to lose there
    slip: float  # in ATRs, at want₀


class Plan(NamedTuple):
    """The policy's wish for one symbol; nothing of it is set (NaN, 0) when a gate fails."""

    side: int  # of the larger EV
    ev_long: float
    ev_short: float
    wish: float
    leverage: int
    loss: float
    stop: float
    target: float


@kernel
def note(rows: Rows, s: int, code: int, value: float, limit: float) -> None:
    """Append a reason to the row of symbol ``s``."""
    i = rows.table[s]["n_notes"]
    entry = rows.notes[s, i]
    entry["code"] = code
    entry["value"] = value
    entry["limit"] = limit
    entry["distance"] = abs(value - limit)
    rows.table[s]["n_notes"] = i + 1


@kernel
def clear_row(rows: Rows, s: int) -> None:
    """Empty the row of symbol ``s``, unused reasons included: payloads are compared byte for byte."""
    row = rows.table[s]
    row["side"] = 0
    row["best_side"] = 0
    row["ev_long"] = np.nan
    row["ev_short"] = np.nan
    row["wish"] = np.nan
    row["loss"] = np.nan
    row["size_notional"] = 0.0
    row["qty"] = 0.0
    row["leverage"] = 0
    row["sl"] = np.nan
    row["tp"] = np.nan
    for i in range(row["n_notes"]):
        entry = rows.notes[s, i]
        entry["code"] = 0
        entry["value"] = 0.0
        entry["limit"] = 0.0
        entry["distance"] = 0.0
    row["n_notes"] = 0


@kernel
def count_unusable(preds: Array, s: int, qm: float, atr: float, atr1: float) -> int:
    """How many inputs of symbol ``s`` cannot be used: NaN predictions, and of qm, atr, atr1 those that are not > 0."""
    bad = 0
    for k in range(N_TARGETS):
        if np.isnan(preds[k, s]):
            bad += 1
    for x in (qm, atr, atr1):
        if not x > 0.0:
            bad += 1
    return bad


@kernel
def gates(
    rows: Rows,
    s: int,
    flags: int,
    unusable: int,
    account_flags: int,
    halted: bool,
    equity: float,
    day_floor: float,
    in_position: bool,
    bars_since_exit: int,
    bars_since_pause: int,
    regime: int,
    p: PolicyParams,
) -> bool:
    """Record all failing gates of symbol ``s`` in order; true when none fails."""
    if flags & STALE or not flags & PRESENT:
        note(rows, s, rc.DATA_STALE, 1.0, 0.0)
    bad = unusable + (1 if flags & BAD_FEATURES else 0) + (1 if regime < 0 or regime > 2 else 0)
    if bad > 0:
        note(rows, s, rc.FEATURE_NAN, bad, 0.0)
    if not flags & TRADABLE:
        note(rows, s, rc.SYMBOL_NOT_TRADABLE, 1.0, 0.0)
    if flags & DRIFT:
        note(rows, s, rc.DRIFT_BLOCK, 1.0, 0.0)
    if not account_flags & TRADING_ON:
        note(rows, s, rc.TRADING_OFF, 1.0, 0.0)
    if account_flags & KILL_SWITCH_ON:
        note(rows, s, rc.KILL_SWITCH, 1.0, 0.0)
    if halted:
        note(rows, s, rc.DAILY_LOSS_LIMIT, equity, day_floor)
    if in_position:
        note(rows, s, rc.ALREADY_IN_POSITION, 1.0, 0.0)
    if bars_since_exit < p.cooldown_bars:
        note(rows, s, rc.COOLDOWN, bars_since_exit, p.cooldown_bars)
    if bars_since_pause < p.loss_pause_bars:
        note(rows, s, rc.LOSS_PAUSE, bars_since_pause, p.loss_pause_bars)
    if p.regime_block and regime == 2:
        note(rows, s, rc.REGIME_BLOCK, 2.0, 2.0)
    return bool(rows.table[s]["n_notes"] == 0)


@kernel
def size(
    price: float,
    atr: float,
    atr1: float,
    qm: float,
    equity: float,
    max_qty: float,
    fee_now: float,
    b: Barriers,
    p: PolicyParams,
) -> Sizing:
    """Stop, loss at the stop and slippage of a trade that risks the budget; prices and ATRs in price units."""
    a = atr / price
    stop = stop_fraction(b.k_sl, b.risk_mae_atr, a)
    loss_of_nothing = round_trip_loss(stop, fee_now, slippage_atr(0.0, qm, b.slippage_k), atr1, price)
    want = min(equity * p.risk_per_trade / loss_of_nothing, p.max_symbol_notional_pct * equity)
    want = min(want, max_qty * price, p.participation * qm)
    slip = slippage_atr(want, qm, b.slippage_k)
    loss = round_trip_loss(stop, fee_now, slip, atr1, price)
    return Sizing(a, stop, loss, loss_label(stop, b.fee_spec, b.slippage_k, atr1, price), slip)


@kernel
def extra_fees(fee_now: float, b: Barriers) -> float:
    """What both fills cost now beyond what the label holds: ``er`` less this bounds the EV from above."""
    return 2.0 * (fee_now - b.fee_spec)


@kernel
def expected_value(
    er: float,
    q05: float,
    e_mae: float,
    sizing: Sizing,
    atr1: float,
    price: float,
    fee_now: float,
    b: Barriers,
    p: PolicyParams,
) -> float:
    """EV of one direction (D15): only what costs now beyond what the label already holds is subtracted."""
    cost = extra_fees(fee_now, b) + 2.0 * (sizing.slip - b.slippage_k) * atr1 / price
    penalty = p.q05_penalty * max(0.0, -q05 - sizing.planned) + p.mae_penalty * max(0.0, e_mae - sizing.stop)
    return er - cost - penalty


@kernel
def liquidation_distance(side: int, wish: float, leverage: int, price: float, brackets: Array) -> float:
    """Fraction of the price to the liquidation price of a position of ``wish`` at ``price``; infinite without one."""
    level = liquidation_price(side, wish / price, price, wish / leverage, brackets)
    if np.isnan(level):
        return np.inf
    return side * (price - level) / price


@kernel
def choose_leverage(
    side: int,
    wish: float,
    price: float,
    stop: float,
    regime: int,
    tier: int,
    cap: int,
    brackets: Array,
    p: PolicyParams,
) -> int:
    """Leverage of the table, lowered to what the bracket allows and until the liquidation price is far enough."""
    leverage = min(p.leverage_table[regime * 3 + tier], cap)
    if brackets.shape[0] > 0:
        row = bracket_of(wish, brackets)
        if not np.isnan(brackets[row, MMR]):
            leverage = min(leverage, int(brackets[row, BRACKET_LEVERAGE]))
    leverage = max(leverage, 1)
    need = p.liquidation_stops * stop
    while leverage > 1 and liquidation_distance(side, wish, leverage, price, brackets) < need:
        leverage -= 1
    return leverage


@kernel
def wished_notional(q05: float, sizing: Sizing, equity: float, regime: int, p: PolicyParams) -> float:
    """Notional that risks the budget at the SL, less in wild regimes and where the tail is worse than planned."""
    tail = min(1.0, sizing.planned / abs(min(q05, -TINY)))
    want = equity * p.risk_per_trade / sizing.loss * p.regime_scale[regime] * tail
    return min(want, p.max_symbol_notional_pct * equity)


@kernel
def choose(
    rows: Rows,
    s: int,
    preds: Array,
    price: float,
    atr: float,
    atr1: float,
    qm: float,
    equity: float,
    regime: int,
    tier: int,
    tick: float,
    max_qty: float,
    max_leverage: int,
    brackets: Array,
    fee_now: float,
    all_reasons: bool,
    b: Barriers,
    p: PolicyParams,
) -> Plan:
    """The side with the larger EV (long on a tie), its wish and its reasons; the gates must have passed.

    With ``all_reasons`` false it stops at an EV below the minimum: nothing but the row would depend on the rest.
    """
    sizing = size(price, atr, atr1, qm, equity, max_qty, fee_now, b, p)
    ev_long = expected_value(
        preds[ER_LONG, s], preds[Q05_LONG, s], preds[E_MAE_LONG, s], sizing, atr1, price, fee_now, b, p
    )
    ev_short = expected_value(
        preds[ER_SHORT, s], preds[Q05_SHORT, s], preds[E_MAE_SHORT, s], sizing, atr1, price, fee_now, b, p
    )
    side, ev, q05, e_mae = 1, ev_long, preds[Q05_LONG, s], preds[E_MAE_LONG, s]
    if ev_short > ev_long:
        side, ev, q05, e_mae = -1, ev_short, preds[Q05_SHORT, s], preds[E_MAE_SHORT, s]
    if ev <= p.ev_min:
        note(rows, s, rc.EV_BELOW_MIN, ev, p.ev_min)
        if not all_reasons:
            return Plan(side, ev_long, ev_short, np.nan, 0, sizing.loss, sizing.stop, b.k_tp * sizing.atr)
    q05_limit = p.q05_min * sizing.atr - (0.0 if p.q05_literal else sizing.planned)
    if q05 < q05_limit:
        note(rows, s, rc.Q05_BELOW_MIN, q05, q05_limit)
    if e_mae > p.mae_max * sizing.atr:
        note(rows, s, rc.MAE_ABOVE_MAX, e_mae, p.mae_max * sizing.atr)
    if sizing.stop * price < p.min_stop_ticks * tick:
        note(rows, s, rc.STOP_TOO_TIGHT, sizing.stop * price / tick, p.min_stop_ticks)
    wish = wished_notional(q05, sizing, equity, regime, p)
    leverage = choose_leverage(side, wish, price, sizing.stop, regime, tier, max_leverage, brackets, p)
    distance = liquidation_distance(side, wish, leverage, price, brackets)
    if distance < p.liquidation_stops * sizing.stop:
        note(rows, s, rc.LIQUIDATION_TOO_NEAR, distance, p.liquidation_stops * sizing.stop)
    return Plan(side, ev_long, ev_short, wish, leverage, sizing.loss, sizing.stop, b.k_tp * sizing.atr)
