"""Labels against a bar-by-bar oracle, and what must hold of them whatever the market."""

import dataclasses
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from services.labeling.tests import oracle
from services.labeling.tests.markets import START_MS, Arrays, label_frame, random_arrays
from services.labeling.triple_barrier import PRESETS, LabelSpec, label_both

COLUMNS = ["y", "ret_net", "mae", "mfe", "time_to_event_min", "ret_gross", "fees", "slippage", "funding"]
SPEC = LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=12, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15)


def expected_frame(arrays: Arrays, spec: LabelSpec, direction: int, atr_slip: np.ndarray) -> pd.DataFrame:
    lists = [array.tolist() for array in arrays]
    rows = [
        oracle.label(i, *lists, asdict(spec), direction, atr_slip.tolist()) or dict.fromkeys(COLUMNS, np.nan)
        for i in range(len(lists[0]))
    ]
    return pd.DataFrame(rows, columns=COLUMNS, index=pd.Index(arrays.ts, name="ts"), dtype=np.float64)


specs = st.builds(
    LabelSpec,
    k_tp=st.sampled_from([0.5, 1.0, 1.5, 4.0, 40.0]),
    k_sl=st.sampled_from([0.5, 1.0, 2.0, 40.0]),
    h_bars=st.sampled_from([1, 2, 15, 16, 17, 33, 64, 90, 200]),
    risk_mae_atr=st.sampled_from([0.75, 3.0, 50.0]),
    fee_rate=st.just(0.0004),
    slippage_k=st.sampled_from([0.0, 0.15]),
    stop_overshoot=st.sampled_from([0.0, 0.25, 1.0]),
)


@given(specs, st.integers(0, 2**32 - 1), st.integers(0, 190), st.sampled_from([1, -1]), st.booleans())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_labels_equal_the_oracle_bit_for_bit(
    spec: LabelSpec, seed: int, n: int, direction: int, own_slip: bool
) -> None:
    rng = np.random.default_rng(seed)
    arrays = random_arrays(n, rng)
    slip = np.where(rng.random(n) < 0.05, np.nan, rng.random(n)) if own_slip else None
    got = label_frame(arrays, spec, direction, slip)
    expected = expected_frame(arrays, spec, direction, arrays.atr if slip is None else slip)
    pd.testing.assert_frame_equal(got, expected, check_exact=True, check_index_type=False)


def test_the_random_markets_hold_what_the_oracle_is_there_for() -> None:
    """Corners counted by looking at the bars, so that the comparison above cannot quietly become an easy one."""
    spec = dataclasses.replace(SPEC, k_tp=2.0, stop_overshoot=0.25)
    seen = dict.fromkeys(("first bar", "last bar", "both barriers", "just touched", "fundings", "gap", "no atr"), 0)
    for seed in range(6):
        arrays = random_arrays(190, np.random.default_rng(seed))
        frame = expected_frame(arrays, spec, 1, arrays.atr)
        settles = (arrays.next_funding_ts > arrays.ts) & (arrays.next_funding_ts <= arrays.ts + 60_000)
        for t in np.flatnonzero(frame["y"].notna()):
            exit_bar = t + int(frame["time_to_event_min"].iloc[t])
            tp, sl = arrays.mark[t] + 2.0 * arrays.atr[t], arrays.mark[t] - arrays.atr[t]
            hit = frame["y"].iloc[t] != 0
            seen["first bar"] += hit and exit_bar == t + 1
            seen["last bar"] += hit and exit_bar == t + spec.h_bars
            seen["both barriers"] += arrays.high[exit_bar] >= tp and arrays.low[exit_bar] <= sl
            seen["just touched"] += arrays.high[exit_bar] == tp or arrays.low[exit_bar] == sl
            seen["fundings"] += int(settles[t + 1 : exit_bar].sum() >= 2)
            seen["gap"] += arrays.ts[exit_bar] - arrays.ts[t] > 60_000 * (exit_bar - t)
        seen["no atr"] += int((frame["y"].iloc[: -spec.h_bars].isna()).sum())
    assert all(seen.values()), seen


