"""§8.3: inputs see nothing after their bar; labels see their window and nothing else, and training is purged of it."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from services.labeling.spans import UNKNOWN, exit_ms, touches, window_end_ms
from services.labeling.tests.markets import label_frame, random_arrays
from services.labeling.triple_barrier import LabelSpec, label_both

# §8.3 puts both halves in this file; labels and features stay siblings that do not import each other.
features_kernel = import_module("services.features.kernel")
compute_features = import_module("services.features.compute").compute_features

H = 20
SPEC = LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=H, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15)


def bars_of(n: int, rng: np.random.Generator) -> np.ndarray:
    arrays = random_arrays(n, rng, holes=False)
    bars = np.empty((n, features_kernel.BAR_SIZE))
    bars[:, 0] = arrays.ts // 60_000 * 60_000
    bars[:, 1] = bars[:, 6] = arrays.close
    for column, series in ((2, arrays.high), (3, arrays.low), (4, arrays.close)):
        bars[:, column] = bars[:, column + 5] = series
    bars[:, 5] = np.exp(rng.standard_normal(n) + 8)
    bars[:, 10] = arrays.close * 0.9999
    bars[:, 11] = arrays.funding_rate
    return bars


@given(st.integers(0, 249), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_features_at_any_ts_do_not_see_the_future(t: int, seed: int) -> None:
    bars, future = bars_of(250, np.random.default_rng(1)), bars_of(250, np.random.default_rng(seed))
    changed = np.concatenate([bars[: t + 1], future[t + 1 :] * np.r_[1.0, np.full(11, 3.0)]])
    before, after = compute_features(bars, bars).values, compute_features(changed, changed).values
    assert before[: t + 1].tobytes() == after[: t + 1].tobytes()


@given(st.integers(0, 150), st.integers(0, 2**32 - 1), st.sampled_from([1, -1]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_labels_see_their_window_and_nothing_else(t: int, seed: int, direction: int) -> None:
    arrays = random_arrays(200, np.random.default_rng(2), holes=False)
    other = random_arrays(200, np.random.default_rng(seed), holes=False)
    inside = (np.arange(200) >= t) & (np.arange(200) <= t + H)
    mixed = arrays._replace(
        **{
            name: np.where(inside, getattr(arrays, name), getattr(other, name))
            for name in ("high", "low", "close", "mark", "atr", "funding_rate", "next_funding_ts")
        }
    )
    a, b = label_frame(arrays, SPEC, direction).iloc[t], label_frame(mixed, SPEC, direction).iloc[t]
    np.testing.assert_array_equal(a.to_numpy(), b.to_numpy())
    assert a.notna().all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_label_changes_with_nothing_after_its_exit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = random_arrays(120, rng)
    labels = label_both(*arrays, SPEC).long
    ends = exit_ms(arrays.ts, labels.bars, labels.labelled)
    rows = np.flatnonzero(labels.labelled)
    if rows.size == 0:
        return
    t = int(rng.choice(rows))
    after = arrays.ts >= ends[t]
    wild = arrays._replace(
        high=np.where(after, arrays.high * 5, arrays.high), close=np.where(after, arrays.close * 2, arrays.close)
    )
    again = label_both(*wild, SPEC).long
    assert (again.y[t], again.ret_net[t], again.mae[t]) == (labels.y[t], labels.ret_net[t], labels.mae[t])


def test_purged_training_rows_share_no_bar_with_the_test_span() -> None:
    arrays = random_arrays(400, np.random.default_rng(5))
    ends = window_end_ms(arrays.ts, H)
    first, last = 200, 299
    from_ms, to_ms = int(arrays.ts[first]), int(arrays.ts[last]) + 60_000
    purged = touches(arrays.ts, ends, from_ms, to_ms)
    for t in range(400):
        bars = range(t, min(t + H, 399) + 1)  # the entry's bar and the window
        shares = any(first <= j <= last for j in bars)
        if t + H <= 399:
            assert purged[t] == shares
        else:
            assert ends[t] == UNKNOWN
    # Corrupting the whole test span changes no label that stays in training.
    span = (arrays.ts >= from_ms) & (arrays.ts < to_ms)
    wild = arrays._replace(
        high=np.where(span, arrays.high * 3, arrays.high), low=np.where(span, arrays.low / 3, arrays.low)
    )
    before, after = label_both(*arrays, SPEC).short, label_both(*wild, SPEC).short
    kept = ~purged & before.labelled
    assert kept.sum() > 100
    np.testing.assert_array_equal(before.ret_net[kept], after.ret_net[kept])
    # One row more would have been a leak.
    assert (before.ret_net[purged & before.labelled] != after.ret_net[purged & before.labelled]).any()


def test_exits_lie_inside_the_windows() -> None:
    arrays = random_arrays(400, np.random.default_rng(6))
    labels = label_both(*arrays, SPEC).long
    ends, windows = exit_ms(arrays.ts, labels.bars, labels.labelled), window_end_ms(arrays.ts, H)
    known = labels.labelled
    assert (ends[known] <= windows[known]).all()
    assert (ends[known] > arrays.ts[known] + 60_000).all()
    assert (ends[~known] == UNKNOWN).all()


def test_spans_must_be_spans() -> None:
    ts = np.arange(3, dtype=np.int64)
    with pytest.raises(InvalidInputError, match="to_ms"):
        touches(ts, ts, 5, 5)
    with pytest.raises(InvalidInputError, match="h_bars"):
        window_end_ms(ts, 0)
