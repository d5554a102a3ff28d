"""How figures are taken: interleaved rounds, CPU time, medians; and the row every figure ends in."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ROUNDS = 15

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """``quick`` measures less data in fewer rounds: good for finding a slip, not for ranking what is close."""

    quick: bool = False

    @property
    def rounds(self) -> int:
        return 5 if self.quick else ROUNDS

    def size(self, full: int, quick: int) -> int:
        """How much data to take."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement. ``ratio`` is the product's figure over the reference's in the same run (None: there is none);
    ``goal`` in words; ``passed`` None where nothing binds."""

    area: str
    work: str
    figure: float
    unit: str
    reference: str | None = None
    ratio: float | None = None
    goal: str | None = None
    passed: bool | None = None

    def row(self) -> dict[str, Any]:
        """As printed; ``load`` is the one-minute load average of the moment."""
        return {
            "area": self.area,
            "work": self.work,
            "figure": float(f"{self.figure:.4g}"),
            "unit": self.unit,
            "reference": self.reference,
            "ratio": None if self.ratio is None else float(f"{self.ratio:.3g}"),
            "goal": self.goal,
            "pass": self.passed,
            "load": round(os.getloadavg()[0], 2),
        }


def at_most(
    area: str, work: str, figure: float, unit: str, *, limit: float | None, reference: str | None = None,
    ratio: float | None = None,
) -> Figure:  # fmt: skip
    """A figure whose ratio, or itself where there is none, should not exceed ``limit``; None binds nothing."""
    if limit is None:
        return Figure(area, work, figure, unit, reference, ratio)
    value = figure if ratio is None else ratio
    goal = f"<= {limit:g} {unit}" if ratio is None else f"<= {limit:g} x"
    return Figure(area, work, figure, unit, reference, ratio, goal, value <= limit)


def at_least(
    area: str, work: str, figure: float, unit: str, *, limit: float, reference: str | None = None,
    ratio: float | None = None,
) -> Figure:  # fmt: skip
    """A figure whose ratio, or itself where there is none, should reach ``limit``."""
    value = figure if ratio is None else ratio
    goal = f">= {limit:g} {unit}" if ratio is None else f">= {limit:g} x"
    return Figure(area, work, figure, unit, reference, ratio, goal, value >= limit)


def interleave(rounds: int, works: Mapping[str, Work], *, wall: bool = False) -> dict[str, float]:
    """Median seconds of each work over ``rounds`` in turn, after one unmeasured turn that compiles and warms.

    CPU seconds of this process; ``wall`` where the work is another process's or spread over threads on purpose.
    """
    now = time.perf_counter if wall else time.process_time
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begin = now()
            work()
            taken[name].append(now() - begin)
    return {name: statistics.median(values) for name, values in taken.items()}


def percentile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
