"""Seeded brackets over the wire: the product's trader against the emulated exchange, while the wire and the exchange
misbehave (``campaign_weather``) and an operator resumes whatever halted. Judged by the exchange's own books
(``campaign_books``).

The seed draws the entries, the market and the faults. When each of them happens is a matter of both machines' speed,
so a seed repeats the campaign, not its every millisecond.
"""

import asyncio
import json
import logging
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import structlog

from apps.cli.campaign_books import Kept, judge
from apps.cli.campaign_weather import weather
from apps.cli.console import Bar, bar, say
from packages.common.errors import PlatformError, VenueError
from packages.common.time import HOUR_MS, ScaledClock, monotonic_ms
from packages.common.types import OhlcBar
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.clock_sync import keep_synchronised, sample_clock
from packages.exchange.filters import floor_quantity, round_price
from packages.exchange.port import BookTop, Brackets, InstrumentInfo
from services.emulator.keys import TEST_KEY, ApiKey
from services.emulator.testing import Exchange, spawned
from services.execution import kill_switch
from services.execution.assembly import trading_desk
from services.execution.core.events import Latch, Timer
from services.execution.core.state import Phase
from services.execution.guards import EntryLimits
from services.execution.ports import EntryOrder, TraderConfig
from services.execution.trader import Trader
from services.userstream.recorder import Recorder

SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "AVAXUSDT", "DOTUSDT", "LINKUSDT",
    "LTCUSDT", "BCHUSDT", "SUIUSDT", "AAVEUSDT", "1000PEPEUSDT", "FILUSDT", "AXSUSDT", "ENAUSDT", "ZKUSDT",
    "HYPEUSDT", "ZECUSDT", "ZORAUSDT", "TRUMPUSDT", "PUMPUSDT", "NEARUSDT", "PAXGUSDT", "ARBUSDT", "OPUSDT",
    "APTUSDT", "INJUSDT", "TIAUSDT", "UNIUSDT", "ATOMUSDT", "ETCUSDT", "TRXUSDT", "XLMUSDT", "ALGOUSDT", "SEIUSDT",
    "WIFUSDT", "JUPUSDT",
)  # fmt: skip
INSTANCE = "soak"
STALL_S = 90.0
SPEED = 20.0  # a market second is 50 ms: prices reach stops within seconds, and bounds of wall time keep their meaning
# Bounds that protect are the product's own. What only holds a symbol back is shorter, or a bracket would take minutes:
# the two reads of zero, the window in which a request can still be executed (60 s of market time at the most, so 3 s
# at 20x), and the watch over an unknown entry, which lasts 10 minutes and is shown by scenarios of its own.
DELAYS = {Timer.READ: 1_000, Timer.WINDOW: 4_500, Timer.WATCH: 9_000}
# Entries are asked for as fast as the machine allows and losses are meant: neither guard says anything here. Failures
# of orders are the campaign's purpose.
_NEVER = 10**9
LIMITS = EntryLimits(
    rates=kill_switch.Limits(
        day_loss=1.0, week_loss=1.0, drawdown=1.0, entries_minute=_NEVER, entries_hour=_NEVER, entries_day=_NEVER,
        order_notional=1e9, order_failures=_NEVER,
    ),
    spread_bps=1e4, mark_gap_bps=1e4,
)  # fmt: skip
# Brackets of which two parts are offered on the way: larger ones, so that the exchange takes a part.
STAGED, STAGED_SIZE = replace(LIMITS, staged_exits=((0.3, 0.25), (0.3, 0.6))), Decimal(4)
CONFIG = TraderConfig(reconcile_s=10.0, poll_s=3.0, account_s=5.0, delays=DELAYS)


class CampaignError(PlatformError):
    """The campaign could not be brought to its end."""

    code = "CAMPAIGN"


class Quiet:
    """What a desk in good order would say; the book alone is the exchange's."""

    def __init__(self, venue: BinanceRest, marks: Mapping[str, Decimal], brackets: Mapping[str, Brackets]) -> None:
        self._venue, self._marks, self._brackets = venue, marks, brackets

    def lease_age_ms(self) -> float | None:
        return 0.0

    def stores_lost(self) -> tuple[str, ...]:
        return ()

    def data_ages(self) -> Mapping[str, kill_switch.DataAge]:
        return {}

    def clock_skew_ms(self) -> float | None:
        return 0.0

    def model_age_ms(self) -> float | None:
        return 0.0

    def last(self, symbol: str) -> Decimal | None:
        return self._marks.get(symbol)

    def brackets(self, symbol: str) -> Brackets | None:
        return self._brackets.get(symbol)

    async def book_top(self, symbol: str) -> BookTop:
        return await self._venue.book_top(symbol)

    async def instruments(self) -> Mapping[str, InstrumentInfo]:
        return (await self._venue.exchange_info()).instruments

    async def mark_bars(self, symbol: str, start_ms: int, end_ms: int) -> Sequence[OhlcBar]:
        return await self._venue.mark_klines(symbol, start_ms, end_ms)


