"""§8.3: inputs see nothing after their bar; labels see their window and nothing else, and training is purged of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.features import schema
from services.features.compute import compute_features
from services.features.kernel import BAR_SIZE
from services.labeling.tests.markets import label_frame, random_arrays
from services.labeling.triple_barrier import LabelSpec, label_both
from services.training.splits import Span, make_split

H = 20
SPEC = LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=H, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15)
SLOW = LabelSpec(k_tp=8.0, k_sl=8.0, h_bars=H, risk_mae_atr=8.0, fee_rate=0.0004, slippage_k=0.15)  # long labels
WARM = 1_560  # bars after which every feature exists (btc_regime is the last, features.md)
N_BARS = WARM + 240


def bars_of(n: int, rng: np.random.Generator) -> np.ndarray:
    arrays = random_arrays(n, rng, holes=False)
    bars = np.empty((n, BAR_SIZE))
    bars[:, 0] = arrays.ts // 60_000 * 60_000
    bars[:, 1] = bars[:, 6] = arrays.close
    for column, series in ((2, arrays.high), (3, arrays.low), (4, arrays.close)):
        bars[:, column] = bars[:, column + 5] = series
    bars[:, 5] = np.exp(rng.standard_normal(n) + 8)
    bars[:, 10] = arrays.close * 0.9999
    bars[:, 11] = arrays.funding_rate
    return bars


BARS, BTC = bars_of(N_BARS, np.random.default_rng(1)), bars_of(N_BARS, np.random.default_rng(2))
CLEAN = compute_features(BARS, BTC).values


def corrupted(bars: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
    """Everything after bar ``t`` replaced: another walk, price, volume, other settlements, index holes, lost bars."""
    other = bars_of(len(bars), rng)
    other[:, 1:11] *= rng.uniform(1e-3, 1e3)
    other[rng.random(len(bars)) < 0.3, 10] = np.nan
    lost = (rng.random(len(bars)) < 0.1) & (np.arange(len(bars)) > t)
    return np.concatenate([bars[: t + 1], other[t + 1 :]])[~lost]


def test_the_comparison_has_every_feature() -> None:
    assert not np.isnan(CLEAN[WARM:]).all(axis=0).any()
    assert np.isfinite(CLEAN[-1, [i for i, key in enumerate(schema.KEYS) if key not in schema.OPTIONAL]]).all()


@given(st.one_of(st.integers(0, N_BARS - 1), st.integers(WARM, N_BARS - 1)), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_features_at_any_ts_do_not_see_the_future(t: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    after = compute_features(corrupted(BARS, t, rng), corrupted(BTC, t, rng)).values
    assert after[: t + 1].tobytes() == CLEAN[: t + 1].tobytes()


@pytest.mark.parametrize("t", [WARM, WARM + 100])
def test_features_see_their_own_bar(t: int) -> None:
    """What is corrupted at ``t`` itself is seen at ``t``: the test above could fail."""
    after = compute_features(corrupted(BARS, t - 1, np.random.default_rng(3))[: t + 1], BTC).values
    assert after[:t].tobytes() == CLEAN[:t].tobytes()
    assert (after[t] != CLEAN[t])[[i for i, key in enumerate(schema.KEYS) if key.startswith("ret_")]].all()


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


@pytest.mark.parametrize("direction", [1, -1])
def test_labels_use_their_window_to_its_last_bar(direction: int) -> None:
    arrays = random_arrays(200, np.random.default_rng(4), holes=False)
    wide = LabelSpec(k_tp=90.0, k_sl=90.0, h_bars=H, risk_mae_atr=90.0, fee_rate=0.0004, slippage_k=0.15)
    quiet = label_frame(arrays, wide, direction)
    t = int(np.flatnonzero(quiet["y"] == 0)[0])
    high = arrays.high.copy()
    high[t + H] = 1e6
    touched = label_frame(arrays._replace(high=high), wide, direction).iloc[t]
    assert (touched["y"], touched["time_to_event_min"]) == (direction, H)
    high[t + H], high[t + H + 1] = arrays.high[t + H], 1e6
    beyond = label_frame(arrays._replace(high=high), wide, direction).iloc[t]
    np.testing.assert_array_equal(beyond.to_numpy(), quiet.iloc[t].to_numpy())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_label_changes_with_nothing_after_its_exit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = random_arrays(120, rng)
    labels = label_both(*arrays, SPEC).long
    rows = np.flatnonzero(labels.labelled)
    if rows.size == 0:
        return
    t = int(rng.choice(rows))
    after = np.arange(120) > t + labels.bars[t]
    wild = arrays._replace(
        high=np.where(after, arrays.high * 5, arrays.high), close=np.where(after, arrays.close * 2, arrays.close)
    )
    again = label_both(*wild, SPEC).long
    assert (again.y[t], again.ret_net[t], again.mae[t]) == (labels.y[t], labels.ret_net[t], labels.mae[t])


@pytest.mark.parametrize("seed", range(5))
def test_what_a_model_is_fitted_with_knows_nothing_of_what_judges_it(seed: int) -> None:
    """The split of training itself: corrupting every later bar changes no label that stays in an earlier part."""
    arrays = random_arrays(600, np.random.default_rng(seed), holes=False)
    labels = label_both(*arrays, SLOW).long
    rows = np.flatnonzero(labels.labelled)
    ends = arrays.ts[rows + labels.bars[rows]] + 60_000
    edges = [int(arrays.ts[i]) for i in (0, 300, 450, 599)]
    train, valid, test = (Span(*edges[i : i + 2]) for i in range(3))
    split = make_split(arrays.ts[rows], ends, train=train, valid=valid, test=test)
    for kept, later in ((split.train, valid), (split.valid, test)):
        wild = {
            name: np.where(arrays.ts >= later.start_ms, getattr(arrays, name) * factor, getattr(arrays, name))
            for name, factor in (("high", 3.0), ("low", 0.3), ("close", 1.1), ("mark", 2.0), ("atr", 0.5))
        }
        again = label_both(*arrays._replace(**wild), SLOW).long
        assert kept.size > 50
        for name in ("labelled", "y", "bars", "ret_net", "mae", "mfe", "ret_gross", "slippage", "funding"):
            before, after = getattr(labels, name)[rows], getattr(again, name)[rows]
            np.testing.assert_array_equal(before[kept], after[kept])
        assert (labels.ret_net[rows] != again.ret_net[rows])[split.purged].any()  # keeping them would have been a leak
    for i, (ts, end) in enumerate(zip(arrays.ts[rows], ends, strict=True)):
        looks_on = (ts < valid.start_ms <= end) or (valid.start_ms <= ts < test.start_ms <= end)
        assert (i in split.purged) == looks_on
