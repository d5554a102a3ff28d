"""One computation, however it is driven: live, in batch, restarted, after gaps, and blind to the future."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError, SchemaMismatchError
from services.features import kernel as k
from services.features import schema
from services.features.compute import FeatureState, checkpoint, compute_features, compute_market, restore
from services.features.tests.markets import btc_bars, random_bars

N = 1_700


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(21)
    return random_bars(N, rng, settle_every=31), btc_bars(N, rng)


def bits(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def test_live_fold_equals_batch_fold_bit_for_bit(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    batch = compute_features(bars, btc)
    states, market_state = np.zeros((3, k.STATE_SIZE)), np.zeros(k.MARKET_SIZE)
    row, out, codes = np.empty(k.BTC_SIZE), np.empty((3, schema.N_FEATURES)), np.empty(3, dtype=np.int64)
    for i in range(N):
        minute = np.stack([bars[i], btc[i], bars[i]])
        present = np.array([True, True, False])
        assert k.btc_step(market_state, btc[i, k.BAR_TS], btc[i, k.BAR_CLOSE], row) == k.ADVANCED
        k.step_many(states, minute, present, bars[i, k.BAR_TS], row, out, codes)
        assert codes.tolist() == [k.ADVANCED, k.ADVANCED, k.ABSENT]
        assert bits(out[0]) == bits(batch.values[i])
        assert np.isnan(out[2]).all()
    assert bits(states[0]) == bits(batch.state.symbol)
    assert bits(market_state) == bits(batch.state.market)
    assert not states[2].any()


@given(st.lists(st.tuples(st.integers(1, N - 1), st.integers(1, 130)), max_size=6))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_runs_are_cut_at_gaps_and_change_no_bit(gaps: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(24)
    bars = random_bars(N, rng, settle_every=31)
    kept = np.ones(N, dtype=bool)
    for at, missing in gaps:
        kept[at : at + missing] = False
    bars = np.concatenate([bars[kept], bars[kept][-3:]])  # the last ones are not newer
    market, alone, whole = (np.zeros(size) for size in (k.MARKET_SIZE, k.STATE_SIZE, k.STATE_SIZE))
    shared = k.btc_fold(bars[:, k.BAR_TS].copy(), bars[:, k.BAR_CLOSE].copy(), market)
    rows = k.fold(bars, shared, whole)
    state, row, out, code = np.zeros(k.MARKET_SIZE), np.empty(3), np.empty((1, 17)), np.empty(1, dtype=np.int64)
    for i, bar in enumerate(bars):
        k.btc_step(state, bar[k.BAR_TS], bar[k.BAR_CLOSE], row)
        k.step_many(alone[None, :], bar[None, :], np.ones(1, dtype=bool), bar[k.BAR_TS], row, out, code)
        assert bits(row) == bits(shared[i])
        assert bits(out[0]) == bits(rows[i])
        assert code[0] == (k.ADVANCED if i < len(bars) - 3 else k.NOT_NEWER)
    assert bits(alone) == bits(whole)
    assert bits(state) == bits(market)


@given(st.lists(st.integers(1, N - 1), max_size=4))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_restart_from_a_checkpoint_changes_no_bit(cuts: list[int]) -> None:
    rng = np.random.default_rng(22)
    bars, btc = random_bars(N, rng), btc_bars(N, rng)
    whole = compute_features(bars, btc)
    edges = [0, *sorted(set(cuts)), N]
    state, rows = FeatureState(), []
    for start, stop in itertools.pairwise(edges):
        part = compute_features(bars[start:stop], btc[start:stop], state)
        state = restore(checkpoint(part.state))
        rows.append(part.values)
    assert bits(np.concatenate(rows)) == bits(whole.values)
    assert checkpoint(state) == checkpoint(whole.state)
    assert (state.origin_ts_ms, state.ts_ms) == (int(bars[0, k.BAR_TS]), int(bars[-1, k.BAR_TS]))


@given(st.integers(0, 399), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_future_bars_never_change_past_rows(t: int, seed: int) -> None:
    rng = np.random.default_rng(23)
    bars, btc = random_bars(400, rng), btc_bars(400, rng)
    clean = compute_features(bars, btc).values
    other = np.random.default_rng(seed)
    for array in (bars, btc):
        array[t + 1 :] = random_bars(400, other, price=float(other.uniform(1e-3, 1e5)))[t + 1 :]
    assert bits(compute_features(bars, btc).values[: t + 1]) == bits(clean[: t + 1])


def test_windowed_features_do_not_depend_on_the_origin(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    for start in (1, 7, 10, 333):
        early, late = compute_features(bars, btc).values[start:], compute_features(bars[start:], btc[start:]).values
        for key in ("ret_1", "ret_5", "ret_15", "bb_z", "vol_z", "btc_ret_60", "btc_vol_60"):
            column = schema.INDEX[key]
            assert bits(late[61:, column]) == bits(early[61:, column])


@pytest.mark.parametrize("missing", [1, 60])
def test_a_gap_of_up_to_sixty_bars_is_skipped(missing: int, market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    cut = 500
    gapped = np.delete(bars, np.s_[cut : cut + missing], axis=0)
    rows = compute_features(gapped, btc)
    closes = gapped[:, k.BAR_CLOSE]
    assert rows.values[cut, schema.RET_15] == closes[cut] / closes[cut - 15] - 1
    assert not np.isnan(rows.values[cut, [schema.ADX, schema.MACD_Z, schema.VOL_Z]]).any()
    assert rows.state.origin_ts_ms == int(bars[0, k.BAR_TS])


def test_a_longer_gap_starts_the_symbol_again(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    cut = 500
    gapped = np.delete(bars, np.s_[cut : cut + 61], axis=0)
    rows = compute_features(gapped, btc)
    whole_market = compute_market(btc[:, k.BAR_TS].astype(np.int64), btc[:, k.BAR_CLOSE])
    fresh = k.fold(
        gapped[cut:].copy(), whole_market.at(gapped[cut:, k.BAR_TS].astype(np.int64)), np.zeros(k.STATE_SIZE)
    )
    assert bits(rows.values[cut:]) == bits(fresh)
    assert np.isnan(rows.values[cut, : schema.BASIS]).all()
    assert rows.state.origin_ts_ms == int(gapped[cut, k.BAR_TS])


def test_the_market_restarts_after_its_own_long_gap(market: tuple[np.ndarray, np.ndarray]) -> None:
    _bars, btc = market
    gapped = np.delete(btc, np.s_[200:261], axis=0)
    values = compute_market(gapped[:, k.BAR_TS].astype(np.int64), gapped[:, k.BAR_CLOSE]).values
    assert np.isnan(values[200:260]).all()
    assert not np.isnan(values[260, :2]).any()


def test_a_minute_without_btc_has_no_market_features(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    rows = compute_features(bars, np.delete(btc, 800, axis=0)).values
    assert np.isnan(rows[800, schema.BTC_RET_60 :]).all()
    assert schema.feature_nan(rows)[800]
    assert not np.isnan(rows[801, [schema.BTC_RET_60, schema.BTC_VOL_60]]).any()
    out = np.empty(3)
    state = compute_features(bars, btc).state.market.copy()
    before = bits(state)
    assert k.btc_step(state, float(bars[-1, k.BAR_TS] + 60_000), np.nan, out) == k.ABSENT
    assert np.isnan(out).all()
    assert bits(state) == before


def test_repeated_and_malformed_bars_never_touch_a_state(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    state = compute_features(bars[:200], btc[:200]).state
    states = np.repeat(state.symbol[None, :], 5, axis=0)
    minute = np.repeat(bars[200][None, :], 5, axis=0)
    minute[0] = bars[199]  # of another minute
    minute[1, k.BAR_MARK_CLOSE] = np.nan
    minute[2, k.BAR_QUOTE_VOLUME] = -1.0
    minute[3, k.BAR_TS] += 1.0
    out, codes = np.empty((5, schema.N_FEATURES)), np.empty(5, dtype=np.int64)
    k.step_many(states, minute, np.ones(5, dtype=bool), bars[200, k.BAR_TS], np.zeros(3), out, codes)
    assert codes.tolist() == [k.REFUSED] * 4 + [k.ADVANCED]
    assert all(bits(states[i]) == bits(state.symbol) for i in range(4))
    assert np.isnan(out[:4]).all()
    after = bits(states[4])
    k.step_many(states, minute, np.ones(5, dtype=bool), bars[200, k.BAR_TS], np.zeros(3), out, codes)
    assert codes[4] == k.NOT_NEWER
    assert bits(states[4]) == after


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("close", np.nan), ("high", 0.0), ("low", -1.0), ("open", np.inf), ("mark_high", 1e-9), ("mark_low", 1e9)),
        *(("quote_volume", -0.5), ("quote_volume", np.nan), ("index_close", 0.0), ("settled_rate", np.inf)),
        ("ts_ms", 1_750_000_000_001.0),
    ],
)
def test_bad_bars_are_refused_by_row_and_field(field: str, value: float, market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market[0][:50].copy(), market[1][:50]
    bars[30, k.BAR_FIELDS.index(field)] = value
    with pytest.raises(InvalidInputError, match=rf"bars\[30\]\.{field}"):
        compute_features(bars, btc)


def test_times_must_grow(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    with pytest.raises(InvalidInputError, match=r"bars\.ts_ms\[10\]"):
        compute_features(bars[np.r_[0:10, 9:20]], btc)
    with pytest.raises(InvalidInputError, match=r"bars\.ts_ms\[1\]"):
        compute_features(bars[5:0:-1], btc)
    with pytest.raises(InvalidInputError, match=r"btc_bars\.ts_ms\[1\]"):
        compute_features(bars, btc[5:0:-1])
    with pytest.raises(InvalidInputError, match=r"shape \(n, 12\)"):
        compute_features(bars[:, :11], btc)
    state = compute_features(bars[:100], btc[:100]).state
    with pytest.raises(InvalidInputError, match="after the state's"):
        compute_features(bars[99:], btc[100:], state)
    bad = btc.copy()
    bad[3, k.BAR_CLOSE] = 0.0
    with pytest.raises(InvalidInputError, match=r"btc_bars\.close\[3\]"):
        compute_features(bars, bad)


def test_a_state_is_a_value(market: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = market
    state = compute_features(bars[:300], btc[:300]).state
    before = checkpoint(state)
    first, again = (compute_features(bars[300:], btc[300:], state).values for _ in range(2))
    assert bits(first) == bits(again)
    assert checkpoint(state) == before


def test_a_checkpoint_of_another_schema_or_a_damaged_one_is_refused(market: tuple[np.ndarray, np.ndarray]) -> None:
    data = checkpoint(compute_features(market[0][:100], market[1][:100]).state)
    with pytest.raises(SchemaMismatchError, match="schema 2"):
        restore(data[:4] + b"\x02\x00" + data[6:])
    for damaged in (data[:-1], data[:200] + b"\xff" + data[201:], b"", b"junk" * 100):
        with pytest.raises(InvalidInputError, match="checkpoint"):
            restore(damaged)
    assert FeatureState().ts_ms is None


def test_no_bars_give_no_rows() -> None:
    empty = np.empty((0, k.BAR_SIZE))
    result = compute_features(empty, empty)
    assert result.values.shape == (0, 17)
    assert not result.state.symbol.any()
