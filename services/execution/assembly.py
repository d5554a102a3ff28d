"""Builds a ``Trader`` with its client, stream and journal, and takes them apart again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from packages.common.time import Clock
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.binance.transport import Transport
from packages.exchange.binance.user_stream import BinanceUserStream
from packages.exchange.port import InstrumentInfo
from services.execution import books, guards, kill_switch
from services.execution.journal import Journal
from services.execution.ports import Outside, RecorderOf, TraderConfig, Writer
from services.execution.trader import Trader


@asynccontextmanager
async def trading_desk(
    session: aiohttp.ClientSession,
    transport: Transport,
    clock: Clock,
    rng: np.random.Generator,
    instruments: Mapping[str, InstrumentInfo],
    *,
    journal_path: Path,
    instance: str,
    universe: Sequence[str],
    writer: Writer,
    publish: Callable[[str, Any], None],
    outside: Outside,
    recorder: RecorderOf,
    config: TraderConfig | None = None,
    limits: guards.EntryLimits | None = None,
    killed: kill_switch.KillState | None = None,
    unbooked: Sequence[books.Plan | books.Adopted] = (),
) -> AsyncIterator[Trader]:
    """A running trader until the context ends; orders and stops at the exchange stay as they are then.

    A damaged journal is kept beside the new one, and the desk begins HALTED. Raises ``JournalError`` when another
    process holds the journal, and what ended the trader, if it was a fault.
    """
    instruments = dict(instruments)  # the trader renews it, and its client writes orders by the same
    journal, left = await asyncio.to_thread(Journal.open, journal_path, instance, accept_damage=True)
    try:
        trading = BinanceTrading(transport, instruments)
        async with BinanceUserStream(session, transport.endpoints, trading, clock, rng) as stream:
            trader = Trader(
                trading,
                stream,
                journal,
                left,
                instruments,
                clock,
                writer,
                publish,
                outside,
                recorder,
                universe=universe,
                config=config,
                limits=limits,
                killed=killed,
                unbooked=unbooked,
            )
            running = trader.running = asyncio.create_task(trader.run(), name="trader")
            try:
                yield trader
            finally:
                failed = running.done() and not running.cancelled()
                running.cancel()
                with suppress(asyncio.CancelledError):
                    if failed:
                        running.result()
                    await running
                await trader.close_down()
    finally:
        await asyncio.to_thread(journal.close)
