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


def test_a_training_is_told_by_its_report_s_own_screen():
    trading = {"kind": "portfolio_backtest", "blocked": {"COOLDOWN": 3, "TRADED": 9}}
    text = trained_text({"model_id": "m", "summary": "Walk-forward\nNo edge", "trading": trading})
    assert "Walk-forward\nNo edge" in text
    assert "TRADED" not in text
    assert "COOLDOWN 3" in text
    earlier = trading | {"verdict": {"en": "No edge after costs"}}
    assert "No edge after costs" in trained_text({"model_id": "m", "trading": earlier})
    nothing = {"kind": "labels", "note": "no test span"}
    assert "no test span" in trained_text({"model_id": "m", "summary": None, "trading": nothing})