def test_both_directions_in_one_pass_equal_each_alone() -> None:
    arrays = random_arrays(700, np.random.default_rng(2))
    both = label_both(*arrays, SPEC)
    for direction, labels in ((1, both.long), (-1, both.short)):
        frame = label_frame(arrays, SPEC, direction)
        np.testing.assert_array_equal(labels.labelled, frame["y"].notna())
        for name in ("ret_net", "mae", "mfe", "ret_gross", "fees", "slippage", "funding"):
            np.testing.assert_array_equal(getattr(labels, name), frame[name])
        known = labels.labelled
        np.testing.assert_array_equal(labels.y[known], frame["y"][known])
        np.testing.assert_array_equal(labels.bars[known], frame["time_to_event_min"][known])
        assert not labels.y[~known].any()
        assert not labels.bars[~known].any()


def test_every_outcome_occurs_and_costs_add_up_to_the_last_bit() -> None:
    arrays = random_arrays(3_000, np.random.default_rng(3))
    for direction in (1, -1):
        frame = label_frame(arrays, SPEC, direction).dropna()
        assert set(frame["y"]) == {-1.0, 0.0, 1.0}
        assert (frame["funding"] != 0).any()
        summed = frame["ret_gross"] - frame["fees"] - frame["slippage"] - frame["funding"]
        assert (summed == frame["ret_net"]).all()


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.01), st.floats(0, 0.01))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_higher_fees_never_raise_the_net_return(seed: int, fee: float, more: float) -> None:
    arrays = random_arrays(120, np.random.default_rng(seed))
    cheap, dear = (
        label_frame(arrays, dataclasses.replace(SPEC, fee_rate=rate), 1)["ret_net"].dropna()
        for rate in (fee, fee + more)
    )
    assert (dear <= cheap).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_mirrored_prices_mirror_a_short(seed: int) -> None:
    """Around the entry: a short in the market is a long in the market turned over, seen from the same entry."""
    arrays = random_arrays(60, np.random.default_rng(seed), holes=False)
    no_funding = np.where(np.isnan(arrays.funding_rate), np.nan, 0.0)
    arrays = arrays._replace(mark=np.full(60, 128.0), atr=3 * arrays.atr, funding_rate=no_funding)
    for series in (arrays.high, arrays.low, arrays.close):
        np.add(series, 28.0, out=series)  # the walk begins at the entry; a quarter grid keeps every sum exact
    turned = arrays._replace(high=256.0 - arrays.low, low=256.0 - arrays.high, close=256.0 - arrays.close)
    spec = dataclasses.replace(SPEC, k_tp=2.0, slippage_k=0.25, stop_overshoot=0.5)
    pd.testing.assert_frame_equal(label_frame(arrays, spec, -1), label_frame(turned, spec, 1), check_exact=True)


def flat(n: int, price: float = 100.0) -> Arrays:
    ts = START_MS + 60_000 * np.arange(n)
    ones = np.full(n, price)
    return Arrays(ts, ones.copy(), ones.copy(), ones.copy(), ones.copy(), np.ones(n), np.full(n, np.nan), ts * 0)


def test_both_barriers_in_one_bar_count_as_the_stop() -> None:
    arrays = flat(20)
    arrays.high[1], arrays.low[1] = 105.0, 95.0
    for direction in (1, -1):
        row = label_frame(arrays, SPEC, direction).iloc[0]
        assert (row["y"], row["time_to_event_min"], row["ret_gross"]) == (-1.0, 1.0, -0.01)
        assert (row["mae"], row["mfe"]) == (0.05, 0.05)


def test_touch_counts_in_the_last_bar_of_the_window_and_not_after_it() -> None:
    arrays = flat(40)
    arrays.high[12] = 101.5
    frame = label_frame(arrays, SPEC, 1)
    assert (frame["y"].iloc[0], frame["time_to_event_min"].iloc[0]) == (1.0, 12.0)
    arrays.high[12], arrays.high[13] = 100.0, 101.5
    assert label_frame(arrays, SPEC, 1)["y"].iloc[0] == 0.0


