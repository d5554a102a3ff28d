"""Time-ordered splits with purge and embargo on the actual label spans (§9.1, D19).

A row decides at the close of its bar and its label looks ahead until the exit: it spans the closed interval
``[decision_ts_ms, end_ts_ms]``. Two rows share information when their spans touch, so a training row is purged when its
span touches a later part of the split, from that part's first bar to the end of that part's last label.

What follows an evaluated span looks back into it through its features, so an embargo of ``embargo_pct`` of that span
can be asked for: rows a model is fitted with that start this soon after a span that was tested on are left out
(López de Prado, Advances in Financial Machine Learning, 2018, section 7.4.2), and so are test rows this soon after
their own validation span, which chose the number of trees.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS, iso

IntArray = NDArray[np.int64]


class Span(NamedTuple):
    """Bars with ``start_ms <= ts_ms < end_ms``; empty when both are equal."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms

    def __str__(self) -> str:
        return f"[{iso(self.start_ms)}, {iso(self.end_ms)})"


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of one train/validation/test division, ascending, disjoint, and what was left out and why.

    ``purged`` rows lie in a span but their label touches a later one, ``embargoed`` rows start too soon after one;
    ``test_span`` is what the embargo leaves of the test.
    Rows outside all spans appear nowhere.
    """

    train_span: Span
    valid_span: Span
    test_span: Span | None
    train: IntArray
    valid: IntArray
    test: IntArray
    purged: IntArray
    embargoed: IntArray

    def parts(self) -> dict[str, IntArray]:
        """Row numbers by the name of their part, as drawings call it."""
        return {
            "train": self.train,
            "valid": self.valid,
            "test": self.test,
            "purge": self.purged,
            "embargo": self.embargoed,
        }

    def edges(self) -> tuple[int, ...]:
        """Where parts may begin or end, ascending, epoch ms."""
        spans = (self.train_span, self.valid_span) + ((self.test_span,) if self.test_span else ())
        return tuple(sorted({edge for span in spans for edge in span}))

    def describe(self) -> dict[str, object]:
        """Spans and counts, as JSON for manifests and drawings."""

        def part(span: Span | None, rows: IntArray) -> dict[str, object] | None:
            return span and {"start": iso(span.start_ms), "end": iso(span.end_ms), "rows": int(rows.size)}

        return {
            "train": part(self.train_span, self.train),
            "valid": part(self.valid_span, self.valid),
            "test": part(self.test_span, self.test),
            "purged": int(self.purged.size),
            "embargoed": int(self.embargoed.size),
        }


def make_split(
    ts_ms: IntArray,
    end_ts_ms: IntArray,
    *,
    train: Span,
    valid: Span,
    test: Span | None = None,
    purge_bars: int = 0,
    embargo_pct: float = 0.0,
    tested: tuple[Span, ...] = (),
) -> Split:
    """Divide rows in time and purge on their label spans.

    ``ts_ms`` (n,) bar opens, ``end_ts_ms`` (n,) closes of the exit bars. ``purge_bars=0`` derives the purge from the
    label spans alone; a larger number also keeps that many bars of distance before a later span. Embargo: test rows
    that start within ``embargo_pct`` of the validation span after it are left out, and training and validation rows
    that start as soon after one of ``tested``, the spans that earlier folds were tested on. The spans must be in order
    and apart, and every part must keep rows; otherwise ``InvalidInputError`` names what is wrong.
    """
    check_arrays(ts_ms, end_ts_ms)
    _check_spans(train, valid, test)
    check_distances(purge_bars, embargo_pct)
    margin_ms = purge_bars * MINUTE_MS

    in_train, in_valid = inside(ts_ms, train), inside(ts_ms, valid)
    in_test = embargoed = np.zeros(ts_ms.size, np.bool_)
    if test:
        free_from = valid.end_ms + int(embargo_pct * valid.length_ms)
        embargoed = inside(ts_ms, test) & (ts_ms < free_from)
        test = Span(min(max(test.start_ms, free_from), test.end_ms), test.end_ms)
        in_test = inside(ts_ms, test)
    for span in tested:
        embargoed = embargoed | ((in_train | in_valid) & under_embargo(ts_ms, end_ts_ms, span, embargo_pct))
    in_train, in_valid = in_train & ~embargoed, in_valid & ~embargoed

    purge_train = in_train & touches(ts_ms, end_ts_ms, valid.start_ms - margin_ms, last_end(end_ts_ms, in_valid))
    purge_valid = np.zeros(ts_ms.size, np.bool_)
    if test:
        last = last_end(end_ts_ms, in_test)
        purge_train |= in_train & touches(ts_ms, end_ts_ms, test.start_ms - margin_ms, last)
        purge_valid = in_valid & touches(ts_ms, end_ts_ms, test.start_ms - margin_ms, last)
    split = Split(
        train,
        valid,
        test,
        np.flatnonzero(in_train & ~purge_train),
        np.flatnonzero(in_valid & ~purge_valid),
        np.flatnonzero(in_test),
        np.flatnonzero(purge_train | purge_valid),
        np.flatnonzero(embargoed),
    )
    parts = (("train", split.train, train), ("valid", split.valid, valid), ("test", split.test, test))
    for name, rows, within in parts:
        if within is not None and rows.size == 0:
            raise InvalidInputError(f"{name} span", str(within), f"rows left after purge ({split.purged.size} purged)")
    assert_disjoint(split, ts_ms, end_ts_ms)
    return split


def touches(ts_ms: IntArray, end_ts_ms: IntArray, from_ms: int, to_ms: int) -> NDArray[np.bool_]:
    """Which label spans ``[ts + 60 s, end]`` share at least an instant with ``[from_ms, to_ms]``, shape (n,)."""
    return np.asarray((ts_ms + MINUTE_MS <= to_ms) & (end_ts_ms >= from_ms))


def assert_disjoint(split: Split, ts_ms: IntArray, end_ts_ms: IntArray) -> None:
    """Prove on the spans themselves that no earlier part touches a later one; ``AssertionError`` otherwise."""
    parts = [("train", split.train), ("valid", split.valid), ("test", split.test)]
    parts = [(name, rows) for name, rows in parts if rows.size]
    for i, (name, rows) in enumerate(parts):
        for later_name, later in parts[i + 1 :]:
            ends, starts = int(end_ts_ms[rows].max()), int(ts_ms[later].min())
            assert ends < starts, f"a label of {name} ends at {iso(ends)}, {later_name} starts at {iso(starts)}"


def spans_of_history(
    first_ms: int, last_ms: int, *, valid_frac: float = 0.15, test_frac: float = 0.2
) -> tuple[Span, Span, Span]:
    """Cut one stretch of labelled bars into train, validation and test, on whole hours, the newest last."""
    total = last_ms + MINUTE_MS - first_ms
    hour = 60 * MINUTE_MS
    test_from = (last_ms + MINUTE_MS - int(total * test_frac)) // hour * hour
    valid_from = (test_from - int(total * valid_frac)) // hour * hour
    return Span(first_ms, valid_from), Span(valid_from, test_from), Span(test_from, last_ms + MINUTE_MS)


def under_embargo(ts_ms: IntArray, end_ts_ms: IntArray, span: Span, embargo_pct: float) -> NDArray[np.bool_]:
    """Rows after ``span`` that start before ``embargo_pct`` of its length has passed since its last label ended, shape
    (n,); none for a fraction of 0."""
    if embargo_pct == 0.0:
        return np.zeros(ts_ms.size, np.bool_)
    free_ms = max(span.end_ms, last_end(end_ts_ms, inside(ts_ms, span))) + int(embargo_pct * span.length_ms)
    return np.asarray((ts_ms >= span.end_ms) & (ts_ms < free_ms))


def inside(ts_ms: IntArray, span: Span) -> NDArray[np.bool_]:
    """Which rows lie in the span, shape (n,)."""
    return np.asarray((ts_ms >= span.start_ms) & (ts_ms < span.end_ms))


def last_end(end_ts_ms: IntArray, rows: NDArray[np.bool_]) -> int:
    """End of the last label of a part; far in the past for an empty part, which refuses itself later."""
    return int(end_ts_ms[rows].max()) if rows.any() else -(1 << 62)


def check_distances(purge_bars: int, embargo_pct: float) -> None:
    """Refuse a negative purge and an embargo that is not a fraction."""
    if purge_bars < 0:
        raise InvalidInputError("purge_bars", purge_bars, "0 (derived from the label spans) or more bars")
    if not 0.0 <= embargo_pct < 1.0:
        raise InvalidInputError("embargo_pct", embargo_pct, "a fraction of the span, 0 <= x < 1")


def check_arrays(ts_ms: IntArray, end_ts_ms: IntArray) -> None:
    """Refuse rows without exactly one label that ends after its bar's open."""
    if ts_ms.shape != end_ts_ms.shape or ts_ms.ndim != 1:
        raise InvalidInputError("end_ts_ms", end_ts_ms.shape, f"one label end per row, shape {ts_ms.shape}")
    early = np.flatnonzero(end_ts_ms <= ts_ms)
    if early.size:
        raise InvalidInputError("end_ts_ms", int(end_ts_ms[early[0]]), f"later than its bar {int(ts_ms[early[0]])}")


def _check_spans(train: Span, valid: Span, test: Span | None) -> None:
    for name, span in (("train", train), ("valid", valid), ("test", test)):
        if span is not None and span.length_ms <= 0:
            raise InvalidInputError(f"{name} span", str(span), "an end after its start")
    if train.end_ms > valid.start_ms:
        raise InvalidInputError("train span", str(train), f"an end not after the validation's start, {valid}")
    if test is not None and valid.end_ms > test.start_ms:
        raise InvalidInputError("valid span", str(valid), f"an end not after the test's start, {test}")
