"""Request weight, as the exchange counts it: fixed windows of a market minute per address, 429 and then a ban."""

from dataclasses import dataclass, field

from packages.common.time import MINUTE_MS

WEIGHT_PER_MINUTE = 2400
FUNDING_CALLS = 500  # fundingRate and fundingInfo share them, per five minutes
DATA_CALLS = 1000  # /futures/data, per five minutes
BAN_MS = 2 * MINUTE_MS
# Requests that may follow a 429 within its window before the address is banned.
PATIENCE = 10


@dataclass
class Window:
    """Uses of one limit by one address in the running window."""

    limit: int
    length_ms: int = MINUTE_MS
    number: int = -1
    used: int = 0

    def take(self, amount: int, now_ms: float) -> bool:
        """Count ``amount`` into the window of ``now_ms``; False when the limit is passed. Refused calls count too."""
        number = int(now_ms // self.length_ms)
        if number != self.number:
            self.number, self.used = number, 0
        self.used += amount
        return self.used <= self.limit

    def left_ms(self, now_ms: float) -> float:
        """Until the window ends."""
        return self.length_ms - now_ms % self.length_ms


@dataclass
class Caller:
    """What is counted of one address. ``banned_until_ms`` on the clock of the windows."""

    weight: Window
    funding: Window = field(default_factory=lambda: Window(FUNDING_CALLS, 5 * MINUTE_MS))
    data: Window = field(default_factory=lambda: Window(DATA_CALLS, 5 * MINUTE_MS))
    refusals: int = 0
    refused_in: int = -1
    banned_until_ms: float = 0.0

    def refuse(self, now_ms: float) -> bool:
        """Note a 429; True when it is one too many and the ban begins."""
        window = int(now_ms // MINUTE_MS)
        self.refusals = self.refusals + 1 if window == self.refused_in else 1
        self.refused_in = window
        if self.refusals > PATIENCE:
            self.banned_until_ms = now_ms + BAN_MS
        return self.refusals > PATIENCE


class Limits:
    """Callers by address. ``weight`` is the limit published in exchangeInfo."""

    def __init__(self, weight: int = WEIGHT_PER_MINUTE) -> None:
        self.weight = weight
        self._callers: dict[str, Caller] = {}

    def caller(self, address: str) -> Caller:
        if address not in self._callers:
            self._callers[address] = Caller(Window(self.weight))
        return self._callers[address]


def kline_weight(limit: int) -> int:
    """Weight of the kline endpoints by rows asked for."""
    if limit < 100:
        return 1
    if limit < 500:
        return 2
    return 5 if limit <= 1000 else 10


def depth_weight(limit: int) -> int:
    """Weight of ``depth``."""
    if limit <= 50:
        return 2
    return {100: 5, 500: 10}.get(limit, 20)
