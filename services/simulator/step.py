"""One minute of trading as one call, and its fold over history: the same compiled functions (D20).

step(state, inputs, params, constants, out)        online, once a minute, rows and events in ``out``
fold(state, market, params, constants, out, …)     backtest, over (T, S) arrays
"""

from typing import NamedTuple

import numpy as np

from packages.common.jit import inlined, kernel
from packages.common.reasons import N_CODES
from services.policy.kernel import PRESENT, TRADABLE, Barriers, Rows
from services.simulator.borrow import borrow_constants, borrow_inputs, borrow_market, borrow_out, borrow_state
from services.simulator.build import SymbolRules, make_constants, make_inputs, make_market, make_params
from services.simulator.kernel_execute import execute, execute_active, find_active, position_liquidation
from services.simulator.kernel_judge import (
    equity,
    judge,
    judge_active,
    learn_active,
    learn_all,
    learn_span,
    used_margin,
)
from services.simulator.tables import (
    N_TRADES,
    TRADE,
    Constants,
    Floats,
    Inputs,
    Ints,
    Market,
    Out,
    Params,
    State,
    Table,
    new_out,
    new_rows,
    new_state,
)
from services.simulator.volume import fold_volume, new_window, push_volume

# What a fold keeps: trades and equity; also primary reasons counted; also every row.
KEEP_TRADES, KEEP_COUNTS, KEEP_ROWS = 0, 1, 2


class Kept(NamedTuple):
    """Where a fold writes."""

    equity: Floats  # (T,) after each minute
    trades: Table  # (capacity,) TRADE
    n: Ints  # (4,) trades, entries, lapses, funding payments so far
    counts: Ints  # (N_CODES, S) minutes by primary reason; row 0: traded
    funding: Floats  # (1,) paid so far, open positions included
    rows: Rows  # (T, S), or (0, S) when not asked for


@kernel
def step(state: State, inputs: Inputs, params: Params, constants: Constants, out: Out) -> None:
    """Advance ``state`` by the closed minute ``inputs`` (steps 1-9); ``out.rows`` has one row per symbol.

    Arrays are changed in place; nothing is allocated. The minutes of one state go forward without gaps in time:
    a minute without data is given with its flags not PRESENT.
    """
    state, inputs, constants, out = (
        borrow_state(state),
        borrow_inputs(inputs),
        borrow_constants(constants),
        borrow_out(out),
    )
    find_active(state, out.scratch.active)
    execute_active(state, inputs, params, constants, out.events, out.scratch.active)
    learn_all(state, inputs)
    judge_active(state, inputs, params, constants, out)


@inlined
def inputs_at(market: Market, t: int) -> Inputs:
    """Minute ``t`` of a market as views."""
    day = market.day_row[t]
    return Inputs(
        market.ts_ms[t],
        market.flags[t],
        market.account_flags[t],
        market.regime[t],
        market.exit_request[t],
        market.last[t],
        market.mark[t],
        market.qm[t],
        market.atr[t],
        market.atr1[t],
        market.rate[t],
        market.preds[t],
        market.beta[day],
        market.tier[day],
    )


@kernel
def _keep_rows(kept: Rows, t: int, rows: Rows) -> None:
    for s in range(rows.table.size):
        kept.table[t, s] = rows.table[s]
        for i in range(rows.notes.shape[1]):
            kept.notes[t, s, i] = rows.notes[s, i]


@kernel
def _count(counts: Ints, rows: Rows) -> None:
    for s in range(rows.table.size):
        counts[rows.notes[s, 0]["code"], s] += 1


@kernel
def fold(
    state: State,
    market: Market,
    params: Params,
    constants: Constants,
    out: Out,
    kept: Kept,
    start: int,
    stop: int,
    keep: int,
) -> int:
    """Fold minutes [start, stop) into ``state``; returns the next minute, before ``stop`` when ``kept.trades`` is full.

    The state afterwards equals the one of as many calls of ``step``, bit for bit, whatever is kept. Counts and rows
    need ``out.all_rows``.
    """
    n_symbols = market.flags.shape[1]
    state, market, constants, out = (
        borrow_state(state),
        borrow_market(market),
        borrow_constants(constants),
        borrow_out(out),
    )
    events = out.events
    find_active(state, out.scratch.active)
    for t in range(start, stop):
        if kept.n[N_TRADES] + n_symbols > kept.trades.size:
            learn_span(state, market, start, t)
            return t
        inputs = inputs_at(market, t)
        execute_active(state, inputs, params, constants, events, out.scratch.active)
        learn_active(state, inputs, out.scratch.active)
        judge_active(state, inputs, params, constants, out)
        kept.equity[t] = state.account[0]["equity"]
        for i in range(events.n[N_TRADES]):
            kept.trades[kept.n[N_TRADES] + i] = events.trades[i]
        for i in range(events.n[3]):
            kept.funding[0] += events.payments[i]["amount"]
        for k in range(4):
            kept.n[k] += events.n[k]
        if keep >= KEEP_COUNTS and out.all_rows:
            _count(kept.counts, out.rows)
        if keep == KEEP_ROWS and out.all_rows:
            _keep_rows(kept.rows, t, out.rows)
    learn_span(state, market, start, stop)
    return stop


