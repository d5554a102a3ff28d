"""Values of a row as the DTOs want them."""

import math
from datetime import datetime
from typing import Any

from packages.common.time import from_datetime, iso


def number(value: Any) -> float | None:
    """A finite float; NULL, NaN and infinities are None."""
    return float(value) if value is not None and math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """An int, or None."""
    return None if value is None else int(value)


def iso_at(when: datetime | None) -> str | None:
    """ISO-8601 with Z, or None."""
    return None if when is None else iso(from_datetime(when))


def iso_of(when: datetime) -> str:
    """ISO-8601 with Z."""
    return iso(from_datetime(when))


def ms_of(when: datetime | None) -> int | None:
    """Epoch milliseconds, or None."""
    return None if when is None else from_datetime(when)
