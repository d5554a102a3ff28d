"""What time a label spans, for purging and for uniqueness weights (D18, D19)."""

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError

I64 = NDArray[np.int64]
MINUTE_MS = 60_000
UNKNOWN = -1


def window_end_ms(ts_ms: I64, h_bars: int) -> I64:
    """Close of the last bar of each row's window t+1 … t+h_bars (D14), ``(n,)``; -1 where fewer bars follow.

    ``ts_ms`` holds all bars of the symbol in strictly growing time: windows count bars, so a gap makes one longer.
    """
    if h_bars < 1:
        raise InvalidInputError("h_bars", h_bars, "at least 1")
    out = np.full(ts_ms.size, UNKNOWN, dtype=np.int64)
    out[: max(ts_ms.size - h_bars, 0)] = ts_ms[h_bars:] + MINUTE_MS
    return out


def exit_ms(ts_ms: I64, bars: NDArray[np.int32], labelled: NDArray[np.bool_]) -> I64:
    """Close of each label's exit bar, ``(n,)``; -1 where there is no label. Arguments as in ``Labels``."""
    rows = np.flatnonzero(labelled)
    out = np.full(ts_ms.size, UNKNOWN, dtype=np.int64)
    out[rows] = ts_ms[rows + bars[rows]] + MINUTE_MS
    return out


def touches(ts_ms: I64, end_ms: I64, from_ms: int, to_ms: int) -> NDArray[np.bool_]:
    """Which rows share time with the bars of ``[from_ms, to_ms)``, ``(n,)``: purge them from the training set (D19).

    A row spans from the open of its own bar, whose close is the entry, to ``end_ms``. Rows whose end is unknown touch
    whatever begins after them.
    """
    if to_ms <= from_ms:
        raise InvalidInputError("to_ms", to_ms, f"a time after from_ms {from_ms}")
    return np.asarray(((end_ms > from_ms) | (end_ms == UNKNOWN)) & (ts_ms < to_ms))
