"""What the research commands make of what is typed, and of what a job answers."""

import pytest

from apps.cli.research import fold_shape, labels_text, train_fields, trained_text
from packages.common.errors import InvalidInputError

REPORT = {
    "cost_to_tp": 0.62,
    "uneconomical": True,
    "long": {"blocked": {"EV_BELOW_MIN": 0.704, "MAE_ABOVE_MAX": 0.001}},
    "short": {"blocked": {"EV_BELOW_MIN": 0.0}},
}


def test_fields_of_a_training_are_json_or_else_text():
    typed = ["seed=3", "events=cusum:2", "label_factors=[]", "bagging_fraction=0.5"]
    assert train_fields(typed) == {"seed": 3, "events": "cusum:2", "label_factors": [], "bagging_fraction": 0.5}


@pytest.mark.parametrize("text", ["seed", "=3", "no seed=3"])
def test_what_names_no_field_is_refused(text):
    with pytest.raises(InvalidInputError, match="FIELD=VALUE"):
        train_fields([text])


@pytest.mark.parametrize("text", ["20/5", "20/0/5", "a/b/c"])
def test_folds_are_three_whole_numbers_of_days(text):
    with pytest.raises(InvalidInputError, match="20/5/5"):
        fold_shape(text)


def test_labels_tell_what_costs_eat_and_what_thresholds_would_block():
    text = labels_text({"label_spec_hash": "abc", "labels": {"BTCUSDT": 10, "X": 0}, "reports": {"BTCUSDT": REPORT}})
    assert "cost / TP 0.62 UNECONOMICAL" in text
    assert "long blocked: EV_BELOW_MIN 70 %" in text
    assert "short blocked: none" in text
    assert "MAE_ABOVE_MAX" not in text


def test_the_interval_of_a_trade_is_in_the_money_of_its_mean():
    costs = {"net": 578.96, "fees": 278.73}
    trading = dict.fromkeys(("win_rate", "total_return", "max_drawdown", "profit_factor", "tail_loss", "turnover"), 0.5)
    trading |= {"kind": "portfolio_backtest", "verdict": {"en": "No edge"}, "start": "2025-06-07", "days": 10.0,
                "trades": 95.0, "expectancy": 6.09, "expectancy_95": [-6.9, 14.67], "expectancy_frac": 0.00306,
                "costs": costs, "blocked": {"COOLDOWN": 3}}  # fmt: skip
    text = trained_text({"model_id": "m", "trading": trading})
    assert "expectancy 6.09 USDT a trade (95 % -6.90 … 14.67), 30.60 bps of what was traded" in text
    assert "COOLDOWN 3" in text
