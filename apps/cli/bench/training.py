"""What ``fit_targets`` adds to LightGBM: its CPU time outside ``lgb.train`` over that inside, binning included."""

import time
from collections.abc import Iterator
from typing import Any

import lightgbm as lgb
import numpy as np

from apps.cli.bench import material
from apps.cli.bench.inference import inputs
from apps.cli.bench.measure import Figure, Plan, at_most
from packages.common.types import TARGETS
from services.training.dataset import Dataset
from services.training.fit import FitParams, fit_targets
from services.training.splits import Span, Split
from services.training.targets import SideLabels, resolve


def dataset(rows: int, minutes: int = 1) -> Dataset:
    """A pooled table of the shape a job has, rows of fifty symbols every so many minutes."""
    rng = np.random.default_rng(1)
    x = inputs(rows, rng)
    ts = material.START_MS + 60_000 * minutes * (np.arange(rows, dtype=np.int64) // 50)

    def side() -> SideLabels:
        net = 1e-3 * (0.1 * x[:, 0] + rng.standard_normal(rows))
        flat = np.zeros(rows)
        mae, hold = np.abs(net), np.floor(rng.uniform(1, 360, rows))
        return SideLabels(np.where(net > 0, 1.0, -1.0), net, mae, hold, flat + 8e-4, flat + 1e-4, flat)

    names, ones = material.names(50), np.ones(rows)
    symbol = (np.arange(rows) % 50).astype(np.int16)
    return Dataset(names, symbol, ts, ts + 60_000, x, 1e-3 * ones, side(), side(), ones, ones, {"content": "bench"})


def split_of(table: Dataset) -> Split:
    """A fifth of it for validation."""
    rows, ts, nothing = len(table), table.ts_ms, np.empty(0, np.int64)
    cut = rows * 4 // 5
    spans = Span(int(ts[0]), int(ts[cut])), Span(int(ts[cut]), int(ts[-1]) + 60_000)
    return Split(*spans, None, np.arange(cut), np.arange(cut, rows), nothing, nothing, nothing)


def measure(plan: Plan) -> Iterator[Figure]:
    """Few rounds a target, which is hard on the product: what it adds does not grow with them."""
    rows, rounds = plan.size(1_250_000, 50_000), plan.size(60, 20)
    table = dataset(rows)
    split = split_of(table)
    params = FitParams(num_leaves=63, max_rounds=rounds, early_stopping_rounds=rounds, num_threads=1)
    inside = 0.0
    train = lgb.train

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal inside
        begin = time.process_time()
        booster = train(*arguments, **options)
        inside += time.process_time() - begin
        return booster

    lgb.train = timed
    try:
        begin = time.process_time()
        fit_targets(table, split, resolve(TARGETS), params, lambda _fraction, _stage: None)
        total = time.process_time() - begin
    finally:
        lgb.train = train
    yield at_most(
        *("training", f"10 targets x {split.train.size:,} rows x 17 features, 63 leaves, {rounds} rounds", total),
        *("CPU s",), limit=1.1, reference=f"lgb.train alone, {inside:.1f} CPU s; ratio with binning and copies",
        ratio=total / inside,
    )  # fmt: skip
    per_tree = inside / (len(TARGETS) * rounds * split.train.size) * 1e9
    yield Figure("training", "LightGBM itself, a row and tree", per_tree, "ns")
