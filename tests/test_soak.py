"""The desk as a whole, on the real wire: hours of market at full speed, then proof (see ``perpilot soak``)."""

import pytest

from apps.cli.soak import SoakPlan, run_soak
from packages.common.config import load_settings

UNIVERSE = "BTCUSDT,ETHUSDT,SOLUSDT,XAUUSDT,PUMPUSDT,BNXUSDT"  # PUMPUSDT settles every hour
ENVIRONMENT = {"UNIVERSE": UNIVERSE, "HISTORY_DAYS": "6", "SPEED": "max", "SEED": "11", "FLUSH_INTERVAL_MS": "200"}

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.xdist_group("desk")]


@pytest.fixture
def settings(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return load_settings(env_file=None)


def test_killed_processes_leave_nothing_out_and_no_difference_from_offline(settings) -> None:
    """Between the kills the desk runs at full speed; starting one takes most of the time, so there is one."""
    plan = SoakPlan(hours=30.0, kill_every_s=1.0, victims=("worker_realtime", "postgres", "emulator"), seed=4)
    result = run_soak(settings, plan, ENVIRONMENT)
    verified = result["verified"]
    assert result["ok"], result
    assert len(result["kills"]) >= 2
    assert verified["symbols"] == 5  # the delisted one is shown, not traded
    assert verified["minutes"] >= 30 * 60
    assert verified["candles"] == verified["minutes"] * 5
    assert verified["signals"] == verified["minutes"] * 6  # one row a symbol and minute, the delisted one included
