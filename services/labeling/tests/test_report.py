"""What the label job says about a symbol: costs beside the target, and what the thresholds would block."""

import dataclasses
import json

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from services.labeling.report import Thresholds, cost_to_tp, label_report
from services.labeling.tests.markets import Arrays, random_arrays
from services.labeling.triple_barrier import PRESETS, LabelSpec, label_both

SPEC = LabelSpec(k_tp=1.5, k_sl=1.0, h_bars=30, risk_mae_atr=3.0, fee_rate=0.0004, slippage_k=0.15)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return random_arrays(2_000, np.random.default_rng(8))


def test_cost_to_tp_by_hand() -> None:
    mark, atr, slip = np.array([100.0, 100.0, 0.0, 100.0]), np.array([2.0, np.nan, 2.0, 2.0]), np.array([0.1, 1, 1, -1])
    got = cost_to_tp(mark, atr, SPEC, slip)
    assert got[0] == pytest.approx((100 * 0.0008 + 0.3 * 0.1) / 3.0)
    assert np.isnan(got[1:]).all()
    with pytest.raises(InvalidInputError, match="atr"):
        cost_to_tp(mark, atr[1:], SPEC)


def test_calm_symbols_are_warned_about_and_wide_barriers_are_not(arrays: Arrays) -> None:
    calm = arrays._replace(atr=np.full(2_000, 0.03), mark=np.full(2_000, 100.0))
    report = label_report("CALMUSDT", label_both(*calm, SPEC), calm.mark, calm.atr, SPEC)
    assert report.cost_to_tp == pytest.approx((0.08 + 0.3 * 0.03) / 0.045)
    assert report.uneconomical
    assert "CALMUSDT" in str(report.warning())
    assert "swing" in str(report.warning())
    swing = PRESETS["swing"]
    wide = label_report("X", label_both(*calm, swing), calm.mark, calm.atr * 20, swing, calm.atr)
    assert wide.cost_to_tp == pytest.approx((0.08 + 0.3 * 0.03) / 0.9)
    assert wide.warning() is None


def test_shares_count_the_rows_by_outcome(arrays: Arrays) -> None:
    labels = label_both(*arrays, SPEC)
    report = label_report("X", labels, arrays.mark, arrays.atr, SPEC)
    y = labels.long.y[labels.long.labelled]
    assert report.long is not None
    assert (report.long.tp, report.long.sl, report.long.time) == (np.mean(y > 0), np.mean(y < 0), np.mean(y == 0))
    assert report.labelled == y.size
    assert report.spec_hash == SPEC.hash()
    assert json.loads(json.dumps(report.to_dict()))["short"]["blocked"].keys() == report.long.blocked.keys()


def test_the_literal_quantile_gate_blocks_everything_and_the_planned_loss_reading_does_not(arrays: Arrays) -> None:
    """More than one trade in twenty is stopped out, so q05 lies below the stop (D39)."""
    report = label_report("X", label_both(*arrays, SPEC), arrays.mark, arrays.atr, SPEC)
    for side in (report.long, report.short):
        assert side is not None
        assert side.sl > 0.05
        assert side.q05_atr < -1.0
        assert side.blocked["Q05_LITERAL"] == 1.0
        assert side.blocked["Q05_BELOW_MIN"] < 0.2


def test_each_threshold_blocks_more_when_it_is_stricter(arrays: Arrays) -> None:
    labels = label_both(*arrays, SPEC)
    open_, shut = (
        label_report("X", labels, arrays.mark, arrays.atr, SPEC, thresholds=limits).long
        for limits in (Thresholds(-1.0, -100.0, 100.0), Thresholds(1.0, 100.0, 0.0))
    )
    assert open_ is not None
    assert shut is not None
    assert set(open_.blocked.values()) == {0.0}
    assert set(shut.blocked.values()) == {1.0}


def test_a_symbol_without_labels_has_an_empty_report() -> None:
    arrays = random_arrays(20, np.random.default_rng(1), holes=False)
    spec = dataclasses.replace(SPEC, h_bars=50)
    report = label_report("NEWUSDT", label_both(*arrays, spec), arrays.mark, np.full(20, np.nan), spec)
    assert (report.labelled, report.cost_to_tp, report.long, report.warning()) == (0, None, None, None)
