"""The face of §13 on figures worked out by hand."""

import math

import pytest

from packages.common.errors import InvalidInputError
from packages.common.types import TARGETS
from services.policy.decide import PolicyConfig, decide
from services.policy.kernel import Barriers, PolicyParams

BARRIERS = Barriers(1.5, 1.0, 360, 3.0, 0.0004, 0.15, 0.0)
STATE = {
    "price": 100.0, "atr": 1.0, "atr1": 0.1, "qm": 1e6, "equity": 10_000.0, "barriers": BARRIERS, "fee_now": 0.0005,
    "tick": 0.1, "brackets": [(5e4, 0.004, 0.0, 125.0)],
}  # fmt: skip
CONFIG = PolicyConfig()


def preds(**changes):
    base = dict.fromkeys(TARGETS, 0.0) | {"er_long": 0.01, "er_short": -0.02, "q05_long": -0.01, "q05_short": -0.01}
    return base | changes


def test_a_long_has_its_hand_computed_size_bracket_and_ev():
    got = decide("BTCUSDT", preds(), STATE, CONFIG)
    # stop 1 %, loss of nothing 0.01 + 0.001 + 2·0.15·0.001 = 0.0113; 10000·0.005/0.0113 = 4424.8 > 0.4·equity = 4000
    slip = 0.15 * (1 + math.sqrt(4000 / 1e6))
    loss = 0.01 + 0.001 + 2 * slip * 0.001
    assert got["decision"] == "LONG"
    assert got["loss"] == pytest.approx(loss)
    assert got["size_notional"] == pytest.approx(min(50 / loss, 4000.0))
    assert got["ev_long"] == pytest.approx(0.01 - 2 * 0.0001 - 2 * (slip - 0.15) * 0.001)
    assert (got["leverage"], got["block_reasons"]) == (4, [])
    assert got["sl_price"] == pytest.approx(99.0)
    assert got["tp_price"] == pytest.approx(101.5)


def test_a_worse_tail_than_planned_shrinks_the_wish():
    planned = 0.01 + 2 * 0.0004 + 2 * 0.15 * 0.001
    calm = decide("X", preds(q05_long=-planned), STATE, CONFIG)
    wild = decide("X", preds(q05_long=-1.5 * planned), STATE, CONFIG)
    assert calm["block_reasons"] == wild["block_reasons"] == []
    assert wild["size_notional"] == pytest.approx(10_000 * 0.005 / wild["loss"] / 1.5)


def test_all_failing_gates_are_recorded_in_order_and_nothing_else():
    state = STATE | {"stale": True, "tradable": False, "trading_on": False, "kill_switch": True, "in_position": True}
    got = decide("X", preds(er_long=math.nan), state, CONFIG)
    assert got["block_reasons"] == [
        "DATA_STALE", "FEATURE_NAN", "SYMBOL_NOT_TRADABLE", "TRADING_OFF", "KILL_SWITCH", "ALREADY_IN_POSITION",
    ]  # fmt: skip
    assert got["ev_long"] is None
    assert got["decision"] == "FLAT"


def test_all_failing_rules_of_the_choice_are_recorded_with_value_limit_and_distance():
    got = decide("X", preds(er_long=-0.01, q05_long=-0.05, e_mae_long=0.05, er_short=-1), STATE | {"tick": 0.5}, CONFIG)
    assert got["block_reasons"] == ["EV_BELOW_MIN", "Q05_BELOW_MIN", "MAE_ABOVE_MAX", "STOP_TOO_TIGHT"]
    for detail in got["block_details"]:
        assert detail["distance"] == pytest.approx(abs(detail["value"] - detail["limit"]))
    ticks = got["block_details"][3]
    assert (ticks["value"], ticks["limit"]) == (pytest.approx(2.0), 5.0)


def test_long_wins_a_tie_and_the_larger_ev_wins_otherwise():
    assert decide("X", preds(er_short=0.01), STATE, CONFIG)["decision"] == "LONG"
    assert decide("X", preds(er_short=0.0101), STATE, CONFIG)["decision"] == "SHORT"


def test_leverage_falls_until_the_liquidation_price_is_far_enough():
    far = decide("X", preds(), STATE | {"atr": 12.0, "atr1": 0.1}, PolicyConfig(q05_min=-9))
    # the stop is 12 %, so the liquidation price must be 24 % away: leverage 4 gives about 24.7 %
    assert far["leverage"] == 4
    farther = decide("X", preds(), STATE | {"atr": 15.0}, PolicyConfig(q05_min=-9))
    assert farther["leverage"] == 3
    hopeless = decide("X", preds(), STATE | {"atr": 60.0}, PolicyConfig(q05_min=-9))
    assert "LIQUIDATION_TOO_NEAR" in hopeless["block_reasons"]
    assert hopeless["leverage"] == 1


def test_the_bracket_of_the_notional_caps_leverage():
    brackets = [(1e3, 0.004, 0.0, 50.0), (1e5, 0.01, 6.0, 2.0)]
    assert decide("X", preds(), STATE | {"brackets": brackets}, CONFIG)["leverage"] == 2


def test_the_literal_reading_of_the_tail_gate_is_a_setting():
    literal = PolicyConfig(params=PolicyParams(q05_literal=True))
    got = decide("X", preds(q05_long=-0.009), STATE, literal)
    assert got["block_reasons"] == ["Q05_BELOW_MIN"]
    assert got["block_details"][0]["limit"] == pytest.approx(-0.008)


def test_a_missing_field_is_named():
    with pytest.raises(InvalidInputError, match="equity"):
        decide("X", preds(), {name: value for name, value in STATE.items() if name != "equity"}, CONFIG)
