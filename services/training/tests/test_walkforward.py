"""Folds, out-of-sample predictions of every minute, and a job that goes on where it was stopped."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS, iso
from packages.common.types import TARGETS
from services.features import schema
from services.registry.package import load_package
from services.training import market
from services.training.replay import read_inputs, replay_market
from services.training.splits import Span
from services.training.tests.stores import SPEC, START_MS, desk_of, market_env
from services.training.train import TrainConfig, run_training_job

pytestmark = pytest.mark.xdist_group("walkforward")  # one run for all of them
SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAYS = 6


def config(**changes):
    def at(day):
        return iso(START_MS + int(day * DAY_MS))

    base = TrainConfig(
        SPEC.hash(), schema.SCHEMA_VERSION, at(2), at(4.5), at(4.5), at(5), test_start=at(5), test_end=at(DAYS),
        folds=2, symbols=SYMBOLS, events="every:5", num_threads=1, max_rounds=6, learning_rate=0.1, num_leaves=7,
        min_data_in_leaf=100, early_stopping_rounds=3, random_draws=0, cpcv_groups=0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """An uninterrupted run: its environment and its report."""
    env = market_env(tmp_path_factory.mktemp("walk"), SYMBOLS, days=DAYS, drift=0.2)
    return env, run_training_job(config(), env=env)


def test_earlier_folds_lie_one_test_span_back_and_their_tests_join(done):
    _, report = done
    first, last = report["folds"]
    assert last == report["split"]
    assert first["test"]["end"] == last["test"]["start"]
    assert last["test"]["end"] == config().test_end
    assert [fold["purged"] > 0 for fold in report["folds"]] == [True, True]
    spans = [[fold[part]["start"] for part in ("train", "valid", "test")] for fold in report["folds"]]
    for early, late in zip(*spans, strict=True):
        assert np.datetime64(late[:-1]) - np.datetime64(early[:-1]) == np.timedelta64(1, "D")


def test_every_minute_of_the_test_spans_is_predicted_and_only_those(done):
    env, report = done
    stored = env.store.read(market.PREDICTIONS, report["manifest"]["run"], "ETHUSDT")
    begin = START_MS + 4 * DAY_MS
    np.testing.assert_array_equal(stored["ts"], begin + MINUTE_MS * np.arange(2 * 1440))
    assert all(np.isfinite(stored[name]).all() for name in TARGETS)
    assert ((stored["p_tp_long"] > 0) & (stored["p_tp_long"] < 1)).all()


def test_the_last_span_is_predicted_by_the_models_of_the_package(done):
    import lightgbm

    env, report = done
    span = Span(START_MS + 5 * DAY_MS, START_MS + 6 * DAY_MS)
    stored = env.store.read(market.PREDICTIONS, report["manifest"]["run"], "BTCUSDT", from_ts_ms=span.start_ms)
    _, inputs = read_inputs(env.store, "BTCUSDT", span)
    raw = lightgbm.Booster(model_str=report["package"].boosters["er_short"]).predict(inputs)
    np.testing.assert_array_equal(stored["er_short"], raw * inputs[:, schema.ATR])


def test_a_stopped_job_goes_on_with_the_missing_fold_and_ends_the_same(done, tmp_path):
    _, wanted = done
    env = market_env(tmp_path, SYMBOLS, days=DAYS, drift=0.2)

    class KilledError(Exception):
        pass

    def kill(fraction, stage):
        if fraction > 0.4 and stage == "training e_mae_long":
            raise KilledError

    with pytest.raises(KilledError):
        run_training_job(config(), env=env, progress=kill)
    seen = []
    again = run_training_job(config(), env=env, progress=lambda fraction, stage: seen.append(stage))
    assert seen.count("training er_long") == 1  # of two folds one was there already
    assert again["content_hash"] == wanted["content_hash"]
    assert again["package"].files() == wanted["package"].files()


def test_the_report_is_part_of_the_package(done):
    _, report = done
    package = load_package(report["artifact_uri"], expected_hash=report["content_hash"])
    assert set(package.report) == {"html", "json", "txt", "trades.csv", "equity.csv"}
    assert len(package.report["txt"].splitlines()) <= 40
    trades = pd.read_csv(io.StringIO(package.report["trades.csv"]))
    assert trades["net"].sum() == pytest.approx(package.metrics["trading"]["net"], rel=1e-12)
    told = json.loads(package.report["json"])
    assert told["metrics"]["net"] == report["metrics"]["trading"]["net"]
    assert {piece["part"] for piece in told["folds"]} >= {"train", "valid", "test", "purge"}
    assert set(told["targets"]) == set(TARGETS)
    assert abs(sum(told["shap"]["er_long"].values()) - 1) < 1e-9
    assert package.report["html"].lstrip().lower().startswith("<!doctype html")


def test_a_replayed_market_books_what_was_stored(done):
    env, report = done
    span = Span(START_MS + 5 * DAY_MS - HOUR_MS, START_MS + 6 * DAY_MS)
    removed = START_MS + 5 * DAY_MS + 77 * MINUTE_MS
    minutes = replay_market(
        env.store, desk_of(SPEC.fee_rate)(SPEC, SYMBOLS, span), SPEC, report["manifest"]["run"], span
    )
    at = int((removed - span.start_ms) // MINUTE_MS)
    bar = env.store.read(market.CANDLES, "v1", "ETHUSDT", from_ts_ms=removed, to_ts_ms=removed + 1)
    np.testing.assert_array_equal(minutes.last[at, :, 1], [bar[k][0] for k in ("open", "high", "low", "close")])
    volumes = env.store.read(
        market.CANDLES, "v1", "ETHUSDT", ("quote_volume",), from_ts_ms=removed - 59 * MINUTE_MS, to_ts_ms=removed + 1
    )
    assert minutes.qm[at, 1] == np.median(volumes["quote_volume"])
    paid = np.flatnonzero(~np.isnan(minutes.rate[:, 0]))
    closes = minutes.ts_ms[paid] + MINUTE_MS
    assert (closes % (8 * HOUR_MS) == 0).all()
    assert closes.size == 3
    assert np.isfinite(minutes.preds).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 0}, "folds"),
        ({"folds": 2, "test_start": None, "test_end": None}, "folds: got 2, expected 1 without a test span"),
        ({"folds": 30}, "train span"),
        ({"random_draws": -1}, "random_draws"),
    ],
)
def test_impossible_walks_are_refused(done, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        run_training_job(config(**changes), env=done[0])


def test_each_fold_knows_what_was_tested_before_it():
    walk = config(folds=3).walk()
    assert [fold.number for fold in walk] == [0, 1, 2]
    assert walk[-1].tested == (walk[0].test, walk[1].test)
