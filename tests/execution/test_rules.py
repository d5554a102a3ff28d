"""Rules of execution on the wire, by number, where the pure machine cannot show them."""

from dataclasses import replace
from decimal import Decimal

import pytest

from packages.exchange.trading import Side
from services.execution.core.events import Timer
from services.execution.core.state import Phase
from tests.execution.conftest import SPEED, SYMBOLS, Rows, desk_on

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("execution-rules")]
D = Decimal
SYMBOL = "BTCUSDT"


async def refused(desk, order):
    """The reasons of an entry that must not reach the wire."""
    desk.trader.enter(order)
    name = f"{order.decision_id}:{order.symbol}"
    await desk.until(lambda: desk.rows.of("order_intents", intent_id=name))
    row = desk.rows.of("order_intents", intent_id=name)[-1]
    assert row["state"] == "lapsed"
    return row["payload"]["reasons"]


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
    async with desk.scenario(lives=0):
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
    from services.execution.kill_switch import Flatten

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
                await desk.until(lambda: desk.phase() is not Phase.FLAT)
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
