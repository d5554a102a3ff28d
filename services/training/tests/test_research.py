"""Labels of stored minutes, where the minutes have holes."""

import numpy as np
import pytest

from packages.common.compute import LocalCompute
from packages.common.time import MINUTE_MS
from services.features import kernel as bar
from services.training.market import Minutes, read_minutes
from services.training.research import label_minutes, label_symbols, market_of
from services.training.store_env import LABELS
from services.training.tests.stores import SPEC, market_env

SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
def env(tmp_path):
    return market_env(tmp_path, SYMBOLS, days=2)


def cut(minutes, gone):
    kept = np.ones(minutes.ts_ms.size, bool)
    kept[gone] = False
    return Minutes(minutes.symbol, minutes.ts_ms[kept], minutes.bars[kept], minutes.settled_ts_ms, minutes.settled_rate)


@pytest.mark.parametrize(("missing", "ends"), [(bar.GAP_BARS_MAX, False), (bar.GAP_BARS_MAX + 1, True)])
def test_what_comes_after_a_gap_that_resets_features_is_no_row_s_future(env, missing, ends):
    at, whole = 1_500, read_minutes(env.store, "ETHUSDT")
    holed = cut(whole, slice(at, at + missing))
    labels = label_minutes(holed, market_of(env.store), SPEC).labels.long
    before = label_minutes(cut(whole, slice(at, None)), market_of(env.store), SPEC).labels.long
    bridged = labels.labelled[at - SPEC.h_bars : at]
    assert bridged.any() == (not ends)
    if ends:  # each stretch is labelled as if it stood alone
        np.testing.assert_array_equal(labels.labelled[:at], before.labelled)
        np.testing.assert_array_equal(labels.ret_net[:at], before.ret_net)
        assert np.isnan(labels.mae[at - SPEC.h_bars : at]).all()
        assert labels.labelled[at:].any()


def test_a_stored_label_that_is_taken_back_is_gone(env):
    store, shared, kept = env.store, market_of(env.store), read_minutes(env.store, "ETHUSDT")
    label_symbols(env, SYMBOLS, SPEC, lambda *_: None, LocalCompute(1))
    table, version = LABELS["long"], SPEC.hash()
    first = store.read(table, version, "ETHUSDT", ("y",))
    stale = int(kept.ts_ms[-1]) + MINUTE_MS
    store.write(
        table,
        version,
        "ETHUSDT",
        {name: values[:1] for name, values in store.read(table, version, "ETHUSDT").items()}
        | {"ts": np.array([stale])},
    )
    assert label_minutes(kept, shared, SPEC).labels.long.labelled.sum() == first["ts"].size
    label_symbols(env, SYMBOLS, SPEC, lambda *_: None, LocalCompute(1))
    np.testing.assert_array_equal(store.read(table, version, "ETHUSDT", ())["ts"], first["ts"])
