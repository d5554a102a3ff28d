"""The faces: frames, dicts, model inputs."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError, SchemaMismatchError
from services.features import kernel as k
from services.features import schema
from services.features.compute import compute_features, compute_features_for_symbol, feature_rows
from services.features.tests.markets import btc_bars, random_bars


def frames(bars: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    ts = pd.to_datetime(bars[:, 0].astype(np.int64), unit="ms", utc=True)
    candles = pd.DataFrame(bars[:, 1:6], columns=["open", "high", "low", "close", "quote_volume"], index=ts)
    premium = pd.DataFrame(bars[:, 6:], columns=list(k.BAR_FIELDS[6:]), index=ts)
    return candles, premium


@pytest.fixture(scope="module")
def bars_and_btc() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(31)
    return random_bars(300, rng), btc_bars(300, rng)


def test_frames_give_the_rows_of_the_arrays(bars_and_btc: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = bars_and_btc
    candles, premium = frames(bars)
    frame = compute_features_for_symbol("ETHUSDT", candles, premium, frames(btc)[0])
    assert list(frame.columns) == ["symbol", "schema_version", "features", "atr", "funding_z", "btc_regime"]
    assert frame.index.equals(pd.DatetimeIndex(candles.index))
    got = np.array([schema.feature_row(features) for features in frame["features"]])
    assert got.tobytes() == compute_features(bars, btc).values.tobytes()
    np.testing.assert_array_equal(frame["atr"].to_numpy(), got[:, schema.ATR])


def test_times_may_be_a_column_of_milliseconds_and_extra_premium_rows_are_ignored(
    bars_and_btc: tuple[np.ndarray, np.ndarray],
) -> None:
    bars, btc = bars_and_btc
    candles, premium = frames(bars)
    expected = compute_features_for_symbol("X", candles.iloc[100:], premium, frames(btc)[0])
    as_column = candles.iloc[100:].reset_index(drop=True)
    as_column.insert(0, "ts", bars[100:, 0].astype(np.int64))
    pd.testing.assert_frame_equal(
        compute_features_for_symbol("X", as_column, premium, frames(btc)[0]), expected, check_index_type=False
    )


def test_quote_volume_is_volume_times_close_where_a_source_lacks_it(
    bars_and_btc: tuple[np.ndarray, np.ndarray],
) -> None:
    bars, btc = bars_and_btc
    candles, premium = frames(bars)
    volume = candles["quote_volume"] / candles["close"]
    thin = candles.drop(columns="quote_volume").assign(volume=volume)
    priced = bars.copy()
    priced[:, k.BAR_QUOTE_VOLUME] = volume.to_numpy() * bars[:, k.BAR_CLOSE]
    got = compute_features_for_symbol("X", thin, premium, frames(btc)[0])
    assert got["features"].iloc[-1]["vol_z"] == compute_features(priced, btc).values[-1, schema.VOL_Z]


def test_bad_frames_are_refused(bars_and_btc: tuple[np.ndarray, np.ndarray]) -> None:
    bars, btc = bars_and_btc
    candles, premium = frames(bars)
    btc_candles = frames(btc)[0]
    with pytest.raises(InvalidInputError, match="mark_low"):
        compute_features_for_symbol("X", candles, premium.drop(columns="mark_low"), btc_candles)
    with pytest.raises(InvalidInputError, match=r"premium\.ts: got 'no row'"):
        compute_features_for_symbol("X", candles, premium.iloc[:-1], btc_candles)
    with pytest.raises(InvalidInputError, match=r"premium\.ts\[1\]"):
        compute_features_for_symbol("X", candles, premium.iloc[::-1], btc_candles)
    with pytest.raises(InvalidInputError, match="naive"):
        compute_features_for_symbol("X", candles.tz_localize(None), premium, btc_candles)
    with pytest.raises(InvalidInputError, match="btc_candles"):
        compute_features_for_symbol("X", candles, premium, btc_candles.drop(columns="close"))
    with pytest.raises(InvalidInputError, match="quote_volume"):
        compute_features_for_symbol("X", candles.assign(quote_volume=-1.0), premium, btc_candles)


@given(st.lists(st.floats(allow_infinity=False), min_size=17, max_size=17))
def test_dict_and_json_keep_every_bit(values: list[float]) -> None:
    row = np.array(values)
    back = schema.feature_row(json.loads(json.dumps(schema.feature_dict(row), allow_nan=False)))
    np.testing.assert_array_equal(back.view(np.int64)[~np.isnan(row)], row.view(np.int64)[~np.isnan(row)])
    np.testing.assert_array_equal(np.isnan(back), np.isnan(row))


def test_rows_of_another_schema_are_refused() -> None:
    features = schema.feature_dict(np.zeros(17))
    with pytest.raises(SchemaMismatchError, match="schema_version: got 2"):
        schema.feature_row(features, schema_version=2)
    with pytest.raises(SchemaMismatchError, match="'rsi'"):
        schema.feature_row({key: value for key, value in features.items() if key != "rsi"})


def test_model_inputs_scale_the_ranges_by_the_mark_and_nothing_else() -> None:
    features = np.arange(34.0).reshape(2, 17) + 1
    before = features.copy()
    inputs = schema.model_inputs(features, np.array([2.0, 4.0]))
    scaled = [schema.INDEX["atr"], schema.INDEX["atr_60"]]
    np.testing.assert_array_equal(inputs[:, scaled], features[:, scaled] / np.array([[2.0], [4.0]]))
    others = [i for i in range(17) if i not in scaled]
    np.testing.assert_array_equal(inputs[:, others], features[:, others])
    np.testing.assert_array_equal(features, before)
    with pytest.raises(InvalidInputError, match="mark_close"):
        schema.model_inputs(features, np.ones(3))


def test_only_optional_keys_may_be_missing() -> None:
    features = np.zeros((17, 17))
    np.fill_diagonal(features, np.nan)
    blocked = {key for key, missing in zip(schema.KEYS, schema.feature_nan(features), strict=True) if missing}
    assert blocked == set(schema.KEYS) - {"funding_z", "basis"}


def test_records_carry_the_summary_columns() -> None:
    values = np.zeros((2, 17))
    values[0, schema.ATR], values[0, schema.BTC_REGIME] = 1.5, 2.0
    values[1] = np.nan
    first, second = feature_rows("ETHUSDT", ["a", "b"], values)
    assert (first.atr, first.funding_z, first.btc_regime, first.ts) == (1.5, 0.0, 2, "a")
    assert (second.atr, second.funding_z, second.btc_regime) == (None, None, None)
