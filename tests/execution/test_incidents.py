"""What has happened to public trading systems, as scenarios on the wire; numbers are those of the list of incidents.

Each is judged by ``scenario`` with the exchange's own books: no position without a stop beyond the bound, no entry
twice, no order left over, the latch where it belongs, the closed trade booked as the wallet has it.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from packages.common.time import DAY_MS, MINUTE_MS
from packages.exchange.trading import Accepted, Side
from services.emulator.clock import ClockFile, first_position
from services.emulator.config import EmulatorConfig
from services.emulator.testing import served
from services.emulator.venue.venue import KEPT_MS, _forget
from services.execution.canary import Proofs
from services.execution.core.events import Timer
from services.execution.core.state import AlgoState, Phase
from services.execution.journal import JournalError, read_state
from services.execution.kill_switch import Halt, Resume
from tests.execution.conftest import SPEED, SYMBOLS, Rows, desk_on

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("execution-incidents")]
D = Decimal
SYMBOL = "BTCUSDT"


async def close(desk, order):
    desk.trader.close(order.symbol, "operator")
    await desk.flat(order.symbol)


def trade(desk):
    return desk.rows.of("trades")[-1]


async def gap(desk, size, symbol=SYMBOL):
    """All prices of a symbol are elsewhere from now on."""
    await desk.fault(kind="price_gap", size=size, symbols=[symbol])


# --- the entry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"kind": "order_unknown"}, {"kind": "order_unknown", "code": -1007}, {"kind": "order_lost"}]
)
async def test_03_an_entry_that_was_executed_without_an_answer_is_found_and_protected(desk, fault):
    async with desk.scenario():
        await desk.fault(leg="entry", times=1, **fault)
        order = await desk.protected()
        assert len(await desk.new("entries")) == 1
        await close(desk, order)
    assert trade(desk)["exit_reason"] == "OPERATOR"


async def test_03_an_entry_that_was_not_executed_is_not_sent_again(desk):
    async with desk.scenario(lives=0):
        await desk.fault(kind="order_dropped", leg="entry", times=1)
        order = await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.UNKNOWN)
        await desk.enter()  # refused: the symbol is locked while the first is unknown
        await desk.flat(order.symbol)
        assert await desk.new("orders") == []
    assert "SYMBOL_LOCKED" in desk.rows.of("order_intents", state="lapsed")[-1]["payload"]["reasons"]


async def test_03_an_entry_that_is_executed_late_is_adopted_with_its_own_stop(desk):
    async with desk.scenario():
        await desk.fault(kind="order_late", leg="entry", times=1, delay_s=0.7)
        order = await desk.protected()
        (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
        assert D(stop["trigger"]) == order.stop_price
        await close(desk, order)


@pytest.mark.parametrize("switch", ["stream_first", "answer_first"])
async def test_fills_before_and_after_the_answer_come_to_the_same(desk, switch):
    async with desk.scenario():
        await desk.exchange.control.switch(stream_and_answer=switch)
        reconnects = desk.trader.desk.stream.stats().reconnects
        await close(desk, await desk.protected())
        await asyncio.sleep(2.2)  # an echo is overdue after two seconds
        assert desk.trader.desk.stream.stats().reconnects == reconnects


async def test_09_a_partial_fill_is_protected_and_booked_as_it_is(desk):
    async with desk.scenario():
        await desk.fault(kind="market_short", size=0.5, symbols=[SYMBOL])
        order = await desk.protected(notional=2_000)
        (entry,) = await desk.new("entries")
        assert D(0) < D(entry["opened"]) < order.quantity
        await desk.exchange.control.clear()
        await close(desk, order)
    assert trade(desk)["qty"] == float(entry["opened"])


async def test_10_an_entry_that_the_exchange_refuses_leaves_nothing(desk):
    async with desk.scenario(lives=0):
        await desk.fault(kind="order_rejected", leg="entry", code=-2019, times=1)
        await desk.enter()
        await desk.until(lambda: "ENTRY_REJECTED" in desk.codes())
        await desk.flat()
        assert await desk.new("orders") == await desk.new("algos") == []


async def test_a_socket_that_drops_during_an_entry_costs_nothing(desk):
    async with desk.scenario():
        await desk.fault(kind="drop_connection", category="private", times=1)
        order = await desk.protected()
        await close(desk, order)


async def test_02_an_order_that_cannot_be_found_for_a_while_is_placed_once(desk):
    async with desk.scenario():
        await desk.exchange.control.switch(query_lag_ms=int(1_500 * SPEED))
        await desk.fault(kind="order_lost", leg="entry", times=1)
        order = await desk.protected()
        assert len(await desk.new("entries")) == 1
        assert len([row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]) == 1
        await close(desk, order)


async def test_17_a_life_is_over_in_the_journal_before_it_is_in_the_books(desk, monkeypatch):
    path, put, still_open = desk.trader.desk.journal._path, desk.rows.put, []

    def watched(table, rows):
        if table == "trades":
            still_open.append(SYMBOL in read_state(path).open)
        put(table, rows)

    async with desk.scenario():
        order = await desk.protected()
        monkeypatch.setattr(desk.rows, "put", watched)
        monkeypatch.setattr("services.execution.journal.NOTE_MS", 60_000.0)  # only what is waited for is on disk
        await close(desk, order)
    assert still_open == [False]


# --- stops -----------------------------------------------------------------------------------------------------------


async def test_01_stops_that_moved_to_another_endpoint_end_entries_and_leave_positions(desk):
    async with desk.scenario(trip=None):
        order = await desk.protected()
        await desk.fault(kind="order_rejected", leg="stop", code=-4120)
        desk.trader.stop_path.proofs = Proofs()
        await desk.until(lambda: "STOP_PATH_BROKEN" in desk.codes())
        refused = await desk.enter(symbol="ETHUSDT")
        await desk.until(lambda: desk.rows.of("order_intents", intent_id=f"{refused.decision_id}:ETHUSDT"))
        row = desk.rows.of("order_intents", intent_id=f"{refused.decision_id}:ETHUSDT")[-1]
        assert (row["state"], row["payload"]["reasons"]) == ("lapsed", ["STOP_PATH_UNPROVEN"])
        assert {row["status"] for row in await desk.new("algos")} == {"NEW"}
        assert desk.phase() is Phase.PROTECTED
        await close(desk, order)


async def test_a_stop_that_is_refused_from_now_on_means_flat(desk):
    async with desk.scenario(trip="STOP_REFUSED"):
        await desk.fault(kind="order_rejected", leg="stop", code=-1102)
        await desk.enter()
        await desk.until(lambda: desk.trader.killed.flat)
        assert [row["end"] for row in await desk.new("naked")] == ["flat"]


async def test_14_a_stop_that_would_trigger_at_once_means_out_at_the_market(desk):
    async with desk.scenario():
        await desk.fault(kind="order_rejected", leg="stop", code=-2021, times=1)
        await desk.enter()
        await desk.until(lambda: "STOP_WOULD_TRIGGER" in desk.codes())
        await desk.flat()
    assert trade(desk)["exit_reason"] == "SL"


@pytest.mark.parametrize("fault", ["order_lost", "order_unknown"])
async def test_13_a_stop_whose_answer_was_lost_is_recognised_as_ours(desk, fault):
    async with desk.scenario():
        await desk.fault(kind=fault, leg="stop", times=1)
        await desk.fault(kind="event_lost", event="ALGO_UPDATE", times=1)
        order = await desk.protected()
        assert len([row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]) == 1
        await close(desk, order)


async def test_13_a_stop_of_somebody_else_in_the_way_means_flat_and_halted(desk):
    async with desk.scenario(trip="STOP_NOT_LISTED", bound_ms=4_000):
        await desk.fault(kind="order_rejected", leg="stop", code=-4509, share=1.0, after=0, times=4)
        order = await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.PROTECTING)
        # the fault takes the desk's tries as well as the hand's: whoever comes after the fourth is the first
        while not isinstance(
            await desk.hand.place_stop(SYMBOL, Side.SELL, order.stop_price - 1_000, "web_stop1"), Accepted
        ):
            pass
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.flat()


async def test_a_stop_that_a_hand_cancels_is_placed_anew(desk):
    async with desk.scenario(trip="MANUAL"):
        order = await desk.protected()
        (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
        await desk.hand.cancel_algo(stop["client_id"])
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        await close(desk, order)


async def test_23_a_stop_that_is_stuck_in_its_trigger_is_left_behind_at_the_market(desk):
    async with desk.scenario(bound_ms=4_000, trip="NAKED"):
        await desk.protected(stop=0.02)
        await desk.fault(kind="trigger_stuck", symbols=[SYMBOL])
        await gap(desk, -0.03)
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.until(lambda: desk.trader.view().positions.get(SYMBOL) is None)


# --- exits -----------------------------------------------------------------------------------------------------------


async def test_04_a_close_that_is_not_executed_is_tried_again_under_its_stop(desk):
    async with desk.scenario():
        order = await desk.protected()
        await desk.fault(kind="order_dropped", leg="exit", times=2)
        desk.trader.close(order.symbol, "operator")
        await desk.flat()
        assert await desk.new("naked") == [row for row in await desk.new("naked") if row["cause"] == "entry"]


@pytest.mark.parametrize(
    ("switches", "fault"),
    [
        ({"triggered_event": "after_fills", "child_client_id": "own"}, {}),
        ({"triggered_event": "before_fills", "account_update": "last"}, {}),
        ({"child_client_id": "own"}, {"kind": "event_twice", "delay_s": 0.3}),
        ({"triggered_event": "after_fills"}, {"kind": "event_swapped"}),
        ({"child_client_id": "own"}, {"kind": "event_late", "event": "ALGO_UPDATE", "delay_s": 0.2}),
    ],
)
async def test_06_a_trigger_ends_alike_in_every_order_of_events(desk, switches, fault):
    async with desk.scenario():
        await desk.exchange.control.switch(**switches)
        await desk.protected(target=0.02)
        if fault:
            await desk.fault(**fault)
        await gap(desk, 0.03)
        await desk.flat()
        assert {row["status"] for row in await desk.new("algos")} <= {"FINISHED", "EXPIRED", "CANCELED"}
    assert trade(desk)["exit_reason"] == "TP"


@pytest.mark.parametrize(("first", "trip"), [(0.03, ""), (-0.03, "NAKED")])
async def test_11_stop_and_target_that_fire_together_never_reverse(desk, first, trip):
    """Both are triggering at once, each to close the position; with the stop first it is left at the market besides."""
    async with desk.scenario(trip=trip, bound_ms=4_000):
        await desk.protected(stop=0.02, target=0.02)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        await desk.exchange.control.switch(trigger_delay_ms=64_000)
        begin = -(-desk.clock.now_ms() // MINUTE_MS) * MINUTE_MS
        for n, size in enumerate((first, -first)):
            at = begin + n * MINUTE_MS
            await desk.fault(kind="price_gap", size=size, symbols=[SYMBOL], from_ms=at, to_ms=at + MINUTE_MS)
        await desk.until(lambda: desk.trader.view().positions.get(SYMBOL) is None)
        await desk.flat()
        legs = {row["type"]: row["status"] for row in await desk.new("algos")}
        assert set(legs) == {"STOP_MARKET", "TAKE_PROFIT_MARKET"}
        assert set(legs.values()) <= {"FINISHED", "EXPIRED", "REJECTED", "CANCELED"}
        (episode,) = await desk.new("episodes")
        assert episode["side"] == "BUY"  # from flat to flat, and nothing on the other side after it


async def test_12_the_next_bracket_of_a_symbol_meets_nothing_of_the_last(desk):
    async with desk.scenario(lives=2):
        await desk.protected(target=0.02)
        await gap(desk, 0.03)
        await desk.flat()
        await desk.exchange.control.clear()
        order = await desk.protected(direction=-1)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        live = [row for row in await desk.new("algos") if row["status"] == "NEW"]
        assert {row["side"] for row in live} == {"BUY"}
        assert len(live) == 2
        await close(desk, order)


async def test_22_a_gap_through_the_stop_is_booked_at_its_real_price(desk):
    async with desk.scenario():
        order = await desk.protected(stop=0.02)
        await gap(desk, -0.06)
        await desk.flat()
    row = trade(desk)
    assert row["exit_reason"] == "SL"
    assert row["exit_ref"] == float(order.stop_price)
    assert row["exit_price"] < row["exit_ref"] * 0.97
    assert row["slippage"] > 0


@pytest.mark.parametrize("late_ms", [0, 20_000])
async def test_17_funding_in_the_second_of_a_stop_is_booked_as_the_exchange_does(market, tmp_path, late_ms):
    config = EmulatorConfig(
        speed=SPEED, history_days=3, universe=SYMBOLS, weight_per_minute=100_000, state_dir=tmp_path / "exchange",
    )  # fmt: skip
    hour = first_position(market.start_ms, None, 3) + 60 * MINUTE_MS
    ClockFile(tmp_path / "exchange" / "clock.json", config.identity).save(hour - 30 * MINUTE_MS)  # a minute of ours
    async with served(config, source=market) as exchange, desk_on(exchange, tmp_path, speed=SPEED) as desk:
        async with desk.scenario():
            await desk.fault(kind="funding_hours", size=1)
            await desk.exchange.control.switch(funding_late_ms=late_ms)
            await desk.protected(notional=2_000, stop=0.02)
            assert desk.clock.now_ms() < hour
            exchange.emulator.clock.set_to(hour - MINUTE_MS)
            await desk.venue.transport.resync()
            await desk.fault(kind="price_gap", size=-0.03, symbols=[SYMBOL], from_ms=hour)
            await desk.flat()
            paid = [row for row in await desk.new("incomes") if row["kind"] == "FUNDING_FEE"]
            (last,) = [row for row in (await desk.new("trades")) if row["side"] == "SELL"]
            assert 0 <= last["time_ms"] - hour < 5_000
            assert len(paid) == (0 if late_ms else 1)
        assert trade(desk)["exit_reason"] == "SL"
        assert trade(desk)["funding"] == -float(sum((D(row["amount"]) for row in paid), D(0)))


# --- the exchange's own hand, and others' ----------------------------------------------------------------------------


async def test_18_a_liquidation_is_booked_and_flattens(desk):
    async with desk.scenario(bound_ms=4_000, trip="LIQUIDATION"):
        await desk.protected(stop=0.15)
        await desk.fault(kind="trigger_stuck", symbols=[SYMBOL])
        await gap(desk, -0.3)
        await desk.until(lambda: "LIQUIDATION" in desk.codes())
        await desk.flat()


async def test_18_a_deleveraged_position_is_booked_and_flattens(desk):
    async with desk.scenario(trip="ADL"):
        await desk.protected()
        await desk.fault(kind="adl", size=0.5, times=1, symbols=[SYMBOL])
        await desk.until(lambda: desk.trader.killed.flat)


async def test_19_leverage_that_a_hand_changed_halts(desk):
    async with desk.scenario(trip="MANUAL"):
        order = await desk.protected()
        await desk.hand.set_leverage(SYMBOL, 7)
        await desk.until(lambda: desk.trader.killed.trips)
        await close(desk, order)


async def test_19_a_margin_mode_that_a_hand_changed_halts(desk):
    async with desk.scenario(trip="MANUAL"):
        await close(desk, await desk.protected())
        await desk.hand._set("/fapi/v1/marginType", {"symbol": SYMBOL, "marginType": "CROSSED"}, lambda _: None)
        await desk.until(lambda: desk.trader.killed.trips)


async def test_20_a_position_closed_by_hand_is_booked_and_halts(desk):
    async with desk.scenario(trip="MANUAL"):
        order = await desk.protected()
        await desk.hand.place_market(SYMBOL, Side.SELL, order.quantity, "web_1", reduce_only=True)
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.flat()


async def test_20_a_position_opened_by_hand_gets_a_stop_and_halts(desk):
    await desk.calm()
    before = await desk.audit()
    desk.since, booked = before, len(desk.rows.of("trades"))
    order = await desk.order(symbol="SOLUSDT")
    await desk.hand.place_market("SOLUSDT", Side.BUY, order.quantity, "web_2", reduce_only=False)
    await desk.until(lambda: desk.phase("SOLUSDT") is Phase.PROTECTED)
    assert desk.trader.killed.trips
    (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
    assert stop["status"] == "NEW"
    desk.trader.close("SOLUSDT", "operator")
    await desk.flat("SOLUSDT")
    after = await desk.audit()
    assert after["orphans"] == after["positions"] == []
    await desk.until(lambda: len(desk.rows.of("trades")) == booked + 1)  # it was ours to keep, and is booked
    gained = D(after["summary"]["wallet"]) - D(before["summary"]["wallet"])
    assert D(repr(trade(desk)["net"])).quantize(D("1e-8")) == gained.quantize(D("1e-8"))
    assert (trade(desk)["symbol"], trade(desk)["sl_price"]) == ("SOLUSDT", float(stop["trigger"]))
    assert all(ms < 1_000 for ms in desk.naked_ms(after["naked"][len(before["naked"]) :]))


async def test_24_a_plan_made_on_finer_rules_is_rounded_to_those_in_force(desk):
    async with desk.scenario(trip="OPERATOR", lives=2):
        order = replace(await desk.order(stop=0.05), quantity=D("0.04"))
        tick = desk.instruments[SYMBOL].tick_size
        order = replace(order, stop_price=order.stop_price // (10 * tick) * 10 * tick + tick)
        desk.trader.enter(order)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        await desk.fault(kind="coarse_rules", size=10, symbols=[SYMBOL])
        await desk.read_rules()
        (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
        await desk.hand.cancel_algo(stop["client_id"])  # it must be placed anew, on a price that is none any more
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET" and row["status"] == "NEW"]
        assert D(stop["trigger"]) == order.stop_price + 9 * tick  # the nearer one
        await desk.trader.reconcile()
        await asyncio.sleep(2.0)  # a list that shows another price than the plan's would mean exit (rule 7)
        assert desk.phase() is Phase.PROTECTED
        await close(desk, order)
        desk.trader.command(Resume("rules are known", "test"))
        stale = replace(await desk.order(), quantity=D("0.045"))
        desk.trader.enter(stale)  # decided on the rules of before: refused here, not there
        name = f"{stale.decision_id}:{SYMBOL}"
        await desk.until(lambda: desk.rows.of("order_intents", intent_id=name))
        assert "OFF_GRID" in desk.rows.of("order_intents", intent_id=name)[-1]["payload"]["reasons"]
        assert len(await desk.new("entries")) == 1
        order = await desk.protected(notional=2_000)
        await close(desk, order)
        desk.trader.command(Halt("as the scenario ends", "test"))


async def test_24_a_stop_refused_for_a_grid_that_changed_is_placed_on_the_new_one(desk):
    """Nobody has read the new rules yet when the stop must be placed anew: the refusal is what tells."""
    async with desk.scenario(trip="MANUAL"):
        order = replace(await desk.order(stop=0.05), quantity=D("0.04"))
        tick = desk.instruments[SYMBOL].tick_size
        order = replace(order, stop_price=order.stop_price // (10 * tick) * 10 * tick + tick)
        desk.trader.enter(order)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        await desk.fault(kind="coarse_rules", size=10, symbols=[SYMBOL])
        (stop,) = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
        await desk.hand.cancel_algo(stop["client_id"])
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        stops = [row for row in await desk.new("algos") if row["type"] == "STOP_MARKET"]
        assert [D(row["trigger"]) for row in stops if row["status"] == "NEW"] == [order.stop_price + 9 * tick]
        assert len(await desk.new("orders")) == 1  # the entry: nobody left
        assert desk.trader.stop_path_proven()
        await close(desk, order)


async def test_24_stop_and_target_of_a_short_are_placed_on_a_grid_that_changed(desk):
    async with desk.scenario(trip="MANUAL"):
        order = replace(await desk.order(direction=-1, stop=0.05), quantity=D("0.04"))
        tick = desk.instruments[SYMBOL].tick_size
        stop = order.stop_price // (10 * tick) * 10 * tick
        target = order.target_price // (10 * tick) * 10 * tick
        order = replace(order, stop_price=stop + tick, target_price=target + tick)
        desk.trader.enter(order)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.standing)
        await desk.fault(kind="coarse_rules", size=10, symbols=[SYMBOL])
        for row in await desk.new("algos"):
            await desk.hand.cancel_algo(row["client_id"])
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.until(lambda: desk.trader.desk.runners[SYMBOL].state.target.state is AlgoState.LIVE)
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)
        new = {row["type"]: D(row["trigger"]) for row in await desk.new("algos") if row["status"] == "NEW"}
        # both on the price that is met earlier
        assert new == {"STOP_MARKET": stop, "TAKE_PROFIT_MARKET": target + 10 * tick}
        assert len(await desk.new("orders")) == 1
        await close(desk, order)


async def test_24_a_stop_refused_for_its_grid_though_the_rules_are_what_they_were_ends_flat(desk):
    async with desk.scenario(trip="STOP_REFUSED"):
        await desk.fault(kind="order_rejected", leg="stop", code=-4014)
        order = await desk.enter()
        await desk.until(lambda: desk.trader.killed.trips)
        await desk.flat(order.symbol)
        assert (await desk.audit())["positions"] == []


async def test_21_a_halted_market_keeps_the_stop_and_is_left_when_it_opens(desk):
    async with desk.scenario():
        order = await desk.protected()
        await desk.fault(kind="halt", symbols=[SYMBOL])
        await desk.read_rules()
        desk.trader.close(order.symbol, "operator")
        await desk.until(lambda: desk.phase() is Phase.CANNOT_EXIT)
        sent = len(await desk.new("orders"))
        await asyncio.sleep(1.0)
        assert len(await desk.new("orders")) <= sent + 1  # no storm
        assert [row["status"] for row in await desk.new("algos") if row["type"] == "STOP_MARKET"] == ["NEW"]
        await desk.exchange.control.clear()
        await desk.read_rules()
        await desk.flat()


# --- streams, clocks, limits, stores ---------------------------------------------------------------------------------


async def test_05_a_stream_whose_key_is_gone_is_found_dead_by_an_order_that_is_not_echoed(desk):
    async with desk.scenario():
        reconnects = desk.trader.desk.stream.stats().reconnects
        await desk.fault(kind="key_lost", times=1)
        await desk.struck()
        order = await desk.protected()
        await desk.until(lambda: desk.trader.desk.stream.stats().reconnects > reconnects, 20)
        await desk.until(lambda: desk.trader.view().stream_up)
        fills = {row["trade_id"] for row in desk.rows.of("fills")}
        await desk.until(lambda: {row["trade_id"] for row in desk.rows.of("fills")} >= fills)
        await close(desk, order)


async def test_15_a_clock_that_is_wrong_is_set_and_nothing_is_naked(desk):
    async with desk.scenario():
        await desk.fault(kind="clock_skew", delay_s=6.0, for_s=1.5)
        order = await desk.enter()
        await desk.until(lambda: desk.rows.of("order_intents", intent_id=f"{order.decision_id}:{SYMBOL}"))
        await desk.until(lambda: desk.phase() in (Phase.PROTECTED, Phase.FLAT))
        await asyncio.sleep(1.6)
        await desk.venue.transport.resync()
        if desk.phase() is not Phase.FLAT:
            await close(desk, order)
        else:
            await close(desk, await desk.protected())


async def test_16_a_ban_leaves_the_stop_where_it_is(desk):
    async with desk.scenario():
        order = await desk.protected()
        await desk.until(
            lambda: len(desk.trader.view().locked) == 1 and not desk.trader.desk.runners[SYMBOL].state.target.waiting
        )
        await desk.fault(kind="rest_418", times=1, delay_s=1.5)
        await desk.struck()
        desk.trader.close(order.symbol, "operator")
        await desk.flat()
        assert [row["status"] for row in await desk.new("algos") if row["type"] == "STOP_MARKET"] == ["EXPIRED"]


async def test_25_a_lost_store_ends_entries_and_nothing_else(desk):
    async with desk.scenario():
        order = await desk.protected()
        desk.outside.lost = ("database",)
        await desk.until(lambda: desk.trader.killed.blocks)
        refused = await desk.enter(symbol="ETHUSDT")
        await desk.until(lambda: desk.rows.of("order_intents", intent_id=f"{refused.decision_id}:ETHUSDT"))
        assert desk.rows.of("order_intents", intent_id=f"{refused.decision_id}:ETHUSDT")[-1]["state"] == "lapsed"
        desk.outside.lost = ()
        await close(desk, order)


# --- restarts --------------------------------------------------------------------------------------------------------


async def test_07_08_a_position_older_than_the_history_is_adopted_from_position_and_orders(exchange_on, tmp_path):
    rows = Rows()
    async with exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange:
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows) as desk:
            order = await desk.protected(notional=2_000)
        account = exchange.emulator.trading.venue.desks["main"].ledger.account
        paid = account.trades[0].fee
        _forget(account, desk.clock.now_ms() + KEPT_MS + DAY_MS)
        assert account.trades == []
        async with desk_on(
            exchange, tmp_path, speed=SPEED, rows=rows, retry_s=0.02, delays={Timer.WATCH: 2_500}
        ) as desk:
            await desk.until(lambda: desk.phase() is Phase.PROTECTED)
            assert desk.trader.killed.word == "RUNNING"
            audit = await desk.audit()
            stops = [row for row in audit["algos"] if row["type"] == "STOP_MARKET"]
            assert [(D(row["trigger"]), row["status"]) for row in stops] == [(order.stop_price, "NEW")]
            await close(desk, order)
            audit = await desk.audit()
            assert audit["orphans"] == audit["positions"] == audit["duplicates"] == audit["naked"][1:] == []
            assert audit["summary"]["differences"] == []
            await desk.until(lambda: rows.of("trades"))
        (row,) = rows.of("trades")
        assert "BOOKED_IN_PART" in desk.codes()
        assert row["qty"] == float(order.quantity)
        assert D(repr(row["net"])) == D(audit["summary"]["wallet"]) - D(10_000) + paid


class Forgetful(Rows):
    """A database that a crash has kept from hearing of what came last."""

    def put(self, table, rows):
        if table == "order_intents":
            rows = [row for row in rows if row["state"] != "booked"]
        if table != "trades":
            super().put(table, rows)


async def test_08_a_position_by_another_hand_is_booked_by_whoever_finds_it_over(exchange_on, tmp_path):
    """It is closed while nobody looks, or its end is seen by a process that dies before its row is written."""
    async with exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange:
        rows = Rows()

        async def bought(desk, direction):
            order = await desk.order(direction=direction)
            await desk.exchange.control.hand(method="POST", path="/fapi/v1/order", params=_by_hand("BUY", order))
            await desk.until(lambda: desk.phase() is Phase.PROTECTED)
            return order

        async def booked(desk):
            audit = await desk.audit()
            await desk.until(lambda: rows.of("trades"))
            gained = sum(D(repr(row["net"])) for row in rows.of("trades"))
            assert gained == D(audit["summary"]["wallet"]) - D(10_000)
            assert rows.of("order_intents", kind="adopted")[-1]["state"] == "booked"
            assert rows.unbooked() == []

        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows) as desk:
            order = await bought(desk, 1)
            (row,) = rows.unbooked()
            assert row.symbol == order.symbol
        await exchange.control.hand(method="POST", path="/fapi/v1/order", params=_by_hand("SELL", order))
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows) as desk:
            await booked(desk)
            assert len(rows.of("trades")) == 1

        lost = Forgetful(tables=rows.tables)
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=lost) as desk:
            order = await bought(desk, 1)
            await close(desk, order)
            await desk.until(lambda: lost.of("order_intents", state="flat", kind="adopted"))
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows) as desk:
            await desk.until(lambda: len(rows.of("trades")) == 2)
            await booked(desk)
        async with desk_on(exchange, tmp_path, speed=SPEED, rows=rows) as desk:
            await booked(desk)
            assert len(rows.of("trades")) == 2


def _by_hand(side, order):
    return {"symbol": order.symbol, "side": side, "type": "MARKET", "quantity": str(order.quantity)}


async def test_26_a_stream_on_an_old_address_that_stays_silent_is_not_believed(exchange_on, tmp_path):
    async with (
        exchange_on(speed=SPEED, weight_per_minute=100_000) as exchange,
        desk_on(exchange, tmp_path, speed=SPEED, user_path="/ws?listenKey={key}", echo_s=0.7) as desk,
    ):
        assert desk.trader.desk.stream.stats().connected  # connected, acknowledged, silent
        order = await desk.enter()
        await desk.until(lambda: desk.phase() is Phase.PROTECTED)  # by answers alone
        await desk.until(lambda: desk.trader.desk.stream.stats().reconnects >= 1)
        for times, symbol in enumerate(SYMBOLS[1:3], 2):
            await desk.until(lambda: desk.trader.view().stream_up and not desk.trader.killed.blocks)
            await desk.enter(symbol=symbol)
            await desk.until(lambda times=times: desk.trader.desk.stream.stats().reconnects >= times)
        await desk.until(lambda: desk.trader.killed.code == "USER_STREAM_DEAD")
        refused = await desk.enter(symbol=SYMBOLS[3])
        name = f"{refused.decision_id}:{SYMBOLS[3]}"
        await desk.until(lambda: desk.rows.of("order_intents", intent_id=name))
        assert "KILL_SWITCH" in desk.rows.of("order_intents", intent_id=name)[-1]["payload"]["reasons"]
        for symbol in dict(desk.trader.view().locked):
            desk.trader.close(symbol, "operator")
        await desk.until(lambda: not desk.trader.view().locked)
        audit = await desk.audit()
        assert audit["positions"] == audit["orphans"] == audit["duplicates"] == []
        assert all(ms < 1_000 for ms in desk.naked_ms(audit["naked"]))
        assert order.symbol in {row["symbol"] for row in audit["episodes"]}


async def test_16_an_answer_of_the_firewall_at_the_start_passes_in_seconds(exchange_on, tmp_path):
    async with exchange_on() as exchange:
        await exchange.control.fault(kind="rest_403", path="/fapi/v1/openAlgoOrders", times=1, in_ms=0, for_ms=600_000)
        async with desk_on(exchange, tmp_path) as desk:  # waits for it, 30 s at most; a pause of old took two minutes
            assert desk.trader.ready


async def test_27_a_second_desk_on_the_journal_is_refused(exchange_on, tmp_path):
    async with exchange_on() as exchange, desk_on(exchange, tmp_path):
        with pytest.raises(JournalError):
            async with desk_on(exchange, tmp_path):
                pass
