import numpy as np
import pytest

from packages.common.time import DAY_MS, MINUTE_MS
from services.collector.tiers import TierConfig, beta, hourly_returns, instrument_day_rows, median_daily_volume, tier_of

DAY = 20_000 * DAY_MS
CONFIG = TierConfig()


def ts(days: float) -> np.ndarray:
    return np.arange(DAY - int(days * DAY_MS), DAY + 2 * DAY_MS, MINUTE_MS)


def market(seed: int, days: float, loading: float) -> tuple[np.ndarray, np.ndarray]:
    """BTC and a symbol that moves ``loading`` times as much, plus its own noise."""
    rng = np.random.default_rng(seed)
    n = ts(days).size
    common, own = rng.normal(0, 1e-4, n), rng.normal(0, 3e-5, n)
    return np.exp(np.cumsum(common)) * 100, np.exp(np.cumsum(loading * common + own)) * 5


@pytest.mark.parametrize(
    ("volume", "tier"), [(500e6, "A"), (499e6, "B"), (50e6, "B"), (49e6, "C"), (float("nan"), "C"), (0.0, "C")]
)
def test_tiers_are_cut_by_volume(volume, tier):
    assert tier_of(volume, CONFIG) == tier


def test_the_median_is_of_whole_days_before_the_day_only():
    times = ts(3.5)
    volume = np.where(times < DAY, 1.0, 1e9)  # the day itself and later must not be seen
    volume[(times >= DAY - DAY_MS) & (times < DAY)] = 3.0
    # whole days: two of 1440 and one of 4320; the half day in front does not count
    assert median_daily_volume(times, volume, DAY, 30) == 1440.0
    assert np.isnan(median_daily_volume(times[times >= DAY], volume[times >= DAY], DAY, 30))


def test_hourly_returns_skip_missing_hours_and_the_future():
    times = np.array([0, 59, 60, 119, 180, 239, 240]) * MINUTE_MS + DAY - DAY_MS
    hours, returns = hourly_returns(times, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0]), DAY, 30)
    first = (DAY - DAY_MS) // 3_600_000
    assert hours.tolist() == [first + 1, first + 4]
    assert returns.tolist() == [4.0 / 2.0 - 1.0, 9.0 / 6.0 - 1.0]
    later, _ = hourly_returns(times + DAY_MS, np.ones(7), DAY, 30)
    assert later.size == 0


@pytest.mark.parametrize("loading", [-0.5, 0.3, 1.0, 1.8])
def test_beta_finds_the_loading_and_sees_nothing_later(loading):
    btc, own = market(1, 30, loading)
    times, volume = ts(30), np.ones(ts(30).size)
    rows = instrument_day_rows(DAY + DAY_MS, {"BTCUSDT": (times, btc, volume), "XUSDT": (times, own, volume)})
    assert rows[0]["beta"] == 1.0
    assert rows[1]["beta"] == pytest.approx(loading, abs=0.06)
    _hours, x = hourly_returns(times, btc, DAY, 30)
    _, y = hourly_returns(times, own, DAY, 30)
    assert rows[1]["beta"] == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-9)
    spoiled = np.where(times >= DAY, np.nan, own)
    again = instrument_day_rows(DAY + DAY_MS, {"BTCUSDT": (times, btc, volume), "XUSDT": (times, spoiled, volume)})
    assert again == rows


def test_too_little_history_has_the_unknown_beta():
    hours = np.arange(10)
    assert beta((hours, np.ones(10)), (hours, np.arange(10.0)), CONFIG) == 1.0
    assert beta((np.arange(100), np.ones(100)), (np.arange(100), np.ones(100)), CONFIG) == 1.0
    rows = instrument_day_rows(DAY + DAY_MS, {"XUSDT": (ts(0), np.ones(ts(0).size), np.ones(ts(0).size))})
    assert rows == [{"symbol": "XUSDT", "day": DAY + DAY_MS, "tier": "C", "beta": 1.0, "median_quote_volume": None}]
