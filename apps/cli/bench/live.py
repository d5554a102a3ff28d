"""From fifty closed bars on the socket to entry requests on the wire: a live minute of the desk, whole.

The product's stream, collector, minute loop, live account and trader against an emulated exchange in another process.
The clock starts with the frame that makes the minute complete (the last symbol's closed candle, and its mark of the
instant after) and stops when the HTTP client has written an entry's request. The models compute every prediction;
those of a few symbols are then replaced by good ones, so that every minute has entries.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import numpy as np
from numpy.typing import NDArray

from apps.cli.bench import desk, inference, material
from apps.cli.bench.measure import Figure, Plan, at_most
from apps.cli.bench.wire import Rows, Signs, Wire
from apps.cli.campaign import Quiet
from apps.worker_realtime.account_gate import AccountGate
from apps.worker_realtime.engine import Decided, Engine
from apps.worker_realtime.link import DeskLink, TradingState
from apps.worker_realtime.live import LiveTrading, Surroundings, TappedStream, on_market
from apps.worker_realtime.loop import MinuteLoop
from packages.common.config import load_settings
from packages.common.time import DAY_MS, MINUTE_MS, ScaledClock, floor_minute, monotonic_ms
from packages.common.types import TARGETS, KlineUpdate, MarkTick
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.streams import BinanceStream
from packages.exchange.clock_sync import sample_clock
from packages.exchange.port import Brackets, InstrumentInfo, StreamItem
from services.collector.collector import Collector, CollectorConfig
from services.emulator.testing import Exchange, spawned
from services.execution.assembly import trading_desk
from services.execution.canary import ProofRules
from services.execution.core.events import Timer
from services.execution.core.state import Phase
from services.execution.guards import EntryLimits
from services.execution.kill_switch import Limits
from services.execution.ports import EntryOrder, TraderConfig
from services.execution.trader import Trader
from services.inference.predictor import Predictor
from services.simulator.build import SymbolRules
from services.userstream.recorder import Recorder

SYMBOLS, ENTRIES = 50, 3
SPEED, MARK_UPDATES = 20.0, 20  # a minute every three seconds, and its messages
HISTORY_MS = 2 * DAY_MS  # until every feature is known
_NEVER = 10**6


def measure(plan: Plan) -> Iterator[Figure]:
    """Figures of one entry and of one stop each, up to three a minute."""
    trees = plan.size(500, 60)
    boosters = inference.boosters(trees, plan.size(20_000, 3_000))
    took = asyncio.run(_campaign(boosters, plan.size(100, 8)))
    p50, p99 = np.percentile(took.entries, [50, 99])
    work = f"{SYMBOLS} closed bars received → entry requests on the wire, 10 models x {trees} trees"
    yield Figure("execution", f"{work}, p50 of {len(took.entries)}", float(p50), "ms")
    yield at_most("execution", f"{work}, p99 of {len(took.entries)}", float(p99), "ms", limit=60.0)
    yield Figure("execution", "of it features and decisions, p50", float(np.median(took.decisions)), "ms")
    p50, p99 = np.percentile(took.stops, [50, 99])
    work = "first sign of their fills → stop requests on the wire"
    yield Figure("execution", f"{work}, p50 of {len(took.stops)}", float(p50), "ms")
    yield at_most("execution", f"{work}, p99 of {len(took.stops)}", float(p99), "ms", limit=5.0)


@dataclass
class _Took:
    """Wall milliseconds."""

    entries: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)


class _Eager:
    """A model whose last word on ``favourites`` (row numbers) is that they rise."""

    def __init__(self, model: Predictor) -> None:
        self._model = model
        self.model_id, self.label_spec = model.model_id, model.label_spec
        self.favourites: Sequence[int] = ()

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        out = self._model.predict(inputs)
        out[:, [TARGETS.index("er_long"), TARGETS.index("er_short")]] = -1.0
        good = {"er_long": 0.03, "q05_long": -1e-3, "e_mae_long": 1e-3, "e_hold_long": 30.0, "p_tp_long": 0.9}
        for row in self.favourites:
            out[row, [TARGETS.index(name) for name in good]] = list(good.values())
        return out


class _Complete:
    """When the last message came that a minute needs, by the minute's open."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._closed: dict[int, set[str]] = defaultdict(set)
        self._ended: dict[int, set[str]] = defaultdict(set)
        self.at: dict[int, float] = {}

    def see(self, item: StreamItem) -> None:
        if isinstance(item, KlineUpdate) and item.closed:
            self._note(self._closed, item.bar.ts_ms, item.bar.symbol)
        elif isinstance(item, MarkTick):
            self._note(self._ended, floor_minute(item.event_ts_ms) - MINUTE_MS, item.symbol)

    def _note(self, seen: dict[int, set[str]], ts_ms: int, symbol: str) -> None:
        if ts_ms not in self.at:
            seen[ts_ms].add(symbol)
            if len(self._closed[ts_ms]) == len(self._ended[ts_ms]) == self._n:
                self.at[ts_ms] = monotonic_ms()


