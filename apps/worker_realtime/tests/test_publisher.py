"""What screens are told: the newest state, complete whoever spoke, and what adds up in full."""

import asyncio
import contextlib
from decimal import Decimal
from types import SimpleNamespace

from apps.worker_realtime.live_screens import LiveScreens
from apps.worker_realtime.publisher import Share, StatePublisher
from packages.common.time import ManualClock, iso
from services.execution.core.state import Phase
from services.execution.ports import LivePosition

D = Decimal


async def sent(publisher, told):
    task = asyncio.create_task(publisher.run(every_s=60.0))
    await asyncio.sleep(0)  # one round, which does not wait
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    found, told[:] = list(told), []
    return found


async def test_a_message_is_complete_whichever_account_it_comes_from():
    told = []
    publisher = StatePublisher(lambda channel, message: told.append((channel, message)))
    publisher.publish("position_updates", Share("live", ["l1"]))
    publisher.publish("position_updates", Share("shadow", ["s1"]))
    publisher.publish("position_updates", Share("live", ["l2", "l3"]))
    publisher.publish("risk_events", ["a"])
    publisher.publish("risk_events", ["b"])
    assert await sent(publisher, told) == [("position_updates", ["s1", "l2", "l3"]), ("risk_events", ["a", "b"])]
    publisher.publish("position_updates", Share("live", []))
    assert await sent(publisher, told) == [("position_updates", ["s1"])]
    assert await sent(publisher, told) == []


def held(**changes):
    row = {"symbol": "BTCUSDT", "amount": D(-2), "entry_price": D(100), "mark_price": D(99), "unrealized_pnl": D(2),
           "liquidation_price": D(140), "isolated_margin": D(42), "maint_margin": D("4.4"), "leverage": 5,
           "stop_price": D(105), "target_price": D(90), "opened_ts_ms": 60_000, "phase": Phase.PROTECTED,
           "protected": True, "plan": None} | changes  # fmt: skip
    return LivePosition(**row)


def test_the_live_account_is_told_when_it_changes_at_the_newest_mark():
    view = SimpleNamespace(positions={"BTCUSDT": held()}, account=None, marks=None)
    told, clock = [], ManualClock(120_000)
    screens = LiveScreens(lambda: view, lambda channel, share: told.append((channel, share)), clock)
    screens.see_mark("BTCUSDT", D(98))
    screens.tell({})
    ((channel, share),) = told
    (row,) = share.rows
    assert (channel, share.mode, row["ts"]) == ("position_updates", "live", iso(120_000))
    assert (row["mark_price"], row["unrealized_pnl"], row["margin_ratio"]) == (98.0, 4.0, 4.4 / 44.0)
    assert (row["isolated_margin"], row["r_multiple"], row["risk_at_stop"]) == (40.0, 0.4, 14.0)
    clock.advance_to(180_000)
    screens.tell({})
    assert len(told) == 1  # nothing but the time has changed
    view.positions = {"BTCUSDT": held(stop_price=None, protected=False)}
    screens.tell({"BTCUSDT": 5_000})
    (row,) = told[-1][1].rows
    assert (row["protected"], row["unprotected_since"], row["r_multiple"]) == (False, iso(5_000), None)
    view.positions = {}
    screens.tell({})
    assert told[-1] == ("position_updates", Share("live", []))


async def test_what_cannot_be_told_does_not_end_the_worker():
    asked = asyncio.Event()

    def broken():
        asked.set()
        raise RuntimeError("no view")

    task = asyncio.create_task(LiveScreens(broken, lambda *_: None, ManualClock()).follow(dict, every_s=0.0))
    for _ in range(2):
        async with asyncio.timeout(10):
            await asked.wait()
        asked.clear()
    assert not task.done()
    task.cancel()
