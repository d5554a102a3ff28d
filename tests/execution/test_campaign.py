"""A short campaign; the long ones are ``perpilot soak --faults`` and ``--kill-trader`` (docs/claims.md)."""

import pytest

from apps.cli.campaign import SYMBOLS, FaultPlan, run_faults
from apps.cli.campaign_kills import KillPlan, run_kills

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("campaign")]


def test_brackets_under_faults_keep_every_claim():
    found = run_faults(FaultPlan(20, seed=5, symbols=SYMBOLS[:20], flat_s=60.0))
    assert found["ok"], (found["seed"], found["broken"])
    assert found["brackets"] >= 20


def test_a_killed_trader_converges_and_loses_nothing(tmp_path):
    found = run_kills(tmp_path, KillPlan(1, seed=5, symbols=SYMBOLS[:8], lives_s=(6.0, 6.0)))
    assert found["ok"], (found["seed"], found["broken"])
    assert found["positions"] > 0
    assert found["kills"] == 1
