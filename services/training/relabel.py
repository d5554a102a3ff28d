"""How much a result hangs on the labels: barriers moved, labels made anew, models of ``er`` trained on them and traded.

``services.backtest.sensitivity`` moves the exits of the same predictions; here the models learn the moved barrier. Only
``er`` is learned, with the number of trees that the walk-forward found, so ``q05`` and ``e_mae`` are left open: their
gates pass, and they take nothing from size or EV. The value in use is run in the same way, so these rows compare with
one another, not with the headline. Features, folds, fees, sizing and guards are those of the run; purge follows the new
label spans. Nothing is stored.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from packages.common.compute import Compute
from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS
from packages.common.types import TARGETS
from services.backtest.portfolio import backtest
from services.backtest.sensitivity import Row, changed_params, sensitivity
from services.backtest.stress import SHOWN
from services.features.compute import MarketFeatures
from services.labeling.triple_barrier import LabelSpec
from services.simulator.tables import Market
from services.training.dataset import Dataset, Sampled, Sampling, pool, sample
from services.training.fit import Boosters, FitParams, Progress, predict_inputs
from services.training.market import read_minutes
from services.training.replay import MarketSource, read_inputs, replay_market
from services.training.research import label_minutes, market_of, rows_of
from services.training.splits import Span, Split
from services.training.targets import scale_column
from services.training.validation.er import SIDES, ErModels

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BARRIERS = ("k_tp", "k_sl", "h_bars")
_OPEN = [TARGETS.index(name) for name in TARGETS if name not in {side.name for side in SIDES}]
_UNTRADABLE = dict.fromkeys(SHOWN, float("nan"))


@dataclass(frozen=True, slots=True)
class Relabelling:
    """What every variation shares: the run's market and desk, its sampling and division into folds, its
    hyperparameters, and the number of trees."""

    source: MarketSource
    run: str
    sampling: Sampling
    splits: Callable[[Dataset], Iterable[Split]]
    params: FitParams
    rounds: int


def label_sensitivity(
    how: Relabelling, factors: Sequence[float], spans: Sequence[Span], progress: Progress, compute: Compute
) -> tuple[list[Row], list[str]]:
    """Rows of ``sensitivity`` with level ``label``, for each of ``BARRIERS`` as it is and times each factor, and notes
    on variations that left no rows to train on, whose figures are NaN.

    ``spans``: the test spans that are traded. Predictions and sampling run where ``compute`` says, fits here.
    """
    spec, desk = how.sampling.label_spec, how.source.desk
    whole = Span(min(span.start_ms for span in spans), max(span.end_ms for span in spans))
    market = replay_market(how.source.store, desk, spec, how.run, whole)
    shared = market_of(how.source.store)
    grid = {name: _values(spec, name, factors) for name in BARRIERS}
    steps = 1 + sum(len(values) - 1 for values in grid.values())
    known: dict[LabelSpec, Mapping[str, float]] = {}
    notes: list[str] = []

    def run(name: str, value: float) -> Mapping[str, float]:
        moved = replace(spec, **{name: value})  # type: ignore[arg-type] # whole numbers become ints there
        if moved not in known:
            progress(len(known) / steps, f"labels anew, {name} {value:g}")
            try:
                predicted = _predictions(replace(how, sampling=replace(how.sampling, label_spec=moved)), market, shared,
                                         compute)  # fmt: skip
            except InvalidInputError as error:
                known[moved] = _UNTRADABLE
                notes.append(f"label sensitivity, {name} {value:g}: {error}")
            else:
                known[moved] = backtest(
                    market._replace(preds=predicted), changed_params(desk.params, name, value), desk.constants,
                    symbols=desk.symbols, wallet=desk.wallet,
                ).metrics  # fmt: skip
        return known[moved]

    rows = sensitivity(run, grid, {name: float(getattr(spec, name)) for name in BARRIERS}, level="label")
    progress(1.0, "labels anew")
    return rows, notes


def _values(spec: LabelSpec, name: str, factors: Sequence[float]) -> list[float]:
    base = getattr(spec, name)
    moved = {base * factor for factor in (*factors, 1.0)}
    return sorted({float(max(1, round(value))) for value in moved} if isinstance(base, int) else moved)


def _predictions(how: Relabelling, market: Market, shared: MarketFeatures, compute: Compute) -> F64:
    """``Market.preds`` of models that learned ``how.sampling.label_spec``; NaN outside the test spans."""
    store, symbols = how.source.store, how.source.desk.symbols
    done = dict(compute.map(_sample_anew, list(enumerate(symbols)), store, shared, how.sampling))
    dataset = pool([done[number] for number in range(len(symbols))], how.sampling)
    models = ErModels(dataset, how.params, rounds=how.rounds)
    preds = np.full(market.preds.shape, np.nan)
    column = scale_column(how.sampling.label_spec.atr_interval_min)
    for split in how.splits(dataset):
        assert split.test_span is not None
        (boosters,) = models.fit(split.train, [{}])
        for s, (ts_ms, er) in compute.map(_predict_er, symbols, store, split.test_span, column, boosters):
            at = (ts_ms - int(market.ts_ms[0])) // MINUTE_MS
            preds[at[:, None], _OPEN, s] = 0.0
            for target, values in zip(SIDES, er, strict=True):
                preds[at, TARGETS.index(target.name), s] = values
    return preds


def _sample_anew(item: tuple[int, str], store: ResearchStore, shared: MarketFeatures, how: Sampling) -> Sampled:
    number, symbol = item
    labelled = label_minutes(read_minutes(store, symbol), shared, how.label_spec)
    return sample(rows_of(labelled, source=how.label_spec.hash()), number, how)


def _predict_er(
    symbol: str, store: ResearchStore, span: Span, column: int, boosters: Boosters
) -> tuple[I64, tuple[F64, ...]]:
    ts_ms, inputs = read_inputs(store, symbol, span)
    if not ts_ms.size:
        return ts_ms, tuple(np.empty(0) for _ in SIDES)
    predicted = predict_inputs(boosters, inputs, inputs[:, column], num_threads=1)
    return ts_ms, tuple(predicted[target.name] for target in SIDES)
