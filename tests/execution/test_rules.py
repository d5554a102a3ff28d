"""Rules of execution on the wire, by number, where the pure machine cannot show them."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from apps.watchdog.core import Rules
from apps.watchdog.watch import Watchdog, places
from packages.common.time import MINUTE_MS, ScaledClock, monotonic_ms
from packages.exchange.binance.budget import OrderBudget
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.clock_sync import sample_clock
from packages.exchange.filters import round_price
from packages.exchange.trading import Accepted, Side, TimeInForce
from services.execution import kill_switch
from services.execution.core.events import Leg, ReadDue, Snapshot, Timer
from services.execution.core.state import Phase
from services.execution.journal import read_state
from services.execution.kill_switch import Flatten
from services.execution.translate import order_id
from tests.execution.conftest import SPEED, SYMBOLS, WATCH_MS, Rows, desk_on

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("execution-rules")]
D = Decimal
SYMBOL = "BTCUSDT"


async def refused(desk, order):
    """The reasons of an entry that must not reach the wire."""
    desk.trader.enter(order)
    if order.symbol not in desk.trader.desk.instruments:  # rows of intents are of known symbols
        await desk.until(lambda: desk.rows.of("risk_events", symbol=order.symbol))
        return [row["event_type"] for row in desk.rows.of("risk_events", symbol=order.symbol)]
    name = f"{order.decision_id}:{order.symbol}"
    await desk.until(lambda: desk.rows.of("order_intents", intent_id=name, state="lapsed"))
    return desk.rows.of("order_intents", intent_id=name, state="lapsed")[-1]["payload"]["reasons"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "NOPEUSDT"}, "UNKNOWN_SYMBOL"),
        ({"quantity": D("NaN")}, "NOT_A_NUMBER"),
        ({"stop_price": D("NaN")}, "NOT_A_NUMBER"),
        ({"quantity": D(0)}, "NOT_A_NUMBER"),
        ({"quantity": D("0.0001")}, "BELOW_MARKET_LOT"),
        ({"quantity": D("0.0015")}, "OFF_GRID"),
        ({"quantity": D("100000")}, "ABOVE_MARKET_LOT"),
        ({"leverage": 200}, "LEVERAGE_ABOVE_BRACKET"),
        ({"direction": -1}, "STOP_WRONG_SIDE"),
        ({"direction": 0}, "DIRECTION"),
        ({"decided_ts_ms": 0}, "INTENT_STALE"),
        ({"due_ts_ms": 0}, "DUE_PASSED"),
    ],
)
async def test_04_bad_input_never_reaches_the_wire(desk, changes, reason):
    # a notional that absurd is also what the runaway guard halts at
    async with desk.scenario(lives=0, trip="RUNAWAY" if reason == "ABOVE_MARKET_LOT" else None):
        order = replace(await desk.order(), **changes)
        before = (await desk.exchange.control.audit(rows=False))["answers"].get("POST /fapi/v1/leverage")
        assert reason in await refused(desk, order)
        answers = (await desk.exchange.control.audit(rows=False))["answers"]
        assert answers.get("POST /fapi/v1/leverage") == before
        assert await desk.new("orders") == await desk.new("algos") == []


async def test_04_a_taken_symbol_is_left_as_it_is(desk):
    async with desk.scenario():
        order = await desk.protected()
        other = replace(await desk.order(), leverage=order.leverage + 2)
        assert "SYMBOL_LOCKED" in await refused(desk, other)
        (config,) = await desk.hand.symbol_config(SYMBOL)
        assert config.leverage == order.leverage
        assert desk.rows.of("order_intents", intent_id=f"{order.decision_id}:{SYMBOL}")[-1]["state"] == "protected"
        desk.trader.close(SYMBOL, "operator")
        await desk.flat()


async def test_05_stop_and_target_close_the_position_on_the_mark(desk):
    async with desk.scenario():
        order = await desk.protected(direction=-1)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        listed = {row.type: row for row in await desk.hand.open_algo_orders(SYMBOL)}
        assert {kind: row.trigger_price for kind, row in listed.items()} == {
            "STOP_MARKET": order.stop_price,
            "TAKE_PROFIT_MARKET": order.target_price,
        }
        for row in listed.values():
            assert (row.close_position, row.working_type, row.price_protect) == (True, "MARK_PRICE", False)
            assert row.side is Side.BUY
        desk.trader.close(SYMBOL, "operator")
        await desk.flat()


async def test_10_a_bracket_ends_when_its_time_is_over(desk):
    async with desk.scenario():
        await desk.protected(hold_ms=int(1_500 * SPEED))
        await desk.flat()
    assert desk.rows.of("trades")[-1]["exit_reason"] == "TIME"


async def test_12_flattening_closes_every_symbol_and_says_flat_when_all_are(desk):
    async with desk.scenario(lives=3, trip="OPERATOR"):
        for symbol in SYMBOLS[:3]:
            await desk.protected(symbol=symbol)
        desk.trader.command(Flatten("enough", "operator"))
        assert desk.trader.killed.word == "FLATTENING"
        await desk.until(lambda: desk.trader.killed.flat)
        assert (await desk.audit())["positions"] == []


async def test_18_stops_and_exits_need_no_lease(desk):
    async with desk.scenario():
        order = await desk.protected()
        desk.outside.lease_age_ms = lambda: None
        try:
            assert "LEASE_STALE" in await refused(desk, await desk.order(symbol="ETHUSDT"))
            desk.trader.close(order.symbol, "operator")
            await desk.flat()
        finally:
            del desk.outside.lease_age_ms


@pytest.mark.parametrize("phase", [Phase.ENTERING, Phase.PROTECTING, Phase.PROTECTED, Phase.EXITING, Phase.SETTLING])
async def test_15_a_desk_that_begins_anew_finishes_what_it_finds(exchange_on, tmp_path, phase):
    rows, delays = Rows(), {Timer.WATCH: 2_500}
    async with exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange:
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows, delays=delays) as desk:
            if phase in (Phase.ENTERING, Phase.PROTECTING):
                leg = "entry" if phase is Phase.ENTERING else "stop"
                await desk.fault(kind="order_slow", leg=leg, delay_s=1.0, times=1)
                order = await desk.enter()
                async with asyncio.timeout(60):
                    while not (await desk.audit())["entries"]:  # noqa: ASYNC110 - it has left, and is the next desk's
                        await asyncio.sleep(0.01)
            else:
                order = await desk.protected()
            if phase in (Phase.EXITING, Phase.SETTLING):
                desk.trader.close(SYMBOL, "operator")
                await desk.until(lambda: desk.phase() is phase)
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows, delays=delays) as desk:
            if phase not in (Phase.EXITING, Phase.SETTLING):
                await desk.until(lambda: desk.phase() is Phase.PROTECTED)
                stops = [row for row in (await desk.audit())["algos"] if row["type"] == "STOP_MARKET"]
                assert [D(row["trigger"]) for row in stops if row["status"] == "NEW"] == [order.stop_price]
                desk.trader.close(SYMBOL, "operator")
            await desk.flat()
            audit = await desk.audit()
            assert len(audit["entries"]) == 1
            assert audit["orphans"] == audit["positions"] == audit["duplicates"] == []
            await desk.until(lambda: desk.rows.of("trades"))
            assert D(repr(rows.of("trades")[0]["net"])) == D(audit["summary"]["wallet"]) - D(10_000)
            trade = rows.of("trades")[0]
            begin, end = -(-trade["entry_ts"] // MINUTE_MS) * MINUTE_MS, trade["exit_ts"] // MINUTE_MS * MINUTE_MS
            bars = await desk.venue.mark_klines(SYMBOL, begin, end) if begin < end else []
            away = [(bar.low / trade["entry_price"] - 1, bar.high / trade["entry_price"] - 1) for bar in bars]
            assert trade["mae"] >= max((-low for low, _ in away), default=0.0)  # of the desk that ended as well
            assert trade["mfe"] >= max((high for _, high in away), default=0.0)
            await desk.until(lambda: rows.of("order_intents", state="booked"))
            booked = rows.of("order_intents", state="booked")[-1]["payload"]
            assert booked["entry_ts_ms"] == trade["entry_ts"]


# --- at most one entry (1-3) -----------------------------------------------------------------------------------------


async def test_01_an_entry_is_posted_once_and_each_exit_has_an_id_of_its_own(desk):
    async with desk.scenario():
        posted = await desk.posted("/fapi/v1/order")
        await desk.fault(kind="order_unknown", leg="entry", times=1)
        order = await desk.protected()
        assert await desk.posted("/fapi/v1/order") == posted + 1
        await desk.fault(kind="order_unknown", code=-1007, leg="exit", times=1)  # executed, and nobody says so
        desk.trader.close(order.symbol, "operator")
        await desk.flat()
        names = [row["client_id"] for row in await desk.new("orders")]
        assert len(names) == len(set(names)) >= 2


async def test_02_03_an_entry_of_unknown_outcome_locks_its_symbol_counts_as_filled_and_is_probed_by_its_stop(desk):
    async with desk.scenario(lives=0):
        probes = await desk.posted("/fapi/v1/algoOrder")
        await desk.fault(kind="order_dropped", leg="entry", times=1)
        order = await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.UNKNOWN)
        since = monotonic_ms()
        assert desk.trader.view().plans[order.symbol].intent.qty == order.quantity
        assert "SYMBOL_LOCKED" in await refused(desk, await desk.order())
        await desk.flat()
        assert monotonic_ms() - since >= 0.9 * WATCH_MS  # what says "not found" at once is not believed at once
        assert await desk.posted("/fapi/v1/algoOrder") > probes  # and refused (-4509): it can open nothing
        assert await desk.new("orders") == await desk.new("algos") == []


# --- protection (6-9) ------------------------------------------------------------------------------------------------


async def test_06_the_stop_follows_the_first_sign_of_a_fill_and_not_the_answer(desk):
    async with desk.scenario():  # a second; the answer takes two
        await desk.fault(kind="order_slow", leg="entry", delay_s=2.0, times=1)
        order = await desk.protected()
        desk.trader.close(order.symbol, "operator")
        await desk.flat()


async def test_06_a_stop_that_finds_no_position_yet_is_tried_again_within_the_bound(desk):
    async with desk.scenario():
        await desk.fault(kind="order_rejected", leg="stop", code=-4509, times=4)
        posted = await desk.posted("/fapi/v1/algoOrder")
        order = await desk.protected()
        assert await desk.posted("/fapi/v1/algoOrder") >= posted + 4
        desk.trader.close(order.symbol, "operator")
        await desk.flat()


async def test_07_a_stop_that_is_said_to_exist_and_is_not_listed_means_out(desk):
    async with desk.scenario(trip="STOP_NOT_LISTED", bound_ms=4_000):
        await desk.fault(kind="order_rejected", leg="stop", code=-4130)
        await desk.enter()
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.flat()


async def test_08_a_mark_beyond_the_stop_for_a_second_means_out_at_the_market(desk):
    async with desk.scenario():
        order = await desk.protected()
        desk.trader.see_mark(SYMBOL, order.stop_price * D("0.998"))  # the exchange's own stop sees another mark
        await desk.flat()
        assert {row["status"] for row in await desk.new("algos") if row["type"] == "STOP_MARKET"} == {"EXPIRED"}
    assert desk.rows.of("trades")[-1]["exit_reason"] == "SL"


async def test_09_a_target_that_is_crossed_already_means_out_with_profit(desk):
    async with desk.scenario():
        await desk.fault(kind="order_rejected", leg="target", code=-2021, times=1)
        await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.SETTLING)
        await desk.flat()
    assert desk.rows.of("trades")[-1]["exit_reason"] == "TP"


# --- closing (11-13) -------------------------------------------------------------------------------------------------


async def test_11_a_reduce_only_order_in_the_way_of_an_exit_is_cleared_and_the_stop_is_not(desk):
    async with desk.scenario():
        order = await desk.protected()
        far = round_price(desk.instruments[SYMBOL], order.reference_price * D("1.03"), up=True)
        name = order_id("desk", order.decision_id, Leg.EXIT, 90)
        resting = await desk.hand.place_limit(
            SYMBOL, Side.SELL, order.quantity, far, name, reduce_only=True, time_in_force=TimeInForce.GTC
        )
        assert isinstance(resting, Accepted)
        desk.trader.close(SYMBOL, "operator")
        await desk.flat()
        (row,) = [row for row in await desk.new("orders") if row["client_id"] == name]
        assert row["status"] == "CANCELED"
        assert {row["status"] for row in await desk.new("algos") if row["type"] == "STOP_MARKET"} == {"EXPIRED"}


async def test_12_flattening_clears_a_hands_order_out_of_its_way(desk):
    async with desk.scenario(trip="OPERATOR"):
        order = await desk.protected()
        far = round_price(desk.instruments[SYMBOL], order.reference_price * D("1.03"), up=True)
        await desk.hand.place_limit(
            SYMBOL, Side.SELL, order.quantity, far, "web_7", reduce_only=True, time_in_force=TimeInForce.GTC
        )
        await desk.until(lambda: desk.trader.killed.trips)
        desk.trader.command(Flatten("out", "operator"))
        await desk.until(lambda: desk.trader.killed.flat)
        (row,) = [row for row in await desk.new("orders") if row["client_id"] == "web_7"]
        assert row["status"] == "CANCELED"


async def test_13_a_target_that_meets_a_halted_market_waits_under_its_stop(desk):
    async with desk.scenario():
        await desk.fault(kind="rest_slow", leg="target", delay_s=1.0, times=1)
        order = await desk.protected()
        await desk.fault(kind="halt", symbols=[SYMBOL])
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.tries)
        assert (desk.phase(), desk.trader.killed.word) == (Phase.PROTECTED, "RUNNING")
        await desk.exchange.control.clear()
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        desk.trader.close(order.symbol, "operator")
        await desk.flat()


async def test_13_a_halted_market_blocks_no_other_and_is_never_called_flat(desk):
    async with desk.scenario(lives=2, trip="OPERATOR"):
        await desk.protected()
        await desk.protected(symbol="ETHUSDT")
        await desk.fault(kind="halt", symbols=[SYMBOL])
        await desk.read_rules()
        desk.trader.command(Flatten("out", "operator"))
        await desk.flat("ETHUSDT")
        await desk.until(lambda: desk.phase() is Phase.CANNOT_EXIT)
        assert desk.trader.killed.word == "FLATTENING"
        live = [(row["type"], row["symbol"]) for row in await desk.new("algos") if row["status"] == "NEW"]
        assert ("STOP_MARKET", SYMBOL) in live
        await desk.exchange.control.clear()
        await desk.read_rules()
        await desk.until(lambda: desk.trader.killed.flat)


# --- state that survives (14, 17) ------------------------------------------------------------------------------------


async def test_14_an_entry_is_in_the_journal_with_its_stop_before_it_is_on_the_wire(desk):
    async with desk.scenario():
        await desk.fault(kind="rest_slow", leg="entry", delay_s=0.6, times=1)
        order = await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.ENTERING)
        assert await desk.new("orders") == []
        opened = read_state(desk.trader.desk.journal._path).open[SYMBOL]
        assert (opened.intent.decision_id, opened.intent.stop_price) == (order.decision_id, order.stop_price)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        names = {row["client_id"] for what in ("orders", "algos") for row in await desk.new(what)}
        assert names >= {opened.entry_client_id, opened.stop_client_id}
        desk.trader.close(SYMBOL, "operator")
        await desk.flat()


async def test_14_no_write_lies_between_a_fill_and_its_stop(desk, monkeypatch):
    async with desk.scenario():
        done, trading, put = [], desk.trader.desk.trading, desk.rows.put
        place = trading.place_stop

        def place_stop(*args):
            done.append("stop")
            return place(*args)

        monkeypatch.setattr(trading, "place_stop", place_stop)
        monkeypatch.setattr(desk.rows, "put", lambda table, rows: (done.append(table), put(table, rows)))
        await desk.exchange.control.switch(account_update="last")  # the order's own event is the first to tell
        await desk.fault(kind="order_slow", leg="entry", delay_s=2.0, times=1)
        order = await desk.protected()
        await desk.until(lambda: "fills" in done)
        assert done.index("stop") < done.index("fills")
        desk.trader.close(order.symbol, "operator")
        await desk.flat()


async def test_14_a_full_disk_ends_entries_and_no_stop(exchange_on, tmp_path):
    with Path("/dev/full").open("ab", buffering=0) as full:  # noqa: ASYNC230 - opening it waits for nothing
        async with (
            exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange,
            desk_on(exchange, tmp_path, speed=SPEED) as desk,
        ):
            order = await desk.protected()
            journal = desk.trader.desk.journal
            real, journal._file = journal._file, full
            desk.trader.enter(await desk.order(symbol="ETHUSDT"))
            await desk.until(lambda: not journal.healthy and desk.trader.killed.blocks)
            journal._file = real
            await desk.until(lambda: desk.rows.of("order_intents", symbol="ETHUSDT", state="lapsed"))
            assert "NO_JOURNAL" in await refused(desk, await desk.order(symbol="XRPUSDT"))
            desk.trader.close(order.symbol, "operator")
            await desk.flat()
            audit = await desk.audit()
            assert len(audit["entries"]) == 1
            assert audit["positions"] == audit["orphans"] == audit["naked"][1:] == []


class Told:
    """What the runner of ``SYMBOL`` was told from here on, and what it believed before and after."""

    def __init__(self, desk, monkeypatch):
        self.steps, tell = [], desk.trader.stepped

        def stepped(symbol, before, after, event):
            if symbol == SYMBOL:
                self.steps.append((before, after, event))
            tell(symbol, before, after, event)

        monkeypatch.setattr(desk.trader, "stepped", stepped)

    def snapshots(self):
        return [step for step in self.steps if isinstance(step[2], Snapshot)]


async def overtaken(desk):
    """A reading of the symbol that has been answered by now, and whose answer is on its way until the faults end."""
    reads = {"kind": "read_overtaken", "path": "/fapi/v3/positionRisk", "symbols": [SYMBOL], "delay_s": 8.0, "times": 1}
    await desk.fault(**reads)
    desk.trader.desk.runners[SYMBOL].feed(ReadDue())
    await desk.struck()


@pytest.mark.parametrize("held", [False, True])
async def test_16_a_snapshot_that_the_stream_overtook_takes_nothing_back(desk, monkeypatch, held):
    async with desk.scenario():
        if held:
            await desk.protected()
            await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        await overtaken(desk)
        told = Told(desk, monkeypatch)
        if held:  # it shows a position that is closed while it travels
            desk.trader.close(SYMBOL, "operator")
            await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.position == 0)
        else:  # it shows none, of a symbol that is entered while it travels
            await desk.protected()
        assert told.snapshots() == []
        await desk.exchange.control.clear()
        await desk.until(told.snapshots)
        before, after, event = told.snapshots()[0]
        assert (event.position != 0) is held
        assert (after.position, after.exposed, after.phase) == (before.position, before.exposed, before.phase)
        assert (after.stop, after.target, after.exit) == (before.stop, before.target, before.exit)
        assert after.zeros == before.zeros
        await desk.until(lambda: len(told.snapshots()) > 1)  # asked again, and this one counts
        assert told.snapshots()[1][1].position == (0 if held else after.position)
        if not held:
            assert desk.phase() is Phase.PROTECTED
            desk.trader.close(SYMBOL, "operator")
        await desk.flat()
        assert len(await desk.new("orders")) == 2


async def test_17_a_close_in_many_pieces_is_booked_from_all_of_them(desk):
    async with desk.scenario():
        order = await desk.protected(notional=3_000)
        await desk.fault(kind="market_short", size=0.5, symbols=[SYMBOL], for_s=1.5)
        desk.trader.close(order.symbol, "operator")
        await desk.flat()
        assert len([row for row in await desk.new("trades") if row["side"] == "SELL"]) >= 2
    assert desk.rows.of("trades")[-1]["qty"] == float(order.quantity)


async def test_11_a_part_leaves_on_the_way_and_the_rest_with_the_bracket(desk):
    """A resting part is the desk's own: nobody is told of a hand, the books have both fills, nothing rests after it."""
    usual = desk.trader.desk.limits
    async with desk.scenario(lives=2):
        try:
            desk.trader.desk.limits = replace(usual, staged_exits=((0.5, 0.002), (0.25, 0.9)))
            order = replace(await desk.order(), quantity=D("0.04"))
            desk.trader.enter(order)
            await desk.until(lambda: desk.trader.view().positions.get(SYMBOL) is not None)
            await desk.until(lambda: desk.trader.view().positions[SYMBOL].amount == D("0.02"), within_s=120)
            runner = desk.trader.desk.runners[SYMBOL]
            await desk.until(lambda: runner.state.stage.placed == 2 and runner.state.stage.standing)
            assert desk.phase() is Phase.PROTECTED
            desk.trader.close(SYMBOL, "operator")
            await desk.flat()
            rows = await desk.new("orders")
            assert sorted((row["type"], row["status"]) for row in rows) == [
                *(("LIMIT", "CANCELED"), ("LIMIT", "FILLED")), *[("MARKET", "FILLED")] * 2,
            ]  # fmt: skip
            await desk.until(lambda: desk.rows.of("trades", qty=0.04))
            assert {row["leg"] for row in desk.rows.of("orders", symbol=SYMBOL)} >= {"entry", "stage", "exit"}
            desk.trader.desk.limits = replace(usual, staged_exits=((0.999, 0.5),))  # what it would leave cannot be sold
            await desk.protected()
            assert runner.state.stage.placed == 0
            desk.trader.close(SYMBOL, "operator")
            await desk.flat()
        finally:
            desk.trader.desk.limits = usual


