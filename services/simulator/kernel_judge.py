"""Steps 5-9 of kernel.md, compiled: mark, day, halt, time exits, decisions. The same in backtest, shadow and live."""

import numpy as np

from packages.common import reasons as rc
from packages.common.jit import kernel
from packages.common.math import round_down, stop_price, target_price
from services.policy.kernel import (
    ER_LONG,
    ER_SHORT,
    FLATTEN,
    KILL_SWITCH_ON,
    PRESENT,
    STOP_PATH_OK,
    TRADING_ON,
    choose,
    clear_notes,
    count_unusable,
    ev_bound,
    gates,
    note,
)
from services.risk.kernel import (
    FIRST_LIMIT,
    N_LIMITS,
    Candidate,
    Room,
    beta_or_one,
    book_add,
    measure,
    position_risk,
    primary_limit,
    tier_or_last,
    too_small,
)
from services.simulator.kernel_execute import MINUTE_MS, excursions
from services.simulator.tables import Constants, Floats, Inputs, Out, Params, Rows, State

DAY_MS = 86_400_000

# What a minute is asked for: only what trades depend on, or every row with every reason.
TRADES_ONLY, ALL_ROWS = 0, 1


@kernel
def used_margin(state: State) -> float:
    """Σ notional / leverage of the open positions at the last mark, quote units."""
    total = 0.0
    for s in range(state.positions.size):
        pos = state.positions[s]
        if pos["side"] != 0:
            total += pos["qty"] * state.mark[s] / pos["leverage"]
    return total


@kernel
def equity(state: State, mark: Floats) -> float:
    """Wallet plus the unrealized PnL at ``mark`` (S,); symbols without a position may be NaN."""
    open_pnl = 0.0
    for s in range(state.positions.size):
        pos = state.positions[s]
        if pos["side"] != 0:
            open_pnl += pos["side"] * pos["qty"] * (mark[s] - pos["entry_fill"])
    return float(state.account[0]["wallet"] + open_pnl)


@kernel
def _mark(state: State, inputs: Inputs) -> None:
    """Step 5: what this bar taught, excursions of the open positions."""
    for s in range(inputs.flags.size):
        if inputs.flags[s] & PRESENT:
            state.mark[s] = inputs.mark[3, s]
            if inputs.qm[s] >= 0.0:
                state.qm[s] = inputs.qm[s]
            if inputs.atr1[s] > 0.0:
                state.atr1[s] = inputs.atr1[s]
    for s in range(inputs.flags.size):
        if state.positions[s]["side"] != 0 and inputs.flags[s] & PRESENT:
            excursions(state, s, inputs)


@kernel
def _order_exits(state: State, inputs: Inputs, t: int, params: Params) -> None:
    """Steps 7 (orders) and 8, then requests from outside; of several orders the first stands."""
    halted = state.account[0]["halted"] != 0
    for s in range(inputs.flags.size):
        pos = state.positions[s]
        if pos["side"] == 0 or pos["exit_order"] != 0:
            continue
        if halted:
            pos["exit_order"] = rc.HALT
        elif t - pos["entry_bar"] + 1 >= params.barriers.h_bars:
            pos["exit_order"] = rc.TIME
        elif inputs.exit_request[s] != 0:
            pos["exit_order"] = inputs.exit_request[s]
        elif inputs.account_flags & FLATTEN:
            pos["exit_order"] = rc.OPERATOR


@kernel
def day_floor(state: State, params: Params) -> float:
    """Equity at which the day is over."""
    return float(state.account[0]["day_start"] * (1.0 - params.risk.daily_loss_limit_pct))


@kernel
def _day_and_halt(state: State, inputs: Inputs, params: Params) -> None:
    """Steps 5 (equity), 6 and 7 (the latch)."""
    account = state.account[0]
    before = account["equity"]
    account["equity"] = equity(state, state.mark)
    account["bar"] = inputs.ts_ms // MINUTE_MS
    day = inputs.ts_ms // DAY_MS
    if day != account["day"]:
        account["day"] = day
        account["day_start"] = before
        if params.halt_clears_daily:
            account["halted"] = 0
    if account["halted"] == 0 and (account["equity"] <= day_floor(state, params) or account["equity"] <= 0.0):
        account["halted"] = 1
        account["halts"] += 1


