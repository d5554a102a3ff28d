"""Request parameters and the errors about them, with the exchange's numbers and texts."""

import re
from collections.abc import Mapping

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS

INTERVALS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 0,  # calendar months have no length
}
_SYMBOL = re.compile(r"^[A-Z0-9\-_.\u0080-\U0010FFFF]{1,40}$")


class ApiError(Exception):
    """An answer with a numeric code. ``headers`` go out with it."""

    def __init__(self, code: int, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.headers = code, message, status, dict(headers or {})


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def text(params: Mapping[str, str], name: str) -> str:
    """A mandatory parameter."""
    value = params.get(name, "")
    if not value:
        raise missing(name)
    return value


def symbol_text(params: Mapping[str, str], name: str = "symbol") -> str:
    """A mandatory symbol or pair, spelled as one; whether it exists is not known here."""
    value = text(params, name)
    if not _SYMBOL.match(value):
        raise ApiError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[A-Z0-9-_.]{{1,20}}$'."
        )
    return value


def number(params: Mapping[str, str], name: str) -> int | None:
    """An optional integer."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(value)


def limit(params: Mapping[str, str], default: int, most: int) -> int:
    """``limit``; more than ``most`` counts as ``most``, below one is refused."""
    value = number(params, "limit")
    if value is None:
        return default
    if value < 1:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(value, most)


def times(params: Mapping[str, str]) -> tuple[int | None, int | None]:
    """``startTime`` and ``endTime``."""
    start, end = number(params, "startTime"), number(params, "endTime")
    for name, value in (("startTime", start), ("endTime", end)):
        if value is not None and value < 0:
            raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    if start is not None and end is not None and start > end:
        raise ApiError(-1023, "Start time is greater than end time.")
    return start, end


def interval(params: Mapping[str, str]) -> str:
    """A mandatory candle length."""
    value = text(params, "interval")
    if value not in INTERVALS:
        raise ApiError(-1120, "Invalid interval.")
    return value