# --- the watchdog, limits and the clock (19, 22, 23) -----------------------------------------------------------------


async def test_19_what_the_watchdog_places_for_a_dead_trader_is_the_traders_own(exchange_on, tmp_path):
    files = places(tmp_path)
    async with exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange:
        async with desk_on(exchange, files.journal.parent, speed=SPEED) as desk:
            order = await desk.protected()
        async with aiohttp.ClientSession() as session:
            venue = BinanceRest(
                session, desk.venue.transport.endpoints, ScaledClock(0, SPEED), np.random.default_rng(2),
                credentials=Credentials(exchange.key.key, exchange.key.secret),
            )  # fmt: skip
            dog = Watchdog(venue, files, Rules(agree_ms=200))
            assert (await dog.look()).actions == ()  # where a stop stands it only alarms
            (stop,) = [row for row in (await desk.audit())["algos"] if row["type"] == "STOP_MARKET"]
            await BinanceTrading(venue.transport, desk.instruments).cancel_algo(stop["client_id"])
            (action,) = (await dog.look()).actions
            assert (action.symbol, action.trigger) == (SYMBOL, order.stop_price)
            assert (await dog.look()).actions == ()
        async with desk_on(exchange, files.journal.parent, speed=SPEED) as desk:
            await desk.until(lambda: desk.phase() is Phase.PROTECTED)
            stops = [row for row in (await desk.audit())["algos"] if row["type"] == "STOP_MARKET"]
            assert [row["status"] for row in stops] == ["CANCELED", "NEW"]
            assert desk.trader.killed.word == "RUNNING"
            desk.trader.close(SYMBOL, "operator")
            await desk.flat()
            assert (await desk.audit())["orphans"] == []