def test_the_stop_loses_its_share_of_the_bar_beyond_it() -> None:
    arrays = flat(20)
    arrays.low[3] = 97.0
    frame = label_frame(arrays, dataclasses.replace(SPEC, stop_overshoot=0.25), 1)
    assert frame["ret_gross"].iloc[0] == (99.0 - 0.25 * 2.0 - 100.0) / 100.0
    arrays.low[3], arrays.high[3] = 100.0, 103.0
    frame = label_frame(arrays, dataclasses.replace(SPEC, stop_overshoot=0.25), -1)
    assert frame["ret_gross"].iloc[0] == -(101.0 + 0.25 * 2.0 - 100.0) / 100.0


@pytest.mark.parametrize(("y", "at_close", "paid"), [(0, True, 0.003), (1, True, 0.001), (1, False, 0.003)])
def test_funding_at_the_close_of_the_exit_bar_is_paid_only_when_held_to_it(y: int, at_close: bool, paid: float) -> None:
    arrays = flat(30)
    exit_bar = 12 if y == 0 else 5
    if y:
        arrays.high[exit_bar] = 102.0
    for bar, rate in ((0, 0.5), (4, 0.001), (exit_bar, 0.002), (exit_bar + 1, 0.7)):
        arrays.next_funding_ts[bar] = arrays.ts[bar] + 60_000
        arrays.funding_rate[bar] = rate
    arrays.next_funding_ts[exit_bar] -= 0 if at_close else 1
    for direction in (1, -1):
        if direction == -1 and y:
            continue
        assert label_frame(arrays, SPEC, direction)["funding"].iloc[0] == direction * paid


def test_barriers_that_are_never_hit_give_time_exits_with_the_windows_extremes() -> None:
    """The block-wise skip must see every bar of the window, wherever it starts."""
    rng = np.random.default_rng(9)
    arrays = random_arrays(900, rng, holes=False)
    spec = dataclasses.replace(SPEC, k_tp=1e3, k_sl=1e3, risk_mae_atr=1e3, h_bars=361)
    frame = label_frame(arrays, spec, 1)
    labelled = 900 - 361
    assert frame["y"].iloc[:labelled].eq(0).all()
    assert frame["y"].iloc[labelled:].isna().all()
    for i in range(labelled):
        entry = arrays.mark[i]
        assert frame["mfe"].iloc[i] == max((arrays.high[i + 1 : i + 362].max() - entry) / entry, 0)
        assert frame["mae"].iloc[i] == max((entry - arrays.low[i + 1 : i + 362].min()) / entry, 0)
        assert frame["ret_gross"].iloc[i] == (arrays.close[i + 361] - entry) / entry


def test_times_may_be_datetimes() -> None:
    arrays = random_arrays(200, np.random.default_rng(12))
    stamped = arrays._replace(
        ts=pd.to_datetime(arrays.ts, unit="ms").to_numpy(),
        next_funding_ts=pd.to_datetime(arrays.next_funding_ts, unit="ms").to_numpy(),
    )
    got, expected = label_frame(stamped, SPEC, 1), label_frame(arrays, SPEC, 1)
    np.testing.assert_array_equal(got.to_numpy(), expected.to_numpy())
    assert got.index.equals(pd.DatetimeIndex(stamped.ts))
    floats = arrays._replace(next_funding_ts=np.where(np.isnan(arrays.funding_rate), np.nan, arrays.next_funding_ts))
    np.testing.assert_array_equal(label_frame(floats, SPEC, 1).to_numpy(), expected.to_numpy())


@pytest.mark.parametrize(
    ("field", "row", "value"),
    [
        *(("high", 3, np.nan), ("high", 3, np.inf), ("low", 4, 0.0), ("low", 4, np.nan), ("close", 5, np.nan)),
        *(("close", 5, 1e9), ("ts", 6, START_MS)),
    ],
)
def test_bad_series_are_refused_by_symbol_row_and_field(field: str, row: int, value: float) -> None:
    arrays = flat(20)
    getattr(arrays, field)[row] = value
    with pytest.raises(InvalidInputError, match=rf"TESTUSDT: \w+\[{row}\]"):
        label_frame(arrays, SPEC, 1)


def test_a_settlement_without_a_rate_is_refused_rather_than_taken_as_free() -> None:
    arrays = flat(20)
    arrays.next_funding_ts[4] = arrays.ts[4] + 60_000
    with pytest.raises(InvalidInputError, match=r"funding_rate\[4\]"):
        label_frame(arrays, SPEC, 1)


