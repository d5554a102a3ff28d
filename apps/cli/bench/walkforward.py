"""The walk of a year: five folds of 180/30/30 days, ten targets each, by the job's own loop over folds."""

import resource
import time
from collections.abc import Iterator

from apps.cli.bench import material, training
from apps.cli.bench.measure import Figure, Plan, at_most
from packages.common.compute import LocalCompute
from packages.common.time import DAY_MS, iso
from services.features import schema
from services.labeling.triple_barrier import PRESETS
from services.training.targets import resolve
from services.training.train import TrainConfig, train_folds

DAYS = 360  # 180 to train, 30 to validate, five times 30 to test
FOLDS = 5


def measure(plan: Plan) -> Iterator[Figure]:
    """No model stops early, which is the dearest a walk can be. Minutes of the test spans are not predicted: there is
    no market behind these rows. Peak memory is that of this process so far."""
    rows, rounds = plan.size(2_000_000, 20_000), plan.size(200, 5)  # half of them train a fold
    threads = plan.size(2, 1)  # two that wait for each other at every leaf of a small tree take ten times the CPU
    table = training.dataset(rows, DAYS * 1440 * 50 // rows)
    cfg, spec = _config(rounds, threads), PRESETS["swing"]
    begin, cpu = time.perf_counter(), time.process_time()
    walked = train_folds(cfg, table, spec, resolve(cfg.targets), lambda *_: None, None, LocalCompute(threads))
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    assert [item.rounds > 0 for fold in walked.folds for item in fold.fitted] == [True] * FOLDS * len(cfg.targets)
    trained = walked.folds[0].split.train.size
    work = (
        f"{FOLDS} folds x {len(cfg.targets)} targets x {trained:,} rows, 63 leaves, {rounds} rounds, threads: {threads}"
    )
    yield at_most("walkforward", f"{work}, wall", wall / 60, "min", limit=None if plan.quick else 60.0)
    yield Figure("walkforward", "the same, CPU", cpu / 60, "min")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield at_most("walkforward", "peak memory of this process", peak, "GiB", limit=6.0)


def _config(rounds: int, threads: int) -> TrainConfig:
    def at(day: int) -> str:
        return iso(material.START_MS + day * DAY_MS)

    return TrainConfig(
        PRESETS["swing"].hash(), schema.SCHEMA_VERSION, at(DAYS - 240), at(DAYS - 60), at(DAYS - 60), at(DAYS - 30),
        test_start=at(DAYS - 30), test_end=at(DAYS), folds=FOLDS, num_leaves=63, max_rounds=rounds,
        early_stopping_rounds=rounds, num_threads=threads,
    )  # fmt: skip
