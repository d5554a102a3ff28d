"""Steps 5-9 of kernel.md, compiled: mark, day, halt, time exits, decisions. The same in backtest, shadow and live."""

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
    Rows,
    choose,
    clear_row,
    count_unusable,
    ev_bound,
    gates,
    note,
)
from services.risk.kernel import (
    FIRST_LIMIT,
    LIMIT,
    N_LIMITS,
    ROOM,
    VALUE,
    Candidate,
    beta_or_one,
    book_add,
    measure,
    position_risk,
    primary_limit,
    tier_or_last,
    too_small,
)
from services.simulator.kernel_execute import MINUTE_MS, excursions
from services.simulator.tables import Constants, Floats, Inputs, Out, Params, State

DAY_MS = 86_400_000


@kernel
def used_margin(state: State) -> float:
    """Σ notional / leverage of the open positions at the last mark, quote units."""
    total = 0.0
    for s in range(state.positions.size):
        pos = state.positions[s]
        if pos["side"] != 0:
            total += pos["qty"] * state.memory[s]["mark"] / pos["leverage"]
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
def _equity_at_last_marks(state: State) -> float:
    open_pnl = 0.0
    for s in range(state.positions.size):
        pos = state.positions[s]
        if pos["side"] != 0:
            open_pnl += pos["side"] * pos["qty"] * (state.memory[s]["mark"] - pos["entry_fill"])
    return float(state.account[0]["wallet"] + open_pnl)


@kernel
def _mark(state: State, inputs: Inputs) -> None:
    """Step 5: what this bar taught, excursions of the open positions."""
    for s in range(inputs.flags.size):
        if inputs.flags[s] & PRESENT:
            memory = state.memory[s]
            memory["mark"] = inputs.mark[3, s]
            if inputs.qm[s] >= 0.0:
                memory["qm"] = inputs.qm[s]
            if inputs.atr1[s] > 0.0:
                memory["atr1"] = inputs.atr1[s]
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
    account["equity"] = _equity_at_last_marks(state)
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
    for i in range(book.size):
        book[i] = 0.0
    for s in range(inputs.flags.size):
        pos = state.positions[s]
        pending = state.pending[s]
        mark, tier, beta = state.memory[s]["mark"], inputs.tier[s], inputs.beta[s]
        if pos["side"] != 0:
            risk = position_risk(
                pos["side"], pos["qty"], mark, pos["sl"], constants.fee_now,
                state.memory[s]["qm"], state.memory[s]["atr1"], params.barriers.slippage_k,
            )  # fmt: skip
            book_add(book, pos["side"], pos["qty"] * mark, pos["leverage"], tier, beta, risk)
        elif pending["side"] != 0:
            notional = pending["qty"] * mark
            book_add(book, pending["side"], notional, pending["leverage"], tier, beta, notional * pending["loss"])


@kernel
def _note_limits(rows: Rows, s: int, room: Floats, least: float) -> bool:
    """Record every limit whose room is under ``least``, the binding one first; true when there is one."""
    primary = primary_limit(room)
    if not room[ROOM, primary] < least:
        return False
    note(rows, s, FIRST_LIMIT + primary, room[VALUE, primary], room[LIMIT, primary])
    for i in range(N_LIMITS):
        if i != primary and room[ROOM, i] < least:
            note(rows, s, FIRST_LIMIT + i, room[VALUE, i], room[LIMIT, i])
    return True


