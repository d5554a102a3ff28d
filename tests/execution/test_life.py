"""One bracket's life over the wire."""

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
