"""Where a start goes on: rules of the symbols, feature states, volumes and the shadow account, read from PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from apps.worker_realtime.engine import DayFacts
from apps.worker_realtime.feature_book import BTC, FeatureBook
from packages.common.errors import InvalidInputError
from packages.common.history import read_bars, read_columns
from packages.common.time import MINUTE_MS, from_datetime, to_datetime
from services.features import kernel, schema
from services.features.compute import FeatureState, checkpoint, restore
from services.simulator.build import SymbolRules, make_constants
from services.simulator.codec import unpack_state
from services.simulator.tables import Constants, State, new_state
from services.simulator.volume import VolumeWindow, new_window, push_volume

log = structlog.get_logger(__name__)

Connection = psycopg.Connection[Any]
F64 = NDArray[np.float64]
_END_MS = 4_102_444_800_000  # 2100: after every bar
_TIERS = {"A": 0, "B": 1, "C": 2}
# Leverage tiers are told to account holders only. Without them shadow uses tiers stricter than any large symbol's:
# (cap, maintenance rate, cum, maximum leverage), the shape of the kernel's brackets.
UNKNOWN_TIERS = ((50_000.0, 0.02, 0.0, 10), (250_000.0, 0.05, 1_500.0, 5), (1_000_000.0, 0.1, 14_000.0, 3))
_BTC_KEYS = ("btc_ret_60", "btc_vol_60", "btc_regime")


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


def load_days(conn: Connection, symbols: Sequence[str]) -> dict[date, DayFacts]:
    """Tier and beta per UTC day (D45), of the last 40 days on record."""
    index = {symbol: s for s, symbol in enumerate(symbols)}
    days: dict[date, DayFacts] = {}
    query = (
        "SELECT day, symbol, tier, beta FROM instrument_days "
        "WHERE day > (SELECT max(day) FROM instrument_days) - 40 ORDER BY day"
    )
    for day, symbol, tier, beta in conn.execute(query):
        if symbol in index:
            facts = days.setdefault(day, no_facts(len(symbols)))
            facts.tier[index[symbol]] = _TIERS[tier]
            facts.beta[index[symbol]] = beta
    return days


def no_facts(n_symbols: int) -> DayFacts:
    """Nothing known: the strictest tier, the market's beta."""
    return DayFacts(np.full(n_symbols, 2, dtype=np.int64), np.full(n_symbols, np.nan))


def last_stored(conn: Connection, symbols: Sequence[str]) -> dict[str, int | None]:
    """Newest candle of every symbol."""
    out: dict[str, int | None] = dict.fromkeys(symbols)
    for symbol in symbols:
        row = conn.execute("SELECT max(ts) FROM candles_1m WHERE symbol = %s", (symbol,)).fetchone()
        if row and row[0] is not None:
            out[symbol] = from_datetime(row[0])
    return out


def restore_features(conn: Connection, symbols: Sequence[str], listed: Sequence[str]) -> FeatureBook:
    """Checkpoints, then every stored bar since: the book as it was when the last minute was committed."""
    book = FeatureBook(symbols)
    index = {symbol: s for s, symbol in enumerate(symbols)}
    query = (
        "SELECT DISTINCT ON (symbol) symbol, state FROM feature_checkpoints WHERE schema_version = %s "
        "ORDER BY symbol, ts DESC"
    )
    for symbol, payload in conn.execute(query, (schema.SCHEMA_VERSION,)):
        if symbol in index:
            restore_state(book, index[symbol], bytes(payload))
    _restore_btc_rows(conn, book, listed)
    for symbol in sorted(listed, key=lambda name: name != BTC):
        s = index[symbol]
        last = book.last_ts(symbol)
        bars = read_bars(conn, symbol, last + MINUTE_MS if last else 0, _END_MS)
        if symbol == BTC:
            rows = kernel.btc_fold(bars[:, kernel.BAR_TS].copy(), bars[:, kernel.BAR_CLOSE].copy(), book.market)
            for bar, row in zip(bars, rows, strict=True):
                book.remember_btc(int(bar[kernel.BAR_TS]), row)
            book.resume()
        if len(bars):
            kernel.fold(bars, book.btc_rows(bars[:, kernel.BAR_TS]), book.states[s])
    book.trim()
    return book


