"""The fold map: where the rows of each fold lie in time, as plain data for a report to draw."""

from collections.abc import Iterable
from typing import Protocol, TypedDict

import numpy as np

from packages.common.time import MINUTE_MS
from services.training.splits import IntArray

LEFT_OUT = ("purge", "embargo")


class Drawable(Protocol):
    """A division of rows: ``Split`` and ``CpcvSplit``."""

    def parts(self) -> dict[str, IntArray]:
        """Row numbers by part: train, valid, test, purge, embargo."""

    def edges(self) -> tuple[int, ...]:
        """Where spans begin and end, epoch ms."""


class Segment(TypedDict):
    """One bar of the map, ``[start_ms, end_ms)`` over bar opens."""

    fold: int
    part: str
    start_ms: int
    end_ms: int


def fold_map(splits: Iterable[Drawable], ts_ms: IntArray, end_ts_ms: IntArray) -> list[Segment]:
    """The segments of every split, numbered from 0."""
    return [piece for number, split in enumerate(splits) for piece in segments(number, split, ts_ms, end_ts_ms)]


def segments(fold: int, split: Drawable, ts_ms: IntArray, end_ts_ms: IntArray) -> list[Segment]:
    """Where the *actual* rows of a split lie, from the open of the first to the close of the last bar of each stretch.

    A stretch of training, validation or test rows ends at an edge of a span and where an embargo lies in it. Left-out
    rows make one stretch a boundary: they are apart when more than the longest of their labels lies between two.
    Purged and kept training rows alternate near a boundary, because labels differ in length, so these two may overlap.
    """
    parts = split.parts()
    edges = set(split.edges())
    out: list[Segment] = []
    for part in ("embargo", "purge", "train", "valid", "test"):
        rows = parts.get(part, np.empty(0, np.int64))
        rows = rows[np.argsort(ts_ms[rows], kind="stable")]
        if not rows.size:
            continue
        starts = ts_ms[rows]
        cell = np.searchsorted(np.array(sorted(edges), np.int64), starts, side="right")
        apart = np.diff(cell) > 0
        if part in LEFT_OUT:
            apart |= np.diff(starts) > int((end_ts_ms[rows] - starts).max())
        runs = np.split(starts, np.flatnonzero(apart) + 1)
        pieces = [Segment(fold=fold, part=part, start_ms=int(r[0]), end_ms=int(r[-1]) + MINUTE_MS) for r in runs]
        if part == "embargo":
            edges |= {edge for piece in pieces for edge in (piece["start_ms"], piece["end_ms"])}
        out += pieces
    return sorted(out, key=lambda piece: (piece["start_ms"], piece["end_ms"]))
