"""Walk-forward folds: train, validation and test spans that roll forward in time (§9.1, D19)."""

from dataclasses import dataclass

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS, iso
from services.training.splits import IntArray, Span, Split, make_split


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the walk. ``tested`` are the test spans of the folds before it."""

    number: int
    train: Span
    valid: Span
    test: Span
    tested: tuple[Span, ...] = ()

    def split(self, ts_ms: IntArray, end_ts_ms: IntArray, *, purge_bars: int = 0, embargo_pct: float = 0.0) -> Split:
        """The rows of the fold, purged and embargoed as ``make_split`` says, which also raises for an empty part.

        No row of a fold follows its own test span. The embargo after a test span therefore concerns later folds: the
        rows they fit on that begin too soon after a span that was already judged.
        """
        return make_split(
            ts_ms,
            end_ts_ms,
            train=self.train,
            valid=self.valid,
            test=self.test,
            purge_bars=purge_bars,
            embargo_pct=embargo_pct,
            tested=self.tested,
        )

    def describe(self) -> dict[str, object]:
        """Spans as JSON."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {"fold": self.number} | {
            name: {"start": iso(span.start_ms), "end": iso(span.end_ms)} for name, span in parts.items()
        }


def walk_forward(
    first_ms: int,
    last_ms: int,
    *,
    train_days: int = 180,
    valid_days: int = 30,
    test_days: int = 30,
    step_days: int | None = None,
) -> tuple[Fold, ...]:
    """All folds that fit between the open of the first and of the last bar, oldest first; at least one.

    ``step_days`` is ``test_days`` unless given, so that the tests join without a hole or an overlap; it may be longer,
    not shorter, since no minute may be judged twice. Folds are counted from the first bar: more history at the end
    leaves the folds there were as they are, and a rest shorter than a step stays unused. Too few days raise
    ``InvalidInputError`` with how many there are and how many are wanted.
    """
    days = {"train_days": train_days, "valid_days": valid_days, "test_days": test_days}
    for name, value in days.items():
        if value < 1:
            raise InvalidInputError(name, value, "at least 1 day")
    step_days = test_days if step_days is None else step_days
    if step_days < test_days:
        raise InvalidInputError("step_days", step_days, f"at least test_days = {test_days}: tests must not overlap")
    wanted = sum(days.values())
    length_ms = last_ms + MINUTE_MS - first_ms
    if length_ms < wanted * DAY_MS:
        parts = " + ".join(f"{value} {name.removesuffix('_days')}" for name, value in days.items())
        raise InvalidInputError("days", round(length_ms / DAY_MS, 2), f"at least {wanted} days ({parts}) for one fold")
    folds: list[Fold] = []
    for number in range((length_ms - wanted * DAY_MS) // (step_days * DAY_MS) + 1):
        start = first_ms + number * step_days * DAY_MS
        valid_from = start + train_days * DAY_MS
        test_from = valid_from + valid_days * DAY_MS
        spans = Span(start, valid_from), Span(valid_from, test_from), Span(test_from, test_from + test_days * DAY_MS)
        folds.append(Fold(number, *spans, tested=tuple(fold.test for fold in folds)))
    return tuple(folds)
