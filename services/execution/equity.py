"""The account's equity against the marks the kill-switch watches: start of day and week, and the peak (D44). Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal

from packages.common.time import DAY_MS

ZERO = Decimal(0)
_MONDAY_MS = 4 * DAY_MS  # the epoch began on a Thursday


@dataclass(frozen=True, slots=True)
class EquityMarks:
    """Quote units; ``ts_ms`` is the last time seen. Deposits and withdrawals move every mark by themselves."""

    equity: Decimal
    day_start: Decimal
    week_start: Decimal
    peak: Decimal
    ts_ms: int

    def see(self, equity: Decimal, ts_ms: int) -> "EquityMarks":
        """A new reading. The first of a UTC day (of a week from Monday) starts it with the equity before it."""
        if ts_ms < self.ts_ms:
            return self
        day = ts_ms // DAY_MS != self.ts_ms // DAY_MS
        week = (ts_ms - _MONDAY_MS) // (7 * DAY_MS) != (self.ts_ms - _MONDAY_MS) // (7 * DAY_MS)
        return EquityMarks(
            equity,
            self.equity if day else self.day_start,
            self.equity if week else self.week_start,
            max(self.peak, equity),
            ts_ms,
        )

    def transfer(self, amount: Decimal) -> "EquityMarks":
        """A deposit (+) or withdrawal (−) is no gain and no loss."""
        return replace(
            self,
            equity=self.equity + amount,
            day_start=self.day_start + amount,
            week_start=self.week_start + amount,
            peak=max(self.peak + amount, ZERO),
        )


def first_marks(equity: Decimal, ts_ms: int) -> EquityMarks:
    """Marks of an account without a past."""
    return EquityMarks(equity, equity, equity, equity, ts_ms)
