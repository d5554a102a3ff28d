"""Random histories of the real trader on the emulated exchange: protected or flat when all is quiet, one entry an
intent, nothing left over. The seed is fixed; Hypothesis shrinks what it finds to the shortest history."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

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
QUIET = (Life.FLAT, Life.PROTECTED)


class History(RuleBasedStateMachine):
    """One history on the shared desk; ``loop`` and ``desk`` are set before the machine runs."""

    loop: asyncio.AbstractEventLoop
    desk = None

    def do(self, work):
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self):
        self.do(self.desk.calm())
        self.before = self.do(self.desk.audit())

    @rule(symbol=symbols, direction=st.sampled_from((1, -1)), stop=st.sampled_from((0.001, 0.05)))
    def enter(self, symbol, direction, stop):
        self.do(self.desk.enter(symbol=symbol, direction=direction, stop=stop))

    @rule(symbol=symbols)
    def close(self, symbol):
        self.desk.trader.close(symbol, "operator")

    @rule(fault=FAULTS)
    def strike(self, fault):
        self.do(self.desk.fault(**fault))

    @rule(wait_s=st.sampled_from((0.0, 0.02, 0.1, 0.4)))
    def wait(self, wait_s):
        self.do(asyncio.sleep(wait_s))

    def teardown(self):
        if not hasattr(self, "before"):
            return
        self.do(self.desk.exchange.control.clear())
        trader = self.desk.trader
        self.do(
            self.desk.until(lambda: set(trader.view().locked.values()) <= set(QUIET) and not trader.view().entering)
        )
        found = self.do(self.desk.audit())
        assert found["summary"]["naked_now"] == []
        assert found["duplicates"] == found["stacked"] == []
        assert found["orphans"] == []
        self.do(self.desk.calm())
        found = self.do(self.desk.audit())
        assert found["positions"] == found["orphans"] == found["summary"]["differences"] == []
        assert all(row["end"] for row in found["naked"][len(self.before["naked"]) :])


@pytest.mark.xdist_group("execution-histories")
def test_every_history_ends_protected_or_flat(market):
    async def start(stack, folder):
        config = EmulatorConfig(speed=SPEED, history_days=3, universe=SYMBOLS, weight_per_minute=100_000)
        exchange = await stack.enter_async_context(served(config, source=market))
        delays = {Timer.WATCH: 2_500, Timer.LIST: 1_500}
        return await stack.enter_async_context(desk_on(exchange, folder, speed=SPEED, delays=delays))

    History.loop = asyncio.new_event_loop()
    stack = contextlib.AsyncExitStack()
    rules = settings(
        max_examples=12, stateful_step_count=8, deadline=None, derandomize=True, database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as folder:
            History.desk = History.loop.run_until_complete(start(stack, Path(folder)))
            run_state_machine_as_test(History, settings=rules)
            History.loop.run_until_complete(stack.aclose())
    finally:
        History.loop.close()
