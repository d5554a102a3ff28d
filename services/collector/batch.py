"""What the collector hands over."""

from dataclasses import dataclass
from typing import Literal

from packages.common.types import MinuteRecord, QualityEvent, Settlement
from packages.exchange.port import OpenInterest


@dataclass(frozen=True, slots=True)
class GapReport:
    """Provenance of missing bars, a row of ``data_gaps`` (D9): first and last missing bar, both inclusive."""

    symbol: str
    dataset: str
    from_ts_ms: int
    to_ts_ms: int
    missing_bars: int
    found_at_ms: int
    repaired_at_ms: int | None = None
    repaired_bars: int = 0
    source: str | None = None
    status: Literal["open", "repaired", "unavailable"] = "open"


@dataclass(frozen=True, slots=True)
class CollectorBatch:
    """One step of the market.

    ``closed_ts_ms`` names the minute that is over with this batch: whatever comes on time of it is in ``records``,
    ``late`` symbols will come later, alone, or never. None: nothing closed; ``records`` are late ones. Records of one
    symbol never go back in time. ``unavailable``: symbols nobody waits for, because their bars cannot be had.
    ``live`` is False while history is caught up after a start.
    """

    closed_ts_ms: int | None
    records: tuple[MinuteRecord, ...] = ()
    late: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    gaps: tuple[GapReport, ...] = ()
    quality: tuple[QualityEvent, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    open_interest: tuple[OpenInterest, ...] = ()
    live: bool = True
