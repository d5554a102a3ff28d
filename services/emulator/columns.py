"""One market minute as integers: the table every source fills and every payload is printed from.

A day of a symbol is an ``int64`` array of shape ``(1440, WIDTH)``. Prices count ``10**-price_decimals``, base
volumes ``10**-qty_decimals``, quote volumes ``10**-quote_decimals``; mark, index, premium and funding 1e-8, as the
exchange prints them. Integers make the printed text exact: a price read back from REST and one read back from a stream
are the same double. A row whose ``PRESENT`` is 0 has no bar (not listed, delisted, not recorded) and is never printed.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.emulator.symbols import SymbolSpec

OPEN: Final = 0
HIGH: Final = 1
LOW: Final = 2
CLOSE: Final = 3
VOLUME: Final = 4
QUOTE_VOLUME: Final = 5
TRADES: Final = 6
TAKER_VOLUME: Final = 7
TAKER_QUOTE: Final = 8
MARK: Final = 9  # open, high, low, close: 9..12
INDEX: Final = 13  # 13..16
PREMIUM: Final = 17  # last / index - 1 at the close, signed
FUNDING: Final = 18  # running estimate for the next settlement, at the close
OPEN_INTEREST: Final = 19  # in units of base volume
PRESENT: Final = 20
WIDTH: Final = 21

MINUTES: Final = 1440
FINE: Final = 8  # decimals of mark, index, premium and funding

Rows = NDArray[np.int64]


class MarketSource(Protocol):
    """Where bars come from. Symbols are numbered by their place in ``specs``; everything is deterministic."""

    @property
    def name(self) -> str:
        """What is shown to the user: ``generated (seed 7)`` or the folder."""

    @property
    def specs(self) -> tuple[SymbolSpec, ...]: ...

    @property
    def start_ms(self) -> int:
        """Open of the first minute, on a UTC day for the generator."""

    @property
    def end_ms(self) -> int | None:
        """Close of the last minute; None when the market never ends."""

    def day(self, symbol: int, day: int) -> Rows:
        """Bars of UTC day ``day`` (days since the epoch), shape (1440, WIDTH). Must not be written to."""

    def funding(self, symbol: int, from_ms: int, to_ms: int) -> list[tuple[int, int, int]]:
        """Settlements ``(ts_ms, rate, mark)`` with ``from_ms <= ts_ms < to_ms``, ascending; rate and mark in 1e-8."""

    def next_funding_ms(self, symbol: int, ts_ms: int) -> int:
        """First settlement after ``ts_ms``."""

    def funding_hours(self, symbol: int, ts_ms: int) -> int:
        """Length of the funding interval that holds ``ts_ms``."""
