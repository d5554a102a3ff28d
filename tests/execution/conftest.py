"""A trading desk on a served exchange, with nothing between them but the wire."""

import asyncio
import bisect
import contextlib
import time
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from packages.common.time import ScaledClock, monotonic_ms
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import floor_quantity, round_price
from services.emulator.config import EmulatorConfig
from services.emulator.generator import GeneratedMarket, default_config
from services.emulator.testing import served
from services.emulator.venue.switches import Switches
from services.execution import books, kill_switch
from services.execution.assembly import trading_desk
from services.execution.canary import ProofRules, Proofs
from services.execution.core.events import Timer
from services.execution.core.state import Phase
from services.execution.ports import EntryOrder, TraderConfig
from services.userstream.recorder import Recorder

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT")
D = Decimal
CALM = asdict(Switches())
SPEED = 30.0
WATCH_MS = 2_500


@dataclass
class Rows:
    """Where rows and messages go: kept as they come."""

    tables: dict = field(default_factory=dict)
    messages: list = field(default_factory=list)

    def put(self, table, rows):
        self.tables.setdefault(table, []).extend(rows)

    def publish(self, channel, message):
        self.messages.append((channel, message))

    def unbooked(self):
        newest = {row["intent_id"]: row for row in self.of("order_intents")}
        left = [row for row in newest.values() if row["state"] not in books.DONE]
        return [books.unbooked_of(row["kind"], row["symbol"], row["created_at"], row["payload"]) for row in left]

    def of(self, table, **match):
        return [row for row in self.tables.get(table, []) if all(row[k] == v for k, v in match.items())]


class Calm:
    """Nothing speaks against anything, and what is asked of the market is asked of the venue."""

    def __init__(self, venue):
        self.venue, self.tiers, self.lasts, self.lost = venue, {}, {}, ()

    def lease_age_ms(self):
        return 0.0

    def stores_lost(self):
        return self.lost

    def data_ages(self):
        return {}

    def clock_skew_ms(self):
        return 0.0

    def model_age_ms(self):
        return 0.0

    def last(self, symbol):
        return self.lasts.get(symbol)

    def brackets(self, symbol):
        return self.tiers.get(symbol)

    async def instruments(self):
        return (await self.venue.exchange_info()).instruments

    async def book_top(self, symbol):
        return await self.venue.book_top(symbol)

    async def mark_bars(self, symbol, start_ms, end_ms):
        return await self.venue.mark_klines(symbol, start_ms, end_ms)


class Pulse:
    """Tells time that the desk took from time in which the machine gave this process no processor: a bound in wall
    milliseconds is a claim about the one and not about the other. Our own work, however long, is the desk's time."""

    EVERY_MS = 10.0

    def __init__(self):
        self._at, self._lost = [monotonic_ms()], [0.0]  # when it beat, and all that was lost until then

    async def beat(self):
        at, used = self._at[0], time.process_time() * 1e3
        while True:
            await asyncio.sleep(self.EVERY_MS / 1e3)
            before, worked, at, used = at, used, monotonic_ms(), time.process_time() * 1e3
            idle = at - before - (used - worked) - self.EVERY_MS
            self._at.append(at)
            self._lost.append(self._lost[-1] + (idle if idle > self.EVERY_MS else 0.0))

    def lasted(self, begin, end):
        """Milliseconds between two monotonic ones, without what was lost."""
        first, last = bisect.bisect_left(self._at, begin), bisect.bisect_right(self._at, end)
        return end - begin - max(0.0, self._lost[min(last, len(self._lost) - 1)] - self._lost[max(first - 1, 0)])