@dataclass
class Floor:
    """A running trader and the market it sees."""

    trader: Trader
    venue: BinanceRest
    clock: ScaledClock
    instruments: dict[str, InstrumentInfo]
    kept: Kept
    marks: dict[str, Decimal]
    phases: dict[str, Phase] = field(default_factory=dict)
    free: bool = False

    async def watch_market(self) -> None:
        """Marks for the software stop; what is listed, and whether it trades."""
        asked, every_s = 0.0, 0.25
        while True:
            with suppress(VenueError):
                for row in await self.venue.premium_index():
                    mark = Decimal(repr(row.mark))
                    self.marks[row.symbol] = mark
                    self.trader.see_mark(row.symbol, mark)
                if monotonic_ms() - asked > 2_000:
                    asked = monotonic_ms()
                    fresh = (await self.venue.exchange_info()).instruments
                    self.trader.use_instruments(fresh)
                    self.instruments.update(fresh)
            await asyncio.sleep(every_s)

    async def look(self) -> None:
        """What the account is doing, for all who wait."""
        while True:
            view = self.trader.view()
            self.phases = dict(view.locked)
            self.free = view.ready and not view.killed.trips and self.trader.stop_path_proven()
            await asyncio.sleep(0.02)

    async def operate(self) -> None:
        """An operator who resumes when nothing blocks any more: soon after a halt, when flat after flattening."""
        while True:
            killed = self.trader.killed
            if (killed.latch is Latch.HALTED or killed.flat) and not killed.blocks:
                self.trader.command(kill_switch.Resume("the campaign goes on", "campaign"))
            await asyncio.sleep(0.4)

    def phase(self, symbol: str) -> Phase:
        return self.phases.get(symbol, Phase.FLAT)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an exchange is, and the key to its account; ``Exchange`` says as much."""

    rest_url: str
    ws_url: str
    key: ApiKey = TEST_KEY


@asynccontextmanager
async def floor(
    at: Address | Exchange,
    journal: Path,
    kept: Kept,
    symbols: Sequence[str],
    seed: int,
    speed: float,
    limits: EntryLimits = LIMITS,
) -> AsyncIterator[Floor]:
    """A trader that is on its way up, its market and its operator, until the context ends."""
    async with aiohttp.ClientSession() as session:
        clock, rng = ScaledClock(0, speed), np.random.default_rng(seed)
        endpoints = endpoints_for("emulator", at.rest_url, at.ws_url)
        venue = BinanceRest(session, endpoints, clock, rng, credentials=Credentials(at.key.key, at.key.secret))
        await sample_clock(venue, clock, 3)
        instruments = dict((await venue.exchange_info()).instruments)
        marks, brackets = dict[str, Decimal](), {row.symbol: row for row in await venue.leverage_brackets()}
        outside = Quiet(venue, marks, brackets)
        async with trading_desk(
            session, venue.transport, clock, rng, instruments, journal_path=journal, instance=INSTANCE,
            universe=symbols, writer=kept, publish=kept.publish, outside=outside, config=CONFIG, limits=limits,
            unbooked=kept.unbooked(), recorder=lambda trading, *names: Recorder(trading, kept, kept.publish, *names),
        ) as trader:  # fmt: skip
            found = Floor(trader, venue, clock, instruments, kept, marks)
            works = (found.watch_market(), found.look(), found.operate(), keep_synchronised(venue, clock, every_s=2.0))
            tasks = [asyncio.create_task(work) for work in works]
            try:
                yield found
            finally:
                for task in tasks:
                    task.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(result, Exception):
                        raise result


@dataclass
class Entrants:
    """One after another, on every symbol at once: brackets that end by stop, target, time or the operator's hand."""

    floor: Floor
    symbols: Sequence[str]
    seed: int
    asked: int  # brackets in all
    life: int = 0  # of the process: decisions are not repeated by the next one
    size: Decimal = Decimal(1)  # times what the exchange takes, about
    started: int = 0
    over: int = 0
    ended: bool = False
    ends: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Until ``asked`` brackets are over, or ``ended`` says so."""
        async with asyncio.TaskGroup() as group:
            for number, symbol in enumerate(self.symbols):
                group.create_task(self._one_symbol(symbol, np.random.default_rng([self.seed, self.life, number])))

    async def _one_symbol(self, symbol: str, rng: np.random.Generator) -> None:
        count = 0
        await asyncio.sleep(float(rng.uniform(0, 0.1 * len(self.symbols))))  # a desk does not enter all in one instant
        while self.started < self.asked and not self.ended:
            await asyncio.sleep(0.02)
            ready = self.floor.free and symbol in self.floor.marks and self.floor.phase(symbol) is Phase.FLAT
            if not ready or self.floor.instruments[symbol].status != "TRADING":
                continue
            self.started += 1
            count += 1
            how = await self._one_bracket(symbol, f"{self.seed}.{self.life}.{symbol}.{count}", rng)
            self.ends[how] += 1
            if how == "lapsed":
                self.started -= 1
                await asyncio.sleep(0.1)
            else:
                self.over += 1

    async def _one_bracket(self, symbol: str, decision_id: str, rng: np.random.Generator) -> str:
        order, close_s = self._draw(symbol, decision_id, rng)
        self.floor.trader.enter(order)
        name, asked, by_hand = f"{decision_id}:{symbol}", monotonic_ms(), False
        while (state := self.floor.kept.state(name)) not in ("lapsed", "flat", "closed", "booked"):
            if close_s is not None and not by_hand and monotonic_ms() - asked >= close_s * 1e3:
                by_hand = True
                self.floor.trader.close(symbol, "operator")
            await asyncio.sleep(0.005 if close_s is not None and not by_hand else 0.02)
        return "closed by hand" if by_hand and state != "lapsed" else state

    def _draw(self, symbol: str, decision_id: str, rng: np.random.Generator) -> tuple[EntryOrder, float | None]:
        """A bracket at the mark, and after how many seconds an operator closes it (most are left alone)."""
        info, mark, now = self.floor.instruments[symbol], self.floor.marks[symbol], self.floor.clock.now_ms()
        direction = 1 if rng.random() < 0.5 else -1
        stop, target = (Decimal(repr(round(0.0005 * 12 ** rng.random(), 6))) for _ in range(2))
        hold_s = 1.5 * 8 ** rng.random()
        least = max(info.min_notional or Decimal(5), Decimal(20))
        notional = self.size * least * Decimal(repr(round(1.2 + 2 * rng.random(), 3)))
        step = info.market_step_size or info.step_size or Decimal(1)
        order = EntryOrder(
            decision_id, symbol, direction, floor_quantity(info, notional / mark, market=True) + step,
            int(rng.choice((3, 5, 10))),
            round_price(info, mark * (1 - direction * stop), up=direction < 0),
            round_price(info, mark * (1 + direction * target), up=direction > 0),
            mark, now, now + int(hold_s * 1e3 * self.floor.clock.speed),
        )  # fmt: skip
        by_hand = rng.random() < 0.15
        close_s = float(rng.choice((0.0, 0.01, 0.03, 0.1, 1.0, 3.0))) if by_hand else None
        return order, close_s


async def flat(floor: Floor, within_s: float) -> bool:
    """Close what is open, and wait until every symbol is free and every trade is booked."""
    end, asked = monotonic_ms() + within_s * 1e3, set[str]()
    while monotonic_ms() < end:
        view = floor.trader.view()
        for symbol, phase in view.locked.items():
            if symbol not in asked and phase in (Phase.PROTECTED, Phase.PROTECTING):
                asked.add(symbol)
                floor.trader.close(symbol, "operator")
        if not view.locked and not view.entering and not floor.kept.unbooked():
            return True
        await asyncio.sleep(0.1)
    return False


# --- the campaign ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """``brackets`` in all, under faults of ``profile`` (realistic or absurd), drawn from ``seed``. With ``stages``
    parts of them leave on the way to the target."""

    brackets: int
    seed: int = 1
    profile: str = "realistic"
    symbols: tuple[str, ...] = SYMBOLS
    speed: float = SPEED
    stages: bool = False
    flat_s: float = 120.0  # to become flat at the end, in good weather


def run_faults(plan: FaultPlan) -> dict[str, Any]:
    """The campaign on an exchange that is a child of this process; see ``campaign_books.judge`` for the result."""
    with tempfile.TemporaryDirectory(prefix="perpilot-campaign-") as folder, bar("Brackets") as shown:
        return asyncio.run(_faults(plan, Path(folder), shown))


async def _faults(plan: FaultPlan, folder: Path, shown: Bar) -> dict[str, Any]:
    kept, started = Kept(), monotonic_ms()
    limits, size = (STAGED, STAGED_SIZE) if plan.stages else (LIMITS, Decimal(1))
    async with (
        exchange(plan.symbols, plan.seed, plan.speed) as market,
        floor(market, folder / "journal.ndjson", kept, plan.symbols, plan.seed, plan.speed, limits) as found,
    ):
        entrants = Entrants(found, plan.symbols, plan.seed, plan.brackets, size=size)
        rng = np.random.default_rng([plan.seed, 7])
        storm = asyncio.create_task(weather(market.control.fault, rng, plan.profile, plan.symbols, plan.speed))
        work = asyncio.create_task(entrants.run())
        try:
            await _watch(plan, entrants, work, storm, shown)
        finally:
            for task in (storm, work):
                task.cancel()
            await asyncio.gather(storm, work, return_exceptions=True)
        lasted_s = (monotonic_ms() - started) / 1e3
        struck = await market.control.faults()
        await market.control.clear()
        settled = await flat(found, plan.flat_s)
        report = await market.control.audit()
    lasting = [row for row in struck["plan"] if row["share"] == 1.0 and row["to_ms"] - row["from_ms"] < HOUR_MS]
    verdict = judge(report["accounts"]["main"], kept, lasting)
    if not settled:
        verdict["broken"]["not_flat"] = [f"within {plan.flat_s:.0f} s in good weather"]
        verdict["ok"] = False
    return verdict | {
        "seed": plan.seed, "profile": plan.profile, "speed": plan.speed, "brackets": entrants.over,
        "brackets_per_s": round(entrants.over / lasted_s, 2), "wall_s": round(lasted_s, 1),
        "entrants": dict(entrants.ends), "faults": _struck(struck["plan"]), "answers": report["answers"],
    }  # fmt: skip


def quiet() -> None:
    """What the trader says of each fault would drown everything else; risk events are counted in the result."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result for a person or as one JSON object."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    names = ("brackets", "kills", "brackets_per_s", "converged_s", "positions", "naked_ms")
    say(", ".join(f"{name} {result[name]}" for name in names if name in result))
    say(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in result["counts"].items()))
    for row in result["naked_over_1s"]:
        meanwhile = ", ".join(row["meanwhile"]) or "no blow to the whole exchange"
        say(f"  naked {row['ms']} ms: {row['symbol']} from {row['cause']} to {row['end']}; {meanwhile}")
    for name, rows in result["broken"].items():
        say(f"  {name}: " + "; ".join(str(row) for row in rows))
    say("ok" if result["ok"] else f"NOT OK with seed {result['seed']}: {', '.join(result['broken'])}")


