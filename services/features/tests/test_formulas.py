"""The kernel against the formulas written a second time (oracle.py) and against TA-Lib."""

import math

import numpy as np
import pytest

from services.features import kernel as k
from services.features import schema
from services.features.compute import compute_features
from services.features.tests import oracle
from services.features.tests.markets import btc_bars, random_bars

N = 2_400


def as_market(bars: np.ndarray, btc: np.ndarray) -> oracle.Market:
    return oracle.Market(
        ts=bars[:, k.BAR_TS].astype(np.int64),
        last=bars[:, k.BAR_OPEN : k.BAR_CLOSE + 1],
        quote_volume=bars[:, k.BAR_QUOTE_VOLUME],
        mark=np.ascontiguousarray(bars[:, k.BAR_MARK_OPEN : k.BAR_MARK_CLOSE + 1]),
        index=bars[:, k.BAR_INDEX_CLOSE],
        settled=bars[:, k.BAR_SETTLED_RATE],
        btc={int(row[k.BAR_TS]): float(row[k.BAR_CLOSE]) for row in btc},
    )


def drop(bars: np.ndarray, *spans: tuple[int, int]) -> np.ndarray:
    keep = np.ones(len(bars), dtype=bool)
    for start, stop in spans:
        keep[start:stop] = False
    return bars[keep]


@pytest.fixture(scope="module")
def expected_and_got() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(7)
    # Gaps of 1, 60 and 17 bars are skipped; BTC misses other minutes than the symbol, so some rows lack its features.
    bars = drop(random_bars(N, rng, settle_every=17), (700, 701), (1_000, 1_060), (1_900, 1_917))
    btc = drop(btc_bars(N, rng), (1_500, 1_503))
    return oracle.features(as_market(bars, btc)), compute_features(bars, btc).values


@pytest.mark.parametrize("key", schema.KEYS)
def test_feature_equals_its_formula(key: str, expected_and_got: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    expected, got = expected_and_got[0][key], expected_and_got[1][:, schema.INDEX[key]]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    known = ~np.isnan(expected)
    assert known.any()
    scale = np.nanmax(np.abs(expected)) if key in ("macd_z", "bb_z", "vol_z", "funding_z", "ema_dist_atr") else 0.0
    np.testing.assert_allclose(got[known], expected[known], rtol=1e-9, atol=1e-9 * scale)


def test_every_regime_occurs_in_the_comparison(
    expected_and_got: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    regimes = expected_and_got[0]["btc_regime"]
    assert set(regimes[~np.isnan(regimes)]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    ("key", "first"),
    [
        *(("ret_1", 1), ("ret_5", 5), ("ret_15", 15), ("atr", 14), ("ema_dist_atr", 59), ("adx", 27), ("rsi", 14)),
        *(("macd_z", 25 + 8 + 119), ("bb_z", 19), ("vol_z", 59), ("funding_rate", 7), ("funding_z", 7 + 9 * 17)),
        *(("btc_ret_60", 60), ("btc_vol_60", 60), ("btc_regime", 60 + 1_439)),
    ],
)
def test_feature_is_valid_from_its_bar_on(key: str, first: int) -> None:
    rng = np.random.default_rng(3)
    column = compute_features(random_bars(1_600, rng, settle_every=17), btc_bars(1_600, rng)).values[
        :, schema.INDEX[key]
    ]
    assert np.isnan(column[:first]).all()
    assert not np.isnan(column[first])


def test_atr_60_is_that_of_the_last_closed_complete_hour() -> None:
    rng = np.random.default_rng(5)
    bars = random_bars(60 * 20, rng)
    to_hour = int((-bars[0, k.BAR_TS] % 3_600_000) // 60_000)
    column = compute_features(bars, bars).values[:, schema.ATR_60]
    first = to_hour + 15 * 60 - 1  # the fifteenth complete hour brings the fourteenth range
    assert np.isnan(column[:first]).all()
    assert column[first] > 0
    assert (column[first : first + 60] == column[first]).all()
    assert column[first + 60] != column[first]


def test_still_prices_have_neutral_values() -> None:
    bars = random_bars(400, np.random.default_rng(1))
    bars[:, k.BAR_OPEN : k.BAR_CLOSE + 1] = 1.7
    bars[:, k.BAR_MARK_OPEN : k.BAR_MARK_CLOSE + 1] = 1.7
    bars[:, k.BAR_QUOTE_VOLUME] = 12_345.6
    row = schema.feature_dict(compute_features(bars, bars).values[-1])
    assert (row["rsi"], row["adx"], row["atr"]) == (50.0, 0.0, 0.0)
    assert (row["bb_z"], row["vol_z"], row["macd_z"]) == (0.0, 0.0, 0.0)
    assert row["ema_dist_atr"] is None
    assert (row["btc_ret_60"], row["btc_vol_60"], row["btc_regime"]) == (0.0, 0.0, None)


def test_ranges_without_direction_have_no_adx() -> None:
    bars = random_bars(60, np.random.default_rng(2))
    mark = np.full(60, 100.0)
    bars[:, k.BAR_MARK_OPEN] = bars[:, k.BAR_MARK_CLOSE] = mark
    bars[:, k.BAR_MARK_HIGH], bars[:, k.BAR_MARK_LOW] = mark + 1, mark - 1
    assert compute_features(bars, bars).values[-1, schema.ADX] == 0.0


def test_a_still_btc_keeps_the_last_regime() -> None:
    rng = np.random.default_rng(11)
    btc = btc_bars(1_800, rng)
    still = btc[-1].copy()
    tail = np.repeat(still[None, :], 200, axis=0)
    tail[:, k.BAR_TS] += 60_000 * np.arange(1, 201)
    rows = compute_features(np.concatenate([btc, tail]), np.concatenate([btc, tail])).values
    changing = rows[1_799 + 59, schema.BTC_REGIME]  # the last window that still holds a move
    assert (rows[1_799 + 60 :, schema.BTC_VOL_60] == 0.0).all()
    assert (rows[1_799 + 60 :, schema.BTC_REGIME] == changing).all()


@pytest.mark.parametrize("price", [1e-6, 1.0, 1e6])
def test_z_is_bounded_and_free_of_rounding_noise(price: float) -> None:
    """A window of n values cannot be further than sqrt(n - 1) deviations from its mean; one tick is not noise."""
    bars = random_bars(200, np.random.default_rng(4), price=price)
    bars[:, k.BAR_CLOSE] = price
    bars[:, k.BAR_HIGH], bars[:, k.BAR_LOW] = price * 1.001, price * 0.999
    bars[150, k.BAR_CLOSE] = price * (1 + 1e-7)
    z = compute_features(bars, bars).values[:, schema.BB_Z]
    assert z[149] == 0.0
    assert math.isclose(z[150], math.sqrt(19), rel_tol=1e-6)
    assert (z[170:] == 0.0).all()