@kernel
def _fill_book(state: State, inputs: Inputs, params: Params, constants: Constants, book: Floats) -> None:
    book[:] = 0.0
    for s in range(inputs.flags.size):
        pos = state.positions[s]
        pending = state.pending[s]
        mark, tier, beta = state.mark[s], inputs.tier[s], inputs.beta[s]
        if pos["side"] != 0:
            risk = position_risk(
                pos["side"], pos["qty"], mark, pos["sl"], constants.fee_now,
                state.qm[s], state.atr1[s], params.barriers.slippage_k,
            )  # fmt: skip
            book_add(book, pos["side"], pos["qty"] * mark, pos["leverage"], tier, beta, risk)
        elif pending["side"] != 0:
            notional = pending["qty"] * mark
            book_add(book, pending["side"], notional, pending["leverage"], tier, beta, notional * pending["loss"])


@kernel
def _note_limits(rows: Rows, s: int, room: Room, least: float) -> bool:
    """Record every limit whose room is under ``least``, the binding one first; true when there is one."""
    primary = primary_limit(room)
    if not room.room[primary] < least:
        return False
    note(rows.notes, s, FIRST_LIMIT + primary, room.value[primary], room.limit[primary])
    for i in range(N_LIMITS):
        if i != primary and room.room[i] < least:
            note(rows.notes, s, FIRST_LIMIT + i, room.value[i], room.limit[i])
    return True


