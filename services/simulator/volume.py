"""``qm``: the median quote volume of the last 60 closed bars, maintained online and folded over history alike."""

from typing import NamedTuple

import numpy as np

from packages.common.jit import kernel
from services.simulator.tables import Floats, Ints

WINDOW = 60


class VolumeWindow(NamedTuple):
    """The last bars of S symbols. A value: copy the arrays to keep one."""

    ring: Floats  # (S, WINDOW) in order of arrival, from bars % WINDOW
    ordered: Floats  # (S, WINDOW) the same, ascending; inf where nothing came yet
    bars: Ints  # (S,) bars so far


def new_window(n_symbols: int) -> VolumeWindow:
    """No bar yet."""
    return VolumeWindow(
        np.zeros((n_symbols, WINDOW)), np.full((n_symbols, WINDOW), np.inf), np.zeros(n_symbols, np.int64)
    )


@kernel
def push_volume(window: VolumeWindow, s: int, quote_volume: float) -> float:
    """Add one closed bar of symbol ``s`` and return the median; NaN until 60 bars came.

    A NaN volume is a missing bar: the window counts bars, so it stays and the last median is returned.
    """
    ordered = window.ordered[s]
    seen = window.bars[s]
    if not np.isnan(quote_volume):
        place = seen % WINDOW
        old = np.inf
        if seen >= WINDOW:
            old = window.ring[s, place]
        i = WINDOW - 1
        if seen >= WINDOW:
            i = 0
            while ordered[i] != old:
                i += 1
        while i > 0 and ordered[i - 1] > quote_volume:
            ordered[i] = ordered[i - 1]
            i -= 1
        while i < WINDOW - 1 and ordered[i + 1] < quote_volume:
            ordered[i] = ordered[i + 1]
            i += 1
        ordered[i] = quote_volume
        window.ring[s, place] = quote_volume
        seen += 1
        window.bars[s] = seen
    if seen < WINDOW:
        return np.nan
    return float(0.5 * (ordered[WINDOW // 2 - 1] + ordered[WINDOW // 2]))


@kernel
def fold_volume(window: VolumeWindow, quote_volume: Floats) -> Floats:
    """``qm`` (T, S) of quote volumes (T, S), NaN where a bar is missing."""
    out = np.empty(quote_volume.shape)
    for t in range(quote_volume.shape[0]):
        for s in range(quote_volume.shape[1]):
            out[t, s] = push_volume(window, s, quote_volume[t, s])
    return out
