"""Each figure of the check on a market that is sound but for the one thing looked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.time import HOUR_MS, MINUTE_MS
from services.collector.check import Limits, check, check_symbol, funding_holes

T0 = 1_746_057_600_000
N = 3 * 1440


def market():
    """Three sound days: bars, marks close to them, funding every eight hours, open interest every five minutes."""
    rng = np.random.default_rng(1)
    ts = T0 + np.arange(N, dtype=np.int64) * MINUTE_MS
    close = 100 * np.exp(np.cumsum(0.0005 * rng.standard_normal(N)))
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) * 1.0001, np.minimum(open_, close) * 0.9999
    bars = {"ts": ts, "open": open_, "high": high, "low": low, "close": close, "volume": np.ones(N)}
    mark = {n: v * (1.0001 if n != "ts" else 1) for n, v in bars.items() if n != "volume"} | {"ts": ts}
    funding = T0 + np.arange(0, 10, dtype=np.int64) * 8 * HOUR_MS
    return {
        "candles_1m": bars, "mark_candles_1m": mark, "index_candles_1m": dict(mark),
        "funding_rates": {"ts": funding, "funding_rate": np.full(10, 1e-4)}, "open_interest": {"ts": ts[::5]},
    }  # fmt: skip


def drop(columns, where):
    return {name: np.delete(values, where) for name, values in columns.items()}


def look(data, **limits):
    known = limits.pop("unavailable", None)
    return check_symbol(lambda dataset, _s, _c: data[dataset], "BTCUSDT", Limits(**limits), known)


def test_a_sound_market_is_ok_in_every_figure():
    found = look(market())
    assert (found["ok"], found["problems"]) == (True, [])
    assert (found["candles"]["share"], found["mark"]["share"], found["open_interest"]["share"]) == (1.0, 1.0, 1.0)
    assert found["divergence"]["max"] == pytest.approx(1e-4)
    assert found["funding"]["intervals_h"] == [8.0]
    assert found["prices"]["outliers"] == 0


def test_gaps_are_listed_longest_first_and_what_the_exchange_has_not_is_excused():
    data = market()
    data["candles_1m"] = drop(data["candles_1m"], np.r_[100:110, 2000:2050])
    data["mark_candles_1m"] = drop(data["mark_candles_1m"], np.r_[2000:2050])
    found = look(data)
    assert (found["candles"]["gaps"], found["candles"]["missing"], found["mark"]["missing"]) == (2, 60, 50)
    assert [gap["minutes"] for gap in found["candles"]["gap_list"]] == [50, 10]
    assert found["candles"]["gap_list"][1]["from"] == "2025-05-01T01:40:00.000Z"
    assert found["candles"]["share"] == pytest.approx(1 - 60 / N)
    assert found["problems"] == ["60 candles missing in 2 gaps", "50 mark bars missing in 1 gaps"]
    span = [(T0 + 2000 * MINUTE_MS, T0 + 2049 * MINUTE_MS)]
    found = look(data, unavailable={"candles_1m": span, "mark_candles_1m": span}, missing_share_max=0.003)
    assert (found["candles"]["missing"], found["candles"]["unavailable"], found["ok"]) == (10, 50, True)


def test_repeated_and_misaligned_minutes_are_counted():
    data = market()
    ts = data["candles_1m"]["ts"].copy()
    ts[10], ts[20] = ts[9], ts[20] + 1
    data["candles_1m"]["ts"] = ts
    found = look(data)
    assert (found["candles"]["duplicates"], found["candles"]["misaligned"]) == (1, 1)
    assert "1 candles twice, 1 off the minute" in found["problems"]


def test_outliers_flat_stretches_and_contradictions():
    data = market()
    bars = data["candles_1m"]
    bars["close"] = bars["close"].copy()
    bars["close"][500:] *= 1.2
    bars["high"], bars["low"] = bars["high"] * 1.3, bars["low"] * 0.7
    bars["volume"][1000:1200] = 0
    found = look(data, zero_volume_run_max=150)
    prices = found["prices"]
    assert prices["outliers"] == 1
    assert prices["worst"][0]["ts"] == "2025-05-01T08:20:00.000Z"
    assert prices["worst"][0]["return"] == pytest.approx(0.2, abs=0.01)
    assert (prices["zero_volume_bars"], prices["zero_volume_longest"]) == (200, 200)
    assert "200 minutes without volume from 2025-05-01T16:40:00.000Z" in found["problems"]
    bars["high"][7], bars["volume"][8] = bars["low"][7] / 2, -1.0
    problems = look(data)["problems"]
    assert "1 candles contradict themselves" in problems
    assert "1 candles with a negative volume" in problems


def test_a_jump_over_a_gap_is_no_outlier():
    data = market()
    data["candles_1m"]["close"] = np.concatenate(
        [data["candles_1m"]["close"][:500], 1.2 * data["candles_1m"]["close"][500:]]
    )
    data["candles_1m"]["high"] = data["candles_1m"]["high"] * 1.3
    data["candles_1m"] = drop(data["candles_1m"], [500])
    assert look(data)["prices"]["outliers"] == 0


def test_marks_far_from_last_are_counted_and_no_marks_are_said():
    data = market()
    data["mark_candles_1m"]["close"] = data["mark_candles_1m"]["close"].copy()
    data["mark_candles_1m"]["close"][100:110] *= 1.05
    data["mark_candles_1m"]["high"] = data["mark_candles_1m"]["high"] * 1.1
    found = look(data)
    assert found["divergence"]["minutes_beyond"] == 10
    assert found["divergence"]["max"] == pytest.approx(0.0501, abs=1e-4)
    assert found["problems"] == ["mark beyond 2.0% of last in 10 minutes"]
    data["mark_candles_1m"] = drop(data["mark_candles_1m"], slice(None))
    found = look(data)
    assert found["divergence"] is None
    assert "no mark bars" in found["problems"]


def test_missing_settlements_inside_and_at_the_ends():
    data = market()
    whole = data["funding_rates"]
    data["funding_rates"] = drop(whole, [4, 5])
    found = look(data)["funding"]
    assert found["missing"] == 2
    assert found["gaps"] == [{"after": "2025-05-02T00:00:00.000Z", "before": "2025-05-03T00:00:00.000Z", "missing": 2}]
    data["funding_rates"] = drop(whole, [0, 1, 8, 9])
    found = look(data)["funding"]
    assert (found["missing"], found["missing_before"], found["missing_after"]) == (0, 2, 2)
    long_ago = {"ts": whole["ts"][:6] - 40 * 24 * HOUR_MS, "funding_rate": whole["funding_rate"][:6]}
    data["funding_rates"] = {name: np.concatenate([long_ago[name], drop(whole, [0, 5])[name]]) for name in whole}
    found = look(data)["funding"]
    assert (found["missing"], [gap["missing"] for gap in found["gaps"]]) == (2, [1, 1])  # no bars, none missed
    data["funding_rates"] = drop(whole, slice(None))
    assert "no funding" in look(data)["problems"]


@given(st.lists(st.sampled_from([8, 4, 1]), min_size=1, max_size=4), st.data())
def test_a_change_of_interval_is_no_gap_and_a_lost_settlement_is(kinds, data):
    hours = [h for kind in kinds for h in [kind] * 12]
    ts = T0 + np.concatenate([[0], np.cumsum(hours)]).astype(np.int64) * HOUR_MS
    assert funding_holes(ts) == []
    block = data.draw(st.integers(0, len(kinds) - 1))
    lost = 12 * block + 6
    (gap,) = funding_holes(np.delete(ts, lost))
    assert gap == (ts[lost - 1], ts[lost + 1], 1)


def test_nothing_stored_is_not_ok():
    def nothing(_dataset, _symbol, columns):
        return {name: np.empty(0, np.int64 if name == "ts" else float) for name in ("ts", *columns)}

    found = check(nothing, ["BTCUSDT"])
    assert (found["ok"], found["symbols"]["BTCUSDT"]["problems"]) == (False, ["no candles"])
    assert not check(nothing, [])["ok"]
