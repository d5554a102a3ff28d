"""Derived marks: the emulated exchange's own statement of the rule agrees, and real bars take their place."""

import numpy as np
import pytest

from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS
from services.collector.importer import import_files
from services.collector.importer_derive import derive_bars, derive_missing, derived_minutes
from services.collector.tests.archives import MAY, kline, lines, put_zip
from services.training.market import VERSION

DATASETS = ("mark_candles_1m", "index_candles_1m")


def candles(n=3000, gap=slice(1000, 1100)):
    rng = np.random.default_rng(3)
    close = np.round(100 * np.exp(np.cumsum(0.001 * rng.standard_normal(n))), 2)
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) + 0.05, np.minimum(open_, close) - 0.04
    ts = MAY + np.arange(n, dtype=np.int64) * MINUTE_MS
    columns = {"ts": ts, "open": open_, "high": np.round(high, 2), "low": np.round(low, 2), "close": close}
    return {name: np.delete(values, gap) for name, values in columns.items()}


def test_the_rule_is_the_one_the_emulated_exchange_states_on_its_own():
    kernels = pytest.importorskip("services.emulator.kernels")
    bars = candles()
    rows = np.zeros((bars["ts"].size, 21), np.int64)
    for at, name in enumerate(("open", "high", "low", "close")):
        rows[:, at] = np.rint(bars[name] * 100)
    rows[:, 4] = 1000
    kernels.derive_prices(rows, bars["ts"] // MINUTE_MS, np.full((len(rows), 2), 480, np.int64), 100)
    for dataset, first in zip(DATASETS, (9, 13), strict=True):
        ours = derive_bars(bars)[dataset]
        for at, name in enumerate(("open", "high", "low", "close")):
            np.testing.assert_allclose(ours[name], rows[:, first + at] / 1e8, rtol=0, atol=2.5e-8)


def test_derived_bars_are_sound_close_to_last_and_open_at_their_last_close():
    bars = candles()
    for derived in derive_bars(bars).values():
        assert (derived["low"] <= np.minimum(derived["open"], derived["close"])).all()
        assert (derived["high"] >= np.maximum(derived["open"], derived["close"])).all()
        assert np.abs(derived["close"] / bars["close"] - 1).max() < 0.003
        follows = np.diff(bars["ts"]) == MINUTE_MS
        np.testing.assert_array_equal(derived["open"][1:][follows], derived["close"][:-1][follows])
        assert derived["open"][1000] == derived["close"][1000]  # after the gap


def test_the_future_does_not_change_a_derived_bar():
    bars = candles()
    early = {name: values[:1500] for name, values in bars.items()}
    for dataset in DATASETS:
        for name, values in derive_bars(early)[dataset].items():
            np.testing.assert_array_equal(values, derive_bars(bars)[dataset][name][:1500])


def test_only_missing_bars_are_derived_and_a_real_one_takes_their_place(tmp_path):
    store = ResearchStore(f"file://{tmp_path}/store")
    month = "BTCUSDT/1m/BTCUSDT-1m-2025-05.zip"
    put_zip(tmp_path / "klines" / month, lines([kline(m) for m in range(100)]))
    put_zip(tmp_path / "early/markPriceKlines" / month, lines([kline(m) for m in range(40)]))
    import_files(store, [tmp_path / "klines", tmp_path / "early"])
    assert derive_missing(store, "BTCUSDT", dry_run=True) == 160
    assert derived_minutes(store, "BTCUSDT", "mark_candles_1m").size == 0
    assert derive_missing(store, "BTCUSDT") == 60 + 100
    assert derive_missing(store, "BTCUSDT") == 0
    mark = store.read("mark_candles_1m", VERSION, "BTCUSDT")
    assert mark["close"][:40].tolist() == [kline(m)[4] for m in range(40)]
    assert derived_minutes(store, "BTCUSDT", "mark_candles_1m").tolist() == mark["ts"][40:].tolist()

    put_zip(tmp_path / "late/markPriceKlines" / month, lines([kline(m) for m in range(30, 70)]))
    (unit,) = import_files(store, [tmp_path / "late"]).units
    assert (unit.error, unit.new_rows) == (None, 0)
    mark = store.read("mark_candles_1m", VERSION, "BTCUSDT")
    assert mark["close"][:70].tolist() == [kline(m)[4] for m in range(70)]
    assert derived_minutes(store, "BTCUSDT", "mark_candles_1m").tolist() == mark["ts"][70:].tolist()
    assert derived_minutes(store, "BTCUSDT", "index_candles_1m").size == 100