async def test_22_orders_are_kept_for_exits(desk):
    """An entry for which our own limits have no room lapses. That is nobody's failure, however often: no halt."""
    async with desk.scenario():
        order = await desk.protected()
        transport = desk.venue.transport
        try:
            for _ in range(150):  # all that entries may use, for as long as it takes
                transport.orders.spend(desk.clock.now_ms() + 60 * MINUTE_MS)
            entries = [await desk.order(symbol="ETHUSDT") for _ in range(kill_switch.Limits().order_failures)]
            for entry in entries:
                assert await refused(desk, replace(entry, decided_ts_ms=desk.clock.now_ms())) == ["NO_ROOM"]
                await desk.flat("ETHUSDT")
            desk.trader.close(order.symbol, "operator")
            await desk.flat()
        finally:
            transport.orders = OrderBudget(reserve=transport.config.order_reserve)
        assert {row["symbol"] for row in await desk.new("orders")} == {SYMBOL}
        for entry in entries:  # and stays so when the symbol is free again
            assert desk.rows.of("order_intents", intent_id=f"{entry.decision_id}:ETHUSDT")[-1]["state"] == "lapsed"
        assert desk.codes() == []


async def test_23_the_clock_is_that_of_the_quickest_answer(desk):
    async with desk.scenario(lives=0):
        await desk.fault(kind="rest_slow", path="/fapi/v1/time", delay_s=0.8, times=2)
        await sample_clock(desk.venue, desk.clock, 3)
        off_s = (desk.clock.now_ms() - desk.exchange.emulator.clock.now_ms()) / SPEED / 1e3
        assert abs(off_s) < 0.25  # of ours; half of a slow answer is more


async def test_23_an_exit_may_be_late_where_an_entry_may_not(desk):
    async with desk.scenario():
        await desk.fault(kind="rest_slow", leg="entry", delay_s=2.6, times=1)
        late = await desk.enter()
        await desk.until(lambda: desk.phase() is not Phase.FLAT)
        await desk.flat()
        assert await desk.new("orders") == []
        order = await desk.protected()
        assert order.decision_id != late.decision_id
        await desk.fault(kind="rest_slow", leg="exit", delay_s=2.6, times=1)
        desk.trader.close(SYMBOL, "operator")
        await desk.flat()
        assert len(await desk.new("orders")) == 2
