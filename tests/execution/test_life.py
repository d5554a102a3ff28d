"""One bracket's life over the wire."""

import asyncio
import math

from services.execution.ports import OrderRequest
from services.execution.trader import place_entry_with_brackets
from tests.execution.conftest import desk_on


async def test_an_entry_is_protected_and_closed_by_the_operator(exchange_on, tmp_path):
    async with exchange_on() as exchange, desk_on(exchange, tmp_path) as desk:
        order = await desk.protected()
        listed = (await desk.audit())["algos"]
        assert {row["status"] for row in listed} == {"NEW"}
        desk.trader.close(order.symbol, "operator")
        await desk.flat()
        audit = await desk.audit()
        assert audit["summary"]["orphans"] == 0
        assert audit["summary"]["duplicates"] == 0
        assert audit["positions"] == []
        await desk.until(lambda: desk.rows.of("trades"))
        trade = desk.rows.of("trades")[0]
        assert trade["exit_reason"] == "OPERATOR"


async def test_the_face_of_the_specification_places_and_refuses(exchange_on, tmp_path):
    async with exchange_on() as exchange, desk_on(exchange, tmp_path) as desk:
        mark = await desk.mark("ETHUSDT")
        desk.trader.see_mark("ETHUSDT", mark)
        desk.outside.lasts["ETHUSDT"] = mark
        away = {"sl_price": round(float(mark) * 0.95, 1), "tp_price": round(float(mark) * 1.05, 1)}

        async def place(**changes):
            request = OrderRequest(
                **{"symbol": "ETHUSDT", "side": "BUY", "notional": 300.0, "leverage": 3} | away | changes
            )
            return await asyncio.to_thread(place_entry_with_brackets, request, trader=desk.trader)

        for changes, reason in (
            ({"sl_price": away["tp_price"], "tp_price": away["sl_price"]}, "STOP_WRONG_SIDE"),
            ({"notional": 0.01}, "BELOW_MARKET_LOT"),
            ({"side": "HOLD"}, "DIRECTION"),
            ({"notional": math.nan}, "NOT_A_NUMBER"),
            ({"sl_price": math.nan}, "NOT_A_NUMBER"),
            ({"leverage": 500}, "LEVERAGE_ABOVE_BRACKET"),
        ):
            refused = await place(**changes)
            assert refused["status"] == "lapsed"
            assert reason in refused["reasons"]
            rows = desk.rows.of("order_intents", intent_id=f"{refused['decision_id']}:ETHUSDT")
            assert reason in rows[-1]["payload"]["reasons"]
        assert (await desk.audit())["summary"]["entries"] == 0
        unknown = await place(symbol="NOPEUSDT")
        assert (unknown["status"], "UNKNOWN_SYMBOL" in unknown["reasons"]) == ("lapsed", True)
        assert [row["symbol"] for row in desk.rows.of("risk_events", event_type="UNKNOWN_SYMBOL")] == ["NOPEUSDT"]
        placed, refused = await asyncio.gather(place(), place())  # each caller is told of his own
        assert (placed["status"], refused["status"]) == ("protected", "lapsed")
        assert refused["reasons"] == ["SYMBOL_LOCKED"]
        assert [row["state"] for row in desk.rows.of("order_intents", intent_id=f"{placed['decision_id']}:ETHUSDT")][
            -1
        ] == "protected"


async def test_rule_17_the_wallet_is_compared_with_what_was_booked(exchange_on, tmp_path):
    """A transfer that the exchange does not list as income stands for any booking that we cannot account for."""
    quick = {"ledger_s": 0.2, "ledger_every_ms": 3_000}
    async with exchange_on() as exchange, desk_on(exchange, tmp_path, **quick) as desk:
        await desk.until(lambda: desk.trader.wallet.since is not None)
        before = desk.trader.wallet.since
        order = await desk.protected(symbol="XRPUSDT")
        desk.trader.close(order.symbol, "operator")
        await desk.flat(order.symbol)
        await desk.until(lambda: desk.trader.wallet.since.ts_ms > before.ts_ms + 3_000, 30)
        assert desk.trader.wallet.since.wallet < before.wallet  # fees were paid, and booked
        assert desk.trader.killed.word == "RUNNING"
        account = exchange.emulator.trading.venue.desks["main"].ledger.account
        account.wallet += 1
        await desk.until(lambda: desk.trader.killed.code == "LEDGER_MISMATCH", 30)


async def test_rule_17_a_booking_between_two_processes_is_compared_too(exchange_on, tmp_path):
    quick = {"ledger_s": 0.2, "ledger_every_ms": 1_000}
    async with exchange_on() as exchange:
        async with desk_on(exchange, tmp_path, **quick) as desk:
            await desk.until(lambda: desk.trader.wallet.since is not None)
        exchange.emulator.trading.venue.desks["main"].ledger.account.wallet -= 1
        async with desk_on(exchange, tmp_path, **quick) as desk:
            await desk.until(lambda: desk.trader.killed.code == "LEDGER_MISMATCH", 30)
