"""Breadth-first exploration of every interleaving of machine and exchange within a budget of faults.

The properties, over all reachable worlds:

1. no intent is sent twice, no position is reversed, no stop is cancelled under a position, nothing open is released
   (``ViolationError`` from the model, at the step that does it);
2. an exposure the machine knows of is covered, or its bound is running, or its exit is under way;
3. a world in which nothing is left to happen is protected or flat;
4. from every world a way without further faults leads to one that is protected or flat.
"""

import gc
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from services.execution.core.events import Event, Timer
from services.execution.core.state import AlgoState, Bracket, Reading
from services.execution.model.exchange_model import Edge, ViolationError, World, successors


@dataclass(frozen=True, slots=True)
class Explored:
    worlds: int
    edges: int
    complete: bool  # false: the bound on worlds was met first


class PropertyError(Exception):
    """A property does not hold; the message is the shortest path that shows it."""


def guarded(state: Bracket) -> bool:
    """Property 2 of one machine state."""
    if not state.exposed or state.stop.state in (AlgoState.LIVE, AlgoState.LISTING):
        return True
    looking = state.reading is not Reading.NONE or Timer.READ in state.timers
    if state.direction == 0:
        return looking
    if state.wants_exit:
        return state.exit.waiting or Timer.EXIT in state.timers or (state.dust and looking)
    return Timer.NAKED in state.timers


def explore(
    start: World, *, only: str = "", max_worlds: int = 10_000_000, seen: Callable[[World, Edge], None] | None = None
) -> Explored:
    """Visit every world reachable from ``start`` and hold it to the properties.

    ``only``: faults whose label holds it, or one of several split at commas ("crash,answer lost"); "" all of them.
    ``seen`` is called with each edge and the world it leaves. Raises ``PropertyError``.
    """
    gc.disable()  # frozen values make no cycles, and walking millions of them again and again is most of the time
    try:
        return _explore(start, only, max_worlds, seen)
    finally:
        gc.enable()


def _explore(start: World, only: str, max_worlds: int, seen: Callable[[World, Edge], None] | None) -> Explored:
    index = {start: 0}
    worlds = [start]
    parent: list[tuple[int, str, Event | None]] = [(-1, "start", None)]
    calm_to, calm_from = array("l"), array("l")  # edges without a fault
    queue = deque([0])
    edges = 0

    def path(i: int) -> str:
        labels = []
        while i >= 0:
            i, label, event = parent[i]
            labels.append(f"{label} {event or ''}")
        return "\n  ".join(reversed(labels))

    while queue and len(worlds) <= max_worlds:
        i = queue.popleft()
        world = worlds[i]
        onward = False
        try:
            for edge in successors(world, only):
                edges += 1
                if seen is not None:
                    seen(world, edge)
                j = index.get(edge.world)
                if j is None:
                    j = len(worlds)
                    index[edge.world] = j
                    worlds.append(edge.world)
                    parent.append((i, edge.label, edge.event))
                    queue.append(j)
                    if not guarded(edge.world.bracket):
                        raise PropertyError(f"exposed, with nothing under way:\n  {path(j)}\n{edge.world}")
                if not edge.fault:
                    onward = onward or j != i
                    calm_from.append(i)
                    calm_to.append(j)
        except ViolationError as exc:
            raise PropertyError(f"{exc} after:\n  {path(i)}\n{world}") from exc
        if not onward and not world.good:
            raise PropertyError(f"quiescent, neither protected nor flat:\n  {path(i)}\n{world}")
    complete = not queue
    if complete:
        stuck = _without_way(worlds, calm_from, calm_to)
        if stuck is not None:
            raise PropertyError(f"no way to protected or flat from:\n  {path(stuck)}\n{worlds[stuck]}")
    return Explored(len(worlds), edges, complete)


def _without_way(worlds: list[World], calm_from: "array[int]", calm_to: "array[int]") -> int | None:
    """The first world from which no fault-free way leads to a good one (property 4), backwards from the good."""
    back: list[list[int]] = [[] for _ in worlds]
    for i, j in zip(calm_from, calm_to, strict=True):
        back[j].append(i)
    reached = [world.good for world in worlds]
    queue = deque(i for i, good in enumerate(reached) if good)
    while queue:
        for i in back[queue.popleft()]:
            if not reached[i]:
                reached[i] = True
                queue.append(i)
    return next((i for i, good in enumerate(reached) if not good), None)