@kernel
def _admit(state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Cut the wish of candidate ``s`` to the smallest room; pending entry and book entry, or reasons."""
    rows, room, risk = out.rows, out.scratch.room, params.risk
    price, side, wish, loss = inputs.mark[3, s], rows.best_side[s], rows.wish[s], out.scratch.loss[s]
    account_equity = state.account[0]["equity"]
    sized_on = min(account_equity, params.policy.capital_limit)
    candidate = Candidate(
        side, wish, price, rows.leverage[s], loss, tier_or_last(inputs.tier[s]), beta_or_one(inputs.beta[s]),
        inputs.qm[s], constants.max_qty[s],
    )  # fmt: skip
    day_room = account_equity - day_floor(state, params)
    stop_path_ok = (inputs.account_flags & STOP_PATH_OK) != 0
    measure(room, out.scratch.book, candidate, sized_on, day_room, stop_path_ok, risk)
    if _note_limits(rows, s, room, risk.min_share * wish):
        return
    notional = wish
    for i in range(N_LIMITS):
        notional = min(notional, room.room[i])
    qty = round_down(notional / price, constants.step[s])
    if too_small(qty, price, constants.min_notional[s], constants.min_qty[s], risk):
        least = max(constants.min_notional[s] * risk.min_notional_margin, constants.min_qty[s] * price)
        note(rows.notes, s, rc.MIN_NOTIONAL, qty * price, least)
        return
    size = qty * price
    rows.side[s] = side
    rows.qty[s] = qty
    rows.size_notional[s] = size
    pending = state.pending[s]
    pending["side"] = side
    pending["qty"] = qty
    pending["leverage"] = rows.leverage[s]
    pending["sl"] = rows.sl[s]
    pending["tp"] = rows.tp[s]
    pending["loss"] = loss
    pending["bar"] = t
    book_add(out.scratch.book, side, size, rows.leverage[s], inputs.tier[s], inputs.beta[s], size * loss)


@kernel
def _clear_row(rows: Rows, s: int) -> None:
    rows.side[s] = 0
    rows.best_side[s] = 0
    rows.ev_long[s] = np.nan
    rows.ev_short[s] = np.nan
    rows.wish[s] = np.nan
    rows.size_notional[s] = 0.0
    rows.qty[s] = 0.0
    rows.leverage[s] = 0
    rows.sl[s] = np.nan
    rows.tp[s] = np.nan


@kernel
def _wish(
    state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, out: Out, all_rows: bool
) -> bool:
    """Gates to bracket of symbol ``s``; true when it is a candidate."""
    rows, account = out.rows, state.account[0]
    price = inputs.mark[3, s]
    unusable = count_unusable(inputs.preds, s, inputs.qm[s], inputs.atr[s], inputs.atr1[s])
    in_position = state.positions[s]["side"] != 0 or state.pending[s]["side"] != 0
    passed = gates(
        rows.notes, s, inputs.flags[s], unusable, inputs.account_flags, account["halted"] != 0, account["equity"],
        day_floor(state, params), in_position, t - state.exit_bar[s], t - account["pause_bar"], inputs.regime,
        params.policy,
    )  # fmt: skip
    if not passed:
        return False
    plan = choose(
        rows.notes, s, inputs.preds, price, inputs.atr[s], inputs.atr1[s], inputs.qm[s],
        min(account["equity"], params.policy.capital_limit), inputs.regime, tier_or_last(inputs.tier[s]),
        constants.tick[s], constants.max_qty[s], constants.max_leverage[s], constants.brackets[s], constants.fee_now,
        all_rows, params.barriers, params.policy,
    )  # fmt: skip
    rows.best_side[s] = plan.side
    rows.ev_long[s] = plan.ev_long
    rows.ev_short[s] = plan.ev_short
    rows.wish[s] = plan.wish
    rows.leverage[s] = plan.leverage
    rows.sl[s] = stop_price(price, plan.side, plan.stop, constants.tick[s])
    rows.tp[s] = target_price(price, plan.side, plan.target, constants.tick[s])
    out.scratch.ev[s] = plan.ev_long if plan.side > 0 else plan.ev_short
    out.scratch.loss[s] = plan.loss
    return bool(rows.notes.n[s] == 0)


@kernel
def _nothing_can_enter(state: State, inputs: Inputs, t: int, params: Params) -> bool:
    """True when an account-wide gate blocks every symbol, so that no row needs to be computed to know the trades."""
    account, flags = state.account[0], inputs.account_flags
    if account["halted"] != 0 or flags & KILL_SWITCH_ON or not flags & TRADING_ON or not flags & STOP_PATH_OK:
        return True
    if t - account["pause_bar"] < params.policy.loss_pause_bars:
        return True
    return bool(params.policy.regime_block and inputs.regime == 2)


@kernel
def _decide(
    state: State, inputs: Inputs, t: int, params: Params, constants: Constants, out: Out, all_rows: bool
) -> None:
    """Step 9: rows of all symbols, candidates by EV (ties in universe order), admission one after the other."""
    n = inputs.flags.size
    if not all_rows and _nothing_can_enter(state, inputs, t, params):
        return
    if all_rows:
        clear_notes(out.rows.notes)
    order, ev = out.scratch.order, out.scratch.ev
    least = params.policy.ev_min
    fee_now, barriers = constants.fee_now, params.barriers
    count = 0
    for s in range(n):
        if not all_rows:
            # NaN is no candidate either way: a NaN prediction fails a gate
            if not (
                ev_bound(inputs.preds[ER_LONG, s], fee_now, barriers) > least
                or ev_bound(inputs.preds[ER_SHORT, s], fee_now, barriers) > least
            ):
                continue
            out.rows.notes.n[s] = 0
        _clear_row(out.rows, s)
        if not _wish(state, s, t, inputs, params, constants, out, all_rows):
            continue
        place = count
        while place > 0 and ev[order[place - 1]] < ev[s]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = s
        count += 1
    if count == 0:
        return
    _fill_book(state, inputs, params, constants, out.scratch.book)
    for i in range(count):
        _admit(state, order[i], t, inputs, params, constants, out)


@kernel
def judge(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out, detail: int) -> None:
    """Steps 5-9 on bar t, after ``execute`` or, in live, after the state was overwritten from reconciled fills.

    ``detail`` ALL_ROWS writes every row; TRADES_ONLY leaves ``out.rows`` undefined and decides the same trades.
    """
    t = inputs.ts_ms // MINUTE_MS
    _mark(state, inputs)
    _day_and_halt(state, inputs, params)
    _order_exits(state, inputs, t, params)
    _decide(state, inputs, t, params, constants, out, detail == ALL_ROWS)
