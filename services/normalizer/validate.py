"""What makes a market record unacceptable. Pure: a refusal is a value, ``(code, message)``, never an exception."""

import math

from packages.common.time import MINUTE_MS
from packages.common.types import Bar, OhlcBar

Refusal = tuple[str, str]
_INF = float("inf")
EARLY_MS = 1_000


def refuse_prices(bar: Bar | OhlcBar) -> Refusal | None:
    """Prices must be finite, positive and ordered: low <= open, close <= high."""
    for name in ("open", "high", "low", "close"):
        value = getattr(bar, name)
        if math.isnan(value):
            return "NAN_PRICE", f"{name}: got NaN, expected a price"
        if not 0 < value < _INF:
            return "BAD_PRICE", f"{name}: got {value!r}, expected a finite price > 0"
    if bar.high < bar.low:
        return "HIGH_BELOW_LOW", f"high: got {bar.high!r}, expected at least the low {bar.low!r}"
    if not (bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high):
        return "OUTSIDE_RANGE", f"open, close: got {bar.open!r}, {bar.close!r}, expected [{bar.low!r}, {bar.high!r}]"
    return None


def refuse_time(ts_ms: int, now_ms: int) -> Refusal | None:
    """A closed bar names a full minute that is over; ``now_ms`` is the latest time the exchange is known to show."""
    if ts_ms % MINUTE_MS:
        return "MISALIGNED_BAR", f"ts_ms: got {ts_ms}, expected a multiple of {MINUTE_MS}"
    if ts_ms + MINUTE_MS > now_ms + EARLY_MS:
        return "FUTURE_BAR", f"ts_ms: got {ts_ms}, expected a bar that ended by {now_ms}"
    return None


def refuse_bar(bar: Bar, now_ms: int) -> Refusal | None:
    """First reason not to take a closed candle, or None."""
    for name, value in (("volume", bar.volume), ("quote_volume", bar.quote_volume)):
        if not math.isfinite(value):
            return "NAN_VOLUME", f"{name}: got {value!r}, expected a finite number"
        if value < 0:
            return "NEGATIVE_VOLUME", f"{name}: got {value!r}, expected >= 0"
    return refuse_time(bar.ts_ms, now_ms) or refuse_prices(bar)
