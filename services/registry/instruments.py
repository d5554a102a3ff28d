"""The universe as the kernel takes it, out of PostgreSQL: the exchange's rules, tier and beta of every day (D45).

The desk and the backtest of a training job read it here, so that they trade under the same rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from services.simulator.build import SymbolRules, make_constants
from services.simulator.tables import Constants

Connection = psycopg.Connection[Any]
F64 = NDArray[np.float64]
TIERS = {"A": 0, "B": 1, "C": 2}
# Leverage tiers are told to account holders only. Without them shadow uses tiers stricter than any large symbol's:
# (cap, maintenance rate, cum, maximum leverage), the shape of the kernel's brackets.
UNKNOWN_TIERS = ((50_000.0, 0.02, 0.0, 10), (250_000.0, 0.05, 1_500.0, 5), (1_000_000.0, 0.1, 14_000.0, 3))


@dataclass(frozen=True, slots=True)
class DayFacts:
    """Tier (0, 1, 2) and beta of every symbol as of a UTC day (D45), shape (S,)."""

    tier: NDArray[np.int64]
    beta: F64


@dataclass(frozen=True, slots=True)
class Instruments:
    """The universe as the kernel takes it."""

    symbols: tuple[str, ...]
    tradable: NDArray[np.bool_]
    listed: tuple[str, ...]  # symbols the exchange still serves: what is collected
    constants: Constants


def load_instruments(conn: Connection, universe: Sequence[str], fee_now: float) -> Instruments:
    """Rules of ``universe`` in its order; a symbol without a row or without filters is not tradable."""
    rows = {
        row[0]: row
        for row in conn.execute(
            "SELECT symbol, status, tick_size, market_step_size, step_size, market_min_qty, market_max_qty, min_qty, "
            "max_qty, min_notional, liquidation_fee, max_leverage FROM instruments"
        )
    }
    brackets: dict[str, Any] = dict(
        conn.execute(
            "SELECT DISTINCT ON (symbol) symbol, brackets FROM leverage_brackets ORDER BY symbol, day DESC"
        ).fetchall()
    )
    rules, tradable, listed = [], [], []
    for symbol in universe:
        row = rows.get(symbol)
        if row is None or row[2] is None:
            rules.append(SymbolRules())
            tradable.append(False)
            continue
        _, status, tick, market_step, step, market_min, market_max, low, high, notional, fee, leverage = row
        tiers = tuple(
            (b["notionalCap"], b["maintMarginRatio"], b["cum"], b["initialLeverage"]) for b in brackets.get(symbol, ())
        )
        rules.append(
            SymbolRules(
                tick=tick,
                step=max(market_step or 0.0, step or 0.0),
                min_qty=max(market_min or 0.0, low or 0.0),
                max_qty=min(market_max or np.inf, high or np.inf),
                min_notional=notional or 0.0,
                liquidation_fee=fee or 0.0,
                max_leverage=leverage or UNKNOWN_TIERS[0][3],
                brackets=tiers or UNKNOWN_TIERS,
            )
        )
        tradable.append(status == "active")
        if status in ("active", "halted"):
            listed.append(symbol)
    return Instruments(tuple(universe), np.array(tradable), tuple(listed), make_constants(rules, fee_now))


def load_days(conn: Connection, symbols: Sequence[str], last: int = 40) -> dict[date, DayFacts]:
    """Tier and beta per UTC day (D45), of the ``last`` days on record."""
    index = {symbol: s for s, symbol in enumerate(symbols)}
    days: dict[date, DayFacts] = {}
    query = (
        "SELECT day, symbol, tier, beta FROM instrument_days "
        "WHERE day > (SELECT max(day) FROM instrument_days) - %s ORDER BY day"
    )
    for day, symbol, tier, beta in conn.execute(query, (last,)):
        if symbol in index:
            facts = days.setdefault(day, no_facts(len(symbols)))
            facts.tier[index[symbol]] = TIERS[tier]
            facts.beta[index[symbol]] = beta
    return days


def no_facts(n_symbols: int) -> DayFacts:
    """Nothing known: the strictest tier, the market's beta."""
    return DayFacts(np.full(n_symbols, 2, dtype=np.int64), np.full(n_symbols, np.nan))
