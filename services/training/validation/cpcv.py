"""Combinatorial purged cross-validation (López de Prado, Advances in Financial Machine Learning, 2018, chapter 12).

Time is cut into N groups; every choice of k of them is tested once while the rest trains. That gives C(N, k) splits
and, put together again, φ = C(N, k)·k/N = C(N−1, k−1) paths that each predict every row exactly once, out of sample.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS, iso
from services.training.splits import (
    IntArray,
    Span,
    check_arrays,
    check_distances,
    inside,
    last_end,
    touches,
    under_embargo,
)


@dataclass(frozen=True, slots=True)
class CpcvSplit:
    """Row numbers of one combination, ascending. ``blocks`` are the tested spans, adjacent groups joined."""

    number: int
    groups: tuple[int, ...]
    blocks: tuple[Span, ...]
    train: IntArray
    test: IntArray
    purged: IntArray
    embargoed: IntArray

    def parts(self) -> dict[str, IntArray]:
        """Row numbers by the name of their part, as drawings call it."""
        return {"train": self.train, "test": self.test, "purge": self.purged, "embargo": self.embargoed}

    def edges(self) -> tuple[int, ...]:
        """Where a test begins or ends, ascending, epoch ms."""
        return tuple(edge for block in self.blocks for edge in block)

    def describe(self) -> dict[str, object]:
        """Tested spans and counts, as JSON."""
        return {
            "split": self.number,
            "groups": list(self.groups),
            "test": [{"start": iso(block.start_ms), "end": iso(block.end_ms)} for block in self.blocks],
            "rows": {name: int(rows.size) for name, rows in self.parts().items()},
        }


@dataclass(frozen=True, slots=True)
class CpcvPlan:
    """N groups in time, of which ``test_groups`` are tested at a time. Distances are those of ``make_split``; the
    embargo is a fraction of the tested block it follows and counts from the end of the block's last label."""

    groups: tuple[Span, ...]
    test_groups: int
    purge_bars: int = 0
    embargo_pct: float = 0.0

    @property
    def combinations(self) -> tuple[tuple[int, ...], ...]:
        """The groups that each split tests, C(N, k) of them."""
        return tuple(itertools.combinations(range(len(self.groups)), self.test_groups))

    @property
    def n_paths(self) -> int:
        """φ: how often each group is tested."""
        return math.comb(len(self.groups) - 1, self.test_groups - 1)

    def paths(self) -> IntArray:
        """Which split predicts which group on which path, int64 (n_paths, N): path p takes the p-th split that tests
        the group, so every (split, tested group) is used on exactly one path."""
        tested: list[list[int]] = [[] for _ in self.groups]
        for number, groups in enumerate(self.combinations):
            for group in groups:
                tested[group].append(number)
        return np.array(tested, np.int64).T

    def group_of(self, ts_ms: IntArray) -> IntArray:
        """Group of each row, (n,)."""
        starts = np.array([group.start_ms for group in self.groups], np.int64)
        number = np.searchsorted(starts, ts_ms, side="right") - 1
        outside = np.flatnonzero((number < 0) | (ts_ms >= self.groups[-1].end_ms))
        if outside.size:
            raise InvalidInputError(
                "ts_ms",
                iso(int(ts_ms[outside[0]])),
                f"a bar of {Span(self.groups[0].start_ms, self.groups[-1].end_ms)}",
            )
        return np.asarray(number, np.int64)

    def split(self, number: int, ts_ms: IntArray, end_ts_ms: IntArray) -> CpcvSplit:
        """Rows of one combination, purged on both sides of every tested block and embargoed after it.

        Raises ``InvalidInputError`` when nothing is left to train on.
        """
        check_arrays(ts_ms, end_ts_ms)
        groups = self.combinations[number]
        test = np.isin(self.group_of(ts_ms), groups)
        blocks = self._blocks(groups)
        purged, embargoed = np.zeros(ts_ms.size, np.bool_), np.zeros(ts_ms.size, np.bool_)
        margin_ms = self.purge_bars * MINUTE_MS
        for block in blocks:
            last_ms = last_end(end_ts_ms, inside(ts_ms, block))
            purged |= touches(ts_ms, end_ts_ms, block.start_ms - margin_ms, last_ms + margin_ms)
            embargoed |= under_embargo(ts_ms, end_ts_ms, block, self.embargo_pct)
        purged &= ~test
        embargoed &= ~test & ~purged
        split = CpcvSplit(
            number,
            groups,
            blocks,
            np.flatnonzero(~test & ~purged & ~embargoed),
            np.flatnonzero(test),
            np.flatnonzero(purged),
            np.flatnonzero(embargoed),
        )
        if not split.train.size or not split.test.size:
            raise InvalidInputError(
                f"split {number} (groups {groups})",
                {name: int(rows.size) for name, rows in split.parts().items()},
                "training and test rows left after purge and embargo",
            )
        assert_apart(split, ts_ms, end_ts_ms)
        return split

    def assemble(
        self, ts_ms: IntArray, splits: Sequence[CpcvSplit], predicted: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Predictions of each split's test rows, (test rows, …) each, put together to paths, (n_paths, n, …)."""
        group = self.group_of(ts_ms)
        out = np.full((self.n_paths, ts_ms.size, *predicted[0].shape[1:]), np.nan)
        for path, numbers in enumerate(self.paths()):
            for number in np.unique(numbers):
                rows = splits[number].test
                own = numbers[group[rows]] == number
                out[path, rows[own]] = predicted[number][own]
        return out

    def describe(self) -> dict[str, object]:
        """Groups, numbers and distances, as JSON."""
        return {
            "groups": [{"start": iso(group.start_ms), "end": iso(group.end_ms)} for group in self.groups],
            "test_groups": self.test_groups,
            "splits": len(self.combinations),
            "paths": self.n_paths,
            "purge_bars": self.purge_bars,
            "embargo_pct": self.embargo_pct,
        }

    def _blocks(self, groups: tuple[int, ...]) -> tuple[Span, ...]:
        joined: list[Span] = []
        for group in (self.groups[number] for number in groups):
            if joined and joined[-1].end_ms == group.start_ms:
                joined[-1] = Span(joined[-1].start_ms, group.end_ms)
            else:
                joined.append(group)
        return tuple(joined)


def cpcv_plan(
    ts_ms: IntArray, *, groups: int = 6, test_groups: int = 2, purge_bars: int = 0, embargo_pct: float = 0.0
) -> CpcvPlan:
    """Cut rows into groups of about equal size, never inside a minute: rows of one bar stay together."""
    if not 1 <= test_groups < groups:
        raise InvalidInputError("test_groups", test_groups, f"1 <= k < groups, which is {groups}")
    check_distances(purge_bars, embargo_pct)
    starts = np.unique(np.sort(ts_ms)[np.arange(groups) * ts_ms.size // groups]) if ts_ms.size else np.empty(0)
    if starts.size < groups:
        raise InvalidInputError("groups", groups, f"no more than the rows can fill: {np.unique(ts_ms).size} bars")
    edges = [int(start) for start in starts] + [int(ts_ms.max()) + MINUTE_MS]
    spans = tuple(Span(start, end) for start, end in itertools.pairwise(edges))
    return CpcvPlan(spans, test_groups, purge_bars, embargo_pct)


def assert_apart(split: CpcvSplit, ts_ms: IntArray, end_ts_ms: IntArray) -> None:
    """Prove on the label spans themselves that no training row touches a tested one; ``AssertionError`` otherwise.

    By order, not by the masks that made the split: of the test labels that begin no later than a training label ends,
    the one that lasts longest must end before the training label begins.
    """
    begins, ends = ts_ms[split.test] + MINUTE_MS, end_ts_ms[split.test]
    order = np.argsort(begins, kind="stable")
    longest = np.maximum.accumulate(ends[order])
    before = np.searchsorted(begins[order], end_ts_ms[split.train], side="right") - 1
    clash = (before >= 0) & (longest[before] >= ts_ms[split.train] + MINUTE_MS)
    assert not clash.any(), (
        f"the label of the training bar {iso(int(ts_ms[split.train][clash][0]))} touches a tested one"
    )
