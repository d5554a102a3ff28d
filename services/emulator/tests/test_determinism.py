"""One seed, one market, the same requests at the same times: the same bytes, whatever happened around them."""

import asyncio
import contextlib

import aiohttp
import orjson
import pytest

from packages.common.time import monotonic_ms
from services.emulator.faults import Fault, Kind
from services.emulator.testing import spawned
from services.emulator.tests.conftest import PATIENT_S, Client, exchange, receive, stands, until
from services.emulator.tests.trader import Trader

FAULTS = (
    Fault(Kind.MARKET_SHORT, 0, share=0.3), Fault(Kind.FILL_LATE, 0, share=0.3, delay_ms=7_000),
    Fault(Kind.ORDER_UNKNOWN, 0, share=0.2, leg="entry"), Fault(Kind.ORDER_DROPPED, 0, share=0.2, leg="stop"),
    Fault(Kind.TRIGGER_STUCK, 0, share=0.2),
)  # fmt: skip


async def life(client, trader, rounds, *, listen=False):
    """Brackets, and what was answered and heard. ``listen``: a minute passes between two of them."""
    told, heard = [], []
    key = await trader.key_of_stream()

    async def hear(user):
        while '"end"' not in (text := await user.receive_str(timeout=PATIENT_S)):
            heard.append(text)

    async def nothing_to_tell():
        return not client.emulator.trading._timers

    async with contextlib.AsyncExitStack() as stack:
        user = await stack.enter_async_context(client.socket(f"/private/ws/{key}"))
        hearing = asyncio.create_task(hear(user))  # who does not read holds up a free clock
        market = await stack.enter_async_context(client.socket("/market/ws/btcusdt@kline_1m")) if listen else None
        for read, number in enumerate(rounds, 1):
            side, other = ("BUY", "SELL") if number % 2 else ("SELL", "BUY")
            told.append(await trader.order(side, "0.02", newClientOrderId=f"e{number}"))
            mark = await trader.mark()
            for kind, share in (("STOP_MARKET", -1), ("TAKE_PROFIT_MARKET", 1)):
                price = mark * (1 + share * (1 if side == "BUY" else -1) * 0.0006)
                told.append(await trader.stop(f"{price:.1f}", side=other, type=kind, clientAlgoId=f"{kind}{number}"))
            if market is not None:
                await receive(market, 1)
                await stands(client, read)
        await until(nothing_to_tell)
        await user.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "end"})  # its answer is behind all that was told
        await hearing
    return told, heard


def bare(state):
    """Without what our own clock wrote into it."""
    return {name: value for name, value in state.items() if name != "audit"}


async def test_two_runs_of_a_seed_agree_to_the_last_byte_and_another_seed_does_not(source):
    def run(seed):
        async def one():
            async with exchange(source, seed=seed, faults=FAULTS) as client:
                trader = Trader(client)
                found = await life(client, trader, range(8), listen=True)
                return orjson.dumps(found), orjson.dumps(bare(client.emulator.trading.state()))

        return one()

    first, second, other = [await run(seed) for seed in (7, 7, 8)]
    assert first == second
    assert first[0] != other[0]
    assert b"TRIGGERING" in first[0]


async def test_forks_of_a_state_go_the_same_way(source):
    async with exchange(source, faults=FAULTS) as one, exchange(source, faults=FAULTS) as two:
        await life(one, Trader(one), range(4))
        state = one.emulator.trading.state()
        two.emulator.trading.rewind(state)
        ends = []
        for client in (one, two, one):
            client.emulator.trading.rewind(state)  # the third: rewound, and once more
            ends.append((await life(client, Trader(client), range(4, 8)), bare(client.emulator.trading.state())))
        assert ends[0] == ends[1] == ends[2]


@pytest.mark.integration
async def test_an_account_survives_sigkill(tmp_path):
    options = ("--speed", "60", "--universe", "BTCUSDT,ETHUSDT", "--history-days", "2", "--var-dir", str(tmp_path))

    class Far:  # what the signing client needs to know of an emulator
        def __init__(self, found, now_ms):
            asked = monotonic_ms()
            self.rest_url, self.clock, self.free = found.rest_url, self, False
            self.now_ms = lambda: int(now_ms + (monotonic_ms() - asked) * 60)

    async with aiohttp.ClientSession() as session:

        async def trader(found):
            return Trader(Client(Far(found, (await found.control.status())["market_ms"]), session))

        async with spawned(*options) as found:
            now = await trader(found)
            assert (await now.order("BUY", "0.01", newClientOrderId="e"))["status"] == "FILLED"
            assert (await (await trader(found)).stop("10000", clientAlgoId="s"))["algoStatus"] == "NEW"
            await found.control.fault(kind="fill_late", delay_ms=1)
            before = (await found.control.status())["market_ms"]
            await found.kill()
        async with spawned(*options) as found:
            assert (await found.control.status())["market_ms"] >= before
            assert [row["kind"] for row in (await found.control.faults())["plan"]] == ["fill_late"]
            assert found.environment()["EXCHANGE_REST_URL"] == found.rest_url
            assert [row["clientAlgoId"] for row in await (await trader(found)).get("openAlgoOrders")] == ["s"]
            main = (await found.control.audit())["accounts"]["main"]
            assert main["summary"]["naked_now"] == []
            assert main["summary"]["differences"] == []
            assert [row["symbol"] for row in main["positions"]] == ["BTCUSDT"]
