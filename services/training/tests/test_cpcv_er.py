"""The grid on ``er``, on markets with and without an edge."""

import itertools
import json

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS
from services.training.dataset import build_dataset
from services.training.fit import FitParams
from services.training.search import MODEL_SPACE, POLICY_SPACE, search
from services.training.splits import Span, make_split
from services.training.tests.markets import SPEC, make_rows
from services.training.validation.cpcv import cpcv_plan
from services.training.validation.er import ErModels, walk_forward_objective
from services.training.validation.evidence import selection_evidence
from services.training.validation.grid import GridTrial, cpcv_evaluate


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["no edge", "planted edge"])
def market(request):
    rows = [make_rows(s, seed, n=20_000, edge=request.param) for s, seed in (("AUSDT", 1), ("BUSDT", 2))]
    return request.param, build_dataset(rows, events="every:10", label_spec=SPEC)


def test_er_over_the_grid_finds_an_edge_only_where_there_is_one(market):
    edge, data = market
    models = ErModels(data, FitParams(num_threads=1, min_data_in_leaf=50), rounds=20)
    plan = cpcv_plan(data.ts_ms, groups=5, test_groups=2, embargo_pct=0.02)
    grid = [
        GridTrial({"num_leaves": leaves, "min_data_in_leaf": least, "bagging_fraction": 0.8}, {"ev_min": ev})
        for leaves, least in ((4, 30), (15, 100))
        for ev in (0.0, 0.001)
    ]
    result = cpcv_evaluate(data, models.fit_predict, plan, grid, models.trade, period_ms=240 * MINUTE_MS)
    again = cpcv_evaluate(data, models.fit_predict, plan, grid, models.trade, period_ms=240 * MINUTE_MS)
    np.testing.assert_array_equal(result.returns, again.returns)
    assert not np.array_equal(result.returns[0], result.returns[2])  # parameters reach the booster
    report = json.loads(json.dumps(result.describe(n_trials=10), allow_nan=False))
    assert report["evidence"]["trials"] == 10
    assert len(report["evidence"]["paths"]["sharpe"]) == 4
    deflated = report["evidence"]["paths"]["deflated_sharpe_median"]
    if edge:
        assert deflated > 0.99
        assert result.path_sharpes().min() > 0.3
        assert report["evidence"]["overfitting"]["probability_of_loss"] == 0.0
    else:
        assert deflated < 0.5
        assert report["trials"][0]["total_return"] < 0  # costs


def test_rows_beyond_the_limit_are_thinned_the_same_way_each_time(market):
    _, data = market
    train, test = np.arange(3000), np.arange(3100, 3500)
    params = FitParams(num_threads=1, min_data_in_leaf=20)
    thin = ErModels(data, params, rounds=5, max_rows=500)
    first, second = (thin.fit_predict(train, test, [{"num_leaves": 7}])[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    whole = ErModels(data, params, rounds=5).fit_predict(train, test, [{"num_leaves": 7}])[0]
    assert whole.shape == (400, 2)
    assert not np.array_equal(first, whole)
    with pytest.raises(InvalidInputError, match="policy"):
        thin.trade({"ev_max": 1.0}, np.zeros((len(data), 2)))


def test_a_search_over_the_folds_ends_in_evidence(market):
    edge, data = market
    hours = np.array([0, 120, 200, 240]) * 60 * MINUTE_MS + int(data.ts_ms[0])
    spans = [Span(int(a), int(b)) for a, b in itertools.pairwise(hours)]
    later = [Span(s.start_ms + 80 * 60 * MINUTE_MS, s.end_ms + 80 * 60 * MINUTE_MS) for s in spans]
    splits = [make_split(data.ts_ms, data.end_ts_ms, train=t, valid=v, test=x) for t, v, x in (spans, later)]
    models = ErModels(data, FitParams(num_threads=1), rounds=10)
    space = {name: MODEL_SPACE[name] for name in ("num_leaves", "learning_rate")} | POLICY_SPACE
    objective = walk_forward_objective(models, splits, period_ms=240 * MINUTE_MS)
    result = search(objective, space, n_trials=8, seed=2, max_steps=2)
    returns, best = result.returns()
    assert returns.shape[0] == 41  # 160 hours, and the label that ends beyond
    tested = np.concatenate([split.test for split in splits])
    assert np.isin(np.concatenate([s.valid for s in splits]), tested).any()  # rolling: as the docstring says
    evidence = selection_evidence(returns, best=best, n_trials=result.n_trials, blocks=4)
    assert evidence["trials"] == 8
    if edge:
        assert evidence["sharpe"] == pytest.approx(result.best.value)
        assert evidence["deflated_sharpe"] > 0.95
    else:  # the best that can be done is not to trade
        assert result.best.value == 0.0
        assert evidence["sharpe"] is evidence["deflated_sharpe"] is None


def test_the_objective_trades_validation_rows_only(market):
    _, data = market
    hour = 60 * MINUTE_MS
    at = int(data.ts_ms[0])
    split = make_split(
        data.ts_ms, data.end_ts_ms, train=Span(at, at + 100 * hour), valid=Span(at + 100 * hour, at + 140 * hour)
    )
    models = ErModels(data, FitParams(num_threads=1), rounds=5)
    told = []
    outcome = walk_forward_objective(models, [split], period_ms=hour)(
        {"num_leaves": 5, "ev_min": -1.0}, lambda step, value: told.append((step, value))
    )
    assert told == [(0, outcome.value)]
    # every row wanted: the same rows, one position a symbol at a time, by hand
    predicted = models.fit_predict(split.train, split.valid, [{"num_leaves": 5}])[0]
    total, free = 0.0, {}
    for row, (long, short) in zip(split.valid, predicted, strict=True):
        side = data.long if long >= short else data.short
        opens = int(data.ts_ms[row]) + MINUTE_MS
        if opens >= free.get(int(data.symbol[row]), 0):
            free[int(data.symbol[row])] = opens + int(side.time_to_event_min[row]) * MINUTE_MS
            total += float(side.ret_net[row]) / 2
    assert outcome.returns.sum() == pytest.approx(total, rel=1e-9)


def test_a_model_that_grows_ends_as_one_that_was_fitted_at_once(market):
    _, dataset = market
    models = ErModels(dataset, FitParams(num_threads=1, min_data_in_leaf=50), rounds=10)
    rows = np.arange(len(dataset))
    train, test = rows[:2_000], rows[2_000:2_500]
    [whole] = models.fit_predict(train, test, [{"num_leaves": 9}])
    stages = list(models.grow(train, test, {"num_leaves": 9}, 3))
    assert len(stages) == 3
    assert np.array_equal(stages[-1], whole)
    assert not np.array_equal(stages[0], whole)
