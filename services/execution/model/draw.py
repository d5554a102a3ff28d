"""Write ``docs/execution-machine.md`` from the steps an exploration takes."""

from dataclasses import dataclass, field
from pathlib import Path

from services.execution.core.drawing import Arrows, note, render
from services.execution.core.events import Event
from services.execution.core.state import Bracket
from services.execution.model.exchange_model import Edge, World, start
from services.execution.model.explore import Explored, explore

PAGE = Path(__file__).resolve().parents[3] / "docs" / "execution-machine.md"
# Complete explorations that together enter every phase: one fault of every kind, partial fills, dust, stages.
RUNS: tuple[tuple[dict[str, int], str], ...] = (
    ({"faults": 1, "qty": 1}, ""),
    ({"faults": 0, "qty": 2}, ""),
    ({"faults": 0, "qty": 2, "min_qty": 2}, ""),
    ({"faults": 1, "qty": 2, "stages": 1}, "stage,SubmitStage"),
)


@dataclass(slots=True)
class Tour:
    """What the runs met: the arrows of the drawing, and every state of the machine."""

    arrows: Arrows = field(default_factory=dict)
    noted: set[tuple[Bracket, Event]] = field(default_factory=set)
    states: dict[Bracket, None] = field(default_factory=dict)  # in the order they were met
    runs: list[Explored] = field(default_factory=list)

    def seen(self, world: World, edge: Edge) -> None:
        if edge.event is None or (world.bracket, edge.event) in self.noted:
            return
        self.noted.add((world.bracket, edge.event))
        note(self.arrows, world.bracket, edge.event, edge.world.bracket, edge.commands)
        self.states.setdefault(edge.world.bracket)


def tour() -> Tour:
    """Make the runs; raises ``PropertyError`` when one of them breaks a property."""
    met = Tour()
    for bounds, only in RUNS:
        met.runs.append(explore(start(**bounds), only=only, seen=met.seen))
    return met


if __name__ == "__main__":
    PAGE.write_text(render(tour().arrows), encoding="utf-8")
