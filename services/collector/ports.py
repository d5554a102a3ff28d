"""What the collector's jobs need from outside: places to put what they found."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from packages.exchange.port import Columns
from services.collector.batch import GapReport

Row = Mapping[str, Any]


class RowSink(Protocol):
    """Rows of the operational tables, by table name; times in epoch milliseconds. Writing one twice changes nothing."""

    async def write_rows(self, table: str, rows: Sequence[Row]) -> None: ...


class HistorySink(RowSink, Protocol):
    """History in columns. ``dataset`` is the table's name; ``columns`` holds ``ts`` (int64) and arrays as long."""

    async def write_columns(self, dataset: str, symbol: str, columns: Columns) -> None:
        """Store rows of one symbol; returns when they are safe, so that a resumed run may start after them."""


def gap_row(gap: GapReport) -> Row:
    """A ``GapReport`` as a row of ``data_gaps``."""
    return {
        "symbol": gap.symbol,
        "dataset": gap.dataset,
        "from_ts": gap.from_ts_ms,
        "to_ts": gap.to_ts_ms,
        "missing_bars": gap.missing_bars,
        "found_at": gap.found_at_ms,
        "repaired_at": gap.repaired_at_ms,
        "repaired_bars": gap.repaired_bars,
        "source": gap.source,
        "status": gap.status,
    }
