"""The face of the features (§7.2): frames or arrays in, rows out; every number comes from ``kernel``.

State is a value here: functions take one and return the next, so a checkpoint is what they return, as bytes.
"""

import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError, SchemaMismatchError
from services.features import kernel as k
from services.features import schema
from services.features.frames import bars_from_frames, times_ms

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

STATE_LAYOUT: Final = 3  # grows when the vectors change, in place or in rounding, without the features changing
_HEADER: Final = struct.Struct("<4sHHIII")  # magic, schema, layout, symbol slots, market slots, CRC-32 of the rest
_MAGIC: Final = b"PPFS"


@dataclass
class FeatureRow:
    """One stored row: the dict has every key of the schema, None where missing; ``ts`` names the bar (D1)."""

    symbol: str
    ts: str
    schema_version: int
    features: dict[str, Any]
    atr: float | None
    funding_z: float | None
    btc_regime: int | None


@dataclass(frozen=True, slots=True, eq=False)
class FeatureState:
    """Where a fold stands: a symbol's vector (STATE_SIZE,) and the market's (MARKET_SIZE,). Never changed in place."""

    symbol: F64 = field(default_factory=lambda: np.zeros(k.STATE_SIZE))
    market: F64 = field(default_factory=lambda: np.zeros(k.MARKET_SIZE))

    @property
    def ts_ms(self) -> int | None:
        """Last bar folded in, None before the first."""
        return int(self.symbol[k.LAST_TS]) if self.symbol[k.BARS] > 0 else None

    @property
    def origin_ts_ms(self) -> int | None:
        """First bar since the state began, None before it."""
        return int(self.symbol[k.ORIGIN_TS]) if self.symbol[k.BARS] > 0 else None

    @property
    def market_ts_ms(self) -> int | None:
        """Last bar of BTCUSDT folded in."""
        return int(self.market[k.LAST_TS]) if self.market[k.BARS] > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class MarketFeatures:
    """BTCUSDT's shared features (m, 3) at ``ts_ms`` (m,), and the market's vector after the last of them."""

    ts_ms: I64
    values: F64
    state: F64

    def at(self, ts_ms: I64) -> F64:
        """Rows (n, 3) of these ascending minutes; NaN where BTCUSDT has no bar, which makes every symbol FEATURE_NAN
        there. Not to be written to: where no minute is missing it is a view."""
        first = int(np.searchsorted(self.ts_ms, ts_ms[0])) if ts_ms.size else 0
        if np.array_equal(self.ts_ms[first : first + ts_ms.size], ts_ms):
            return self.values[first : first + ts_ms.size]
        out = np.full((ts_ms.size, k.BTC_SIZE), math.nan)
        if self.ts_ms.size:
            place = np.minimum(np.searchsorted(self.ts_ms, ts_ms), self.ts_ms.size - 1)
            known = self.ts_ms[place] == ts_ms
            out[known] = self.values[place[known]]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Feature rows (n, 17) of the bars at ``ts_ms`` (n,), and the state after the last bar."""

    ts_ms: I64
    values: F64
    state: FeatureState


def compute_market(ts_ms: I64, close: F64, state: F64 | None = None) -> MarketFeatures:
    """Fold BTCUSDT's last closes (m,) into the shared features, once for all symbols.

    ``state`` is the market's vector before the first bar. Raises InvalidInputError on times that do not grow, or a
    close that is not a positive number.
    """
    market = np.zeros(k.MARKET_SIZE) if state is None else state.copy()
    _check_times("btc_bars.ts_ms", ts_ms, market)
    if close.shape != ts_ms.shape:
        raise InvalidInputError("btc_bars.close", close.shape, f"shape {ts_ms.shape}")
    close = np.ascontiguousarray(close, dtype=np.float64)
    bad = np.flatnonzero(~((close > 0) & np.isfinite(close)))
    if bad.size:
        raise InvalidInputError(f"btc_bars.close[{bad[0]}]", float(close[bad[0]]), "a finite price > 0")
    values = k.btc_fold(ts_ms.astype(np.float64), close, market)
    return MarketFeatures(ts_ms.astype(np.int64), values, market)


def compute_symbol(bars: F64, market: MarketFeatures, state: F64 | None = None) -> Features:
    """Fold one symbol's bars ``(n, BAR_SIZE)`` (``kernel.BAR_FIELDS``) beside known market features.

    ``state`` is the symbol's vector before the first bar. Raises InvalidInputError naming row and field of the first
    malformed bar, or times that do not grow.
    """
    if bars.ndim != 2 or bars.shape[1] != k.BAR_SIZE:
        raise InvalidInputError("bars", bars.shape, f"shape (n, {k.BAR_SIZE})")
    bars = np.ascontiguousarray(bars, dtype=np.float64)
    symbol = np.zeros(k.STATE_SIZE) if state is None else state.copy()
    with np.errstate(invalid="ignore"):  # the fold names a time that is none
        ts_ms = bars[:, k.BAR_TS].astype(np.int64)
    values = k.fold(bars, market.at(ts_ms), symbol)
    _check_times("bars.ts_ms", ts_ms, np.zeros(k.STATE_SIZE) if state is None else state)
    return Features(ts_ms, values, FeatureState(symbol, market.state.copy()))


def compute_features(bars: F64, btc_bars: F64, state: FeatureState | None = None) -> Features:
    """Feature rows of ``bars`` (n, BAR_SIZE) with BTCUSDT's ``btc_bars`` (m, BAR_SIZE; only time and close are read).

    Both in strictly growing time, after what ``state`` holds. The returned state continues bit for bit.
    """
    if btc_bars.ndim != 2 or btc_bars.shape[1] != k.BAR_SIZE:
        raise InvalidInputError("btc_bars", btc_bars.shape, f"shape (m, {k.BAR_SIZE})")
    before = state or FeatureState()
    market = compute_market(btc_bars[:, k.BAR_TS].astype(np.int64), btc_bars[:, k.BAR_CLOSE], before.market)
    return compute_symbol(bars, market, before.symbol)


def compute_features_for_symbol(
    symbol: str, candles: pd.DataFrame, premium: pd.DataFrame, btc_candles: pd.DataFrame
) -> pd.DataFrame:
    """Features indexed by ts: ``features`` (the JSONB dict), ``atr``, ``funding_z``, ``btc_regime``, and ``symbol``,
    ``schema_version``.

    Frames are indexed by ``ts`` (aware datetimes, or epoch milliseconds) or have it as a column, strictly growing:
    ``candles`` open, high, low, close, and quote_volume (or volume: volume · close then, D5); ``premium`` mark_open,
    mark_high, mark_low, mark_close, index_close (NaN when unknown), settled_rate (NaN when none settled in the minute),
    one row for every candle; ``btc_candles`` close. NaN features are None in the dict and NaN in the columns.
    """
    bars = bars_from_frames(candles, premium)
    if "close" not in btc_candles:
        raise InvalidInputError("btc_candles", list(btc_candles.columns), "a column close")
    market = compute_market(times_ms("btc_candles", btc_candles), btc_candles["close"].to_numpy(dtype=np.float64))
    result = compute_symbol(bars, market)
    return pd.DataFrame(
        {
            "symbol": symbol,
            "schema_version": schema.SCHEMA_VERSION,
            "features": [schema.feature_dict(row) for row in result.values],
            "atr": result.values[:, schema.ATR],
            "funding_z": result.values[:, schema.FUNDING_Z],
            "btc_regime": result.values[:, schema.BTC_REGIME],
        },
        index=pd.DatetimeIndex(pd.to_datetime(result.ts_ms, unit="ms", utc=True), name="ts"),
    )


def feature_rows(symbol: str, ts_iso: list[str], values: F64) -> list[FeatureRow]:
    """Rows (n, 17) as records for storage; ``ts_iso`` from ``packages.common.time.iso``."""
    return [FeatureRow(symbol, ts, schema.SCHEMA_VERSION, schema.feature_dict(row), *_summary(row))
            for ts, row in zip(ts_iso, values, strict=True)]  # fmt: skip


def _summary(row: F64) -> tuple[float | None, float | None, int | None]:
    atr, funding_z, regime = (
        None if math.isnan(value) else value
        for value in row[[schema.ATR, schema.FUNDING_Z, schema.BTC_REGIME]].tolist()
    )
    return atr, funding_z, None if regime is None else int(regime)


def checkpoint(state: FeatureState) -> bytes:
    """The state as bytes, with its schema version, layout and checksum; ``restore`` gives back every bit."""
    body = state.symbol.astype("<f8").tobytes() + state.market.astype("<f8").tobytes()
    sizes = (k.STATE_SIZE, k.MARKET_SIZE)
    return _HEADER.pack(_MAGIC, schema.SCHEMA_VERSION, STATE_LAYOUT, *sizes, zlib.crc32(body)) + body


def restore(data: bytes) -> FeatureState:
    """The state behind ``checkpoint``'s bytes.

    Raises SchemaMismatchError when it belongs to another schema version or layout (fold from the origin then),
    InvalidInputError when the bytes are damaged.
    """
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise InvalidInputError("checkpoint", data[:8], "the bytes of a feature checkpoint")
    _magic, version, layout, *sizes, checksum = _HEADER.unpack_from(data)
    if (version, layout, sizes) != (schema.SCHEMA_VERSION, STATE_LAYOUT, [k.STATE_SIZE, k.MARKET_SIZE]):
        raise SchemaMismatchError(
            f"checkpoint: got schema {version}, layout {layout}, sizes {sizes}; expected schema "
            f"{schema.SCHEMA_VERSION}, layout {STATE_LAYOUT}, sizes {[k.STATE_SIZE, k.MARKET_SIZE]}"
        )
    body = data[_HEADER.size :]
    if len(body) != 8 * (k.STATE_SIZE + k.MARKET_SIZE) or zlib.crc32(body) != checksum:
        raise InvalidInputError("checkpoint", f"{len(body)} bytes", "an undamaged body")
    values = np.frombuffer(body, dtype="<f8").astype(np.float64)
    return FeatureState(values[: k.STATE_SIZE].copy(), values[k.STATE_SIZE :].copy())


def _check_times(name: str, ts_ms: I64, state: F64) -> None:
    steps = np.flatnonzero(np.diff(ts_ms) <= 0)
    if steps.size:
        at = int(steps[0]) + 1
        raise InvalidInputError(
            f"{name}[{at}]", int(ts_ms[at]), f"a time after {int(ts_ms[at - 1])}: sorted, no duplicates"
        )
    if ts_ms.size and state[k.BARS] > 0 and ts_ms[0] <= state[k.LAST_TS]:
        raise InvalidInputError(f"{name}[0]", int(ts_ms[0]), f"a time after the state's {int(state[k.LAST_TS])}")
