"""The exchange in our words: what market-data code may ask for and what it gets. No client library shows through.

Times are epoch milliseconds UTC of the exchange; a bar is named by its open (D1); ranges of bars are half-open,
``start_ms <= ts_ms < end_ms``. Errors are the tree of ``packages.common.errors``.
"""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from packages.common.types import Bar, KlineUpdate, MarkTick, OhlcBar, QualityEvent, Settlement

Columns = dict[str, NDArray[np.float64] | NDArray[np.int64]]


class Series(StrEnum):
    """A 1m series of bars; the value is its dataset, the name of its table and of its Parquet folder."""

    LAST = "candles_1m"
    MARK = "mark_candles_1m"
    INDEX = "index_candles_1m"


class InstrumentInfo(msgspec.Struct, frozen=True):
    """One contract as the exchange describes it now. Filters are exact decimals; ``raw`` is its own words."""

    symbol: str
    contract_type: str
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    onboard_ts_ms: int
    delivery_ts_ms: int
    tick_size: Decimal | None
    step_size: Decimal | None
    min_qty: Decimal | None
    max_qty: Decimal | None
    market_step_size: Decimal | None
    market_min_qty: Decimal | None
    market_max_qty: Decimal | None
    min_notional: Decimal | None
    liquidation_fee: Decimal | None
    raw: dict[str, Any]
    # A buy's price is at most mark * band_up, a sell's at least mark * band_down.
    band_up: Decimal | None = None
    band_down: Decimal | None = None


class ExchangeInfo(msgspec.Struct, frozen=True):
    """Every listed contract by symbol, and the request weight an address may use in a minute (None: not said)."""

    instruments: dict[str, InstrumentInfo]
    weight_limit_1m: int | None


class FundingInfo(msgspec.Struct, frozen=True):
    """Limits and interval of a symbol's funding; only adjusted symbols are listed by the exchange (D10)."""

    symbol: str
    cap: float
    floor: float
    interval_hours: int


class PremiumIndex(msgspec.Struct, frozen=True):
    """Mark, index and predicted funding now; ``index`` and ``funding_rate`` are NaN when the exchange has none."""

    symbol: str
    ts_ms: int
    mark: float
    index: float
    funding_rate: float
    next_funding_ts_ms: int


class BookTop(msgspec.Struct, frozen=True):
    """Best bid and ask now, exact; ``ts_ms`` is the transaction time."""

    symbol: str
    ts_ms: int
    bid: Decimal
    ask: Decimal


class OpenInterest(msgspec.Struct, frozen=True):
    """Open interest in base asset; ``value`` in quote units where the source says it."""

    symbol: str
    ts_ms: int
    open_interest: float
    value: float | None


class Bracket(msgspec.Struct, frozen=True):
    """One leverage tier: it applies for notional_floor < notional <= notional_cap (quote units)."""

    bracket: int
    initial_leverage: int
    notional_floor: float
    notional_cap: float
    maint_margin_ratio: float
    cum: float


class Brackets(msgspec.Struct, frozen=True):
    """All leverage tiers of a symbol, in ascending order."""

    symbol: str
    brackets: tuple[Bracket, ...]

    @property
    def max_leverage(self) -> int:
        """What the smallest position may use."""
        return self.brackets[0].initial_leverage


class MarketData(Protocol):
    """Public data by request. Safe to repeat; retries and rate limits are the adapter's business."""

    async def server_time_ms(self) -> int:
        """The exchange's clock: a lower bound of its time once the answer is here."""

    async def exchange_info(self) -> ExchangeInfo:
        """Every listed contract."""

    async def kline_columns(
        self, series: Series, symbol: str, start_ms: int, end_ms: int, limit: int = 1500
    ) -> Columns:
        """Up to ``limit`` closed 1m bars from ``start_ms`` on, before ``end_ms``, as arrays of equal length.

        ``ts`` int64; ``open, high, low, close`` float64; for ``Series.LAST`` also ``volume, quote_volume, trades``
        (int64) ``, taker_buy_volume, taker_buy_quote_volume``. A bar counts as closed only when the exchange's own
        time is known to be past its end.
        """

    async def klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[Bar]:
        """The same as records of the last price."""

    async def mark_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        """The same of the mark price."""

    async def index_klines(self, symbol: str, start_ms: int, end_ms: int, limit: int = 1500) -> list[OhlcBar]:
        """The same of the index price."""

    async def funding_rates(
        self, symbol: str | None, start_ms: int, end_ms: int, limit: int = 1000
    ) -> list[Settlement]:
        """Settled rates with ``start_ms <= ts_ms < end_ms``, ascending, times rounded to the minute."""

    async def funding_info(self) -> list[FundingInfo]:
        """Symbols with adjusted limits or interval."""

    async def premium_index(self, symbol: str | None = None) -> list[PremiumIndex]:
        """Mark, index and predicted funding now, of one symbol or of all."""

    async def book_top(self, symbol: str) -> BookTop:
        """Best bid and ask now."""

    async def open_interest(self, symbol: str) -> OpenInterest:
        """Open interest now."""

    async def open_interest_hist(
        self, symbol: str, start_ms: int, end_ms: int, period: str = "5m", limit: int = 500
    ) -> list[OpenInterest]:
        """Open interest on a grid, of the last month only."""

    async def leverage_brackets(self, symbol: str | None = None) -> list[Brackets]:
        """Leverage tiers; some venues give them to account holders only (``VenueRejectedError``)."""


class Connected(msgspec.Struct, frozen=True, gc=False):
    """A connection took over; what was sent before its first event may never have come."""

    reason: str


class Disconnected(msgspec.Struct, frozen=True, gc=False):
    """A connection is gone. Nothing is replayed: what is missed comes from REST."""

    reason: str


StreamItem = KlineUpdate | MarkTick | QualityEvent | Connected | Disconnected


class StreamStats(msgspec.Struct, frozen=True):
    """State of one stream category, for status pages. Ages in wall milliseconds."""

    connected: bool
    healthy: bool  # connected, and a frame came within the silence bound
    frame_age_ms: float | None
    frames: int
    frames_per_s: float
    reconnects: int
    rotations: int
    silences: int
    bad_frames: int
    pending: int


class MarketStream(Protocol):
    """Live data of many symbols, in the exchange's order per symbol, handed over in lists."""

    def batches(self) -> AsyncIterator[list[StreamItem]]:
        """Lists of what came since the last one; ends when the stream is closed."""

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Change what is subscribed."""

    @property
    def backlog(self) -> bool:
        """True while frames wait that have not been handed over."""

    def stats(self) -> StreamStats: ...
