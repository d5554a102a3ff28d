"""Where a start goes on: feature states, volumes and the shadow account, read from PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from apps.worker_realtime.feature_book import BTC, FeatureBook
from packages.common.errors import InvalidInputError
from packages.common.history import read_bars, read_columns
from packages.common.time import MINUTE_MS, from_datetime, to_datetime
from services.features import kernel, schema
from services.features.compute import FeatureState, checkpoint, restore
from services.simulator.codec import unpack_state
from services.simulator.tables import State, new_state
from services.simulator.volume import VolumeWindow, new_window, push_volume

log = structlog.get_logger(__name__)

Connection = psycopg.Connection[Any]
F64 = NDArray[np.float64]
_END_MS = 4_102_444_800_000  # 2100: after every bar
_BTC_KEYS = ("btc_ret_60", "btc_vol_60", "btc_regime")


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


def with_held(conn: Connection, universe: Sequence[str]) -> tuple[str, ...]:
    """``universe``, then what the shadow account holds or is about to: a symbol is left only once it is flat."""
    row = conn.execute("SELECT symbols, state FROM decisions WHERE mode = 'shadow' ORDER BY ts DESC LIMIT 1").fetchone()
    if row is None:
        return tuple(universe)
    state = unpack_state(bytes(row[1]))
    busy = (state.positions["side"] != 0) | (state.pending["side"] != 0)
    held = [symbol for symbol, yes in zip(row[0], busy, strict=True) if yes and symbol not in universe]
    if held:
        log.warning("held_outside_the_universe", symbols=held)
    return (*universe, *held)


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