def test_bad_arguments_are_refused() -> None:
    arrays = flat(20)
    with pytest.raises(InvalidInputError, match="direction"):
        label_frame(arrays, SPEC, 0)
    with pytest.raises(InvalidInputError, match=r"atr: got \(19,\)"):
        label_frame(arrays._replace(atr=arrays.atr[1:]), SPEC, 1)
    with pytest.raises(InvalidInputError, match="ts_index"):
        label_frame(arrays._replace(ts=arrays.ts.astype(str)), SPEC, 1)


def test_times_that_are_no_milliseconds_are_refused() -> None:
    """In a minute of the year 57000 no rate ever settles, and funding would cost nothing."""
    arrays = flat(20)
    for scale in (1_000, 1_000_000):
        with pytest.raises(InvalidInputError, match=r"ts_index\[19\].*2100"):
            label_frame(arrays._replace(ts=arrays.ts * scale), SPEC, 1)


def test_a_close_that_is_no_price_is_named_as_the_close() -> None:
    arrays = flat(20)
    for bad in (float("nan"), float("inf"), 0.0):
        close = arrays.close.copy()
        close[7] = bad
        with pytest.raises(InvalidInputError, match=r": close\[7\]"):
            label_frame(arrays._replace(close=close), SPEC, 1)


def test_a_time_may_carry_its_zone_and_may_not_be_missing() -> None:
    arrays = flat(20)
    times = pd.to_datetime(arrays.ts, unit="ms", utc=True)
    plain = label_frame(arrays, SPEC, 1)
    for index in (times, times.tz_convert("Asia/Seoul"), times.tz_localize(None)):
        np.testing.assert_array_equal(label_frame(arrays._replace(ts=index), SPEC, 1).to_numpy(), plain.to_numpy())
    with pytest.raises(InvalidInputError, match="epoch ms"):
        label_frame(arrays._replace(ts=arrays.ts // 1000), SPEC, 1)  # seconds
    with pytest.raises(InvalidInputError, match=r"ts_index\[0\]"):
        label_frame(arrays._replace(ts=times.where(np.arange(20) > 0)), SPEC, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("k_tp", 0.0), ("k_sl", -1.0), ("h_bars", 0), ("h_bars", 1.5), ("risk_mae_atr", float("nan"))),
        *(("fee_rate", -1e-9), ("slippage_k", float("inf")), ("atr_interval_min", 5), ("stop_overshoot", 1.01)),
        *(("k_tp", "1.5"), ("h_bars", True), ("h_bars", float("inf"))),
    ],
)
def test_specs_are_validated_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=rf"LabelSpec\.{field}"):
        dataclasses.replace(SPEC, **{field: value})


def test_the_hash_names_the_meaning() -> None:
    assert LabelSpec(1.5, 1, 12.0, 3, 4e-4, 0.15).hash() == SPEC.hash()
    assert LabelSpec.from_dict(SPEC.to_dict()) == SPEC
    others = [
        dataclasses.replace(SPEC, **change)
        for change in (
            *({"k_tp": 1.6}, {"k_sl": 1.1}, {"h_bars": 13}, {"risk_mae_atr": 2.0}, {"fee_rate": 5e-4}),
            *({"slippage_k": 0.2}, {"atr_interval_min": 60}, {"stop_overshoot": 0.25}),
        )
    ]
    assert len({spec.hash() for spec in [SPEC, *others]}) == 9
    # Stored labels and models are found by these names: a change here orphans them.
    assert {name: spec.hash() for name, spec in PRESETS.items()} == PRESET_HASHES
    for bad in ({"k_tp": 1.0}, SPEC.to_dict() | {"extra": 1}):
        with pytest.raises(InvalidInputError, match="LabelSpec"):
            LabelSpec.from_dict(bad)


def test_presets_are_those_of_the_specification() -> None:
    spec, swing = PRESETS["spec"], PRESETS["swing"]
    assert spec == LabelSpec(1.5, 1.0, 360, 3.0, 0.0004, 0.15, 1, 0.0)
    assert swing == LabelSpec(1.5, 1.0, 1440, 3.0, 0.0004, 0.15, 60, 0.25)


PRESET_HASHES = {"spec": "cbc49dece18aa7a8", "swing": "827c668c5c735e5e"}
