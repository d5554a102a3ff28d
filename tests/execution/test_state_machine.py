"""Random histories of the real trader on the emulated exchange: protected or flat when all is quiet, one entry an
intent, nothing left over. The seed is fixed."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from packages.common.errors import VenueError
from services.emulator.config import EmulatorConfig
from services.emulator.testing import served
from services.execution.core.events import Timer
from services.execution.core.state import Phase as Life
from tests.execution.conftest import SPEED, SYMBOLS, desk_on

FAULTS = st.sampled_from(
    (
        {"kind": "order_lost", "leg": "entry", "times": 1},
        {"kind": "order_dropped", "leg": "entry", "times": 1},
        {"kind": "order_late", "leg": "entry", "times": 1, "delay_s": 0.3},
        {"kind": "order_lost", "leg": "stop", "times": 1},
        {"kind": "order_dropped", "leg": "stop", "times": 2},
        {"kind": "order_rejected", "leg": "stop", "code": -2021, "times": 1},
        {"kind": "order_unknown", "leg": "exit", "times": 1},
        {"kind": "order_dropped", "leg": "target", "times": 1},
        {"kind": "event_lost", "times": 2},
        {"kind": "event_twice", "times": 3, "delay_s": 0.1},
        {"kind": "event_swapped", "times": 3},
        {"kind": "market_short", "size": 0.5, "for_s": 0.5},
        {"kind": "stale_read", "leg": "query", "times": 3, "delay_s": 0.5},
        {"kind": "drop_connection", "category": "private", "times": 1},
        {"kind": "key_lost", "times": 1},
        {"kind": "rest_503", "times": 4},
    )
)
symbols = st.sampled_from(SYMBOLS[:3])
QUIET = {Life.FLAT, Life.PROTECTED}


STEPS = st.one_of(
    st.tuples(st.just("enter"), symbols, st.sampled_from((1, -1)), st.sampled_from((0.001, 0.05))),
    st.tuples(st.just("close"), symbols),
    st.tuples(st.just("fault"), FAULTS),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 0.02, 0.1, 0.4))),
)


async def live(desk, history):
    """One history, from calm to flat."""
    await desk.calm()
    before, trader = await desk.audit(), desk.trader
    for step in history:
        match step:
            case ("enter", symbol, direction, stop):
                with contextlib.suppress(VenueError):  # the mark could not be read
                    await desk.enter(symbol=symbol, direction=direction, stop=stop)
            case ("close", symbol):
                trader.close(symbol, "operator")
            case ("fault", fault):
                await desk.fault(**fault)
            case ("wait", wait_s):
                await asyncio.sleep(wait_s)
    await desk.exchange.control.clear()
    await desk.until(lambda: set(trader.view().locked.values()) <= QUIET and not trader.view().entering)
    found = await desk.audit()
    assert found["summary"]["naked_now"] == []
    assert found["duplicates"] == found["stacked"] == found["orphans"] == []
    await desk.calm()
    found = await desk.audit()
    assert found["positions"] == found["orphans"] == found["summary"]["differences"] == []
    assert all(row["end"] for row in found["naked"][len(before["naked"]) :])


@pytest.mark.xdist_group("execution-histories")
def test_every_history_ends_protected_or_flat(market):
    async def start():
        config = EmulatorConfig(speed=SPEED, history_days=3, universe=SYMBOLS, weight_per_minute=100_000)
        exchange = await stack.enter_async_context(served(config, source=market))
        delays = {Timer.WATCH: 2_500, Timer.LIST: 1_500}
        return await stack.enter_async_context(desk_on(exchange, Path(folder), speed=SPEED, delays=delays))

    # steps are drawn before they are taken: what happens then takes its time, and never twice the same
    @settings(max_examples=12, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.lists(STEPS, min_size=4, max_size=12))
    def histories(history):
        loop.run_until_complete(live(desk, history))

    loop, stack = asyncio.new_event_loop(), contextlib.AsyncExitStack()
    with tempfile.TemporaryDirectory() as folder:
        desk = loop.run_until_complete(start())
        try:
            histories()
        finally:
            loop.run_until_complete(stack.aclose())
            loop.close()
