"""Choosing hyperparameters, and counting what the choice cost (D19): a search on the first fold's validation span, and
combinatorial purged cross-validation of a grid around what was chosen.

The first fold's validation span lies before every test span: in a walk the later ones are the tests of earlier folds,
and a choice that had seen them would make the headline its own training set. The grid says how often the best of
several settings in one half of the periods is a poor one in the other, and what is left of the best one's Sharpe ratio
after all trials are counted. It judges models of ``er`` at the labels' own costs, not the portfolio.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, HOUR_MS
from services.backtest.report import Overfitting
from services.training.dataset import Dataset
from services.training.fit import FitParams, Progress
from services.training.search import MODEL_SPACE, SearchResult, search
from services.training.splits import Split
from services.training.validation.cpcv import cpcv_plan
from services.training.validation.er import ErModels, walk_forward_objective
from services.training.validation.grid import GridTrial, cpcv_evaluate

TEST_GROUPS = 2
STAGES = 4  # how often a trial of the search is looked at as its models grow
EV_MIN = (0.0, 0.0005, 0.001)  # fractions of the entry


@dataclass(frozen=True, slots=True)
class Choice:
    """What the folds are fitted with, and how many trials it took; ``told`` describes the search as JSON."""

    params: FitParams
    trials: int = 0
    told: Mapping[str, Any] | None = None


def period_of(length_ms: int) -> int:
    """What a Sharpe ratio counts as one return: a day where there are thirty, else an hour."""
    return DAY_MS if length_ms >= 30 * DAY_MS else HOUR_MS


def choose(
    dataset: Dataset,
    first: Split,
    params: FitParams,
    *,
    n_trials: int,
    journal: Path | None,
    progress: Progress,
) -> Choice:
    """``params`` with what ``n_trials`` of the search found best on the first fold's validation; as they are without.
    ``journal``: where finished trials are kept, so that a killed job goes on."""
    if n_trials == 0:
        return Choice(params)
    period_ms = period_of(first.valid_span.length_ms)
    found: SearchResult = search(
        walk_forward_objective(ErModels(dataset, params), [first], period_ms=period_ms, stages=STAGES),
        MODEL_SPACE,
        n_trials=n_trials,
        seed=params.seed,
        storage=journal,
        max_steps=STAGES,
        identity=dataset.manifest["content"],
        progress=lambda fraction, stage: progress(fraction, f"searching: {stage}"),
    )
    return Choice(replace(params, **found.best.params), found.n_trials, found.describe())


def overfitting(
    dataset: Dataset,
    choice: Choice,
    *,
    rounds: int,
    groups: int,
    purge_bars: int,
    embargo_pct: float,
    progress: Progress,
) -> Overfitting:
    """PBO, deflated and probabilistic Sharpe of a grid of leaves and ``ev_min`` around the choice, every model with
    ``rounds`` trees. What the history is too short for stays empty, and ``details`` says why."""
    leaves = sorted({max(2, choice.params.num_leaves // 2), choice.params.num_leaves, 2 * choice.params.num_leaves})
    grid = [GridTrial({"num_leaves": n}, {"ev_min": ev}) for n in leaves for ev in EV_MIN]
    trials = len(grid) + choice.trials
    try:
        plan = cpcv_plan(
            dataset.ts_ms, groups=groups, test_groups=TEST_GROUPS, purge_bars=purge_bars, embargo_pct=embargo_pct
        )
        models = ErModels(dataset, choice.params, rounds=rounds)
        told = cpcv_evaluate(
            dataset, models.fit_predict, plan, grid, models.trade, progress=progress,
            period_ms=period_of(int(dataset.ts_ms[-1] - dataset.ts_ms[0])),
        )  # fmt: skip
        details = told.describe(n_trials=trials)
    except InvalidInputError as error:
        return Overfitting(trials=trials, details={"missing": [str(error)]})
    evidence = details["evidence"]
    return Overfitting(
        pbo=(evidence["overfitting"] or {}).get("pbo"),
        dsr=evidence["paths"]["deflated_sharpe_median"],
        psr=evidence["probabilistic_sharpe"],
        trials=trials,
        details=details,
    )
