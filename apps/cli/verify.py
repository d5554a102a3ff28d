"""Proof over what a run left in the database: nothing missing, nothing twice, features as offline computes them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from packages.common.history import read_bars
from packages.common.time import MINUTE_MS, from_datetime, to_datetime
from services.features import kernel, schema

Connection = psycopg.Connection[Any]
BTC = "BTCUSDT"
_END_MS = 4_102_444_800_000  # 2100


@dataclass(frozen=True, slots=True)
class Finding:
    """One symbol of a verified run; every figure but the first two should be 0."""

    symbol: str
    candles: int
    feature_rows: int
    missing_candles: int
    missing_marks: int
    missing_features: int
    missing_signals: int
    different_features: int  # rows that differ from the offline fold in at least one bit
    first_difference: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``verify`` found; ``ok`` only when nothing is missing or different."""

    ok: bool
    from_ts: str
    to_ts: str
    minutes: int
    symbols: int
    candles: int
    signals: int
    missing_candles: int
    missing_signals: int
    missing_features: int
    different_features: int
    first_difference: str | None
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Without the symbols that are as they should be."""
        out = asdict(self)
        out["findings"] = [f for f in out["findings"] if f["missing_candles"] or f["different_features"]]
        return out


def verify(
    conn: Connection, from_ts_ms: int, to_ts_ms: int, progress: Callable[[float, str], None] = lambda _f, _n: None
) -> Verdict:
    """Look at every minute with ``from_ts_ms <= ts <= to_ts_ms`` of every tradable symbol.

    Primary keys exclude duplicates, so counting rows is enough for gaps. Features are folded anew from the first
    stored bar of the symbol and compared bit by bit.
    """
    symbols = [row[0] for row in conn.execute("SELECT symbol FROM instruments WHERE status = 'active' AND in_universe")]
    symbols.sort(key=lambda name: name != BTC)
    minutes = (to_ts_ms - from_ts_ms) // MINUTE_MS + 1
    btc = read_bars(conn, BTC, 0, _END_MS)
    market_rows = kernel.btc_fold(btc[:, 0].copy(), btc[:, kernel.BAR_CLOSE].copy(), np.zeros(kernel.MARKET_SIZE))
    market = dict(zip(btc[:, 0].astype(np.int64).tolist(), market_rows, strict=True))
    findings = []
    for number, symbol in enumerate(symbols):
        progress(number / len(symbols), symbol)
        findings.append(_look_at(conn, symbol, market, from_ts_ms, to_ts_ms))
    signals = _count(conn, "signals", None, from_ts_ms, to_ts_ms)
    total = {
        name: sum(getattr(f, name) for f in findings)
        for name in ("candles", "missing_candles", "missing_features", "missing_signals", "different_features")
    }
    first = next((f.first_difference for f in findings if f.first_difference), None)
    faults = total["missing_candles"] + total["missing_features"] + total["missing_signals"]
    return Verdict(
        ok=faults + total["different_features"] + sum(f.missing_marks for f in findings) == 0 and bool(findings),
        from_ts=to_datetime(from_ts_ms).isoformat(),
        to_ts=to_datetime(to_ts_ms).isoformat(),
        minutes=minutes,
        symbols=len(symbols),
        signals=signals,
        first_difference=first,
        findings=tuple(findings),
        **total,
    )


def decided_span(conn: Connection) -> tuple[int, int] | None:
    """First and last minute with a decision, None when there is none."""
    row = conn.execute("SELECT min(ts), max(ts) FROM decisions WHERE mode = 'shadow'").fetchone()
    if row is None or row[0] is None:
        return None
    return from_datetime(row[0]), from_datetime(row[1])


def _look_at(conn: Connection, symbol: str, market: dict[int, Any], from_ms: int, to_ms: int) -> Finding:
    minutes = (to_ms - from_ms) // MINUTE_MS + 1
    candles, marks, signals = (
        _count(conn, table, symbol, from_ms, to_ms) for table in ("candles_1m", "mark_candles_1m", "signals")
    )
    bars = read_bars(conn, symbol, 0, _END_MS)
    nothing = np.full(kernel.BTC_SIZE, np.nan)
    shared = np.array([market.get(int(ts), nothing) for ts in bars[:, 0]]).reshape(len(bars), kernel.BTC_SIZE)
    rows = kernel.fold(bars, shared, np.zeros(kernel.STATE_SIZE))
    offline = dict(zip(bars[:, 0].astype(np.int64).tolist(), rows, strict=True))
    stored = conn.execute(
        "SELECT ts, schema_version, features FROM features_1m WHERE symbol = %s AND ts BETWEEN %s AND %s ORDER BY ts",
        (symbol, to_datetime(from_ms), to_datetime(to_ms)),
    ).fetchall()
    different, first = 0, None
    for ts, version, features in stored:
        online = schema.feature_row(features, version)
        expected = offline[from_datetime(ts)]
        if (_comparable(online) != _comparable(expected)).any():
            different += 1
            first = first or _describe(symbol, ts, online, expected)
    return Finding(
        symbol, candles, len(stored), minutes - candles, minutes - marks, minutes - len(stored), minutes - signals,
        different, first,
    )  # fmt: skip


def _comparable(row: Any) -> Any:
    """The bits of a row as the table can hold them: one NaN (NULL), one zero (JSON numbers have no -0)."""
    return np.where(np.isnan(row), np.nan, row + 0.0).view(np.int64)


def _describe(symbol: str, ts: datetime, online: Any, offline: Any) -> str:
    at = int(np.flatnonzero(_comparable(online) != _comparable(offline))[0])
    key = schema.KEYS[at]
    return f"{symbol} {ts.isoformat()} {key}: stored {online[at]!r}, offline {offline[at]!r}"


def _count(conn: Connection, table: str, symbol: str | None, from_ms: int, to_ms: int) -> int:
    where = "" if symbol is None else "AND symbol = %(symbol)s"
    row = conn.execute(
        f"SELECT count(*) FROM {table} WHERE ts BETWEEN %(from)s AND %(to)s {where}",  # noqa: S608 - our own names
        {"symbol": symbol, "from": to_datetime(from_ms), "to": to_datetime(to_ms)},
    ).fetchone()
    return int(row[0]) if row else 0
