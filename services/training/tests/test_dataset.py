"""Datasets out of the store: the same bytes twice, inputs named by content, no second copy on the way to LightGBM."""

import lightgbm as lgb
import numpy as np

from packages.common.compute import LocalCompute
from services.training import market
from services.training.dataset import Sampling
from services.training.fit import FitParams, PickedRows, bin_rows
from services.training.store_env import symbol_rows
from services.training.tests.stores import SPEC, market_env

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def build(env, events="every:3"):
    return env.dataset(SYMBOLS, Sampling(events, SPEC), LocalCompute(2))


def test_building_twice_gives_the_same_bytes_and_names_every_input(tmp_path):
    env = market_env(tmp_path, SYMBOLS, days=3)
    one, two = build(env), build(env)
    assert one.manifest == two.manifest
    for name in ("ts_ms", "symbol", "inputs", "end_ts_ms", "scale", "weight_long", "weight_short"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name
    assert build(env, "cusum:2").manifest["content"] != one.manifest["content"]

    before = {symbol: counts["source"] for symbol, counts in one.manifest["symbols"].items()}
    rows = env.store.read(market.MARK, market.VERSION, "ETHUSDT")
    close = rows["close"].copy()
    close[100] *= 1.0001
    env.store.write(market.MARK, market.VERSION, "ETHUSDT", rows | {"close": close})
    after = {symbol: counts["source"] for symbol, counts in build(env).manifest["symbols"].items()}
    assert after["BTCUSDT"] == before["BTCUSDT"]
    assert after["ETHUSDT"] != before["ETHUSDT"]


def test_pooled_rows_are_each_symbols_own_in_time_order(tmp_path):
    env = market_env(tmp_path, SYMBOLS, days=3)
    dataset = build(env)
    assert (np.diff(dataset.ts_ms * 10 + dataset.symbol) > 0).all()
    for code, symbol in enumerate(SYMBOLS):
        rows = symbol_rows(env.store, symbol, SPEC)
        mine = dataset.symbol == code
        place = np.searchsorted(rows.ts_ms, dataset.ts_ms[mine])
        np.testing.assert_array_equal(dataset.inputs[mine][:, 0], rows.features[place, 0])
        np.testing.assert_array_equal(dataset.long.ret_net[mine], rows.long.ret_net[place])
        np.testing.assert_array_equal(dataset.short.mae[mine], rows.short.mae[place])


def test_streamed_rows_make_the_model_that_an_array_makes():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((5_000, 17))
    inputs[::7, 12] = np.nan
    rows = np.sort(rng.choice(5_000, 3_000, replace=False))
    wanted = inputs[rows, 3] + 0.1 * rng.standard_normal(rows.size)
    params = FitParams(num_threads=1)
    options = params.for_dataset() | {"num_leaves": 15, "deterministic": True, "force_row_wise": True}
    PickedRows.batch_size, kept = 700, PickedRows.batch_size  # several batches, the last one short
    try:
        streamed = bin_rows(inputs, rows, params)
    finally:
        PickedRows.batch_size = kept
    whole = lgb.Dataset(inputs[rows], feature_name=streamed.feature_name, params=params.for_dataset()).construct()
    texts = []
    for data in (streamed, whole):
        data.set_label(wanted)
        texts.append(lgb.train(options, data, 20).model_to_string())
    assert texts[0] == texts[1]
