"""The machine drawn from its own runs: ``docs/execution-machine.md`` is what ``render`` returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.execution.core import commands as do
from services.execution.core import events as ev
from services.execution.core.commands import DELAY_MS, SLOW_MS
from services.execution.core.events import Timer
from services.execution.core.state import Bracket, Phase

_QUIET = (do.Arm, do.Alert, do.Lock)

HEAD = """# The execution machine

One symbol's position life (`services/execution/core/bracket.py`), drawn from the code: every row below is a step that
the exhaustive exploration took (`services/execution/model`), so what is not listed does not happen within its bounds.
`python -m services.execution.model.draw` writes this page; a test holds it to the code.

A phase is one word for the state; the state itself knows more (each order's own state, what is believed and what is
proven). Every event is answered in every phase. The stop is sent in whatever phase a sign of a position comes.

"""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One kind of step: from a phase, by an event, to a phase, with the commands that may go out."""

    source: Phase
    event: str
    target: Phase


def event_name(event: ev.Event) -> str:
    """The event's kind, with what of it decides."""
    name = type(event).__name__
    match event:
        case ev.SubmitAnswered():
            why = f" ({event.refused.value})" if event.outcome is ev.Outcome.REJECTED else ""
            return f"{event.leg.value} {event.outcome.value}{why}"
        case ev.OrderUpdate() | ev.AlgoUpdate():
            kind = "order" if isinstance(event, ev.OrderUpdate) else "algo"
            return f"{event.leg.value} {kind} {event.status.value}"
        case ev.QueryAnswered():
            return "entry not found" if event.status is None else f"entry found {event.status.value}"
        case ev.PositionUpdate():
            return "position update, zero" if event.position == 0 else "position update"
        case ev.Snapshot():
            kind = "failed" if event.position is None else "flat" if event.position == 0 else "position"
            return f"snapshot, {kind}"
        case ev.TimerFired():
            return f"timer {event.timer.value}"
        case ev.JournalAnswered():
            return "journaled" if event.ok else "no journal"
        case ev.LatchChanged():
            return f"latch {event.latch.value}"
        case ev.ForeignFill():
            return f"foreign fill {event.kind.value}"
        case _:
            return name


Arrows = dict[Arrow, set[str]]


def note(arrows: Arrows, before: Bracket, event: ev.Event, after: Bracket, out: Iterable[do.Command]) -> None:
    """Add one step to ``arrows``."""
    arrow = Arrow(before.phase, event_name(event), after.phase)
    names = {type(command).__name__ for command in out if not isinstance(command, _QUIET)}
    arrows.setdefault(arrow, set()).update(names)


def render(arrows: Mapping[Arrow, set[str]]) -> str:
    """Markdown: a Mermaid diagram of phases, the table of steps, the table of timers; the same for the same steps."""
    order = list(Phase)
    rows = sorted(arrows.items(), key=lambda row: (order.index(row[0].source), row[0].event, row[0].target))
    pairs: dict[tuple[Phase, Phase], list[str]] = {}
    for arrow, _ in rows:
        if arrow.source is not arrow.target:
            pairs.setdefault((arrow.source, arrow.target), []).append(arrow.event)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> flat"]
    for (source, target), events in sorted(pairs.items(), key=lambda item: tuple(map(order.index, item[0]))):
        more = f" and {len(events) - 3} more" if len(events) > 3 else ""
        lines.append(f"    {source.value} --> {target.value}: {', '.join(events[:3])}{more}")
    lines += ["```", "", "## Steps", "", "Alerts, locks and timers are left out.", ""]
    lines += ["| in | event | to | may command |", "|---|---|---|---|"]
    for arrow, names in rows:
        if arrow.source is arrow.target and not names:
            continue
        to = "–" if arrow.source is arrow.target else arrow.target.value
        lines.append(f"| {arrow.source.value} | {arrow.event} | {to} | {', '.join(sorted(names)) or '–'} |")
    lines += ["", "## Timers", "", "| timer | after | slow pace |", "|---|---|---|"]
    for timer in Timer:
        after = f"{DELAY_MS[timer]:,} ms" if timer in DELAY_MS else "the intent's own instant"
        slow = f"{SLOW_MS[timer]:,} ms" if timer in SLOW_MS else "–"
        lines.append(f"| {timer.value} | {after} | {slow} |")
    return HEAD + "\n".join(lines) + "\n"
