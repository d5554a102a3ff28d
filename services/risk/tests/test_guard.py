"""The face of §14 on figures worked out by hand."""

import pytest

from packages.common.errors import InvalidInputError
from services.risk.guard import RiskConfig, assess, check_risk

CONFIG = RiskConfig(0.35, 0.02, 6, 1.2, 0.8)
ACCOUNT = {"equity": 10_000.0, "day_start_equity": 10_000.0}
ACTION = {"side": 1, "notional": 3_000.0, "price": 100.0, "leverage": 4, "loss": 0.01, "tier": 0, "beta": 1.0}


def held(notional, side=1, **more):
    return {"side": side, "notional": notional, "leverage": 4, **more}


def test_an_empty_account_admits_the_whole_wish():
    assert check_risk(ACTION, {}, ACCOUNT, CONFIG) == []
    assert assess(ACTION, {}, ACCOUNT, CONFIG).notional == pytest.approx(3_000.0)


@pytest.mark.parametrize(
    ("positions", "change", "account", "code"),
    [
        ([held(100.0)] * 6, {}, {}, "MAX_POSITIONS"),
        ([held(5_900.0, 1, tier=1, beta=0.0), held(5_900.0, -1, tier=1, beta=0.0)], {}, {}, "MAX_TOTAL_NOTIONAL"),
        ([held(7_900.0, tier=1, beta=0.0)], {}, {}, "MAX_DIRECTIONAL_NOTIONAL"),
        ([held(2_900.0, tier=2, beta=0.0)], {"tier": 2}, {}, "TIER_CAP"),
        ([held(5_000.0, beta=1.58)], {}, {}, "BETA_CAP"),
        ([held(3_000.0, leverage=1, beta=0.0)], {"leverage": 1}, {}, "MAX_USED_MARGIN"),
        ([held(1_000.0, risk=195.0)], {}, {}, "DAY_RISK_BUDGET"),
        ([], {"max_qty": 5.0}, {}, "MARKET_QTY"),
        ([], {"qm": 5_000.0}, {}, "PARTICIPATION"),
        ([], {}, {"stop_path_ok": False}, "STOP_PATH_UNPROVEN"),
        ([], {"min_notional": 3_000.0}, {}, "MIN_NOTIONAL"),
        ([], {}, {"trading_on": False}, "TRADING_OFF"),
        ([], {}, {"kill_switch": True}, "KILL_SWITCH"),
    ],
)
def test_each_limit_blocks_by_its_name(positions, change, account, code):
    codes = check_risk(ACTION | change, {"positions": positions}, ACCOUNT | account, CONFIG)
    assert codes[0] == code
    if code != "MAX_USED_MARGIN":
        assert len(codes) == 1


def test_a_lost_day_blocks_with_the_limit_in_the_detail():
    verdict = assess(ACTION, {}, ACCOUNT | {"equity": 9_790.0}, CONFIG)
    assert [detail["code"] for detail in verdict.details] == ["DAILY_LOSS_LIMIT", "DAY_RISK_BUDGET"]
    first = verdict.details[0]
    assert (first["value"], first["limit"], first["distance"]) == (9_790.0, pytest.approx(9_800.0), pytest.approx(10.0))


def test_an_entry_is_cut_to_the_smallest_room_and_rounded_to_the_step():
    verdict = assess(ACTION | {"step": 0.7}, {"positions": [held(6_000.0, beta=0.0)]}, ACCOUNT, CONFIG)
    assert verdict.details == ()
    assert verdict.qty == pytest.approx(19.6)
    assert verdict.notional == pytest.approx(1_960.0)


def test_the_smallest_room_comes_first_and_max_positions_before_all():
    positions = [held(1_600.0, tier=2)] * 5
    two = check_risk(ACTION | {"tier": 2}, {"positions": positions}, ACCOUNT, CONFIG)
    assert two[0] == "TIER_CAP"
    assert set(two) == {"MAX_DIRECTIONAL_NOTIONAL", "TIER_CAP", "BETA_CAP"}
    three = check_risk(ACTION | {"tier": 2}, {"positions": [*positions, held(1.0)]}, ACCOUNT, CONFIG)
    assert three[0] == "MAX_POSITIONS"


def test_a_hedge_makes_room_for_beta_and_a_negative_beta_counts_the_other_way():
    crowd = {"positions": [held(7_600.0, -1, beta=1.0)]}
    assert check_risk(ACTION | {"side": -1, "notional": 2_000.0}, crowd, ACCOUNT, CONFIG) != []
    assert check_risk(ACTION, crowd, ACCOUNT, CONFIG) == []
    assert check_risk(ACTION | {"beta": -1.0}, crowd, ACCOUNT, CONFIG) == ["BETA_CAP"]


def test_reducing_is_never_refused():
    closing = ACTION | {"reduce_only": True}
    assert check_risk(closing, {"positions": [held(1e9)] * 9}, {"equity": 1.0, "kill_switch": True}, CONFIG) == []


def test_nonsense_is_named():
    for action in ({**ACTION, "side": 0}, {**ACTION, "notional": -1.0}, {"side": 1, "notional": 1.0}):
        with pytest.raises(InvalidInputError):
            check_risk(action, {}, ACCOUNT, CONFIG)
