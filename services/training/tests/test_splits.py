"""Purge and embargo hold on the spans themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS
from services.training.splits import Span, make_split, spans_of_history, touches


def minutes(*numbers):
    return np.array(numbers, np.int64) * MINUTE_MS


def span(a, b):
    return Span(a * MINUTE_MS, b * MINUTE_MS)


@given(st.data())
def test_no_training_label_shares_an_instant_with_a_later_part(data):
    n = data.draw(st.integers(40, 120))
    ts = np.arange(n, dtype=np.int64) * MINUTE_MS
    holds = np.array(data.draw(st.lists(st.integers(1, 12), min_size=n, max_size=n)), np.int64)
    end = ts + MINUTE_MS * (1 + holds)
    cut = data.draw(st.integers(15, n - 25))
    cut2 = data.draw(st.integers(cut + 14, n - 2))
    split = make_split(ts, end, train=span(0, cut), valid=span(cut, cut2), test=span(cut2, n))
    # written from the definition, minute by minute, not with the code under test
    for early, late in ((split.train, split.valid), (split.train, split.test), (split.valid, split.test)):
        used = {m for i in early for m in range(i + 1, i + holds[i] + 1)}
        assert not used & set(late.tolist())
    kept = np.concatenate([split.train, split.valid, split.test, split.purged])
    assert sorted(kept.tolist()) == list(range(n))
    for i in split.purged:  # nothing is purged without need
        assert i + holds[i] >= (cut if i < cut else cut2) - 1


def test_purge_keeps_the_row_whose_label_ends_one_instant_before():
    ts = minutes(0, 1, 2, 3, 4, 5, 6, 7, 8)
    end = ts + minutes(2)
    end[3] = 6 * MINUTE_MS  # exit bar 5 closes where bar 6, the first of validation, opens: it touches
    end[2] = 6 * MINUTE_MS - 1
    split = make_split(ts, end, train=span(0, 6), valid=span(6, 9))
    assert split.train.tolist() == [0, 1, 2]
    assert split.purged.tolist() == [3, 4, 5]


def test_purge_bars_keeps_more_distance_than_the_labels_need():
    ts = np.arange(100, dtype=np.int64) * MINUTE_MS
    end = ts + 2 * MINUTE_MS
    derived = make_split(ts, end, train=span(0, 50), valid=span(50, 100))
    wider = make_split(ts, end, train=span(0, 50), valid=span(50, 100), purge_bars=10)
    assert derived.train[-1] == 47
    assert wider.train[-1] == 37


def test_embargo_leaves_out_the_start_of_the_test_span():
    ts = np.arange(100, dtype=np.int64) * MINUTE_MS
    split = make_split(
        ts, ts + 2 * MINUTE_MS, train=span(0, 40), valid=span(40, 60), test=span(60, 100), embargo_pct=0.25
    )
    assert split.test[0] == 65
    assert split.embargoed.tolist() == [60, 61, 62, 63, 64]


@pytest.mark.parametrize(
    ("train", "valid", "test", "field"),
    [
        (span(50, 100), span(0, 50), None, "train span"),
        (span(0, 51), span(50, 100), None, "train span"),
        (span(10, 10), span(50, 100), None, "train span"),
        (span(0, 40), span(50, 100), span(60, 100), "valid span"),
        (span(0, 40), span(200, 300), None, "valid span"),
        (span(0, 2), span(2, 100), None, "train span"),  # all purged
    ],
)
def test_spans_out_of_order_or_empty_are_refused_by_name(train, valid, test, field):
    ts = np.arange(100, dtype=np.int64) * MINUTE_MS
    with pytest.raises(InvalidInputError) as caught:
        make_split(ts, ts + 3 * MINUTE_MS, train=train, valid=valid, test=test)
    assert caught.value.field == field


def test_rows_fitted_with_keep_a_distance_from_spans_tested_on_before():
    ts = np.arange(200, dtype=np.int64) * MINUTE_MS
    end = ts + 4 * MINUTE_MS
    spans = {"train": span(0, 100), "valid": span(100, 140), "test": span(150, 200)}
    plain = make_split(ts, end, **spans, tested=(span(20, 40), span(80, 110)))
    assert plain.embargoed.size == 0
    split = make_split(ts, end, **spans, tested=(span(20, 40), span(80, 110)), embargo_pct=0.1)
    # 10 % of 20 and 30 bars after the last label of each, which ends 3 bars after the span; 10 % of 40 after validation
    assert split.embargoed.tolist() == [40, 41, 42, 43, 44, *range(110, 116)]
    assert not np.isin(split.embargoed, np.concatenate([split.train, split.valid, split.test])).any()
    assert split.describe()["embargoed"] == 11


def test_history_is_cut_in_order_without_holes():
    train, valid, test = spans_of_history(0, 20 * 1440 * MINUTE_MS - MINUTE_MS)
    assert train.start_ms == 0
    assert train.end_ms == valid.start_ms
    assert valid.end_ms == test.start_ms
    assert test.end_ms == 20 * 1440 * MINUTE_MS
    assert train.length_ms > 3 * valid.length_ms


def test_touching_is_symmetric_and_closed():
    ts, end = minutes(0), minutes(5)
    assert touches(ts, end, 5 * MINUTE_MS, 9 * MINUTE_MS).all()
    assert touches(ts, end, -5, MINUTE_MS).all()
    assert not touches(ts, end, 5 * MINUTE_MS + 1, 9 * MINUTE_MS).any()
    assert not touches(ts, end, -5, MINUTE_MS - 1).any()