class _Timed:
    """``LiveMinutes`` with an ear: every minute other symbols are the model's favourites, and positions are closed as
    soon as they are protected."""

    def __init__(self, live: LiveTrading, loop: MinuteLoop, model: _Eager, complete: _Complete, wire: Wire) -> None:
        self._live, self._loop, self._model, self._complete, self._wire = live, loop, model, complete, wire
        self._began: dict[str, float] = {}
        self.took, self.minutes = _Took(), 0
        self._enter, self._signs = live.trader.enter, Signs(live.trader, wire)
        setattr(live.trader, "enter", self._hear)  # noqa: B010 - an ear for this measurement

    def minute(self, shadow: Decided, engine: Engine, late_ms: int, decided_at_ms: int) -> None:
        self._live.minute(shadow, engine, late_ms, decided_at_ms)
        self.took.decisions.append(self._loop.progress.timings["minute"])
        self.minutes += 1
        first = self.minutes * ENTRIES
        self._model.favourites = [n % len(engine.symbols) for n in range(first, first + ENTRIES)]

    def _hear(self, order: EntryOrder) -> None:
        began = self._complete.at.get(order.decided_ts_ms - MINUTE_MS)
        if began is not None:
            self._began[order.symbol] = began
            for seen in (self._wire.entries, self._wire.answers, self._wire.stops, self._signs.at):
                seen.pop(order.symbol, None)
        self._enter(order)

    async def close_positions(self) -> None:
        """For ever."""
        while True:
            for symbol, phase in self._live.trader.view().locked.items():
                if phase is Phase.PROTECTED and symbol in self._began:
                    self.took.entries.append(self._wire.entries[symbol] - self._began.pop(symbol))
                    self.took.stops.append(self._wire.stops[symbol] - self._signs.at[symbol])
                    self._live.trader.close(symbol, "operator")
            await asyncio.sleep(0.05)


async def _campaign(boosters: list[str], minutes: int) -> _Took:
    with tempfile.TemporaryDirectory(prefix="perpilot-bench-") as folder:
        told = {
            "speed": f"{SPEED:g}", "universe": ",".join(material.names(SYMBOLS)), "history-days": "3",
            "weight": "1000000", "mark-updates": str(MARK_UPDATES), "var-dir": folder,
        }  # fmt: skip
        async with spawned(*(word for name, value in told.items() for word in (f"--{name}", value))) as exchange:
            return await _trade(exchange, Path(folder), boosters, minutes)