class Desk:
    """A trader and what a test asks of it."""

    def __init__(self, exchange, trader, rows, venue, clock, instruments, outside, pulse):
        self.exchange, self.trader, self.rows, self.venue, self.clock = exchange, trader, rows, venue, clock
        self.instruments, self.outside, self.pulse, self._count, self._told = instruments, outside, pulse, 0, 0

    async def mark(self, symbol):
        return D(repr((await self.venue.premium_index(symbol))[0].mark))

    async def order(self, symbol="BTCUSDT", direction=1, *, notional=500, stop=0.05, target=0.05, hold_ms=86_400_000):
        """A bracket at the mark; distances are fractions of it."""
        mark, info = await self.mark(symbol), self.instruments[symbol]
        self.trader.see_mark(symbol, mark)
        self.outside.lasts[symbol] = mark
        self._count += 1
        return EntryOrder(
            f"t{self._count}", symbol, direction, floor_quantity(info, D(notional) / mark, market=True), 5,
            round_price(info, mark * (1 - direction * D(str(stop))), up=direction < 0),
            round_price(info, mark * (1 + direction * D(str(target))), up=direction > 0),
            mark, self.clock.now_ms(), self.clock.now_ms() + hold_ms,
        )  # fmt: skip

    async def until(self, done, within_s=60.0):
        """Wait for a condition; how long it may take is no claim of a test."""
        end = monotonic_ms() + within_s * 1e3
        while not done():
            assert monotonic_ms() < end, f"not within {within_s} s: {self.trader.view()}"
            await asyncio.sleep(0.01)

    async def read_rules(self):
        """The exchange's rules as they are now, as a worker follows them."""
        self.instruments = (await self.venue.exchange_info()).instruments
        self.trader.use_instruments(self.instruments)

    async def enter(self, **kwargs):
        order = await self.order(**kwargs)
        self.trader.enter(order)
        return order

    async def protected(self, **kwargs):
        order = await self.enter(**kwargs)
        await self.until(lambda: self.phase(order.symbol) is Phase.PROTECTED)
        return order

    def phase(self, symbol="BTCUSDT"):
        return self.trader.view().locked.get(symbol, Phase.FLAT)

    async def flat(self, symbol="BTCUSDT"):
        await self.until(lambda: self.phase(symbol) is Phase.FLAT)

    async def audit(self):
        return (await self.exchange.control.audit())["accounts"]["main"]

    # --- scenarios on a shared desk ---

    @property
    def hand(self):
        """Somebody else with the account's key."""
        return BinanceTrading(self.venue.transport, self.instruments)

    async def fault(self, **fault):
        """One fault now; ``for_s`` and ``delay_s`` in seconds of ours."""
        for name in {"for_s", "delay_s"} & fault.keys():
            fault[name.replace("_s", "_ms")] = int(fault.pop(name) * 1e3 * self.clock.speed)
        await self.exchange.control.fault(**fault)

    async def struck(self):
        """Wait until the last fault has struck."""
        await self.until(lambda: self.exchange.emulator.faults.state()[-1]["fired"])

    async def calm(self):
        """Good weather, nothing open, nothing tripped: where every scenario begins."""
        await self.exchange.control.clear()
        await self.exchange.control.switch(**CALM)
        self.outside.lost = ()
        await self.venue.transport.resync()
        await self.read_rules()
        for symbol, phase in self.trader.view().locked.items():
            if phase not in (Phase.SETTLING, Phase.FLAT):
                self.trader.close(symbol, "operator")
        await self.until(lambda: not self.trader.view().locked and not self.trader.killed.blocks)
        told = self.trader.desk.translator  # a hand's order of before is known for one only after a while
        await self.until(lambda: not (told._unclaimed or told._long_unclaimed))
        await self.until(lambda: not self.trader.view().locked)  # nor is its symbol free before that
        # A socket that a scenario of before dropped may be noticed only now, and entries lapse while it is down.
        await self.until(lambda: self.trader.view().stream_up)
        self.trader.command(kill_switch.Resume("the next scenario", "test"))
        for symbol in SYMBOLS:
            self.trader.see_mark(symbol, await self.mark(symbol))
        now = self.clock.now_ms()
        self.trader.stop_path.proofs = Proofs({"A": now, "B": now})

    def codes(self):
        """Codes of the risk events since the scenario began."""
        return [row["event_type"] for row in self.rows.of("risk_events")[self._told :]]

    def naked_ms(self, rows):
        """How long positions were without a stop, as the audit's ``rows`` say, by the pulse."""
        ahead = self.exchange.emulator.trading.audited()["wall_ms"] - monotonic_ms()
        return [round(self.pulse.lasted(row["from_wall_ms"] - ahead, row["to_wall_ms"] - ahead)) for row in rows]

    @contextlib.asynccontextmanager
    async def scenario(self, *, bound_ms=1_000.0, lives=1, trip=None):
        """From calm to flat. Whatever happened: no position was without a stop for longer than ``bound_ms``, no entry
        was made twice, nothing stands without a position, ``lives`` were booked as the exchange did, and the latch is
        where ``trip`` says."""
        await self.calm()
        before, booked, self._told = await self.audit(), len(self.rows.of("trades")), len(self.rows.of("risk_events"))
        self.since = before
        yield
        await self.exchange.control.clear()
        await self.until(lambda: not self.trader.view().locked)
        codes = self.codes()
        if trip:  # judged beside what it follows from
            await self.until(lambda: self.trader.killed.code)
        assert self.trader.killed.code == (trip or ""), (self.trader.killed, codes)
        after = await self.audit()
        naked = after["naked"][len(before["naked"]) :]
        assert all(row["end"] for row in naked)
        lasted = self.naked_ms(naked)
        assert all(ms <= bound_ms for ms in lasted), (lasted, naked)
        assert after["duplicates"] == after["stacked"] == after["orphans"] == []
        assert after["positions"] == []
        assert after["summary"]["differences"] == []
        assert len(after["episodes"]) - len(before["episodes"]) == lives
        await self.until(lambda: len(self.rows.of("trades")) - booked == lives)
        net = sum((D(repr(row["net"])) for row in self.rows.of("trades")[booked:]), D(0))
        gained = D(after["summary"]["wallet"]) - D(before["summary"]["wallet"])
        assert net.quantize(D("1e-8")) == gained.quantize(D("1e-8"))

    async def posted(self, path):
        """How often the exchange was asked to do something, whatever it answered."""
        return sum((await self.exchange.control.audit(rows=False))["answers"].get(f"POST {path}", {}).values())

    async def new(self, what):
        """Rows of the audit that came since the scenario began."""
        return (await self.audit())[what][len(self.since[what]) :]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(market, tmp_path_factory):
    """One desk for all scenarios of a module; each begins with ``scenario``. Gaps and halts of the market begin with a
    minute: here after two seconds at most. It reads the account more often than the
    weight of the exchange allows, so there is more of it."""
    config = EmulatorConfig(speed=SPEED, history_days=3, universe=SYMBOLS, weight_per_minute=100_000)
    delays = {Timer.WATCH: WATCH_MS, Timer.LIST: 1_500}
    async with (
        served(config, source=market) as exchange,
        desk_on(exchange, tmp_path_factory.mktemp("desk"), speed=SPEED, delays=delays) as found,
    ):
        yield found


