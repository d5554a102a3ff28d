"""Feature states of all symbols, advanced record by record in an order that offline would have used too.

BTCUSDT's bar of a minute comes before everybody else's: three features are the market's. While it is missing, the
others of that minute wait; when its gap is known to be unavailable, they get NaN there, as an offline fold gives them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packages.common.time import DAY_MS
from packages.common.types import MinuteRecord
from services.features import kernel
from services.features.schema import N_FEATURES

F64 = NDArray[np.float64]
BTC: Final = "BTCUSDT"
_BTC_ROWS_KEPT_MS: Final = 2 * DAY_MS


def bar_vector(record: MinuteRecord) -> tuple[float, ...]:
    """The kernel's bar of a record, in the order of ``kernel.BAR_FIELDS``."""
    bar, mark, index = record.bar, record.mark, record.index
    return (
        float(bar.ts_ms),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.quote_volume,
        mark.open,
        mark.high,
        mark.low,
        mark.close,
        index.close if index is not None else np.nan,
        record.settled_rate,
    )


@dataclass(frozen=True, slots=True)
class FeatureMinute:
    """What came of the records of one minute that were folded together.

    ``rows`` (S, 17), NaN where a symbol did not advance; ``bars`` (S, 12); ``advanced`` (S,) says who did.
    """

    ts_ms: int
    records: dict[int, MinuteRecord]
    bars: F64
    rows: F64
    advanced: NDArray[np.bool_]


class FeatureBook:
    """Mutable states of S symbols in universe order. ``push`` is idempotent: what is not newer is dropped."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._btc = self._index[BTC]
        self.states: F64 = np.zeros((len(self.symbols), kernel.STATE_SIZE))
        self.market: F64 = np.zeros(kernel.MARKET_SIZE)
        self._btc_rows: dict[int, F64] = {}
        self._btc_known_ts = -1  # market rows up to here are final, missing ones included
        self._pending: dict[int, dict[int, MinuteRecord]] = {}

    def last_ts(self, symbol: str) -> int:
        """Open time of the last bar folded in; 0 before the first."""
        return int(self.states[self._index[symbol], kernel.LAST_TS])

    @property
    def waiting(self) -> int:
        """Records that wait for BTCUSDT's bar."""
        return sum(len(group) for group in self._pending.values())

    def remember_btc(self, ts_ms: int, row: Iterable[float]) -> None:
        """Restore a market row that was computed before a restart."""
        self._btc_rows[ts_ms] = np.array(tuple(row), dtype=np.float64)

    def btc_rows(self, ts: F64) -> F64:
        """Market rows ``(n, 3)`` of the minutes ``ts``, NaN where there is none."""
        nothing = np.full(kernel.BTC_SIZE, np.nan)
        return np.array([self._btc_rows.get(int(t), nothing) for t in ts]).reshape(len(ts), kernel.BTC_SIZE)

    def trim(self) -> None:
        """Forget market rows nobody can need any longer."""
        floor = int(self.market[kernel.LAST_TS]) - _BTC_ROWS_KEPT_MS
        for ts_ms in [ts for ts in self._btc_rows if ts < floor]:
            del self._btc_rows[ts_ms]

    def resume(self) -> None:
        """After the states were restored: market rows up to the market's last bar are final."""
        self._btc_known_ts = int(self.market[kernel.LAST_TS])

    def give_up(self, symbol: str, to_ts_ms: int) -> list[FeatureMinute]:
        """Bars of ``symbol`` up to ``to_ts_ms`` will never come: nobody waits for them any longer."""
        if symbol == BTC and to_ts_ms > self._btc_known_ts:
            self._btc_known_ts = to_ts_ms
        return self._drain()

    def push(self, records: Iterable[MinuteRecord]) -> list[FeatureMinute]:
        """Fold what can be folded, in time order; the rest waits for BTCUSDT."""
        for record in records:
            s = self._index[record.bar.symbol]
            if record.bar.ts_ms > self.states[s, kernel.LAST_TS]:
                self._pending.setdefault(record.bar.ts_ms, {})[s] = record
        return self._drain()

    def _drain(self) -> list[FeatureMinute]:
        done = []
        for ts_ms in sorted(self._pending):
            group = self._pending[ts_ms]
            if ts_ms > self._btc_known_ts and self._btc not in group:
                break
            del self._pending[ts_ms]
            done.append(self._fold(ts_ms, group))
        return done

    def _fold(self, ts_ms: int, group: dict[int, MinuteRecord]) -> FeatureMinute:
        n = len(self.symbols)
        bars = np.full((n, kernel.BAR_SIZE), np.nan)
        present = np.zeros(n, dtype=np.bool_)
        for s, record in group.items():
            bars[s] = bar_vector(record)
            present[s] = True
        if self._btc in group and ts_ms > self.market[kernel.LAST_TS]:
            row = np.empty(kernel.BTC_SIZE)
            kernel.btc_step(self.market, float(ts_ms), float(bars[self._btc, kernel.BAR_CLOSE]), row)
            self._btc_rows[ts_ms] = row
            self._btc_known_ts = max(self._btc_known_ts, ts_ms)
            while (oldest := next(iter(self._btc_rows))) < ts_ms - _BTC_ROWS_KEPT_MS:
                del self._btc_rows[oldest]
        btc = self._btc_rows.get(ts_ms)
        if btc is None:
            btc = np.full(kernel.BTC_SIZE, np.nan)
        rows = np.empty((n, N_FEATURES))
        codes = np.empty(n, dtype=np.int64)
        kernel.step_many(self.states, bars, present, float(ts_ms), btc, rows, codes)
        return FeatureMinute(ts_ms, group, bars, rows, codes == kernel.ADVANCED)
