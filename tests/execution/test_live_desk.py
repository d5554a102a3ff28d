"""The live part of the worker beside a real API on one database, against an exchange with faults."""

import asyncio
import contextlib
import functools
import inspect
import io
import itertools
import logging
import os
import sys
from decimal import Decimal
from pathlib import Path

import aiohttp
import numpy as np
import psycopg
import pytest
import structlog

from apps.api.tests.running import running
from apps.watchdog.__main__ import credentials_of
from apps.worker_realtime import account_gate, live
from apps.worker_realtime.lease import TradingLease
from apps.worker_realtime.link import DeskLink
from apps.worker_realtime.live import Surroundings, TappedStream, live_trading
from apps.worker_realtime.model_source import ModelSource
from apps.worker_realtime.publisher import StatePublisher
from packages.common.bus import Bus
from packages.common.config import load_settings
from packages.common.errors import PlatformError
from packages.common.logging import configure_logging
from packages.common.time import MINUTE_MS, ScaledClock, monotonic_ms
from packages.common.types import AccountDTO, PositionDTO
from packages.common.writer import BatchWriter
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials, load_credentials
from packages.exchange.binance.streams import BinanceStream
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import floor_quantity, round_price
from services.emulator.config import EmulatorConfig
from services.emulator.keys import ApiKey
from services.emulator.testing import served
from services.execution.assembly import trading_desk
from services.execution.core.events import Timer
from services.execution.core.state import Phase
from services.execution.ports import EntryOrder, TraderConfig
from tests.execution.conftest import SYMBOLS

pytestmark = pytest.mark.integration
D = Decimal
KEY, SECRET = "distinctiveKey" + "K7" * 25, "distinctiveSecret" + "S9" * 24
# What the search for keys must have looked at: the log of every way an order can go wrong.
SIGNS = ("order_unknown", "ENTRY_REJECTED", "STOP_REFUSED", "user_stream", "trader_started")
WITHDRAWS = ApiKey("withdrawingKey" + "W3" * 25, SECRET, account="other", withdraw=True)


class Bars:
    """The feed's answer: every bar is there as soon as it can be."""

    def __init__(self, clock):
        self._clock = clock

    symbols = SYMBOLS

    def last_ts(self, symbol):
        return self._clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS


class LiveDesk:
    """What a test drives."""

    def __init__(self, exchange, trading, server, venue, clock, instruments, url):
        self.exchange, self.live, self.server, self.venue, self.clock = exchange, trading, server, venue, clock
        self.instruments, self.url, self.answers = instruments, url, []

    async def call(self, method, path, status, **body):
        """An answer of the API, kept with the others."""
        async with self.server.client.request(method, path, json=body or None) as answer:
            self.answers.append(await answer.text())
            assert answer.status == status, self.answers[-1]
            return await answer.json(content_type=None)

    async def until(self, done, within_s=60.0):
        end = monotonic_ms() + within_s * 1e3
        while True:
            found = done()
            found = await found if inspect.isawaitable(found) else found
            if found:
                return found
            assert monotonic_ms() < end, self.live.trader.view()
            await asyncio.sleep(0.05)

    async def risk(self):
        return (await self.call("GET", "/api/risk/state", 200))["live"]

    async def enter(self, symbol, number):
        info, mark = self.instruments[symbol], D(repr((await self.venue.premium_index(symbol))[0].mark))
        now = self.clock.now_ms()
        self.live.trader.enter(
            EntryOrder(
                f"d{number}", symbol, 1, floor_quantity(info, D(500) / mark, market=True), 5,
                round_price(info, mark * D("0.95"), up=False), round_price(info, mark * D("1.05"), up=True), mark, now,
                now + 86_400_000,
            )
        )  # fmt: skip

    def phase(self, symbol):
        return self.live.trader.view().locked.get(symbol, Phase.FLAT)

    async def protected(self, symbol, number):
        """Until it is. What lapsed was never sent and is decided anew, as the kernel would in the next minute: a lease
        is as young as a busy machine lets it be."""
        tries = itertools.count(number * 1_000)

        async def stands():
            view = self.live.trader.view()
            if symbol not in view.entering and symbol not in view.locked:
                await self.enter(symbol, next(tries))
            return self.phase(symbol) is Phase.PROTECTED

        await self.until(stands)