def _struck(plan: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How often each kind of fault has struck."""
    counts = Counter[str]()
    for row in plan:
        counts[row["kind"]] += row["fired"]
    return dict(counts)


async def _watch(
    plan: FaultPlan, entrants: Entrants, work: "asyncio.Task[None]", storm: "asyncio.Task[None]", shown: Bar
) -> None:
    """Until the work is done; raises what ended it or the weather, and when nothing moves any more."""
    moved, over = monotonic_ms(), 0
    while not work.done():
        await asyncio.wait({work, storm}, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        if storm.done():
            storm.result()
        if entrants.over > over:
            moved, over = monotonic_ms(), entrants.over
        elif monotonic_ms() - moved > STALL_S * 1e3:
            view = entrants.floor.trader.view()
            raise CampaignError(
                f"seed {plan.seed}: no bracket ended in {STALL_S:.0f} s; {dict(view.locked)}, "
                f"trips {sorted(view.killed.trips)}, blocks {sorted(b.code for b in view.blocks)}"
            )
        shown.show(entrants.over / plan.brackets, f"{entrants.over} brackets")
    work.result()


@asynccontextmanager
async def exchange(symbols: Sequence[str], seed: int, speed: float) -> AsyncIterator[Exchange]:
    """The emulated exchange as a child, with a few days of history. It keeps nothing on disk, and allows so many
    requests as fifty symbols in constant motion need."""
    options = {
        "speed": f"{speed:g}", "seed": str(seed), "universe": ",".join(symbols), "history-days": "3", "weight": "24000",
    }  # fmt: skip
    words = (word for name, value in options.items() for word in (f"--{name}", value))
    async with spawned("--forget", *words) as found:
        yield found
