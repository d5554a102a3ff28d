"""Jobs that move data: history in, PostgreSQL → research store, tiers and betas, retention."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from apps.worker_batch.context import JobContext, database_url
from apps.worker_batch.history_sink import StoresSink, TablesSink, upsert_rows
from apps.worker_batch.market_store import newest_minute_ms, stored_until, sync_symbol
from packages.common.db import connect, drop_months_before
from packages.common.errors import InvalidInputError, PlatformError
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS, ManualClock, from_datetime, iso, to_datetime
from services.collector.bootstrap import bootstrap_history as fetch_history
from services.collector.bootstrap import parse_instant, parse_span
from services.collector.entry import open_venue
from services.collector.refill import repair_store
from services.collector.tiers import LOOK_BACK_MS, instrument_day_rows
from services.collector.universe_worker import UniverseWorker
from services.training.market import CANDLES, VERSION

_FAR_MS = 4_102_444_800_000  # 2100


def bootstrap_history(context: JobContext) -> Mapping[str, Any]:
    """Instruments, rules, tiers and ``days`` of history of the universe into both stores; then tiers and betas per day.

    ``{"days": 20, "symbols": [...], "as_of": …}``, all optional; ``from`` and ``to`` (ISO, UTC) stand for ``days``. A
    killed run goes on where PostgreSQL ends.
    """
    config = context.config
    unknown = sorted(config.keys() - {"days", "from", "to", "symbols", "as_of"})
    if unknown:
        raise InvalidInputError("config", unknown, "days, from, to, symbols, as_of")
    _span(context, DAY_MS * 50_000)  # a bad one is refused before anything is opened
    symbols = tuple(config.get("symbols") or context.settings.universe)
    store = ResearchStore(context.settings.store)
    store.ensure_identity(context.settings.identity)
    with connect(database_url(context.settings), autocommit=True) as conn:
        try:
            report = asyncio.run(_bootstrap(context, conn, store, symbols))
        except BaseExceptionGroup as group:
            raise _first_of(group) from group
        done = context.scaled(0.9, 1.0)
        for number, symbol in enumerate(symbols):
            done(number / len(symbols), f"comparing stores: {symbol}")
            sync_symbol(conn, store, symbol)
        start_ms, end_ms = (from_datetime(datetime.fromisoformat(report[name])) for name in ("from", "to"))
        day_rows = _store_days(conn, store, _days_until_tomorrow(conn, 1 - (start_ms - end_ms) // DAY_MS))
    return {**report, "instrument_days": day_rows}


async def _bootstrap(
    context: JobContext, conn: psycopg.Connection[Any], store: ResearchStore, symbols: Sequence[str]
) -> dict[str, Any]:
    async with open_venue(context.settings) as (venue, _):
        now_ms = await venue.server_time_ms()
        start_ms, end_ms = _span(context, now_ms)
        # The newest minute may not be served yet: not a gap.
        end_ms = min(end_ms, now_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS)
        context.progress(0.0, "instruments")
        resume, fresh = stored_until(conn, symbols, start_ms)
        sink = StoresSink(conn, store, fresh)
        clock = ManualClock(now_ms)
        await UniverseWorker(venue, sink, clock, context.settings.universe).sync_once()
        report = await fetch_history(
            venue, symbols, start_ms, end_ms, sink, progress=context.scaled(0.01, 0.9), resume_from=resume
        )
        await asyncio.to_thread(sink.flush)
    return {
        "rows": report.rows,
        "gaps": len(report.gaps),
        "refused": {f"{symbol} {dataset}": why for (dataset, symbol), why in report.refused.items()},
        "from": iso(start_ms),
        "to": iso(end_ms),
    }


def _span(context: JobContext, now_ms: int) -> tuple[int, int]:
    config = context.config
    return parse_span(config.get("days"), config.get("from"), config.get("to"), now_ms, context.settings.history_days)


def repair_data(context: JobContext) -> Mapping[str, Any]:
    """Holes inside the stored history filled from the exchange, in both stores; what it has not is noted in
    ``data_gaps`` as unavailable. ``{"symbols": [...], "from": …, "to": …, "as_of": …}``, all optional."""
    config = context.config
    unknown = sorted(config.keys() - {"symbols", "from", "to", "as_of"})
    if unknown:
        raise InvalidInputError("config", unknown, "symbols, from, to, as_of")
    start_ms, end_ms = (
        default if config.get(name) is None else parse_instant(name, config[name])
        for name, default in (("from", 0), ("to", _FAR_MS))
    )
    if start_ms >= end_ms:
        raise InvalidInputError("from", config["from"], f"a time before {iso(end_ms)}")
    store = ResearchStore(context.settings.store)
    store.ensure_identity(context.settings.identity)
    with connect(database_url(context.settings), autocommit=True) as conn:
        known = [row[0] for row in conn.execute("SELECT symbol FROM instruments WHERE in_universe ORDER BY 1")]
        symbols = tuple(config.get("symbols") or known)
        if strangers := sorted(set(symbols) - set(known)):
            raise InvalidInputError("symbols", strangers, "symbols of the universe")
        for number, symbol in enumerate(symbols):  # what the desk has is no hole
            context.progress(0.2 * number / len(symbols), f"comparing stores: {symbol}")
            sync_symbol(conn, store, symbol)
        try:
            return asyncio.run(_repair(context, conn, store, symbols, start_ms, end_ms))
        except BaseExceptionGroup as group:
            raise _first_of(group) from group


async def _repair(
    context: JobContext,
    conn: psycopg.Connection[Any],
    store: ResearchStore,
    symbols: Sequence[str],
    start_ms: int,
    end_ms: int,
) -> dict[str, Any]:
    async with open_venue(context.settings) as (venue, _):
        return await repair_store(
            venue, store, symbols, start_ms, end_ms, progress=context.scaled(0.2, 1.0), also=TablesSink(conn)
        )


def sync_universe(context: JobContext) -> Mapping[str, Any]:
    """``instruments`` as the exchange has them now; once a day its rules and leverage tiers too (§26.3, D42)."""

    async def sync(conn: psycopg.Connection[Any]) -> dict[str, int]:
        async with open_venue(context.settings) as (venue, _):
            known = [row[0] for row in conn.execute("SELECT symbol FROM instruments").fetchall()]
            sink = StoresSink(conn, ResearchStore(context.settings.store), frozenset())
            clock = ManualClock(await venue.server_time_ms())
            rows = await UniverseWorker(venue, sink, clock, context.settings.universe).sync_once(known)
        statuses = [str(row["status"]) for row in rows]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    with connect(database_url(context.settings), autocommit=True) as conn:
        return {"instruments": asyncio.run(sync(conn))}


def sync_store(context: JobContext) -> Mapping[str, Any]:
    """PostgreSQL rows newer than the research store → Parquet (D4)."""
    store = ResearchStore(context.settings.store)
    store.ensure_identity(context.settings.identity)
    added: dict[str, int] = {}
    with connect(database_url(context.settings), autocommit=True) as conn:
        symbols = [row[0] for row in conn.execute("SELECT DISTINCT symbol FROM instruments ORDER BY 1").fetchall()]
        for number, symbol in enumerate(symbols):
            context.progress(number / len(symbols), f"storing {symbol}")
            for dataset, rows in sync_symbol(conn, store, symbol).items():
                added[dataset] = added.get(dataset, 0) + rows
    return {"rows": added}


def instrument_days(context: JobContext) -> Mapping[str, Any]:
    """Tier and beta of tomorrow, and again of today, from the bars before the day before each (D45)."""
    with connect(database_url(context.settings), autocommit=True) as conn:
        symbols = [row[0] for row in conn.execute("SELECT DISTINCT symbol FROM instruments ORDER BY 1").fetchall()]
        store = ResearchStore(context.settings.store)
        for number, symbol in enumerate(symbols):
            context.progress(0.8 * number / len(symbols), f"storing {symbol}")
            sync_symbol(conn, store, symbol)
        return {"instrument_days": _store_days(conn, store, _days_until_tomorrow(conn, 2))}


def retention(context: JobContext) -> Mapping[str, Any]:
    """Drop months of the operational store that are older than ``RETENTION_DAYS`` of market time, once the research
    store has them."""
    with connect(database_url(context.settings), autocommit=True) as conn:
        now_ms = newest_minute_ms(conn)
        if now_ms is None:
            return {"dropped": []}
        sync_store(context)
        return {"dropped": drop_months_before(conn, now_ms - context.settings.retention_days * DAY_MS)}


def _days_until_tomorrow(conn: psycopg.Connection[Any], count: int) -> list[int]:
    """Begins of ``count`` UTC days of market time, tomorrow the last; none before the first minute."""
    now_ms = newest_minute_ms(conn)
    if now_ms is None:
        return []
    tomorrow = (now_ms - MINUTE_MS) // DAY_MS * DAY_MS + DAY_MS
    return [tomorrow - back * DAY_MS for back in range(count)][::-1]


def _store_days(conn: psycopg.Connection[Any], store: ResearchStore, days: Sequence[int]) -> int:
    if not days:
        return 0
    known = {row[0] for row in conn.execute("SELECT symbol FROM instruments")}
    bars = {}
    for symbol in store.symbols(CANDLES, VERSION):
        if symbol in known:
            found = store.read(CANDLES, VERSION, symbol, ("close", "quote_volume"), from_ts_ms=days[0] - LOOK_BACK_MS)
            bars[symbol] = (found["ts"], found["close"], found["quote_volume"])
    rows = [row for day_ms in days for row in instrument_day_rows(day_ms, bars)]
    upsert_rows(conn, "instrument_days", rows)
    conn.execute(
        """UPDATE instruments i SET liquidity_tier = d.tier FROM instrument_days d
           WHERE d.symbol = i.symbol
             AND d.day = (SELECT max(day) FROM instrument_days x WHERE x.symbol = i.symbol AND x.day < %s)""",
        (to_datetime(days[-1]).date(),),
    )
    return len(rows)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that matters of a task group: the first of ours, else the first."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        item = stack.pop(0)
        if isinstance(item, BaseExceptionGroup):
            stack = [*item.exceptions, *stack]
        else:
            flat.append(item)
    return next((item for item in flat if isinstance(item, PlatformError)), flat[0])
