"""Steps 1-4 of kernel.md, compiled: ordered exits, pending entries, triggers, funding. Live, the exchange does them.

A fill at the open of bar t uses volume and ATR of the last bar closed before it, which the state holds.
"""

import numpy as np

from packages.common import reasons as rc
from packages.common.jit import inlined, kernel
from packages.common.math import fill_price, liquidation_price, overshoot, slippage_atr, trigger_reference
from services.policy.kernel import PRESENT, TRADABLE
from services.simulator.tables import (
    N_ENTRIES,
    N_LAPSES,
    N_PAYMENTS,
    N_TRADES,
    Constants,
    Events,
    Inputs,
    Ints,
    Out,
    Params,
    State,
)

MINUTE_MS = 60_000


@inlined
def clear_events(events: Events) -> None:
    """Forget the last minute's."""
    for k in range(events.n.size):
        events.n[k] = 0


@kernel
def position_liquidation(state: State, s: int, constants: Constants) -> float:
    """Liquidation price of the open position of symbol ``s`` with the funding booked so far; NaN when there is none."""
    pos = state.positions[s]
    return liquidation_price(
        pos["side"], pos["qty"], pos["entry_fill"], pos["margin"] - pos["funding"], constants.brackets[s]
    )


@inlined
def excursions(state: State, s: int, inputs: Inputs) -> None:
    """MAE and MFE of the open position from the mark's high and low of this bar (step 5)."""
    pos = state.positions[s]
    worst, best = inputs.mark[2, s], inputs.mark[1, s]
    if pos["side"] < 0:
        worst, best = best, worst
    pos["mae"] = max(pos["mae"], pos["side"] * (pos["entry_fill"] - worst) / pos["entry_fill"])
    pos["mfe"] = max(pos["mfe"], pos["side"] * (best - pos["entry_fill"]) / pos["entry_fill"])


@kernel
def count_outcome(state: State, t: int, net: float, params: Params) -> None:
    """Losses in a row over the account; trades that close during a pause do not count."""
    account = state.account[0]
    if t - account["pause_bar"] < params.policy.loss_pause_bars:
        return
    if net < 0.0:
        account["losses"] += 1
        if account["losses"] >= params.policy.max_losses:
            account["losses"] = 0
            account["pause_bar"] = t
    else:
        account["losses"] = 0


@kernel
def close_position(
    state: State,
    s: int,
    t: int,
    reference: float,
    reason: int,
    params: Params,
    constants: Constants,
    events: Events,
) -> None:
    """Leave the position at ``reference`` and write its whole ledger.

    What a liquidation loses beyond the isolated margin, with the fees and funding booked to it, is absorbed.
    """
    pos = state.positions[s]
    side, qty = pos["side"], pos["qty"]
    slip = slippage_atr(qty * reference, state.memory[s]["qm"], params.barriers.slippage_k)
    fill = fill_price(reference, -side, slip, state.memory[s]["atr1"], constants.rules[s]["tick"])
    fee = qty * fill * constants.fee_now
    liquidation_fee = 0.0
    absorbed = 0.0
    realized = side * qty * (fill - pos["entry_fill"])
    if reason == rc.LIQUIDATION:
        liquidation_fee = qty * fill * constants.rules[s]["liquidation_fee"]
        absorbed = max(0.0, -realized + fee + liquidation_fee + pos["funding"] - pos["margin"])
    state.account[0]["wallet"] += realized - fee - liquidation_fee + absorbed

    trade = events.trades[events.n[N_TRADES]]
    events.n[N_TRADES] += 1
    trade["symbol"] = s
    trade["side"] = side
    trade["qty"] = qty
    trade["leverage"] = pos["leverage"]
    trade["margin"] = pos["margin"]
    trade["sl"] = pos["sl"]
    trade["tp"] = pos["tp"]
    trade["entry_bar"] = pos["entry_bar"]
    trade["exit_bar"] = t
    trade["entry_ref"] = pos["entry_ref"]
    trade["entry_fill"] = pos["entry_fill"]
    trade["exit_ref"] = reference
    trade["exit_fill"] = fill
    trade["gross"] = side * qty * (reference - pos["entry_ref"])
    trade["slippage"] = side * qty * ((pos["entry_fill"] - pos["entry_ref"]) + (reference - fill))
    trade["fees"] = pos["fees"] + fee
    trade["liquidation_fee"] = liquidation_fee
    trade["funding"] = pos["funding"]
    trade["absorbed"] = absorbed
    trade["net"] = trade["gross"] - trade["slippage"] - trade["fees"] - liquidation_fee - trade["funding"] + absorbed
    trade["mae"] = pos["mae"]
    trade["mfe"] = pos["mfe"]
    trade["reason"] = reason

    _clear_position(state, s)
    state.memory[s]["exit_bar"] = t
    count_outcome(state, t, trade["net"], params)


