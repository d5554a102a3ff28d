"""Walk-forward: fit each fold, predict every bar of its test span, and trade the joined test spans (§9.1, §11).

Predictions of all minutes and symbols go to the research store (``predictions_oos``, version: the run's hash), so that
the backtest, a stress of it or a notebook reads exactly what was out of sample. Fitted folds are kept beside them: a
job that was killed goes on with the first fold that is missing.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.compute import Compute, DaskCompute
from packages.common.errors import StoreUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import iso
from services.backtest.portfolio import BacktestResult
from services.backtest.report import ResearchReport, plain
from services.backtest.study import research_report
from services.labeling.triple_barrier import LabelSpec
from services.training.cluster import fit_targets_on_cluster
from services.training.dataset import Dataset
from services.training.evaluate import daily_rank_correlation
from services.training.fit import (
    Boosters,
    FitParams,
    Fitted,
    Progress,
    boosters_of,
    fit_targets,
    predict,
    predict_inputs,
)
from services.training.market import PREDICTIONS
from services.training.replay import MarketSource, read_inputs, replay_market
from services.training.splits import Span, Split
from services.training.targets import ALL, Target, observed_values, scale_column

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fitted fold, and its predictions of the sampled rows it was judged on."""

    number: int
    split: Split
    fitted: tuple[Fitted, ...]
    rows: NDArray[np.int64]  # of the dataset: the test rows, or the validation rows where there is no test span
    predictions: dict[str, F64]  # by target, (rows,)

    def describe(self, dataset: Dataset) -> dict[str, Any]:
        """Spans, rows, rounds and daily rank correlation by target, as JSON."""
        ts_ms = dataset.ts_ms[self.rows]
        targets = {}
        for item in self.fitted:
            observed = observed_values(item.target, dataset.side(item.target.side)[0])[self.rows]
            rank = daily_rank_correlation(observed, self.predictions[item.target.name], ts_ms)
            targets[item.target.name] = {
                "rounds": item.rounds, "valid_loss": item.valid_loss, "rank_correlation": rank["mean"],
            }  # fmt: skip
        return {"fold": self.number, **self.split.describe(), "targets": targets}


def run_hash(config: dict[str, Any], dataset: Dataset) -> str:
    """Name of a run: its configuration, the content of its rows, and who fits them. 32 hex digits."""
    parts = {"config": config, "dataset": dataset.manifest["content"], "lightgbm": lgb.__version__}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def run_fold(
    number: int,
    split: Split,
    dataset: Dataset,
    targets: tuple[Target, ...],
    params: FitParams,
    progress: Progress,
    *,
    run: str,
    store: ResearchStore | None,
    compute: Compute,
) -> FoldResult:
    """Fit one fold, here or on the cluster, or take it from ``store`` where an earlier attempt of the run left it."""
    key = f"runs/{run}/fold-{number}.json"
    fitted = None if store is None else _load(store, key, targets)
    if fitted is None:
        if isinstance(compute, DaskCompute):
            fitted = fit_targets_on_cluster(compute.client, dataset, split, targets, params, progress)
        else:
            fitted = fit_targets(dataset, split, targets, params, progress)
        if store is not None:
            store.put_object(key, json.dumps([_to_dict(item) for item in fitted]).encode())
    rows = split.test if split.test_span else split.valid
    return FoldResult(number, split, fitted, rows, predict(fitted, dataset, rows))


def store_predictions(
    source: MarketSource,
    run: str,
    fold: FoldResult,
    spec: LabelSpec,
    progress: Progress,
    compute: Compute,
) -> None:
    """Predict every stored bar of the fold's test span, symbol by symbol, and write it to the research store."""
    span = fold.split.test_span
    assert span is not None
    symbols, stage = source.desk.symbols, f"predicting fold {fold.number + 1}"
    progress(0.0, stage)
    where = (source.store, run, span, scale_column(spec.atr_interval_min))
    for done, _ in enumerate(compute.map(_predict_symbol, symbols, where, boosters_of(fold.fitted)), 1):
        progress(done / len(symbols), stage)


