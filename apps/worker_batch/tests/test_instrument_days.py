import numpy as np
import pytest

from apps.worker_batch.instrument_days import beta, hourly_closes, median_daily_quote_volume, tier_of
from packages.common.time import DAY_MS, MINUTE_MS

DAY = 20_000 * DAY_MS


def minutes(days, before=0):
    return np.arange(DAY - days * DAY_MS, DAY - before * DAY_MS, MINUTE_MS)


def market(seed, days=10):
    rng = np.random.default_rng(seed)
    ts = minutes(days)
    m = 0.001 * rng.standard_normal(ts.size)
    noise = 0.0005 * rng.standard_normal(ts.size)
    return ts, m, noise


def test_beta_is_the_slope_that_was_planted():
    ts, m, noise = market(1)
    btc, own = np.exp(np.cumsum(m)), np.exp(np.cumsum(1.7 * m + noise))
    got = beta(hourly_closes(ts, own, DAY), hourly_closes(ts, btc, DAY))
    assert got == pytest.approx(1.7, abs=0.1)
    assert beta(hourly_closes(ts, btc, DAY), hourly_closes(ts, btc, DAY)) == pytest.approx(1.0)


def test_the_day_itself_and_later_change_nothing():
    ts, m, _ = market(2)
    later = np.concatenate([ts, DAY + np.arange(0, DAY_MS, MINUTE_MS)])
    close = np.exp(np.cumsum(m))
    odd = np.concatenate([close, np.full(1440, 1e6)])
    for a, b in zip(hourly_closes(ts, close, DAY), hourly_closes(later, odd, DAY), strict=True):
        np.testing.assert_array_equal(a, b)
    assert median_daily_quote_volume(ts, close, DAY) == median_daily_quote_volume(later, odd, DAY)


def test_too_little_history_gives_the_market_and_the_lowest_tier():
    ts, m, _ = market(3, days=1)
    close = np.exp(np.cumsum(m))
    assert beta(hourly_closes(ts, close, DAY), hourly_closes(ts, close, DAY)) == 1.0
    nothing = np.empty(0, np.int64)
    assert np.isnan(median_daily_quote_volume(nothing, np.empty(0), DAY))
    assert tier_of(float("nan")) == "C"
    assert beta((nothing, np.empty(0)), (nothing, np.empty(0))) == 1.0


def test_volume_is_per_whole_day_and_thin_days_do_not_count():
    ts = minutes(3)
    volume = np.full(ts.size, 1e6)
    assert median_daily_quote_volume(ts, volume, DAY) == pytest.approx(1440e6)
    some = np.concatenate([ts[:700], ts[1440:2160], ts[2880:]])  # 700 of a day, half a day, a whole day
    volume = np.concatenate([np.full(700, 9e9), np.full(720, 2e5), np.full(1440, 4e5)])
    assert median_daily_quote_volume(some, volume, DAY) == pytest.approx(1440 * 3e5)


@pytest.mark.parametrize(("volume", "tier"), [(500e6, "A"), (499e6, "B"), (50e6, "B"), (49e6, "C")])
def test_tiers(volume, tier):
    assert tier_of(volume) == tier