@kernel
def _admit(state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Cut the wish of candidate ``s`` to the smallest room; pending entry and book entry, or reasons."""
    rows, room, risk = out.rows, out.scratch.room, params.risk
    row = rows.table[s]
    price, side, wish, loss = inputs.mark[3, s], row["best_side"], row["wish"], row["loss"]
    account_equity = state.account[0]["equity"]
    sized_on = min(account_equity, params.policy.capital_limit)
    candidate = Candidate(
        side, wish, price, row["leverage"], loss, tier_or_last(inputs.tier[s]), beta_or_one(inputs.beta[s]),
        inputs.qm[s], constants.rules[s]["max_qty"],
    )  # fmt: skip
    day_room = account_equity - day_floor(state, params)
    stop_path_ok = (inputs.account_flags & STOP_PATH_OK) != 0
    measure(room, out.scratch.book, candidate, sized_on, day_room, stop_path_ok, risk)
    if _note_limits(rows, s, room, risk.min_share * wish):
        return
    notional = wish
    for i in range(N_LIMITS):
        notional = min(notional, room[ROOM, i])
    qty = round_down(notional / price, constants.rules[s]["step"])
    rules = constants.rules[s]
    if too_small(qty, price, rules["min_notional"], rules["min_qty"], risk):
        least = max(rules["min_notional"] * risk.min_notional_margin, rules["min_qty"] * price)
        note(rows, s, rc.MIN_NOTIONAL, qty * price, least)
        return
    size = qty * price
    row["side"] = side
    row["qty"] = qty
    row["size_notional"] = size
    pending = state.pending[s]
    pending["side"] = side
    pending["qty"] = qty
    pending["leverage"] = row["leverage"]
    pending["sl"] = row["sl"]
    pending["tp"] = row["tp"]
    pending["loss"] = loss
    pending["bar"] = t
    book_add(out.scratch.book, side, size, row["leverage"], inputs.tier[s], inputs.beta[s], size * loss)


@kernel
def _wish(state: State, s: int, t: int, inputs: Inputs, params: Params, constants: Constants, out: Out) -> bool:
    """Gates to bracket of symbol ``s``; true when it is a candidate."""
    rows, account = out.rows, state.account[0]
    row = rows.table[s]
    price = inputs.mark[3, s]
    unusable = count_unusable(inputs.preds, s, inputs.qm[s], inputs.atr[s], inputs.atr1[s])
    in_position = state.positions[s]["side"] != 0 or state.pending[s]["side"] != 0
    passed = gates(
        rows, s, inputs.flags[s], unusable, inputs.account_flags, account["halted"] != 0, account["equity"],
        day_floor(state, params), in_position, t - state.memory[s]["exit_bar"], t - account["pause_bar"], inputs.regime,
        params.policy,
    )  # fmt: skip
    if not passed:
        return False
    rules = constants.rules[s]
    plan = choose(
        rows, s, inputs.preds, price, inputs.atr[s], inputs.atr1[s], inputs.qm[s],
        min(account["equity"], params.policy.capital_limit), inputs.regime, tier_or_last(inputs.tier[s]),
        rules["tick"], rules["max_qty"], rules["max_leverage"], constants.brackets[s], constants.fee_now,
        out.all_rows, params.barriers, params.policy,
    )  # fmt: skip
    row["best_side"] = plan.side
    row["ev_long"] = plan.ev_long
    row["ev_short"] = plan.ev_short
    row["wish"] = plan.wish
    row["leverage"] = plan.leverage
    row["sl"] = stop_price(price, plan.side, plan.stop, rules["tick"])
    row["tp"] = target_price(price, plan.side, plan.target, rules["tick"])
    out.scratch.ev[s] = plan.ev_long if plan.side > 0 else plan.ev_short
    row["loss"] = plan.loss
    return bool(row["n_notes"] == 0)


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
def _decide(state: State, inputs: Inputs, t: int, params: Params, constants: Constants, out: Out) -> None:
    """Step 9: rows of all symbols, candidates by EV (ties in universe order), admission one after the other."""
    n = inputs.flags.size
    if not out.all_rows and _nothing_can_enter(state, inputs, t, params):
        return
    order, ev = out.scratch.order, out.scratch.ev
    least = params.policy.ev_min
    fee_now, barriers = constants.fee_now, params.barriers
    count = 0
    for s in range(n):
        # a symbol whose EV cannot pass is no candidate; NaN is none either way, since it fails a gate
        hopeful = (
            ev_bound(inputs.preds[ER_LONG, s], fee_now, barriers) > least
            or ev_bound(inputs.preds[ER_SHORT, s], fee_now, barriers) > least
        )
        if not out.all_rows and not hopeful:
            continue
        clear_row(out.rows, s)
        if not _wish(state, s, t, inputs, params, constants, out):
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
def judge(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Steps 5-9 on bar t, after ``execute`` or, in live, after the state was overwritten from reconciled fills.

    Every row is written when ``out.all_rows``; without, ``out.rows`` is left undefined and the same trades are decided.
    """
    t = inputs.ts_ms // MINUTE_MS
    _mark(state, inputs)
    _day_and_halt(state, inputs, params)
    _order_exits(state, inputs, t, params)
    _decide(state, inputs, t, params, constants, out)
