"""Folds roll without a hole, and their map shows the rows as they are."""

import itertools

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS
from services.training.validation.drawing import fold_map
from services.training.validation.folds import walk_forward

START = 1_746_057_600_000  # 2025-05-01


def last_of(days):
    return START + days * DAY_MS - MINUTE_MS


def test_51_days_hold_five_folds_of_20_5_5():
    folds = walk_forward(START, last_of(51), train_days=20, valid_days=5, test_days=5)
    assert [(f.train.start_ms - START) // DAY_MS for f in folds] == [0, 5, 10, 15, 20]
    for fold in folds:
        assert [s.length_ms // DAY_MS for s in (fold.train, fold.valid, fold.test)] == [20, 5, 5]
        assert (fold.train.end_ms, fold.valid.end_ms) == (fold.valid.start_ms, fold.test.start_ms)
    for before, after in itertools.pairwise(folds):
        assert before.test.end_ms == after.test.start_ms
        assert after.tested == (*before.tested, before.test)
    assert folds[-1].test.end_ms <= last_of(51)


def test_default_is_180_30_30_and_more_history_keeps_the_folds_there_were():
    folds = walk_forward(START, last_of(240))
    assert len(folds) == 1
    assert folds[0].describe() == {
        "fold": 0,
        "train": {"start": "2025-05-01T00:00:00.000Z", "end": "2025-10-28T00:00:00.000Z"},
        "valid": {"start": "2025-10-28T00:00:00.000Z", "end": "2025-11-27T00:00:00.000Z"},
        "test": {"start": "2025-11-27T00:00:00.000Z", "end": "2025-12-27T00:00:00.000Z"},
    }
    assert walk_forward(START, last_of(365))[:1] == folds
    assert len(walk_forward(START, last_of(365))) == 5


def test_a_longer_step_leaves_holes_between_tests_a_shorter_one_is_refused():
    folds = walk_forward(START, last_of(51), train_days=20, valid_days=5, test_days=5, step_days=10)
    assert [(f.test.start_ms - START) // DAY_MS for f in folds] == [25, 35, 45]
    with pytest.raises(InvalidInputError) as caught:
        walk_forward(START, last_of(51), train_days=20, valid_days=5, test_days=5, step_days=4)
    assert caught.value.field == "step_days"


def test_too_few_days_say_how_many_there_are_and_are_wanted():
    with pytest.raises(InvalidInputError, match=r"days: got 239\.0, expected at least 240 days") as caught:
        walk_forward(START, last_of(239))
    assert (caught.value.field, caught.value.value) == ("days", 239.0)
    with pytest.raises(InvalidInputError) as caught:
        walk_forward(START, last_of(51), train_days=0)
    assert caught.value.field == "train_days"


@pytest.fixture(scope="module")
def rows():
    """Two symbols, a row every 30 minutes, labels of up to 12 hours."""
    rng = np.random.default_rng(5)
    ts = np.repeat(np.arange(START, last_of(51), 30 * MINUTE_MS, dtype=np.int64), 2)
    return ts, ts + MINUTE_MS * (1 + rng.integers(1, 720, ts.size))


def test_every_fold_is_apart_on_its_label_spans_minute_by_minute(rows):
    ts, end = rows
    for fold in walk_forward(START, last_of(51), train_days=20, valid_days=5, test_days=5):
        split = fold.split(ts, end, embargo_pct=0.05)
        parts = [split.train, split.valid, split.test]
        for i, early in enumerate(parts):
            for late in parts[i + 1 :]:  # every pair of label spans, from the definition
                assert not (
                    (ts[early][:, None] + MINUTE_MS <= end[late]) & (ts[late] + MINUTE_MS <= end[early][:, None])
                ).any()
        for tested in fold.tested:
            fitted = ts[np.concatenate([split.train, split.valid])]
            assert not ((fitted >= tested.end_ms) & (fitted < tested.end_ms + DAY_MS // 4)).any()
        everything = np.concatenate([*parts, split.purged, split.embargoed])
        assert np.array_equal(
            np.sort(everything), np.flatnonzero((ts >= fold.train.start_ms) & (ts < fold.test.end_ms))
        )


def test_the_fold_map_holds_every_row_and_draws_left_out_rows_once_a_boundary(rows):
    ts, end = rows
    folds = walk_forward(START, last_of(51), train_days=20, valid_days=5, test_days=5)
    splits = [fold.split(ts, end, embargo_pct=0.05) for fold in folds]
    drawn = fold_map(splits, ts, end)
    assert {piece["fold"] for piece in drawn} == set(range(5))
    for number, split in enumerate(splits):
        for part, members in split.parts().items():
            pieces = [p for p in drawn if p["fold"] == number and p["part"] == part]
            inside = [(ts[members] >= p["start_ms"]) & (ts[members] + MINUTE_MS <= p["end_ms"]) for p in pieces]
            assert np.array_equal(np.sum(inside, axis=0), np.ones(members.size))
            for p in pieces:  # drawn from rows, not from plans
                assert p["start_ms"] in ts[members]
                assert p["end_ms"] - MINUTE_MS in ts[members]
    of_last = [p for p in drawn if p["fold"] == 4]
    assert sum(p["part"] == "purge" for p in of_last) == 2  # before validation, before the test
    # after two earlier tests inside training, after one where validation begins, after validation
    assert sum(p["part"] == "embargo" for p in of_last) == 4
    train = [p for p in of_last if p["part"] == "train"]
    for hole in (p for p in of_last if p["part"] == "embargo"):
        assert not any(p["start_ms"] < hole["end_ms"] and hole["start_ms"] < p["end_ms"] for p in train)
