"""Labels moved, made anew, learned and traded: what a job's report shows beside the sensitivity of its exits."""

import dataclasses
import json

import numpy as np
import pytest

from packages.common.compute import LocalCompute
from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, iso
from services.features import schema
from services.training import relabel
from services.training.dataset import Sampling
from services.training.relabel import Relabelling, label_sensitivity
from services.training.research import label_symbols
from services.training.splits import Span
from services.training.tests.stores import FREE, START_MS, market_env
from services.training.train import TrainConfig, run_training_job

pytestmark = pytest.mark.xdist_group("relabel")  # one labelled market for all of them
SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAYS = 6
SPAN = Span(START_MS + 5 * DAY_MS, START_MS + DAYS * DAY_MS)


def config(**changes):
    def at(day):
        return iso(START_MS + int(day * DAY_MS))

    base = TrainConfig(
        FREE.hash(), schema.SCHEMA_VERSION, at(1), at(4.5), at(4.5), at(5), test_start=at(5), test_end=at(DAYS),
        symbols=SYMBOLS, events="every:5", num_threads=1, max_rounds=8, learning_rate=0.2, num_leaves=7,
        min_data_in_leaf=100, early_stopping_rounds=8, random_draws=2, cpcv_groups=0, label_factors=(0.5,),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """A market whose drift the models can see, labelled without costs."""
    return market_env(tmp_path_factory.mktemp("relabel"), SYMBOLS, days=DAYS, spec=FREE, drift=0.3)


def relabelling(env, spec=FREE, rounds=8):
    cfg = config()
    sampling = Sampling(cfg.events, spec, START_MS + DAY_MS, SPAN.end_ms)
    return Relabelling(env.market(spec, SYMBOLS, SPAN), "none", sampling, cfg.splits, cfg.fit_params(), rounds)


def rows_of(env, factors=(2.0,), spec=FREE):
    return label_sensitivity(relabelling(env, spec), factors, [SPAN], lambda *_: None, LocalCompute(1))


def test_a_job_reports_labels_made_anew_beside_moved_exits(env):
    report = run_training_job(config(), env=env)
    told = json.loads(report["package"].report["json"])
    rows = [row for row in told["sensitivity"] if row["level"] == "label"]
    assert {row["level"] for row in told["sensitivity"]} == {"kernel", "label"}
    found = [(row["parameter"], row["value"], row["base"]) for row in rows]
    assert found == [
        *(("k_tp", 1.5, False), ("k_tp", 3.0, True), ("k_sl", 1.0, False), ("k_sl", 2.0, True)),
        *(("h_bars", 30.0, False), ("h_bars", 60.0, True)),
    ]
    base, *again = (row for row in rows if row["base"])
    assert base["trades"] > 10
    assert all({**row, "parameter": "k_tp", "value": 3.0} == base for row in again)
    nets = {row["net"] for row in rows}
    assert len(nets) == 4  # the value in use, and three other markets
    assert sum("compare with one another only" in note for note in told["notes"]) == 1
    assert "h_bars (label)" in report["package"].report["html"]


def test_a_moved_label_is_what_a_run_with_that_label_learns_and_trades(env, tmp_path):
    """The row of k_tp × 2 is the value in use of a desk whose labels are those."""
    rows, notes = rows_of(env)
    (moved,) = (row for row in rows if row["parameter"] == "k_tp" and not row["base"])
    twice = dataclasses.replace(FREE, k_tp=6.0)
    (base,) = (row for row in rows_of(env, (), twice)[0] if row["parameter"] == "k_tp")
    assert base["base"]
    assert {**moved, "base": True} == base
    assert not notes


def test_labels_made_for_a_variation_are_those_that_a_job_stores(env, tmp_path):
    spec = dataclasses.replace(FREE, h_bars=90)
    other = market_env(tmp_path, SYMBOLS, days=DAYS, spec=FREE, drift=0.3)
    label_symbols(other, SYMBOLS, spec, lambda *_: None, LocalCompute(1))
    how = Sampling("every:5", spec)
    stored = other.dataset(SYMBOLS, how, LocalCompute(1))
    shared = relabel.market_of(env.store)
    anew = relabel.pool([relabel._sample_anew(item, env.store, shared, how) for item in enumerate(SYMBOLS)], how)
    assert anew.manifest["content"] == stored.manifest["content"]


def test_a_variation_without_rows_is_a_row_without_figures(env):
    rows, notes = rows_of(env, (200.0,))  # a holding time longer than the history
    (row,) = (row for row in rows if row["parameter"] == "h_bars" and not row["base"])
    assert np.isnan([row["net"], row["trades"]]).all()
    assert np.isfinite([row["net"] for row in rows if row["parameter"] == "k_sl"]).all()
    assert len(notes) == 1
    assert "h_bars 12000" in notes[0]


@pytest.mark.parametrize("factors", [(0.0,), (-1.0,), (float("nan"),), ("2",), (True,)])
def test_factors_that_are_none_are_refused(env, factors):
    with pytest.raises(InvalidInputError, match="label_factors"):
        run_training_job(config(label_factors=factors), env=env)