@pytest.fixture(scope="session")
def market():
    return GeneratedMarket(default_config(SYMBOLS, 7, 0.0))


@contextlib.asynccontextmanager
async def desk_on(
    exchange, folder, *, speed=1.0, proofs=None, instance="desk", rows=None, delays=None, user_path=None, **config
):
    """A desk that has recovered. ``proofs`` None: it trades as if tier B had been seen just now. ``rows`` of a former
    life: what it left unbooked is booked."""
    rows = Rows() if rows is None else rows
    pulse = Pulse()
    async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        beating = asyncio.create_task(pulse.beat())
        stack.callback(beating.cancel)
        clock, rng = ScaledClock(0, speed), np.random.default_rng(1)
        endpoints = endpoints_for("emulator", exchange.rest_url, exchange.ws_url)
        if user_path is not None:
            endpoints = replace(endpoints, user_path=user_path)
        venue = BinanceRest(
            session, endpoints, clock, rng, credentials=Credentials(exchange.key.key, exchange.key.secret)
        )
        outside = Calm(venue)
        await sample_clock(venue, clock, 3)
        outside.tiers = {row.symbol: row for row in await venue.leverage_brackets()}
        instruments = (await venue.exchange_info()).instruments
        delays = {Timer.WINDOW: 1_000, Timer.READ: 300, **(delays or {})}
        rules = TraderConfig(
            proofs=ProofRules(),
            delays=delays,
            **{"reconcile_s": 2.0, "poll_s": 0.5, "account_s": 1.0, "stranger_s": 1.5, **config},
        )
        async with trading_desk(
            session, venue.transport, clock, rng, instruments, journal_path=folder / "journal.ndjson",
            instance=instance, universe=SYMBOLS, writer=rows, publish=rows.publish, outside=outside, config=rules,
            unbooked=rows.unbooked(),
            recorder=lambda trading, *names: Recorder(trading, rows, rows.publish, *names),
        ) as trader:  # fmt: skip
            desk = Desk(exchange, trader, rows, venue, clock, instruments, outside, pulse)
            for symbol in SYMBOLS:
                trader.see_mark(symbol, await desk.mark(symbol))
            # a symbol that was found flat is free only after the second reading
            await desk.until(lambda: trader.ready and Phase.SETTLING not in trader.view().locked.values())
            for symbol in SYMBOLS:
                trader.see_mark(symbol, await desk.mark(symbol))
            await desk.until(trader.stop_path_proven)
            if proofs is None:
                trader.stop_path.proofs = Proofs({"A": clock.now_ms(), "B": clock.now_ms()})
            yield desk


@pytest.fixture
def exchange_on(market):
    def serve(speed=1.0, **config):
        return served(
            EmulatorConfig(**{"speed": speed, "history_days": 3, "universe": SYMBOLS, **config}), source=market
        )

    return serve