@kernel
def _clear_position(state: State, s: int) -> None:
    pos = state.positions[s]
    pos["side"] = 0
    pos["qty"] = 0.0
    pos["entry_ref"] = 0.0
    pos["entry_fill"] = 0.0
    pos["leverage"] = 0
    pos["margin"] = 0.0
    pos["sl"] = 0.0
    pos["tp"] = 0.0
    pos["entry_bar"] = 0
    pos["fees"] = 0.0
    pos["funding"] = 0.0
    pos["mae"] = 0.0
    pos["mfe"] = 0.0
    pos["exit_order"] = 0


@kernel
def clear_pending(state: State, s: int) -> None:
    """Forget the pending entry of symbol ``s``."""
    pending = state.pending[s]
    pending["side"] = 0
    pending["qty"] = 0.0
    pending["leverage"] = 0
    pending["sl"] = 0.0
    pending["tp"] = 0.0
    pending["loss"] = 0.0
    pending["bar"] = 0


@kernel
def _open_position(
    state: State, s: int, t: int, reference: float, params: Params, constants: Constants, events: Events
) -> None:
    pending, pos = state.pending[s], state.positions[s]
    qty = pending["qty"]
    slip = slippage_atr(qty * reference, state.memory[s]["qm"], params.barriers.slippage_k)
    fill = fill_price(reference, pending["side"], slip, state.memory[s]["atr1"], constants.rules[s]["tick"])
    fee = qty * fill * constants.fee_now
    state.account[0]["wallet"] -= fee
    pos["side"] = pending["side"]
    pos["qty"] = qty
    pos["entry_ref"] = reference
    pos["entry_fill"] = fill
    pos["leverage"] = pending["leverage"]
    pos["margin"] = qty * fill / pending["leverage"]
    pos["sl"] = pending["sl"]
    pos["tp"] = pending["tp"]
    pos["entry_bar"] = t
    pos["fees"] = fee
    pos["funding"] = 0.0
    pos["mae"] = 0.0
    pos["mfe"] = 0.0
    pos["exit_order"] = 0
    entry = events.entries[events.n[N_ENTRIES]]
    events.n[N_ENTRIES] += 1
    entry["symbol"] = s
    entry["side"] = pos["side"]
    entry["qty"] = qty
    entry["ref"] = reference
    entry["fill"] = fill
    entry["fee"] = fee
    clear_pending(state, s)


@kernel
def _lapse(state: State, s: int, code: int, events: Events) -> None:
    lapse = events.lapses[events.n[N_LAPSES]]
    events.n[N_LAPSES] += 1
    lapse["symbol"] = s
    lapse["side"] = state.pending[s]["side"]
    lapse["qty"] = state.pending[s]["qty"]
    lapse["code"] = code
    clear_pending(state, s)


@kernel
def _enter(state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, events: Events) -> None:
    """Step 2 for one symbol: lapse, or fill at the open and leave at once where the mark is already past a level."""
    flags = inputs.flags[s]
    if not flags & PRESENT:
        _lapse(state, s, rc.DATA_STALE, events)
        return
    if not flags & TRADABLE:
        _lapse(state, s, rc.SYMBOL_NOT_TRADABLE, events)
        return
    if state.positions[s]["side"] != 0:  # only an overwritten live state can hold both
        _lapse(state, s, rc.ALREADY_IN_POSITION, events)
        return
    last_open, mark_open = inputs.last[0, s], inputs.mark[0, s]
    _open_position(state, s, t, last_open, params, constants, events)
    pos = state.positions[s]
    side = pos["side"]
    reason = 0
    if side * (mark_open - position_liquidation(state, s, constants)) <= 0.0:
        reason = rc.LIQUIDATION
    elif side * (mark_open - pos["sl"]) <= 0.0:
        reason = rc.SL_GAP
    elif side * (mark_open - pos["tp"]) >= 0.0:
        reason = rc.TP_GAP
    if reason != 0:
        excursions(state, s, inputs)
        close_position(state, s, t, last_open, reason, params, constants, events)


