"""Every combination is apart on its label spans, and the paths predict each row exactly once."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS
from services.training.splits import Span
from services.training.validation.cpcv import CpcvPlan, CpcvSplit, assert_apart, cpcv_plan
from services.training.validation.drawing import fold_map


def overlap(ts, end, a, b):
    """Pairs of label spans [open + 60 s, end] with an instant in common, from the definition, (a, b)."""
    return (ts[a][:, None] + MINUTE_MS <= end[b]) & (ts[b] + MINUTE_MS <= end[a][:, None])


def pooled(seed, bars=300, symbols=2, longest=20):
    rng = np.random.default_rng(seed)
    ts = np.repeat(np.arange(bars, dtype=np.int64), symbols) * MINUTE_MS
    ts = ts[np.sort(rng.permutation(ts.size)[: ts.size * 2 // 3])]
    return ts, ts + MINUTE_MS * (1 + rng.integers(1, longest + 1, ts.size))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.data())
def test_no_training_label_shares_an_instant_with_a_tested_one_on_either_side(seed, groups, data):
    k = data.draw(st.integers(1, groups - 1))
    ts, end = pooled(seed)
    embargo_pct = data.draw(st.sampled_from([0.0, 0.1]))
    plan = cpcv_plan(ts, groups=groups, test_groups=k, embargo_pct=embargo_pct)
    combos = list(itertools.combinations(range(groups), k))
    assert list(plan.combinations) == combos
    for number, combo in enumerate(combos):
        try:
            split = plan.split(number, ts, end)
        except InvalidInputError:
            assert k == groups - 1  # only one short group between two tested ones may lose all its rows
            continue
        assert not overlap(ts, end, split.train, split.test).any()
        assert np.array_equal(split.test, np.flatnonzero(np.isin(plan.group_of(ts), combo)))
        everything = np.sort(np.concatenate([split.train, split.test, split.purged, split.embargoed]))
        assert np.array_equal(everything, np.arange(ts.size))
        for row in split.purged:  # nothing is purged without need: it touches a tested label or the block's bars
            nearest = [overlap(ts, end, np.array([row]), split.test).any()]
            nearest += [ts[row] < b.start_ms <= end[row] for b in split.blocks]
            assert any(nearest)
        for row in split.embargoed:
            assert embargo_pct > 0
            gaps = [
                ts[row] - end[(ts >= b.start_ms) & (ts < b.end_ms)].max() - 0.1 * b.length_ms
                for b in split.blocks
                if b.end_ms <= ts[row]
            ]
            assert min(gaps) < 0


def test_the_proof_finds_a_label_that_reaches_into_a_test():
    ts = np.arange(10, dtype=np.int64) * MINUTE_MS
    end = ts + 2 * MINUTE_MS

    def split(train, test):
        empty = np.empty(0, np.int64)
        return CpcvSplit(0, (0,), (), np.array(train), np.array(test), empty, empty)

    assert_apart(split([0, 1, 9], [4, 5]), ts, end)
    for train in ([3], [6], [4]):
        with pytest.raises(AssertionError, match="touches"):
            assert_apart(split(train, [4, 5]), ts, end)
    end[4] = 9 * MINUTE_MS  # the longest label is not the last one
    with pytest.raises(AssertionError, match="touches"):
        assert_apart(split([8], [4, 5]), ts, end)


def test_embargo_counts_from_the_last_tested_label_and_only_forwards():
    ts = np.arange(400, dtype=np.int64) * MINUTE_MS
    end = ts + 6 * MINUTE_MS
    plan = cpcv_plan(ts, groups=4, test_groups=1, embargo_pct=0.1)
    split = plan.split(1, ts, end)  # tests 100 … 199, whose last label ends with minute 205
    assert split.train.tolist() == [*range(94), *range(215, 400)]
    assert split.purged.tolist() == [*range(94, 100), *range(200, 205)]
    assert split.embargoed.tolist() == [*range(205, 215)]


def test_purge_bars_widens_both_sides():
    ts = np.arange(400, dtype=np.int64) * MINUTE_MS
    plan = cpcv_plan(ts, groups=4, test_groups=1, purge_bars=20)
    split = plan.split(1, ts, ts + 6 * MINUTE_MS)
    assert split.train.tolist() == [*range(74), *range(225, 400)]


@pytest.mark.parametrize(("groups", "k"), [(6, 2), (5, 1), (6, 3), (4, 3)])
def test_paths_are_as_many_as_the_book_says_and_predict_each_row_once(groups, k):
    ts, end = pooled(3, longest=5)
    plan = cpcv_plan(ts, groups=groups, test_groups=k)
    paths = plan.paths()
    assert paths.shape == (plan.n_paths, groups)
    assert plan.n_paths == math.comb(groups, k) * k // groups
    used = [(int(split), group) for row in paths for group, split in enumerate(row)]
    assert len(set(used)) == len(used) == math.comb(groups, k) * k
    assert all(group in plan.combinations[split] for split, group in used)

    splits = [plan.split(i, ts, end) for i in range(len(plan.combinations))]
    # each split predicts (its own number, the row): what arrives on a path is checked cell by cell
    predicted = [np.stack([np.full(s.test.size, float(s.number)), s.test.astype(float)], axis=1) for s in splits]
    out = plan.assemble(ts, splits, predicted)
    assert out.shape == (plan.n_paths, ts.size, 2)
    group = plan.group_of(ts)
    for path in range(plan.n_paths):
        np.testing.assert_array_equal(out[path, :, 1], np.arange(ts.size))
        np.testing.assert_array_equal(out[path, :, 0], paths[path, group])
    for number, split in enumerate(splits):  # and all that was predicted is used
        assert (out[:, :, 0] == number).sum() == split.test.size


def test_groups_are_equal_in_rows_and_never_split_a_bar():
    ts, _ = pooled(1)
    plan = cpcv_plan(ts, groups=6)
    sizes = np.bincount(plan.group_of(ts))
    assert sizes.max() - sizes.min() <= 4
    for before, after in itertools.pairwise(plan.groups):
        assert before.end_ms == after.start_ms
    with pytest.raises(InvalidInputError):
        plan.group_of(np.array([ts.max() + MINUTE_MS]))


def test_plan_and_map_describe_themselves():
    ts, end = pooled(2, longest=8)
    plan = cpcv_plan(ts, groups=4, test_groups=2, embargo_pct=0.05)
    assert (plan.describe()["splits"], plan.describe()["paths"]) == (6, 3)
    split = plan.split(1, ts, end)  # groups 0 and 2: two blocks
    assert split.describe()["groups"] == [0, 2]
    assert len(split.describe()["test"]) == 2
    assert len(plan.split(0, ts, end).blocks) == 1  # groups 0 and 1 join
    drawn = fold_map([split], ts, end)
    for part, rows in split.parts().items():
        pieces = [p for p in drawn if p["part"] == part]
        hits = np.sum([(ts[rows] >= p["start_ms"]) & (ts[rows] < p["end_ms"]) for p in pieces], axis=0)
        assert (hits == 1).all()
    assert [p["part"] for p in drawn if p["part"] in ("train", "test")] == ["test", "train", "test", "train"]


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [
        ({"groups": 4, "test_groups": 4}, "test_groups"),
        ({"groups": 4, "test_groups": 0}, "test_groups"),
        ({"groups": 500, "test_groups": 2}, "groups"),
        ({"embargo_pct": 1.0}, "embargo_pct"),
        ({"purge_bars": -1}, "purge_bars"),
    ],
)
def test_bad_plans_are_refused_by_name(kwargs, field):
    ts, _ = pooled(1, bars=100)
    with pytest.raises(InvalidInputError) as caught:
        cpcv_plan(ts, **kwargs)
    assert caught.value.field == field


def test_a_split_without_training_rows_is_refused():
    ts = np.arange(20, dtype=np.int64) * MINUTE_MS
    plan = CpcvPlan((Span(0, 10 * MINUTE_MS), Span(10 * MINUTE_MS, 20 * MINUTE_MS)), 1)
    with pytest.raises(InvalidInputError, match="left after purge"):
        plan.split(0, ts, ts + 30 * MINUTE_MS)
