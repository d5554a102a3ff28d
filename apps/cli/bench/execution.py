"""How fast money moves and is protected: a closed minute to its entries on the wire, a fill to its stop's request.

The product's trader against an emulated exchange in another process. "On the wire" is the moment in which the HTTP
client has written the request; a fill's first sign is the arrival of the frame or answer that tells of it.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from apps.cli.bench import live
from apps.cli.bench.measure import Figure, Plan, at_most
from apps.cli.bench.wire import Rows, Signs, Wire
from apps.cli.campaign import Quiet
from packages.common.time import ScaledClock, monotonic_ms
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import floor_quantity, round_price
from packages.exchange.port import InstrumentInfo
from services.emulator.testing import Exchange, spawned
from services.execution.assembly import trading_desk
from services.execution.canary import ProofRules
from services.execution.core.events import Timer
from services.execution.core.state import Phase
from services.execution.guards import EntryLimits
from services.execution.kill_switch import Limits
from services.execution.ports import EntryOrder, TraderConfig
from services.execution.trader import Trader
from services.userstream.recorder import Recorder

SYMBOLS = (
    *("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT", "DOGEUSDT", "LINKUSDT", "SUIUSDT", "PUMPUSDT", "ADAUSDT", "LTCUSDT"),
)
_PAUSE_S = 7.0  # so that entries find room in our count of orders, of which half is kept for stops


def measure(plan: Plan) -> Iterator[Figure]:
    """A whole minute's way, then entries of ten symbols at once, several rounds; figures of one order each."""
    yield from live.measure(plan)
    rounds = plan.size(20, 1)
    entry_ms, stop_ms = asyncio.run(_campaign(rounds))
    at_once = f"{len(SYMBOLS)} orders at once"
    for name, values, limit in (
        (f"{at_once} → entry requests on the wire (checks, book, journal)", entry_ms, None),
        (f"{at_once}, first sign of a fill → stop requests on the wire", stop_ms, None),
    ):
        p50, p99 = np.percentile(values, [50, 99])
        yield Figure("execution", f"{name}, p50 of {len(values)}", float(p50), "ms")
        yield at_most("execution", f"{name}, p99 of {len(values)}", float(p99), "ms", limit=limit)


async def _campaign(rounds: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(prefix="perpilot-bench-") as folder:
        # Ten symbols at once, round after round, need more weight than the exchange allows.
        told = {"speed": "1", "universe": ",".join(SYMBOLS), "history-days": "3", "weight": "100000", "var-dir": folder}
        async with spawned(*(word for name, value in told.items() for word in (f"--{name}", value))) as exchange:
            return await _trade(exchange, Path(folder), rounds)


async def _trade(exchange: Exchange, folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    wire, rows, clock, rng = Wire(), Rows(), ScaledClock(0), np.random.default_rng(1)
    async with aiohttp.ClientSession(trace_configs=[wire.tracing()]) as session:
        endpoints = endpoints_for("emulator", exchange.rest_url, exchange.ws_url)
        venue = BinanceRest(
            session, endpoints, clock, rng, credentials=Credentials(exchange.key.key, exchange.key.secret)
        )
        await sample_clock(venue, clock, 5)
        instruments = (await venue.exchange_info()).instruments
        tiers = {row.symbol: row for row in await venue.leverage_brackets()}
        marks: dict[str, Decimal] = {}
        limits = EntryLimits(rates=Limits(entries_minute=10**6, entries_hour=10**6, entries_day=10**6))
        config = TraderConfig(
            proofs=ProofRules(), delays={Timer.WINDOW: 300, Timer.READ: 150}, reconcile_s=5.0, account_s=5.0
        )
        async with trading_desk(
            session, venue.transport, clock, rng, instruments, journal_path=folder / "journal.ndjson",
            instance="bench", universe=SYMBOLS, writer=rows, publish=rows.publish,
            outside=Quiet(venue, marks, tiers),
            recorder=lambda trading, *names: Recorder(trading, rows, rows.publish, *names),
            config=config, limits=limits,
        ) as trader:  # fmt: skip
            return await _rounds(trader, venue, clock, instruments, marks, wire, rounds)


async def _rounds(
    trader: Trader,
    venue: BinanceRest,
    clock: ScaledClock,
    instruments: Mapping[str, InstrumentInfo],
    marks: dict[str, Decimal],
    wire: Wire,
    rounds: int,
) -> tuple[list[float], list[float]]:
    signs = Signs(trader, wire).at
    entry_ms: list[float] = []
    stop_ms: list[float] = []
    await _look(trader, venue, marks)
    await _until(lambda: trader.ready and not trader.view().locked, 60)
    await _look(trader, venue, marks)
    await _until(trader.stop_path_proven, 30)
    for n in range(rounds):
        await _look(trader, venue, marks)
        asked: dict[str, float] = {}
        for symbol in SYMBOLS:
            asked[symbol] = monotonic_ms()
            trader.enter(_order(instruments[symbol], marks[symbol], clock.now_ms(), n))
        await _until(lambda: all(trader.view().locked.get(s) is Phase.PROTECTED for s in SYMBOLS), 30)
        entry_ms += [wire.entries[symbol] - asked[symbol] for symbol in SYMBOLS]
        stop_ms += [wire.stops[symbol] - signs[symbol] for symbol in SYMBOLS]
        for symbol in SYMBOLS:
            trader.close(symbol, "operator")
        await _until(lambda: not trader.view().locked, 60)
        await asyncio.sleep(_PAUSE_S)
        signs.clear()
        for seen in (wire.entries, wire.answers, wire.stops):
            seen.clear()
    return entry_ms, stop_ms


async def _look(trader: Trader, venue: BinanceRest, marks: dict[str, Decimal]) -> None:
    for row in await venue.premium_index():
        if row.symbol in SYMBOLS:
            marks[row.symbol] = Decimal(repr(row.mark))
            trader.see_mark(row.symbol, marks[row.symbol])


def _order(info: InstrumentInfo, mark: Decimal, now_ms: int, n: int) -> EntryOrder:
    side = 1 if n % 2 else -1
    return EntryOrder(
        decision_id=f"bench:{n}:{info.symbol}",
        symbol=info.symbol,
        direction=side,
        quantity=floor_quantity(info, Decimal(300) / mark, market=True),
        leverage=3,
        stop_price=round_price(info, mark * (1 - side * Decimal("0.05")), up=side < 0),
        target_price=round_price(info, mark * (1 + side * Decimal("0.05")), up=side > 0),
        reference_price=mark,
        decided_ts_ms=now_ms,
        due_ts_ms=now_ms + 86_400_000,
    )


async def _until(done: Any, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110 - what is waited for is a state, not an event
            await asyncio.sleep(0.005)
