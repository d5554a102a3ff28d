"""How a labelled history is divided."""

import pytest

from apps.worker_batch.tasks_research import plan_history
from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, MINUTE_MS

LAST = 51 * DAY_MS - MINUTE_MS


def test_a_history_shorter_than_the_usual_fold_is_one_split_and_says_so():
    _, folds, plan = plan_history(0, LAST, None, None)
    assert (folds, plan) == (
        1, "single split 65/15/20: 51.0 days of labels are less than one fold of 180/30/30 days",
    )  # fmt: skip


def test_folds_that_were_asked_for_and_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match=r"fold_days: got '200/30/30', expected days .* 51\.0"):
        plan_history(0, LAST, (200, 30, 30), None)


def test_folds_end_with_the_history():
    spans, folds, plan = plan_history(0, LAST, (20, 5, 5), None)
    assert (folds, plan) == (5, "walk-forward, 5 folds of 20/5/5 days")
    assert spans[2].end_ms >= LAST
    assert plan_history(0, LAST, (20, 5, 5), 2)[1] == 2
