"""From frames to the kernel's bar arrays."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from services.features import kernel as k

_PREMIUM: Final = ("mark_open", "mark_high", "mark_low", "mark_close", "index_close", "settled_rate")


def times_ms(name: str, frame: pd.DataFrame) -> NDArray[np.int64]:
    """Epoch milliseconds (n,) of a frame's ``ts`` column, or of its index; aware datetimes or integers."""
    ts = pd.Index(frame["ts"]) if "ts" in frame else frame.index
    if isinstance(ts, pd.DatetimeIndex):
        if ts.tz is None:
            raise InvalidInputError(f"{name}.ts", "naive datetimes", "aware datetimes, or epoch milliseconds")
        return np.asarray(ts.as_unit("ms").asi8, dtype=np.int64)
    if pd.api.types.is_integer_dtype(ts.dtype):
        return ts.to_numpy(dtype=np.int64)
    raise InvalidInputError(f"{name}.ts", str(ts.dtype), "aware datetimes, or epoch milliseconds")


def bars_from_frames(candles: pd.DataFrame, premium: pd.DataFrame) -> NDArray[np.float64]:
    """Bars ``(n, BAR_SIZE)`` of the candles, each with its row of ``premium``.

    The columns are those of ``compute_features_for_symbol``. Raises InvalidInputError on a missing one, or a candle
    without a row in ``premium``.
    """
    _require("candles", candles, ("open", "high", "low", "close"))
    _require("premium", premium, _PREMIUM)
    for what, frame in (("candles", candles), ("premium", premium)):
        if "symbol" in frame and frame["symbol"].nunique() > 1:
            raise InvalidInputError(f"{what}.symbol", sorted(map(str, frame["symbol"].unique())), "rows of one symbol")
    ts_ms, premium_ms = times_ms("candles", candles), times_ms("premium", premium)
    if premium_ms.size and bool(np.any(np.diff(premium_ms) <= 0)):
        at = int(np.flatnonzero(np.diff(premium_ms) <= 0)[0]) + 1
        raise InvalidInputError(f"premium.ts[{at}]", int(premium_ms[at]), "sorted times without duplicates")
    place = np.searchsorted(premium_ms, ts_ms)
    found = place < premium_ms.size
    found[found] = premium_ms[place[found]] == ts_ms[found]
    if not found.all():
        raise InvalidInputError("premium.ts", "no row", f"one at {int(ts_ms[~found][0])}, as candles has")
    bars = np.empty((ts_ms.size, k.BAR_SIZE))
    bars[:, k.BAR_TS] = ts_ms
    for column, name in ((k.BAR_OPEN, "open"), (k.BAR_HIGH, "high"), (k.BAR_LOW, "low"), (k.BAR_CLOSE, "close")):
        bars[:, column] = candles[name].to_numpy(dtype=np.float64)
    bars[:, k.BAR_QUOTE_VOLUME] = _quote_volume(candles)
    for column, name in enumerate(_PREMIUM, start=k.BAR_MARK_OPEN):
        bars[:, column] = premium[name].to_numpy(dtype=np.float64)[place]
    return bars


def _quote_volume(candles: pd.DataFrame) -> NDArray[np.float64]:
    if "quote_volume" in candles:
        return np.asarray(candles["quote_volume"], dtype=np.float64)
    _require("candles", candles, ("volume",))
    return np.asarray(candles["volume"], dtype=np.float64) * np.asarray(candles["close"], dtype=np.float64)


def _require(name: str, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InvalidInputError(name, list(frame.columns), f"the columns {missing} too")
