"""A scheduler and two workers behind loopback TCP, one of them killed in the middle of it."""

import threading
import time

import numpy as np
import pytest
from distributed import Client

from packages.common.compute import LocalCompute, open_compute
from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS
from services.backtest.baselines import random_entries
from services.backtest.portfolio import backtest
from services.backtest.stress import stress_table
from services.backtest.tests import markets as backtest_markets
from services.training.cluster import WorkerLostError, fit_targets_on_cluster
from services.training.cluster_part import ARRAYS
from services.training.dataset import Sampling, build_dataset
from services.training.fit import FitParams, fit_targets
from services.training.research import label_symbols
from services.training.splits import Span, make_split
from services.training.store_env import StoreEnv
from services.training.targets import ALL
from services.training.tests.markets import SPEC, START_MS, make_rows
from services.training.tests.stores import SPEC as STORED
from services.training.tests.stores import market_env, write_market

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PARAMS = FitParams(max_rounds=40, early_stopping_rounds=5, num_leaves=15, min_data_in_leaf=100, num_threads=1)
TARGETS = tuple(ALL[name] for name in ("er_long", "q05_short"))


@pytest.fixture(scope="module")
def rows():
    sources = [make_rows(f"S{n}USDT", n, n=9_000, edge=0.5) for n in range(3)]
    dataset = build_dataset(sources, events="every:2", label_spec=SPEC)
    at = [START_MS + MINUTE_MS * bar for bar in (0, 6_500, 8_900)]
    split = make_split(dataset.ts_ms, dataset.end_ts_ms, train=Span(at[0], at[1]), valid=Span(at[1], at[2]))
    return dataset, split


class JobCancelledError(Exception):
    pass


def test_features_labels_datasets_and_sweeps_of_a_cluster_are_the_local_ones_bit_for_bit(dask_cluster, tmp_path):
    symbols = ("BTCUSDT", "ETHUSDT", "PUMPUSDT", "SOLUSDT")
    local = market_env(tmp_path / "local", symbols, days=4)
    far_store = ResearchStore(f"file://{tmp_path}/far")
    write_market(far_store, symbols, days=4)
    far = StoreEnv(far_store, "")
    how, killed = Sampling("cusum:1", STORED), []

    def kill(fraction, _stage):
        if 0 < fraction < 1 and not killed:
            killed.append(dask_cluster.kill_worker())

    world, traded = backtest_markets.make(11, days=1), backtest_markets.SYMBOLS
    result = backtest(*world, symbols=traded)
    with open_compute(dask_cluster.setting) as compute:
        found = label_symbols(far, symbols, STORED, kill, compute)
        dataset = far.dataset((), how, compute)
        stresses = stress_table(*world, symbols=traded, compute=compute)
        drawn = random_entries(*world, result, np.random.default_rng(1), symbols=traded, draws=12, compute=compute)
    assert killed
    here = local.dataset((), how, LocalCompute(1))
    assert dataset.manifest == here.manifest
    assert dataset.inputs.tobytes() == here.inputs.tobytes()
    for symbol in symbols:
        assert found[symbol][0] > 1_000
        for table, version in (("features_1m", "v1"), ("labels_long_1m", STORED.hash())):
            hashes = [env.store.content_hashes(table, version, symbol) for env in (far, local)]
            assert hashes[0] == hashes[1] != {}
    assert repr(stresses) == repr(stress_table(*world, symbols=traded))  # NaN equals NaN
    again = random_entries(*world, result, np.random.default_rng(1), symbols=traded, draws=12)
    assert len(drawn.draws) == 12
    assert repr(drawn) == repr(again)


def quiet(_fraction, _stage):
    pass


def test_a_worker_is_given_this_fit_s_rows_whatever_others_have_left_there(rows):
    """Dask takes a dict's names for keys: a share sent as one would be whatever lies under these names already."""
    dataset, split = rows
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as client:
        others = client.scatter({name: np.zeros(1) for name in ARRAYS}, hash=False)
        [fitted] = fit_targets_on_cluster(client, dataset, split, TARGETS[:1], PARAMS, quiet)
        assert len(others) == len(ARRAYS)  # still held
    [alone] = fit_targets(dataset, split, TARGETS[:1], PARAMS, quiet)
    assert fitted.text == alone.text


def test_a_cluster_fits_as_well_as_one_machine_also_when_a_worker_is_killed(dask_cluster, rows, monkeypatch):
    local = fit_targets(*rows, TARGETS, PARAMS, quiet)
    stages = []

    def cancel(_fraction, stage):
        if stage.endswith("on the cluster"):
            raise JobCancelledError

    def kill_in_the_second_target(_fraction, stage):
        stages.append(stage)
        if stage == "training q05_short on the cluster" and stages.count(stage) == 3:
            dask_cluster.kill_worker()

    keys = []
    with open_compute(dask_cluster.setting) as compute:
        submit = compute.client.submit
        monkeypatch.setattr(
            compute.client, "submit", lambda *a, key, **k: (keys.append(key), submit(*a, key=key, **k))[1]
        )
        with pytest.raises(JobCancelledError):
            fit_targets_on_cluster(compute.client, *rows, TARGETS[:1], PARAMS, cancel)
        deadline = time.monotonic() + 60
        while any(compute.client.processing().values()) and time.monotonic() < deadline:
            threading.Event().wait(0.1)
        assert not any(compute.client.processing().values())  # a cancelled fit leaves nothing behind

        found = fit_targets_on_cluster(compute.client, *rows, TARGETS, PARAMS, kill_in_the_second_target)
        assert "training er_long on 2 workers" in stages
        assert "training q05_short on 1 workers" in stages  # it began again on the one that was left
        assert [item.target for item in found] == list(TARGETS)
        assert found[0].text != local[0].text
        assert found[0].valid_loss == pytest.approx(local[0].valid_loss, rel=0.02)
        assert found[1].text == local[1].text  # one worker is left: nothing is merged, nothing differs

        dask_cluster.kill_worker(1)
        with pytest.raises(WorkerLostError, match="lost"):
            fit_targets_on_cluster(compute.client, *rows, TARGETS[:1], PARAMS, quiet)
        assert len(keys) == len(set(keys)) > 4  # the task of an attempt that was given up may still be ending