async def _trade(exchange: Exchange, folder: Path, boosters: list[str], minutes: int) -> _Took:
    wire, written, clock, rng = Wire(), Rows(), ScaledClock(0, SPEED), np.random.default_rng(1)
    symbols, settings = tuple(material.names(SYMBOLS)), load_settings(None, exchange="emulator", mode="live")
    async with aiohttp.ClientSession(trace_configs=[wire.tracing()]) as session:
        endpoints = endpoints_for("emulator", exchange.rest_url, exchange.ws_url)
        key = Credentials(exchange.key.key, exchange.key.secret)
        venue = BinanceRest(session, endpoints, clock, rng, credentials=key)
        await sample_clock(venue, clock, 5)
        instruments = (await venue.exchange_info()).instruments
        tiers = {row.symbol: row for row in await venue.leverage_brackets()}
        marks: dict[str, Decimal] = {}
        rates = Limits(  # every entry is closed at once, at a loss
            entries_minute=_NEVER, entries_hour=_NEVER, entries_day=_NEVER, day_loss=1.0, week_loss=1.0, drawdown=1.0
        )
        limits = on_market(EntryLimits(rates=rates, spread_bps=1e4, mark_gap_bps=1e4), SPEED)
        config = TraderConfig(proofs=ProofRules(), delays={Timer.WINDOW: 300, Timer.READ: 150}, account_s=5.0)
        async with trading_desk(
            session, venue.transport, clock, rng, instruments, journal_path=folder / "journal.ndjson",
            instance="bench", universe=symbols, writer=written, publish=written.publish,
            outside=Quiet(venue, marks, tiers),
            recorder=lambda trading, *names: Recorder(trading, written, written.publish, *names),
            config=config, limits=limits,
        ) as trader:  # fmt: skip
            model = _Eager(inference.predictor(boosters))
            rules = [_rules(instruments[symbol], tiers[symbol]) for symbol in symbols]
            loop = desk.minute_loop(symbols, model, written, written.publish, clock=clock, rules=rules)
            live = LiveTrading(
                trader,
                cast(Surroundings, SimpleNamespace(venue=venue, model_permitted=lambda _: True)),
                cast(DeskLink, SimpleNamespace(state=TradingState(toggle="live"), fresh=True)),
                settings.model_copy(update={"trading_enabled": True}),
                cast(Any, written),
                clock,
                instruments,
                limits,
                cast(AccountGate, SimpleNamespace(permits=lambda: True)),
                written.publish,
            )
            complete = _Complete(len(symbols))
            timed = _Timed(live, loop, model, complete, wire)

            def see(item: StreamItem) -> None:
                complete.see(item)
                live.see(item)
                if isinstance(item, MarkTick):
                    marks[item.symbol] = Decimal(repr(item.mark))

            def open_stream(names: Sequence[str]) -> TappedStream:
                return TappedStream(BinanceStream(session, endpoints, clock, rng, symbols=names), [see])

            start = floor_minute(clock.now_ms()) - HISTORY_MS
            history = CollectorConfig(min_samples=MARK_UPDATES - 2)
            collector = Collector(venue, open_stream, clock, dict.fromkeys(symbols, start), history)
            await _minutes(loop, collector, trader, timed, minutes)
            return timed.took


async def _minutes(loop: MinuteLoop, collector: Collector, trader: Trader, timed: _Timed, minutes: int) -> None:
    engine, loop.engine = loop.engine, None  # history is folded, not decided
    assert engine is not None
    policy = engine.params.policy._replace(loss_pause_bars=0)  # as above, in the kernel
    risk = engine.params.risk._replace(daily_loss_limit_pct=1.0)
    engine.params = engine.params._replace(policy=policy, risk=risk)

    async def pace() -> None:
        if not loop.progress.catching_up and trader.ready and trader.stop_path_proven():
            loop.engine, loop.live = engine, timed
        await asyncio.sleep(0)

    closing = asyncio.create_task(timed.close_positions())
    running = asyncio.create_task(loop.run(collector.run(), pace))
    try:
        async with asyncio.timeout(120 + 6 * minutes):
            while timed.minutes < minutes and not running.done() and not closing.done():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        for task in (running, closing):
            task.cancel()
        for task in (running, closing):
            with suppress(asyncio.CancelledError):
                await task


def _rules(info: InstrumentInfo, tiers: Brackets) -> SymbolRules:
    return SymbolRules(
        tick=float(info.tick_size or 0),
        step=float(max(info.market_step_size or 0, info.step_size or 0)),
        min_qty=float(max(info.market_min_qty or 0, info.min_qty or 0)),
        max_qty=float(info.market_max_qty or info.max_qty or np.inf),
        min_notional=float(info.min_notional or 0),
        liquidation_fee=float(info.liquidation_fee or 0),
        max_leverage=tiers.brackets[0].initial_leverage,
        brackets=tuple(
            (row.notional_cap, row.maint_margin_ratio, row.cum, float(row.initial_leverage)) for row in tiers.brackets
        ),
    )
