"""What a screen wants of a channel: rows whose fields have certain values."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status_updates": (),
    "account_updates": ("mode",),
    "position_updates": ("symbol", "mode"),
    "order_updates": ("symbol", "mode"),
    "signal_updates": ("symbol",),
    "risk_events": ("symbol", "event_type"),
    "training_updates": ("kind", "status"),
    "rl_decisions": ("symbol", "mode"),
}
VALUES_MAX: Final = 100  # of one field

Filter = tuple[tuple[str, frozenset[str]], ...]
EVERYTHING: Final[Filter] = ()


class FilterError(ValueError):
    """A filter that no channel, or not this one, has."""


def read(value: object, channels: Sequence[str]) -> Filter:
    """A client's ``{"symbol": ["BTCUSDT"], …}`` for all of ``channels``; raises FilterError naming what is wrong."""
    if not isinstance(value, dict):
        raise FilterError('filters: expected an object such as {"symbol": ["BTCUSDT"]}')
    for field, wanted in value.items():
        for channel in channels:
            if field not in FIELDS[channel]:
                known = ", ".join(FIELDS[channel]) or "none"
                raise FilterError(f"filters: got {str(field)[:40]!r}, expected for {channel} one of: {known}")
        if (
            not isinstance(wanted, list)
            or not 1 <= len(wanted) <= VALUES_MAX
            or not all(isinstance(v, str) for v in wanted)
        ):
            raise FilterError(f"filters.{field}: expected a list of 1 to {VALUES_MAX} texts")
    return tuple(sorted((field, frozenset(wanted)) for field, wanted in value.items()))


def keep(data: str, wanted: Filter) -> str:
    """A list of those rows of JSON ``data`` (one, or a list) that have one of the wanted values in each field."""
    value: Any = orjson.loads(data)
    rows = value if isinstance(value, list) else [value]
    return orjson.dumps([row for row in rows if isinstance(row, dict) and _has(row, wanted)]).decode()


def _has(row: dict[str, Any], wanted: Filter) -> bool:
    found = ((row.get(field), values) for field, values in wanted)
    return all(isinstance(value, str) and value in values for value, values in found)
