"""From the frames of fifty closed bars to every decision and its rows: the way of a minute through the desk."""

import time
from collections.abc import Iterator

from apps.cli.bench import desk, inference, material
from apps.cli.bench.measure import Figure, Plan, at_most, percentile
from packages.common.time import MINUTE_MS

SYMBOLS = 50


def measure(plan: Plan) -> Iterator[Figure]:
    """What came before the close was folded in as it came; the clock starts with the closed candles."""
    trees = plan.size(500, 60)
    boosters = inference.boosters(trees, plan.size(20_000, 3_000))
    yield from _minutes(SYMBOLS, boosters, plan.size(400, 60), trees)


def _minutes(n: int, boosters: list[str], count: int, trees: int) -> Iterator[Figure]:
    symbols = material.names(n)
    records, writer = desk.Records(symbols), desk.Rows()
    loop = desk.minute_loop(symbols, inference.predictor(boosters), writer)
    taken, features, decisions = [], [], []
    for t, messages in enumerate(desk.frames(symbols, count + 20)):
        ts_ms = material.START_MS + t * MINUTE_MS
        samples, closed = messages[:-n], [*messages[-n:], *desk.closing(symbols, t)]
        records.take(samples, ts_ms + MINUTE_MS - 1)
        begin = time.perf_counter()
        loop.take(desk.batch(ts_ms, records.take(closed, ts_ms + MINUTE_MS)))
        if t >= 20:
            taken.append(time.perf_counter() - begin)
            features.append(loop.progress.timings["features"])
            decisions.append(loop.progress.timings["decision"])
        assert len(writer.tables["signals"]) == n
        writer.tables.clear()
    work = f"{n} closed bars parsed to decisions and rows, 10 models x {trees} trees, wall"
    yield at_most("minute", f"{work}, p50", percentile(taken, 0.5) * 1e3, "ms", limit=25.0)
    yield at_most("minute", f"{work}, p99", percentile(taken, 0.99) * 1e3, "ms", limit=60.0)
    yield Figure("minute", "of it features, p50", percentile(features, 0.5), "ms")
    yield Figure("minute", "of it predictions, policy and risk, p50", percentile(decisions, 0.5), "ms")


def one_minute() -> dict[str, list[object]]:
    """The rows a minute of fifty symbols writes, by table."""
    symbols = material.names(SYMBOLS)
    records, writer = desk.Records(symbols), desk.Rows()
    loop = desk.minute_loop(symbols, inference.predictor(inference.boosters(5, 500)), writer)
    for t, messages in enumerate(desk.frames(symbols, 3)):
        writer.tables.clear()
        ts_ms = material.START_MS + t * MINUTE_MS
        loop.take(desk.batch(ts_ms, records.take([*messages, *desk.closing(symbols, t)], ts_ms + MINUTE_MS)))
    return writer.tables
