"""History from REST into the stores: bars of three prices, funding, open interest, tiers, contracts (D11).

Parallel by symbol within the client's weight budget, in pages that are stored as they come, so that a killed run goes
on where it stopped. Every page is checked; minutes that cannot be had are reported, never invented.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from packages.common.errors import VenueRejectedError
from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import Settlement
from packages.exchange.port import Brackets, Columns, ExchangeInfo, MarketData, OpenInterest, Series
from services.collector.batch import GapReport
from services.collector.core.columns import holes, keep, merged, sound_rows
from services.collector.ports import HistorySink, Row, gap_row

Progress = Callable[[float, str], None]
Resume = Mapping[tuple[str, str], int]

_PAGE = 1500
_OI_PAGE = 500
_OI_STEP_MS = 5 * MINUTE_MS
_OI_KEPT_MS = 30 * DAY_MS
_FUNDING_PAGE = 1000


@dataclass(slots=True)
class BootstrapReport:
    """What a run did. ``refused``: (dataset, symbol) the exchange has not, with its words."""

    rows: dict[str, int] = field(default_factory=dict)
    gaps: list[GapReport] = field(default_factory=list)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)


async def bootstrap_history(
    venue: MarketData,
    symbols: Sequence[str],
    start_ms: int,
    end_ms: int,
    sink: HistorySink,
    *,
    progress: Progress | None = None,
    resume_from: Resume | None = None,
    parallel: int = 4,
    pages_per_write: int = 4,
) -> BootstrapReport:
    """Fetch [start_ms, end_ms) of ``symbols``, cut at the exchange's now and at each symbol's listing.

    ``resume_from`` maps (dataset, symbol) to the first millisecond that is not stored yet. ``progress`` is told a
    fraction and what is being done. Raises ``VenueError`` when the exchange stays out of reach; what was stored stays.
    """
    now_ms = await venue.server_time_ms()
    end_ms = min(end_ms, now_ms - now_ms % MINUTE_MS)
    info = await venue.exchange_info()
    start_ms = _first_minute(start_ms)
    run = _Run(venue, sink, start_ms, end_ms, now_ms, resume_from or {}, pages_per_write, progress)
    listed = [s for s in symbols if s in info.instruments]
    for symbol in set(symbols) - set(listed):
        run.report.refused["candles_1m", symbol] = "not listed"
    run.expect({s: max(start_ms, _first_minute(info.instruments[s].onboard_ts_ms)) for s in listed})
    await run.contracts(info, listed)
    slots = asyncio.Semaphore(parallel)

    async def one(symbol: str) -> None:
        async with slots:
            await run.symbol(symbol)

    tasks = [asyncio.create_task(one(symbol)) for symbol in listed]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if run.report.gaps:
        await sink.write_rows("data_gaps", [gap_row(gap) for gap in run.report.gaps])
    run.tell(1.0, "done")
    return run.report


class _Run:
    def __init__(
        self,
        venue: MarketData,
        sink: HistorySink,
        start_ms: int,
        end_ms: int,
        now_ms: int,
        resume: Resume,
        pages_per_write: int,
        progress: Progress | None,
    ) -> None:
        self.venue, self.sink, self.resume = venue, sink, resume
        self.start_ms, self.end_ms, self.now_ms = start_ms, end_ms, now_ms
        self.pages_per_write = pages_per_write
        self.report = BootstrapReport()
        self._progress = progress
        self._starts: dict[str, int] = {}
        self._pages = self._done = 0

    def tell(self, fraction: float, stage: str) -> None:
        if self._progress is not None:
            self._progress(fraction, stage)

    def expect(self, starts: dict[str, int]) -> None:
        """Count the pages ahead, for the progress."""
        self._starts = starts
        self._pages = sum(
            -(-max(0, self.end_ms - self._from(series, s)) // (_PAGE * MINUTE_MS)) for s in starts for series in Series
        )

    def _from(self, dataset: str, symbol: str) -> int:
        return max(self._starts[symbol], self.resume.get((dataset, symbol), 0))

    async def contracts(self, info: ExchangeInfo, symbols: Sequence[str]) -> None:
        """Today's rules and leverage tiers: the exchange keeps no history of either (D6)."""
        self.tell(0.0, "contracts")
        rows = [snapshot_row(info, symbol, self.now_ms) for symbol in symbols]
        await self.sink.write_rows("exchange_info_snapshots", rows)
        try:
            tiers = await self.venue.leverage_brackets()
        except VenueRejectedError as exc:
            self.report.refused["leverage_brackets", "*"] = str(exc)
            return
        wanted = set(symbols)
        rows = [bracket_row(t, self.now_ms) for t in tiers if t.symbol in wanted]
        await self.sink.write_rows("leverage_brackets", rows)

    async def symbol(self, symbol: str) -> None:
        """Everything of one symbol; a series the exchange refuses is noted and left out."""
        work = [self._bars(series, symbol) for series in Series] + [self._funding(symbol), self._interest(symbol)]
        names = [*(series.value for series in Series), "funding_rates", "open_interest"]
        for dataset, result in zip(names, await asyncio.gather(*work, return_exceptions=True), strict=True):
            if isinstance(result, VenueRejectedError):
                self.report.refused[dataset, symbol] = str(result)
            elif isinstance(result, BaseException):
                raise result

    async def _bars(self, series: Series, symbol: str) -> None:
        first = at = self._from(series, symbol)
        parts: list[Columns] = []
        seen_any = (series.value, symbol) in self.resume
        while at < self.end_ms:
            page_end = min(self.end_ms, at + _PAGE * MINUTE_MS)
            limit = (page_end - at) // MINUTE_MS
            page = await self._page(series, symbol, (at, page_end), limit)
            if len(page["ts"]):
                if not seen_any:
                    first, seen_any = int(page["ts"][0]), True  # listed later than it says: not a gap
                parts.append(page)
            at = page_end
            self._done += 1
            self.tell(min(0.99, self._done / max(1, self._pages)), f"{symbol} {series.value}")
            if parts and (len(parts) >= self.pages_per_write or at >= self.end_ms):
                await self._store_bars(series, symbol, merged(parts), (first, at))
                parts, first = [], at

    async def _page(self, series: Series, symbol: str, span: tuple[int, int], limit: int) -> Columns:
        """A page; asked again once when minutes are missing inside it, for answers are cut short now and then."""
        start, end = span
        page = await self._sound(series, symbol, start, end, limit)
        if len(page["ts"]) and len(page["ts"]) < limit:
            for first, last in holes(page["ts"].astype(np.int64), int(page["ts"][0]), end):
                more = await self._sound(series, symbol, first, last + MINUTE_MS, (last - first) // MINUTE_MS + 1)
                page = merged([page, more])
        return page

    async def _sound(self, series: Series, symbol: str, start: int, end: int, limit: int) -> Columns:
        page = await self.venue.kline_columns(series, symbol, start, end, limit)
        return keep(page, sound_rows(page))

    async def _store_bars(self, series: Series, symbol: str, columns: Columns, span: tuple[int, int]) -> None:
        for first, last in holes(columns["ts"].astype(np.int64), *span):
            missing = (last - first) // MINUTE_MS + 1
            gap = GapReport(
                symbol, series.value, first, last, missing, self.now_ms, source="rest", status="unavailable"
            )
            self.report.gaps.append(gap)
        await self._store(series, symbol, columns)

    async def _funding(self, symbol: str) -> None:
        at = self._from("funding_rates", symbol)
        while at < self.end_ms:
            rows = await self.venue.funding_rates(symbol, at, self.end_ms, _FUNDING_PAGE)
            if rows:
                await self._store("funding_rates", symbol, funding_columns(rows))
            # The request reaches a little over both ends, so a full answer may hold fewer rows of ours.
            if len(rows) < _FUNDING_PAGE - 2:
                return
            at = rows[-1].ts_ms + 1

    async def _interest(self, symbol: str) -> None:
        kept = self.now_ms - _OI_KEPT_MS
        at = max(self._from("open_interest", symbol), kept - kept % _OI_STEP_MS + _OI_STEP_MS)
        while at < self.end_ms:
            page_end = min(self.end_ms, at + _OI_PAGE * _OI_STEP_MS)
            rows = await self.venue.open_interest_hist(symbol, at, page_end, "5m", _OI_PAGE)
            if rows:
                await self._store("open_interest", symbol, interest_columns(rows))
            at = page_end

    async def _store(self, dataset: str, symbol: str, columns: Columns) -> None:
        if len(columns["ts"]):
            await self.sink.write_columns(str(dataset), symbol, columns)
            self.report.rows[str(dataset)] = self.report.rows.get(str(dataset), 0) + len(columns["ts"])


def snapshot_row(info: ExchangeInfo, symbol: str, taken_at_ms: int) -> Row:
    """A row of ``exchange_info_snapshots``."""
    return {"day": taken_at_ms, "symbol": symbol, "taken_at": taken_at_ms, "info": info.instruments[symbol].raw}


def bracket_row(tiers: Brackets, taken_at_ms: int) -> Row:
    """A row of ``leverage_brackets``, its JSON in the exchange's own names."""
    brackets = [
        {
            "bracket": b.bracket,
            "initialLeverage": b.initial_leverage,
            "notionalFloor": b.notional_floor,
            "notionalCap": b.notional_cap,
            "maintMarginRatio": b.maint_margin_ratio,
            "cum": b.cum,
        }
        for b in tiers.brackets
    ]
    return {"day": taken_at_ms, "symbol": tiers.symbol, "taken_at": taken_at_ms, "brackets": brackets}


def funding_columns(rows: Sequence[Settlement]) -> Columns:
    """``ts``, ``funding_rate``, ``mark_price`` (NaN where the exchange said none)."""
    return {
        "ts": np.array([row.ts_ms for row in rows], np.int64),
        "funding_rate": np.array([row.rate for row in rows], np.float64),
        "mark_price": np.array([np.nan if row.mark_price is None else row.mark_price for row in rows], np.float64),
    }


def interest_columns(rows: Sequence[OpenInterest]) -> Columns:
    """``ts``, ``open_interest``, ``open_interest_value``."""
    return {
        "ts": np.array([row.ts_ms for row in rows], np.int64),
        "open_interest": np.array([row.open_interest for row in rows], np.float64),
        "open_interest_value": np.array([np.nan if row.value is None else row.value for row in rows], np.float64),
    }


def _first_minute(onboard_ts_ms: int) -> int:
    return -(-onboard_ts_ms // MINUTE_MS) * MINUTE_MS