def new_kept(n_minutes: int, n_symbols: int, *, keep: int = KEEP_TRADES, capacity: int = 0) -> Kept:
    """Buffers for a fold of ``n_minutes``; ``capacity`` trades at first (``fold`` asks for more by stopping)."""
    return Kept(
        equity=np.zeros(n_minutes),
        trades=np.zeros(max(capacity, 4 * n_symbols), TRADE),
        n=np.zeros(4, np.int64),
        counts=np.zeros((N_CODES, n_symbols), np.int64),
        funding=np.zeros(1),
        rows=new_rows(n_minutes if keep == KEEP_ROWS else 0, n_symbols),
    )


def run(state: State, market: Market, params: Params, constants: Constants, *, keep: int = KEEP_TRADES) -> Kept:
    """Fold the whole market into ``state`` and return what was kept, trades cut to their number."""
    n_minutes, n_symbols = market.flags.shape
    out = new_out(n_symbols, all_rows=keep != KEEP_TRADES)
    kept = new_kept(n_minutes, n_symbols, keep=keep, capacity=4096)
    at = 0
    while True:
        at = fold(state, market, params, constants, out, kept, at, n_minutes, keep)
        if at >= n_minutes:
            return kept._replace(trades=kept.trades[: kept.n[N_TRADES]])
        kept = kept._replace(trades=np.concatenate([kept.trades, np.zeros_like(kept.trades)]))


def warm() -> None:
    """Compile, or load from disk, everything a minute and a fold need, on two symbols and three minutes."""
    n, t = 2, 3
    spec = Barriers(
        k_tp=1.5, k_sl=1.0, h_bars=2, risk_mae_atr=3.0, fee_spec=0.0004, slippage_k=0.15, stop_overshoot=0.0
    )
    params = make_params(spec)
    constants = make_constants([SymbolRules(tick=0.1, step=0.1, brackets=((1e5, 0.01, 0.0, 20.0),))] * n, 0.0005)
    bars = np.full((t, 4, n), 100.0)
    preds = np.full((t, 10, n), 0.01)
    preds[:, [1, 6]] = -0.01
    flat = np.ones((t, n))
    market = make_market(
        np.arange(t) * 60_000, flags=np.full((t, n), PRESENT | TRADABLE), last=bars, mark=bars, qm=flat * 1e6, atr=flat,
        atr1=flat, preds=preds,
    )  # fmt: skip
    for keep in (KEEP_TRADES, KEEP_ROWS):
        run(new_state(n, 1e4), market, params, constants, keep=keep)
    state, out = new_state(n, 1e4), new_out(n)
    inputs = make_inputs(
        0, flags=market.flags[0], account=int(market.account_flags[0]), regime=1.0, last=bars[0], mark=bars[0],
        qm=market.qm[0], atr=flat[0], atr1=flat[0], rate=flat[0] * np.nan, predictions=preds[0].T, beta=flat[0],
        tier=market.tier[0],
    )  # fmt: skip
    step(state, inputs, params, constants, out)
    execute(state, inputs, params, constants, out)
    judge(state, inputs, params, constants, out)
    equity(state, np.ascontiguousarray(state.memory["mark"]))
    used_margin(state)
    position_liquidation(state, 0, constants)
    fold_volume(new_window(n), flat)
    push_volume(new_window(n), 0, 1.0)


__all__ = [
    "KEEP_COUNTS",
    "KEEP_ROWS",
    "KEEP_TRADES",
    "Kept",
    "equity",
    "execute",
    "fold",
    "inputs_at",
    "judge",
    "new_kept",
    "run",
    "step",
    "used_margin",
    "warm",
]
