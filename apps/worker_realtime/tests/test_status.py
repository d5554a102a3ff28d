"""What the worker says of itself."""

from types import SimpleNamespace as Parts

import numpy as np
import pytest

from apps.worker_realtime.status import LastMinute, StatusView
from packages.common.time import ManualClock
from packages.common.types import StatusDTO


def view() -> StatusView:
    metrics = Parts(queued_rows=0, lag_ms=0.0, spilled_bytes=0, flush_ms=3.0, refused_rows=0, buffered=0, dropped=0)
    progress = Parts(
        candle_ts_ms=None, feature_ts_ms=None, signal_ts_ms=None, timings={}, late_ms=212, fresh_symbols=2, minutes=0
    )
    made = StatusView(
        Parts(exchange="emulator"),
        ManualClock(60_000),
        Parts(symbols=("A", "B"), tradable=np.array([True, True])),
        Parts(stats=lambda: Parts(catching_up=False, behind=0)),
        Parts(metrics=metrics),
        Parts(metrics=metrics),
        [],
    )
    state = Parts(kill_switch="RUNNING", toggle="live", version=1)
    source = Parts(current=Parts(version=1), at_start=0)
    made.attach(Parts(progress=progress), Parts(state=state), Parts(current=None), source)
    return made


@pytest.mark.parametrize(("skew", "told"), [(None, None), (-41.26, 41.3)])
def test_how_far_the_clock_is_off_is_told_where_it_is_compared(skew, told):
    desk = view()
    assert "clock_skew" not in StatusDTO.model_validate(desk.as_json()).latency_ms
    trader = Parts(view=lambda: Parts(stream_up=True))
    desk.live = Parts(trader=trader, clock_skew_ms=lambda: skew, status=dict)
    assert StatusDTO.model_validate(desk.as_json()).latency_ms.get("clock_skew") == told


def test_errors_are_those_of_the_last_minute():
    errors = LastMinute()
    totals = [
        errors.of({"reconnects": total}, at)["reconnects"]
        for at, total in ((0, 5.0), (1_000, 6.0), (59_000, 6.0), (61_000, 7.0), (200_000, 7.0), (201_000, 0.0))
    ]
    assert totals == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
