"""Rate limits as arithmetic: what may be sent now, or how long to wait (execution.md 22). No I/O, no clock.

The exchange counts in fixed windows, whose phase we need not know: what stays below a limit in *every* span of a
window's length stays below it in each window.
"""

from collections import deque
from enum import Enum, auto


class Purpose(Enum):
    """Who asks. What protects a position or ends it goes first and may use the reserve; nothing else may."""

    DATA = auto()
    ENTRY = auto()
    EXIT = auto()


class RollingBudget:
    """Weight in any span of ``window_ms``. Times in market milliseconds, non-decreasing.

    Counts what we sent, and what answers say this address has used, which includes other programs behind it.
    ``reserve`` is the share of ``limit`` kept for exits.
    """

    def __init__(self, limit: int, *, window_ms: int = 60_000, reserve: float = 0.30) -> None:
        self.limit, self.window_ms, self.reserve = limit, window_ms, reserve
        self._sent: deque[tuple[int, int]] = deque()  # when, weight
        self._used = 0
        self._observed: tuple[int, int] | None = None  # sent when, used then

    @property
    def used(self) -> int:
        """Weight we sent within the last window, as of the last call."""
        return self._used

    def delay_ms(self, now_ms: int, weight: int, purpose: Purpose = Purpose.DATA) -> int:
        """0 when ``weight`` may be spent now, else the market time to wait before asking again."""
        self._expire(now_ms)
        if weight == 0:
            return 0  # an order costs the address nothing, however much of it is used
        allowed = self.limit if purpose is Purpose.EXIT else int(self.limit * (1 - self.reserve))
        # A request dearer than the whole allowance goes alone, or it would wait for ever.
        weight = min(weight, allowed)
        return max(self._own_delay(now_ms, allowed - weight), self._observed_delay(now_ms, allowed - weight))

    def spend(self, now_ms: int, weight: int) -> None:
        """Count a request that leaves now."""
        if weight:
            self._sent.append((now_ms, weight))
            self._used += weight

    def observe(self, sent_ms: int, header_used: int) -> None:
        """What the answer to the request sent at ``sent_ms`` says was used in the exchange's window."""
        if self._observed is None or sent_ms >= self._observed[0]:
            self._observed = (sent_ms, header_used)

    def _own_delay(self, now_ms: int, room: int) -> int:
        excess = self._used - room
        for at, weight in self._sent:
            if excess <= 0:
                break
            excess -= weight
            if excess <= 0:
                return at + self.window_ms - now_ms
        return 0

    def _observed_delay(self, now_ms: int, room: int) -> int:
        if self._observed is None:
            return 0
        at, used = self._observed
        since = sum(weight for sent, weight in self._sent if sent > at)
        return at + self.window_ms - now_ms if used + since > room else 0

    def _expire(self, now_ms: int) -> None:
        while self._sent and now_ms - self._sent[0][0] >= self.window_ms:
            self._used -= self._sent.popleft()[1]
        if self._observed is not None and now_ms - self._observed[0] >= self.window_ms:
            self._observed = None


class OrderBudget:
    """Orders of one account in any ten seconds and any minute (reference §7.2), with a reserve for exits.

    Counts what we sent and what answers say. After a refusal (-1015) exits try again in the next ten-second window,
    everything else waits for the next minute: another program may be using the account.
    """

    def __init__(self, limit_10s: int = 300, limit_1m: int = 1200, *, reserve: float = 0.5) -> None:
        self._short = RollingBudget(limit_10s, window_ms=10_000, reserve=reserve)
        self._long = RollingBudget(limit_1m, window_ms=60_000, reserve=reserve)
        self._refused = dict.fromkeys(Purpose, 0)

    def delay_ms(self, now_ms: int, purpose: Purpose) -> int:
        """0 when one order may leave now, else the market time to wait before asking again."""
        windows = (window.delay_ms(now_ms, 1, purpose) for window in (self._short, self._long))
        return max(*windows, self._refused[purpose] - now_ms, 0)

    def spend(self, now_ms: int) -> None:
        """Count an order that leaves now."""
        self._short.spend(now_ms, 1)
        self._long.spend(now_ms, 1)

    def observe(self, sent_ms: int, used_10s: int | None, used_1m: int | None) -> None:
        """What the answer to the order sent at ``sent_ms`` says; None: it does not say."""
        for window, used in ((self._short, used_10s), (self._long, used_1m)):
            if used is not None:
                window.observe(sent_ms, used)

    def refused(self, now_ms: int, wait_ms: int) -> None:
        """The exchange counted more than we did and wants ``wait_ms`` of silence."""
        self._refused[Purpose.EXIT] = now_ms + wait_ms
        rest_of_minute = 60_000 - now_ms % 60_000
        for purpose in (Purpose.DATA, Purpose.ENTRY):
            self._refused[purpose] = now_ms + max(wait_ms, rest_of_minute)


def kline_weight(limit: int) -> int:
    """Weight of a kline request by its limit (reference §3.1)."""
    if limit < 100:
        return 1
    if limit < 500:
        return 2
    return 5 if limit <= 1000 else 10
