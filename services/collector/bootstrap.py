"""History from REST into the stores: bars of three prices, funding, open interest, tiers, contracts (D11).

Parallel by symbol within the client's weight budget, in pages that are stored as they come, so that a killed run goes
on where it stopped. Every page is checked; minutes that cannot be had are reported, never invented.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from packages.common.errors import InvalidInputError, VenueRejectedError
from packages.common.time import DAY_MS, MINUTE_MS, from_datetime, iso
from packages.common.types import Settlement
from packages.exchange.port import Brackets, Columns, ExchangeInfo, MarketData, OpenInterest, Series
from services.collector.batch import GapReport
from services.collector.core.columns import holes, keep, merged, sound_rows
from services.collector.ports import HistorySink, Row, gap_row

Progress = Callable[[float, str], None]
SymbolProgress = Callable[[str, int, int], None]
Resume = Mapping[tuple[str, str], int]
Span = tuple[int, int]
Missing = Callable[[str, str, int, int], Sequence[Span]]

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
    on_symbol: SymbolProgress | None = None,
    resume_from: Resume | None = None,
    missing: Missing | None = None,
    parallel: int = 4,
    pages_per_write: int = 4,
) -> BootstrapReport:
    """Fetch [start_ms, end_ms) of ``symbols``, cut at the exchange's now and at each symbol's listing.

    ``resume_from`` maps (dataset, symbol) to the first millisecond that is not stored yet. ``missing`` says more: of
    (dataset, symbol, start, end) the half-open spans that are not stored, ascending; only they are fetched.
    ``progress`` is told a fraction and what is being done, ``on_symbol`` a symbol, its pages done and its pages in all.
    Raises ``VenueError`` when the exchange stays out of reach; what was stored stays.
    """
    now_ms = await venue.server_time_ms()
    end_ms = min(end_ms, now_ms - now_ms % MINUTE_MS)
    info = await venue.exchange_info()
    start_ms = _first_minute(start_ms)
    run = _Run(
        venue, sink, start_ms, end_ms, now_ms, resume_from or {}, missing, pages_per_write, progress, on_symbol
    )  # fmt: skip
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
        missing: Missing | None,
        pages_per_write: int,
        progress: Progress | None,
        on_symbol: SymbolProgress | None,
    ) -> None:
        self.venue, self.sink, self.resume, self.missing = venue, sink, resume, missing
        self.start_ms, self.end_ms, self.now_ms = start_ms, end_ms, now_ms
        self.pages_per_write = pages_per_write
        self.report = BootstrapReport()
        self._progress, self._on_symbol = progress, on_symbol
        self._starts: dict[str, int] = {}
        self._bar_spans: dict[tuple[str, str], list[Span]] = {}
        self._pages: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def tell(self, fraction: float, stage: str) -> None:
        if self._progress is not None:
            self._progress(fraction, stage)

    def expect(self, starts: dict[str, int]) -> None:
        """Count the pages ahead, for the progress."""
        self._starts = starts
        for symbol in starts:
            spans = {(series.value, symbol): self._spans(series.value, symbol) for series in Series}
            self._bar_spans |= spans
            self._pages[symbol] = sum(
                -(-(end - start) // (_PAGE * MINUTE_MS)) for found in spans.values() for start, end in found
            )
            self._done[symbol] = 0

    def _spans(self, dataset: str, symbol: str) -> list[Span]:
        """What to fetch of a series, ascending."""
        start = self._from(dataset, symbol)
        if self.missing is None:
            return [(start, self.end_ms)] if start < self.end_ms else []
        return [(first, end) for first, end in self.missing(dataset, symbol, start, self.end_ms) if first < end]

    def _page_done(self, symbol: str, stage: str) -> None:
        self._done[symbol] += 1
        if self._on_symbol is not None:
            self._on_symbol(symbol, self._done[symbol], self._pages[symbol])
        self.tell(min(0.99, sum(self._done.values()) / max(1, sum(self._pages.values()))), f"{symbol} {stage}")

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
        for span in self._bar_spans[series.value, symbol]:
            await self._bar_span(series, symbol, span)

    async def _bar_span(self, series: Series, symbol: str, span: Span) -> None:
        first = at = span[0]
        end = span[1]
        parts: list[Columns] = []
        # Something is stored before this span: whatever is missing at its beginning is a gap.
        seen_any = (series.value, symbol) in self.resume or first > self._starts[symbol]
        while at < end:
            page_end = min(end, at + _PAGE * MINUTE_MS)
            limit = (page_end - at) // MINUTE_MS
            page = await self._page(series, symbol, (at, page_end), limit)
            if len(page["ts"]):
                if not seen_any:
                    first, seen_any = int(page["ts"][0]), True  # listed later than it says: not a gap
                parts.append(page)
            at = page_end
            self._page_done(symbol, series)
            if (parts or seen_any) and (len(parts) >= self.pages_per_write or at >= end):
                await self._store_bars(series, symbol, merged(parts) if parts else page, (first, at))
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
        for start, end in self._spans("funding_rates", symbol):
            at = start
            while at < end:
                rows = await self.venue.funding_rates(symbol, at, end, _FUNDING_PAGE)
                if rows:
                    await self._store("funding_rates", symbol, funding_columns(rows))
                # The request reaches a little over both ends, so a full answer may hold fewer rows of ours.
                if len(rows) < _FUNDING_PAGE - 2:
                    break
                at = rows[-1].ts_ms + 1

    async def _interest(self, symbol: str) -> None:
        kept = self.now_ms - _OI_KEPT_MS
        oldest = kept - kept % _OI_STEP_MS + _OI_STEP_MS
        for start, end in self._spans("open_interest", symbol):
            at = max(start, oldest)
            while at < end:
                page_end = min(end, at + _OI_PAGE * _OI_STEP_MS)
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


def parse_span(days: int | None, from_: str | None, to: str | None, now_ms: int, default_days: int) -> Span:
    """[start, end) in epoch milliseconds of ``--days`` or ``--from``/``--to`` (ISO dates or instants, UTC).

    ``days`` back from now begin with a whole UTC day. Raises InvalidInputError.
    """
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or days < 1):
        raise InvalidInputError("days", days, "a whole number of days, at least 1")
    if days is not None and (from_ is not None or to is not None):
        raise InvalidInputError("days", days, "either days, or from and to")
    end = now_ms if to is None else parse_instant("to", to)
    if from_ is not None:
        start = parse_instant("from", from_)
    else:
        start = (end - (days or default_days) * DAY_MS) // DAY_MS * DAY_MS
    if start >= end:
        raise InvalidInputError("from", iso(start), f"a time before {iso(end)}")
    return start, end


def parse_instant(field_name: str, text: str) -> int:
    """Epoch milliseconds of ``2025-05-01`` or ``2025-05-01T12:30Z``; without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidInputError(field_name, text, "a date such as 2025-05-01 or 2025-05-01T12:30Z") from None
    return from_datetime(when if when.tzinfo else when.replace(tzinfo=UTC))


def _first_minute(onboard_ts_ms: int) -> int:
    return -(-onboard_ts_ms // MINUTE_MS) * MINUTE_MS