def _predict_symbol(symbol: str, where: tuple[ResearchStore, str, Span, int], boosters: Boosters) -> None:
    store, run, span, column = where
    ts_ms, inputs = read_inputs(store, symbol, span)
    if ts_ms.size:
        predicted = predict_inputs(boosters, inputs, inputs[:, column], num_threads=1)
        store.write(PREDICTIONS, run, symbol, {"ts": ts_ms, **predicted})


@dataclass(frozen=True, slots=True)
class Traded:
    """A traded walk-forward: its figures, and the report with everything that keeps one from believing them easily."""

    result: BacktestResult
    report: ResearchReport
    headline: dict[str, Any]

    def files(self) -> dict[str, str]:
        """What is kept of it, by ending: page, figures, one screen of text, every trade with its ledger, every minute's
        equity."""
        from services.backtest.render import render_html, render_json, render_text  # pictures: seconds of import

        trades, curve = io.StringIO(), io.StringIO()
        self.result.trades.to_csv(trades, index=False)
        pd.DataFrame({"ts_ms": self.result.ts_ms, "equity": self.result.equity}).to_csv(curve, index=False)
        shown = {"html": render_html(self.report), "json": render_json(self.report), "txt": render_text(self.report)}
        return shown | {"trades.csv": trades.getvalue(), "equity.csv": curve.getvalue()}


def trade(
    source: MarketSource, run: str, spec: LabelSpec, spans: Sequence[Span], seed: int, progress: Progress, **report: Any
) -> Traded:
    """One account over all test spans, from the first minute of the first to the last of the last. Between spans there
    are no predictions: positions are managed, nothing is entered. ``report``: further arguments of ``research_report``.
    """
    whole = Span(min(span.start_ms for span in spans), max(span.end_ms for span in spans))
    progress(0.0, "reading the test spans")
    desk = source.desk
    market = replay_market(source.store, desk, spec, run, whole)
    result, told = research_report(
        market, desk.params, desk.constants, np.random.default_rng(seed), symbols=desk.symbols, wallet=desk.wallet,
        progress=lambda fraction, stage: progress(0.2 + 0.8 * fraction, f"trading the test spans: {stage}"), **report,
    )  # fmt: skip
    return Traded(result, told, headline(result, told))


def headline(result: BacktestResult, report: ResearchReport) -> dict[str, Any]:
    """Trading figures first (§9.3): those of ``metrics_of``, the costs as a share of what was traded, block reasons,
    and the verdict with its interval of the expectancy (USDT a trade). Undefined figures are ``None``."""
    trades = result.trades
    traded = (trades["qty"] * trades["entry_fill"]).to_numpy(np.float64)
    returns = (trades["net"].to_numpy(np.float64) / traded) if len(trades) else np.empty(0)
    interval = report.evidence.intervals.get("expectancy")
    worst = np.sort(returns)[: max(1, returns.size // 100)]
    ledger = ("gross", "fees", "slippage", "funding", "liquidation_fee", "absorbed", "net")
    days = result.ts_ms.size / 1440
    out: dict[str, Any] = plain(
        result.metrics
        | {
            "kind": "portfolio_backtest",
            "start": iso(int(result.ts_ms[0])),
            "days": days,
            "expectancy_frac": returns.mean() if returns.size else np.nan,
            "expectancy_95": interval and [interval.low, interval.high],
            "tail_loss_frac": worst.mean() if worst.size else np.nan,
            "turnover_per_day": result.metrics["turnover"] / days,
            "costs": {name: float(trades[name].sum()) for name in ledger},
            "costs_frac": {name: trades[name].sum() / traded.sum() if len(trades) else np.nan for name in ledger},
            "blocked": result.block_counts,
            "verdict": report.verdict.model_dump(),
        }
    )
    return out


def _to_dict(item: Fitted) -> dict[str, Any]:
    return asdict(item) | {"target": item.target.name}


def _load(store: ResearchStore, key: str, targets: tuple[Target, ...]) -> tuple[Fitted, ...] | None:
    try:
        kept = json.loads(store.get_object(key))
    except StoreUnavailableError:
        return None
    fitted = tuple(Fitted(**{**item, "target": ALL[item["target"]]}) for item in kept)
    return fitted if tuple(item.target for item in fitted) == targets else None