def _restore_btc_rows(conn: Connection, book: FeatureBook, listed: Sequence[str]) -> None:
    """Market rows that late symbols may still need, as they were stored."""
    behind = [book.last_ts(s) for s in listed if book.last_ts(s)]
    if not behind or min(behind) >= book.last_ts(BTC):
        return
    values = ", ".join(f"(features->>'{key}')::float8 AS {key}" for key in _BTC_KEYS)
    columns = read_columns(
        conn,
        f"SELECT ts, {values} FROM features_1m WHERE symbol = '{BTC}' AND ts > %(start)s",  # noqa: S608 - constants only
        {"start": to_datetime(min(behind))},
        _BTC_KEYS,
    )
    for i, ts_ms in enumerate(columns["ts"]):
        book.remember_btc(int(ts_ms), [float(columns[key][i]) for key in _BTC_KEYS])


def checkpoint_state(book: FeatureBook, s: int) -> bytes:
    """State of symbol ``s`` with the market's."""
    return checkpoint(FeatureState(book.states[s], book.market))


def restore_state(book: FeatureBook, s: int, payload: bytes) -> None:
    """Inverse of ``checkpoint_state``; a checkpoint of another schema or layout raises ``SchemaMismatchError``."""
    state = restore(payload)
    book.states[s] = state.symbol
    if book.symbols[s] == BTC:
        book.market[:] = state.market
        book.resume()


def restore_volumes(conn: Connection, symbols: Sequence[str]) -> tuple[VolumeWindow, F64]:
    """Quote volumes of the last 60 stored bars of every symbol, and their medians ``(S,)``."""
    window, medians = new_window(len(symbols)), np.full(len(symbols), np.nan)
    for s, symbol in enumerate(symbols):
        rows = conn.execute(
            "SELECT quote_volume FROM candles_1m WHERE symbol = %s ORDER BY ts DESC LIMIT 60", (symbol,)
        ).fetchall()
        for (volume,) in reversed(rows):
            medians[s] = push_volume(window, s, float(volume))
    return window, medians


def restore_account(conn: Connection, symbols: Sequence[str], wallet: float) -> State:
    """The shadow account after its last committed minute, or a new one with ``wallet``.

    Symbols may have changed since: each keeps its place by name. A symbol with an open position cannot be taken out
    of the universe: ``InvalidInputError``.
    """
    row = conn.execute("SELECT symbols, state FROM decisions WHERE mode = 'shadow' ORDER BY ts DESC LIMIT 1").fetchone()
    if row is None:
        return new_state(len(symbols), wallet)
    return remap(unpack_state(bytes(row[1])), row[0], symbols)


def remap(state: State, old: Sequence[str], new: Sequence[str]) -> State:
    """``state`` of the symbols ``old`` in the order of ``new``."""
    if tuple(old) == tuple(new):
        return state
    fresh = new_state(len(new), 0.0)
    fresh.account[:] = state.account
    places: Mapping[str, int] = {symbol: i for i, symbol in enumerate(old)}
    for symbol, i in places.items():
        if symbol not in new and (state.positions[i]["side"] != 0 or state.pending[i]["side"] != 0):
            raise InvalidInputError("UNIVERSE", symbol, "to stay in it until its shadow position is closed")
    for s, symbol in enumerate(new):
        if symbol in places:
            i = places[symbol]
            fresh.positions[s], fresh.pending[s], fresh.memory[s] = (
                state.positions[i],
                state.pending[i],
                state.memory[i],
            )
    return fresh
