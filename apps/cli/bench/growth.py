"""Cost of a symbol-bar with one to two hundred symbols: level, or the work grows faster than the data."""

from collections.abc import Callable, Iterator

import numpy as np

from apps.cli.bench import backtest, labels, material
from apps.cli.bench.measure import Figure, Plan, Work, at_most, interleave
from services.features import kernel as k
from services.features.compute import compute_market, compute_symbol

COUNTS = (1, 10, 50, 200)


def measure(plan: Plan) -> Iterator[Figure]:
    """Ratio: a symbol-bar of 200 over one of 50. A backtest of few symbols pays for its minutes, so it is dearer."""
    n = plan.size(10_000, 3_000)
    one, bars = labels.market(n, 1), material.bars(n, 2)
    shared = compute_market(material.times(n), np.ascontiguousarray(bars[:, k.BAR_CLOSE]))
    markets = {count: backtest.market(count, n) for count in COUNTS}

    def label(count: int) -> Work:
        return lambda: _repeat(count, lambda: one.label(labels.SPEC))

    def feature(count: int) -> Work:
        return lambda: _repeat(count, lambda: compute_symbol(bars, shared))

    def fold(count: int) -> Work:
        terms = backtest.terms(count)
        return lambda: backtest.fold(markets[count], *terms, 1)

    works: dict[str, Callable[[int], Work]] = {"labels": label, "features": feature, "backtest": fold}
    for name, work in works.items():
        took = interleave(plan.rounds, {str(count): work(count) for count in COUNTS})
        cost = {count: took[str(count)] / (count * n) * 1e9 for count in COUNTS}
        shown = ", ".join(f"{count}: {cost[count]:.1f}" for count in COUNTS)
        yield at_most(
            *("growth", f"{name}, {n:,} bars, ns a symbol-bar with {shown} symbols", cost[200], "ns"),
            limit=1.25, reference="the same with 50 symbols", ratio=cost[200] / cost[50],
        )  # fmt: skip


def _repeat(count: int, work: Work) -> None:
    """One symbol after the other; nothing is kept, or memory would be what grows."""
    for _ in range(count):
        work()
