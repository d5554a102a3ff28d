"""What is asked for by itself, and how often (D42): the code's schedules with the operator's changes over them."""

from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS


@dataclass(frozen=True, slots=True)
class Schedule:
    """One job every ``every_ms`` of market time, ``offset_ms`` into the slot, at most one a ``wall_s`` of ours."""

    kind: str
    every_ms: int
    offset_ms: int
    wall_s: float
    enabled: bool = True


SCHEDULES = (
    Schedule("sync_universe", HOUR_MS, 60_000, 60.0),
    Schedule("sync_store", HOUR_MS, 2 * 60_000, 900.0),
    Schedule("instrument_days", DAY_MS, 5 * 60_000, 300.0),
    Schedule("compute_drift", HOUR_MS, 5 * 60_000, 300.0),
    Schedule("label_recent", DAY_MS, 20 * 60_000, 3_600.0),
    Schedule("train_model", 7 * DAY_MS, 40 * 60_000, 6 * 3_600.0),
    Schedule("retention", DAY_MS, 60 * 60_000, 3_600.0),
    Schedule("explain_traded", 5 * MINUTE_MS, 0, 60.0),
    # Asked for by whoever wants them: the store is kept up by sync_store, and a training trades its own walk.
    Schedule("bootstrap_history", DAY_MS, 30 * 60_000, 3_600.0, enabled=False),
    Schedule("walkforward_backtest", 7 * DAY_MS, 12 * HOUR_MS, 6 * 3_600.0, enabled=False),
)
# Kinds that are only worth a job when there is something to do.
_NEEDED: dict[str, LiteralString] = {
    "explain_traded": "SELECT 1 FROM signals WHERE decision <> 'FLAT' AND explain IS NULL LIMIT 1",
}
_CHANGED = "SELECT name, enabled, every_ms, offset_ms FROM schedules"


def slot_of(schedule: Schedule, now_ms: int) -> int:
    """Start of the slot that has begun by ``now_ms``, epoch milliseconds."""
    return (now_ms - schedule.offset_ms) // schedule.every_ms * schedule.every_ms


def next_ms(schedule: Schedule, now_ms: int) -> int:
    """Market time at which the next slot begins."""
    return slot_of(schedule, now_ms) + schedule.every_ms + schedule.offset_ms


def in_force(conn: psycopg.Connection[Any], schedules: tuple[Schedule, ...] = SCHEDULES) -> tuple[Schedule, ...]:
    """``schedules`` as the operator wants them."""
    changed = {name: rest for name, *rest in conn.execute(_CHANGED)}
    return tuple(changed_by(schedule, *changed.get(schedule.kind, (None, None, None))) for schedule in schedules)


def changed_by(schedule: Schedule, enabled: bool | None, every_ms: int | None, offset_ms: int | None) -> Schedule:
    """``schedule`` with an operator's row over it; None: as it is."""
    return replace(
        schedule,
        enabled=schedule.enabled if enabled is None else enabled,
        every_ms=schedule.every_ms if every_ms is None else every_ms,
        offset_ms=schedule.offset_ms if offset_ms is None else offset_ms,
    )


def needed(conn: psycopg.Connection[Any], kind: str) -> bool:
    """Whether a job of ``kind`` would find something to do."""
    query = _NEEDED.get(kind)
    return query is None or conn.execute(query).fetchone() is not None