@kernel
def _trigger(
    state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, events: Events
) -> None:
    """Step 3 for one open position on a bar that exists."""
    pos = state.positions[s]
    side, sl, tp = pos["side"], pos["sl"], pos["tp"]
    last_open, high, low = inputs.last[0, s], inputs.last[1, s], inputs.last[2, s]
    mark_open = inputs.mark[0, s]
    worst, best = inputs.mark[2, s], inputs.mark[1, s]
    if side < 0:
        worst, best = best, worst
    level = position_liquidation(state, s, constants)
    reason = 0
    reference = last_open
    if side * (mark_open - level) <= 0.0:
        reason = rc.LIQUIDATION
    elif side * (mark_open - sl) <= 0.0:
        reason = rc.SL
    elif side * (mark_open - tp) >= 0.0:
        reason = rc.TP
    else:
        # the nearer of liquidation and SL is met first, and meeting the farther one implies the nearer
        stop, stop_reason = sl, rc.SL
        if side * (level - sl) >= 0.0:
            stop, stop_reason = level, rc.LIQUIDATION
        if side * (worst - stop) <= 0.0:
            reason = stop_reason
            reference = trigger_reference(stop, last_open, mark_open, low, high)
            reference = overshoot(side, reference, low, high, params.barriers.stop_overshoot)
        elif side * (best - tp) >= 0.0:
            reason = rc.TP
            reference = trigger_reference(tp, last_open, mark_open, low, high)
    if reason != 0:
        excursions(state, s, inputs)
        close_position(state, s, t, reference, reason, params, constants, events)


@kernel
def find_active(state: State, active: Ints) -> None:
    """List the symbols that hold a position or a pending entry, so that a minute need not look at the others."""
    count = 0
    for s in range(state.positions.size):
        if state.positions[s]["side"] != 0 or state.pending[s]["side"] != 0:
            count += 1
            active[count] = s
    active[0] = count


@kernel
def _pay_funding(state: State, s: int, rate: float, mark: float, events: Events) -> None:
    pos = state.positions[s]
    amount = pos["side"] * pos["qty"] * mark * rate
    state.account[0]["wallet"] -= amount
    pos["funding"] += amount
    payment = events.payments[events.n[N_PAYMENTS]]
    events.n[N_PAYMENTS] += 1
    payment["symbol"] = s
    payment["rate"] = rate
    payment["amount"] = amount


@inlined
def execute_active(
    state: State, inputs: Inputs, params: Params, constants: Constants, events: Events, active: Ints
) -> None:
    """``execute`` where ``active`` already says which symbols hold something."""
    clear_events(events)
    count = active[0]
    if count == 0:
        return
    t = inputs.ts_ms // MINUTE_MS
    for i in range(1, count + 1):
        s = active[i]
        pos = state.positions[s]
        if pos["side"] != 0 and pos["exit_order"] != 0 and inputs.flags[s] & PRESENT:
            close_position(state, s, t, inputs.last[0, s], pos["exit_order"], params, constants, events)
    for i in range(1, count + 1):
        if state.pending[active[i]]["side"] != 0:
            _enter(state, active[i], t, inputs, params, constants, events)
    for i in range(1, count + 1):
        s = active[i]
        if state.positions[s]["side"] != 0 and inputs.flags[s] & PRESENT:
            _trigger(state, s, t, inputs, params, constants, events)
    for i in range(1, count + 1):
        s = active[i]
        if state.positions[s]["side"] != 0 and not np.isnan(inputs.rate[s]):
            mark = inputs.mark[3, s] if inputs.flags[s] & PRESENT else state.memory[s]["mark"]
            _pay_funding(state, s, inputs.rate[s], mark, events)


@kernel
def execute(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Steps 1-4 on bar t: fill what was ordered at t-1, test the triggers, pay funding. Fills ``out.events`` anew."""
    find_active(state, out.scratch.active)
    execute_active(state, inputs, params, constants, out.events, out.scratch.active)
