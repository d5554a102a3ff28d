"""What must hold before anybody may even ask for real orders (§16.2, D31, D35, D40). Pure.

``services.execution.gate`` judges; this process knows settings and tables, the worker knows account and key and says
so in its heartbeat. Where the exchange is emulated no money is at stake, and production model, evidence, sign-in and
second factor are not asked for.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from apps.api.dto import GateConditionDTO, ProcessDTO
from apps.api.errors import Condition
from services.execution.gate import DeskFacts, GateLimits, desk_conditions

AGE_MAX_MS = 90_000  # wall time for which an answer of the account counts
_RANK = {"off": 0, "shadow": 1, "live": 2}
_ROWS = TypeAdapter(list[GateConditionDTO])


def mode_conditions(asked: str, permitted: str, trading_enabled: bool) -> list[Condition]:
    """What the settings forbid; off is always allowed."""
    found = []
    if _RANK[asked] > _RANK[permitted]:
        found.append(Condition(code="MODE_NOT_PERMITTED", message=f"MODE is {permitted}: set MODE={asked} and restart"))
    if asked != "off" and not trading_enabled:
        found.append(Condition(code="TRADING_DISABLED", message="TRADING_ENABLED is false: set it to true and restart"))
    return found


def live_state(worker: ProcessDTO | None) -> dict[str, Any] | None:
    """What the worker says of live trading, None when it is silent or does not trade live (MODE, or still starting)."""
    said = worker.status.get("live") if worker is not None and worker.alive else None
    return said if isinstance(said, dict) else None


def asked_at_ms(live: dict[str, Any] | None) -> int | None:
    """Wall time at which the account was asked last; None: never, or nobody says."""
    at = (live or {}).get("gate", {}).get("asked_at_ms")
    return at if isinstance(at, int) else None


def gate_conditions(
    facts: DeskFacts, limits: GateLimits, worker: ProcessDTO | None, now_ms: int
) -> list[GateConditionDTO]:
    """Every condition of live trading, ours first. ``now_ms``: wall time. What the worker does not say is not met."""
    rows = [
        GateConditionDTO(code=row.code, met=row.met, value=row.value, expected=row.expected)
        for row in desk_conditions(facts, limits)
    ]
    return rows + _worker_conditions(worker, now_ms)


def _worker_conditions(worker: ProcessDTO | None, now_ms: int) -> list[GateConditionDTO]:
    alive, live = worker is not None and worker.alive, live_state(worker)
    rows = [_row("WORKER_SILENT", alive, "alive" if alive else "no sign of life", "worker_realtime running")]
    if not alive:
        return rows
    running = "it trades" if live is not None else "it does not trade an account"
    rows.append(_row("LIVE_NOT_RUNNING", live is not None, running, "worker_realtime started with MODE=live, ready"))
    if live is None:
        return rows
    asked = asked_at_ms(live)
    age = None if asked is None else now_ms - asked
    known = age is not None and -AGE_MAX_MS <= age <= AGE_MAX_MS
    said = "never asked" if age is None else f"asked {age / 1e3:.0f} s ago"
    rows.append(_row("ACCOUNT_NOT_CHECKED", known, said, f"the account asked within {AGE_MAX_MS / 1e3:.0f} s"))
    try:
        return rows + _ROWS.validate_python(live["gate"]["conditions"])
    except (KeyError, TypeError, ValidationError):
        return [*rows, _row("GATE_UNREADABLE", False, "another form", "the account's conditions")]


def _row(code: str, met: bool, value: str, expected: str) -> GateConditionDTO:
    return GateConditionDTO(code=code, met=met, value=value, expected=expected)


def refusal(rows: Sequence[GateConditionDTO]) -> list[Condition]:
    """The unmet ones as a refusal tells them."""
    return [
        Condition(code=row.code, message=f"{row.code}: got {row.value}, expected {row.expected}")
        for row in rows
        if not row.met
    ]
