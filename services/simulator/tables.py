"""The arrays the kernel works on: state, inputs, constants, rows and events, with their dtypes, shapes and units.

S symbols in universe order, T minutes, B margin brackets. Times are epoch milliseconds, a *bar number* is
``ts_ms // 60_000``; money and prices in quote units, quantities in base units. All fields are 8 bytes wide so that no
padding byte enters a payload.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.policy.kernel import MAX_NOTES, NOTE, ROW, Barriers, PolicyParams, Rows
from services.risk.kernel import BOOK_SIZE, N_LIMITS, RiskParams

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Table = NDArray[Any]  # structured; the dtype is named beside it

LONG_AGO = -(10**9)  # a bar number before every exit

POSITION = np.dtype(
    [
        ("side", "i8"),  # +1, -1; 0: no position, all other fields 0
        ("qty", "f8"),
        ("entry_ref", "f8"),
        ("entry_fill", "f8"),
        ("leverage", "i8"),
        ("margin", "f8"),  # initial isolated margin; the isolated wallet is margin - funding
        ("sl", "f8"),
        ("tp", "f8"),
        ("entry_bar", "i8"),
        ("fees", "f8"),
        ("funding", "f8"),  # paid so far; negative when received
        ("mae", "f8"),  # fractions of the entry fill, >= 0
        ("mfe", "f8"),
        ("exit_order", "i8"),  # exit reason code of the ordered exit, 0: none
    ]
)

PENDING = np.dtype(
    [
        ("side", "i8"),  # 0: nothing pending, all other fields 0
        ("qty", "f8"),
        ("leverage", "i8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("loss", "f8"),  # fraction of the notional lost at the SL, both fills included
        ("bar", "i8"),  # bar number of the decision
    ]
)

ACCOUNT = np.dtype(
    [
        ("wallet", "f8"),
        ("equity", "f8"),  # after the last bar
        ("day", "i8"),  # UTC day number of the last bar, -1 before the first
        ("day_start", "f8"),  # equity at the start of that day
        ("halted", "i8"),  # 0 or 1
        ("halts", "i8"),  # days halted so far
        ("losses", "i8"),  # losing trades in a row
        ("pause_bar", "i8"),  # exit bar of the trade that started the last loss pause
        ("bar", "i8"),  # number of the last bar, -1 before the first
    ]
)

TRADE = np.dtype(
    [
        ("symbol", "i8"),
        ("side", "i8"),
        ("qty", "f8"),
        ("leverage", "i8"),
        ("margin", "f8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("entry_bar", "i8"),
        ("exit_bar", "i8"),
        ("entry_ref", "f8"),
        ("entry_fill", "f8"),
        ("exit_ref", "f8"),
        ("exit_fill", "f8"),
        ("gross", "f8"),
        ("slippage", "f8"),
        ("fees", "f8"),
        ("liquidation_fee", "f8"),
        ("funding", "f8"),
        ("absorbed", "f8"),
        ("net", "f8"),
        ("mae", "f8"),
        ("mfe", "f8"),
        ("reason", "i8"),
    ]
)

MEMORY = np.dtype(
    [
        ("exit_bar", "i8"),  # bar number of the last exit
        ("mark", "f8"),  # last mark close, NaN before the first bar
        ("qm", "f8"),  # last known median quote volume
        ("atr1", "f8"),  # last known 1m ATR, price units
    ]
)

RULE = np.dtype(
    [
        ("tick", "f8"),  # 0: no filter
        ("step", "f8"),
        ("min_qty", "f8"),
        ("max_qty", "f8"),  # of a market order, inf when there is none
        ("min_notional", "f8"),
        ("liquidation_fee", "f8"),  # fraction of the notional
        ("max_leverage", "i8"),
    ]
)

ENTRY = np.dtype([("symbol", "i8"), ("side", "i8"), ("qty", "f8"), ("ref", "f8"), ("fill", "f8"), ("fee", "f8")])
LAPSE = np.dtype([("symbol", "i8"), ("side", "i8"), ("qty", "f8"), ("code", "i8")])
PAYMENT = np.dtype([("symbol", "i8"), ("rate", "f8"), ("amount", "f8")])

N_TRADES, N_ENTRIES, N_LAPSES, N_PAYMENTS = 0, 1, 2, 3  # places of Events.n


class State(NamedTuple):
    """Everything one minute hands to the next. A value: ``copy_state`` before a step that may be undone."""

    account: Table  # (1,) ACCOUNT
    positions: Table  # (S,) POSITION
    pending: Table  # (S,) PENDING
    memory: Table  # (S,) MEMORY


class Constants(NamedTuple):
    """The exchange's rules and the account's fee."""

    rules: Table  # (S,) RULE
    brackets: Floats  # (S, B, 4): cap, maintenance rate, cum, maximum leverage; NaN rows: unknown
    fee_now: float  # taker fee per fill, fraction


class Params(NamedTuple):
    """What was learned (barriers) and what was set (policy, risk)."""

    barriers: Barriers
    policy: PolicyParams
    risk: RiskParams
    halt_clears_daily: bool  # backtest and shadow: true; live: an operator clears it


class Inputs(NamedTuple):
    """One closed minute. Predictions are rows per target (the transpose of what inference returns)."""

    ts_ms: int
    flags: Bytes  # (S,) bits PRESENT, TRADABLE, STALE, DRIFT, BAD_FEATURES of services.policy.kernel
    account_flags: int  # bits TRADING_ON, KILL_SWITCH_ON, STOP_PATH_OK, FLATTEN
    regime: int  # 0, 1, 2; anything else is an unknown feature
    exit_request: Bytes  # (S,) exit reason code AGENT or OPERATOR, 0: none
    last: Floats  # (4, S) open, high, low, close of the last price
    mark: Floats  # (4, S) of the mark
    qm: Floats  # (S,) median quote volume of the last 60 closed bars
    atr: Floats  # (S,) of the barriers' interval, price units
    atr1: Floats  # (S,) 14 × 1m, price units
    rate: Floats  # (S,) funding rate settled in (ts, ts + 60 s], else NaN
    preds: Floats  # (10, S) order of packages.common.types.TARGETS
    beta: Floats  # (S,) NaN counts as 1
    tier: Ints  # (S,) 0, 1, 2 for A, B, C


class Market(NamedTuple):
    """T minutes of inputs. Tier and beta change daily: ``day_row[t]`` is their row (D45)."""

    ts_ms: Ints  # (T,)
    flags: Bytes  # (T, S)
    account_flags: Ints  # (T,)
    regime: Ints  # (T,)
    exit_request: Bytes  # (T, S)
    last: Floats  # (T, 4, S)
    mark: Floats  # (T, 4, S)
    qm: Floats  # (T, S)
    atr: Floats  # (T, S)
    atr1: Floats  # (T, S)
    rate: Floats  # (T, S)
    preds: Floats  # (T, 10, S)
    beta: Floats  # (D, S)
    tier: Ints  # (D, S)
    day_row: Ints  # (T,)


class Events(NamedTuple):
    """What one minute did. ``n`` (4,) int64 counts the used places of each table."""

    n: Ints
    trades: Table  # (S,) TRADE: closed positions with their whole ledger
    entries: Table  # (S,) ENTRY
    lapses: Table  # (S,) LAPSE
    payments: Table  # (S,) PAYMENT, positive when we paid


class Scratch(NamedTuple):
    """Working space of one step; between steps it holds nothing that the state does not say."""

    active: Ints  # (S + 1,) how many symbols hold a position or a pending entry, then which, in universe order
    order: Ints  # (S,)
    ev: Floats  # (S,)
    book: Floats  # (BOOK_SIZE,)
    room: Floats  # (3, N_LIMITS)


class Out(NamedTuple):
    """Where a step writes; reused from minute to minute."""

    rows: Rows
    events: Events
    scratch: Scratch
    all_rows: bool  # false: ``rows`` is left undefined, and only what trades depend on is computed


def new_state(n_symbols: int, wallet: float) -> State:
    """A flat account with ``wallet`` quote units."""
    account = np.zeros(1, ACCOUNT)
    account["wallet"] = account["equity"] = account["day_start"] = wallet
    account["day"] = account["bar"] = -1
    account["pause_bar"] = LONG_AGO
    memory = np.zeros(n_symbols, MEMORY)
    memory["exit_bar"] = LONG_AGO
    memory["mark"] = np.nan
    return State(account, np.zeros(n_symbols, POSITION), np.zeros(n_symbols, PENDING), memory)


def copy_state(state: State) -> State:
    """An independent copy."""
    return State(*(array.copy() for array in state))


def new_rows(*shape: int) -> Rows:
    """Empty rows: ``new_rows(S)`` for a step, ``new_rows(T, S)`` for a fold."""
    return Rows(np.zeros(shape, ROW), np.zeros((*shape, MAX_NOTES), NOTE))


def new_out(n_symbols: int, *, all_rows: bool = True) -> Out:
    """Buffers for ``step``; the same trades are decided with and without rows."""
    events = Events(
        n=np.zeros(4, np.int64),
        trades=np.zeros(n_symbols, TRADE),
        entries=np.zeros(n_symbols, ENTRY),
        lapses=np.zeros(n_symbols, LAPSE),
        payments=np.zeros(n_symbols, PAYMENT),
    )
    scratch = Scratch(
        active=np.zeros(n_symbols + 1, np.int64),
        order=np.zeros(n_symbols, np.int64),
        ev=np.zeros(n_symbols),
        book=np.zeros(BOOK_SIZE),
        room=np.zeros((3, N_LIMITS)),
    )
    return Out(new_rows(n_symbols), events, scratch, all_rows)


def n_symbols_of(state: State) -> int:
    """S."""
    return int(state.positions.shape[0])
