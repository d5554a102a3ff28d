"""From minutes to a binned LightGBM dataset in a process of its own, so that its peak memory is its own too."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe

import numpy as np

from apps.cli.bench import material
from apps.cli.bench.measure import Figure, Plan, at_most
from services.features import kernel as k
from services.features.compute import compute_market
from services.labeling.triple_barrier import PRESETS
from services.training.dataset import SymbolRows, build_dataset
from services.training.research import label_minutes, rows_of

EVENTS = "every:10"


def measure(plan: Plan) -> Iterator[Figure]:
    """Generating the market is not counted in time; it is in memory."""
    symbols, n = plan.size(50, 4), plan.size(material.YEAR, 100_000)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_child, args=(theirs, symbols, n))
    child.start()
    theirs.close()
    rows, wall, cpu, peak = ours.recv()
    child.join()
    share = symbols * n / (50 * material.YEAR)
    work = f"{symbols} symbols x {n:,} bars, features + labels + {EVENTS} + weights + binning, {rows:,} rows"
    yield at_most("dataset", f"{work}, one thread", cpu, "CPU s", limit=60.0 * share)
    yield Figure("dataset", "the same, wall", wall, "s")
    yield at_most("dataset", "the same, peak memory", peak, "GiB", limit=8.0)


def _child(pipe: Pipe, symbols: int, n: int) -> None:
    sys.modules.update(dict.fromkeys(("sklearn", "dask")))  # type: ignore[arg-type] # LightGBM need not load them
    import lightgbm as lgb

    from services.training.fit import FitParams

    bars = material.bars(n, 1)
    spec, spent, spent_cpu = PRESETS["swing"], 0.0, 0.0
    shared = compute_market(material.times(n), np.ascontiguousarray(bars[:, k.BAR_CLOSE]))
    begin, begin_cpu = time.perf_counter(), time.process_time()

    def sources() -> Iterator[SymbolRows]:
        nonlocal spent, spent_cpu
        for i, name in enumerate(material.names(symbols)):
            at, at_cpu = time.perf_counter(), time.process_time()
            rows = np.roll(bars, 1_000 * i, axis=0)  # other minutes for each symbol, at no cost to speak of
            rows[:, k.BAR_TS] = bars[:, k.BAR_TS]
            minutes = material.minutes(name, rows)
            spent, spent_cpu = spent + time.perf_counter() - at, spent_cpu + time.process_time() - at_cpu
            yield rows_of(label_minutes(minutes, shared, spec))

    dataset = build_dataset(sources(), events=EVENTS, label_spec=spec)
    lgb.Dataset(dataset.inputs, params=FitParams(num_threads=1).for_dataset()).construct()
    wall, cpu = time.perf_counter() - begin - spent, time.process_time() - begin_cpu - spent_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send((len(dataset), wall, cpu, peak))