@contextlib.asynccontextmanager
async def live_desk(market, folder, postgres_url, redis_url, key=ApiKey(KEY, SECRET)):  # noqa: B008 - a value
    """Recovered, with its account asked once."""
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for symbol in SYMBOLS:
            conn.execute("INSERT INTO instruments (symbol) VALUES (%s)", (symbol,))
        conn.execute(
            "INSERT INTO models VALUES (gen_random_uuid(), now(), 'lgbm', 1, 'h', now(), now(), '{}', 'u', false, "
            "'demo', 'c', '{}')"
        )
        conn.execute(
            "INSERT INTO model_pointers (kind, model_id, set_by, reason) SELECT 'demo', model_id, 't', 'r' FROM models"
        )
    config = EmulatorConfig(
        speed=1.0, history_days=3, universe=SYMBOLS, mark_updates=60, kline_updates=60,
        keys=(ApiKey(KEY, SECRET), WITHDRAWS),
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(served(config, source=market))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        settings = load_settings(
            None, mode="live", speed=1.0, var_dir=folder, universe=SYMBOLS, database_url=postgres_url,
            redis_url=redis_url, exchange_rest_url=exchange.rest_url, exchange_ws_url=exchange.ws_url, instance="desk",
        )  # fmt: skip
        clock, rng = ScaledClock(0, 1.0), np.random.default_rng(1)
        endpoints = endpoints_for("emulator", exchange.rest_url, exchange.ws_url)
        venue = BinanceRest(session, endpoints, clock, rng, credentials=Credentials(key.key, key.secret))
        await sample_clock(venue, clock, 3)
        writer = await stack.enter_async_context(BatchWriter(postgres_url, folder / "spill", flush_interval_ms=100))
        lease, said = TradingLease(postgres_url), {}
        link = DeskLink(postgres_url, lambda: said["status"]() if said else {})
        around = Surroundings(
            venue, clock, lease, link, writer, ModelSource(postgres_url), Bars(clock), SYMBOLS, lambda: False
        )
        around.model_age_ms = lambda: 0.0  # no package stands behind the pointer
        watchers = [around.see]
        stream = TappedStream(BinanceStream(session, endpoints, clock, rng, symbols=SYMBOLS), watchers)

        async def listen():
            async with stream:
                async for _ in stream.batches():
                    pass

        publisher = StatePublisher((await stack.enter_async_context(Bus(redis_url))).publish)
        works = (listen(), lease.run(), link.run(), around.watch_clock(), publisher.run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            async with live_trading(
                settings, session, venue, clock, rng, writer, publisher.publish, link, around, SYMBOLS
            ) as trading:
                watchers.append(trading.see)
                trading.lease_grace_ms = 300.0  # nobody held the lease before
                tasks += [asyncio.create_task(trading.obey()), asyncio.create_task(trading.tell())]
                said["status"] = lambda: {"live": trading.status() | {"gate": trading.gate.status()}}
                server = await stack.enter_async_context(running(settings))
                instruments = (await venue.exchange_info()).instruments
                desk = LiveDesk(exchange, trading, server, venue, clock, instruments, postgres_url)

                async def told():
                    state = await desk.risk()
                    recovered = state is not None and state["ready"] and around.lease_settled
                    settling = Phase.SETTLING in trading.trader.view().locked.values()
                    return recovered and not settling and trading.gate.permits() is (key.withdraw is False)

                await desk.until(told)
                yield desk
                assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Waits that a real exchange needs and a local one does not."""
    monkeypatch.setattr(account_gate, "_APART_S", 0.2)
    quick = TraderConfig(delays={Timer.WINDOW: 1_000, Timer.READ: 300}, poll_s=1.0, account_s=2.0)
    monkeypatch.setattr(live, "trading_desk", functools.partial(trading_desk, config=quick))


async def test_the_operator_turns_live_on_halts_closes_pauses_and_flattens(market, tmp_path, postgres_url, redis_url):
    async with live_desk(market, tmp_path, postgres_url, redis_url) as desk:

        async def ready():
            rows = (await desk.call("GET", "/api/trading/gate", 200))["conditions"]
            return not {row["code"] for row in rows if not row["met"]} - {"NOT_CONFIRMED", "HEDGE_MODE"}

        await desk.until(ready)
        # somebody's hand on the account, found at the very request
        hand = {"method": "POST", "path": "/fapi/v1/positionSide/dual", "params": {"dualSidePosition": "true"}}
        await desk.exchange.control.hand(**hand)
        refused = await desk.call("POST", "/api/trading/toggle", 409, mode="live", reason="r", confirm="LIVE")
        assert "HEDGE_MODE" in [row["code"] for row in refused["conditions"]]
        assert not desk.live.gate.permits()
        await desk.exchange.control.hand(**{**hand, "params": {"dualSidePosition": "false"}})
        await desk.until(ready)  # the stop path was found broken too
        await desk.call("POST", "/api/trading/toggle", 202, mode="live", reason="r", confirm="LIVE")
        assert desk.live.gate.permits()

        screen = await Screen.open(desk)
        await desk.protected("BTCUSDT", 1)
        await desk.protected("ETHUSDT", 2)
        await screen.shows_what_is_held(desk, "BTCUSDT", "ETHUSDT")
        state = await desk.until(lambda: desk_state(desk, 2))
        assert (state["unprotected"], state["stop_path_proven"]) == ([], True)
        await desk.call("POST", "/api/positions/BTCUSDT/close", 202, reason="enough")
        await desk.call("POST", "/api/positions/SOLUSDT/close", 202, reason="there is none")
        await desk.call("POST", "/api/symbols/XRPUSDT/pause", 202, reason="news")

        async def answered():
            rows = await desk.call("GET", "/api/trading/commands", 200)
            return rows if all(row["state"] != "waiting" for row in rows) else None

        rows = {row["symbol"]: row for row in await desk.until(answered)}
        assert rows["BTCUSDT"]["state"] == rows["XRPUSDT"]["state"] == "done"
        assert (rows["SOLUSDT"]["state"], "nothing is open" in rows["SOLUSDT"]["outcome"]) == ("refused", True)
        await desk.until(lambda: desk.phase("BTCUSDT") is Phase.FLAT)
        await desk.enter("XRPUSDT", 3)
        await asyncio.sleep(0.5)
        assert desk.phase("XRPUSDT") is Phase.FLAT

        switch = "/api/trading/kill-switch"
        await desk.call("POST", switch, 202, action="halt", reason="look")
        await desk.until(lambda: desk.live.trader.killed.word == "HALTED")
        await desk.enter("SOLUSDT", 4)
        await asyncio.sleep(0.5)
        assert (desk.phase("SOLUSDT"), desk.phase("ETHUSDT")) == (Phase.FLAT, Phase.PROTECTED)
        await desk.call("POST", switch, 202, action="flatten", reason="go")

        async def flat():
            found = await desk.call("GET", "/api/risk/state", 200)
            return found if found["kill_switch"] == found["live"]["latch"] == "FLAT" else None

        state = await desk.until(flat)
        assert state["live"]["trips"][0]["detail"] == "go"
        await screen.until("position_updates", lambda rows: rows == [])
        await screen.socket.close()
        assert (await desk.exchange.control.audit())["accounts"]["main"]["positions"] == []
        await desk.call("POST", switch, 202, action="resume", reason="over")
        await desk.until(lambda: desk.live.trader.killed.word == "RUNNING")


class Screen:
    """A socket of the desk, and the newest it was told."""

    def __init__(self, socket):
        self.socket, self.told = socket, {}

    @classmethod
    async def open(cls, desk):
        socket = await desk.server.client.ws_connect("/ws")
        await socket.send_json({"op": "subscribe", "channels": ["position_updates", "account_updates"]})
        return cls(socket)

    async def until(self, channel, done, within_s=20.0):
        async with asyncio.timeout(within_s):
            while channel not in self.told or not done(self.told[channel]):
                frame = await self.socket.receive_json()
                self.told[frame.get("channel")] = frame.get("data")
        return self.told[channel]

    async def shows_what_is_held(self, desk, *symbols):
        rows = await self.until(
            "position_updates", lambda rows: {row["symbol"] for row in rows if row["protected"]} == set(symbols)
        )
        believed = desk.live.trader.view().positions
        for row in rows:
            shown, held = PositionDTO.model_validate(row), believed[row["symbol"]]
            assert (shown.mode, shown.side, D(repr(shown.amt))) == ("live", "LONG", held.amount)
            assert (shown.sl_price, shown.tp_price) == (float(held.stop_price), float(held.target_price))
            assert shown.liquidation_price == float(held.liquidation_price) < shown.sl_price
            assert 0.0 < shown.margin_ratio < 1.0 < shown.risk_at_stop
            assert shown.notional == pytest.approx(shown.amt * shown.mark_price)
            assert shown.unrealized_pnl == pytest.approx(shown.amt * (shown.mark_price - shown.entry_price), abs=1e-6)
            assert shown.unprotected_since is None
        (account,) = await self.until("account_updates", lambda rows: rows and rows[0]["used_margin"] > 0)
        assert AccountDTO.model_validate(account).mode == "live"


async def desk_state(desk, positions):
    state = await desk.risk()
    return state if state is not None and state["positions"] == positions else None


async def test_a_key_that_may_withdraw_is_refused_and_enters_nothing(market, tmp_path, postgres_url, redis_url):
    async with live_desk(market, tmp_path, postgres_url, redis_url, WITHDRAWS) as desk:
        found = await desk.call("POST", "/api/trading/toggle", 409, mode="live", reason="r", confirm="LIVE")
        assert "KEY_WITHDRAWALS_ALLOWED" in [row["code"] for row in found["conditions"]]
        # even if the toggle had been there before this key was put in
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute("UPDATE trading_state SET toggle = 'live', version = version + 1")
        await asyncio.sleep(1.0)
        assert desk.live.gate.faults() == ("KEY_WITHDRAWALS_ALLOWED",)
        assert not desk.live.gate.permits()


async def test_no_key_is_written_anywhere(market, tmp_path, postgres_url, redis_url, monkeypatch):
    """Trade under faults, then search logs, tables, journal, state files, answers and errors."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    before = (logging.getLogger().handlers[:], logging.getLogger().level, structlog.get_config())
    configure_logging("debug")
    try:
        async with live_desk(market, tmp_path, postgres_url, redis_url) as desk:
            await desk.until(desk.live.trader.stop_path_proven)
            fault = desk.exchange.control.fault
            for kind, leg, more in (
                ("order_lost", "entry", {}), ("order_rejected", "entry", {"after": 1, "code": -2019}),
                ("order_unknown", "stop", {}), ("order_rejected", "stop", {"after": 1, "code": -4120}),
                ("rest_500", "target", {}), ("rest_503", "query", {"after": 5}),
                ("order_late", "exit", {"delay_ms": 500}),
            ):  # fmt: skip
                await fault(kind=kind, leg=leg, times=1, in_ms=0, for_ms=60_000, **more)
            await fault(kind="event_garbled", share=0.3, times=3, in_ms=0, for_ms=60_000)
            await fault(kind="drop_connection", category="private", every_ms=3_000, times=1, in_ms=2_000, for_ms=60_000)
            for number, symbol in enumerate(SYMBOLS):
                await desk.enter(symbol, number)
            faults = desk.exchange.emulator.faults
            await desk.until(lambda: faults.state()[-1]["fired"] and all(sign in said.getvalue() for sign in SIGNS))
            await desk.exchange.control.clear()
            await desk.call("GET", "/api/trading/gate?anew=true", 200)
            await desk.risk()
            await desk.call("POST", "/api/trading/kill-switch", 202, action="flatten", reason="end")
            wrong = BinanceRest(
                desk.venue.transport._session, desk.venue.transport.endpoints, desk.clock, np.random.default_rng(2),
                credentials=Credentials(KEY, SECRET + "x"),
            )  # fmt: skip
            with pytest.raises(PlatformError) as refused:
                await wrong.leverage_brackets()
            said.write(f"{refused.value!r} {refused.value} {refused.value.__dict__} {wrong.__dict__}")
            await desk.until(lambda: desk.live.trader.killed.flat)
            answers = "\n".join(desk.answers)
            processes = {"status": desk.live.status(), "gate": desk.live.gate.status()}
        for given in ({"EXCHANGE_API_SECRET": SECRET}, {"EXCHANGE_API_KEY": KEY + " ", "EXCHANGE_API_SECRET": SECRET},
                      {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": f"-----BEGIN {SECRET}"}):  # fmt: skip
            for load in (load_credentials, credentials_of):
                with pytest.raises(PlatformError) as refused:
                    load(given)
                said.write(f"{refused.value!r} {refused.value}")
    finally:
        root = logging.getLogger()
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])
    places = {"log": said.getvalue(), "answers": answers, "status": repr(processes)}
    places |= {str(path): path.read_bytes().decode("latin-1") for path in files_of(tmp_path)}
    with psycopg.connect(postgres_url) as conn:
        for (table,) in conn.execute(
            "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall():
            places[table] = "\n".join(row[0] for row in conn.execute(f"SELECT t::text FROM {table} t"))
    assert all(sign in places["log"] for sign in SIGNS)
    assert places["orders"]
    assert places["process_status"]
    assert any("journal.ndjson" in name and "intent_opened" in text for name, text in places.items())
    for secret in (KEY, SECRET):
        assert not [name for name, text in places.items() if secret in text]


def files_of(folder: Path):
    return [Path(at) / name for at, _, names in os.walk(folder) for name in names]
