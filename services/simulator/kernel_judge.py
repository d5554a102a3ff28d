"""Steps 5-9 of kernel.md, compiled: mark, day, halt, time exits, decisions. The same in backtest, shadow and live."""

from packages.common import reasons as rc
from packages.common.jit import inlined, kernel
from packages.common.math import round_down, stop_price, target_price
from services.policy.kernel import (
    E_MAE_LONG,
    E_MAE_SHORT,
    ER_LONG,
    ER_SHORT,
    FLATTEN,
    KILL_SWITCH_ON,
    PRESENT,
    Q05_LONG,
    Q05_SHORT,
    STOP_PATH_OK,
    TRADING_ON,
    Barriers,
    PolicyParams,
    Rows,
    choose,
    clear_row,
    count_unusable,
    expected_value,
    extra_fees,
    gates,
    note,
    size,
    wished_notional,
)
from services.risk.kernel import (
    FIRST_LIMIT,
    LIMIT,
    LONG,
    N_LIMITS,
    RISK,
    ROOM,
    SHORT,
    TOTAL,
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
from services.simulator.kernel_execute import MINUTE_MS, excursions, find_active
from services.simulator.tables import Constants, Floats, Inputs, Ints, Market, Out, Params, Scratch, State

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


@inlined
def _equity_at_last_marks(state: State, active: Ints) -> float:
    open_pnl = 0.0
    for i in range(1, active[0] + 1):
        pos = state.positions[active[i]]
        if pos["side"] != 0:
            open_pnl += pos["side"] * pos["qty"] * (state.memory[active[i]]["mark"] - pos["entry_fill"])
    return float(state.account[0]["wallet"] + open_pnl)


@kernel
def learn(state: State, s: int, inputs: Inputs) -> None:
    """Step 5: what the bar of symbol ``s`` taught, when there is one."""
    if inputs.flags[s] & PRESENT:
        memory = state.memory[s]
        memory["mark"] = inputs.mark[3, s]
        if inputs.qm[s] >= 0.0:
            memory["qm"] = inputs.qm[s]
        if inputs.atr1[s] > 0.0:
            memory["atr1"] = inputs.atr1[s]


@inlined
def learn_all(state: State, inputs: Inputs) -> None:
    """``learn`` of every symbol."""
    for s in range(inputs.flags.size):
        learn(state, s, inputs)


@inlined
def learn_active(state: State, inputs: Inputs, active: Ints) -> None:
    """``learn`` of the symbols that hold something: nobody looks at the memory of the others before ``learn_span``."""
    for i in range(1, active[0] + 1):
        learn(state, active[i], inputs)


@kernel
def learn_span(state: State, market: Market, start: int, stop: int) -> None:
    """What minutes [start, stop) taught, looked up backwards: the same as ``learn_all`` of each."""
    for s in range(state.memory.size):
        memory = state.memory[s]
        mark, qm, atr1 = True, True, True  # what is still looked for
        t = stop - 1
        while t >= start and (mark or qm or atr1):
            if market.flags[t, s] & PRESENT:
                if mark:
                    memory["mark"] = market.mark[t, 3, s]
                    mark = False
                if qm and market.qm[t, s] >= 0.0:
                    memory["qm"] = market.qm[t, s]
                    qm = False
                if atr1 and market.atr1[t, s] > 0.0:
                    memory["atr1"] = market.atr1[t, s]
                    atr1 = False
            t -= 1


@inlined
def _mark(state: State, inputs: Inputs, active: Ints) -> None:
    """Step 5: excursions of the open positions."""
    for i in range(1, active[0] + 1):
        s = active[i]
        if state.positions[s]["side"] != 0 and inputs.flags[s] & PRESENT:
            excursions(state, s, inputs)


@inlined
def _order_exits(state: State, inputs: Inputs, t: int, params: Params, active: Ints) -> None:
    """Steps 7 (orders) and 8, then requests from outside; of several orders the first stands."""
    halted = state.account[0]["halted"] != 0
    for i in range(1, active[0] + 1):
        s = active[i]
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


@inlined
def day_floor(state: State, params: Params) -> float:
    """Equity at which the day is over."""
    return float(state.account[0]["day_start"] * (1.0 - params.risk.daily_loss_limit_pct))


@inlined
def _day_and_halt(state: State, ts_ms: int, params: Params, active: Ints) -> None:
    """Steps 5 (equity), 6 and 7 (the latch)."""
    account = state.account[0]
    before = account["equity"]
    account["equity"] = _equity_at_last_marks(state, active)
    account["bar"] = ts_ms // MINUTE_MS
    day = ts_ms // DAY_MS
    if day != account["day"]:
        account["day"] = day
        account["day_start"] = before
        if params.halt_clears_daily:
            account["halted"] = 0
    if account["halted"] == 0 and (account["equity"] <= day_floor(state, params) or account["equity"] <= 0.0):
        account["halted"] = 1
        account["halts"] += 1


@kernel
def _fill_book(state: State, inputs: Inputs, params: Params, constants: Constants, scratch: Scratch) -> None:
    book = scratch.book
    for i in range(book.size):
        book[i] = 0.0
    for i in range(1, scratch.active[0] + 1):
        s = scratch.active[i]
        pos = state.positions[s]
        pending = state.pending[s]
        memory = state.memory[s]
        mark, tier, beta = memory["mark"], inputs.tier[s], inputs.beta[s]
        if pos["side"] != 0:
            risk = position_risk(
                pos["side"], pos["qty"], mark, pos["sl"], constants.fee_now,
                memory["qm"], memory["atr1"], params.barriers.slippage_k,
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
    notional = qty * price
    learn(state, s, inputs)  # a fold has learnt only of the symbols that held something
    row["side"] = side
    row["qty"] = qty
    row["size_notional"] = notional
    pending = state.pending[s]
    pending["side"] = side
    pending["qty"] = qty
    pending["leverage"] = row["leverage"]
    pending["sl"] = row["sl"]
    pending["tp"] = row["tp"]
    pending["loss"] = loss
    pending["bar"] = t
    book_add(out.scratch.book, side, notional, row["leverage"], inputs.tier[s], inputs.beta[s], notional * loss)


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


@inlined
def _nothing_can_enter(state: State, inputs: Inputs, t: int, params: Params, active: Ints) -> bool:
    """True when a rule of the account blocks every symbol, so that no row needs to be computed to know the trades."""
    account, flags = state.account[0], inputs.account_flags
    if account["halted"] != 0 or flags & KILL_SWITCH_ON or not flags & TRADING_ON or not flags & STOP_PATH_OK:
        return True
    if t - account["pause_bar"] < params.policy.loss_pause_bars or active[0] >= params.risk.max_positions:
        return True
    if inputs.regime < 0 or inputs.regime > 2:
        return True
    return bool(params.policy.regime_block and inputs.regime == 2)


@inlined
def _no_hope(preds: Floats, cost: float, least: float) -> bool:
    """True when no symbol's bound can pass, see ``_candidates``. Looks at all, so that it is done in vectors."""
    longs, shorts = preds[ER_LONG], preds[ER_SHORT]
    hopes = 0
    for s in range(longs.size):
        hopes += (longs[s] - cost > least) | (shorts[s] - cost > least)
    return hopes == 0


@kernel
def _may_enter(
    preds: Floats, s: int, price: float, atr: float, atr1: float, qm: float, equity: float, regime: int, max_qty: float,
    fee_now: float, long_room: float, short_room: float, day_room: float, min_share: float, b: Barriers,
    p: PolicyParams,
) -> bool:  # fmt: skip
    """False only when the EV is not above the minimum or a room, which admissions only shrink, is too small already.

    The same arithmetic as ``choose`` and ``measure``; NaN leads on to the gates or away from a trade, never into one.
    """
    sizing = size(price, atr, atr1, qm, equity, max_qty, fee_now, b, p)
    long_q05, short_q05 = preds[Q05_LONG, s], preds[Q05_SHORT, s]
    ev_long = expected_value(preds[ER_LONG, s], long_q05, preds[E_MAE_LONG, s], sizing, atr1, price, fee_now, b, p)
    ev_short = expected_value(preds[ER_SHORT, s], short_q05, preds[E_MAE_SHORT, s], sizing, atr1, price, fee_now, b, p)
    ev, q05, room = ev_long, long_q05, long_room
    if ev_short > ev_long:
        ev, q05, room = ev_short, short_q05, short_room
    if ev <= p.ev_min:
        return False
    least = min_share * wished_notional(q05, sizing, equity, regime, p)
    return not (room < least or day_room / sizing.loss < least)


@kernel
def _candidates(state: State, inputs: Inputs, t: int, params: Params, constants: Constants, out: Out) -> int:
    """Put the symbols that pass gates and choice into ``scratch.order`` by EV, ties in universe order; their number.

    Without rows, what cannot end in a trade is passed over. A first bound of the EV is ``er`` less the extra fees:
    slippage beyond the label's and penalties are never negative, and rounding keeps the order. NaN is below it too,
    and would fail a gate.
    """
    order, ev, book = out.scratch.order, out.scratch.ev, out.scratch.book
    account_equity = state.account[0]["equity"]
    sized_on = min(account_equity, params.policy.capital_limit)
    cost = extra_fees(constants.fee_now, params.barriers)
    preds, least, all_rows = inputs.preds, params.policy.ev_min, out.all_rows
    marks, atr, atr1, qm, rules = inputs.mark, inputs.atr, inputs.atr1, inputs.qm, constants.rules
    total_room = params.risk.max_total_notional_pct * sized_on - book[TOTAL]
    side_limit = params.risk.max_directional_notional_pct * sized_on
    long_room, short_room = min(total_room, side_limit - book[LONG]), min(total_room, side_limit - book[SHORT])
    day_room = account_equity - day_floor(state, params) - book[RISK]
    count = 0
    for s in range(inputs.flags.size):
        if not all_rows:
            if not (preds[ER_LONG, s] - cost > least or preds[ER_SHORT, s] - cost > least):
                continue
            if not _may_enter(
                preds, s, marks[3, s], atr[s], atr1[s], qm[s], sized_on, inputs.regime, rules[s]["max_qty"],
                constants.fee_now, long_room, short_room, day_room, params.risk.min_share, params.barriers,
                params.policy,
            ):  # fmt: skip
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
    return count


@inlined
def _decide(state: State, inputs: Inputs, t: int, params: Params, constants: Constants, out: Out) -> None:
    """Step 9: rows of all symbols, candidates by EV, admission one after the other."""
    if not out.all_rows:
        if _nothing_can_enter(state, inputs, t, params, out.scratch.active):
            return
        if _no_hope(inputs.preds, extra_fees(constants.fee_now, params.barriers), params.policy.ev_min):
            return
    _fill_book(state, inputs, params, constants, out.scratch)
    count = _candidates(state, inputs, t, params, constants, out)
    if count == 0:
        return
    for i in range(count):
        _admit(state, out.scratch.order[i], t, inputs, params, constants, out)
    find_active(state, out.scratch.active)


@inlined
def _forget_closed(state: State, active: Ints) -> None:
    count = 0
    for i in range(1, active[0] + 1):
        s = active[i]
        if state.positions[s]["side"] != 0 or state.pending[s]["side"] != 0:
            count += 1
            active[count] = s
    active[0] = count


@inlined
def judge_active(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """``judge`` after ``learn_…``, where ``out.scratch.active`` already lists at least the symbols that hold something;
    keeps it so."""
    t = inputs.ts_ms // MINUTE_MS
    active = out.scratch.active
    _forget_closed(state, active)
    _mark(state, inputs, active)
    _day_and_halt(state, inputs.ts_ms, params, active)
    _order_exits(state, inputs, t, params, active)
    _decide(state, inputs, t, params, constants, out)


@kernel
def judge(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Steps 5-9 on bar t, after ``execute`` or, in live, after the state was overwritten from reconciled fills.

    Every row is written when ``out.all_rows``; without, ``out.rows`` is left undefined and the same trades are decided.
    """
    find_active(state, out.scratch.active)
    learn_all(state, inputs)
    judge_active(state, inputs, params, constants, out)
