"""A short campaign; the long ones are ``perpilot soak --faults`` and ``--kill-trader`` (docs/claims.md)."""

import pytest

from apps.cli.campaign import SYMBOLS, FaultPlan, run_faults
from apps.cli.campaign_kills import KillPlan, run_kills

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("campaign")]


def test_brackets_under_absurd_faults_keep_every_claim():
    found = run_faults(FaultPlan(25, seed=5, profile="absurd", symbols=SYMBOLS[:16], flat_s=60.0))
    assert found["ok"], (found["seed"], found["broken"])
    assert found["brackets"] >= 25
    assert sum(found["faults"].values()) > 20


def test_a_killed_trader_converges_and_loses_nothing(tmp_path):
    found = run_kills(tmp_path, KillPlan(2, seed=5, lives_s=(2.0, 4.0)))
    assert found["ok"], (found["seed"], found["broken"])
    assert found["positions"] > 0
    again = run_kills(tmp_path, KillPlan(1, seed=5, symbols=SYMBOLS[:2], lives_s=(0.1, 0.2)))
    assert again["kills"] == 3
