"""The canaries of D19 that belong to training, determinism, and what is refused."""

import dataclasses

import numpy as np
import pytest

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.time import MINUTE_MS, iso
from packages.common.types import TARGETS
from services.features import schema
from services.registry.package import load_package, save_package
from services.training.dataset import Sampling, build_dataset, pool, sample
from services.training.fit import FitParams, fit_targets, predict
from services.training.targets import resolve
from services.training.tests.markets import SPEC, START_MS, make_rows
from services.training.train import TrainConfig, run_training_job

N = 6_000


def config(**changes):
    def at(bar):
        return iso(START_MS + bar * MINUTE_MS)

    base = TrainConfig(
        SPEC.hash(), schema.SCHEMA_VERSION, at(0), at(3_600), at(3_600), at(4_500),
        test_start=at(4_500), test_end=at(N), events="every:3", num_threads=1, max_rounds=60, learning_rate=0.1,
        min_data_in_leaf=100, cpcv_groups=0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


class Env:
    """A training environment in memory."""

    def __init__(self, url, edge=0.0, symbols=4):
        self.url, self.edge, self.names = str(url), edge, [f"S{i}USDT" for i in range(symbols)]

    def label_spec(self, spec_hash):
        assert spec_hash == SPEC.hash()
        return SPEC

    def dataset(self, symbols, how, compute):
        made = (make_rows(name, i, n=N, edge=self.edge) for i, name in enumerate(self.names))
        return pool([sample(rows, number, how) for number, rows in enumerate(made)], how)

    def market(self, spec, symbols, span):
        return None

    def save(self, package):
        return save_package(package, self.url)


@pytest.fixture(scope="module")
def martingale(tmp_path_factory):
    return run_training_job(config(), env=Env(tmp_path_factory.mktemp("m")))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return run_training_job(config(), env=Env(tmp_path_factory.mktemp("p"), edge=0.6))


def test_a_martingale_market_yields_no_net_edge(martingale):
    trading = martingale["metrics"]["label_trades"]
    if trading["trades"]:  # whatever it trades by mistake must not look like an edge
        assert trading["expectancy_95"][0] < 0.0
        assert trading["expectancy"] < 0.0005
    assert trading["every_long"] < 0.0  # the costs are in the labels
    er = martingale["metrics"]["targets"]["er_long"]
    assert er["rmse"] > 0.995 * er["rmse_of_mean"]
    rank = er["rank_correlation"]["mean"]
    assert rank is None or abs(rank) < 0.05


def test_a_planted_signal_is_found_and_traded(planted):
    metrics = planted["metrics"]
    oracle = 0.6 / np.sqrt(1.3**2 + 0.6**2)  # correlation of the planted part with the return
    assert metrics["targets"]["er_long"]["rank_correlation"]["mean"] > 0.8 * oracle * 0.95
    trading = metrics["label_trades"]
    assert trading["profit_factor"] > 1.2
    assert trading["expectancy_95"][0] > 0 > trading["every_long"]
    importance = metrics["importance"]["er_long"]
    assert max(importance, key=importance.get) == "ret_15"
    assert metrics["evaluated_on"] == "test"


def test_predictions_are_in_the_units_of_the_decisions(planted):
    dataset = Env("", edge=0.6).dataset((), Sampling("every:3", SPEC), None)
    from services.training.fit import Fitted
    from services.training.targets import ALL

    fitted = tuple(Fitted(ALL[n], t, 1, 0.0, {}, {}) for n, t in planted["package"].boosters.items())
    rows = np.arange(0, len(dataset), 7)
    got = predict(fitted, dataset, rows)
    assert got["er_long"].mean() == pytest.approx(dataset.long.ret_net[rows].mean(), abs=0.0006)
    assert got["e_hold_short"].mean() == pytest.approx(15.5, abs=1.0)
    assert got["e_mae_long"].mean() == pytest.approx(dataset.long.mae[rows].mean(), rel=0.1)
    assert 0.4 < got["p_tp_long"].mean() < 0.6
    coverage = planted["metrics"]["targets"]["q05_long"]["coverage"]
    assert 0.02 < coverage < 0.09


def test_training_twice_gives_the_same_bytes(planted, tmp_path):
    again = run_training_job(config(), env=Env(tmp_path, edge=0.6))
    assert again["package"].files() == planted["package"].files()
    assert again["content_hash"] == planted["content_hash"]
    other = run_training_job(config(events="every:4"), env=Env(tmp_path, edge=0.6))
    assert other["content_hash"] != planted["content_hash"]


def test_the_package_holds_all_a_model_is(planted):
    package = load_package(planted["artifact_uri"], expected_hash=planted["content_hash"])
    assert tuple(sorted(package.boosters)) == tuple(sorted(TARGETS))
    assert package.label_spec["hash"] == SPEC.hash()
    assert package.reference["features"]["funding_z"]["missing_rate"] > 0
    for name, feature in package.reference["features"].items():
        assert sum(feature["share"]) == pytest.approx(1.0), name
    split = package.manifest["split"]
    assert split["purged"] > 0
    assert split["train"]["rows"] > split["valid"]["rows"] > 0
    source = package.manifest["dataset"]["symbols"]["S0USDT"]
    assert source["events"] == source["rows"] + source["unlabelled"] + source["feature_nan"]
    assert source["feature_nan"] == 4  # bars 0, 3, 6, 9 of the warm-up


def test_progress_grows_to_one_and_cancelling_leaves_nothing(tmp_path):
    seen = []
    run_training_job(config(max_rounds=11), env=Env(tmp_path / "a"), progress=lambda f, s: seen.append((f, s)))
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {f"training {t}" for t in TARGETS} <= {s for _, s in seen}

    class CancelledError(Exception):
        pass

    def cancel(fraction, stage):
        if stage == "training q05_short":
            raise CancelledError

    with pytest.raises(CancelledError):
        run_training_job(config(max_rounds=11), env=Env(tmp_path / "b"), progress=cancel)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"targets": ("er_long", "er_up")}, InvalidInputError, "targets: got 'er_up', expected one of er_long"),
        ({"targets": ()}, InvalidInputError, "targets"),
        ({"train_end": "yesterday"}, InvalidInputError, "train_end: got 'yesterday'"),
        ({"train_end": iso(START_MS + 5_000 * MINUTE_MS)}, InvalidInputError, "train_end"),
        ({"test_start": iso(START_MS)}, InvalidInputError, "val_end"),
        ({"test_end": None}, InvalidInputError, "test_start, test_end"),
        ({"test_start": iso(START_MS + N * MINUTE_MS), "test_end": iso(START_MS + 2 * N * MINUTE_MS)},
         InvalidInputError, "test span"),
        ({"feature_schema_version": 2}, SchemaMismatchError, "feature_schema_version: got 2"),
        ({"algo": "xgb"}, InvalidInputError, "algo: got 'xgb', expected lgbm"),
        ({"events": "sometimes"}, InvalidInputError, "events"),
        ({"num_leaves": 0}, InvalidInputError, "num_leaves"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(changes, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run_training_job(config(**changes), env=Env(tmp_path))


def test_a_dataset_is_the_same_bytes_twice_and_refuses_disorder():
    rows = [make_rows("AUSDT", 1, n=500), make_rows("BUSDT", 2, n=500)]
    one = build_dataset(rows, events="cusum:1", label_spec=SPEC)
    two = build_dataset(rows, events="cusum:1", label_spec=SPEC)
    assert one.manifest == two.manifest
    assert (np.diff(one.ts_ms) >= 0).all()
    assert ((one.weight_long > 0) & (one.weight_long <= 1)).all()
    with pytest.raises(InvalidInputError, match="each symbol once"):
        build_dataset([rows[0], rows[0]], events="every:1", label_spec=SPEC)
    backwards = dataclasses.replace(rows[0], ts_ms=rows[0].ts_ms[::-1].copy())
    with pytest.raises(InvalidInputError, match="strictly ascending"):
        build_dataset([backwards], events="every:1", label_spec=SPEC)
    with pytest.raises(InvalidInputError, match="labelled events"):
        build_dataset(rows, events="every:1", label_spec=SPEC, start_ms=START_MS + 10**10)


def test_label_ends_are_the_closes_of_the_later_exit_also_across_missing_bars():
    rows = make_rows("AUSDT", 3, n=200)
    ts = rows.ts_ms.copy()
    ts[100:] += 7 * MINUTE_MS  # seven bars are missing
    rows = dataclasses.replace(rows, ts_ms=ts)
    dataset = build_dataset([rows], events="every:1", label_spec=SPEC)
    place = {int(t): i for i, t in enumerate(ts)}
    for i in range(0, len(dataset), 5):
        bar = place[int(dataset.ts_ms[i])]
        exits = [int(side.time_to_event_min[i]) for side in (dataset.long, dataset.short)]
        assert dataset.end_ts_ms[i] == ts[bar + max(exits)] + MINUTE_MS


def test_boosters_know_nothing_of_what_other_rows_weigh():
    dataset = Env("", edge=0.6, symbols=2).dataset((), Sampling("every:3", SPEC), None)
    (split,) = config().splits(dataset)
    heavier = dataset.weight_long.copy()
    heavier[split.test] *= 7.0
    params, quiet = FitParams(max_rounds=5, num_threads=1), lambda _fraction, _stage: None
    texts = [
        fit_targets(rows, split, resolve(("er_long",)), params, quiet)[0].text
        for rows in (dataset, dataclasses.replace(dataset, weight_long=heavier))
    ]
    assert texts[0] == texts[1]
