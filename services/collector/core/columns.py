"""Bars as columns: which rows are sound, which minutes are missing. The vector twin of ``normalizer.validate``."""

import numpy as np
from numpy.typing import NDArray

from packages.common.time import MINUTE_MS
from packages.exchange.port import Columns


def sound_rows(columns: Columns) -> NDArray[np.bool_]:
    """Mask of rows that ``refuse_bar`` or ``refuse_prices`` would take; shape (n,)."""
    high, low = columns["high"], columns["low"]
    mask: NDArray[np.bool_] = columns["ts"] % MINUTE_MS == 0
    for name in ("open", "high", "low", "close"):
        value = columns[name]
        mask &= np.isfinite(value) & (value > 0) & (value >= low) & (value <= high)
    for name in ("volume", "quote_volume"):
        if name in columns:
            mask &= np.isfinite(columns[name]) & (columns[name] >= 0)
    return mask


def keep(columns: Columns, mask: NDArray[np.bool_]) -> Columns:
    """The rows of ``mask``."""
    return columns if mask.all() else {name: values[mask] for name, values in columns.items()}


def holes(ts: NDArray[np.int64], start_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """Missing minutes of [start_ms, end_ms) as (first, last) runs, both inclusive; ``ts`` strictly ascending."""
    edges = np.concatenate([[start_ms - MINUTE_MS], ts, [end_ms]]).astype(np.int64)
    at = np.flatnonzero(np.diff(edges) > MINUTE_MS)
    return [(int(edges[i]) + MINUTE_MS, int(edges[i + 1]) - MINUTE_MS) for i in at]


def merged(parts: list[Columns]) -> Columns:
    """Parts as one, ascending by ``ts``; of two rows with one ``ts`` the first stays."""
    if len(parts) == 1:
        return parts[0]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    _, first = np.unique(whole["ts"], return_index=True)
    return {name: values[first] for name, values in whole.items()}
