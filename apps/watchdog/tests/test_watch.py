"""The watchdog on a served exchange: its own client, a journal that a trader left, nothing else (execution.md 19)."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from apps.watchdog.__main__ import credentials_of
from apps.watchdog.core import Alarm, Cancel, Exit, PlaceStop, Rules
from apps.watchdog.watch import Watchdog, places
from packages.common import ids
from packages.common.errors import SettingsError
from packages.common.time import ScaledClock, monotonic_ms, wall_ms
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.binance.transport import RestConfig
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import floor_quantity, round_price
from packages.exchange.trading import Accepted, Side
from services.emulator.config import EmulatorConfig
from services.emulator.generator import GeneratedMarket, default_config
from services.emulator.testing import served
from services.execution.core.events import Intent
from services.execution.core.state import Bracket, Limits
from services.execution.journal import IntentOpened, Journal, NumbersReserved
from services.execution.translate import Translator

D = Decimal
UNIVERSE = ("BTCUSDT", "ETHUSDT")
ROOT = Path(__file__).resolve().parents[3]
AGREE = Rules(agree_ms=300)
FOR_EVER = {"in_ms": 0, "for_ms": 3_600_000}


@pytest.fixture(scope="module")
def market():
    return GeneratedMarket(default_config(UNIVERSE, 7, 0.0))


@dataclass
class Scene:
    """An account, the journal of a trader that is gone, and the watchdog."""

    exchange: object
    trading: BinanceTrading
    venue: BinanceRest
    files: object
    dog: Watchdog
    instruments: dict

    async def mark(self):
        [row] = await self.venue.premium_index("BTCUSDT")
        return D(repr(row.mark))

    async def hold(self, direction=1, stop=0.05):
        """A position with a plan in the journal and no stop. Returns the intent."""
        mark, info = await self.mark(), self.instruments["BTCUSDT"]
        stop_price = round_price(info, mark * (1 - direction * D(str(stop))), up=False)
        target = round_price(info, mark * (1 + direction * D("0.2")), up=False)
        quantity = floor_quantity(info, D(500) / mark, market=True)
        intent = Intent("d1", direction, quantity, stop_price, target, self.venue.transport.clock.now_ms() + 86_400_000)
        names = [ids.client_order_id("desk", "d1", leg, 1) for leg in (ids.Leg.ENTRY, ids.Leg.STOP, ids.Leg.TARGET)]
        journal, _ = Journal.open(self.files.journal, "desk")
        await journal.append(NumbersReserved("BTCUSDT", 400))
        await journal.append(IntentOpened("BTCUSDT", intent, 1, 0, *names))
        journal.close()
        side = Side.BUY if direction > 0 else Side.SELL
        outcome = await self.trading.place_market("BTCUSDT", side, quantity, names[0], reduce_only=False)
        assert isinstance(outcome, Accepted)
        return intent

    def worker_lives(self):
        self.files.worker.parent.mkdir(parents=True, exist_ok=True)
        self.files.worker.write_text("{}")

    async def look(self, pause_s=0.0):
        await asyncio.sleep(pause_s)
        return await self.dog.look()

    async def amount(self):
        return sum(row.amount for row in await self.trading.positions("BTCUSDT"))

    def report(self):
        return json.loads(self.files.report.read_text())


def client(session, exchange):
    return BinanceRest(
        session, endpoints_for("emulator", exchange.rest_url, exchange.ws_url), ScaledClock(0),
        np.random.default_rng(1), credentials=Credentials(exchange.key.key, exchange.key.secret),
        config=RestConfig(attempts=2, backoff_s=0.01),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def scene(market, folder, **rules):
    config = EmulatorConfig(speed=1.0, history_days=3, universe=UNIVERSE)
    async with served(config, source=market) as exchange, aiohttp.ClientSession() as session:
        venue = client(session, exchange)
        await sample_clock(venue, venue.transport.clock, 3)
        instruments = (await venue.exchange_info()).instruments
        files = places(folder)
        dog = Watchdog(client(session, exchange), files, AGREE, poll_s=0.05)
        yield Scene(exchange, BinanceTrading(venue.transport, instruments), venue, files, dog, instruments)


def kinds(decision):
    return [type(action) for action in decision.actions]


def alarms(decision):
    return [row.alarm for row in decision.alarms]


@pytest.mark.parametrize("direction", [1, -1])
async def test_a_dead_workers_position_gets_its_planned_stop_and_the_trader_knows_it(market, tmp_path, direction):
    async with scene(market, tmp_path) as s:
        intent = await s.hold(direction)
        decision = await s.look()
        assert (kinds(decision), alarms(decision)) == ([PlaceStop], [Alarm.WORKER_SILENT, Alarm.STOP_MISSING])
        [stop] = await s.trading.open_algo_orders("BTCUSDT")
        assert (stop.trigger_price, stop.close_position, stop.working_type) == (intent.stop_price, True, "MARK_PRICE")
        bracket = Bracket(Limits(D("0.001"), D(100)), intent=intent)
        snapshot = Translator("desk").snapshot(bracket, await s.amount(), [], [stop])
        assert (snapshot.listed[0].attempt, snapshot.listed[0].matches, snapshot.foreign) == (400, True, False)
        decision = await s.look(0.4)
        assert (kinds(decision), alarms(decision)) == ([], [Alarm.WORKER_SILENT])
        assert [row["action"] for row in s.report()["actions"]] == ["PlaceStop"]
        assert s.report()["positions"] == {"BTCUSDT": str(await s.amount())}


async def test_a_living_worker_has_time_to_place_its_stop(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        s.worker_lives()
        assert kinds(await s.look()) == []
        assert kinds(await s.look(0.4)) == [PlaceStop]
        assert kinds(await s.look(0.4)) == []


async def test_a_stop_that_is_refused_leads_out_after_two_reads(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        await s.exchange.control.fault(kind="order_rejected", code=-4120, path="/fapi/v1/algoOrder", **FOR_EVER)
        assert kinds(await s.look()) == [PlaceStop]
        assert await s.amount() != 0
        assert kinds(await s.look(0.4)) == [Exit, PlaceStop]
        assert await s.amount() == 0
        decision = await s.look(0.4)
        assert (kinds(decision), alarms(decision)) == ([], [Alarm.WORKER_SILENT])
        told = [(row["action"], row["outcome"]) for row in s.report()["actions"]]
        assert told[0] == ("PlaceStop", "rejected: BAD_REQUEST -4120")
        assert told[1] == ("Exit", "accepted")
        audit = (await s.exchange.control.audit())["accounts"]["main"]
        assert audit["summary"]["duplicates"] == 0


async def test_a_price_through_the_stop_leads_out(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold(stop=-0.01)
        assert kinds(await s.look()) == [PlaceStop]
        assert kinds(await s.look(0.4)) == [Exit, PlaceStop]
        assert await s.amount() == 0


async def test_an_unreachable_exchange_is_not_a_missing_stop(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        await s.look()  # it is covered now
        await s.exchange.control.fault(kind="rest_503", **FOR_EVER)
        for _ in range(3):
            decision = await s.look(0.35)
            assert decision.actions == ()
        await s.exchange.control.clear()
        assert (await s.look()).actions == ()
        assert s.report()["checked_ts_ms"] == s.report()["alive_ts_ms"]


async def test_a_lost_answer_to_the_stop_leads_to_no_exit(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        await s.exchange.control.fault(kind="order_dropped", path="/fapi/v1/algoOrder", **FOR_EVER)
        for _ in range(4):
            assert kinds(await s.look(0.35)) == [PlaceStop]
        await s.exchange.control.clear()
        assert kinds(await s.look()) == [PlaceStop]
        assert len(await s.trading.open_algo_orders("BTCUSDT")) == 1
        assert await s.amount() != 0


async def test_a_resting_entry_of_a_dead_worker_is_cancelled_and_a_hands_order_is_not(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        await s.look()
        price = round_price(s.instruments["BTCUSDT"], await s.mark() * D("0.97"), up=False)
        for name in (ids.client_order_id("desk", "d1", ids.Leg.ENTRY, 2), "by-hand"):
            await s.trading.place_limit("BTCUSDT", Side.BUY, D("0.01"), price, name, reduce_only=False)
        assert kinds(await s.look()) == []
        assert kinds(await s.look(0.4)) == [Cancel]
        assert [row.client_id for row in await s.trading.open_orders("BTCUSDT")] == ["by-hand"]


async def test_nothing_is_done_without_a_plan(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        s.files.journal.unlink()
        for _ in range(3):
            decision = await s.look(0.35)
            assert (decision.actions, alarms(decision)) == ((), [Alarm.WORKER_SILENT])
        assert await s.trading.open_algo_orders() == []


async def test_a_damaged_journal_still_protects(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        with s.files.journal.open("ab") as file:
            file.write(b"nonsense\n")
        decision = await s.look()
        assert kinds(decision) == [PlaceStop]
        assert alarms(decision) == [Alarm.JOURNAL_DAMAGED, Alarm.WORKER_SILENT, Alarm.STOP_MISSING]


async def test_the_last_plan_stands_when_the_folder_vanishes(market, tmp_path):
    async with scene(market, tmp_path) as s:
        intent = await s.hold()
        [stop] = (await s.dog.look()).actions
        await s.trading.cancel_algo((await s.trading.open_algo_orders("BTCUSDT"))[0].client_id)
        shutil.rmtree(tmp_path)
        decision = await s.dog.look()
        assert Alarm.JOURNAL_GONE in {row.alarm for row in decision.alarms}
        assert [(row.symbol, row.trigger) for row in decision.actions] == [("BTCUSDT", intent.stop_price)]
        [again] = await s.trading.open_algo_orders("BTCUSDT")
        assert again.trigger_price == stop.trigger


async def test_the_watch_goes_on_when_its_report_cannot_be_written(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        s.files.report.mkdir(parents=True)
        assert kinds(await s.look()) == [PlaceStop]


def test_its_own_key_goes_before_the_traders_and_none_is_refused(tmp_path):
    own = {"WATCHDOG_API_KEY": "mine", "WATCHDOG_API_SECRET": "s"}
    traders = {"EXCHANGE_API_KEY": "theirs", "EXCHANGE_API_SECRET": "s"}
    assert credentials_of(own | traders).key == "mine"
    assert credentials_of(traders).key == "theirs"
    with pytest.raises(SettingsError, match="WATCHDOG_API_KEY"):
        credentials_of({})


async def test_the_process_protects_reports_and_ends_on_sigterm(market, tmp_path):
    async with scene(market, tmp_path) as s:
        await s.hold()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("EXCHANGE", "WATCHDOG"))},
            **s.exchange.environment(),
            **{"VAR_DIR": str(tmp_path), "SPEED": "1", "WATCHDOG_POLL_MS": "1000", "PYTHONPATH": str(ROOT)},
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "apps.watchdog", env=environment, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        try:
            end = monotonic_ms() + 60_000
            while not await s.trading.open_algo_orders("BTCUSDT"):
                assert monotonic_ms() < end, "no stop within a minute"
                assert child.returncode is None
                await asyncio.sleep(0.2)
            while not s.files.report.exists() or not s.report()["actions"]:
                assert monotonic_ms() < end, "no report within a minute"
                await asyncio.sleep(0.1)
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
            _, told = await child.communicate()
        assert child.returncode == 0
        assert wall_ms() - s.report()["alive_ts_ms"] < 60_000
        assert b"watchdog_stopped" in told
        assert s.exchange.key.secret.encode() not in told
        assert s.exchange.key.key.encode() not in told + s.files.report.read_bytes()
